//! The live tree, and the outbox beside it: a confirmation that the store refuses needs a person as an actor that fails
//! does.

use std::time::Duration;

use ::actors::Snapshot;
use serde::Serialize;
use service::problem::Problem;
use service::routes::{Request, Response};
use service::status;
use utoipa::ToSchema;

use crate::app::App;
use crate::db::outbox::{self, Summary};

/// The tree is shown without the outbox when that cannot be read at once.
const READ_WITHIN: Duration = Duration::from_secs(1);

#[derive(Serialize, ToSchema)]
#[schema(as = ActorsAndOutbox)]
pub(super) struct View {
    #[serde(flatten)]
    snapshot: Snapshot,
    outbox: Option<Summary>,
}

/// `GET /actors`.
pub(super) async fn tree(request: Request<App>) -> Result<Response, Problem> {
    let snapshot = status::shown(&request)?;
    let read = request.app.reader.read("outbox", |connection| async move { outbox::summary(&connection).await });
    let outbox = tokio::time::timeout(READ_WITHIN, read).await.ok().and_then(Result::ok);
    Ok(Response::ok(&View { snapshot, outbox }))
}
