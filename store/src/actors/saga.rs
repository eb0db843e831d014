//! The fulfillment of one order. Child of `sagas`, one for each open order.
//!
//! Owns the saga between its journal entries. A restart reads it back and takes a call that was under way for unknown
//! (R1); whatever cannot be written or is in doubt ends this incarnation, so that the next one reads the truth.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::actors::{Actor, Address, Context, Failure, Reply, Timer, fault};
use contract::{Order, OrderId, ShipmentId, Shortfall, StockRow, Timestamp};
use service::clock;
use service::queries::{ReadError, Reader};
use service::routes::Trace;
use strum::IntoStaticStr;

use stages::Counted;

use super::journal::{self, Written};
use super::warehouses::registry;
use super::{availability, orders};
use crate::db;
use crate::domain::order;
use crate::domain::saga::{Command, Event, Policy, Saga, Stepped, Terms};
use crate::domain::sourcing::Line;
use crate::events::Events;
use crate::payments::PaymentGateway;

mod asked;
mod effects;
mod entry;

pub mod stages;

pub use asked::{Asked, Request};

pub(super) use effects::parts;
pub(super) use entry::instructed;

/// How long a journal entry may take: longer than the journal itself allows its flush.
pub(super) const WRITE_WITHIN: Duration = Duration::from_secs(20);
/// How long a saga that is over stays for what it was started for.
const LINGER: Duration = Duration::from_secs(5);

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
    /// Who moves the money.
    pub gateway: Arc<dyn PaymentGateway>,
    /// How it tries.
    pub policy: Policy,
    /// How long it may stand where it is before operators are told.
    pub stalled_after: Duration,
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
    /// The warehouse says that a shipment has left.
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
    /// A person asks something.
    Ask {
        /// What.
        request: Request,
        /// Answered once it is done, which may take longer than anybody waits.
        reply: Reply<Asked>,
    },
    /// Warehouses could not be asked for.
    NotPlanned {
        /// For this.
        lines: Vec<Line>,
        /// Other than these.
        exclude: Vec<contract::WarehouseId>,
    },
    /// Ask for warehouses again.
    SourceAgain {
        /// For this.
        lines: Vec<Line>,
        /// Other than these.
        exclude: Vec<contract::WarehouseId>,
    },
    /// The entry is durable, or is not.
    Written(Result<Written, String>),
    /// What was tried in vain has been noted.
    Noted,
    /// Nobody has asked anything of a saga that is over.
    Idle,
}

/// What waits for its turn.
struct Input {
    event: Event,
    /// Who asked.
    asker: Option<(Request, Reply<Asked>)>,
}

/// The saga and what waits for it.
pub struct State {
    args: Args,
    terms: Terms,
    /// As its latest entry left it.
    order: Order,
    saga: Saga,
    seq: i64,
    /// The step that is being written, with the order after it. Events wait for it.
    writing: Option<(Stepped, Order)>,
    waiting: VecDeque<Input>,
    confirming: Vec<(ShipmentId, Reply<Result<(), NotConfirmed>>)>,
    asking: Vec<(Request, Reply<Asked>)>,
    /// What a rejected order was short of.
    shortfalls: Vec<Shortfall>,
    trace: Option<Trace>,
    counted: Counted,
    timer: Option<Timer>,
    /// When it came to stand where it does.
    since: Timestamp,
    noting: bool,
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
        let (order, saga, seq, trace, since) = match seed {
            Some(Seed { order, saga, trace }) => {
                let at = order.created_at;
                (order, saga, 0, trace, at)
            }
            None => read_back(&args).await?,
        };
        if fault::ENABLED {
            // By its total, which a test can choose before there is an order id.
            fault::point(&format!("saga:{}", order.total_amount)).await;
        }
        if saga.is_over() {
            ctx.send_after(LINGER, Msg::Idle);
        } else {
            ctx.notify(Msg::Event(Event::Begun));
        }
        Ok(State {
            counted: Counted::at(saga.stage),
            terms: order::terms(&order),
            args,
            order,
            saga,
            seq,
            writing: None,
            waiting: VecDeque::new(),
            confirming: Vec::new(),
            asking: Vec::new(),
            shortfalls: Vec::new(),
            trace,
            timer: None,
            since,
            noting: false,
        })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Event(event) => state.happened(event, None, ctx),
            Msg::Confirm { shipment, warehouse_name, shipped_at, stock, reply } => {
                if state.is_instructed(shipment, warehouse_name.as_deref()) {
                    state.confirming.push((shipment, reply));
                    state.happened(Event::Confirmed { shipment, shipped_at, stock }, None, ctx);
                } else {
                    reply.send(Err(NotConfirmed::NotInstructed));
                }
            }
            Msg::Ask { request, reply } => {
                let event = match request.clone() {
                    Request::Cancel { operator, reason } => Event::Cancel { operator, reason },
                    Request::Return { id, lines } => Event::Return { id, lines },
                    Request::Retry => Event::Retry,
                    Request::Resume => Event::Resume,
                };
                state.happened(event, Some((request, reply)), ctx);
            }
            Msg::NotPlanned { lines, exclude } => {
                ctx.send_after(effects::SOURCE_AGAIN, Msg::SourceAgain { lines, exclude });
            }
            Msg::SourceAgain { lines, exclude } => state.source(lines, exclude, ctx),
            Msg::Written(outcome) => state.written(outcome, ctx)?,
            Msg::Noted => state.noting = false,
            Msg::Idle => state.end_if_over(ctx),
        }
        Ok(())
    }
}

