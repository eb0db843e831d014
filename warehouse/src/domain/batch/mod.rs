//! What comes of a batch: its members are decided one by one in the order they arrived, each seeing what those before it
//! left, and the net result is written in one transaction (R13).

use std::collections::{BTreeMap, BTreeSet};

use contract::{BookId, DatabaseId, OrderId, ShipmentId, ShipmentReceipt, Shortfall, StockRow, Timestamp};

use super::adjustment::{self, Adjustment, Change, Kind};
use super::shelf::Row;
use super::shipment::{Known, Outcome, Refused, Shipment};

/// Who ships, in the ledger.
pub const STORE: &str = "store";

/// One thing asked of the stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// Ship, all lines or none.
    Ship(Shipment),
    /// Make sure that it never ships.
    Void(ShipmentId),
    /// Change what is there.
    Adjust(Adjustment),
}

impl Member {
    /// The books it touches.
    pub fn books(&self) -> impl Iterator<Item = BookId> + '_ {
        let (shipped, adjusted) = match self {
            Self::Ship(shipment) => (Some(shipment.lines.keys().copied()), None),
            Self::Void(_) => (None, None),
            Self::Adjust(adjustment) => (None, Some(adjustment.book_id)),
        };
        shipped.into_iter().flatten().chain(adjusted)
    }

    /// The shipment it is about.
    pub fn shipment(&self) -> Option<ShipmentId> {
        match self {
            Self::Ship(shipment) => Some(shipment.id),
            Self::Void(id) => Some(*id),
            Self::Adjust(_) => None,
        }
    }
}

/// What a member is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// How the shipment ended, now or when it was first asked for.
    Decided(Outcome),
    /// The shipmentId is known with other items, or for another order.
    Mismatch,
    /// The caller means another database.
    OtherDatabase,
    /// It cannot be voided any more.
    AlreadyShipped(ShipmentReceipt),
    /// The row as the batch left it.
    Adjusted(Row),
    /// The change cannot be made.
    Refused(adjustment::Refusal),
}

/// What is known when the batch begins.
#[derive(Clone, Debug)]
pub struct Ground {
    /// This warehouse's name.
    pub warehouse_name: String,
    /// This database.
    pub database_id: DatabaseId,
    /// The version of this commit, above every one before.
    pub version: i64,
    /// The time of this commit.
    pub now: Timestamp,
    /// The rows of all books that the members touch.
    pub shelf: BTreeMap<BookId, Row>,
    /// Those of the members' shipments that were decided before.
    pub known: BTreeMap<ShipmentId, Known>,
}

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The book.
    pub book_id: BookId,
    /// What it is called.
    pub kind: Kind,
    /// Change of the copies on hand.
    pub on_hand_delta: i64,
    /// By whom.
    pub made_by: String,
    /// Why.
    pub reason: Option<String>,
}

/// A shipment that leaves with this batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Its lines with their ISBNs.
    pub lines: Vec<(BookId, String, i64)>,
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
    /// Rows whose quantity alone changed, with their new version.
    pub taken: Vec<Row>,
    /// Rows that people entered or changed, with their new version.
    pub entered: Vec<Row>,
    /// Movements by people.
    pub movements: Vec<Movement>,
    /// Shipments that leave; each of their lines is a movement and a line of the log, and their confirmation is due.
    pub departures: Vec<Departure>,
    /// Outcomes to write, those of the departures among them.
    pub records: Vec<Record>,
}

/// Decides a batch.
pub fn decide(ground: Ground, members: &[Member]) -> Decision {
    let mut batch = Batch::new(ground);
    let verdicts: Vec<Verdict> = members.iter().map(|member| batch.decide(member)).collect();
    batch.finish(verdicts)
}

/// What a member comes to before the batch's last rows are known.
enum Verdict {
    Settled(Answer),
    /// The outcome of a shipment that was first decided in this batch.
    Fresh(ShipmentId),
    /// It leaves with this batch, and cannot be voided any more.
    TooLate(ShipmentId),
    Adjusted(BookId),
}

/// A shipment first decided in this batch.
enum Fresh {
    Ship { order_id: OrderId, items_hash: String, lines: Vec<(BookId, String, i64)> },
    Refuse { order_id: OrderId, items_hash: String, books: Vec<BookId>, shortfalls: Vec<Shortfall> },
}

