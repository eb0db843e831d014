//! The fulfillment of one order as data: where it stands, what happened, and what follows (R1, R2, R5).
//!
//! [`Saga::step`] decides and does nothing. A step that changes what must survive a crash says so by its
//! [`Transition`]: that is made durable before any of the step's commands runs. Every command may run twice.

use std::time::Duration;

use contract::{ShipmentId, Shortfall, StockRow, Timestamp, WarehouseId};
use serde::{Deserialize, Serialize};

use super::delivery::Delivery;

/// How often and how long a shipment is tried.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// The wait after the first unanswered call; each further one doubles it.
    pub first_retry: Duration,
    /// The longest wait between calls.
    pub longest_retry: Duration,
    /// The wait between calls once a person must look.
    pub attention_retry: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first_retry: Duration::from_millis(250),
            longest_retry: Duration::from_secs(10),
            attention_retry: Duration::from_secs(60),
        }
    }
}

/// An order's fulfillment. Serialised, it is the `state` of a row of `sagas`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Saga {
    /// The shipment that is asked for now, or was last.
    pub shipment: ShipmentId,
    /// Of whom.
    pub warehouse: WarehouseId,
    /// Warehouses that have refused the order.
    pub refused_by: Vec<WarehouseId>,
    /// When a person must look, or what was never sent is refused.
    pub deadline: Timestamp,
    /// Where it stands.
    pub stage: Stage,
    /// Whether a call may have reached the warehouse. Nobody knows after a restart, so it is not kept.
    #[serde(skip, default = "yes")]
    maybe_sent: bool,
    /// Calls without an answer since the start or the latest journal entry.
    #[serde(skip)]
    attempts: u32,
}

/// Where a saga stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// The shipment is being asked for.
    Shipping,
    /// The same, and a person must look.
    NeedsAttention,
    /// Shipped.
    Shipped,
    /// Refused.
    Rejected,
}

impl Stage {
    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shipping => "shipping",
            Self::NeedsAttention => "needs_attention",
            Self::Shipped => "shipped",
            Self::Rejected => "rejected",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It begins, or has been read back after a restart.
    Begun,
    /// The time to try again has come.
    Woke,
    /// A call has ended.
    Delivered {
        /// The shipment asked for.
        shipment: ShipmentId,
        /// What became of it.
        delivery: Delivery,
    },
    /// Another warehouse was found.
    Sourced {
        /// The key of the shipment that it would be asked for.
        shipment: ShipmentId,
        /// The warehouse.
        warehouse: WarehouseId,
    },
    /// No other warehouse has everything.
    NotSourced {
        /// What is short.
        shortfalls: Vec<Shortfall>,
    },
    /// The warehouse tells by itself that it has left.
    Confirmed {
        /// The shipment.
        shipment: ShipmentId,
        /// When it left.
        shipped_at: Timestamp,
        /// The books' rows.
        stock: Vec<StockRow>,
    },
}

/// What must be made durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// The shipment has left: the order is shipped, its payment captured, the cache set.
    Shipped {
        /// When it left.
        shipped_at: Timestamp,
        /// The books' rows.
        stock: Vec<StockRow>,
    },
    /// The shipment was given up and another one takes its place.
    Moved {
        /// The shipment given up.
        from: ShipmentId,
        /// Whether its warehouse refused it; else it never got there.
        refused: bool,
    },
    /// The order is refused, its payment voided.
    Rejected {
        /// What is short.
        shortfalls: Vec<Shortfall>,
        /// Whether the warehouse refused the last shipment; else it never got there.
        refused: bool,
        /// For people.
        reason: String,
    },
    /// A person must look.
    Flagged {
        /// For people.
        reason: String,
    },
}

impl Transition {
    /// The name in the saga's journal.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Shipped { .. } => "shipped",
            Self::Moved { .. } => "moved",
            Self::Rejected { .. } => "rejected",
            Self::Flagged { .. } => "needs-attention",
        }
    }
}

/// What to do, once the step's transition is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Ask for the shipment.
    Ship,
    /// The same later.
    Wait(Duration),
    /// Find another warehouse than these.
    Source {
        /// Not these.
        exclude: Vec<WarehouseId>,
    },
    /// The cache was wrong: set it to what the warehouse says, which also ends the allocation there.
    CorrectCache {
        /// The warehouse.
        warehouse: WarehouseId,
        /// Its rows.
        rows: Vec<StockRow>,
    },
    /// Hold the stock at the present warehouse again.
    Allocate,
}

/// What follows from an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The saga after it.
    pub saga: Saga,
    /// What must be durable before the commands run.
    pub transition: Option<Transition>,
    /// What to do.
    pub commands: Vec<Command>,
}

const fn yes() -> bool {
    true
}

impl Saga {
    /// The saga of an order that was just sourced. Nothing has been sent.
    pub const fn new(shipment: ShipmentId, warehouse: WarehouseId, deadline: Timestamp) -> Self {
        Self {
            shipment,
            warehouse,
            refused_by: Vec::new(),
            deadline,
            stage: Stage::Shipping,
            maybe_sent: false,
            attempts: 0,
        }
    }

