//! The one door for orders: placing them, and confirmations of their shipments (R8). Child of `fulfillment`.
//!
//! Owns which orders somebody waits for and which sagas were started. A restart loses both: who waits is told that it
//! may have happened and looks it up, and the sweep starts what has no saga. What it was placing ends as the journal
//! left it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ::actors::{
    Actor, Address, ChildSpec, Context, Exhausted, Failure, Reply, Restart, StartChildError, SupervisorAddress, Timer,
};
use contract::{Confirmation, Order, OrderId, Shipment, Shortfall};
use service::clock;
use service::routes::Trace;
use strum::IntoStaticStr;

use super::saga::{self, Fulfillment, Peers, Seed};
use super::{catalog, journal};
use crate::db;
use crate::db::journal::PANICS_TO_ATTENTION;
use crate::domain::order::Request;

mod confirm;
mod place;

pub use confirm::ConfirmError;
pub use place::{Placed, Unplaced};

/// The most orders that are being placed, and confirmations being taken, at once. Beyond it, both are refused.
const IN_FLIGHT: usize = 1_024;
/// How often orders without a saga are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
const SWEEP_WITHIN: Duration = Duration::from_secs(30);
/// The most sagas that one sweep starts.
const SWEEP_STARTS: usize = 500;
/// How many orders one statement of the sweep reads.
const SWEEP_PAGE: u64 = 2_000;
/// How long a saga may take to open its address before it counts as gone.
const BIRTH: Duration = Duration::from_secs(30);
/// How many shipped orders are remembered, so that their confirmations need no reading.
const REMEMBERED: usize = 10_000;

/// What every start is given.
#[derive(Clone)]
pub struct Args {
    /// Whom the sagas talk to; this actor is one of them.
    pub peers: Arc<Peers>,
    /// What books cost.
    pub catalog: Address<catalog::Msg>,
    /// Where sagas live.
    pub sagas: SupervisorAddress,
    /// How long a client waits for the end of its order.
    pub wait: Duration,
    /// How long a shipment may stay in doubt.
    pub attention_after: Duration,
    /// The most messages that wait for one saga.
    pub mailbox_bound: usize,
}

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// Places an order and waits for its end.
    Place {
        /// What.
        request: Box<Request>,
        /// The client's request, to be passed on.
        trace: Trace,
        /// What became of it. An ask that is lost or times out may have placed it.
        reply: Reply<Result<Placed, Unplaced>>,
    },
    /// A warehouse confirms a shipment.
    Confirm {
        /// Of this order.
        order: OrderId,
        /// What it says.
        confirmation: Confirmation,
        /// Answered once it is durable (R11).
        reply: Reply<Result<(), ConfirmError>>,
    },
    /// A placing has ended.
    Accepted {
        /// The order.
        order: OrderId,
        /// Its saga, or why there is none.
        result: Result<Address<saga::Msg>, Unplaced>,
    },
    /// A confirmation has been taken, or not.
    ConfirmEnded {
        /// The order.
        order: OrderId,
        /// The saga started for it, if one was.
        adopted: Option<Address<saga::Msg>>,
    },
    /// The client has waited long enough.
    WaitOver {
        /// For this order.
        order: OrderId,
    },
    /// A saga has come to its end, durably.
    SagaEnded {
        /// The order as it stands then.
        order: Box<Order>,
        /// What a rejected one was short of.
        shortfalls: Vec<Shortfall>,
    },
    /// A saga has failed.
    SagaFailed {
        /// Its order.
        order: OrderId,
        /// Why.
        reason: String,
        /// Whether it is not tried again.
        gave_up: bool,
    },
    /// A panic has been counted, or could not be.
    PanicCounted {
        /// The order.
        order: OrderId,
        /// How many there were.
        panics: Option<i32>,
    },
    /// Look for orders without a saga.
    Sweep,
    /// This is what was found.
    Swept {
        /// Orders whose saga is not over, oldest first.
        unfinished: Vec<OrderId>,
    },
    /// What was found has been started.
    SweepEnded {
        /// But for these.
        refused: Vec<OrderId>,
    },
}

/// Who waits, and what runs.
pub struct State {
    args: Args,
    placing: HashSet<OrderId>,
    confirming: usize,
    waiters: HashMap<OrderId, Waiter>,
    live: HashMap<OrderId, Live>,
    shipped: Remembered,
}

struct Waiter {
    reply: Reply<Result<Placed, Unplaced>>,
    timer: Timer,
}

struct Live {
    address: Address<saga::Msg>,
    since: Instant,
}

/// The actor.
pub struct Orders;

