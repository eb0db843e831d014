//! Taking a warehouse's confirmation (R11). Runs as an effect of `orders`.

use std::time::Duration;

use actors::{Address, AskError, Reply};
use contract::{Confirmation, Order, OrderId, ShipmentId, ShipmentStatus};

use super::{Args, reach};
use crate::actors::saga;
use crate::db;

/// How long a confirmation may take. The warehouse repeats it in any case.
pub(super) const WITHIN: Duration = Duration::from_secs(40);

/// Why a confirmation was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfirmError {
    /// There is no such order.
    UnknownOrder,
    /// The order was not given to this warehouse, or not by this shipment.
    NotInstructed,
    /// Without a shipment's id it cannot be told which of several is meant.
    Ambiguous,
    /// Something that it needs is away or full. It may have been taken.
    Busy,
}

/// Answers `reply`; returns the address of the saga that it started, if it did.
pub(super) async fn confirm(
    args: Args,
    order: OrderId,
    confirmation: Confirmation,
    live: Option<Address<saga::Msg>>,
    reply: Reply<Result<(), ConfirmError>>,
) -> Option<Address<saga::Msg>> {
    if let (Some(live), Some(shipment)) = (live, confirmation.shipment_id)
        && let Ok(Ok(())) = ask(&live, shipment, &confirmation).await
    {
        reply.send(Ok(()));
        return None;
    }
    // No saga, or one that has ended or gone on meanwhile: what is durable decides.
    match decide(&args, order, &confirmation).await {
        Ok(None) => {
            reply.send(Ok(()));
            None
        }
        Ok(Some(shipment)) => {
            let saga = reach::restart(&args, order).await;
            let answer = match ask(&saga, shipment, &confirmation).await {
                Ok(taken) => taken.map_err(|_| ConfirmError::NotInstructed),
                Err(_) => Err(ConfirmError::Busy),
            };
            reply.send(answer);
            Some(saga)
        }
        Err(error) => {
            reply.send(Err(error));
            None
        }
    }
}

async fn ask(
    saga: &Address<saga::Msg>,
    shipment: ShipmentId,
    confirmation: &Confirmation,
) -> Result<Result<(), saga::NotConfirmed>, AskError> {
    saga.ask(saga::WRITE_WITHIN, |reply| saga::Msg::Confirm {
        shipment,
        warehouse_name: confirmation.warehouse_name.clone(),
        shipped_at: confirmation.shipped_at,
        stock: confirmation.stock.clone().unwrap_or_default(),
        reply,
    })
    .await
}

/// The shipment that is to be applied, or none where it has been.
async fn decide(args: &Args, order: OrderId, confirmation: &Confirmation) -> Result<Option<ShipmentId>, ConfirmError> {
    let read = args.peers.reader.read("orders.confirm", move |db| async move { db::orders::find(&db, order).await });
    let order = read.await.map_err(|_| ConfirmError::Busy)?.ok_or(ConfirmError::UnknownOrder)?;
    meant(&order, confirmation)
}

fn meant(order: &Order, confirmation: &Confirmation) -> Result<Option<ShipmentId>, ConfirmError> {
    let by_name = |name: &String| confirmation.warehouse_name.as_ref().is_none_or(|said| said == name);
    let is_meant = |shipment: &&contract::Shipment| match confirmation.shipment_id {
        Some(id) => shipment.id == id && by_name(&shipment.warehouse_name),
        None => {
            matches!(shipment.status, ShipmentStatus::Pending | ShipmentStatus::Shipped)
                && by_name(&shipment.warehouse_name)
        }
    };
    let mut meant = order.shipments.iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(shipment), None) if shipment.status == ShipmentStatus::Shipped => Ok(None),
        (Some(shipment), None) if shipment.status == ShipmentStatus::Pending => Ok(Some(shipment.id)),
        (Some(_), Some(_)) => Err(ConfirmError::Ambiguous),
        _ => Err(ConfirmError::NotInstructed),
    }
}
