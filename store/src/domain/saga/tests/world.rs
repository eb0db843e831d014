//! Warehouses, a payment gateway, a journal and the one who runs a saga between them; each can be made to fail.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta};
use contract::{
    BookId, DatabaseId, Money, Order, OrderId, OrderItem, OrderItemId, OrderStatus, Payment, PaymentStatus, ReturnId,
    ShipmentId, ShipmentReceipt, StockRow, Timestamp, UserId, WarehouseId,
};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::delivery::Delivery;
use crate::domain::order;
use crate::domain::payment::{Operation, Outcome};
use crate::domain::saga::{Command, Event, Options, Part, Policy, Saga, Step};
use crate::domain::sourcing::{self, Candidate, Demand, Line, Strategy};

pub(super) const SPLIT: Options = Options { allow_split: true, allow_backorder: false };
pub(super) const BACKORDER: Options = Options { allow_split: true, allow_backorder: true };

pub(super) fn book(n: u128) -> BookId {
    BookId(Uuid::from_u128(n))
}

pub(super) fn warehouse(n: u128) -> WarehouseId {
    WarehouseId(Uuid::from_u128(0x100 + n))
}

pub(super) fn line(book_number: u128, quantity: u32) -> Line {
    Line { book: book(book_number), quantity }
}

fn start() -> Timestamp {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// How a call is made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It is refused, for good.
    Refused,
    /// It never goes out.
    NeverSent,
    /// Nobody knows; it did not happen.
    Lost,
    /// Nobody knows; it did happen.
    AnswerLost,
}

impl Failure {
    pub(super) const ALL: [Self; 4] = [Self::Refused, Self::NeverSent, Self::Lost, Self::AnswerLost];
    pub(super) const PASSING: [Self; 3] = [Self::NeverSent, Self::Lost, Self::AnswerLost];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shelf {
    pub(super) on_hand: i64,
    pub(super) reserved: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Record {
    Held,
    Confirmed,
    Shipped,
    Refused,
    Voided,
}

/// The outside: what it holds, and what it was asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    pub(super) shelves: BTreeMap<(WarehouseId, BookId), Shelf>,
    records: BTreeMap<ShipmentId, (WarehouseId, Vec<Line>, Record)>,
    returns: BTreeMap<ReturnId, Vec<Line>>,
    ledger: BTreeMap<String, (Operation, Money, Outcome)>,
    version: i64,
    /// Every call that reached it.
    pub(super) calls: Vec<Step>,
}

impl World {
    fn rows(&self, id: WarehouseId, lines: &[Line]) -> Vec<StockRow> {
        let row = |line: &Line| {
            let shelf = self.shelves.get(&(id, line.book)).copied().unwrap_or_default();
            StockRow { book_id: line.book, quantity: shelf.on_hand, reserved: shelf.reserved, version: self.version }
        };
        lines.iter().map(row).collect()
    }

    fn shift(&mut self, id: WarehouseId, lines: &[Line], on_hand: i64, reserved: i64) {
        self.version += 1;
        for line in lines {
            let shelf = self.shelves.entry((id, line.book)).or_default();
            shelf.on_hand += on_hand * i64::from(line.quantity);
            shelf.reserved += reserved * i64::from(line.quantity);
            assert!((0..=shelf.on_hand).contains(&shelf.reserved), "{id} {}: {shelf:?}", line.book);
        }
    }

    fn has(&self, id: WarehouseId, lines: &[Line]) -> bool {
        let free = |line: &Line| self.shelves.get(&(id, line.book)).map_or(0, |shelf| shelf.on_hand - shelf.reserved);
        lines.iter().all(|line| free(line) >= i64::from(line.quantity))
    }

    fn receipt(&self, shipment: ShipmentId, id: WarehouseId, lines: &[Line]) -> Delivery {
        Delivery::Shipped(ShipmentReceipt {
            order_id: OrderId(Uuid::nil()),
            shipment_id: shipment,
            warehouse_name: name(id),
            shipped: true,
            shipped_at: start(),
            stock: self.rows(id, lines),
            database_id: DatabaseId(Uuid::nil()),
        })
    }

