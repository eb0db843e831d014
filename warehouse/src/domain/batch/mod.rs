//! What comes of a batch: its members are decided one by one in the order they arrived, each seeing what those before it
//! left, and the net result is written in one transaction (R13).

mod decision;
mod holds;
mod member;
mod returns;

use std::collections::{BTreeMap, BTreeSet};

use contract::{BookId, DatabaseId, MovementKind, OrderId, ReturnId, ShipmentId, Shortfall, Timestamp};

use self::decision::Verdict;
use super::adjustment::{self, Adjustment, Change};
use super::hold::Hold;
use super::returned::{Return, Returned};
use super::shelf::Row;
use super::shipment::{Known, Line, Outcome, Shipment};

pub use decision::{Decision, Departure, Movement, Record};
pub use member::{Answer, Member, Named};

/// Who ships, sets aside and takes back, in the ledger.
pub const STORE: &str = "store";

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
    /// The rows of all books that the members touch, those of the reservations among them.
    pub shelf: BTreeMap<BookId, Row>,
    /// Those of the members' shipments that were decided before.
    pub known: BTreeMap<ShipmentId, Known>,
    /// Those of the members' shipments that were ever set aside.
    pub holds: BTreeMap<ShipmentId, Hold>,
    /// What the shipments took of which copies come back.
    pub shipped: BTreeMap<ShipmentId, BTreeMap<BookId, i64>>,
    /// The members' returns that were made before, and all others of the same shipments.
    pub returns: BTreeMap<ReturnId, Returned>,
}

/// Decides a batch.
pub fn decide(ground: Ground, members: &[Member]) -> Decision {
    let mut batch = Batch::new(ground);
    let verdicts: Vec<Verdict> = members.iter().map(|member| batch.decide(member)).collect();
    batch.finish(verdicts)
}

/// A shipment first decided in this batch.
enum Fresh {
    Ship { order_id: OrderId, items_hash: String, lines: Vec<Line>, was_held: bool },
    Refuse { order_id: OrderId, items_hash: String, books: Vec<BookId>, shortfalls: Vec<Shortfall> },
}

/// Where a shipment stands after the members so far.
struct Standing<'a> {
    stage: Stage,
    /// The order and the items, unless it was voided unasked.
    order_id: Option<OrderId>,
    items_hash: Option<&'a str>,
}

#[derive(Clone, Copy)]
enum Stage {
    /// Its copies are set aside.
    Live,
    Shipped,
    Refused,
    Voided,
}

impl Standing<'_> {
    fn is_of(&self, order_id: OrderId, items_hash: &str) -> bool {
        self.order_id.is_none_or(|known| known == order_id) && self.items_hash.is_none_or(|known| known == items_hash)
    }
}

