//! Reservations in a batch: set aside, kept, shipped, released.

use std::time::Duration;

use contract::{MovementKind, ReservationStatus, ShipmentId};

use super::{Answer, Batch, Fresh, Record, Stage, Standing, Verdict};
use crate::domain::hold::Hold;
use crate::domain::shipment::{Outcome, Shipment};

impl Batch {
    pub(super) fn reserve(&mut self, shipment: &Shipment, hold: Duration) -> Verdict {
        let (id, items_hash) = (shipment.id, shipment.items_hash());
        match self.standing(id) {
            Some(standing) if !standing.is_of(shipment.order_id, &items_hash) => Verdict::Settled(Answer::Mismatch),
            Some(Standing { stage: Stage::Live, .. }) => self.held(id, false),
            Some(Standing { stage: Stage::Shipped, .. }) => Verdict::TooLate(id),
            Some(Standing { stage: Stage::Refused, .. }) => Verdict::Refused(id),
            Some(Standing { stage: Stage::Voided, .. }) => Verdict::Never(id),
            None => {
                let shortfalls = shipment.shortfalls(&self.ground.shelf);
                if !shortfalls.is_empty() {
                    return self.refuse(shipment, items_hash, shortfalls);
                }
                let (order_id, lines) = (shipment.order_id, self.lines(shipment));
                for line in &lines {
                    self.change(line.book_id, 0, line.quantity);
                    self.note(MovementKind::Reserved, (id, order_id), line.book_id, (0, line.quantity));
                }
                let expires_at = Some(self.ground.now + hold);
                let made = Hold { order_id, items_hash, lines, status: ReservationStatus::Held, expires_at };
                self.ground.holds.insert(id, made);
                self.changed.insert(id);
                self.held(id, true)
            }
        }
    }

    pub(super) fn confirm(&mut self, id: ShipmentId) -> Verdict {
        match self.standing(id).map(|standing| standing.stage) {
            None => Verdict::Settled(Answer::Unknown),
            Some(Stage::Shipped) => Verdict::TooLate(id),
            Some(Stage::Refused | Stage::Voided) => Verdict::Never(id),
            Some(Stage::Live) => {
                if let Some(hold) = self.ground.holds.get_mut(&id)
                    && hold.status == ReservationStatus::Held
                {
                    (hold.status, hold.expires_at) = (ReservationStatus::Confirmed, None);
                    self.changed.insert(id);
                }
                self.held(id, false)
            }
        }
    }

    pub(super) fn ship_held(&mut self, id: ShipmentId) -> Verdict {
        match self.standing(id).map(|standing| standing.stage) {
            None => Verdict::Settled(Answer::Unknown),
            Some(Stage::Shipped) => Verdict::Shipped(id),
            Some(Stage::Refused | Stage::Voided) => Verdict::Never(id),
            Some(Stage::Live) => self.depart(id),
        }
    }

    /// What is set aside leaves.
    pub(super) fn depart(&mut self, id: ShipmentId) -> Verdict {
        let Some(hold) = self.ground.holds.get_mut(&id) else { return Verdict::Settled(Answer::Unknown) };
        hold.status = ReservationStatus::Shipped;
        let Hold { order_id, items_hash, lines, .. } = hold.clone();
        self.changed.insert(id);
        for line in &lines {
            self.change(line.book_id, -line.quantity, -line.quantity);
        }
        self.fresh.insert(id, Fresh::Ship { order_id, items_hash, lines, was_held: true });
        Verdict::Shipped(id)
    }

    /// Gives up what is set aside: nothing will ever ship under its id.
    pub(super) fn release(&mut self, id: ShipmentId, status: ReservationStatus) {
        let Some(hold) = self.ground.holds.get_mut(&id) else { return };
        hold.status = status;
        let Hold { order_id, items_hash, lines, .. } = hold.clone();
        self.changed.insert(id);
        for line in &lines {
            self.change(line.book_id, 0, -line.quantity);
            self.note(MovementKind::Released, (id, order_id), line.book_id, (0, -line.quantity));
        }
        let (order_id, items_hash) = (Some(order_id), Some(items_hash));
        self.voided.insert(id, Record { shipment_id: id, order_id, items_hash, outcome: Outcome::Voided });
    }

    pub(super) fn release_overdue(&mut self, id: ShipmentId) {
        if self.ground.holds.get(&id).is_some_and(|hold| hold.is_overdue(self.ground.now)) {
            self.release(id, ReservationStatus::Expired);
        }
    }

    fn held(&self, id: ShipmentId, is_new: bool) -> Verdict {
        match self.ground.holds.get(&id) {
            Some(hold) => Verdict::Held { id, status: hold.status, expires_at: hold.expires_at, is_new },
            None => Verdict::Settled(Answer::Unknown),
        }
    }
}
