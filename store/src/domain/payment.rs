//! Payments as a gateway settles them: what was asked for, what it answers, and the rules of its ledger.
//!
//! A charge is idempotent by its key: the first outcome of a key is its only one. An order is authorised and captured at most once, at
//! most what was authorised; voiding and capturing exclude each other; no more is refunded than was captured.

use std::collections::HashMap;

use contract::{Money, OrderId};

/// What can be asked of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Hold an amount.
    Authorize,
    /// Take what is held, or a part of it. The rest is held no more.
    Capture,
    /// Let go of what is held. An authorisation that comes later is refused.
    Void,
    /// Give back what was taken, or a part of it.
    Refund,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Authorize, Self::Capture, Self::Void, Self::Refund];

    /// Its name in the ledger, journals and fault points.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Capture => "capture",
            Self::Void => "void-payment",
            Self::Refund => "refund",
        }
    }

    /// The operation of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }
}

/// One question to a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// What makes repeating it harmless.
    pub key: String,
    /// The order it is for.
    pub order: OrderId,
    /// What is asked.
    pub operation: Operation,
    /// How much.
    pub amount: Money,
    /// How the customer pays.
    pub method: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It happened, now or before.
    Done,
    /// It did not happen, and under this key it never will.
    Refused {
        /// Why.
        reason: String,
    },
    /// This call never reached the gateway.
    NeverSent {
        /// Why.
        reason: String,
    },
    /// It may have happened, or may yet: only the same call again tells.
    Unknown {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// Whether the gateway answered.
    pub const fn is_answer(&self) -> bool {
        matches!(self, Self::Done | Self::Refused { .. })
    }

    /// Its name in logs and journals.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused { .. } => "refused",
            Self::NeverSent { .. } => "never-sent",
            Self::Unknown { .. } => "unknown",
        }
    }

    fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }
}

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key of the charge.
    pub key: String,
    /// The order it was for.
    pub order: OrderId,
    /// The how manieth of its order, from 0.
    pub line: i64,
    /// What was asked.
    pub operation: Operation,
    /// How much.
    pub amount: Money,
    /// Why it was refused, unless it was done.
    pub refusal: Option<String>,
}

impl Entry {
    fn outcome(&self) -> Outcome {
        self.refusal.clone().map_or(Outcome::Done, Outcome::refused)
    }

    fn is_of(&self, charge: &Charge) -> bool {
        (self.order, self.operation, self.amount) == (charge.order, charge.operation, charge.amount)
    }
}

/// What the ledger holds of the orders and keys of a batch, and what the batch adds to it.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    orders: HashMap<OrderId, Vec<Entry>>,
    keys: HashMap<String, Entry>,
    added: Vec<Entry>,
}

impl Ledger {
    /// Of all lines of the orders concerned, and of those that have the keys concerned.
    pub fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut ledger = Self::default();
        entries.into_iter().for_each(|entry| ledger.enter(entry));
        ledger
    }

    /// Settles a charge, after those before it. `declined` is why it is refused whatever the ledger says, unless its outcome is known.
    pub fn settle(&mut self, charge: &Charge, declined: Option<&str>) -> Outcome {
        if let Some(known) = self.keys.get(&charge.key) {
            let other = || Outcome::refused("this key stands for another charge");
            return if known.is_of(charge) { known.outcome() } else { other() };
        }
        if charge.amount < Money(0) {
            return Outcome::refused("an amount below zero");
        }
        let of_order = self.orders.get(&charge.order).map_or(&[][..], Vec::as_slice);
        let decided = declined.map_or_else(|| decide(of_order, charge), |reason| Err(reason.to_owned()));
        let entry = Entry {
            key: charge.key.clone(),
            order: charge.order,
            line: of_order.iter().map(|entry| entry.line + 1).max().unwrap_or(0),
            operation: charge.operation,
            amount: charge.amount,
            refusal: decided.err(),
        };
        let outcome = entry.outcome();
        self.added.push(entry.clone());
        self.enter(entry);
        outcome
    }

    /// What has been added, in order.
    pub fn added(&self) -> &[Entry] {
        &self.added
    }

    /// All lines, by key.
    #[cfg(test)]
    pub(crate) fn sorted(&self) -> Vec<Entry> {
        let mut entries: Vec<_> = self.keys.values().cloned().collect();
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        entries
    }

    fn enter(&mut self, entry: Entry) {
        self.orders.entry(entry.order).or_default().push(entry.clone());
        self.keys.insert(entry.key.clone(), entry);
    }
}

/// Whether a charge under a new key is done, by all lines of its order; else why not.
fn decide(of_order: &[Entry], charge: &Charge) -> Result<(), String> {
    let done = |operation| of_order.iter().filter(move |entry| entry.operation == operation && entry.refusal.is_none());
    let only = |operation| done(operation).next().map(|entry| entry.amount);
    let (authorized, captured) = (only(Operation::Authorize), only(Operation::Capture));
    let is_voided = only(Operation::Void).is_some();
    let refusal = match charge.operation {
        Operation::Authorize if is_voided => "it was voided before",
        Operation::Authorize if authorized.is_some() => "it is authorised already",
        Operation::Capture if is_voided => "the authorisation is voided",
        Operation::Capture if captured.is_some() => "it is captured already",
        Operation::Capture if authorized.is_none() => "nothing is authorised",
        Operation::Capture if authorized < Some(charge.amount) => "more than is authorised",
        Operation::Void if captured.is_some() => "it is captured already",
        Operation::Refund => return refund(captured, done(Operation::Refund).map(|entry| entry.amount), charge.amount),
        Operation::Authorize | Operation::Capture | Operation::Void => return Ok(()),
    };
    Err(refusal.to_owned())
}

fn refund(captured: Option<Money>, mut before: impl Iterator<Item = Money>, amount: Money) -> Result<(), String> {
    let Some(captured) = captured else { return Err("nothing is captured".to_owned()) };
    match before.try_fold(amount, Money::checked_add) {
        Some(total) if total <= captured => Ok(()),
        _ => Err("more than was captured".to_owned()),
    }
}

/// Methods of payment that go wrong in their own way, for demos and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestMethod {
    /// The authorisation is refused.
    Decline,
    /// The capture is.
    DeclineCapture,
    /// It answers late.
    Slow,
    /// Its first answer to each key is lost.
    Ambiguous,
    /// It cannot be reached the first two times for each key.
    Unreachable,
}

impl TestMethod {
    /// The one of this name.
    pub fn named(method: &str) -> Option<Self> {
        Some(match method {
            "test_decline" => Self::Decline,
            "test_decline_capture" => Self::DeclineCapture,
            "test_slow" => Self::Slow,
            "test_ambiguous" => Self::Ambiguous,
            "test_unreachable" => Self::Unreachable,
            _ => return None,
        })
    }

    /// Whether it declines this.
    pub fn declines(self, operation: Operation) -> bool {
        matches!((self, operation), (Self::Decline, Operation::Authorize) | (Self::DeclineCapture, Operation::Capture))
    }
}

#[cfg(test)]
mod tests;
