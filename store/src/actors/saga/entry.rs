//! What a step of the saga writes.

use contract::Timestamp;
use serde_json::json;

use super::State;
use crate::actors::availability;
use crate::db::journal::{Advanced, NextShipment};
use crate::domain::history::Detail;
use crate::domain::order::{self, Change};
use crate::domain::saga::{Step, Transition};

/// The journal entry of a step, and what it changes of the order; `choice` is the warehouse that a sourced one is about.
pub(super) fn advanced(
    state: &State,
    step: &Step,
    transition: &Transition,
    choice: Option<&availability::Part>,
    at: Timestamp,
) -> Advanced {
    let change = Change::of(transition);
    let next = choice.filter(|_| matches!(transition, Transition::Moved { .. })).map(|choice| NextShipment {
        next_id: step.saga.shipment,
        warehouse_id: choice.warehouse,
        warehouse_name: choice.name.clone(),
        contents: json!(order::contents(&state.order)).to_string(),
    });
    let stock = match transition {
        Transition::Shipped { stock, .. } => stock.iter().map(|row| (state.saga.warehouse, *row)).collect(),
        _ => Vec::new(),
    };
    let detail = detail(state, &change, transition, next.as_ref());
    Advanced {
        order_id: state.order.id,
        seq: state.seq,
        event: transition.name(),
        detail: json!(detail),
        state: json!(step.saga),
        finished: step.saga.is_over(),
        attention: matches!(transition, Transition::Flagged { .. }),
        order_status: change.order,
        reason: change.reason,
        shipment_id: state.saga.shipment,
        shipment_status: change.shipment,
        shipped_at: change.shipped_at,
        payment_status: change.payment,
        next,
        at,
        stock,
    }
}

fn detail(state: &State, change: &Change, transition: &Transition, next: Option<&NextShipment>) -> Detail {
    let shipment = state.order.shipments.iter().find(|known| known.id == state.saga.shipment);
    let asked = shipment.map(|shipment| shipment.warehouse_name.clone());
    Detail {
        status: Some(change.order),
        shipment_id: Some(state.saga.shipment),
        next_shipment_id: next.map(|next| next.next_id),
        warehouse_name: next.map(|next| next.warehouse_name.clone()).or(asked),
        shipped_at: change.shipped_at,
        reason: change.reason.clone(),
        shortfalls: match transition {
            Transition::Rejected { shortfalls, .. } => shortfalls.clone(),
            _ => Vec::new(),
        },
    }
}
