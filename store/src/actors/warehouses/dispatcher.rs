//! The only one that calls a warehouse about shipments: at most so many calls at once, a bounded line behind them, and a circuit breaker before
//! both (R21). Child of `warehouse:<name>`.
//!
//! It repeats nothing: whoever asked knows whether an earlier call is still unknown (R1). A restart loses the breaker's state (it begins
//! closed) and the calls: those that wait for them learn that their fate is unknown.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ::actors::{Actor, Address, Closing, Context, EffectError, Failure, Reply};
use contract::{DatabaseId, WarehouseId};
use service::routes::Trace;
use strum::IntoStaticStr;

use super::monitor::Unwell;
use super::{monitor, registry};
use crate::client::WarehouseApi;
use crate::domain::breaker::{self, Breaker};

pub use crate::domain::delivery::{Call, Delivery};

/// How it calls.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Calls at once.
    pub concurrency: usize,
    /// Calls that may wait for one of those to end.
    pub queue: usize,
    /// How long one may take.
    pub timeout: Duration,
    /// When the breaker opens, and how it probes.
    pub breaker: breaker::Policy,
}

/// What every start is given.
#[derive(Clone)]
pub struct Args {
    /// The warehouse.
    pub id: WarehouseId,
    /// Its name, for the log.
    pub name: String,
    /// The identity of its database.
    pub database_id: DatabaseId,
    /// How to call it.
    pub api: Arc<dyn WarehouseApi>,
    /// How to call.
    pub policy: Policy,
    /// Told when the breaker opens or closes.
    pub registry: Address<registry::Msg>,
}

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// Calls the warehouse.
    Call {
        /// What about.
        call: Call,
        /// The id of the client's request that this is for, to be passed on.
        trace: Option<Trace>,
        /// What became of this call. Lost, or no reply in time, is unknown.
        reply: Reply<Delivery>,
    },
    /// A call has ended.
    Answered {
        /// How.
        delivery: Delivery,
        /// For whom.
        reply: Reply<Delivery>,
    },
    /// Timer: see whether the warehouse is back.
    Probe,
    /// The probe has ended.
    Probed {
        /// Whether it is.
        result: Result<(), Unwell>,
    },
    /// Tell the registry how the breaker stands.
    Announce,
}

struct Queued {
    call: Call,
    trace: Option<Trace>,
    reply: Reply<Delivery>,
}

/// The breaker, and who waits.
pub struct State {
    args: Args,
    breaker: Breaker,
    /// Who answers in the warehouse's place while the breaker is open.
    stranger: Option<String>,
    in_flight: usize,
    queue: VecDeque<Queued>,
}

/// The actor.
pub struct Dispatcher;

impl Actor for Dispatcher {
    const KIND: &'static str = "dispatcher";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, _: &mut Context<Msg>) -> Result<State, Failure> {
        let state = State { args, breaker: Breaker::new(), stranger: None, in_flight: 0, queue: VecDeque::new() };
        state.announce();
        Ok(state)
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Call { call, trace, reply } => state.take(Queued { call, trace, reply }, ctx),
            Msg::Answered { delivery, reply } => {
                state.in_flight -= 1;
                state.observe(&delivery, ctx);
                reply.send(delivery);
                state.send_queued(ctx);
            }
            Msg::Probe => state.probe(ctx),
            Msg::Probed { result } => state.probed(result, ctx),
            Msg::Announce => state.announce(),
        }
        Ok(())
    }
}

impl State {
    fn take(&mut self, queued: Queued, ctx: &mut Context<Msg>) {
        if let Some(reason) = &self.stranger {
            // R19: as the stranger itself would answer. Whose earlier call is unknown must learn that it stays so.
            queued.reply.send(Delivery::WrongIdentity { reason: reason.clone() });
        } else if self.breaker.is_open() {
            refuse(queued, "its circuit breaker is open");
        } else if self.in_flight < self.args.policy.concurrency {
            self.send(queued, ctx);
        } else if self.queue.len() < self.args.policy.queue {
            self.queue.push_back(queued);
        } else {
            refuse(queued, "too many calls wait for it");
        }
    }