    fn ask(
        &mut self,
        step: Step,
        shipment: ShipmentId,
        id: WarehouseId,
        lines: &[Line],
        key: Option<ReturnId>,
    ) -> Delivery {
        if let (Step::Restock, Some(key)) = (step, key) {
            if !self.returns.contains_key(&key) {
                self.shift(id, lines, 1, 0);
                self.returns.insert(key, lines.to_vec());
            }
            return Delivery::Restocked { stock: self.rows(id, lines) };
        }
        let known = self.records.get(&shipment).cloned();
        let held = |world: &Self, record| Delivery::Held {
            expires_at: (record == Record::Held).then(start),
            stock: world.rows(id, &known.clone().map(|known| known.1).unwrap_or_default()),
        };
        match (step, known.clone()) {
            (_, Some((_, lines, Record::Shipped))) => self.receipt(shipment, id, &lines),
            (Step::Void, Some((_, lines, record))) => {
                if matches!(record, Record::Held | Record::Confirmed) {
                    self.shift(id, &lines, 0, -1);
                }
                self.records.insert(shipment, (id, lines.clone(), Record::Voided));
                Delivery::Voided { stock: self.rows(id, &lines) }
            }
            (Step::Void, None) => {
                self.records.insert(shipment, (id, Vec::new(), Record::Voided));
                Delivery::Voided { stock: Vec::new() }
            }
            (_, Some((_, _, Record::Voided))) => Delivery::Voided { stock: Vec::new() },
            (_, Some((_, lines, Record::Refused))) => {
                Delivery::Refused { shortfalls: Vec::new(), stock: self.rows(id, &lines) }
            }
            (Step::Ship | Step::Reserve, None) if !self.has(id, lines) => {
                self.records.insert(shipment, (id, lines.to_vec(), Record::Refused));
                Delivery::Refused { shortfalls: Vec::new(), stock: self.rows(id, lines) }
            }
            (Step::Ship, None) => {
                self.shift(id, lines, -1, 0);
                self.records.insert(shipment, (id, lines.to_vec(), Record::Shipped));
                self.receipt(shipment, id, lines)
            }
            (Step::Reserve, None) => {
                self.shift(id, lines, 0, 1);
                self.records.insert(shipment, (id, lines.to_vec(), Record::Held));
                Delivery::Held { expires_at: Some(start()), stock: self.rows(id, lines) }
            }
            (Step::Reserve, Some((_, _, record))) => held(self, record),
            (Step::Confirm, Some((_, lines, _))) => {
                self.records.insert(shipment, (id, lines, Record::Confirmed));
                held(self, Record::Confirmed)
            }
            (Step::ShipHeld, Some((_, lines, _))) => {
                self.shift(id, &lines, -1, -1);
                self.records.insert(shipment, (id, lines.clone(), Record::Shipped));
                self.receipt(shipment, id, &lines)
            }
            (step, known) => panic!("{step:?} of {known:?}"),
        }
    }

    /// The rules of the gateway.
    fn charge(&mut self, operation: Operation, key: &str, amount: Money) -> Outcome {
        if let Some((_, _, outcome)) = self.ledger.get(key) {
            return outcome.clone();
        }
        let refused = |reason: &str| Outcome::Refused { reason: reason.to_owned() };
        let outcome = match operation {
            Operation::Authorize if self.sum(Operation::Void).is_some() => refused("voided"),
            Operation::Authorize => Outcome::Done,
            Operation::Capture if self.sum(Operation::Void).is_some() => refused("voided"),
            Operation::Capture if self.sum(Operation::Capture).is_some() => refused("captured before"),
            Operation::Capture if self.sum(Operation::Authorize).is_none_or(|sum| sum < amount) => refused("too much"),
            Operation::Void if self.sum(Operation::Capture).is_some() => refused("captured"),
            Operation::Refund => {
                let sum = self.refunded().cents() + amount.cents();
                if Money(sum) > self.captured() { refused("too much") } else { Outcome::Done }
            }
            Operation::Capture | Operation::Void => Outcome::Done,
        };
        self.ledger.insert(key.to_owned(), (operation, amount, outcome.clone()));
        outcome
    }

