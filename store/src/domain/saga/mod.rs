//! The fulfillment of one order as data: where it stands, what happened, and what follows (R1–R6).
//!
//! [`Saga::step`] decides and does nothing. A step that changes what must survive a crash has an [`Entry`]: that is made
//! durable before any of the step's commands runs. Every key that a command goes out under was journaled before it, and
//! the first outcome of a key is final. So what is between two entries need not be written: read back from the latest
//! one, a saga asks for the same again and is told the same.
//!
//! ```text
//! Authorizing ── one warehouse ──► Shipping ─────────────────────────────► Capturing ──► Shipped
//!      │        several ──► Reserving ──► Confirming ══► Shipping ──────────┘  ▲            │
//!      │                        │ refused: everything released         rest    │            ▼
//!      │                        ▼                                      refused │        Returning ──► Refunding
//!      │                     Undoing ──► Sourcing ◄────────────────────────────┘
//!      ▼                        │           └── nobody has it ──► AwaitingStock, or Undoing
//!   Rejected                    ▼
//!   (declined)           VoidingPayment ──► Cancelled, Rejected
//! ```
//! From `══►` on it only goes forward.

use std::time::Duration;

use contract::{Money, OrderId, PaymentStatus, ReturnId, ShipmentId, Shortfall, StockRow, Timestamp, WarehouseId};
use serde::{Deserialize, Serialize};
use strum::{EnumIter, IntoStaticStr};

use super::delivery::Delivery;
use super::payment::{Operation, Outcome};
use super::sourcing::Line;

mod money;
mod parts;
mod requests;
mod step;

pub use requests::Unfit;

/// How often and how long things are tried.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// The wait after the first unanswered call; each further one doubles it.
    pub first_retry: Duration,
    /// The longest wait between calls.
    pub longest_retry: Duration,
    /// The wait between calls once a person must look.
    pub attention_retry: Duration,
    /// How often an order that waits for stock makes sure that it is still in the line.
    pub stock_retry: Duration,
    /// How long a call may stay in doubt before a person must look.
    pub attention_after: Duration,
    /// How long an order waits for stock.
    pub backorder_for: Duration,
    /// How long warehouses hold parts that are not confirmed.
    pub hold: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first_retry: Duration::from_millis(250),
            longest_retry: Duration::from_secs(10),
            attention_retry: Duration::from_secs(60),
            stock_retry: Duration::from_secs(30),
            attention_after: Duration::from_secs(86_400),
            backorder_for: Duration::from_secs(30 * 86_400),
            hold: Duration::from_secs(300),
        }
    }
}

/// Everything that a saga does outside of the store's own memory: its definition. Each may be repeated under its key, and
/// what can be undone names the step that does so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Step {
    /// Has the price set aside.
    Authorize,
    /// Ships a part that is not held: all or nothing in one call.
    Ship,
    /// Has a part held for a while.
    Reserve,
    /// Makes a hold last.
    Confirm,
    /// Ships a part that is held.
    ShipHeld,
    /// Takes the price of what has left.
    Capture,
    /// Makes sure that a part never leaves, and lets go of what is held.
    Void,
    /// Gives back what was set aside.
    VoidPayment,
    /// Puts returned copies back.
    Restock,
    /// Gives back the price of what was returned.
    Refund,
}

impl Step {
    /// The name in journals and fault points.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// What takes it back; none where what was done stays done.
    pub const fn undo(self) -> Option<Self> {
        match self {
            Self::Authorize => Some(Self::VoidPayment),
            // As long as it is not known to have left.
            Self::Ship | Self::Reserve | Self::Confirm | Self::ShipHeld => Some(Self::Void),
            Self::Capture => Some(Self::Refund),
            Self::Void | Self::VoidPayment | Self::Restock | Self::Refund => None,
        }
    }
}

impl From<Operation> for Step {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Authorize => Self::Authorize,
            Operation::Capture => Self::Capture,
            Operation::Void => Self::VoidPayment,
            Operation::Refund => Self::Refund,
        }
    }
}

