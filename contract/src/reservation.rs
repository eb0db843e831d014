//! Reservations: copies that a warehouse sets aside under a shipment's id, until they are shipped, released or expire; and copies that
//! come back after they were shipped.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::{self, Timestamp};
use crate::{DatabaseId, OrderId, ReservationStatus, ReturnId, ShipmentId, ShipmentLine, StockRow};

/// Body of `POST /reservations` at a warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReservationRequest {
    /// The order it is for.
    pub order_id: OrderId,
    /// The id under which it is shipped later; the key that makes repeating this harmless.
    pub shipment_id: ShipmentId,
    /// The database that the caller believes it talks to; another one refuses without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_id: Option<DatabaseId>,
    /// What to set aside, all of it or nothing.
    pub items: Vec<ShipmentLine>,
    /// After so long without being confirmed or shipped it is released; 1 to [`crate::MAX_HOLD_SECONDS`].
    #[schema(minimum = 1, maximum = 86_400)]
    pub expires_in_seconds: u32,
}

/// Answer of `POST /reservations` and of its confirmation: copies are set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reservation {
    /// The order it is for.
    pub order_id: OrderId,
    /// The shipment that it will be.
    pub shipment_id: ShipmentId,
    /// The warehouse that holds it.
    pub warehouse_name: String,
    /// `HELD` or `CONFIRMED`.
    pub status: ReservationStatus,
    /// When it is released by itself; absent once it is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// The books' rows as the commit left them.
    pub stock: Vec<StockRow>,
    /// The database that holds it.
    pub database_id: DatabaseId,
}

/// Body of calls about a shipment that is named by the path: who is meant, where the caller cares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShipmentCall {
    /// The database that the caller believes it talks to; another one refuses without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_id: Option<DatabaseId>,
}

/// One line of `GET /reservations`, as staff sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReservationEntry {
    /// The shipment that it is, was or would have been.
    pub shipment_id: ShipmentId,
    /// The order it is for.
    pub order_id: OrderId,
    /// Where it stands.
    pub status: ReservationStatus,
    /// What it set aside.
    pub items: Vec<ShipmentLine>,
    /// When it is released by itself, or would have been; absent once it was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// Body of `POST /returns` at a warehouse: copies of a shipment have come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReturnRequest {
    /// The key that makes repeating it harmless.
    pub return_id: ReturnId,
    /// The order it was shipped for.
    pub order_id: OrderId,
    /// The shipment that took them.
    pub shipment_id: ShipmentId,
    /// The database that the caller believes it talks to; another one refuses without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_id: Option<DatabaseId>,
    /// What came back, at most what the shipment took less what came back of it before.
    pub items: Vec<ShipmentLine>,
    /// Why, for the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Answer of `POST /returns`: they are on the shelf again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReturnReceipt {
    /// The return.
    pub return_id: ReturnId,
    /// The order it was shipped for.
    pub order_id: OrderId,
    /// The shipment that had taken them.
    pub shipment_id: ShipmentId,
    /// The books' rows as the commit left them.
    pub stock: Vec<StockRow>,
    /// When they were put back.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub returned_at: Timestamp,
    /// The database that holds it.
    pub database_id: DatabaseId,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_confirmed_reservation_has_no_expiry() {
        let (order, shipment, database) = (OrderId::new(), ShipmentId::new(), DatabaseId::new());
        let mut reservation = Reservation {
            order_id: order,
            shipment_id: shipment,
            warehouse_name: "alpha".to_owned(),
            status: ReservationStatus::Held,
            expires_at: time::parse("2026-11-22T10:00:00Z"),
            stock: Vec::new(),
            database_id: database,
        };
        let mut expected = json!({
            "orderId": order, "shipmentId": shipment, "warehouseName": "alpha", "status": "HELD",
            "expiresAt": "2026-11-22T10:00:00.000000Z", "stock": [], "databaseId": database,
        });
        assert_eq!(serde_json::to_value(&reservation).unwrap(), expected);
        (reservation.status, reservation.expires_at) = (ReservationStatus::Confirmed, None);
        expected["status"] = json!("CONFIRMED");
        expected.as_object_mut().unwrap().remove("expiresAt");
        assert_eq!(serde_json::to_value(&reservation).unwrap(), expected);
        assert_eq!(serde_json::from_value::<Reservation>(expected).unwrap(), reservation);
    }
}
