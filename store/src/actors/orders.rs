//! The one door for orders: placing them, and confirmations of their shipments (R8). Child of `fulfillment`.
//!
//! Owns which orders somebody waits for and which sagas were started. A restart loses both: who waits is told that it
//! may have happened and looks it up, and the sweep starts what has no saga. What it was placing ends as the journal
//! left it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ::actors::{Actor, Address, ChildSpec, Context, Exhausted, Failure, Reply, Restart, SupervisorAddress};
use contract::{Confirmation, Order, OrderId, Shortfall, UserId};
use service::routes::Trace;
use strum::IntoStaticStr;

use super::saga::{self, Fulfillment, Peers, Seed};
use super::{catalog, journal};
use crate::db::idempotency::Key;
use crate::db::journal::PANICS_TO_ATTENTION;
use crate::domain::order::Request;
use crate::domain::saga::Event;

mod confirm;
mod place;
mod placing;
mod rate;
mod reach;
mod remembered;
mod sweep;
mod waiting;

pub use confirm::ConfirmError;
pub use place::{Begun, Placed, Unplaced};
pub use rate::Rate;
pub use reach::Unasked;

use remembered::Remembered;
use waiting::Waiting;

/// The most orders that are being placed, and confirmations being taken, at once. Beyond it, both are refused.
const IN_FLIGHT: usize = 1_024;

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
    /// How often one account may order.
    pub rate: Rate,
    /// The most messages that wait for one saga.
    pub mailbox_bound: usize,
}

/// What a client wants.
#[derive(Debug)]
pub struct Wish {
    /// What.
    pub request: Request,
    /// By which it is repeated without being placed twice.
    pub key: Option<Key>,
    /// Whether its acceptance is all that is waited for.
    pub respond_async: bool,
    /// The client's request, to be passed on.
    pub trace: Trace,
}

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// Places an order and waits for its end.
    Place {
        /// What.
        wish: Box<Wish>,
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
        /// What came of it.
        result: Result<Begun, Unplaced>,
    },
    /// An order that somebody repeats has been read.
    Followed {
        /// The order.
        order: OrderId,
        /// As it stands, with what a rejected one was short of.
        found: Option<Box<(Order, Vec<Shortfall>)>>,
    },
    /// A saga has been reached for somebody, or not.
    Reached {
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
    /// A saga has moved, durably, to where those who wait for the order are told.
    SagaMoved {
        /// The order as it stands then.
        order: Box<Order>,
        /// What a rejected one was short of.
        shortfalls: Vec<Shortfall>,
        /// Whether that is the saga's end.
        over: bool,
    },
    /// A person asks something of an order's saga.
    Ask {
        /// The order.
        order: OrderId,
        /// What.
        request: saga::Request,
        /// Answered once it is done; not at all where that takes longer.
        reply: Reply<Result<Box<Order>, Unasked>>,
    },
    /// Stock that an order has waited for is allocated to it.
    StockCame {
        /// The order.
        order: OrderId,
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
    /// Forget the idempotency keys that are old enough.
    ForgetKeys,
    /// Some are forgotten.
    KeysForgotten {
        /// Whether there are more.
        more: bool,
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
    /// With the idempotency key of each, if it has one.
    placing: HashMap<OrderId, Option<KeyName>>,
    /// Keys whose order is not durable yet.
    keys: HashMap<KeyName, Running>,
    waiting: Waiting,
    reaching: usize,
    live: HashMap<OrderId, Live>,
    shipped: Remembered,
}

type KeyName = (UserId, String);

/// What is being placed under a key.
struct Running {
    order: OrderId,
    body_hash: String,
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
        ctx.notify(Msg::ForgetKeys);
        Ok(State {
            args,
            placing: HashMap::new(),
            keys: HashMap::new(),
            waiting: Waiting::default(),
            reaching: 0,
            live: HashMap::new(),
            shipped: Remembered::default(),
        })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Place { wish, reply } => state.place(*wish, reply, ctx),
            Msg::Accepted { order, result } => state.accepted(order, result, ctx),
            Msg::Followed { order, found } => state.followed(order, found),
            Msg::WaitOver { order } => state.waiting.answer(order, &Ok(Placed::Open(order))),
            Msg::SagaMoved { order, shortfalls, over } => state.moved(*order, shortfalls, over),
            Msg::Ask { order, request, reply } => state.ask(order, request, reply, ctx),
            Msg::StockCame { order } => {
                // One without a saga asks again when it has one.
                if let Some(live) = state.live.get(&order) {
                    let _ = live.address.tell(saga::Msg::Event(Event::StockCame));
                }
            }
            Msg::Confirm { order, confirmation, reply } => state.confirm(order, confirmation, reply, ctx),
            Msg::Reached { order, adopted } => {
                state.reaching -= 1;
                if let Some(address) = adopted {
                    state.live.insert(order, Live { address, since: Instant::now() });
                }
            }
            // No order waits yet.
            Msg::SagaFailed { order, reason, gave_up } => state.failed(order, reason, gave_up, ctx),
            Msg::PanicCounted { order, panics } => {
                if panics.is_none_or(|panics| panics >= PANICS_TO_ATTENTION) {
                    state.waiting.answer(order, &Ok(Placed::Open(order)));
                }
            }
            Msg::ForgetKeys => state.forget_keys(ctx),
            Msg::KeysForgotten { more } => state.keys_forgotten(more, ctx),
            Msg::Sweep => state.sweep(ctx),
            Msg::Swept { unfinished } => state.start_orphans(&unfinished, ctx),
            Msg::SweepEnded { refused } => {
                refused.iter().for_each(|order| drop(state.live.remove(order)));
                ctx.send_after(sweep::SWEEP_EVERY, Msg::Sweep);
            }
        }
        Ok(())
    }
}

impl State {
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
        if self.reaching >= IN_FLIGHT {
            return reply.send(Err(ConfirmError::Busy));
        }
        self.reaching += 1;
        let live = self.live.get(&order).map(|live| live.address.clone());
        let work = confirm::confirm(self.args.clone(), order, confirmation, live, reply);
        ctx.effect(confirm::WITHIN, work, move |adopted| Msg::Reached { order, adopted: adopted.ok().flatten() });
    }

    fn ask(
        &mut self,
        order: OrderId,
        request: saga::Request,
        reply: Reply<Result<Box<Order>, Unasked>>,
        ctx: &mut Context<Msg>,
    ) {
        if self.reaching >= IN_FLIGHT {
            return reply.send(Err(Unasked::Busy));
        }
        self.reaching += 1;
        let live = self.live.get(&order).map(|live| live.address.clone());
        let work = reach::ask(self.args.clone(), order, request, live, reply);
        ctx.effect(reach::WITHIN, work, move |adopted| Msg::Reached { order, adopted: adopted.ok().flatten() });
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

#[cfg(test)]
mod tests;
