//! The fulfillment of one order. Child of `sagas`, one for each open order.
//!
//! Owns the saga between its journal entries. A restart reads it back and takes a call that was under way for unknown
//! (R1); whatever cannot be written or is in doubt ends this incarnation, so that the next one reads the truth.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::actors::{Actor, Address, AskError, BatchError, Context, EffectError, Failure, Reply, fault};
use contract::{Order, OrderId, ShipmentId, Shortfall, StockRow, Timestamp, WarehouseId};
use service::clock;
use service::queries::Reader;
use service::routes::Trace;
use strum::IntoStaticStr;

use stages::Counted;

use super::journal::{self, Entry, Written};
use super::warehouses::{dispatcher, registry};
use super::{availability, orders};
use crate::db;
use crate::db::journal::Advanced;
use crate::domain::delivery::{Action, Call, Delivery};
use crate::domain::order::{self, Change};
use crate::domain::saga::{Command, Event, Policy, Saga, Stage, Step, Transition};
use crate::domain::sourcing::{Demand, Line, Wants};
use crate::events::Events;

mod entry;

pub mod stages;

/// How long a journal entry may take: longer than the journal itself allows its flush.
pub(super) const WRITE_WITHIN: Duration = Duration::from_secs(20);
/// How long a question to another actor of the store may take.
const ASK_WITHIN: Duration = Duration::from_secs(5);
/// How long a call may take, its time in the dispatcher's line included.
const SHIP_WITHIN: Duration = Duration::from_secs(60);
/// The wait before sourcing is tried again when it could not be asked.
const SOURCE_AGAIN: Duration = Duration::from_secs(1);

/// Whom every saga talks to.
pub struct Peers {
    /// Where steps become durable.
    pub journal: Address<journal::Msg>,
    /// Who sources.
    pub availability: Address<availability::Msg>,
    /// Who knows the dispatchers.
    pub registry: Address<registry::Msg>,
    /// Who waits for the end.
    pub orders: Address<orders::Msg>,
    /// Told of what is found durable though its journal could not say so.
    pub events: Events,
    /// Where it is read back from.
    pub reader: Reader,
    /// How it tries.
    pub policy: Policy,
}

/// What the first start of a new order's saga need not read.
pub struct Seed {
    /// The order.
    pub order: Order,
    /// Its saga as accepted.
    pub saga: Saga,
    /// The client's request that placed it, to be passed on.
    pub trace: Option<Trace>,
}

/// What every start is given.
#[derive(Clone)]
pub struct Args {
    /// Whom it talks to.
    pub peers: Arc<Peers>,
    /// Whose fulfillment this is.
    pub order: OrderId,
    /// Taken by the first start.
    pub seed: Arc<Mutex<Option<Seed>>>,
}

/// Why a confirmation was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotConfirmed {
    /// This shipment was never asked for, or another took its place.
    NotInstructed,
}

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// Something happened.
    Event(Event),
    /// The warehouse says that the shipment has left.
    Confirm {
        /// The shipment.
        shipment: ShipmentId,
        /// Who says so, where it gives its name.
        warehouse_name: Option<String>,
        /// When.
        shipped_at: Timestamp,
        /// The books' rows.
        stock: Vec<StockRow>,
        /// Answered once it is durable.
        reply: Reply<Result<(), NotConfirmed>>,
    },
    /// A warehouse was found, or not; or nobody could be asked.
    Planned(Result<Result<availability::Plan, Vec<Shortfall>>, String>),
    /// Ask for another warehouse again.
    SourceAgain(Vec<WarehouseId>),
    /// The step is durable, or is not.
    Written(Result<Written, String>),
}

/// The saga and what waits for it.
pub struct State {
    args: Args,
    order: Order,
    saga: Saga,
    seq: i64,
    /// The step that is being written, with the warehouse that a sourced one is about. Events wait for it.
    writing: Option<(Step, Option<availability::Part>)>,
    waiting: VecDeque<(Event, Option<availability::Part>)>,
    confirming: Vec<Reply<Result<(), NotConfirmed>>>,
    /// The warehouses that the latest sourcing was not to take.
    excluded: Vec<WarehouseId>,
    /// What a rejected order was short of.
    shortfalls: Vec<Shortfall>,
    trace: Option<Trace>,
    counted: Counted,
}

/// The actor.
pub struct Fulfillment;