    /// Whether nothing follows any more.
    pub const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Shipped | Stage::Rejected)
    }

    /// What follows from `event`. What comes late, for another shipment or after the end, changes nothing.
    #[must_use]
    pub fn step(&self, event: Event, now: Timestamp, policy: &Policy) -> Step {
        if self.is_over() {
            return self.clone().then([]);
        }
        match event {
            Event::Begun | Event::Woke => self.clone().then([Command::Ship]),
            Event::Delivered { shipment, .. } | Event::Confirmed { shipment, .. } if shipment != self.shipment => {
                self.clone().then([])
            }
            Event::Confirmed { shipped_at, stock, .. } => self.shipped(shipped_at, stock),
            Event::Delivered { delivery, .. } => self.delivered(delivery, now, policy),
            Event::Sourced { shipment, warehouse } => self.moved(shipment, warehouse),
            Event::NotSourced { shortfalls } => self.not_sourced(shortfalls, now, policy),
        }
    }

    fn delivered(&self, delivery: Delivery, now: Timestamp, policy: &Policy) -> Step {
        match delivery {
            Delivery::Shipped(receipt) => self.shipped(receipt.shipped_at, receipt.stock),
            Delivery::Refused { stock, .. } => self.refused(stock),
            Delivery::Voided { stock } => self.refused(stock),
            // Nobody asks for either yet.
            Delivery::Held { .. } | Delivery::Restocked { .. } => {
                self.unknown("an answer to another question".to_owned(), false, now, policy)
            }
            // R1: only if no earlier attempt may have reached it. The refusal of a stranger in its place is as certain,
            // and says as little of what became of an earlier one.
            Delivery::NeverSent { .. } | Delivery::WrongIdentity { .. } if !self.maybe_sent => {
                let mut exclude = self.refused_by.clone();
                exclude.push(self.warehouse);
                self.clone().then([Command::Source { exclude }])
            }
            Delivery::WrongIdentity { reason } => self.unknown(reason, true, now, policy),
            Delivery::NeverSent { reason } | Delivery::Unknown { reason } => self.unknown(reason, false, now, policy),
        }
    }

    fn refused(&self, rows: Vec<StockRow>) -> Step {
        let mut next = self.clone();
        next.refused_by.push(self.warehouse);
        let exclude = next.refused_by.clone();
        next.then([Command::CorrectCache { warehouse: self.warehouse, rows }, Command::Source { exclude }])
    }

    fn shipped(&self, shipped_at: Timestamp, stock: Vec<StockRow>) -> Step {
        let mut next = self.clone();
        next.stage = Stage::Shipped;
        next.then([]).with(Transition::Shipped { shipped_at, stock })
    }

    /// The same call again until it is answered, never another warehouse.
    fn unknown(&self, reason: String, at_once: bool, now: Timestamp, policy: &Policy) -> Step {
        let mut next = self.clone();
        next.maybe_sent = true;
        next.attempts = next.attempts.saturating_add(1);
        if self.stage == Stage::Shipping && (at_once || now >= self.deadline) {
            next.stage = Stage::NeedsAttention;
            let reason = format!("it is not known whether the shipment has left: {reason}");
            return next.then([Command::Wait(policy.attention_retry)]).with(Transition::Flagged { reason });
        }
        let wait = next.wait(policy);
        next.then([Command::Wait(wait)])
    }

    fn moved(&self, shipment: ShipmentId, warehouse: WarehouseId) -> Step {
        let refused = self.refused_by.contains(&self.warehouse);
        let moved = Transition::Moved { from: self.shipment, refused };
        let next = Self {
            shipment,
            warehouse,
            stage: Stage::Shipping,
            maybe_sent: false,
            attempts: 0,
            refused_by: self.refused_by.clone(),
            deadline: self.deadline,
        };
        next.then([Command::Ship]).with(moved)
    }

    fn not_sourced(&self, shortfalls: Vec<Shortfall>, now: Timestamp, policy: &Policy) -> Step {
        let refused = self.refused_by.contains(&self.warehouse);
        if refused || now >= self.deadline {
            let mut next = self.clone();
            next.stage = Stage::Rejected;
            let reason = if refused { "no warehouse has everything" } else { "no warehouse could be reached in time" };
            let rejected = Transition::Rejected { shortfalls, refused, reason: reason.to_owned() };
            return next.then([]).with(rejected);
        }
        // It was never sent and nobody else has everything: the first warehouse may come back.
        let mut next = self.clone();
        next.attempts = next.attempts.saturating_add(1);
        let wait = next.wait(policy);
        next.then([Command::Allocate, Command::Wait(wait)])
    }

    fn wait(&self, policy: &Policy) -> Duration {
        if self.stage == Stage::NeedsAttention {
            return policy.attention_retry;
        }
        let doublings = self.attempts.saturating_sub(1).min(16);
        policy.first_retry.saturating_mul(1 << doublings).min(policy.longest_retry)
    }

    fn then(self, commands: impl IntoIterator<Item = Command>) -> Step {
        Step { saga: self, transition: None, commands: commands.into_iter().collect() }
    }
}

impl Step {
    fn with(self, transition: Transition) -> Self {
        Self { transition: Some(transition), ..self }
    }
}

#[cfg(test)]
mod tests;