    /// What was done of an operation; none where it never was.
    fn sum(&self, operation: Operation) -> Option<Money> {
        let done = self.ledger.values().filter(|(kind, _, outcome)| *kind == operation && *outcome == Outcome::Done);
        let amounts: Vec<i64> = done.map(|(_, amount, _)| amount.cents()).collect();
        (!amounts.is_empty()).then(|| Money(amounts.iter().sum()))
    }

    pub(super) fn captured(&self) -> Money {
        self.sum(Operation::Capture).unwrap_or_default()
    }

    pub(super) fn refunded(&self) -> Money {
        self.sum(Operation::Refund).unwrap_or_default()
    }

    /// Whether money is set aside that nobody takes or gives back.
    pub(super) fn is_set_aside(&self) -> bool {
        self.sum(Operation::Authorize).is_some()
            && self.sum(Operation::Capture).is_none()
            && self.sum(Operation::Void).is_none()
    }

    /// Copies that have left and are not back.
    pub(super) fn out(&self, of: BookId) -> i64 {
        let shipped = self.records.values().filter(|(_, _, record)| *record == Record::Shipped);
        let copies = |lines: &[Line]| -> i64 {
            lines.iter().filter(|line| line.book == of).map(|line| i64::from(line.quantity)).sum()
        };
        let left: i64 = shipped.map(|(_, lines, _)| copies(lines)).sum();
        left - self.returns.values().map(|lines| copies(lines)).sum::<i64>()
    }

    pub(super) fn reserved(&self) -> i64 {
        self.shelves.values().map(|shelf| shelf.reserved).sum()
    }

    /// Somebody takes copies that the store counted on.
    pub(super) fn take(&mut self, id: WarehouseId, taken: Line) {
        self.shift(id, &[taken], -1, 0);
    }

    /// New copies come.
    pub(super) fn receive(&mut self, id: WarehouseId, came: Line) {
        self.shift(id, &[came], 1, 0);
    }
}

pub(super) fn name(id: WarehouseId) -> String {
    format!("w{}", id.uuid().as_u128() & 0xff)
}

/// The present life of the store, and what outlasts it.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) world: World,
    pub(super) saga: Saga,
    pub(super) order: Order,
    /// The names of the entries, with the saga and the order after each.
    pub(super) journal: Vec<(&'static str, Value, Order)>,
    /// The cache of the store.
    pub(super) believed: BTreeMap<(WarehouseId, BookId), i64>,
    options: Options,
    pub(super) now: Timestamp,
    events: VecDeque<Event>,
    wake: bool,
    pub(super) awaiting: bool,
    /// Which calls fail, how, and how often yet.
    pub(super) failing: Option<(Step, Failure, usize)>,
    /// Which one was made to fail.
    pub(super) failed: Option<Step>,
    /// The calls of this kind reach the world twice, and their answers come twice.
    pub(super) twice: Option<Step>,
    /// Crash when so many boundaries have been passed.
    pub(super) crash_at: Option<usize>,
    pub(super) boundaries: usize,
    /// Those just before an entry is written.
    pub(super) before_entries: Vec<usize>,
    next_id: u128,
    /// Which of the waiting events is taken next; the first, unless a test says otherwise.
    pub(super) choose: fn(usize, usize) -> usize,
    turn: usize,
}

impl Run {
    /// An order of these lines, each copy at 10.00, with stock that the store knows of.
    pub(super) fn new(lines: &[Line], stock: &[(u128, Line)], options: Options) -> Self {
        let mut world = World::default();
        for (id, line) in stock {
            world.shelves.entry((warehouse(*id), line.book)).or_default().on_hand += i64::from(line.quantity);
        }
        let believed = world.shelves.iter().map(|(key, shelf)| (*key, shelf.on_hand)).collect();
        let order = order(lines);
        let mut run = Self {
            world,
            saga: Saga::new(Vec::new(), options, start(), start() + TimeDelta::days(1)),
            order,
            journal: Vec::new(),
            believed,
            options,
            now: start(),
            events: VecDeque::new(),
            wake: false,
            awaiting: false,
            failing: None,
            failed: None,
            twice: None,
            crash_at: None,
            boundaries: 0,
            before_entries: Vec::new(),
            next_id: 1,
            choose: |_, _| 0,
            turn: 0,
        };
        let parts = run.plan(lines, &[]).unwrap_or_default();
        run.saga = Saga::new(parts, options, start(), start() + TimeDelta::days(1));
        order::follow(&mut run.order, &run.saga, None);
        run.journal.push(("accepted", serde_json::to_value(&run.saga).unwrap(), run.order.clone()));
        run.events.push_back(Event::Begun);
        run
    }

