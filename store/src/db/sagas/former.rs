//! Sagas as they were kept while an order had one shipment at a time.

use contract::{Order, PaymentStatus, ShipmentId, ShipmentStatus, Timestamp, WarehouseId};
use serde::Deserialize;

use crate::domain::saga::{Options, Part, PartState, Stage};
use crate::domain::{order, saga};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Saga {
    shipment: ShipmentId,
    warehouse: WarehouseId,
    deadline: Timestamp,
    stage: String,
}

impl Saga {
    /// The same as it is kept now. Nothing was ever authorised for it, so that comes first where it is still open.
    pub(super) fn into_saga(self, order: &Order) -> saga::Saga {
        let shipment = order.shipments.iter().find(|shipment| shipment.id == self.shipment);
        let name = shipment.map(|shipment| shipment.warehouse_name.clone()).unwrap_or_default();
        let lines = order::terms(order).items.into_iter().map(|item| item.line).collect();
        let mut part = Part::new(self.shipment, self.warehouse, name, lines, true).read_back();
        part.state = match shipment.map(|shipment| (shipment.status, shipment.shipped_at)) {
            Some((ShipmentStatus::Shipped, at)) => PartState::Shipped { at: at.unwrap_or(order.created_at) },
            Some((ShipmentStatus::Refused, _)) => PartState::Refused,
            Some((ShipmentStatus::Voided, _)) => PartState::Voided,
            Some((ShipmentStatus::Pending, _)) | None => PartState::Planned,
        };
        let options = Options { allow_split: true, allow_backorder: false };
        let mut saga = saga::Saga::new(vec![part], options, order.created_at, self.deadline);
        saga.stage = match self.stage.as_str() {
            "shipped" => Stage::Shipped,
            "rejected" => Stage::Rejected,
            _ => Stage::Authorizing,
        };
        saga.paid.status = order.payment.status;
        if order.payment.status == PaymentStatus::Captured {
            saga.paid.captured = order.payment.amount;
        }
        saga.noted()
    }
}