impl Actor for Fulfillment {
    const KIND: &'static str = "saga";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, ctx: &mut Context<Msg>) -> Result<State, Failure> {
        let seed = args.seed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (order, saga, seq, trace) = match seed {
            Some(seed) => (seed.order, seed.saga, 0, seed.trace),
            None => read_back(&args).await?,
        };
        if fault::ENABLED {
            // By its total, which a test can choose before there is an order id.
            fault::point(&format!("saga:{}", order.total_amount)).await;
        }
        ctx.notify(Msg::Event(Event::Begun));
        Ok(State {
            counted: Counted::at(saga.stage),
            args,
            order,
            saga,
            seq,
            writing: None,
            waiting: VecDeque::new(),
            confirming: Vec::new(),
            excluded: Vec::new(),
            shortfalls: Vec::new(),
            trace,
        })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Event(event) => state.happened(event, None, ctx),
            Msg::Confirm { shipment, warehouse_name, shipped_at, stock, reply } => {
                if state.is_instructed(shipment, warehouse_name.as_deref()) {
                    state.confirming.push(reply);
                    state.happened(Event::Confirmed { shipment, shipped_at, stock }, None, ctx);
                } else {
                    reply.send(Err(NotConfirmed::NotInstructed));
                }
            }
            Msg::Planned(Ok(Ok(plan))) => {
                let choice = plan.parts.into_iter().next();
                let event = choice.as_ref().map_or(Event::NotSourced { shortfalls: Vec::new() }, |choice| {
                    Event::Sourced { shipment: ShipmentId::new(), warehouse: choice.warehouse }
                });
                state.happened(event, choice, ctx);
            }
            Msg::Planned(Ok(Err(shortfalls))) => state.happened(Event::NotSourced { shortfalls }, None, ctx),
            Msg::Planned(Err(reason)) => {
                tracing::info!(order = %state.order.id, reason, "sourcing could not be asked");
                ctx.send_after(SOURCE_AGAIN, Msg::SourceAgain(state.excluded.clone()));
            }
            Msg::SourceAgain(exclude) => state.source(exclude, ctx),
            Msg::Written(outcome) => state.written(outcome, ctx)?,
        }
        Ok(())
    }
}

async fn read_back(args: &Args) -> Result<(Order, Saga, i64, Option<Trace>), Failure> {
    let id = args.order;
    let read = args.peers.reader.read("saga.resume", move |db| async move {
        Ok(db::orders::find(&db, id).await?.zip(db::sagas::find(&db, id).await?))
    });
    match read.await {
        Ok(Some((order, (saga, seq)))) => {
            args.peers.events.tell(id, seq);
            Ok((order, saga, seq, None))
        }
        Ok(None) => Err(Failure::broken(format!("order {id} has no saga"))),
        Err(service::queries::ReadError::Failed(error)) => Err(Failure::from(error)),
        Err(away) => Err(Failure::unavailable(away)),
    }
}

impl State {
    fn happened(&mut self, event: Event, choice: Option<availability::Part>, ctx: &mut Context<Msg>) {
        self.waiting.push_back((event, choice));
        self.proceed(ctx);
    }

    /// Takes the events that wait, up to one whose step must be written first.
    fn proceed(&mut self, ctx: &mut Context<Msg>) {
        while self.writing.is_none()
            && let Some((event, choice)) = self.waiting.pop_front()
        {
            let now = clock::now();
            let step = self.saga.step(event, now, &self.args.peers.policy);
            match &step.transition {
                None => {
                    self.turn_into(step.saga);
                    self.run(step.commands, ctx);
                }
                Some(transition) => {
                    let advanced = entry::advanced(self, &step, transition, choice.as_ref(), now);
                    self.writing = Some((step, choice));
                    self.write(advanced, ctx);
                }
            }
        }
        if self.saga.is_over() && self.writing.is_none() {
            self.end(ctx);
        }
    }

    fn turn_into(&mut self, saga: Saga) {
        self.counted = Counted::at(saga.stage);
        self.saga = saga;
    }

