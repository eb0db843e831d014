//! Orders: placed, listed, read, cancelled, returned, and confirmed by warehouses.

mod change;
mod events;
mod list;
mod place;

use std::time::Duration;

use contract::problem as kind;
use contract::{Confirmation, Confirmed, Order, OrderId, OrderStatus, Role};
use service::problem::{Problem, Validation};
use service::routes::{Request, Response};

use crate::actors::orders::{ConfirmError, Msg};
use crate::app::App;

pub(super) use change::{cancel, take_back, unasked};
pub(super) use events::events;
pub(super) use list::{ListQuery, list};
pub(super) use place::place;

/// Within the warehouse's own limit for a confirmation.
const CONFIRM_WITHIN: Duration = Duration::from_secs(8);

/// `GET /orders/:id`.
pub(super) async fn get(request: Request<App>) -> Result<Response, Problem> {
    Ok(Response::ok(&visible(&request).await?))
}

/// The order that the path names, for whom it concerns.
async fn visible(request: &Request<App>) -> Result<Order, Problem> {
    let (account, id) = (request.account()?, request.param::<OrderId>("id")?);
    let order = request.app.queries.order(id).await?.ok_or_else(|| Problem::not_found("There is no such order."))?;
    if account.role != Role::StoreAdmin && order.user_id != account.id {
        return Err(Problem::forbidden("This order is somebody else's."));
    }
    Ok(order)
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
