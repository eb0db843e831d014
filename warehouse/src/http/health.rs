//! How this warehouse is, and who.

use std::time::Duration;

use contract::{WarehouseHealthReport, WarehouseInfo};
use service::clock;
use service::problem::Problem;
use service::routes::{Request, Response};

use crate::actors::registrar;
use crate::app::App;

const ASK_WITHIN: Duration = Duration::from_secs(1);

/// `GET /health`, for the store. The identity is read anew each time, so this also says that the database answers.
pub(super) async fn health(request: Request<App>) -> Result<Response, Problem> {
    let database_id = request.app.queries.identity().await?;
    let report = WarehouseHealthReport { status: "healthy".to_owned(), timestamp: clock::now(), database_id };
    Ok(Response::ok(&report))
}

/// `GET /info`.
pub(super) async fn info(request: Request<App>) -> Result<Response, Problem> {
    let app = &request.app;
    let (total_items, total_books) = app.queries.totals().await?;
    // A registrar that is just restarting does not know: that is not worth an error.
    let store = app.registrar.ask(ASK_WITHIN, |reply| registrar::Msg::GetStore { reply }).await;
    let registered_with = store.ok().flatten();
    let status = if registered_with.is_some() { "active" } else { "inactive" };
    Ok(Response::ok(&WarehouseInfo {
        name: app.name.clone(),
        url: app.url.clone(),
        status: status.to_owned(),
        registered_with,
        total_items,
        total_books,
    }))
}