async fn read_back(args: &Args) -> Result<(Order, Saga, i64, Option<Trace>, Timestamp), Failure> {
    let id = args.order;
    let read = args.peers.reader.read("saga.resume", move |db| async move { db::sagas::resume(&db, id).await });
    match read.await {
        Ok(Some((order, stored))) => {
            args.peers.events.tell(id, stored.seq);
            Ok((order, stored.saga, stored.seq, None, stored.updated_at))
        }
        Ok(None) => Err(Failure::broken(format!("order {id} has no saga"))),
        Err(ReadError::Failed(error)) => Err(Failure::from(error)),
        Err(away) => Err(Failure::unavailable(away)),
    }
}

impl State {
    fn happened(&mut self, event: Event, asker: Option<(Request, Reply<Asked>)>, ctx: &mut Context<Msg>) {
        self.waiting.push_back(Input { event, asker });
        self.proceed(ctx);
    }

    /// Takes the events that wait, up to one whose step must be written first.
    fn proceed(&mut self, ctx: &mut Context<Msg>) {
        while self.writing.is_none()
            && let Some(Input { event, asker }) = self.waiting.pop_front()
        {
            if let Some((request, reply)) = asker {
                match self.fits(&request) {
                    Ok(()) => self.asking.push((request, reply)),
                    Err(unfit) => {
                        reply.send(Err(unfit));
                        continue;
                    }
                }
            }
            let now = clock::now();
            let stepped = self.saga.step(event, &self.terms, now, &self.args.peers.policy);
            match &stepped.entry {
                None => {
                    let tried = stepped.saga.effort.attempts > self.saga.effort.attempts;
                    self.turn_into(stepped.saga, ctx);
                    self.run(stepped.commands, ctx);
                    if tried {
                        self.note_try(ctx);
                    }
                }
                Some(entry) => {
                    let mut after = self.order.clone();
                    order::follow(&mut after, &stepped.saga, entry.reason.as_deref());
                    let advanced = entry::advanced(self, &stepped, entry, &after, now);
                    self.writing = Some((stepped, after));
                    self.write(advanced, ctx);
                }
            }
        }
        if self.writing.is_none() {
            self.answer();
            self.end_if_over(ctx);
        }
    }

    fn turn_into(&mut self, saga: Saga, ctx: &Context<Msg>) {
        self.counted = Counted::at(saga.stage);
        self.saga = saga;
        ctx.set_concern(self.concern());
    }

    /// Only a step that is certainly durable is acted on. Otherwise the next incarnation finds out what is.
    fn written(&mut self, outcome: Result<Written, String>, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match outcome {
            Ok(Written::Done) => {}
            Ok(_) => return Err(Failure::unavailable("another incarnation has gone on with this saga")),
            Err(reason) => return Err(Failure::unavailable(format!("the journal: {reason}"))),
        }
        let Some((Stepped { saga, entry, commands }, order)) = self.writing.take() else { return Ok(()) };
        self.seq += 1;
        self.order = order;
        self.since = clock::now();
        if let Some(entry) = entry {
            stages::stepped(entry.name);
            if !entry.shortfalls.is_empty() {
                self.shortfalls = entry.shortfalls;
            }
        }
        self.turn_into(saga.noted(), ctx);
        self.tell();
        self.run(commands, ctx);
        self.proceed(ctx);
        Ok(())
    }

    fn run(&mut self, commands: Vec<Command>, ctx: &mut Context<Msg>) {
        for command in commands {
            match command {
                Command::Call { step, shipment, warehouse, lines, return_id } => {
                    self.call(effects::Asking { step, shipment, warehouse, lines, return_id }, ctx);
                }
                Command::Charge { operation, key, amount } => self.charge(operation, key, amount, ctx),
                Command::Wait(delay) => {
                    if let Some(timer) = self.timer.take() {
                        timer.cancel();
                    }
                    self.timer = Some(ctx.send_after(delay, Msg::Event(Event::Woke)));
                }
                Command::Source { lines, exclude } => self.source(lines, exclude, ctx),
                Command::AwaitStock { lines, exclude } => self.await_stock(&lines, exclude),
                Command::Settle { warehouse, rows } => {
                    let order = Some(self.order.id);
                    let _ = self.args.peers.availability.tell(availability::Msg::Settle { order, warehouse, rows });
                }
                Command::Release => {
                    let order = self.order.id;
                    let _ = self.args.peers.availability.tell(availability::Msg::Release { order });
                }
            }
        }
    }

    fn end_if_over(&mut self, ctx: &mut Context<Msg>) {
        if self.saga.is_over() && self.writing.is_none() && self.waiting.is_empty() {
            ctx.stop();
        }
    }
}
