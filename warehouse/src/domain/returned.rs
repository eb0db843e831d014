//! Copies of a shipment that come back.

use std::collections::BTreeMap;

use contract::{BookId, DatabaseId, OrderId, ReturnId, ReturnReceipt, ReturnRequest, ShipmentId};

use super::shipment;

/// A request to take copies back: lines of one book are added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    /// Its key.
    pub id: ReturnId,
    /// The order they were shipped for.
    pub order_id: OrderId,
    /// The shipment that took them.
    pub shipment_id: ShipmentId,
    /// The database that the caller believes this to be.
    pub expected_database: Option<DatabaseId>,
    /// Copies by book, each above zero.
    pub lines: BTreeMap<BookId, i64>,
    /// Why, for the ledger.
    pub reason: Option<String>,
}

impl From<&ReturnRequest> for Return {
    fn from(request: &ReturnRequest) -> Self {
        Self {
            id: request.return_id,
            order_id: request.order_id,
            shipment_id: request.shipment_id,
            expected_database: request.database_id,
            lines: shipment::added_up(&request.items),
            reason: request.reason.clone(),
        }
    }
}

/// A return that was made before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// A digest of its lines.
    pub items_hash: String,
    /// Copies by book.
    pub lines: BTreeMap<BookId, i64>,
    /// What its caller was told.
    pub receipt: ReturnReceipt,
}
