//! Whether the process lives.

use contract::Health;
use service::problem::Problem;
use service::routes::{Request, Response};

use crate::app::App;

pub(super) async fn health(_: Request<App>) -> Result<Response, Problem> {
    Ok(Response::ok(&Health { status: "ok".to_owned(), service: "store".to_owned() }))
}
