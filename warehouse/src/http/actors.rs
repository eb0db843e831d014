//! The live tree, and beside it the outbox and what is set aside: a confirmation that the store refuses, or a reservation
//! that nobody ships, needs a person as an actor that fails does.

use std::time::Duration;

use ::actors::Snapshot;
use serde::Serialize;
use service::problem::Problem;
use service::routes::{Request, Response};
use service::status;
use utoipa::ToSchema;

use crate::actors::queries::{Outbox, Reservations};
use crate::app::App;

/// The tree is shown alone when the rest cannot be read at once.
const READ_WITHIN: Duration = Duration::from_secs(1);

#[derive(Serialize, ToSchema)]
#[schema(as = ActorsAndOutbox)]
pub(super) struct View {
    #[serde(flatten)]
    snapshot: Snapshot,
    outbox: Option<Outbox>,
    reservations: Option<Reservations>,
}

/// `GET /actors`.
pub(super) async fn tree(request: Request<App>) -> Result<Response, Problem> {
    let snapshot = status::shown(&request)?;
    let read = request.app.queries.set_aside();
    let (outbox, reservations) = tokio::time::timeout(READ_WITHIN, read).await.ok().and_then(Result::ok).unzip();
    Ok(Response::ok(&View { snapshot, outbox, reservations }))
}