/// Where a saga stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, EnumIter, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Stage {
    /// The payment is being authorised.
    Authorizing,
    /// Warehouses are looked for.
    Sourcing,
    /// None has it, or none that has it can be reached.
    AwaitingStock,
    /// Parts are being held.
    Reserving,
    /// Their holds are being made to last.
    Confirming,
    /// Parts are being shipped.
    Shipping,
    /// The payment is being captured.
    Capturing,
    /// Parts are being given up.
    Undoing,
    /// The payment is being given back.
    VoidingPayment,
    /// Copies are on their way back to the shelf.
    Returning,
    /// The price of what was returned is being given back.
    Refunding,
    /// Over: everything has left, or what a person left of it.
    Shipped,
    /// Over: refused, nothing has left.
    Rejected,
    /// Over: cancelled, nothing has left.
    Cancelled,
}

impl Stage {
    /// Its name in journals and metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether nothing follows by itself any more.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Shipped | Self::Rejected | Self::Cancelled)
    }
}

/// One shipment: some copies from one warehouse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// The key that it is asked for under, held under and shipped under.
    pub shipment: ShipmentId,
    /// Who is asked.
    pub warehouse: WarehouseId,
    /// By name.
    pub name: String,
    /// What is in it.
    pub lines: Vec<Line>,
    /// Whether it ships by one call, without being held before.
    pub direct: bool,
    /// Where it stands.
    pub state: PartState,
    /// What has come back of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returned: Vec<Line>,
    /// Whether a call may have reached the warehouse. Nobody knows after a restart, so it is not kept (R1).
    #[serde(skip, default = "yes")]
    maybe_sent: bool,
    #[serde(skip)]
    call: Call,
}

/// Where a part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PartState {
    /// To be asked for.
    Planned,
    /// Held for a while.
    Held,
    /// Held until it ships or is given up.
    Confirmed,
    /// It has left.
    Shipped {
        /// When.
        at: Timestamp,
    },
    /// The warehouse refused it.
    Refused,
    /// It was given up, and certainly never leaves.
    Voided,
}

/// Whether something is being asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Call {
    #[default]
    Idle,
    /// A call is under way.
    Out,
    /// The latest had no answer; the next one waits for its time.
    Resting,
}

/// What the customer chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// Several warehouses may share the order.
    pub allow_split: bool,
    /// It may wait for stock.
    pub allow_backorder: bool,
}

/// The money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Paid {
    /// Where it stands.
    pub status: PaymentStatus,
    /// What was taken.
    pub captured: Money,
    /// What was given back of it.
    pub refunded: Money,
    /// Which try of its refused operation a person has asked for; part of its keys.
    #[serde(default, skip_serializing_if = "is_zero")]
    attempt: u32,
    /// The latest try of its operation was refused: another one takes another key.
    #[serde(default, skip_serializing_if = "is_false")]
    refused: bool,
    #[serde(skip)]
    call: Call,
}

/// What giving everything up is to end in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ending {
    /// Somebody wants it cancelled.
    Cancel {
        /// What the order says of it.
        reason: String,
    },
    /// It cannot be.
    Reject {
        /// What the order says of it.
        reason: String,
        /// What is short.
        shortfalls: Vec<Shortfall>,
    },
}

/// A return that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Returning {
    /// The return.
    pub id: ReturnId,
    /// What goes back where.
    pub pieces: Vec<Piece>,
    /// What the customer gets back.
    pub refund: Money,
}

/// What goes back of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Piece {
    /// The key that it is put back under.
    pub id: ReturnId,
    /// The part.
    pub shipment: ShipmentId,
    /// The copies.
    pub lines: Vec<Line>,
    /// Whether they are back on the shelf.
    pub restocked: bool,
    #[serde(skip)]
    call: Call,
}

/// The calls without an answer since it last moved. Forgotten with every restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Effort {
    /// How many.
    pub attempts: u32,
    /// When the first ended.
    #[serde(with = "contract::time::option")]
    pub first_at: Option<Timestamp>,
    /// When the latest ended.
    #[serde(with = "contract::time::option")]
    pub latest_at: Option<Timestamp>,
    /// When the next begins.
    #[serde(with = "contract::time::option")]
    pub next_at: Option<Timestamp>,
    /// Why the latest had none.
    pub error: Option<String>,
}

