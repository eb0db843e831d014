//! Asking the stock, and what all that ask it have in common.

use std::time::Duration;

use ::actors::{BatchError, Reply};
use contract::{MAX_STOCK, ShipmentCall, ShipmentId, ShipmentLine, problem};
use service::problem::{Problem, Validation};
use service::routes::Request;

use crate::actors::stock::{self, Answered};
use crate::app::App;
use crate::domain::adjustment::Refusal;
use crate::domain::batch::{Answer, Named};
use crate::domain::shipment::Outcome;

/// How long a caller waits for the stock: a batch under way and its own.
const ASK_WITHIN: Duration = Duration::from_secs(20);
/// Lines of one shipment, those of the same book counted apart.
const MAX_LINES: usize = 1_000;
/// Copies on one line.
const MAX_QUANTITY: u32 = 1_000_000;
/// Characters of what is said to be an ISBN. It is the stock's own that is logged, so no more is asked of it.
const MAX_ISBN: usize = 32;
/// Characters of a title, an author or a reason.
pub(super) const TEXT: usize = 500;

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

/// The shipment that the path names, and the database that the body may name.
pub(super) fn named(request: &Request<App>) -> Result<Named, Problem> {
    let id: ShipmentId = request.param("id")?;
    let ShipmentCall { database_id } = request.json_or_default()?;
    Ok(Named { id, expected_database: database_id })
}

/// What a caller of the store's kind is told where it does not get what it asked for.
pub(super) fn refusal(Answered { answer, database_id }: Answered) -> Problem {
    let refusal = match answer {
        Answer::Decided(Outcome::Refused(refused)) => {
            let books = refused.shortfalls.len();
            let detail = format!("There are too few copies of {books} of the books; nothing was taken.");
            Problem::conflict(problem::INSUFFICIENT_STOCK, "Insufficient stock", detail)
                .shortfalls(refused.shortfalls)
                .stock(refused.stock)
        }
        Answer::Never(stock) => {
            Problem::conflict(problem::VOIDED, "Shipment voided", "This shipment was voided and will never leave.")
                .stock(stock)
        }
        Answer::AlreadyShipped(receipt) | Answer::Decided(Outcome::Shipped(receipt)) => {
            Problem::conflict(problem::ALREADY_SHIPPED, "Already shipped", "This shipment has left.")
                .with("shipment", receipt)
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
        Answer::Unknown => Problem::not_found("Nothing was ever asked under this id."),
        Answer::NotShipped(shortfalls) => {
            let detail = "These copies did not leave in this shipment, or are back already.";
            Problem::conflict(problem::NOT_SHIPPED, "Not shipped", detail).shortfalls(shortfalls)
        }
        Answer::Refused(Refusal::OutOfBounds { would_be, reserved }) => out_of_bounds(would_be, reserved),
        other => return Problem::internal(format!("the stock answered with {other:?}")),
    };
    refusal.database_id(database_id)
}

/// 409: more than can be held, or less than is set aside.
pub(super) fn out_of_bounds(would_be: i64, reserved: i64) -> Problem {
    let detail = format!("It would be {would_be}; it must stay between {reserved} (reserved) and {MAX_STOCK}.");
    Problem::conflict(problem::STOCK_BOUNDS, "Stock out of bounds", detail)
}

/// Notes what is wrong with the lines of a shipment.
pub(super) fn check_items(items: &[ShipmentLine], validation: &mut Validation) {
    let count = items.len();
    validation.check((1..=MAX_LINES).contains(&count), "items", format!("must have 1 to {MAX_LINES} lines"));
    for (index, line) in items.iter().enumerate().take(MAX_LINES) {
        let field = |name: &str| format!("items[{index}].{name}");
        let quantity_fits = (1..=MAX_QUANTITY).contains(&line.quantity);
        validation.check(quantity_fits, field("quantity"), format!("must be 1 to {MAX_QUANTITY}"));
        let isbn_fits = line.isbn.chars().count() <= MAX_ISBN;
        validation.check(isbn_fits, field("isbn"), format!("must have at most {MAX_ISBN} characters"));
    }
}

/// Whether it is fit to be shown: not blank, and not too long.
pub(super) fn is_text(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= TEXT
}
