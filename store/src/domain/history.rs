//! What an order's journal keeps of each step for those who read it, and the event that they are shown.

use contract::{OrderEvent, OrderId, OrderStatus, PaymentStatus, ShipmentId, Shortfall, Timestamp};
use serde::{Deserialize, Serialize};

use super::sourcing::Line;

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
    /// Why these warehouses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sourcing: Option<String>,
    /// Where the payment stands after the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentStatus>,
    /// The copies that came back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub returned: Vec<Line>,
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
    /// What happened, in a sentence for operators.
    pub fn sentence(&self) -> String {
        let Detail { reason, sourcing, warehouse_name, payment, .. } = &self.detail;
        let warehouse = warehouse_name.as_deref().unwrap_or("no warehouse");
        let (reason, sourcing) = (reason.as_deref().unwrap_or_default(), sourcing.as_deref().unwrap_or_default());
        let payment = payment.map(|payment| payment.as_str().to_lowercase()).unwrap_or_default();
        match self.event.as_str() {
            "accepted" if sourcing.is_empty() => format!("The order was accepted, to be sent from {warehouse}."),
            "accepted" => format!("The order was accepted: {sourcing}."),
            "sourced" => format!("Warehouses were found: {sourcing}."),
            "moved" => format!("Other warehouses took the place of those asked before: {sourcing}."),
            "backordered" => "No warehouse has it: it waits in the line for stock.".to_owned(),
            "held" => "Every part is held until it ships: from here on there is no way back.".to_owned(),
            "part-shipped" => format!("{warehouse} has shipped its part."),
            "shipped" => format!("Everything has left; the payment is {payment}."),
            "captured" => "The payment has been captured.".to_owned(),
            "returned" => format!("Copies are back on the shelf; the payment is {payment}."),
            "returning" => "Copies are on their way back.".to_owned(),
            "retried" => "A person had the payment tried again, under another key.".to_owned(),
            "resumed" => "A person had it go on.".to_owned(),
            event if reason.is_empty() => format!("{event}."),
            event => format!("{event}: {reason}."),
        }
    }

    /// As the order's owner is shown it.
    pub fn show(self, order_id: OrderId) -> OrderEvent {
        let Self { seq, event, detail, at } = self;
        OrderEvent {
            order_id,
            seq,
            event,
            status: detail.status.unwrap_or(OrderStatus::Pending),
            at,
            shipment_id: detail.shipment_id,
            warehouse_name: detail.warehouse_name,
            shipped_at: detail.shipped_at,
            reason: detail.reason,
            shortfalls: detail.shortfalls,
        }
    }
}
