//! What a saga has done by others. Each result comes back as an event.

use std::sync::Arc;
use std::time::Duration;

use ::actors::{AskError, BatchError, Context, EffectError};
use contract::{Money, ReturnId, ShipmentId, WarehouseId};
use serde_json::json;

use super::{Msg, State};
use crate::actors::availability;
use crate::actors::journal::{self, Entry, Written};
use crate::actors::warehouses::{dispatcher, registry};
use crate::db::journal::{Advanced, Tried};
use crate::domain::delivery::{Action, Call, Delivery};
use crate::domain::order;
use crate::domain::payment::{Charge, Operation, Outcome};
use crate::domain::saga::{Event, Part, Step};
use crate::domain::sourcing::{Demand, Line, Wants};

/// How long a question to another actor of the store may take.
const ASK_WITHIN: Duration = Duration::from_secs(5);
/// How long a call may take, its time in the dispatcher's line included.
const CALL_WITHIN: Duration = Duration::from_secs(60);
/// How long the payment gateway may take.
const CHARGE_WITHIN: Duration = Duration::from_secs(10);
/// The wait before sourcing is tried again when it could not be asked.
pub(super) const SOURCE_AGAIN: Duration = Duration::from_secs(1);

/// What a warehouse is to be asked.
pub(super) struct Asking {
    pub(super) step: Step,
    pub(super) shipment: ShipmentId,
    pub(super) warehouse: WarehouseId,
    pub(super) lines: Vec<Line>,
    pub(super) return_id: Option<ReturnId>,
}

impl State {
    pub(super) fn write(&self, advanced: Advanced, ctx: &mut Context<Msg>) {
        let journal = self.args.peers.journal.clone();
        let entry = Entry::Advance(Arc::new(advanced));
        let ask = async move { journal.ask(super::WRITE_WITHIN, |reply| journal::Msg::Write { entry, reply }).await };
        ctx.effect(super::WRITE_WITHIN * 2, ask, |asked: Result<Result<Result<Written, BatchError>, AskError>, _>| {
            Msg::Written(match asked {
                Ok(Ok(Ok(written))) => Ok(written),
                Ok(Ok(Err(error))) => Err(error.to_string()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            })
        });
    }

    /// For people, who want to see what it tries in vain. One that is lost is followed by the next.
    pub(super) fn note_try(&mut self, ctx: &mut Context<Msg>) {
        if self.noting {
            return;
        }
        self.noting = true;
        let tried = Tried { order_id: self.order.id, seq: self.seq, effort: json!(self.saga.effort) };
        let (journal, entry) = (self.args.peers.journal.clone(), Entry::Note(Arc::new(tried)));
        let ask = async move { journal.ask(super::WRITE_WITHIN, |reply| journal::Msg::Write { entry, reply }).await };
        ctx.effect(super::WRITE_WITHIN * 2, ask, |_| Msg::Noted);
    }

    pub(super) fn call(&self, asking: Asking, ctx: &mut Context<Msg>) {
        let Asking { step, shipment, warehouse, lines, return_id } = asking;
        let lines = order::contents(&self.order, &lines);
        let action = match (step, return_id) {
            (Step::Ship, _) => Action::Ship { lines },
            (Step::Reserve, _) => Action::Reserve { lines, hold: self.args.peers.policy.hold },
            (Step::Confirm, _) => Action::Confirm,
            (Step::ShipHeld, _) => Action::ShipHeld,
            (Step::Restock, Some(return_id)) => Action::Restock { return_id, lines },
            _ => Action::Void,
        };
        let (registry, order, trace) = (self.args.peers.registry.clone(), self.order.id, self.trace.clone());
        let call = async move {
            let known = match registry.ask(ASK_WITHIN, |reply| registry::Msg::Find { id: warehouse, reply }).await {
                Ok(Some(known)) => known,
                // R19: it was deleted, or gave way to another database, where this shipment must not be asked for.
                Ok(None) => {
                    return Delivery::WrongIdentity { reason: "the warehouse that was asked is gone".to_owned() };
                }
                Err(error) => return Delivery::NeverSent { reason: format!("registry: {error}") },
            };
            let call = Call { order, shipment, database_id: known.database_id, action };
            let ask = known.dispatcher.ask(CALL_WITHIN, |reply| dispatcher::Msg::Call { call, trace, reply });
            match ask.await {
                Ok(delivery) => delivery,
                Err(AskError::Refused) => Delivery::NeverSent { reason: "the dispatcher is down or full".to_owned() },
                Err(error) => Delivery::Unknown { reason: format!("dispatcher: {error}") },
            }
        };
        ctx.effect(CALL_WITHIN * 2, call, move |outcome: Result<Delivery, EffectError>| {
            let delivery = outcome.unwrap_or_else(|error| Delivery::Unknown { reason: error.to_string() });
            Msg::Event(Event::Delivered { shipment, step, delivery })
        });
    }

    pub(super) fn charge(&self, operation: Operation, key: String, amount: Money, ctx: &mut Context<Msg>) {
        let (order, method) = (self.order.id, self.order.payment.method.clone());
        let call = self.args.peers.gateway.call(&Charge { key, order, operation, amount, method });
        ctx.effect(CHARGE_WITHIN, call, move |outcome: Result<Outcome, EffectError>| {
            let outcome = outcome.unwrap_or_else(|error| Outcome::Unknown { reason: error.to_string() });
            Msg::Event(Event::Charged { operation, outcome })
        });
    }

    fn wants(&self, lines: &[Line], exclude: Vec<WarehouseId>) -> Wants {
        Wants { demand: Demand::new(lines), allow_split: self.saga.options.allow_split, exclude }
    }

    pub(super) fn source(&self, lines: Vec<Line>, exclude: Vec<WarehouseId>, ctx: &mut Context<Msg>) {
        let (availability, order) = (self.args.peers.availability.clone(), self.order.id);
        let wants = self.wants(&lines, exclude.clone());
        let ask =
            async move { availability.ask(ASK_WITHIN, |reply| availability::Msg::Plan { order, wants, reply }).await };
        ctx.effect(ASK_WITHIN * 2, ask, |outcome: Result<Result<_, AskError>, EffectError>| match outcome {
            Ok(Ok(Ok(plan))) => Msg::Event(Event::Sourced { reason: plan.reason.clone(), parts: parts(plan) }),
            Ok(Ok(Err(shortfalls))) => Msg::Event(Event::NotSourced { shortfalls }),
            Ok(Err(_)) | Err(_) => Msg::NotPlanned { lines, exclude },
        });
    }

    /// If this is refused, it is told again with the next retry.
    pub(super) fn await_stock(&self, lines: &[Line], exclude: Vec<WarehouseId>) {
        let (order, since, wants) = (self.order.id, self.saga.placed_at, self.wants(lines, exclude));
        let _ = self.args.peers.availability.tell(availability::Msg::AwaitStock { order, since, wants });
    }
}

/// The parts of a plan, each under a key of its own. A single one ships by one call.
pub(in crate::actors) fn parts(plan: availability::Plan) -> Vec<Part> {
    let direct = plan.parts.len() == 1;
    let part = |part: crate::domain::sourcing::Part| {
        Part::new(ShipmentId::new(), part.warehouse, part.name, part.lines, direct)
    };
    plan.parts.into_iter().map(part).collect()
}