    fn plan(&mut self, lines: &[Line], exclude: &[WarehouseId]) -> Option<Vec<Part>> {
        let demand = Demand::new(lines);
        let mut ids: Vec<_> = self.believed.keys().map(|(id, _)| *id).filter(|id| !exclude.contains(id)).collect();
        ids.dedup();
        let names: Vec<_> = ids.iter().map(|id| name(*id)).collect();
        let free = |id: &WarehouseId| {
            let of = |line: &Line| self.believed.get(&(*id, line.book)).copied().unwrap_or(0);
            demand.lines().iter().map(of).collect()
        };
        let candidates = ids.iter().zip(&names);
        let candidates: Vec<_> =
            candidates.map(|(id, name)| Candidate { warehouse: *id, name, priority: 0, free: free(id) }).collect();
        let plan = sourcing::plan(&demand, &candidates, self.options.allow_split, Strategy::default()).ok()?;
        let direct = plan.parts.len() == 1;
        let mut parts = Vec::new();
        for part in plan.parts {
            let id = ShipmentId(Uuid::from_u128(0x1000 + self.next_id));
            self.next_id += 1;
            parts.push(Part::new(id, part.warehouse, part.name, part.lines, direct));
        }
        Some(parts)
    }

    /// Passes a place where the process may die. True where it does.
    fn dies(&mut self) -> bool {
        self.boundaries += 1;
        if self.crash_at != Some(self.boundaries) {
            return false;
        }
        self.crash();
        true
    }

    /// The process dies, and another reads the journal.
    pub(super) fn crash(&mut self) {
        let (_, state, order) = self.journal.last().unwrap().clone();
        self.saga = serde_json::from_value(state).unwrap();
        self.order = order;
        self.events.clear();
        (self.wake, self.awaiting) = (false, false);
        self.events.push_back(Event::Begun);
    }

    /// Goes on until nothing happens any more but waiting for stock or a person.
    pub(super) fn go(&mut self) {
        for _ in 0..2_000 {
            if !self.advance() {
                return;
            }
        }
        panic!("it does not come to rest: {:?} {:?}", self.names(), self.saga);
    }

    /// One more event. False where there is none.
    pub(super) fn advance(&mut self) -> bool {
        if self.events.is_empty() {
            let waits = self.awaiting || self.saga.attention.is_some() || self.saga.is_over();
            if waits || !std::mem::take(&mut self.wake) {
                return false;
            }
            self.now = self.saga.effort.next_at.unwrap_or(self.now);
            self.events.push_back(Event::Woke);
        }
        self.turn += 1;
        let index = (self.choose)(self.turn, self.events.len()) % self.events.len();
        let event = self.events.remove(index).unwrap();
        self.take(event);
        true
    }

    /// What somebody asks, or tells.
    pub(super) fn tell(&mut self, event: Event) {
        self.events.push_front(event);
        self.go();
    }