/// An order's fulfillment. Serialised, it is the `state` of a row of `sagas`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Saga {
    /// Where it stands.
    pub stage: Stage,
    /// The shipments that are asked for or have left.
    pub parts: Vec<Part>,
    /// Those that others took the place of since the latest entry.
    #[serde(skip)]
    pub replaced: Vec<Part>,
    /// What the customer chose.
    pub options: Options,
    /// When the order was accepted: its place among those that wait for stock.
    pub placed_at: Timestamp,
    /// When a person must look, or what was never sent is refused.
    pub deadline: Timestamp,
    /// The money.
    pub paid: Paid,
    /// Every hold has been made to last, or something has left: there is no way back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub committed: bool,
    /// It waits in the line for stock, and people know.
    #[serde(default, skip_serializing_if = "is_false")]
    pub backordered: bool,
    /// A person has given up what had not left.
    #[serde(default, skip_serializing_if = "is_false")]
    pub short: bool,
    /// An entry says that everything has left, though not what became of the payment.
    #[serde(default, skip_serializing_if = "is_false")]
    noted_shipped: bool,
    /// What giving up is to end in; none is to be sourced again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// Who refused, once for each time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<WarehouseId>,
    /// A person must look, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<String>,
    /// The return that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returning: Option<Returning>,
    /// The returns that are complete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    returns: Vec<ReturnId>,
    /// What it has tried in vain since it last moved.
    #[serde(skip)]
    pub effort: Effort,
    #[serde(skip)]
    sourcing: Call,
    /// The warehouses that the sourcing under way is not to take because nobody is there.
    #[serde(skip)]
    unreachable: Vec<WarehouseId>,
    /// Rows of warehouses that are not in an entry yet.
    #[serde(skip)]
    rows: Vec<(WarehouseId, StockRow)>,
    /// The warehouses whose rows the cache is set to with the next entry, and not before (R9).
    #[serde(skip)]
    unsettled: Vec<WarehouseId>,
}

/// What of the order matters to its saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The order.
    pub order: OrderId,
    /// Books, each once.
    pub items: Vec<Item>,
    /// Their price together.
    pub total: Money,
}

/// A book of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Which, and how many.
    pub line: Line,
    /// What one costs.
    pub price: Money,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It begins, or has been read back after a restart.
    Begun,
    /// The time to try again has come.
    Woke,
    /// Stock that the order waits for has come and is allocated to it.
    StockCame,
    /// A call to the payment gateway has ended.
    Charged {
        /// Of this kind.
        operation: Operation,
        /// What became of it.
        outcome: Outcome,
    },
    /// A call to a warehouse has ended.
    Delivered {
        /// About this shipment.
        shipment: ShipmentId,
        /// Of this kind.
        step: Step,
        /// What became of it.
        delivery: Delivery,
    },
    /// Warehouses were found.
    Sourced {
        /// Who ships what, each under a key of its own.
        parts: Vec<Part>,
        /// Why these.
        reason: String,
    },
    /// None were.
    NotSourced {
        /// What is short.
        shortfalls: Vec<Shortfall>,
    },
    /// The warehouse tells by itself that a part has left.
    Confirmed {
        /// The shipment.
        shipment: ShipmentId,
        /// When it left.
        shipped_at: Timestamp,
        /// The books' rows.
        stock: Vec<StockRow>,
    },
    /// Somebody wants it cancelled.
    Cancel {
        /// A person of ours, who may give up the rest of what has left in part, or what cannot be charged.
        operator: bool,
        /// What the order will say of it.
        reason: String,
    },
    /// Copies come back.
    Return {
        /// The return.
        id: ReturnId,
        /// What.
        lines: Vec<Line>,
    },
    /// A person wants it tried now; an operation on the payment that was refused under another key.
    Retry,
    /// A person has looked: it goes on as if it had just begun to try.
    Resume,
}

