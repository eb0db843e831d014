//! Shipments: what the store asks of a warehouse and what it is told.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::{self, Timestamp};
use crate::{BookId, DatabaseId, OrderId, ShipmentId, ShipmentLogId, StockRow};

/// Body of `POST /shipments` at a warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShipmentRequest {
    /// The order it is for.
    pub order_id: OrderId,
    /// The key that makes repeating it harmless; the order's id where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipment_id: Option<ShipmentId>,
    /// The database that the caller believes it talks to; another one refuses without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_id: Option<DatabaseId>,
    /// What to ship, all of it or nothing.
    pub items: Vec<ShipmentLine>,
}

/// One line of a shipment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShipmentLine {
    /// The book.
    pub book_id: BookId,
    /// Its ISBN.
    pub isbn: String,
    /// Copies.
    pub quantity: u32,
}

/// Answer of `POST /shipments`: it has left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShipmentReceipt {
    /// The order it is for.
    pub order_id: OrderId,
    /// The shipment.
    pub shipment_id: ShipmentId,
    /// The warehouse it left.
    pub warehouse_name: String,
    /// Always true.
    pub shipped: bool,
    /// When it left.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub shipped_at: Timestamp,
    /// The books' rows as the commit left them.
    pub stock: Vec<StockRow>,
    /// The database that holds it.
    pub database_id: DatabaseId,
}

/// Answer of `POST /shipments/:id/void` and `DELETE /reservations/:id`: it will never leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VoidReceipt {
    /// The shipment.
    pub shipment_id: ShipmentId,
    /// Always true.
    pub voided: bool,
    /// The rows of the books that are no more set aside for it; empty where none were.
    #[serde(default)]
    pub stock: Vec<StockRow>,
    /// The database that holds it.
    pub database_id: DatabaseId,
}

/// A book of which there are too few copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shortfall {
    /// The book.
    pub book_id: BookId,
    /// Copies asked for, all lines together.
    pub requested: i64,
    /// Copies free.
    pub available: i64,
}

/// One line of `GET /shipments`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShipmentLogEntry {
    /// The line.
    pub id: ShipmentLogId,
    /// The order.
    pub order_id: OrderId,
    /// The shipment.
    pub shipment_id: ShipmentId,
    /// The book.
    pub book_id: BookId,
    /// Its ISBN.
    pub isbn: String,
    /// Copies.
    pub quantity: i64,
    /// When they left.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub shipped_at: Timestamp,
}
