//! The line of orders that wait for stock.

use std::collections::{BTreeSet, HashMap};

use contract::{BookId, OrderId, Timestamp};

use crate::domain::sourcing::Wants;

/// Orders that may wait at once.
pub const LONGEST_LINE: usize = 100_000;

/// Since when an order waits: the oldest is served first.
type Turn = (Timestamp, OrderId);

/// Orders that wait, by each book that they want: one is served only once no older one waits for any of its books.
#[derive(Debug, Default)]
pub(super) struct Backorders {
    orders: HashMap<OrderId, (Timestamp, Wants)>,
    by_book: HashMap<BookId, BTreeSet<Turn>>,
    /// Who may have come to the head for a book, or was there when there came to be more of it.
    due: BTreeSet<Turn>,
}

impl Backorders {
    /// Takes an order in, in the place of what it waited for before; false where there is no room.
    pub(super) fn enter(&mut self, order: OrderId, since: Timestamp, wants: Wants) -> bool {
        self.leave(order);
        if self.orders.len() >= LONGEST_LINE {
            return false;
        }
        for line in wants.demand.lines() {
            self.by_book.entry(line.book).or_default().insert((since, order));
        }
        self.orders.insert(order, (since, wants));
        // Stock may have come while it was on its way.
        self.due.insert((since, order));
        true
    }

    /// Takes an order out, which may be the turn of those behind it.
    pub(super) fn leave(&mut self, order: OrderId) {
        let Some((since, wants)) = self.orders.remove(&order) else { return };
        self.due.remove(&(since, order));
        for line in wants.demand.lines() {
            let Some(turns) = self.by_book.get_mut(&line.book) else { continue };
            let was_first = turns.first() == Some(&(since, order));
            turns.remove(&(since, order));
            match turns.first() {
                Some(next) if was_first => _ = self.due.insert(*next),
                Some(_) => {}
                None => _ = self.by_book.remove(&line.book),
            }
        }
    }

    /// There is more of a book.
    pub(super) fn rose(&mut self, book: BookId) {
        if let Some(first) = self.by_book.get(&book).and_then(BTreeSet::first) {
            self.due.insert(*first);
        }
    }

    /// The oldest order that is due and first for all of its books. It is due no more.
    pub(super) fn next(&mut self) -> Option<OrderId> {
        while let Some(turn) = self.due.pop_first() {
            let Some((_, wants)) = self.orders.get(&turn.1) else { continue };
            let first = |book| self.by_book.get(book).and_then(BTreeSet::first) == Some(&turn);
            if wants.demand.lines().iter().all(|line| first(&line.book)) {
                return Some(turn.1);
            }
        }
        None
    }

    /// Whether somebody is due.
    pub(super) fn is_any_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// What an order waits for.
    pub(super) fn wants(&self, order: OrderId) -> Option<&Wants> {
        self.orders.get(&order).map(|(_, wants)| wants)
    }

    /// Books that somebody waits for.
    pub(super) fn books(&self) -> impl Iterator<Item = BookId> {
        self.by_book.keys().copied()
    }

    /// How many orders wait.
    pub(super) fn len(&self) -> usize {
        self.orders.len()
    }

    /// Whether nobody older waits for the book.
    #[cfg(test)]
    pub(super) fn is_first(&self, order: OrderId, book: BookId) -> bool {
        self.by_book.get(&book).and_then(BTreeSet::first).is_some_and(|first| first.1 == order)
    }
}
