//! Orders: placed, listed, read, and confirmed by warehouses.

use std::time::Duration;

use ::actors::AskError;
use contract::problem as kind;
use contract::{Confirmation, Confirmed, Order, OrderId, OrderStatus, PlaceOrder, Role, Shortfall};
use serde::Deserialize;
use service::problem::{Problem, Validation};
use service::routes::{Request, Response};
use utoipa::IntoParams;

use crate::actors::orders::{ConfirmError, Msg, Placed, Unplaced};
use crate::app::App;
use crate::db;
use crate::db::orders::Filter;
use crate::domain::order;

/// How much longer than the promised wait an answer may take to come from the actors.
const GRACE: Duration = Duration::from_secs(3);
/// Within the warehouse's own limit for a confirmation.
const CONFIRM_WITHIN: Duration = Duration::from_secs(8);

/// `POST /orders` (R7).
pub(super) async fn place(request: Request<App>) -> Result<Response, Problem> {
    let user = request.account()?.id;
    let body: PlaceOrder = request.json()?;
    // Made here, so that whatever happens to the answer, the order can be looked for.
    let id = OrderId::new();
    let wanted = order::Request::new(id, user, &body.items, body.payment).map_err(Problem::invalid)?;
    let (app, trace) = (&request.app, request.trace.clone());
    let question = |reply| Msg::Place { request: Box::new(wanted), trace, reply };
    match app.addresses.orders.ask(app.order_wait + GRACE, question).await {
        Ok(Ok(Placed::Shipped(order))) => Ok(Response::created(&*order, Some(&location(id)))),
        Ok(Ok(Placed::Rejected { shortfalls, .. })) => Err(rejected(id, shortfalls)),
        Ok(Ok(Placed::Open)) => look_up(app, id).await,
        Ok(Err(Unplaced::Unknown(_))) | Err(AskError::Lost | AskError::Timeout) => look_up(app, id).await,
        Ok(Err(Unplaced::Invalid(errors))) => Err(Problem::invalid(errors)),
        Ok(Err(Unplaced::Short(shortfalls))) => Err(short(shortfalls)),
        Ok(Err(Unplaced::Busy)) => Err(Problem::unavailable("Orders cannot be taken just now; nothing was ordered.")),
        Ok(Err(Unplaced::Failed(reason))) => Err(Problem::internal(reason)),
        Err(error @ AskError::Refused) => Err(error.into()),
    }
}

fn location(id: OrderId) -> String {
    format!("orders/{id}")
}

fn short(shortfalls: Vec<Shortfall>) -> Problem {
    Problem::conflict(kind::INSUFFICIENT_STOCK, "Insufficient stock", "No single warehouse has everything.")
        .shortfalls(shortfalls)
}

fn rejected(id: OrderId, shortfalls: Vec<Shortfall>) -> Problem {
    short(shortfalls).with("orderId", id).header_text(http::header::LOCATION, &location(id))
}

/// The answer when the actors could not give it: what is durable.
async fn look_up(app: &App, id: OrderId) -> Result<Response, Problem> {
    match app.reader.read("orders.look-up", move |db| async move { db::orders::find(&db, id).await }).await {
        Ok(Some(order)) => match order.status {
            OrderStatus::Shipped => Ok(Response::created(&order, Some(&location(id)))),
            OrderStatus::Rejected => Err(rejected(id, Vec::new())),
            _ => Ok(Response::accepted(&order, &location(id))),
        },
        Ok(None) | Err(_) => {
            let detail = "It is not known whether the order was accepted. Look it up by its id before repeating it.";
            Err(Problem::outcome_unknown(detail).with("orderId", id))
        }
    }
}

#[derive(Deserialize, IntoParams)]
pub(super) struct ListQuery {
    /// Only orders that stand here.
    status: Option<OrderStatus>,
}

/// `GET /orders`: a customer's own, an admin's all; newest first.
pub(super) async fn list(request: Request<App>) -> Result<Response, Problem> {
    let account = request.account()?;
    let (query, page) = (request.query::<ListQuery>()?, request.page::<OrderId>()?);
    let user = (account.role != Role::StoreAdmin).then_some(account.id);
    let filter = Filter { user, before: page.after, status: query.status };
    let limit = page.limit;
    let read = request.app.reader.read("orders.list", move |db| async move {
        // One more than asked for tells whether there is a next page.
        db::orders::list(&db, &filter, limit + 1).await
    });
    let mut orders: Vec<Order> = read.await?;
    let more = orders.len() as u64 > limit;
    orders.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let response = Response::ok(&orders);
    Ok(match orders.last().filter(|_| more) {
        Some(last) => response.header(http::header::LINK, &request.next_page(last.id)),
        None => response,
    })
}

/// `GET /orders/:id`.
pub(super) async fn get(request: Request<App>) -> Result<Response, Problem> {
    let (account, id) = (request.account()?, request.param::<OrderId>("id")?);
    let read = request.app.reader.read("orders.get", move |db| async move { db::orders::find(&db, id).await });
    let order = read.await?.ok_or_else(|| Problem::not_found("There is no such order."))?;
    if account.role != Role::StoreAdmin && order.user_id != account.id {
        return Err(Problem::forbidden("This order is somebody else's."));
    }
    Ok(Response::ok(&order))
}

/// `POST /orders/:id/status` by a warehouse (R11).
pub(super) async fn confirm(request: Request<App>) -> Result<Response, Problem> {
    let order = request.param::<OrderId>("id")?;
    let confirmation: Confirmation = request.json()?;
    let rows = confirmation.stock.as_deref().unwrap_or_default();
    let sane = |row: &contract::StockRow| row.reserved >= 0 && row.available() >= 0 && row.version >= 0;
    Validation::new()
        .check(confirmation.status == OrderStatus::Shipped, "status", "must be SHIPPED")
        .check(rows.len() <= contract::MAX_LINES, "stock", "has more books than a shipment can have")
        .check(rows.iter().all(sane), "stock", "has a row that cannot be")
        .finish()?;
    let question = |reply| Msg::Confirm { order, confirmation, reply };
    match request.app.addresses.orders.ask(CONFIRM_WITHIN, question).await? {
        Ok(()) => Ok(Response::ok(&Confirmed { id: order, status: OrderStatus::Shipped })),
        Err(ConfirmError::UnknownOrder) => Err(unknown("There is no such order.")),
        Err(ConfirmError::NotInstructed) => Err(unknown("The order was never given to this warehouse so.")),
        Err(ConfirmError::Ambiguous) => {
            Err(unknown("Several shipments of the order are open: say which by shipmentId."))
        }
        Err(ConfirmError::Busy) => Err(Problem::unavailable("The confirmation could not be taken just now.")),
    }
}

fn unknown(detail: &str) -> Problem {
    Problem::conflict(kind::UNKNOWN_ORDER, "Unknown order", detail)
}