impl Actor for Orders {
    const KIND: &'static str = "orders";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, ctx: &mut Context<Msg>) -> Result<State, Failure> {
        ctx.notify(Msg::Sweep);
        Ok(State {
            args,
            placing: HashSet::new(),
            confirming: 0,
            waiters: HashMap::new(),
            live: HashMap::new(),
            shipped: Remembered::default(),
        })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Place { request, trace, reply } => state.place(*request, trace, reply, ctx),
            Msg::Accepted { order, result } => state.accepted(order, result),
            Msg::WaitOver { order } => state.answer(order, Ok(Placed::Open)),
            Msg::SagaEnded { order, shortfalls } => state.ended(*order, shortfalls),
            Msg::Confirm { order, confirmation, reply } => state.confirm(order, confirmation, reply, ctx),
            Msg::ConfirmEnded { order, adopted } => {
                state.confirming -= 1;
                if let Some(address) = adopted {
                    state.live.insert(order, Live { address, since: Instant::now() });
                }
            }
            Msg::SagaFailed { order, reason, gave_up } => state.failed(order, reason, gave_up, ctx),
            Msg::PanicCounted { order, panics } => {
                if panics.is_none_or(|panics| panics >= PANICS_TO_ATTENTION) {
                    state.answer(order, Ok(Placed::Open));
                }
            }
            Msg::Sweep => state.sweep(ctx),
            Msg::Swept { unfinished } => state.start_orphans(&unfinished, ctx),
            Msg::SweepEnded { refused } => {
                refused.iter().for_each(|order| drop(state.live.remove(order)));
                ctx.send_after(SWEEP_EVERY, Msg::Sweep);
            }
        }
        Ok(())
    }
}

impl State {
    fn place(
        &mut self,
        request: Request,
        trace: Trace,
        reply: Reply<Result<Placed, Unplaced>>,
        ctx: &mut Context<Msg>,
    ) {
        if self.placing.len() >= IN_FLIGHT {
            return reply.send(Err(Unplaced::Busy));
        }
        let order = request.id;
        self.placing.insert(order);
        let timer = ctx.send_after(self.args.wait, Msg::WaitOver { order });
        self.waiters.insert(order, Waiter { reply, timer });
        let work = place::place(self.args.clone(), request, trace);
        ctx.effect(place::WITHIN, work, move |outcome| {
            let result = outcome.unwrap_or_else(|error| Err(Unplaced::Unknown(error.to_string())));
            Msg::Accepted { order, result }
        });
    }

    fn accepted(&mut self, order: OrderId, result: Result<Address<saga::Msg>, Unplaced>) {
        self.placing.remove(&order);
        match result {
            // Nobody waits any more where the saga has ended before this message came.
            Ok(address) if self.waiters.contains_key(&order) || address.is_open() => {
                self.live.insert(order, Live { address, since: Instant::now() });
            }
            Ok(_) => {}
            Err(unplaced) => self.answer(order, Err(unplaced)),
        }
    }

    fn ended(&mut self, order: Order, shortfalls: Vec<Shortfall>) {
        self.live.remove(&order.id);
        if let (true, Some(shipment)) = (order.shipped_at.is_some(), order.shipments.last()) {
            self.shipped.insert(order.id, shipment.clone());
        }
        let (id, shipped) = (order.id, order.shipped_at.is_some());
        let order = Box::new(order);
        self.answer(id, Ok(if shipped { Placed::Shipped(order) } else { Placed::Rejected { order, shortfalls } }));
    }

    fn answer(&mut self, order: OrderId, answer: Result<Placed, Unplaced>) {
        if let Some(waiter) = self.waiters.remove(&order) {
            waiter.timer.cancel();
            waiter.reply.send(answer);
        }
    }

    fn confirm(
        &mut self,
        order: OrderId,
        confirmation: Confirmation,
        reply: Reply<Result<(), ConfirmError>>,
        ctx: &mut Context<Msg>,
    ) {
        if self.shipped.is_the_shipment(order, &confirmation) {
            return reply.send(Ok(()));
        }
        if self.confirming >= IN_FLIGHT {
            return reply.send(Err(ConfirmError::Busy));
        }
        self.confirming += 1;
        let live = self.live.get(&order).map(|live| live.address.clone());
        let work = confirm::confirm(self.args.clone(), order, confirmation, live, reply);
        ctx.effect(confirm::WITHIN, work, move |adopted| Msg::ConfirmEnded { order, adopted: adopted.ok().flatten() });
    }

