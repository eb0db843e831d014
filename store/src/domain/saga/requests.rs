//! What people ask of a saga: to be cancelled, to take copies back, to try again.

use contract::{Money, OrderStatus, PaymentStatus, ReturnId, ShipmentId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::step::Run;
use super::{Call, Ending, Entry, Part, Saga, Stage, copies};
use crate::domain::delivery::Delivery;
use crate::domain::sourcing::Line;

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
    pub(super) call: Call,
}

/// Why something cannot be asked of a saga.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It has left, or is about to.
    #[error("the order has left, or is leaving")]
    Leaving,
    /// It has ended in another way.
    #[error("the order is {}", .0.as_str())]
    Ended(OrderStatus),
    /// A return of what has not left.
    #[error("only what has left can come back")]
    NotShipped,
    /// A return of more than is out.
    #[error("more than has left and is not back yet")]
    TooMany(Vec<Line>),
    /// Another return is under way.
    #[error("another return of the order is under way")]
    Returning,
    /// Nothing is being tried.
    #[error("nothing is left to be done")]
    Over,
}

impl Saga {
    /// Whether it may be cancelled now.
    ///
    /// # Errors
    /// Why not. One that is cancelled already may be.
    pub fn may_be_cancelled(&self, operator: bool) -> Result<(), Unfit> {
        match self.stage {
            Stage::Cancelled => Ok(()),
            Stage::Rejected => Err(Unfit::Ended(OrderStatus::Rejected)),
            Stage::Shipped | Stage::Returning | Stage::Refunding => Err(Unfit::Leaving),
            // Written off by a person of ours.
            Stage::Capturing if operator && self.paid.status == PaymentStatus::Failed => Ok(()),
            Stage::Capturing => Err(Unfit::Leaving),
            _ if self.committed && !operator => Err(Unfit::Leaving),
            _ => Ok(()),
        }
    }

    /// Whether these copies may come back now, or do so already under this id.
    ///
    /// # Errors
    /// Why not.
    pub fn may_be_returned(&self, id: ReturnId, lines: &[Line]) -> Result<(), Unfit> {
        if self.knows_return(id) {
            return Ok(());
        }
        match self.stage {
            Stage::Returning | Stage::Refunding => return Err(Unfit::Returning),
            Stage::Shipped => {}
            _ => return Err(Unfit::NotShipped),
        }
        let out = |line: &Line| -> u32 { self.parts.iter().map(|part| part.out(*line)).sum() };
        let too_many: Vec<_> = lines.iter().filter(|line| line.quantity > out(line)).copied().collect();
        if too_many.is_empty() { Ok(()) } else { Err(Unfit::TooMany(too_many)) }
    }

    fn knows_return(&self, id: ReturnId) -> bool {
        self.returns.contains(&id) || self.returning.as_ref().is_some_and(|returning| returning.id == id)
    }

    /// Whether everything that has left is back.
    pub fn is_returned(&self) -> bool {
        let mut shipped = self.parts.iter().filter(|part| part.shipped_at().is_some()).peekable();
        shipped.peek().is_some()
            && shipped.all(|part| part.lines.iter().all(|line| copies(&part.returned, *line) >= line.quantity))
    }
}

impl Part {
    /// Copies of the line's book that have left and are not back.
    fn out(&self, line: Line) -> u32 {
        let left = if self.shipped_at().is_some() { copies(&self.lines, line) } else { 0 };
        left.saturating_sub(copies(&self.returned, line))
    }
}

