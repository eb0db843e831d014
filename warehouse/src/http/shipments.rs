//! Shipping, making sure that something never ships, and the log of what has left.

use std::time::Duration;

use ::actors::{BatchError, Reply};
use contract::time::{self, Timestamp};
use contract::{BookId, OrderId, ShipmentId, ShipmentRequest, VoidReceipt, problem};
use http::header::LINK;
use serde::Deserialize;
use service::problem::{Problem, Validation};
use service::routes::{Request, Response};
use utoipa::IntoParams;

use crate::actors::stock::{self, Answered};
use crate::app::App;
use crate::db;
use crate::db::shipments::{LogCursor, LogFilter};
use crate::domain::batch::Answer;
use crate::domain::shipment::{Outcome, Shipment};

/// How long a caller waits for the stock: a batch under way and its own.
const ASK_WITHIN: Duration = Duration::from_secs(20);
/// Lines of one shipment, those of the same book counted apart.
const MAX_LINES: usize = 1_000;
/// Copies on one line.
const MAX_QUANTITY: u32 = 1_000_000;
/// Characters of what is said to be an ISBN. It is the stock's own that is logged, so no more is asked of it.
const MAX_ISBN: usize = 32;

/// Asks the stock, whose answer is certain; everything else is a problem.
pub(super) async fn ask_stock(
    app: &App,
    message: impl FnOnce(Reply<stock::Told>) -> stock::Msg,
) -> Result<Answered, Problem> {
    match app.stock.ask(ASK_WITHIN, message).await? {
        Ok(Ok(answered)) => Ok(answered),
        Ok(Err(stock::NotDone)) => Err(Problem::unavailable("The stock cannot be changed just now; nothing was done.")),
        Err(BatchError::Failed(cause)) => Err(Problem::internal(cause)),
        Err(BatchError::Unavailable(cause)) => {
            tracing::warn!(cause, "a batch's outcome is unknown");
            Err(Problem::outcome_unknown("It may have happened: ask again under the same id."))
        }
    }
}

/// `POST /shipments`.
pub(super) async fn ship(request: Request<App>) -> Result<Response, Problem> {
    let body: ShipmentRequest = request.json()?;
    validate(&body)?;
    let shipment = Shipment::from(&body);
    let Answered { answer, database_id } =
        ask_stock(&request.app, |reply| stock::Msg::Ship { shipment, reply }).await?;
    let refusal = match answer {
        Answer::Decided(Outcome::Shipped(receipt)) => return Ok(Response::ok(&receipt)),
        Answer::Decided(Outcome::Refused(refused)) => {
            let books = refused.shortfalls.len();
            let detail = format!("There are too few copies of {books} of the books; nothing was taken.");
            Problem::conflict(problem::INSUFFICIENT_STOCK, "Insufficient stock", detail)
                .shortfalls(refused.shortfalls)
                .stock(refused.stock)
        }
        Answer::Decided(Outcome::Voided) => {
            Problem::conflict(problem::VOIDED, "Shipment voided", "This shipment was voided and will never leave.")
        }
        Answer::Mismatch => Problem::conflict(
            problem::SHIPMENT_MISMATCH,
            "Shipment mismatch",
            "This id is known with other items, or for another order.",
        ),
        Answer::OtherDatabase => Problem::conflict(
            problem::WAREHOUSE_IDENTITY,
            "Another warehouse database",
            "This is another database than the one that was meant; nothing was done.",
        ),
        other => return Err(Problem::internal(format!("a shipment was answered with {other:?}"))),
    };
    Err(refusal.database_id(database_id))
}

fn validate(body: &ShipmentRequest) -> Result<(), Problem> {
    let mut validation = Validation::new();
    let count = body.items.len();
    validation.check((1..=MAX_LINES).contains(&count), "items", format!("must have 1 to {MAX_LINES} lines"));
    for (index, line) in body.items.iter().enumerate().take(MAX_LINES) {
        let field = |name: &str| format!("items[{index}].{name}");
        let quantity_fits = (1..=MAX_QUANTITY).contains(&line.quantity);
        validation.check(quantity_fits, field("quantity"), format!("must be 1 to {MAX_QUANTITY}"));
        let isbn_fits = line.isbn.chars().count() <= MAX_ISBN;
        validation.check(isbn_fits, field("isbn"), format!("must have at most {MAX_ISBN} characters"));
    }
    validation.finish()
}

/// `POST /shipments/:id/void`.
pub(super) async fn void(request: Request<App>) -> Result<Response, Problem> {
    let shipment_id: ShipmentId = request.param("id")?;
    let Answered { answer, database_id } =
        ask_stock(&request.app, |reply| stock::Msg::Void { shipment_id, reply }).await?;
    match answer {
        Answer::Decided(Outcome::Voided) => {
            Ok(Response::ok(&VoidReceipt { shipment_id, voided: true, stock: Vec::new(), database_id }))
        }
        Answer::AlreadyShipped(receipt) => {
            let detail = "This shipment has left and cannot be voided.";
            let refusal = Problem::conflict(problem::ALREADY_SHIPPED, "Already shipped", detail);
            Err(refusal.with("shipment", receipt).database_id(database_id))
        }
        other => Err(Problem::internal(format!("a void was answered with {other:?}"))),
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
    let read =
        move |connection| async move { db::shipments::page(&connection, &filter, page.after, page.limit + 1).await };
    let mut entries = request.app.reader.read("shipments.page", read).await?;
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
