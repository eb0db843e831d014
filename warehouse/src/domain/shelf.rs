//! What a warehouse has of one book.

use contract::{BookId, InventoryItem, StockRow, Timestamp};

/// The row of one book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The book.
    pub book_id: BookId,
    /// Its ISBN.
    pub isbn: String,
    /// Title, where known.
    pub title: Option<String>,
    /// Author, where known.
    pub author: Option<String>,
    /// Copies on hand, reserved ones among them.
    pub quantity: i64,
    /// Copies set aside.
    pub reserved: i64,
    /// The version of the commit that last changed the row.
    pub version: i64,
    /// The time of that commit.
    pub updated_at: Timestamp,
}

impl From<Row> for InventoryItem {
    fn from(row: Row) -> Self {
        Self {
            available: row.available(),
            book_id: row.book_id,
            isbn: row.isbn,
            quantity: row.quantity,
            reserved: row.reserved,
            title: row.title,
            author: row.author,
            updated_at: row.updated_at,
            version: row.version,
        }
    }
}

impl Row {
    /// Copies free to ship.
    pub const fn available(&self) -> i64 {
        self.quantity - self.reserved
    }

    /// The row as shipments' answers carry it.
    pub const fn stock(&self) -> StockRow {
        StockRow { book_id: self.book_id, quantity: self.quantity, reserved: self.reserved, version: self.version }
    }
}
