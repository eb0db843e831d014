//! The net result of a batch: every row that changed gets the version of the commit, and only then are the answers put
//! together, so that each carries the rows as the commit leaves them (R14).

use std::collections::BTreeMap;

use contract::{
    BookId, MovementKind, OrderId, Reservation, ReservationStatus, ReturnId, ReturnReceipt, ShipmentId,
    ShipmentReceipt, StockRow, Timestamp,
};

use super::{Answer, Batch, Fresh};
use crate::domain::adjustment;
use crate::domain::hold::Hold;
use crate::domain::returned::{Return, Returned};
use crate::domain::shelf::Row;
use crate::domain::shipment::{self, Line, Outcome, Refused};

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The book.
    pub book_id: BookId,
    /// What it is called.
    pub kind: MovementKind,
    /// Change of the copies on hand.
    pub on_hand_delta: i64,
    /// Change of the copies set aside.
    pub reserved_delta: i64,
    /// The shipment that it is about.
    pub shipment_id: Option<ShipmentId>,
    /// The order that it is about.
    pub order_id: Option<OrderId>,
    /// By whom.
    pub made_by: String,
    /// Why.
    pub reason: Option<String>,
}

/// A shipment that leaves with this batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// What it takes.
    pub lines: Vec<Line>,
    /// Whether that was set aside before.
    pub was_held: bool,
    /// What its caller is told.
    pub receipt: ShipmentReceipt,
}

/// A shipment whose outcome is to be written, new or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The shipment.
    pub shipment_id: ShipmentId,
    /// The order, unless voided unasked.
    pub order_id: Option<OrderId>,
    /// What it asked for, likewise.
    pub items_hash: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
}

/// The net result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// One for each member, in their order.
    pub answers: Vec<Answer>,
    /// Rows whose copies alone changed, on hand or set aside, with their new version.
    pub taken: Vec<Row>,
    /// Rows that people entered or changed, with their new version.
    pub entered: Vec<Row>,
    /// Movements other than those of departures.
    pub movements: Vec<Movement>,
    /// Shipments that leave; each of their lines is a movement and a line of the log, and their confirmation is due.
    pub departures: Vec<Departure>,
    /// Outcomes to write, those of the departures among them.
    pub records: Vec<Record>,
    /// Reservations that are new or have changed.
    pub holds: Vec<(ShipmentId, Hold)>,
    /// Returns that were made.
    pub returns: Vec<(ReturnId, Returned)>,
}

/// What a member comes to before the batch's last rows are known.
pub(super) enum Verdict {
    Settled(Answer),
    /// It has left, in this batch or before.
    Shipped(ShipmentId),
    /// The same, to a caller who wanted something else of it.
    TooLate(ShipmentId),
    /// Refused, in this batch or before.
    Refused(ShipmentId),
    Held {
        id: ShipmentId,
        status: ReservationStatus,
        expires_at: Option<Timestamp>,
        is_new: bool,
    },
    Voided(ShipmentId),
    /// Voided before, or refused where only a reservation would do.
    Never(ShipmentId),
    Returned(ReturnId),
    Adjusted(BookId),
}

impl Batch {
    pub(super) fn finish(mut self, verdicts: Vec<Verdict>) -> Decision {
        for book_id in &self.touched {
            if let Some(row) = self.ground.shelf.get_mut(book_id) {
                (row.version, row.updated_at) = (self.ground.version, self.ground.now);
            }
        }
        let mut decision = Decision { movements: std::mem::take(&mut self.movements), ..Decision::default() };
        let mut outcomes = BTreeMap::new();
        for (&shipment_id, fresh) in &self.fresh {
            let (record, departure) = self.record(shipment_id, fresh);
            outcomes.insert(shipment_id, record.outcome.clone());
            decision.departures.extend(departure);
            if !self.voided.contains_key(&shipment_id) {
                decision.records.push(record);
            }
        }
        decision.records.extend(self.voided.values().cloned());
        decision.returns = self.returned.values().map(|returned| (returned.id, self.returned(returned))).collect();
        decision.holds = self.changed.iter().filter_map(|id| Some((*id, self.ground.holds.get(id)?.clone()))).collect();
        decision.answers = verdicts.into_iter().map(|verdict| self.answer(verdict, &outcomes, &decision)).collect();
        for book_id in &self.touched {
            let rows = if self.entered.contains(book_id) { &mut decision.entered } else { &mut decision.taken };
            rows.extend(self.ground.shelf.get(book_id).cloned());
        }
        decision
    }