struct Batch {
    ground: Ground,
    touched: BTreeSet<BookId>,
    entered: BTreeSet<BookId>,
    fresh: BTreeMap<ShipmentId, Fresh>,
    voided: BTreeMap<ShipmentId, Record>,
    /// Reservations that are new or have changed.
    changed: BTreeSet<ShipmentId>,
    returned: BTreeMap<ReturnId, Return>,
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
            changed: BTreeSet::new(),
            returned: BTreeMap::new(),
            movements: Vec::new(),
        }
    }

    fn decide(&mut self, member: &Member) -> Verdict {
        if member.expected_database().is_some_and(|id| id != self.ground.database_id) {
            return Verdict::Settled(Answer::OtherDatabase);
        }
        // Whoever comes first after its time releases a reservation: there is one rule for all that may race with its end.
        if let Some(id) = member.shipment() {
            self.release_overdue(id);
        }
        match member {
            Member::Ship(shipment) => self.ship(shipment),
            Member::Reserve(shipment, hold) => self.reserve(shipment, *hold),
            Member::Confirm(named) => self.confirm(named.id),
            Member::ShipHeld(named) => self.ship_held(named.id),
            Member::Void(named) => self.void(named.id),
            Member::Expire(_) => Verdict::Settled(Answer::Swept),
            Member::Return(returned) => self.take_back(returned),
            Member::Adjust(adjustment) => self.adjust(adjustment),
        }
    }

    fn standing(&self, id: ShipmentId) -> Option<Standing<'_>> {
        if let Some(record) = self.voided.get(&id) {
            let items_hash = record.items_hash.as_deref();
            return Some(Standing { stage: Stage::Voided, order_id: record.order_id, items_hash });
        }
        if let Some(fresh) = self.fresh.get(&id) {
            let (stage, order_id, items_hash) = match fresh {
                Fresh::Ship { order_id, items_hash, .. } => (Stage::Shipped, order_id, items_hash),
                Fresh::Refuse { order_id, items_hash, .. } => (Stage::Refused, order_id, items_hash),
            };
            return Some(Standing { stage, order_id: Some(*order_id), items_hash: Some(items_hash) });
        }
        if let Some(hold) = self.ground.holds.get(&id).filter(|hold| hold.is_live()) {
            let items_hash = Some(hold.items_hash.as_str());
            return Some(Standing { stage: Stage::Live, order_id: Some(hold.order_id), items_hash });
        }
        let known = self.ground.known.get(&id)?;
        let stage = match known.outcome {
            Outcome::Shipped(_) => Stage::Shipped,
            Outcome::Refused(_) => Stage::Refused,
            Outcome::Voided => Stage::Voided,
        };
        Some(Standing { stage, order_id: known.order_id, items_hash: known.items_hash.as_deref() })
    }

    fn ship(&mut self, shipment: &Shipment) -> Verdict {
        let (id, items_hash) = (shipment.id, shipment.items_hash());
        match self.standing(id) {
            Some(standing) if !standing.is_of(shipment.order_id, &items_hash) => Verdict::Settled(Answer::Mismatch),
            Some(Standing { stage: Stage::Live, .. }) => self.depart(id),
            Some(Standing { stage: Stage::Shipped, .. }) => Verdict::Shipped(id),
            Some(Standing { stage: Stage::Refused, .. }) => Verdict::Refused(id),
            Some(Standing { stage: Stage::Voided, .. }) => Verdict::Never(id),
            None => {
                let shortfalls = shipment.shortfalls(&self.ground.shelf);
                if !shortfalls.is_empty() {
                    return self.refuse(shipment, items_hash, shortfalls);
                }
                let lines = self.lines(shipment);
                for line in &lines {
                    self.change(line.book_id, -line.quantity, 0);
                }
                let order_id = shipment.order_id;
                self.fresh.insert(id, Fresh::Ship { order_id, items_hash, lines, was_held: false });
                Verdict::Shipped(id)
            }
        }
    }

    fn refuse(&mut self, shipment: &Shipment, items_hash: String, shortfalls: Vec<Shortfall>) -> Verdict {
        let books = shipment.lines.keys().copied().collect();
        let refused = Fresh::Refuse { order_id: shipment.order_id, items_hash, books, shortfalls };
        self.fresh.insert(shipment.id, refused);
        Verdict::Refused(shipment.id)
    }

    /// What a shipment asks for, with the ISBNs that the stock has.
    fn lines(&self, shipment: &Shipment) -> Vec<Line> {
        let isbn = |book_id| self.ground.shelf.get(book_id).map_or_else(String::new, |row| row.isbn.clone());
        let lines = shipment.lines.iter();
        lines.map(|(book_id, &quantity)| Line { book_id: *book_id, isbn: isbn(book_id), quantity }).collect()
    }

    /// Changes a row within its bounds, of which the caller makes sure.
    fn change(&mut self, book_id: BookId, on_hand_delta: i64, reserved_delta: i64) {
        if let Some(row) = self.ground.shelf.get_mut(&book_id) {
            row.quantity += on_hand_delta;
            row.reserved += reserved_delta;
            self.touched.insert(book_id);
        }
    }

    fn void(&mut self, id: ShipmentId) -> Verdict {
        let (order_id, items_hash) = match self.standing(id) {
            Some(Standing { stage: Stage::Shipped, .. }) => return Verdict::TooLate(id),
            Some(Standing { stage: Stage::Voided, .. }) => return Verdict::Voided(id),
            Some(Standing { stage: Stage::Live, .. }) => {
                self.release(id, contract::ReservationStatus::Released);
                return Verdict::Voided(id);
            }
            Some(Standing { stage: Stage::Refused, order_id, items_hash }) => (order_id, items_hash.map(str::to_owned)),
            None => (None, None),
        };
        self.voided.insert(id, Record { shipment_id: id, order_id, items_hash, outcome: Outcome::Voided });
        Verdict::Voided(id)
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
                reserved_delta: 0,
                shipment_id: None,
                order_id: None,
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

    /// Notes what the store did to a book.
    fn note(&mut self, kind: MovementKind, of: (ShipmentId, OrderId), book_id: BookId, deltas: (i64, i64)) {
        self.movements.push(Movement {
            book_id,
            kind,
            on_hand_delta: deltas.0,
            reserved_delta: deltas.1,
            shipment_id: Some(of.0),
            order_id: Some(of.1),
            made_by: STORE.to_owned(),
            reason: None,
        });
    }
}

#[cfg(test)]
mod tests;
