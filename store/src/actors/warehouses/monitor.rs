//! Health of one warehouse, polled at start and on a timer. Child of `warehouse:<name>`.
//!
//! Owns the results of the last polls. A restart forgets them; the poll at its start learns them again.

use std::sync::Arc;
use std::time::Duration;

use ::actors::{Actor, Address, Closing, Context, EffectError, Failure, Timer};
use contract::{DatabaseId, Timestamp, WarehouseHealth, WarehouseHealthReport, WarehouseId};
use service::clock;
use strum::IntoStaticStr;

use super::{registry, sync};
use crate::client::{CallError, WarehouseApi};
use crate::domain::health::Tracker;

/// How it polls.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// From the end of one poll to the next.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// Failed polls in a row that make it OFFLINE.
    pub failures_to_offline: u32,
}

/// What every start is given.
#[derive(Clone)]
pub struct Args {
    /// The warehouse.
    pub id: WarehouseId,
    /// The identity of its database.
    pub database_id: DatabaseId,
    /// What was known when the warehouse's actors were made.
    pub status: WarehouseHealth,
    /// How to call it.
    pub api: Arc<dyn WarehouseApi>,
    /// How to poll.
    pub policy: Policy,
    /// Told of every poll.
    pub registry: Address<registry::Msg>,
    /// Told when the warehouse is back.
    pub sync: Address<sync::Msg>,
}

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// Polls, unless that is under way. Timer, and the registry when it has a doubt.
    Poll,
    /// The poll has ended.
    Polled {
        /// When it was healthy, or why it is not.
        result: Result<Timestamp, String>,
    },
}

/// What the polls say.
pub struct State {
    args: Args,
    tracker: Tracker,
    polling: bool,
    next: Option<Timer>,
}

/// The actor.
pub struct Monitor;

impl Actor for Monitor {
    const KIND: &'static str = "monitor";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, ctx: &mut Context<Msg>) -> Result<State, Failure> {
        ctx.notify(Msg::Poll);
        Ok(State { tracker: Tracker::new(args.status), args, polling: false, next: None })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Poll => state.poll(ctx),
            Msg::Polled { result } => {
                state.polling = false;
                state.observe(result);
                state.next = Some(ctx.send_after(state.args.policy.interval, Msg::Poll));
            }
        }
        Ok(())
    }
}

impl State {
    fn poll(&mut self, ctx: &mut Context<Msg>) {
        if self.polling {
            return;
        }
        self.polling = true;
        if let Some(timer) = self.next.take() {
            timer.cancel();
        }
        let poll = poll(Arc::clone(&self.args.api), self.args.database_id, ctx.closing());
        ctx.effect(self.args.policy.timeout, poll, |result| Msg::Polled {
            result: result.unwrap_or_else(|error: EffectError| Err(error.to_string())),
        });
    }

    fn observe(&mut self, result: Result<Timestamp, String>) {
        let before = self.tracker.health;
        self.tracker = self.tracker.observe(result.is_ok(), self.args.policy.failures_to_offline);
        let (seen, reason) = match result {
            Ok(seen) => (Some(seen), None),
            Err(reason) => (None, Some(reason)),
        };
        let (id, health) = (self.args.id, self.tracker.health);
        // A registry that is being restarted hears it at the next poll.
        let _ = self.args.registry.tell(registry::Msg::Observed { id, health, seen, reason });
        if before == WarehouseHealth::Offline && health == WarehouseHealth::Healthy {
            let _ = self.args.sync.tell(sync::Msg::Nudge);
        }
    }
}

async fn poll(api: Arc<dyn WarehouseApi>, expected: DatabaseId, closing: Closing) -> Result<Timestamp, String> {
    let answer = tokio::select! {
        answer = api.health() => answer,
        () = closing.closed() => return Err("the monitor is stopping".to_owned()),
    };
    check(answer, expected).map(|()| clock::now()).map_err(|unwell| unwell.to_string())
}

/// Whether an answer of `GET /health` is that of a healthy warehouse with the database that was accepted.
pub(super) fn check(answer: Result<WarehouseHealthReport, CallError>, expected: DatabaseId) -> Result<(), Unwell> {
    match answer {
        Ok(report) if report.database_id != expected => {
            Err(Unwell::Stranger(format!("its database is {}, accepted was {expected}", report.database_id)))
        }
        Ok(report) if report.status != "healthy" => Err(Unwell::Away(format!("says that it is {}", report.status))),
        Ok(_) => Ok(()),
        Err(error) => Err(Unwell::Away(error.to_string())),
    }
}

/// Why a poll found no healthy warehouse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwell {
    /// It does not answer, or says so itself.
    #[error("{0}")]
    Away(String),
    /// Another database answers in its place (R19).
    #[error("{0}")]
    Stranger(String),
}

#[cfg(test)]
mod tests;
