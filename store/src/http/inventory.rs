//! Stock by book, and its reconciliation.

use std::time::Duration;

use contract::{BookAvailability, BookId};
use service::problem::Problem;
use service::routes::{Request, Response};

use super::ASK_LIMIT;
use crate::actors::{availability, catalog, reconciler};
use crate::app::App;
use crate::domain::stock::BookStock;

/// Longer than two runs of the reconciler: one may be under way.
const RECONCILE_LIMIT: Duration = Duration::from_secs(60);

pub(super) async fn of_book(request: Request<App>) -> Result<Response, Problem> {
    let book: BookId = request.param("id")?;
    let ask = request.app.addresses.catalog.ask(ASK_LIMIT, |reply| catalog::Msg::Get { book, reply });
    ask.await?.ok_or_else(|| Problem::not_found("There is no such book on sale."))?;
    Ok(Response::ok(&shelves(stock(&request.app, book).await?)))
}

pub(super) async fn reconcile(request: Request<App>) -> Result<Response, Problem> {
    let ask = request.app.addresses.reconciler.ask(RECONCILE_LIMIT, |reply| reconciler::Msg::Run { reply });
    match ask.await? {
        Ok(report) => Ok(Response::ok(&report)),
        Err(reason) => {
            tracing::warn!(reason, "not reconciled");
            Err(Problem::unavailable("The warehouses could not be asked."))
        }
    }
}

/// Where copies of the book are.
pub(super) async fn stock(app: &App, book: BookId) -> Result<BookStock, Problem> {
    Ok(app.addresses.availability.ask(ASK_LIMIT, |reply| availability::Msg::Stock { book, reply }).await?)
}

pub(super) fn shelves(stock: BookStock) -> Vec<BookAvailability> {
    let shelves = stock.shelves.into_iter().map(|shelf| BookAvailability {
        warehouse_name: shelf.warehouse_name,
        quantity: shelf.quantity,
        last_synced: shelf.last_synced,
    });
    shelves.collect()
}