    pub(super) fn push(&mut self, event: Event) {
        self.events.push_back(event);
    }

    fn take(&mut self, event: Event) {
        let terms = order::terms(&self.order);
        let stepped = self.saga.step(event, &terms, self.now, &Policy::default());
        if let Some(entry) = &stepped.entry {
            self.before_entries.push(self.boundaries + 1);
            if self.dies() {
                return;
            }
            order::follow(&mut self.order, &stepped.saga, entry.reason.as_deref());
            self.saga = stepped.saga.noted();
            self.journal.push((entry.name, serde_json::to_value(&self.saga).unwrap(), self.order.clone()));
            for (id, row) in &entry.stock {
                self.believed.insert((*id, row.book_id), row.available());
            }
            if self.dies() {
                return;
            }
        } else {
            self.saga = stepped.saga;
        }
        for command in stepped.commands {
            if self.run(command) {
                return;
            }
        }
    }

    /// True where the process died of it.
    fn run(&mut self, command: Command) -> bool {
        match command {
            Command::Call { step, shipment, warehouse, lines, return_id } => {
                let ask = |world: &mut World| {
                    world.calls.push(step);
                    world.ask(step, shipment, warehouse, &lines, return_id)
                };
                let refused = |world: &mut World| {
                    let stock = world.rows(warehouse, &lines);
                    match step {
                        Step::Ship | Step::Reserve => {
                            world.records.insert(shipment, (warehouse, lines.clone(), Record::Refused));
                            Delivery::Refused { shortfalls: Vec::new(), stock }
                        }
                        Step::Restock => Delivery::Refused { shortfalls: Vec::new(), stock },
                        // The hold is gone, or it has left before anybody could prevent it.
                        Step::Void => world.ask(Step::ShipHeld, shipment, warehouse, &[], None),
                        _ => world.ask(Step::Void, shipment, warehouse, &[], None),
                    }
                };
                let never = |reason| Delivery::NeverSent { reason };
                let unknown = |reason| Delivery::Unknown { reason };
                let Some(delivery) = self.effect(step, ask, refused, never, unknown) else { return true };
                self.answer(step, Event::Delivered { shipment, step, delivery });
            }
            Command::Charge { operation, key, amount } => {
                let step = Step::from(operation);
                let ask = |world: &mut World| {
                    world.calls.push(step);
                    world.charge(operation, &key, amount)
                };
                let refused = |world: &mut World| {
                    let outcome = Outcome::Refused { reason: "injected".to_owned() };
                    world.ledger.entry(key.clone()).or_insert((operation, amount, outcome)).2.clone()
                };
                let never = |reason| Outcome::NeverSent { reason };
                let unknown = |reason| Outcome::Unknown { reason };
                let Some(outcome) = self.effect(step, ask, refused, never, unknown) else { return true };
                self.answer(step, Event::Charged { operation, outcome });
            }
            Command::Wait(_) => self.wake = true,
            Command::Source { lines, exclude } => {
                self.awaiting = false;
                let event = match self.plan(&lines, &exclude) {
                    Some(parts) => Event::Sourced { parts, reason: String::new() },
                    None => Event::NotSourced { shortfalls: Vec::new() },
                };
                self.events.push_back(event);
            }
            Command::AwaitStock { .. } => self.awaiting = true,
            Command::Settle { warehouse, rows } => {
                for row in rows {
                    self.believed.insert((warehouse, row.book_id), row.available());
                }
            }
            Command::Release => {}
        }
        false
    }

    fn answer(&mut self, step: Step, event: Event) {
        if self.twice == Some(step) {
            self.events.push_back(event.clone());
        }
        self.events.push_back(event);
    }

