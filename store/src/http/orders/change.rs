//! What the owner of an order may still change of it: cancelling it, sending copies back.

use std::time::Duration;

use contract::problem as kind;
use contract::{OrderId, ReturnId, ReturnOrder};
use service::problem::{Problem, Validation};
use service::routes::{Request, Response};
use uuid::Uuid;

use super::place::given_key;
use super::visible;
use crate::actors::orders::{Msg, Unasked};
use crate::actors::saga;
use crate::app::App;
use crate::domain::saga::Unfit;
use crate::domain::sourcing::{Demand, Line};

/// How much longer than the promised wait an answer may take to come from the actors.
const GRACE: Duration = Duration::from_secs(3);

/// `POST /orders/:id/cancel` (R6).
pub(in crate::http) async fn cancel(request: Request<App>) -> Result<Response, Problem> {
    let order = visible(&request).await?;
    let by_owner = request.account()?.id == order.user_id;
    let reason = if by_owner { "cancelled by its customer" } else { "cancelled by an admin" };
    ask(&request, order.id, saga::Request::Cancel { operator: false, reason: reason.to_owned() }).await
}

/// `POST /orders/:id/return`.
pub(in crate::http) async fn take_back(request: Request<App>) -> Result<Response, Problem> {
    let order = visible(&request).await?;
    let body: ReturnOrder = request.json()?;
    let ordered = |line: &contract::OrderLine| order.items.iter().any(|item| item.book_id == line.book_id);
    let mut validation = Validation::new();
    let count = body.items.len();
    validation.check((1..=contract::MAX_LINES).contains(&count), "items", "must be 1 to 100 books");
    for (index, line) in body.items.iter().enumerate().take(contract::MAX_LINES) {
        let most = contract::MAX_LINE_QUANTITY;
        let fits = (1..=most).contains(&line.quantity);
        validation.check(fits, format!("items[{index}].quantity"), format!("must be 1 to {most}"));
        validation.check(ordered(line), format!("items[{index}].bookId"), "is no book of the order");
    }
    validation.finish()?;
    let lines: Vec<_> = body.items.iter().map(|line| Line { book: line.book_id, quantity: line.quantity }).collect();
    // The same key is the same return, however often it is sent.
    let id = match given_key(&request)? {
        Some(key) => ReturnId(Uuid::new_v5(&order.id.uuid(), key.as_bytes())),
        None => ReturnId::new(),
    };
    ask(&request, order.id, saga::Request::Return { id, lines: Demand::new(&lines).lines().to_vec() }).await
}

async fn ask(request: &Request<App>, order: OrderId, what: saga::Request) -> Result<Response, Problem> {
    let (app, within) = (&request.app, request.app.order_wait + GRACE);
    let asked = app.addresses.orders.ask(within, |reply| Msg::Ask { order, request: what, reply }).await?;
    match asked {
        Ok(order) => Ok(Response::ok(&*order)),
        Err(Unasked::Open) => {
            let open = app.queries.order(order).await?.ok_or_else(|| Problem::not_found("There is no such order."))?;
            Ok(Response::accepted(&open, &format!("../{order}")))
        }
        Err(error) => Err(unasked(error)),
    }
}

/// Why something asked of an order's saga is not done.
pub(in crate::http) fn unasked(error: Unasked) -> Problem {
    let conflict = |kind, title, unfit: &Unfit| Problem::conflict(kind, title, capitalised(&unfit.to_string()));
    match error {
        Unasked::UnknownOrder => Problem::not_found("There is no such order."),
        Unasked::Open | Unasked::Busy => Problem::unavailable("That could not be done just now; look at the order."),
        Unasked::Unfit(unfit) => match &unfit {
            Unfit::Leaving => conflict(kind::ALREADY_SHIPPED, "Already shipped", &unfit),
            Unfit::Ended(_) | Unfit::Over => conflict(kind::ORDER_ENDED, "Order ended", &unfit),
            Unfit::NotShipped | Unfit::TooMany(_) => conflict(kind::NOT_SHIPPED, "Not shipped", &unfit),
            Unfit::Returning => conflict(kind::IN_PROGRESS, "In progress", &unfit),
        },
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
