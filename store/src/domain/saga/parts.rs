//! Parts: what each is asked for next, and what an answer makes of it.

use contract::{ShipmentId, StockRow, Timestamp, WarehouseId};

use super::step::{REFUSALS, Run};
use super::{Call, Command, Entry, Part, PartState, Saga, Stage, Step};
use crate::domain::delivery::Delivery;

impl Saga {
    /// What the part is to be asked for in the present stage.
    pub(super) fn step_of(&self, part: &Part) -> Option<Step> {
        match (self.stage, part.state) {
            (Stage::Reserving, PartState::Planned) => Some(Step::Reserve),
            (Stage::Confirming, PartState::Held) => Some(Step::Confirm),
            (Stage::Shipping, PartState::Confirmed) => Some(Step::ShipHeld),
            (Stage::Shipping, PartState::Planned) if part.direct => Some(Step::Ship),
            (Stage::Undoing, _) if part.is_pending() => Some(Step::Void),
            _ => None,
        }
    }

    fn part(&mut self, shipment: ShipmentId) -> Option<&mut Part> {
        self.parts.iter_mut().find(|part| part.shipment == shipment && part.is_alive())
    }
}

impl Run<'_> {
    /// Calls the warehouses of all parts that are to be asked for something.
    pub(super) fn call_parts(&mut self) {
        for index in 0..self.saga.parts.len() {
            let part = &self.saga.parts[index];
            let Some(step) = self.saga.step_of(part).filter(|_| part.call == Call::Idle) else { continue };
            let (shipment, warehouse) = (part.shipment, part.warehouse);
            let lines = match step {
                Step::Ship | Step::Reserve => part.lines.clone(),
                _ => Vec::new(),
            };
            self.commands.push(Command::Call { step, shipment, warehouse, lines, return_id: None });
            self.saga.parts[index].call = Call::Out;
        }
    }

    /// What was never sent is given up without asking anybody.
    pub(super) fn give_up_unsent(&mut self) {
        let unsent = |part: &&mut Part| part.is_pending() && !part.maybe_sent && part.call != Call::Out;
        self.saga.parts.iter_mut().filter(unsent).for_each(|part| part.state = PartState::Voided);
    }

    /// The warehouse says by itself that a part has left. It is as certain as an answer.
    pub(super) fn confirmed(&mut self, shipment: ShipmentId, at: Timestamp, rows: Vec<StockRow>) {
        if let Some(part) = self.saga.part(shipment)
            && part.is_pending()
        {
            let warehouse = part.warehouse;
            self.shipped(shipment, at, warehouse, rows);
        }
    }

    pub(super) fn delivered(&mut self, shipment: ShipmentId, step: Step, delivery: Delivery) {
        if step == Step::Restock {
            return self.restocked(shipment, delivery);
        }
        let stage = self.saga.stage;
        let Some(part) = self.saga.part(shipment) else { return };
        part.call = Call::Idle;
        if !part.is_pending() {
            return;
        }
        let (warehouse, was_sent) = (part.warehouse, part.maybe_sent);
        // Certainly there, whatever comes next; only what was never sent leaves it as it was.
        part.maybe_sent |= !matches!(delivery, Delivery::NeverSent { .. } | Delivery::WrongIdentity { .. });
        match delivery {
            Delivery::Shipped(receipt) => self.shipped(shipment, receipt.shipped_at, warehouse, receipt.stock),
            Delivery::Held { expires_at, stock } => {
                part.state = if expires_at.is_some() { PartState::Held } else { PartState::Confirmed };
                self.settled(warehouse, stock);
            }
            Delivery::Refused { stock, .. } => {
                part.state = PartState::Refused;
                self.saga.refusals.push(warehouse);
                self.saga.unreachable.clear();
                self.settled(warehouse, stock);
            }
            Delivery::Voided { stock } => {
                part.state = PartState::Voided;
                // One that shipped by one call was voided by a person, who wants it to go elsewhere; a hold has expired.
                let refusals = if part.direct { REFUSALS } else { 1 };
                if stage != Stage::Undoing {
                    self.saga.unreachable.clear();
                    self.saga.refusals.extend(std::iter::repeat_n(warehouse, refusals));
                }
                self.settled(warehouse, stock);
            }
            // R1: only if no earlier attempt may have reached it. The refusal of a stranger in its place is as certain, and
            // says as little of what became of an earlier one.
            Delivery::NeverSent { .. } | Delivery::WrongIdentity { .. } if !was_sent => {
                part.state = PartState::Voided;
                self.saga.unreachable.push(warehouse);
            }
            Delivery::WrongIdentity { reason } => self.part_tried(shipment, reason, true),
            Delivery::NeverSent { reason } | Delivery::Unknown { reason } => self.part_tried(shipment, reason, false),
            Delivery::Restocked { .. } => {
                self.part_tried(shipment, format!("answered {} with a return", step.name()), false);
            }
        }
    }

    /// The same call again until it is answered, never another warehouse.
    fn part_tried(&mut self, shipment: ShipmentId, reason: String, at_once: bool) {
        if let Some(part) = self.saga.part(shipment) {
            part.call = Call::Resting;
        }
        let at_once = at_once && self.saga.attention.is_none();
        self.tried(reason, at_once);
    }

    fn shipped(&mut self, shipment: ShipmentId, at: Timestamp, warehouse: WarehouseId, rows: Vec<StockRow>) {
        if let Some(part) = self.saga.part(shipment) {
            part.state = PartState::Shipped { at };
        }
        self.saga.committed = true;
        self.saga.rows.extend(rows.into_iter().map(|row| (warehouse, row)));
        self.saga.unsettled.push(warehouse);
        self.moved();
        // The last one of all is written with what becomes of the payment.
        if self.saga.parts.iter().any(Part::is_pending) || !self.saga.missing(self.terms).is_empty() {
            self.write(Entry { name: "part-shipped", shipment: Some(shipment), ..Entry::default() });
        }
    }

    /// Rows of a hold or of its end, which count at once: what is held is out of the cache, what is let go is back.
    fn settled(&mut self, warehouse: WarehouseId, rows: Vec<StockRow>) {
        self.saga.effort = super::Effort::default();
        self.saga.rows.extend(rows.iter().map(|row| (warehouse, *row)));
        self.commands.push(Command::Settle { warehouse, rows });
    }
}
