//! Whether the process lives.

use serde_json::json;
use service::problem::Problem;
use service::routes::{Request, Response};

use crate::app::App;

pub(super) async fn health(_: Request<App>) -> Result<Response, Problem> {
    Ok(Response::ok(&json!({ "status": "ok", "service": "store" })))
}
