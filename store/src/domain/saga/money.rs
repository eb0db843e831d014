//! The payment: authorised before anything is asked of a warehouse, captured once everything has left, given back where
//! nothing has or something returns.

use contract::{Money, PaymentStatus};

use super::step::Run;
use super::{Call, Command, Ending, Entry, Saga, Stage};
use crate::domain::payment::{Operation, Outcome};

impl Saga {
    /// What the payment gateway is asked for in the present stage.
    pub(super) fn operation(&self) -> Option<Operation> {
        match self.stage {
            Stage::Authorizing => Some(Operation::Authorize),
            // What was refused waits for a person.
            Stage::Capturing if self.paid.status != PaymentStatus::Failed => Some(Operation::Capture),
            Stage::VoidingPayment => Some(Operation::Void),
            Stage::Refunding => Some(Operation::Refund),
            _ => None,
        }
    }
}

impl Run<'_> {
    pub(super) fn charge(&mut self) {
        let Some(operation) = self.saga.operation().filter(|_| self.saga.paid.call == Call::Idle) else { return };
        let amount = match operation {
            Operation::Authorize | Operation::Void => self.terms.total,
            Operation::Capture => self.price_of_shipped(),
            Operation::Refund => self.saga.returning.as_ref().map_or(Money(0), |returning| returning.refund),
        };
        self.saga.paid.call = Call::Out;
        let key = self.key(operation);
        self.commands.push(Command::Charge { operation, key, amount });
    }

    fn key(&self, operation: Operation) -> String {
        let mut key = format!("{}/{}", self.terms.order, operation.name());
        if let (Operation::Refund, Some(returning)) = (operation, &self.saga.returning) {
            key = format!("{key}/{}", returning.id);
        }
        if self.saga.paid.attempt > 0 {
            key = format!("{key}/{}", self.saga.paid.attempt);
        }
        key
    }

    /// What everything that has left costs. No sum of parts of an order overflows: its total does not.
    fn price_of_shipped(&self) -> Money {
        let shipped = self.saga.parts.iter().filter(|part| part.shipped_at().is_some());
        let lines = shipped.flat_map(|part| &part.lines);
        let prices = lines.map(|line| self.price(line).cents());
        Money(prices.sum())
    }

    pub(super) fn price(&self, line: &crate::domain::sourcing::Line) -> Money {
        let item = self.terms.items.iter().find(|item| item.line.book == line.book);
        item.and_then(|item| item.price.times(line.quantity)).unwrap_or(Money(0))
    }

    pub(super) fn charged(&mut self, operation: Operation, outcome: Outcome) {
        self.saga.paid.call = Call::Idle;
        match outcome {
            Outcome::Done => self.charge_done(operation),
            Outcome::Refused { reason } => self.charge_refused(operation, &reason),
            Outcome::NeverSent { reason } | Outcome::Unknown { reason } => self.charge_tried(operation, reason),
        }
    }

    fn charge_done(&mut self, operation: Operation) {
        match (operation, self.saga.stage) {
            (Operation::Authorize, Stage::Authorizing) => {
                self.saga.paid.status = PaymentStatus::Authorized;
                self.saga.effort = super::Effort::default();
                self.saga.stage = match &self.saga.parts[..] {
                    [] => Stage::Sourcing,
                    parts if parts.iter().all(|part| part.direct) => Stage::Shipping,
                    _ => Stage::Reserving,
                };
            }
            (Operation::Authorize, _) => self.saga.paid.status = PaymentStatus::Authorized,
            (Operation::Capture, Stage::Capturing) => {
                let name = if self.saga.noted_shipped { "captured" } else { "shipped" };
                self.saga.paid.captured = self.price_of_shipped();
                self.saga.paid.status = PaymentStatus::Captured;
                self.saga.stage = Stage::Shipped;
                self.moved();
                self.write(Entry { name, ..Entry::default() });
            }
            (Operation::Void, Stage::VoidingPayment) => match self.saga.ending.take() {
                Some(Ending::Cancel { reason }) => {
                    self.over(Stage::Cancelled, "cancelled", reason, PaymentStatus::Voided);
                }
                Some(Ending::Reject { reason, shortfalls }) => {
                    self.over(Stage::Rejected, "rejected", reason, PaymentStatus::Voided);
                    self.write(Entry { name: "rejected", shortfalls, ..Entry::default() });
                }
                None => {}
            },
            (Operation::Refund, Stage::Refunding) => self.refunded(),
            _ => {}
        }
    }

    fn charge_refused(&mut self, operation: Operation, reason: &str) {
        match (operation, self.saga.stage) {
            (Operation::Authorize, Stage::Authorizing) => {
                let reason = format!("the payment was declined: {reason}");
                self.give_up_unsent();
                if self.saga.parts.iter().any(|part| part.is_pending()) {
                    // Read back after a restart, nobody knows that nothing was sent, however unlikely.
                    self.end(Ending::Reject { reason, shortfalls: Vec::new() });
                } else {
                    self.over(Stage::Rejected, "declined", reason, PaymentStatus::Failed);
                }
            }
            (Operation::Capture, Stage::Capturing) => {
                (self.saga.paid.status, self.saga.paid.refused) = (PaymentStatus::Failed, true);
                self.note_shipped();
                self.call_a_person(&format!("what has left could not be charged: {reason}"));
            }
            (Operation::Void, Stage::VoidingPayment) | (Operation::Refund, Stage::Refunding) => {
                self.saga.paid.refused = true;
                self.saga.paid.call = Call::Resting;
                let reason = format!("the payment gateway refused: {reason}");
                self.write(Entry { name: "needs-attention", reason: Some(reason.clone()), ..Entry::default() });
                self.tried(reason, true);
            }
            _ => {}
        }
    }

    fn charge_tried(&mut self, operation: Operation, reason: String) {
        if self.saga.operation() != Some(operation) {
            return;
        }
        if operation == Operation::Authorize && self.now >= self.saga.deadline {
            let reason = format!("the payment could not be authorised in time: {reason}");
            return self.end(Ending::Reject { reason, shortfalls: Vec::new() });
        }
        if operation == Operation::Capture {
            self.note_shipped();
        }
        self.saga.paid.call = Call::Resting;
        self.tried(reason, false);
    }

    /// That it has left is not held back by what becomes of its payment.
    fn note_shipped(&mut self) {
        if !self.saga.noted_shipped {
            self.saga.noted_shipped = true;
            self.write(Entry { name: "shipped", ..Entry::default() });
        }
    }
}
