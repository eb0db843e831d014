//! Changes of stock by people: entering books, counting, deliveries.

use contract::{BookId, MAX_STOCK, MovementKind, Timestamp};

use super::shelf::Row;

/// A change that somebody makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// The book.
    pub book_id: BookId,
    /// What to change.
    pub change: Change,
    /// Who.
    pub made_by: String,
    /// Why, in their words.
    pub reason: Option<String>,
}

/// What to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets the total, and enters the book where it is new.
    Enter {
        /// ISBN; replaces the one there is.
        isbn: String,
        /// Title; leaves the one there is where absent.
        title: Option<String>,
        /// Author; leaves the one there is where absent.
        author: Option<String>,
        /// The new total on hand.
        quantity: i64,
    },
    /// Sets the total of a book that is there.
    Total(i64),
    /// Adds to what is there; negative takes away.
    Delta(i64),
}

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The warehouse has no row of this book.
    UnknownBook,
    /// It would leave fewer copies than are set aside, or more than can be held.
    OutOfBounds {
        /// The total it would come to.
        would_be: i64,
        /// Copies set aside, the least that must stay.
        reserved: i64,
    },
}

/// A change that can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjusted {
    /// The row after it, still with its old version and time.
    pub row: Row,
    /// By how much the total changes.
    pub on_hand_delta: i64,
    /// What the ledger calls it.
    pub kind: MovementKind,
}

/// Makes a change to a row, or to the lack of one. Bounds: reserved ≤ on hand ≤ [`MAX_STOCK`].
///
/// # Errors
/// See [`Refusal`]; nothing changes then.
pub fn adjust(book_id: BookId, row: Option<&Row>, change: &Change) -> Result<Adjusted, Refusal> {
    let before = row.map_or(0, |row| row.quantity);
    let (mut after, quantity, kind) = match (row, change) {
        (None, Change::Enter { isbn, quantity, .. }) => {
            let row = Row {
                book_id,
                isbn: isbn.clone(),
                title: None,
                author: None,
                quantity: 0,
                reserved: 0,
                version: 0,
                updated_at: Timestamp::UNIX_EPOCH,
            };
            (row, *quantity, MovementKind::Received)
        }
        (None, Change::Total(_) | Change::Delta(_)) => return Err(Refusal::UnknownBook),
        (Some(row), Change::Enter { quantity, .. } | Change::Total(quantity)) => {
            (row.clone(), *quantity, MovementKind::Adjusted)
        }
        (Some(row), Change::Delta(delta)) => {
            let kind = if *delta > 0 { MovementKind::Received } else { MovementKind::Adjusted };
            (row.clone(), row.quantity.saturating_add(*delta), kind)
        }
    };
    if quantity < after.reserved || quantity > MAX_STOCK {
        return Err(Refusal::OutOfBounds { would_be: quantity, reserved: after.reserved });
    }
    after.quantity = quantity;
    if let Change::Enter { isbn, title, author, .. } = change {
        after.isbn.clone_from(isbn);
        after.title = title.clone().or(after.title);
        after.author = author.clone().or(after.author);
    }
    Ok(Adjusted { row: after, on_hand_delta: quantity - before, kind })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const BOOK: BookId = BookId(Uuid::from_u128(1));

    fn row(quantity: i64, reserved: i64) -> Row {
        let title = Some("T".into());
        let updated_at = Timestamp::UNIX_EPOCH;
        Row { book_id: BOOK, isbn: "old".into(), title, author: None, quantity, reserved, version: 7, updated_at }
    }

    fn enter(quantity: i64) -> Change {
        Change::Enter { isbn: "new".into(), title: None, author: Some("A".into()), quantity }
    }

    #[test]
    fn changes_within_bounds_are_made_and_named() {
        for (before, change, quantity, delta, kind) in [
            (None, enter(5), 5, 5, MovementKind::Received),
            (None, enter(0), 0, 0, MovementKind::Received),
            (Some(row(5, 2)), enter(9), 9, 4, MovementKind::Adjusted),
            (Some(row(5, 2)), Change::Total(2), 2, -3, MovementKind::Adjusted),
            (Some(row(5, 2)), Change::Delta(3), 8, 3, MovementKind::Received),
            (Some(row(5, 2)), Change::Delta(-3), 2, -3, MovementKind::Adjusted),
            (Some(row(5, 0)), Change::Total(MAX_STOCK), MAX_STOCK, MAX_STOCK - 5, MovementKind::Adjusted),
        ] {
            let made = adjust(BOOK, before.as_ref(), &change).unwrap();
            assert_eq!((made.row.quantity, made.on_hand_delta, made.kind), (quantity, delta, kind), "{change:?}");
        }
    }

    #[test]
    fn entering_a_known_book_corrects_its_details_and_keeps_what_is_not_given() {
        let made = adjust(BOOK, Some(&row(5, 2)), &enter(5)).unwrap().row;
        assert_eq!((made.isbn.as_str(), made.title.as_deref(), made.author.as_deref()), ("new", Some("T"), Some("A")));
        assert_eq!((made.reserved, made.version), (2, 7));
    }

    #[test]
    fn changes_beyond_bounds_are_refused() {
        for (before, change) in [
            (None, Change::Total(1)),
            (None, Change::Delta(1)),
            (Some(row(5, 2)), Change::Total(1)),
            (Some(row(5, 2)), Change::Total(-1)),
            (Some(row(5, 0)), Change::Delta(-6)),
            (Some(row(5, 0)), Change::Delta(i64::MAX)),
            (Some(row(5, 0)), Change::Delta(MAX_STOCK)),
            (None, enter(MAX_STOCK + 1)),
        ] {
            assert!(adjust(BOOK, before.as_ref(), &change).is_err(), "{change:?}");
        }
    }
}