/// What a step writes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// The name in the saga's journal.
    pub name: &'static str,
    /// Why, for people.
    pub reason: Option<String>,
    /// Why these warehouses.
    pub sourcing: Option<String>,
    /// What is short.
    pub shortfalls: Vec<Shortfall>,
    /// The return that it is about, and what it brings back.
    pub returned: Vec<Line>,
    /// The shipment that it is about, where it is about one.
    pub shipment: Option<ShipmentId>,
    /// Rows for the cache.
    pub stock: Vec<(WarehouseId, StockRow)>,
}

/// What to do, once the step's entry is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Call a warehouse.
    Call {
        /// For what: one of those that call a warehouse.
        step: Step,
        /// About which shipment.
        shipment: ShipmentId,
        /// Which warehouse.
        warehouse: WarehouseId,
        /// With what.
        lines: Vec<Line>,
        /// Of a return, its key.
        return_id: Option<ReturnId>,
    },
    /// Call the payment gateway.
    Charge {
        /// For what.
        operation: Operation,
        /// Under which key.
        key: String,
        /// How much.
        amount: Money,
    },
    /// Wake it after this long; takes the place of an earlier one.
    Wait(Duration),
    /// Find warehouses for this, other than those.
    Source {
        /// What.
        lines: Vec<Line>,
        /// Not these.
        exclude: Vec<WarehouseId>,
    },
    /// Wait in the line for this.
    AwaitStock {
        /// What.
        lines: Vec<Line>,
        /// Not of these.
        exclude: Vec<WarehouseId>,
    },
    /// Set the cache to what a warehouse says, which also ends the allocation there.
    Settle {
        /// The warehouse.
        warehouse: WarehouseId,
        /// Its rows.
        rows: Vec<StockRow>,
    },
    /// Let go of whatever is allocated.
    Release,
}

/// What follows from an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stepped {
    /// The saga after it.
    pub saga: Saga,
    /// What must be durable before the commands run.
    pub entry: Option<Entry>,
    /// What to do.
    pub commands: Vec<Command>,
}

const fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Saga {
    /// The saga of an order that was just accepted. Nothing has been sent; no parts is to wait for stock.
    pub fn new(parts: Vec<Part>, options: Options, placed_at: Timestamp, deadline: Timestamp) -> Self {
        let (captured, refunded) = (Money(0), Money(0));
        Self {
            stage: Stage::Authorizing,
            parts,
            replaced: Vec::new(),
            options,
            placed_at,
            deadline,
            paid: Paid {
                status: PaymentStatus::Pending,
                captured,
                refunded,
                attempt: 0,
                refused: false,
                call: Call::Idle,
            },
            committed: false,
            backordered: false,
            short: false,
            noted_shipped: false,
            ending: None,
            refusals: Vec::new(),
            attention: None,
            returning: None,
            returns: Vec::new(),
            effort: Effort::default(),
            sourcing: Call::Idle,
            unreachable: Vec::new(),
            rows: Vec::new(),
            unsettled: Vec::new(),
        }
    }

    /// Whether nothing follows any more, unless somebody asks for it.
    pub const fn is_over(&self) -> bool {
        self.stage.is_over()
    }

    /// Whether it has been asked to be cancelled and may be yet.
    pub const fn is_cancelling(&self) -> bool {
        matches!(self.ending, Some(Ending::Cancel { .. })) && !self.is_over()
    }

    /// As it is once its latest entry is durable: the parts given up are in that, and not in this.
    #[must_use]
    pub fn noted(mut self) -> Self {
        self.parts.retain(Part::is_alive);
        self.replaced.clear();
        self
    }

    /// What is not in any part that is alive: to be sourced.
    pub fn missing(&self, terms: &Terms) -> Vec<Line> {
        if self.short {
            return Vec::new();
        }
        let rest = terms.items.iter().map(|item| {
            let alive = self.parts.iter().filter(|part| part.is_alive());
            let given: u32 = alive.map(|part| copies(&part.lines, item.line)).sum();
            Line { quantity: item.line.quantity.saturating_sub(given), ..item.line }
        });
        rest.filter(|line| line.quantity > 0).collect()
    }

    /// Whether it should move by itself before long: it waits neither for stock nor for a person.
    pub fn should_move(&self) -> bool {
        let for_stock = self.stage == Stage::AwaitingStock && self.backordered;
        let for_a_person = self.stage == Stage::Capturing && self.paid.status == PaymentStatus::Failed;
        !self.is_over() && !for_stock && !for_a_person
    }

    /// What it waits for, in words; nothing where it is over.
    pub fn waits_for(&self) -> Option<String> {
        let asked = |what: &str| {
            let pending = self.parts.iter().filter(|part| part.is_pending());
            let names: Vec<_> = pending.map(|part| part.name.as_str()).collect();
            format!("{} to {what}", names.join(" and "))
        };
        Some(match self.stage {
            Stage::Authorizing => "the payment's authorisation".to_owned(),
            Stage::Sourcing => "a warehouse to be found".to_owned(),
            Stage::AwaitingStock if self.backordered => "stock".to_owned(),
            Stage::AwaitingStock => "a warehouse that can be reached".to_owned(),
            Stage::Reserving => asked("hold its part"),
            Stage::Confirming => asked("confirm its hold"),
            Stage::Shipping => asked("ship"),
            Stage::Capturing if self.paid.status == PaymentStatus::Failed => {
                "a person: it cannot be charged".to_owned()
            }
            Stage::Capturing => "the payment's capture".to_owned(),
            Stage::Undoing => asked("give up its part"),
            Stage::VoidingPayment => "the payment to be given back".to_owned(),
            Stage::Returning => "a warehouse to take copies back".to_owned(),
            Stage::Refunding => "the refund".to_owned(),
            Stage::Shipped | Stage::Rejected | Stage::Cancelled => return None,
        })
    }

    /// The steps that it is at: what it asks for now, or is to ask for again.
    pub fn steps(&self) -> Vec<Step> {
        let charge = self.operation().map(Step::from);
        let mut parts: Vec<_> = self.parts.iter().filter_map(|part| self.step_of(part)).collect();
        parts.dedup();
        let restock = (self.stage == Stage::Returning).then_some(Step::Restock);
        charge.into_iter().chain(parts).chain(restock).collect()
    }
}

impl Part {
    /// A part to be asked for under a key that was never used.
    pub fn new(shipment: ShipmentId, warehouse: WarehouseId, name: String, lines: Vec<Line>, direct: bool) -> Self {
        let (state, returned) = (PartState::Planned, Vec::new());
        Self { shipment, warehouse, name, lines, direct, state, returned, maybe_sent: false, call: Call::Idle }
    }

    /// The same, of which nobody knows whether it was asked for (R1).
    #[must_use]
    pub fn read_back(self) -> Self {
        Self { maybe_sent: true, ..self }
    }

    /// Whether it has left, or may yet.
    pub const fn is_alive(&self) -> bool {
        !matches!(self.state, PartState::Refused | PartState::Voided)
    }

    /// Whether it has not left and may yet.
    pub const fn is_pending(&self) -> bool {
        matches!(self.state, PartState::Planned | PartState::Held | PartState::Confirmed)
    }

    /// Where it stands, in a word.
    pub const fn state_name(&self) -> &'static str {
        match self.state {
            PartState::Planned => "planned",
            PartState::Held => "held",
            PartState::Confirmed => "confirmed",
            PartState::Shipped { .. } => "shipped",
            PartState::Refused => "refused",
            PartState::Voided => "voided",
        }
    }

    /// When it left, if it has.
    pub const fn shipped_at(&self) -> Option<Timestamp> {
        if let PartState::Shipped { at } = self.state { Some(at) } else { None }
    }
}

/// How many copies of the line's book there are in `lines`.
fn copies(lines: &[Line], of: Line) -> u32 {
    lines.iter().filter(|line| line.book == of.book).map(|line| line.quantity).sum()
}

#[cfg(test)]
mod tests;