    /// R24: the panics of one saga are counted where they outlast the process; the third calls a person.
    fn failed(&mut self, order: OrderId, reason: String, gave_up: bool, ctx: &mut Context<Msg>) {
        if gave_up {
            self.live.remove(&order);
        }
        let journal = self.args.peers.journal.clone();
        let entry = journal::Entry::CountPanic { order, reason };
        let ask = async move { journal.ask(saga::WRITE_WITHIN, |reply| journal::Msg::Write { entry, reply }).await };
        ctx.effect(saga::WRITE_WITHIN * 2, ask, move |outcome| {
            let panics = match outcome {
                Ok(Ok(Ok(journal::Written::Panics(panics)))) => Some(panics),
                _ => None,
            };
            Msg::PanicCounted { order, panics }
        });
    }

    fn sweep(&mut self, ctx: &mut Context<Msg>) {
        self.live.retain(|_, live| live.address.is_open() || live.since.elapsed() < BIRTH);
        let reader = self.args.peers.reader.clone();
        let known: HashSet<OrderId> = self.live.keys().chain(&self.placing).copied().collect();
        let rested_since = clock::now() - self.args.peers.policy.attention_retry;
        let look = async move {
            let (mut orphans, mut after) = (Vec::new(), None);
            loop {
                let read = reader.read("orders.sweep", move |db| async move {
                    db::sagas::unfinished(&db, after, rested_since, SWEEP_PAGE).await
                });
                // A database that is away is asked again at the next sweep.
                let Ok(page) = read.await else { return orphans };
                after = page.last().copied();
                orphans.extend(page.iter().filter(|order| !known.contains(*order)));
                if (page.len() as u64) < SWEEP_PAGE || orphans.len() >= SWEEP_STARTS {
                    return orphans;
                }
            }
        };
        ctx.effect(SWEEP_WITHIN, look, |found| Msg::Swept { unfinished: found.unwrap_or_default() });
    }

    fn start_orphans(&mut self, unfinished: &[OrderId], ctx: &mut Context<Msg>) {
        let is_orphan = |order: &&OrderId| !self.live.contains_key(order) && !self.placing.contains(order);
        let orphans: Vec<OrderId> = unfinished.iter().filter(is_orphan).take(SWEEP_STARTS).copied().collect();
        if !orphans.is_empty() {
            tracing::info!(orders = orphans.len(), "resuming orders");
        }
        let mut specs = Vec::with_capacity(orphans.len());
        for order in orphans {
            let (address, spec) = saga_of(&self.args, order, None);
            self.live.insert(order, Live { address, since: Instant::now() });
            specs.push((order, spec));
        }
        let sagas = self.args.sagas.clone();
        let start = async move {
            let mut refused = Vec::new();
            for (order, spec) in specs {
                match sagas.start_child(spec).await {
                    // One that is there already, from before this actor's restart, goes on by itself.
                    Ok(()) | Err(StartChildError::InUse) => {}
                    Err(StartChildError::Refused | StartChildError::Lost) => refused.push(order),
                }
            }
            refused
        };
        ctx.effect(SWEEP_WITHIN, start, |ended| Msg::SweepEnded { refused: ended.unwrap_or_default() });
    }
}

/// A saga as `sagas` is to keep it, and its address.
fn saga_of(args: &Args, order: OrderId, seed: Option<Seed>) -> (Address<saga::Msg>, ChildSpec) {
    let address = Address::new(args.mailbox_bound);
    let saga_args = saga::Args { peers: Arc::clone(&args.peers), order, seed: Arc::new(Mutex::new(seed)) };
    let orders = args.peers.orders.clone();
    let spec = ChildSpec::actor(saga_id(order), &address, Fulfillment, saga_args)
        .restart(Restart::Transient)
        .budget(PANICS_TO_ATTENTION as u32 - 1, Duration::from_secs(3_600))
        .on_exhausted(Exhausted::GiveUp { retry_after: None })
        .on_failure(move |report| {
            let (reason, gave_up) = (report.reason.clone(), report.gave_up);
            let _ = orders.tell(Msg::SagaFailed { order, reason, gave_up });
        });
    (address, spec)
}

fn saga_id(order: OrderId) -> String {
    format!("saga:{order}")
}

/// The latest shipped orders.
#[derive(Default)]
struct Remembered {
    shipments: HashMap<OrderId, Shipment>,
    oldest_first: VecDeque<OrderId>,
}

impl Remembered {
    fn insert(&mut self, order: OrderId, shipment: Shipment) {
        if self.shipments.insert(order, shipment).is_none() {
            self.oldest_first.push_back(order);
        }
        if self.oldest_first.len() > REMEMBERED
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.shipments.remove(&oldest);
        }
    }

    fn is_the_shipment(&self, order: OrderId, confirmation: &Confirmation) -> bool {
        self.shipments.get(&order).is_some_and(|shipment| {
            confirmation.shipment_id == Some(shipment.id)
                && confirmation.warehouse_name.as_ref().is_none_or(|name| *name == shipment.warehouse_name)
        })
    }
}

#[cfg(test)]
mod tests;