    fn write(&self, advanced: Advanced, ctx: &mut Context<Msg>) {
        let journal = self.args.peers.journal.clone();
        let entry = Entry::Advance(Arc::new(advanced));
        let ask = async move { journal.ask(WRITE_WITHIN, |reply| journal::Msg::Write { entry, reply }).await };
        ctx.effect(WRITE_WITHIN * 2, ask, |asked: Result<Result<Result<Written, BatchError>, AskError>, _>| {
            Msg::Written(match asked {
                Ok(Ok(Ok(written))) => Ok(written),
                Ok(Ok(Err(error))) => Err(error.to_string()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            })
        });
    }

    /// Only a step that is certainly durable is acted on. Otherwise the next incarnation finds out what is.
    fn written(&mut self, outcome: Result<Written, String>, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match outcome {
            Ok(Written::Done) => {}
            Ok(_) => return Err(Failure::unavailable("another incarnation has gone on with this saga")),
            Err(reason) => return Err(Failure::unavailable(format!("the journal: {reason}"))),
        }
        let Some((step, choice)) = self.writing.take() else { return Ok(()) };
        self.seq += 1;
        if let Some(transition) = &step.transition {
            stages::stepped(transition);
            Change::of(transition).apply(&mut self.order, self.saga.shipment);
            if let (Transition::Moved { .. }, Some(choice)) = (transition, &choice) {
                order::instruct(&mut self.order, step.saga.shipment, &choice.name);
            }
            if let Transition::Rejected { shortfalls, .. } = transition {
                self.shortfalls.clone_from(shortfalls);
            }
            self.tell_availability(transition);
        }
        self.turn_into(step.saga);
        self.run(step.commands, ctx);
        self.proceed(ctx);
        Ok(())
    }

    /// R9: the cache and the end of the allocation in one message, after the commit. If it is refused, the audit of
    /// allocations and the next pull make it good.
    fn tell_availability(&self, transition: &Transition) {
        let order = self.order.id;
        let msg = match transition {
            Transition::Shipped { stock, .. } => {
                availability::Msg::Settle { order: Some(order), warehouse: self.saga.warehouse, rows: stock.clone() }
            }
            Transition::Rejected { .. } => availability::Msg::Release { order },
            Transition::Moved { .. } | Transition::Flagged { .. } => return,
        };
        let _ = self.args.peers.availability.tell(msg);
    }

    fn run(&mut self, commands: Vec<Command>, ctx: &mut Context<Msg>) {
        for command in commands {
            match command {
                Command::Ship => self.ship(ctx),
                Command::Wait(delay) => {
                    ctx.send_after(delay, Msg::Event(Event::Woke));
                }
                Command::Source { exclude } => self.source(exclude, ctx),
                Command::CorrectCache { warehouse, rows } => {
                    let order = Some(self.order.id);
                    let _ = self.args.peers.availability.tell(availability::Msg::Settle { order, warehouse, rows });
                }
                Command::Allocate => {
                    let (order, parts) = (self.order.id, vec![(self.saga.warehouse, lines(&self.order))]);
                    let _ = self.args.peers.availability.tell(availability::Msg::Assert { order, parts });
                }
            }
        }
    }

    fn ship(&self, ctx: &mut Context<Msg>) {
        let (registry, warehouse, shipment) =
            (self.args.peers.registry.clone(), self.saga.warehouse, self.saga.shipment);
        let (order_id, items, trace) = (self.order.id, order::contents(&self.order), self.trace.clone());
        let call = async move {
            let known = match registry.ask(ASK_WITHIN, |reply| registry::Msg::Find { id: warehouse, reply }).await {
                Ok(Some(known)) => known,
                // R19: it was deleted, or gave way to another database, where this shipment must not be asked for.
                Ok(None) => {
                    return Delivery::WrongIdentity { reason: "the warehouse that was asked is gone".to_owned() };
                }
                Err(error) => return Delivery::NeverSent { reason: format!("registry: {error}") },
            };
            let action = Action::Ship { lines: items };
            let call = Call { order: order_id, shipment, database_id: known.database_id, action };
            let ask = known.dispatcher.ask(SHIP_WITHIN, |reply| dispatcher::Msg::Call { call, trace, reply });
            match ask.await {
                Ok(delivery) => delivery,
                Err(AskError::Refused) => Delivery::NeverSent { reason: "the dispatcher is down or full".to_owned() },
                Err(error) => Delivery::Unknown { reason: format!("dispatcher: {error}") },
            }
        };
        ctx.effect(SHIP_WITHIN * 2, call, move |outcome: Result<Delivery, EffectError>| {
            let delivery = outcome.unwrap_or_else(|error| Delivery::Unknown { reason: error.to_string() });
            Msg::Event(Event::Delivered { shipment, delivery })
        });
    }

    fn source(&mut self, exclude: Vec<WarehouseId>, ctx: &mut Context<Msg>) {
        self.excluded.clone_from(&exclude);
        let (availability, order) = (self.args.peers.availability.clone(), self.order.id);
        let wants = Wants { demand: Demand::new(&lines(&self.order)), allow_split: false, exclude };
        let ask =
            async move { availability.ask(ASK_WITHIN, |reply| availability::Msg::Plan { order, wants, reply }).await };
        ctx.effect(ASK_WITHIN * 2, ask, |outcome: Result<Result<_, AskError>, EffectError>| match outcome {
            Ok(Ok(planned)) => Msg::Planned(Ok(planned)),
            Ok(Err(error)) => Msg::Planned(Err(error.to_string())),
            Err(error) => Msg::Planned(Err(error.to_string())),
        });
    }

    fn is_instructed(&self, shipment: ShipmentId, warehouse_name: Option<&str>) -> bool {
        let known = self.order.shipments.iter().find(|known| known.id == shipment);
        shipment == self.saga.shipment
            && known.is_some_and(|known| warehouse_name.is_none_or(|name| name == known.warehouse_name))
    }

    fn end(&mut self, ctx: &mut Context<Msg>) {
        let shipped = self.saga.stage == Stage::Shipped;
        for reply in self.confirming.drain(..) {
            reply.send(if shipped { Ok(()) } else { Err(NotConfirmed::NotInstructed) });
        }
        let (order, shortfalls) = (Box::new(self.order.clone()), std::mem::take(&mut self.shortfalls));
        // If this is refused, the sweep of `orders` finds out.
        let _ = self.args.peers.orders.tell(orders::Msg::SagaEnded { order, shortfalls });
        ctx.stop();
    }
}

fn lines(order: &Order) -> Vec<Line> {
    order.items.iter().map(|item| Line { book: item.book_id, quantity: item.quantity }).collect()
}