    fn send_queued(&mut self, ctx: &mut Context<Msg>) {
        if ctx.closing().is_closed() {
            self.queue.drain(..).for_each(|queued| refuse(queued, "its dispatcher is stopping"));
        }
        while self.in_flight < self.args.policy.concurrency
            && let Some(queued) = self.queue.pop_front()
        {
            // Whoever gave up waiting takes it for unknown and asks again: not calling at all is the better half of that.
            if !queued.reply.is_abandoned() {
                self.send(queued, ctx);
            }
        }
    }

    fn send(&mut self, queued: Queued, ctx: &mut Context<Msg>) {
        self.in_flight += 1;
        let Queued { call, trace, reply } = queued;
        let work = self.args.api.call(&call, trace.as_ref());
        ctx.effect(self.args.policy.timeout, work, move |result| {
            let unknown = |error: EffectError| Delivery::Unknown { reason: format!("the call {error}") };
            Msg::Answered { delivery: result.unwrap_or_else(unknown), reply }
        });
    }

    /// A connection that cannot be made counts as a failure too: nobody is helped by trying it with every order until the next health poll.
    fn observe(&mut self, delivery: &Delivery, ctx: &mut Context<Msg>) {
        let was_open = self.breaker.is_open();
        self.breaker = match delivery {
            answer if answer.is_answer() => self.breaker.answered(),
            Delivery::NeverSent { reason } | Delivery::Unknown { reason } => {
                tracing::debug!(warehouse = self.args.name, reason, "a call was not answered");
                self.breaker.failed(&self.args.policy.breaker)
            }
            _ => self.breaker,
        };
        if self.breaker.is_open() && !was_open {
            tracing::warn!(warehouse = self.args.name, "circuit breaker opened");
            self.queue.drain(..).for_each(|queued| refuse(queued, "its circuit breaker has opened"));
            self.announce();
            self.schedule_probe(ctx);
        }
    }

    fn schedule_probe(&self, ctx: &mut Context<Msg>) {
        if let Some(wait) = self.breaker.next_probe(&self.args.policy.breaker) {
            ctx.send_after(wait, Msg::Probe);
        }
    }

    fn probe(&self, ctx: &mut Context<Msg>) {
        let work = probe(Arc::clone(&self.args.api), self.args.database_id, ctx.closing());
        ctx.effect(self.args.policy.timeout, work, |result| Msg::Probed {
            result: result.unwrap_or_else(|error| Err(Unwell::Away(error.to_string()))),
        });
    }

    fn probed(&mut self, result: Result<(), Unwell>, ctx: &mut Context<Msg>) {
        self.breaker = self.breaker.probed(result.is_ok());
        self.stranger = match result {
            Err(Unwell::Stranger(reason)) => Some(reason),
            Ok(()) | Err(Unwell::Away(_)) => None,
        };
        if self.breaker.is_open() {
            self.schedule_probe(ctx);
        } else {
            tracing::info!(warehouse = self.args.name, "circuit breaker closed");
            self.announce();
        }
    }

    fn announce(&self) {
        let breaker = if self.breaker.is_open() { contract::Breaker::Open } else { contract::Breaker::Closed };
        // A registry that is being restarted asks for it when it starts.
        let _ = self.args.registry.tell(registry::Msg::BreakerChanged { id: self.args.id, breaker });
    }
}

fn refuse(queued: Queued, reason: &str) {
    queued.reply.send(Delivery::NeverSent { reason: reason.to_owned() });
}

async fn probe(api: Arc<dyn WarehouseApi>, expected: DatabaseId, closing: Closing) -> Result<(), Unwell> {
    tokio::select! {
        answer = api.health() => monitor::check(answer, expected),
        () = closing.closed() => Err(Unwell::Away("its dispatcher is stopping".to_owned())),
    }
}

#[cfg(test)]
mod tests;