    fn record(&self, shipment_id: ShipmentId, fresh: &Fresh) -> (Record, Option<Departure>) {
        let record = |order_id: &OrderId, items_hash: &String, outcome| Record {
            shipment_id,
            order_id: Some(*order_id),
            items_hash: Some(items_hash.clone()),
            outcome,
        };
        match fresh {
            Fresh::Ship { order_id, items_hash, lines, was_held } => {
                let receipt = ShipmentReceipt {
                    order_id: *order_id,
                    shipment_id,
                    warehouse_name: self.ground.warehouse_name.clone(),
                    shipped: true,
                    shipped_at: self.ground.now,
                    stock: self.stock_of(lines),
                    database_id: self.ground.database_id,
                };
                let record = record(order_id, items_hash, Outcome::Shipped(receipt.clone()));
                (record, Some(Departure { lines: lines.clone(), was_held: *was_held, receipt }))
            }
            Fresh::Refuse { order_id, items_hash, books, shortfalls } => {
                let stock = self.stock(books.iter().copied());
                let refused = Refused { shortfalls: shortfalls.clone(), stock };
                (record(order_id, items_hash, Outcome::Refused(refused)), None)
            }
        }
    }

    fn returned(&self, returned: &Return) -> Returned {
        let receipt = ReturnReceipt {
            return_id: returned.id,
            order_id: returned.order_id,
            shipment_id: returned.shipment_id,
            stock: self.stock(returned.lines.keys().copied()),
            returned_at: self.ground.now,
            database_id: self.ground.database_id,
        };
        Returned { items_hash: shipment::digest(&returned.lines), lines: returned.lines.clone(), receipt }
    }

    fn stock_of(&self, lines: &[Line]) -> Vec<StockRow> {
        self.stock(lines.iter().map(|line| line.book_id))
    }

    /// Rows as the commit leaves them. A book without a row is told as none at the version of this commit, so that whoever
    /// believes in copies of it learns better.
    fn stock(&self, books: impl Iterator<Item = BookId>) -> Vec<StockRow> {
        let version = self.ground.version;
        let none = |book_id| StockRow { book_id, quantity: 0, reserved: 0, version };
        books.map(|book_id| self.ground.shelf.get(&book_id).map_or_else(|| none(book_id), Row::stock)).collect()
    }

    /// The rows of what was ever set aside for a shipment.
    fn once_held(&self, id: ShipmentId) -> Vec<StockRow> {
        self.ground.holds.get(&id).map_or_else(Vec::new, |hold| self.stock_of(&hold.lines))
    }

    fn answer(&self, verdict: Verdict, fresh: &BTreeMap<ShipmentId, Outcome>, decision: &Decision) -> Answer {
        let outcome = |id| {
            let known = || self.ground.known.get(&id).map(|known| known.outcome.clone());
            // Every shipment that a verdict names is there; voided is what promises least.
            fresh.get(&id).cloned().or_else(known).unwrap_or(Outcome::Voided)
        };
        match verdict {
            Verdict::Settled(answer) => answer,
            Verdict::Shipped(id) | Verdict::Refused(id) => Answer::Decided(outcome(id)),
            Verdict::TooLate(id) => match outcome(id) {
                Outcome::Shipped(receipt) => Answer::AlreadyShipped(receipt),
                other => Answer::Decided(other),
            },
            Verdict::Held { id, status, expires_at, is_new } => match self.ground.holds.get(&id) {
                Some(hold) => {
                    let reservation = Reservation {
                        order_id: hold.order_id,
                        shipment_id: id,
                        warehouse_name: self.ground.warehouse_name.clone(),
                        status,
                        expires_at,
                        stock: self.stock_of(&hold.lines),
                        database_id: self.ground.database_id,
                    };
                    Answer::Held { reservation, is_new }
                }
                None => Answer::Unknown,
            },
            Verdict::Voided(id) => Answer::Voided(self.once_held(id)),
            Verdict::Never(id) => Answer::Never(self.once_held(id)),
            Verdict::Returned(id) => {
                let fresh = decision.returns.iter().find(|(made, _)| *made == id).map(|(_, returned)| returned);
                let returned = fresh.or_else(|| self.ground.returns.get(&id));
                returned.map_or(Answer::Unknown, |returned| Answer::Returned(returned.receipt.clone()))
            }
            Verdict::Adjusted(book_id) => match self.ground.shelf.get(&book_id) {
                Some(row) => Answer::Adjusted(row.clone()),
                None => Answer::Refused(adjustment::Refusal::UnknownBook),
            },
        }
    }
}
