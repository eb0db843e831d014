//! A request to ship, in the form in which two of them can be compared.

use std::collections::BTreeMap;

use contract::{
    BookId, DatabaseId, OrderId, ReservationRequest, ShipmentId, ShipmentLine, ShipmentReceipt, ShipmentRequest,
    Shortfall, StockRow,
};
use serde::{Deserialize, Serialize};

use super::shelf::Row;

/// What is to be shipped: lines of one book are added up, so that they are checked and taken as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shipment {
    /// Its key.
    pub id: ShipmentId,
    /// The order it is for.
    pub order_id: OrderId,
    /// The database that the caller believes this to be.
    pub expected_database: Option<DatabaseId>,
    /// Copies by book, each above zero.
    pub lines: BTreeMap<BookId, i64>,
}

impl From<&ShipmentRequest> for Shipment {
    fn from(request: &ShipmentRequest) -> Self {
        Self {
            id: request.shipment_id.unwrap_or_else(|| request.order_id.into()),
            order_id: request.order_id,
            expected_database: request.database_id,
            lines: added_up(&request.items),
        }
    }
}

impl From<&ReservationRequest> for Shipment {
    fn from(request: &ReservationRequest) -> Self {
        Self {
            id: request.shipment_id,
            order_id: request.order_id,
            expected_database: request.database_id,
            lines: added_up(&request.items),
        }
    }
}

/// Copies by book, whatever the lines' order and division.
pub(super) fn added_up(items: &[ShipmentLine]) -> BTreeMap<BookId, i64> {
    let mut lines = BTreeMap::new();
    for item in items {
        *lines.entry(item.book_id).or_insert(0) += i64::from(item.quantity);
    }
    lines
}

/// A digest of copies by book.
pub(super) fn digest(lines: &BTreeMap<BookId, i64>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (book, quantity) in lines {
        hasher.update(book.uuid().as_bytes()).update(&quantity.to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

impl Shipment {
    /// A digest of what it asks for; the same for every order and division of its lines.
    pub fn items_hash(&self) -> String {
        digest(&self.lines)
    }

    /// The books of which `shelf` has too few copies free.
    pub fn shortfalls(&self, shelf: &BTreeMap<BookId, Row>) -> Vec<Shortfall> {
        self.lines
            .iter()
            .map(|(&book_id, &requested)| Shortfall {
                book_id,
                requested,
                available: shelf.get(&book_id).map_or(0, Row::available),
            })
            .filter(|line| line.requested > line.available)
            .collect()
    }
}

/// A line of a shipment that has left, or of a reservation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The book.
    pub book_id: BookId,
    /// Its ISBN, as the stock has it.
    pub isbn: String,
    /// Copies.
    pub quantity: i64,
}

/// How a shipment ended, once and for all but one way: a refused one may still be voided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has left.
    Shipped(ShipmentReceipt),
    /// Too little stock; nothing was taken.
    Refused(Refused),
    /// It will never leave.
    Voided,
}

/// Why nothing was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// What there was too little of when it was decided.
    pub shortfalls: Vec<Shortfall>,
    /// The books' rows as the commit left them, none where there is no row.
    pub stock: Vec<StockRow>,
}

/// A shipment that was decided before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The order, unless it was voided before it was ever asked for.
    pub order_id: Option<OrderId>,
    /// What it asked for, likewise.
    pub items_hash: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
}

#[cfg(test)]
mod tests {
    use contract::ShipmentLine;

    use super::*;

    fn request(lines: &[(BookId, u32)]) -> ShipmentRequest {
        let items = lines.iter().map(|&(book_id, quantity)| ShipmentLine { book_id, isbn: "x".into(), quantity });
        ShipmentRequest { order_id: OrderId::new(), shipment_id: None, database_id: None, items: items.collect() }
    }

    #[test]
    fn lines_of_a_book_are_added_up_and_their_order_does_not_count() {
        let (one, two) = (BookId::new(), BookId::new());
        let split = Shipment::from(&request(&[(one, 1), (two, 5), (one, 2)]));
        let whole = Shipment::from(&request(&[(two, 5), (one, 3)]));
        assert_eq!(split.lines, BTreeMap::from([(one, 3), (two, 5)]));
        assert_eq!(split.items_hash(), whole.items_hash());
        assert_ne!(split.items_hash(), Shipment::from(&request(&[(two, 5), (one, 4)])).items_hash());
        assert_ne!(split.items_hash(), Shipment::from(&request(&[(one, 5), (two, 3)])).items_hash());
    }

    #[test]
    fn without_a_key_of_its_own_the_order_is_the_key() {
        let request = request(&[(BookId::new(), 1)]);
        assert_eq!(Shipment::from(&request).id.uuid(), request.order_id.uuid());
    }
}
