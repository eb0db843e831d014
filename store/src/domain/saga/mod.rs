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

use contract::{Money, PaymentStatus, ReturnId, Shortfall, StockRow, Timestamp, WarehouseId};
use serde::{Deserialize, Serialize};

use super::sourcing::Line;

mod definition;
mod message;
mod money;
mod parts;
mod requests;
mod step;

pub use definition::{Stage, Step};
pub use message::{Command, Entry, Event, Item, Stepped, Terms};
pub use parts::{Part, PartState};
pub use requests::{Piece, Returning, Unfit};

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
    /// How often in a row nothing was left but one of those.
    #[serde(skip)]
    unreached: u32,
    /// Rows of warehouses that are not in an entry yet.
    #[serde(skip)]
    rows: Vec<(WarehouseId, StockRow)>,
    /// The warehouses whose rows the cache is set to with the next entry, and not before (R9).
    #[serde(skip)]
    unsettled: Vec<WarehouseId>,
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
            unreached: 0,
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

/// How many copies of the line's book there are in `lines`.
fn copies(lines: &[Line], of: Line) -> u32 {
    lines.iter().filter(|line| line.book == of.book).map(|line| line.quantity).sum()
}

#[cfg(test)]
mod tests;