struct Batch {
    ground: Ground,
    touched: BTreeSet<BookId>,
    entered: BTreeSet<BookId>,
    fresh: BTreeMap<ShipmentId, Fresh>,
    voided: BTreeMap<ShipmentId, Record>,
    movements: Vec<Movement>,
}

impl Batch {
    fn new(ground: Ground) -> Self {
        Self {
            ground,
            touched: BTreeSet::new(),
            entered: BTreeSet::new(),
            fresh: BTreeMap::new(),
            voided: BTreeMap::new(),
            movements: Vec::new(),
        }
    }

    fn decide(&mut self, member: &Member) -> Verdict {
        match member {
            Member::Ship(shipment) => self.ship(shipment),
            Member::Void(id) => self.void(*id),
            Member::Adjust(adjustment) => self.adjust(adjustment),
        }
    }

    fn ship(&mut self, shipment: &Shipment) -> Verdict {
        if shipment.expected_database.is_some_and(|id| id != self.ground.database_id) {
            return Verdict::Settled(Answer::OtherDatabase);
        }
        let items_hash = shipment.items_hash();
        if let Some((order_id, hash, verdict)) = self.decided_before(shipment.id) {
            let differs = order_id.is_some_and(|order_id| order_id != shipment.order_id)
                || hash.is_some_and(|hash| hash != items_hash);
            return if differs { Verdict::Settled(Answer::Mismatch) } else { verdict };
        }
        let shortfalls = shipment.shortfalls(&self.ground.shelf);
        let order_id = shipment.order_id;
        let fresh = if shortfalls.is_empty() {
            let take = |(&book_id, &quantity)| (book_id, self.take(book_id, quantity), quantity);
            let lines = shipment.lines.iter().map(take).collect();
            Fresh::Ship { order_id, items_hash, lines }
        } else {
            Fresh::Refuse { order_id, items_hash, books: shipment.lines.keys().copied().collect(), shortfalls }
        };
        self.fresh.insert(shipment.id, fresh);
        Verdict::Fresh(shipment.id)
    }

    /// The order, items and outcome of a shipment that was decided, before or in this batch.
    fn decided_before(&self, id: ShipmentId) -> Option<(Option<OrderId>, Option<&str>, Verdict)> {
        let settled = |outcome: &Outcome| Verdict::Settled(Answer::Decided(outcome.clone()));
        if let Some(record) = self.voided.get(&id) {
            return Some((record.order_id, record.items_hash.as_deref(), settled(&record.outcome)));
        }
        match self.fresh.get(&id) {
            Some(Fresh::Ship { order_id, items_hash, .. } | Fresh::Refuse { order_id, items_hash, .. }) => {
                Some((Some(*order_id), Some(items_hash), Verdict::Fresh(id)))
            }
            None => {
                let known = self.ground.known.get(&id)?;
                Some((known.order_id, known.items_hash.as_deref(), settled(&known.outcome)))
            }
        }
    }

    /// Takes copies that are known to be there; answers the book's ISBN.
    fn take(&mut self, book_id: BookId, quantity: i64) -> String {
        self.touched.insert(book_id);
        match self.ground.shelf.get_mut(&book_id) {
            Some(row) => {
                row.quantity -= quantity;
                row.isbn.clone()
            }
            None => String::new(),
        }
    }

    fn void(&mut self, id: ShipmentId) -> Verdict {
        let (order_id, items_hash) = match (self.fresh.get(&id), self.ground.known.get(&id)) {
            (Some(Fresh::Ship { .. }), _) => return Verdict::TooLate(id),
            (Some(Fresh::Refuse { order_id, items_hash, .. }), _) => (Some(*order_id), Some(items_hash.clone())),
            (None, Some(known)) => match &known.outcome {
                Outcome::Shipped(receipt) => return Verdict::Settled(Answer::AlreadyShipped(receipt.clone())),
                Outcome::Refused(_) | Outcome::Voided => (known.order_id, known.items_hash.clone()),
            },
            (None, None) => (None, None),
        };
        let record = Record { shipment_id: id, order_id, items_hash, outcome: Outcome::Voided };
        self.voided.insert(id, record);
        Verdict::Settled(Answer::Decided(Outcome::Voided))
    }

