//! What a step of the saga writes.

use contract::{Order, Shipment, ShipmentStatus, Timestamp};
use serde_json::json;

use super::State;
use crate::db::journal::{Advanced, Instructed, ReturnedNow, ShipmentNow};
use crate::domain::history::Detail;
use crate::domain::saga::{Entry, Part, Saga, Stepped};

/// The journal entry of a step that makes the order what `after` is.
pub(super) fn advanced(state: &State, stepped: &Stepped, entry: &Entry, after: &Order, at: Timestamp) -> Advanced {
    let before = &state.order;
    let known = |shipment: &Shipment| before.shipments.iter().find(|known| known.id == shipment.id);
    let (old, new): (Vec<_>, Vec<_>) = after.shipments.iter().partition(|shipment| known(shipment).is_some());
    let moved = old.into_iter().filter(|shipment| known(shipment).is_some_and(|known| known.status != shipment.status));
    let now = |shipment: &Shipment| ShipmentNow {
        id: shipment.id,
        status: shipment.status,
        shipped_at: shipment.shipped_at,
        at,
    };
    let part = |shipment: &&Shipment| stepped.saga.parts.iter().find(|part| part.shipment == shipment.id);
    let returned = before.items.iter().zip(&after.items).filter(|(before, after)| before.returned != after.returned);
    Advanced {
        order_id: before.id,
        seq: state.seq,
        event: entry.name,
        detail: json!(detail(entry, &stepped.saga, after)),
        state: json!(stepped.saga.clone().noted()),
        finished: stepped.saga.is_over(),
        attention: stepped.saga.attention.is_some(),
        stage: stepped.saga.stage.name(),
        order_status: after.status,
        reason: after.status_reason.clone(),
        shipped_at: after.shipped_at,
        cancel_requested: after.cancel_requested,
        payment_status: (before.payment != after.payment).then_some(after.payment.status),
        captured_cents: after.payment.captured.cents(),
        refunded_cents: after.payment.refunded.cents(),
        at,
        shipments: moved.map(now).collect(),
        instructed: new
            .into_iter()
            .filter_map(|shipment| Some(instructed(after, shipment, part(&shipment)?, at)))
            .collect(),
        returned: returned.map(|(_, item)| ReturnedNow { id: item.id, copies: item.returned }).collect(),
        stock: entry.stock.clone(),
    }
}

/// A shipment as it is written first.
pub(in crate::actors) fn instructed(order: &Order, shipment: &Shipment, part: &Part, at: Timestamp) -> Instructed {
    Instructed {
        id: shipment.id,
        order_id: order.id,
        warehouse_id: part.warehouse,
        warehouse_name: part.name.clone(),
        status: shipment.status,
        contents: json!(shipment.items).to_string(),
        at,
    }
}

fn detail(entry: &Entry, saga: &Saga, after: &Order) -> Detail {
    // Of several, the one that the step is about; else the one that is to ship, or has last.
    let shipment = match entry.shipment {
        Some(id) => after.shipments.iter().find(|shipment| shipment.id == id),
        None => after.shipments.iter().rfind(|shipment| shipment.status != ShipmentStatus::Refused),
    };
    Detail {
        status: Some(after.status),
        shipment_id: shipment.map(|shipment| shipment.id),
        warehouse_name: shipment.map(|shipment| shipment.warehouse_name.clone()),
        shipped_at: shipment.and_then(|shipment| shipment.shipped_at),
        reason: entry.reason.clone(),
        shortfalls: entry.shortfalls.clone(),
        sourcing: entry.sourcing.clone(),
        payment: Some(saga.paid.status),
        returned: entry.returned.clone(),
    }
}
