//! What follows from an event: what it says is taken in, then the stages that this ends are left, then what the stage
//! that is reached asks for is begun.

use chrono::TimeDelta;
use contract::{PaymentStatus, Timestamp};

use super::{Call, Command, Ending, Entry, Event, PartState, Policy, Saga, Stage, Stepped, Terms};

/// How often a warehouse may refuse an order before it is asked no more: its rows came with the refusal, so that it is
/// asked again only for what it says it has.
pub(super) const REFUSALS: usize = 2;

/// A step being made.
pub(super) struct Run<'a> {
    pub(super) saga: Saga,
    pub(super) terms: &'a Terms,
    pub(super) now: Timestamp,
    pub(super) policy: &'a Policy,
    pub(super) entry: Option<Entry>,
    pub(super) commands: Vec<Command>,
}

impl Saga {
    /// What follows from `event`. What comes late, for a shipment given up or after the end, changes nothing.
    #[must_use]
    pub fn step(&self, event: Event, terms: &Terms, now: Timestamp, policy: &Policy) -> Stepped {
        let mut run = Run { saga: self.clone(), terms, now, policy, entry: None, commands: Vec::new() };
        run.take(event);
        run.leave();
        run.begin();
        run.finish()
    }
}

impl Run<'_> {
    fn take(&mut self, event: Event) {
        match event {
            Event::Begun => {}
            Event::Woke => self.wake(),
            Event::StockCame if self.saga.stage == Stage::AwaitingStock => self.saga.stage = Stage::Sourcing,
            Event::StockCame => {}
            Event::Charged { operation, outcome } => self.charged(operation, outcome),
            Event::Delivered { shipment, step, delivery } => self.delivered(shipment, step, delivery),
            Event::Confirmed { shipment, shipped_at, stock } => self.confirmed(shipment, shipped_at, stock),
            Event::Sourced { parts, reason } => self.sourced(parts, reason),
            Event::NotSourced { shortfalls } => self.not_sourced(shortfalls),
            Event::Cancel { operator, reason } => self.cancel(operator, reason),
            Event::Return { id, lines } => self.take_back(id, &lines),
            Event::Retry => self.retry(),
            Event::Resume => self.resume(),
        }
    }

    /// Leaves every stage that has come to its end.
    fn leave(&mut self) {
        loop {
            let before = self.saga.stage;
            match before {
                Stage::Reserving | Stage::Confirming => self.leave_holding(),
                Stage::Shipping => self.leave_shipping(),
                Stage::Undoing => self.leave_undoing(),
                Stage::Returning => self.leave_returning(),
                _ => {}
            }
            if self.saga.stage == before {
                return;
            }
        }
    }

    fn leave_holding(&mut self) {
        let (mut pending, mut gone) = (self.saga.parts.iter().filter(|part| part.is_pending()), self.saga.parts.iter());
        if gone.any(|part| !part.is_alive()) {
            // Either all of it or none: what is held is let go at once, and looked for anew.
            self.saga.stage = Stage::Undoing;
        } else if self.saga.stage == Stage::Reserving && pending.all(|part| part.state != PartState::Planned) {
            self.saga.stage = Stage::Confirming;
        } else if self.saga.stage == Stage::Confirming && pending.all(|part| part.state == PartState::Confirmed) {
            self.saga.stage = Stage::Shipping;
            self.saga.committed = true;
            self.write(Entry { name: "held", ..Entry::default() });
        }
    }

    fn leave_shipping(&mut self) {
        if self.saga.parts.iter().any(|part| part.is_pending()) {
            return;
        }
        let complete = self.saga.missing(self.terms).is_empty();
        self.saga.stage = if complete { Stage::Capturing } else { Stage::Sourcing };
    }

    fn leave_undoing(&mut self) {
        self.give_up_unsent();
        if self.saga.parts.iter().any(|part| part.is_pending()) {
            return;
        }
        let has_left = self.saga.parts.iter().any(|part| part.shipped_at().is_some());
        self.saga.stage = match &self.saga.ending {
            // What has left has left, and is all there will be.
            Some(_) if has_left => {
                self.saga.short = !self.saga.missing(self.terms).is_empty();
                self.saga.ending = None;
                Stage::Capturing
            }
            Some(_) => Stage::VoidingPayment,
            None => Stage::Sourcing,
        };
    }

    /// Begins whatever the stage asks for and is not under way.
    fn begin(&mut self) {
        match self.saga.stage {
            Stage::Authorizing | Stage::Capturing | Stage::VoidingPayment | Stage::Refunding => self.charge(),
            Stage::Sourcing => self.source(),
            Stage::AwaitingStock => self.await_stock(),
            Stage::Reserving | Stage::Confirming | Stage::Shipping | Stage::Undoing => self.call_parts(),
            Stage::Returning => self.call_pieces(),
            Stage::Shipped | Stage::Rejected | Stage::Cancelled => {}
        }
    }

    fn source(&mut self) {
        if self.saga.sourcing == Call::Idle {
            self.saga.sourcing = Call::Out;
            let (lines, exclude) = (self.saga.missing(self.terms), self.excluded());
            self.commands.push(Command::Source { lines, exclude });
        }
    }

    fn await_stock(&mut self) {
        if self.saga.sourcing == Call::Resting {
            return self.wait(self.backoff(self.saga.unreached));
        }
        let (lines, exclude) = (self.saga.missing(self.terms), self.refused_often());
        self.commands.push(Command::AwaitStock { lines, exclude });
        self.wait(self.policy.stock_retry);
    }

    fn excluded(&self) -> Vec<contract::WarehouseId> {
        let mut excluded = self.refused_often();
        excluded.extend(&self.saga.unreachable);
        excluded
    }

    fn refused_often(&self) -> Vec<contract::WarehouseId> {
        let refusals = &self.saga.refusals;
        let often = |id: &contract::WarehouseId| refusals.iter().filter(|other| *other == id).count() >= REFUSALS;
        let mut excluded: Vec<_> = refusals.iter().copied().filter(often).collect();
        excluded.sort_unstable();
        excluded.dedup();
        excluded
    }

    fn sourced(&mut self, parts: Vec<super::Part>, reason: String) {
        self.saga.sourcing = Call::Idle;
        if self.saga.stage != Stage::Sourcing {
            // Nobody wants it any more, and nobody else would give it back.
            self.commands.push(Command::Release);
            return;
        }
        self.saga.unreachable.clear();
        self.saga.replaced.extend(self.saga.parts.extract_if(.., |part| !part.is_alive()));
        let name = if self.saga.replaced.is_empty() { "sourced" } else { "moved" };
        self.saga.stage = if parts.iter().all(|part| part.direct) { Stage::Shipping } else { Stage::Reserving };
        self.saga.parts.extend(parts);
        self.saga.backordered = false;
        self.moved();
        self.write(Entry { name, sourcing: Some(reason), ..Entry::default() });
    }

    fn not_sourced(&mut self, shortfalls: Vec<contract::Shortfall>) {
        self.saga.sourcing = Call::Idle;
        if self.saga.stage != Stage::Sourcing {
            return;
        }
        let unreachable = !std::mem::take(&mut self.saga.unreachable).is_empty();
        let waits_until = self.saga.placed_at.checked_add_signed(delta(self.policy.backorder_for));
        let may_wait = waits_until.is_none_or(|until| self.now < until);
        if self.saga.committed {
            // Nothing is given up for the sake of what has left: the rest waits, and a person may refund it.
            self.saga.stage = Stage::AwaitingStock;
            if !may_wait {
                self.call_a_person("the rest of the order could not be found in time");
            }
            self.backorder();
        } else if self.saga.options.allow_backorder && may_wait {
            self.saga.stage = Stage::AwaitingStock;
            self.backorder();
        } else if unreachable && self.now < self.saga.deadline {
            // It was never sent and nobody else has everything: the warehouse may come back.
            self.saga.stage = Stage::AwaitingStock;
        } else {
            let reason =
                if unreachable { "no warehouse could be reached in time" } else { "no warehouse has everything" };
            self.end(Ending::Reject { reason: reason.to_owned(), shortfalls });
        }
        if unreachable && self.saga.stage == Stage::AwaitingStock {
            // It has what is missing: in the line that would come at once, be out of reach again, and so on without end.
            self.saga.unreached = self.saga.unreached.saturating_add(1);
            self.saga.sourcing = Call::Resting;
            self.commands.push(Command::Release);
        }
    }

    fn backorder(&mut self) {
        if !self.saga.backordered {
            self.saga.backordered = true;
            self.write(Entry { name: "backordered", ..Entry::default() });
        }
    }

    /// Begins to give everything up, for good.
    pub(super) fn end(&mut self, ending: Ending) {
        let (name, reason, shortfalls) = match &ending {
            Ending::Cancel { reason } => ("cancelling", reason.clone(), Vec::new()),
            Ending::Reject { reason, shortfalls } => ("rejecting", reason.clone(), shortfalls.clone()),
        };
        // What rested before its next try is asked for something else now.
        self.wake();
        self.saga.deadline = self.deadline_from_now();
        self.saga.ending = Some(ending);
        self.saga.stage = Stage::Undoing;
        self.saga.backordered = false;
        self.moved();
        self.write(Entry { name, reason: Some(reason), shortfalls, ..Entry::default() });
    }

    pub(super) fn wake(&mut self) {
        let rested = |call: &mut Call| {
            if *call == Call::Resting {
                *call = Call::Idle;
            }
        };
        self.saga.parts.iter_mut().for_each(|part| rested(&mut part.call));
        let pieces = self.saga.returning.iter_mut().flat_map(|returning| &mut returning.pieces);
        pieces.for_each(|piece| rested(&mut piece.call));
        rested(&mut self.saga.paid.call);
        rested(&mut self.saga.sourcing);
        self.saga.effort.next_at = None;
        if self.saga.stage == Stage::AwaitingStock && self.now >= self.waits_until() {
            self.saga.stage = Stage::Sourcing;
        }
    }

    /// How long it waits for stock, or for a warehouse that can be reached.
    fn waits_until(&self) -> Timestamp {
        if !self.saga.backordered {
            return self.saga.deadline;
        }
        self.saga.placed_at.checked_add_signed(delta(self.policy.backorder_for)).unwrap_or(Timestamp::MAX_UTC)
    }

    /// A call had no answer: the same again later, and a person once it has been long enough.
    pub(super) fn tried(&mut self, reason: String, at_once: bool) {
        let effort = &mut self.saga.effort;
        effort.attempts = effort.attempts.saturating_add(1);
        effort.first_at = effort.first_at.or(Some(self.now));
        effort.latest_at = Some(self.now);
        effort.error = Some(reason.clone());
        if at_once || self.now >= self.saga.deadline {
            self.call_a_person(&reason);
        }
        let wait = if self.saga.attention.is_some() {
            self.policy.attention_retry
        } else {
            self.backoff(self.saga.effort.attempts)
        };
        self.wait(wait);
    }

    /// The wait after so many tries in vain.
    fn backoff(&self, tries: u32) -> std::time::Duration {
        let doublings = tries.saturating_sub(1).min(16);
        self.policy.first_retry.saturating_mul(1 << doublings).min(self.policy.longest_retry)
    }

    /// R5: a flag, not a stop.
    pub(super) fn call_a_person(&mut self, reason: &str) {
        if self.saga.attention.is_none() {
            let reason = match self.saga.waits_for() {
                Some(what) => format!("waiting for {what}: {reason}"),
                None => reason.to_owned(),
            };
            self.saga.attention = Some(reason.clone());
            self.write(Entry { name: "needs-attention", reason: Some(reason), ..Entry::default() });
        }
    }

    fn wait(&mut self, wait: std::time::Duration) {
        self.saga.effort.next_at = self.now.checked_add_signed(delta(wait));
        self.commands.push(Command::Wait(wait));
    }

    /// When a person must look at what begins now.
    pub(super) fn deadline_from_now(&self) -> Timestamp {
        self.now.checked_add_signed(delta(self.policy.attention_after)).unwrap_or(Timestamp::MAX_UTC)
    }

    /// It has moved: nothing is in vain any more, and nobody needs to look.
    pub(super) fn moved(&mut self) {
        self.saga.effort = super::Effort::default();
        self.saga.attention = None;
    }

    /// The last of several in one step says most.
    pub(super) fn write(&mut self, entry: Entry) {
        let before = self.entry.take().unwrap_or_default();
        self.entry = Some(Entry {
            reason: entry.reason.or(before.reason),
            shortfalls: if entry.shortfalls.is_empty() { before.shortfalls } else { entry.shortfalls },
            ..entry
        });
    }

    /// The end of a saga, with nothing shipped.
    pub(super) fn over(&mut self, stage: Stage, name: &'static str, reason: String, payment: PaymentStatus) {
        self.saga.stage = stage;
        self.saga.paid.status = payment;
        self.moved();
        self.write(Entry { name, reason: Some(reason), ..Entry::default() });
        self.commands.push(Command::Release);
    }

    fn finish(mut self) -> Stepped {
        if let Some(entry) = &mut self.entry {
            entry.stock = std::mem::take(&mut self.saga.rows);
            let mut warehouses = std::mem::take(&mut self.saga.unsettled);
            warehouses.sort_unstable();
            warehouses.dedup();
            let of = |id| entry.stock.iter().filter(move |(other, _)| *other == id).map(|(_, row)| *row).collect();
            let settle = warehouses.into_iter().map(|warehouse| Command::Settle { warehouse, rows: of(warehouse) });
            let settle: Vec<_> = settle.collect();
            self.commands.splice(0..0, settle);
        }
        Stepped { saga: self.saga, entry: self.entry, commands: self.commands }
    }
}

fn delta(duration: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