    /// A call, as a test wants it to end; none where the process died before or after it.
    fn effect<T: PartialEq + std::fmt::Debug>(
        &mut self,
        step: Step,
        ask: impl Fn(&mut World) -> T,
        refused: impl Fn(&mut World) -> T,
        never: impl Fn(String) -> T,
        unknown: impl Fn(String) -> T,
    ) -> Option<T> {
        if self.dies() {
            return None;
        }
        let failure = match &mut self.failing {
            Some((failing, failure, left)) if *failing == step && *left > 0 => {
                *left -= 1;
                self.failed = Some(step);
                Some(*failure)
            }
            _ => None,
        };
        let injected = || "injected".to_owned();
        let answer = match failure {
            Some(Failure::Refused) => refused(&mut self.world),
            Some(Failure::NeverSent) => never(injected()),
            Some(Failure::Lost) => unknown(injected()),
            Some(Failure::AnswerLost) => {
                ask(&mut self.world);
                unknown(injected())
            }
            None => {
                let first = ask(&mut self.world);
                if self.twice == Some(step) {
                    assert_eq!(ask(&mut self.world), first, "{step:?} twice is {step:?} once");
                }
                first
            }
        };
        if self.dies() { None } else { Some(answer) }
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.journal.iter().map(|(name, ..)| *name).collect()
    }

    /// The shipment of the n-th part.
    pub(super) fn shipment(&self, n: usize) -> ShipmentId {
        self.saga.parts[n].shipment
    }

    /// What must hold of a saga at rest, whatever became of it.
    pub(super) fn check(&self) {
        let shipped: i64 = self.order.items.iter().map(|item| self.world.out(item.book_id)).sum();
        let returned: i64 = self.order.items.iter().map(|item| i64::from(item.returned)).sum();
        let context = format!("{:?} {:?} {:?}", self.names(), self.order.status, self.world);
        for item in &self.order.items {
            assert!(self.world.out(item.book_id) <= i64::from(item.quantity), "over-shipped: {context}");
        }
        match self.order.status {
            OrderStatus::Shipped | OrderStatus::Returned => {
                let all: i64 = self.order.items.iter().map(|item| i64::from(item.quantity)).sum();
                assert!(
                    self.saga.short || self.saga.returning.is_some() || shipped + returned == all,
                    "not all of it: {context}"
                );
                if self.saga.is_over() && self.order.payment.status != PaymentStatus::Failed {
                    assert_eq!(self.world.captured(), Money((shipped + returned) * 1_000), "{context}");
                    assert_eq!(self.world.refunded(), Money(returned * 1_000), "{context}");
                }
            }
            OrderStatus::Rejected | OrderStatus::Cancelled => {
                assert_eq!((shipped, self.world.captured()), (0, Money(0)), "{context}");
                assert!(!self.world.is_set_aside(), "the payment was not given back: {context}");
            }
            _ => assert!(!self.saga.is_over(), "{context}"),
        }
        if self.saga.is_over() {
            assert_eq!(self.world.reserved(), 0, "a hold is left: {context}");
            for (key, shelf) in &self.world.shelves {
                let believed = self.believed.get(key).copied().unwrap_or(0);
                assert_eq!(believed, shelf.on_hand - shelf.reserved, "cache of {key:?}: {context}");
            }
        }
    }
}

fn order(lines: &[Line]) -> Order {
    let item = |line: &Line| OrderItem {
        id: OrderItemId(line.book.uuid()),
        book_id: line.book,
        book_title: String::new(),
        isbn: String::new(),
        quantity: line.quantity,
        price_at_purchase: Money(1_000),
        returned: 0,
    };
    let total = Money(lines.iter().map(|line| 1_000 * i64::from(line.quantity)).sum());
    let (captured, refunded) = (Money(0), Money(0));
    Order {
        id: OrderId(Uuid::from_u128(0xABC)),
        user_id: UserId(Uuid::nil()),
        status: OrderStatus::Pending,
        total_amount: total,
        items: lines.iter().map(item).collect(),
        payment: Payment { method: String::new(), amount: total, status: PaymentStatus::Pending, captured, refunded },
        shipments: Vec::new(),
        fulfillment_warehouse: None,
        created_at: start(),
        shipped_at: None,
        status_reason: None,
        cancel_requested: false,
    }
}
