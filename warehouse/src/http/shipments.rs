//! Shipping, making sure that something never ships, and the log of what has left.

use contract::time::{self, Timestamp};
use contract::{BookId, OrderId, ShipmentId, ShipmentRequest, VoidReceipt};
use http::header::LINK;
use serde::Deserialize;
use service::problem::{Problem, Validation};
use service::routes::{Request, Response};
use utoipa::IntoParams;

use super::asking::{ask_stock, check_items, named, refusal};
use crate::actors::queries::{LogCursor, LogFilter};
use crate::actors::stock::{self, Answered};
use crate::app::App;
use crate::domain::batch::Answer;
use crate::domain::shipment::{Outcome, Shipment};

/// `POST /shipments`.
pub(super) async fn ship(request: Request<App>) -> Result<Response, Problem> {
    let body: ShipmentRequest = request.json()?;
    let mut validation = Validation::new();
    check_items(&body.items, &mut validation);
    validation.finish()?;
    let shipment = Shipment::from(&body);
    shipped(ask_stock(&request.app, |reply| stock::Msg::Ship { shipment, reply }).await?)
}

/// The receipt, or why there is none.
pub(super) fn shipped(answered: Answered) -> Result<Response, Problem> {
    match answered.answer {
        Answer::Decided(Outcome::Shipped(receipt)) => Ok(Response::ok(&receipt)),
        _ => Err(refusal(answered)),
    }
}

/// `POST /shipments/:id/void`.
pub(super) async fn void(request: Request<App>) -> Result<Response, Problem> {
    let shipment = named(&request)?;
    voided(shipment.id, ask_stock(&request.app, |reply| stock::Msg::Void { shipment, reply }).await?)
}

/// That it will never leave, or why it does.
pub(super) fn voided(shipment_id: ShipmentId, answered: Answered) -> Result<Response, Problem> {
    match answered.answer {
        Answer::Voided(stock) => {
            let database_id = answered.database_id;
            Ok(Response::ok(&VoidReceipt { shipment_id, voided: true, stock, database_id }))
        }
        _ => Err(refusal(answered)),
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogQuery {
    /// Not before this.
    #[serde(with = "time::option", default)]
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Before this.
    #[serde(with = "time::option", default)]
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// Only of this book.
    #[param(value_type = Option<Uuid>)]
    book_id: Option<BookId>,
    /// Only for this order.
    #[param(value_type = Option<Uuid>)]
    order_id: Option<OrderId>,
}

/// `GET /shipments`: what has left, newest first.
pub(super) async fn list(request: Request<App>) -> Result<Response, Problem> {
    let LogQuery { from, to, book_id, order_id } = request.query()?;
    let page = request.page::<LogCursor>()?;
    let filter = LogFilter { from, to, book_id, order_id };
    // One more than asked for tells whether there is a next page.
    let mut entries = request.app.queries.shipments(filter, page.after, page.limit + 1).await?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = entries.len() > limit;
    entries.truncate(limit);
    let response = Response::ok(&entries);
    Ok(match entries.last() {
        Some(last) if has_more => {
            response.header(LINK, &request.next_page(LogCursor { shipped_at: last.shipped_at, id: last.id }))
        }
        _ => response,
    })
}
