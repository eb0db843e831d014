//! A warehouse's inventory.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::{self, Timestamp};
use crate::{BookId, MovementId, MovementKind, OrderId, ShipmentId};

/// One book's stock, as a shipment's answer and its confirmation carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StockRow {
    /// The book.
    pub book_id: BookId,
    /// Copies on hand, reserved ones among them.
    pub quantity: i64,
    /// Copies set aside.
    #[serde(default)]
    pub reserved: i64,
    /// The version of the commit that last changed the row; a greater one is newer.
    pub version: i64,
}

impl StockRow {
    /// Copies free to ship.
    pub const fn available(&self) -> i64 {
        self.quantity - self.reserved
    }
}

/// One book in `GET /inventory`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryItem {
    /// The book.
    pub book_id: BookId,
    /// Its ISBN.
    pub isbn: String,
    /// Copies on hand, reserved ones among them.
    pub quantity: i64,
    /// Copies set aside.
    pub reserved: i64,
    /// Copies free to ship.
    pub available: i64,
    /// Title, where the warehouse knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Author, where the warehouse knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// When the row was last changed.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// The version of the commit that last changed the row.
    pub version: i64,
}

impl From<&InventoryItem> for StockRow {
    fn from(item: &InventoryItem) -> Self {
        Self { book_id: item.book_id, quantity: item.quantity, reserved: item.reserved, version: item.version }
    }
}

/// Body of `POST /inventory`: sets a book's stock, entering the book where it is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetStock {
    /// The book.
    pub book_id: BookId,
    /// Its ISBN, hyphens allowed.
    pub isbn: String,
    /// The new total on hand.
    pub quantity: u32,
    /// Title, for people who read the shelf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Author, for people who read the shelf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// Body of `PATCH /inventory/:bookId`: exactly one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdjustStock {
    /// The new total on hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<u32>,
    /// What to add; negative takes away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<i32>,
    /// Why, for the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An entry of the ledger in `GET /inventory/:bookId/movements`. The deltas of a book add up to what it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Movement {
    /// The entry.
    pub id: MovementId,
    /// The book.
    pub book_id: BookId,
    /// What happened.
    pub kind: MovementKind,
    /// By how much the copies on hand changed.
    pub on_hand_delta: i64,
    /// By how much the copies set aside changed.
    pub reserved_delta: i64,
    /// The shipment that took them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipment_id: Option<ShipmentId>,
    /// The order that it was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Who did it: an e-mail address, or the name of a service.
    pub made_by: String,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The version of the commit that it is of.
    pub version: i64,
    /// When.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}