impl Run<'_> {
    pub(super) fn cancel(&mut self, operator: bool, reason: String) {
        if self.saga.is_over() || self.saga.may_be_cancelled(operator).is_err() {
            return;
        }
        if self.saga.stage == Stage::Capturing {
            self.saga.stage = Stage::Shipped;
            self.moved();
            self.write(Entry { name: "written-off", reason: Some(reason), ..Entry::default() });
        } else if self.saga.ending.is_none() {
            self.end(Ending::Cancel { reason });
        }
    }

    /// What goes back where: of each part what it is the first to have had.
    pub(super) fn take_back(&mut self, id: ReturnId, lines: &[Line]) {
        if self.saga.knows_return(id) || self.saga.may_be_returned(id, lines).is_err() {
            return;
        }
        let mut rest = lines.to_vec();
        let mut pieces = Vec::new();
        for part in &self.saga.parts {
            let mut back = Vec::new();
            for line in &mut rest {
                let quantity = part.out(*line).min(line.quantity);
                line.quantity -= quantity;
                back.push(Line { quantity, ..*line });
            }
            back.retain(|line| line.quantity > 0);
            if !back.is_empty() {
                // Its key follows from what was journaled, so that it is the same after a crash.
                let key = ReturnId(Uuid::new_v5(&id.uuid(), part.shipment.uuid().as_bytes()));
                pieces.push(Piece {
                    id: key,
                    shipment: part.shipment,
                    lines: back,
                    restocked: false,
                    call: Call::Idle,
                });
            }
        }
        let captured = self.saga.paid.status == PaymentStatus::Captured;
        let refund = lines.iter().map(|line| self.price(line).cents()).sum();
        let refund = if captured { Money(refund) } else { Money(0) };
        self.saga.returning = Some(Returning { id, pieces, refund });
        self.saga.stage = Stage::Returning;
        self.moved();
        let deadline = self.deadline_from_now();
        self.saga.deadline = deadline;
        self.write(Entry { name: "returning", ..Entry::default() });
    }

    /// Calls the warehouses that copies go back to.
    pub(super) fn call_pieces(&mut self) {
        let Some(returning) = &mut self.saga.returning else { return };
        for piece in returning.pieces.iter_mut().filter(|piece| !piece.restocked && piece.call == Call::Idle) {
            let Some(part) = self.saga.parts.iter().find(|part| part.shipment == piece.shipment) else { continue };
            piece.call = Call::Out;
            self.commands.push(super::Command::Call {
                step: super::Step::Restock,
                shipment: piece.shipment,
                warehouse: part.warehouse,
                lines: piece.lines.clone(),
                return_id: Some(piece.id),
            });
        }
    }

    pub(super) fn restocked(&mut self, shipment: ShipmentId, delivery: Delivery) {
        let pieces = self.saga.returning.iter_mut().flat_map(|returning| &mut returning.pieces);
        let Some(piece) = pieces.filter(|piece| !piece.restocked).find(|piece| piece.shipment == shipment) else {
            return;
        };
        let warehouse = self.saga.parts.iter().find(|part| part.shipment == shipment).map(|part| part.warehouse);
        let (reason, at_once) = match delivery {
            Delivery::Restocked { stock } => {
                (piece.restocked, piece.call) = (true, Call::Idle);
                self.saga.rows.extend(stock.into_iter().filter_map(|row| Some((warehouse?, row))));
                self.saga.unsettled.extend(warehouse);
                return;
            }
            Delivery::NeverSent { reason } | Delivery::Unknown { reason } => (reason, false),
            Delivery::WrongIdentity { reason } => (reason, true),
            other => (format!("the warehouse does not take it back: {other:?}"), true),
        };
        piece.call = Call::Resting;
        self.tried(reason, at_once);
    }

    pub(super) fn leave_returning(&mut self) {
        let Some(returning) = &self.saga.returning else { return };
        if !returning.pieces.iter().all(|piece| piece.restocked) {
            return;
        }
        if returning.refund == Money(0) {
            self.refunded();
        } else {
            self.saga.stage = Stage::Refunding;
        }
    }

    /// The return is complete.
    pub(super) fn refunded(&mut self) {
        let Some(returning) = self.saga.returning.take() else { return };
        self.saga.returns.push(returning.id);
        let mut returned = Vec::new();
        for piece in returning.pieces {
            returned.extend_from_slice(&piece.lines);
            if let Some(part) = self.saga.parts.iter_mut().find(|part| part.shipment == piece.shipment) {
                add(&mut part.returned, &piece.lines);
            }
        }
        let paid = &mut self.saga.paid;
        paid.refunded = Money(paid.refunded.cents().saturating_add(returning.refund.cents()));
        if paid.status == PaymentStatus::Captured && paid.refunded == paid.captured {
            paid.status = PaymentStatus::Refunded;
        }
        self.saga.stage = Stage::Shipped;
        self.moved();
        self.write(Entry { name: "returned", returned, ..Entry::default() });
    }

    pub(super) fn retry(&mut self) {
        if self.saga.is_over() {
            return;
        }
        let paid = &mut self.saga.paid;
        if std::mem::take(&mut paid.refused) {
            // The outcome of a key is final: another try takes another one, which must be durable first. Not where the
            // outcome is unknown: that would charge twice.
            if paid.status == PaymentStatus::Failed {
                paid.status = PaymentStatus::Authorized;
            }
            paid.attempt = paid.attempt.saturating_add(1);
            self.moved();
            self.write(Entry { name: "retried", ..Entry::default() });
        }
        self.wake();
        if self.saga.stage == Stage::AwaitingStock {
            self.saga.stage = Stage::Sourcing;
        }
    }

    pub(super) fn resume(&mut self) {
        if self.saga.is_over() {
            return;
        }
        let deadline = self.deadline_from_now();
        self.saga.deadline = deadline;
        self.saga.refusals.clear();
        self.moved();
        self.write(Entry { name: "resumed", ..Entry::default() });
        self.wake();
        if self.saga.stage == Stage::AwaitingStock {
            self.saga.stage = Stage::Sourcing;
        }
    }
}

/// Adds lines to lines, book by book.
fn add(sum: &mut Vec<Line>, lines: &[Line]) {
    for line in lines {
        match sum.iter_mut().find(|known| known.book == line.book) {
            Some(known) => known.quantity = known.quantity.saturating_add(line.quantity),
            None => sum.push(*line),
        }
    }
}
