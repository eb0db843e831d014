//! What a full pull of a warehouse's inventory changes in the cache (R14, R15).

use std::collections::{BTreeMap, HashSet};

use contract::{BookId, StockRow};

/// A warehouse's inventory at one version of its counter: each book once, by id, nothing negative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The warehouse's counter, read together with the rows.
    pub version: i64,
    /// The rows.
    pub rows: Vec<StockRow>,
    /// Rows that were left out because they cannot be: negative quantities, or more reserved than on hand.
    pub senseless: usize,
}

impl Snapshot {
    /// Orders the rows and leaves out what cannot be. Of several rows of one book the newest counts.
    pub fn new(version: i64, rows: impl IntoIterator<Item = StockRow>) -> Self {
        let mut by_book = BTreeMap::<BookId, StockRow>::new();
        let mut senseless = 0;
        for row in rows {
            if row.reserved < 0 || row.available() < 0 || row.quantity > contract::MAX_STOCK {
                senseless += 1;
            } else if by_book.get(&row.book_id).is_none_or(|known| known.version < row.version) {
                by_book.insert(row.book_id, row);
            }
        }
        Self { version, rows: by_book.into_values().collect(), senseless }
    }
}

/// A row of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cached {
    /// Copies free.
    pub available: i64,
    /// The version it was taken at.
    pub version: i64,
}

/// A row whose cache was wrong although no newer version explains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The book.
    pub book: BookId,
    /// What the cache had.
    pub cached: i64,
    /// What the warehouse has.
    pub actual: i64,
}

/// What a pull comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The warehouse's database has gone back: its word replaces the cache whatever the versions.
    pub wholesale: bool,
    /// Rows to write, by book id.
    pub write: Vec<StockRow>,
    /// Rows to remove, by book id.
    pub remove: Vec<BookId>,
    /// What was wrong.
    pub drift: Vec<Drift>,
    /// Books that the store does not know. They are skipped.
    pub unknown: Vec<BookId>,
}

/// Whether the row of a pull replaces one of the cache that has `cached_version`. At the same version the pull is right.
pub const fn replaces(wholesale: bool, cached_version: i64, pulled: i64) -> bool {
    wholesale || pulled >= cached_version
}

/// Compares a pull with the cache. `highest_before` is the highest version cached before the request for it began; a counter below that
/// means that the warehouse's database was restored from an older state.
pub fn compare(
    highest_before: i64,
    cached: &BTreeMap<BookId, Cached>,
    known: &HashSet<BookId>,
    snapshot: &Snapshot,
) -> Changes {
    let mut changes = Changes { wholesale: snapshot.version < highest_before, ..Changes::default() };
    let mut pulled = HashSet::with_capacity(snapshot.rows.len());
    for row in &snapshot.rows {
        pulled.insert(row.book_id);
        if !known.contains(&row.book_id) {
            changes.unknown.push(row.book_id);
            continue;
        }
        let Some(old) = cached.get(&row.book_id) else {
            changes.write.push(*row);
            continue;
        };
        let same = old.available == row.available();
        if !replaces(changes.wholesale, old.version, row.version) || (same && old.version == row.version) {
            continue;
        }
        if !same && old.version == row.version {
            changes.drift.push(Drift { book: row.book_id, cached: old.available, actual: row.available() });
        }
        changes.write.push(*row);
    }
    for (book, old) in cached.iter().filter(|(book, _)| !pulled.contains(book)) {
        if replaces(changes.wholesale, old.version, snapshot.version) {
            changes.remove.push(*book);
            changes.drift.push(Drift { book: *book, cached: old.available, actual: 0 });
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn book(n: u128) -> BookId {
        BookId(Uuid::from_u128(n))
    }

    fn row(n: u128, quantity: i64, version: i64) -> StockRow {
        StockRow { book_id: book(n), quantity, reserved: 0, version }
    }

    /// Book 1, cached as 5 copies at version 10; books 1 and 2 are known.
    fn compared(counter: i64, rows: &[StockRow]) -> Changes {
        let cached = BTreeMap::from([(book(1), Cached { available: 5, version: 10 })]);
        let known = HashSet::from([book(1), book(2)]);
        compare(10, &cached, &known, &Snapshot::new(counter, rows.iter().copied()))
    }

    #[test]
    fn r14_versions_decide_and_drift_is_a_difference_without_one() {
        let drift = |actual| vec![Drift { book: book(1), cached: 5, actual }];
        let table = [
            ("nothing new", 10, vec![row(1, 5, 10)], vec![], vec![]),
            ("changed", 11, vec![row(1, 4, 11)], vec![row(1, 4, 11)], vec![]),
            ("changed and back", 12, vec![row(1, 5, 12)], vec![row(1, 5, 12)], vec![]),
            ("drift", 10, vec![row(1, 7, 10)], vec![row(1, 7, 10)], drift(7)),
            ("overtaken by a shipment's answer", 10, vec![row(1, 6, 9)], vec![], vec![]),
            ("new", 12, vec![row(1, 5, 10), row(2, 3, 12)], vec![row(2, 3, 12)], vec![]),
        ];
        for (case, counter, rows, write, drift) in table {
            let expected = Changes { write, drift, ..Changes::default() };
            assert_eq!(compared(counter, &rows), expected, "{case}");
        }
    }

    #[test]
    fn r15_a_restored_database_is_taken_wholesale() {
        let changes = compared(7, &[row(1, 9, 3)]);
        assert!(changes.wholesale);
        assert_eq!(changes.write, [row(1, 9, 3)]);
        let emptied = compared(0, &[]);
        assert_eq!((emptied.wholesale, emptied.remove), (true, vec![book(1)]));
    }

    #[test]
    fn r15_unknown_books_are_skipped_and_reported() {
        let changes = compared(10, &[row(1, 5, 10), row(3, 3, 4)]);
        assert_eq!(changes, Changes { unknown: vec![book(3)], ..Changes::default() });
    }

    #[test]
    fn a_row_that_is_gone_is_removed_unless_it_is_newer_than_the_pull() {
        assert_eq!(compared(10, &[]).remove, [book(1)]);
        let cached = BTreeMap::from([(book(1), Cached { available: 5, version: 11 })]);
        // Cached after the request had begun, so that the counter of 10 says nothing of it.
        let changes = compare(9, &cached, &HashSet::from([book(1)]), &Snapshot::new(10, []));
        assert_eq!(changes, Changes::default());
    }

    #[test]
    fn a_snapshot_has_each_book_once_and_nothing_senseless() {
        let over = StockRow { reserved: 6, ..row(4, 5, 1) };
        let snapshot = Snapshot::new(9, [row(2, 1, 1), row(1, 1, 3), row(1, 8, 2), row(3, -1, 1), over]);
        assert_eq!(snapshot.rows, [row(1, 1, 3), row(2, 1, 1)]);
        assert_eq!(snapshot.senseless, 2);
    }
}