    fn adjust(&mut self, adjustment: &Adjustment) -> Verdict {
        let book_id = adjustment.book_id;
        let before = self.ground.shelf.get(&book_id);
        let adjusted = match adjustment::adjust(book_id, before, &adjustment.change) {
            Ok(adjusted) => adjusted,
            Err(refusal) => return Verdict::Settled(Answer::Refused(refusal)),
        };
        if before == Some(&adjusted.row) {
            return Verdict::Adjusted(book_id);
        }
        if adjusted.on_hand_delta != 0 {
            self.movements.push(Movement {
                book_id,
                kind: adjusted.kind,
                on_hand_delta: adjusted.on_hand_delta,
                made_by: adjustment.made_by.clone(),
                reason: adjustment.reason.clone(),
            });
        }
        if matches!(adjustment.change, Change::Enter { .. }) {
            self.entered.insert(book_id);
        }
        self.touched.insert(book_id);
        self.ground.shelf.insert(book_id, adjusted.row);
        Verdict::Adjusted(book_id)
    }

    /// Every row that changed gets the version of the commit; only then are the answers put together, so that each
    /// carries the rows as the commit leaves them (R14).
    fn finish(mut self, verdicts: Vec<Verdict>) -> Decision {
        for book_id in &self.touched {
            if let Some(row) = self.ground.shelf.get_mut(book_id) {
                (row.version, row.updated_at) = (self.ground.version, self.ground.now);
            }
        }
        let mut decision = Decision { movements: std::mem::take(&mut self.movements), ..Decision::default() };
        let mut fresh = BTreeMap::new();
        for (&shipment_id, decided) in &self.fresh {
            let (record, departure) = self.record(shipment_id, decided);
            fresh.insert(shipment_id, record.outcome.clone());
            decision.departures.extend(departure);
            if !self.voided.contains_key(&shipment_id) {
                decision.records.push(record);
            }
        }
        decision.records.extend(self.voided.into_values());
        let shelf = &self.ground.shelf;
        decision.answers = verdicts.into_iter().map(|verdict| answer(verdict, &fresh, shelf)).collect();
        for book_id in &self.touched {
            let rows = if self.entered.contains(book_id) { &mut decision.entered } else { &mut decision.taken };
            rows.extend(shelf.get(book_id).cloned());
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
            Fresh::Ship { order_id, items_hash, lines } => {
                let receipt = ShipmentReceipt {
                    order_id: *order_id,
                    shipment_id,
                    warehouse_name: self.ground.warehouse_name.clone(),
                    shipped: true,
                    shipped_at: self.ground.now,
                    stock: self.stock(lines.iter().map(|(book_id, ..)| *book_id)),
                    database_id: self.ground.database_id,
                };
                let record = record(order_id, items_hash, Outcome::Shipped(receipt.clone()));
                (record, Some(Departure { lines: lines.clone(), receipt }))
            }
            Fresh::Refuse { order_id, items_hash, books, shortfalls } => {
                let stock = self.stock(books.iter().copied());
                let refused = Refused { shortfalls: shortfalls.clone(), stock };
                (record(order_id, items_hash, Outcome::Refused(refused)), None)
            }
        }
    }

    /// Rows as the commit leaves them. A book without a row is told as none at the version of this commit, so that whoever
    /// believes in copies of it learns better.
    fn stock(&self, books: impl Iterator<Item = BookId>) -> Vec<StockRow> {
        let version = self.ground.version;
        let none = |book_id| StockRow { book_id, quantity: 0, reserved: 0, version };
        books.map(|book_id| self.ground.shelf.get(&book_id).map_or_else(|| none(book_id), Row::stock)).collect()
    }
}

fn answer(verdict: Verdict, fresh: &BTreeMap<ShipmentId, Outcome>, shelf: &BTreeMap<BookId, Row>) -> Answer {
    // Every shipment that a verdict names is there; voided is what promises least.
    let outcome = |id| fresh.get(&id).cloned().unwrap_or(Outcome::Voided);
    match verdict {
        Verdict::Settled(answer) => answer,
        Verdict::Fresh(id) => Answer::Decided(outcome(id)),
        Verdict::TooLate(id) => match outcome(id) {
            Outcome::Shipped(receipt) => Answer::AlreadyShipped(receipt),
            other => Answer::Decided(other),
        },
        Verdict::Adjusted(book_id) => match shelf.get(&book_id) {
            Some(row) => Answer::Adjusted(row.clone()),
            None => Answer::Refused(adjustment::Refusal::UnknownBook),
        },
    }
}

#[cfg(test)]
mod tests;
