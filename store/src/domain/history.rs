//! What an order's journal keeps of each step for those who read it, and the event that they are shown.

use contract::{OrderEvent, OrderId, OrderStatus, ShipmentId, Shortfall, Timestamp};
use serde::{Deserialize, Serialize};

/// The `detail` of a journal entry. What an entry does not have is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Detail {
    /// Where the order stands after the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<OrderStatus>,
    /// The shipment that the step is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipment_id: Option<ShipmentId>,
    /// The shipment that takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_shipment_id: Option<ShipmentId>,
    /// The warehouse that is to ship after the step, or was last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warehouse_name: Option<String>,
    /// When it left.
    #[serde(with = "contract::time::option", skip_serializing_if = "Option::is_none")]
    pub shipped_at: Option<Timestamp>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a rejected order was short of: the answer to its customer, should that be asked for again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shortfalls: Vec<Shortfall>,
}

/// An entry of an order's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 0.
    pub seq: i64,
    /// The step's name.
    pub event: String,
    /// What it keeps.
    pub detail: Detail,
    /// When.
    pub at: Timestamp,
}

impl Entry {
    /// As the order's owner is shown it.
    pub fn show(self, order_id: OrderId) -> OrderEvent {
        let Self { seq, event, detail, at } = self;
        OrderEvent {
            order_id,
            seq,
            event,
            status: detail.status.unwrap_or(OrderStatus::Pending),
            at,
            shipment_id: detail.next_shipment_id.or(detail.shipment_id),
            warehouse_name: detail.warehouse_name,
            shipped_at: detail.shipped_at,
            reason: detail.reason,
            shortfalls: detail.shortfalls,
        }
    }
}
