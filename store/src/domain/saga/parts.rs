//! Parts: what each is asked for next, and what an answer makes of it.

use contract::{ShipmentId, StockRow, Timestamp, WarehouseId};
use serde::{Deserialize, Serialize};

use super::step::{REFUSALS, Run};
use super::{Call, Command, Entry, Saga, Stage, Step};
use crate::domain::delivery::Delivery;
use crate::domain::sourcing::Line;

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
    pub(super) maybe_sent: bool,
    #[serde(skip)]
    pub(super) call: Call,
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

const fn yes() -> bool {
    true
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
        let got_there = !matches!(delivery, Delivery::NeverSent { .. } | Delivery::WrongIdentity { .. });
        if got_there {
            self.saga.unreached = 0;
        }
        let Some(part) = self.saga.part(shipment) else { return };
        part.call = Call::Idle;
        if !part.is_pending() {
            return;
        }
        let (warehouse, was_sent) = (part.warehouse, part.maybe_sent);
        // Certainly there, whatever comes next; only what was never sent leaves it as it was.
        part.maybe_sent |= got_there;
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
