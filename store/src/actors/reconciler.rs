//! Has every healthy warehouse's inventory pulled, on a timer and on demand. Child of the store's root.
//!
//! Two runs never overlap, and a warehouse that hangs delays no other: each has its own `sync`, and a run waits for it no longer than its
//! limit. Owns nothing durable. A restart loses who waited for a run (they are told so); the timer begins anew.

use std::time::Duration;

use ::actors::{Actor, Address, AskError, Context, EffectError, Failure, Reply};
use contract::{ReconcileReport, ReconcileResult};
use futures_util::future::join_all;
use strum::IntoStaticStr;

use super::warehouses::registry::{self, Target};
use super::warehouses::sync;

const ASK_LIMIT: Duration = Duration::from_secs(5);

/// What every start is given.
#[derive(Clone)]
pub struct Args {
    /// Which warehouses there are.
    pub registry: Address<registry::Msg>,
    /// From the end of one run to the next.
    pub interval: Duration,
    /// The longest that a run waits for one warehouse, whose pull goes on all the same.
    pub limit: Duration,
}

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// Timer: run, unless a run is under way.
    Tick,
    /// Run; after the run under way, if there is one.
    Run {
        /// What came of it.
        reply: Reply<Result<ReconcileReport, String>>,
    },
    /// The run has ended.
    Ended {
        /// Its results, or why there are none.
        result: Result<Vec<ReconcileResult>, String>,
    },
}

/// Who waits for what.
pub struct State {
    args: Args,
    running: bool,
    waiting: Vec<Reply<Result<ReconcileReport, String>>>,
    later: Vec<Reply<Result<ReconcileReport, String>>>,
}

/// The actor.
pub struct Reconciler;

impl Actor for Reconciler {
    const KIND: &'static str = "reconciler";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, ctx: &mut Context<Msg>) -> Result<State, Failure> {
        ctx.send_after(args.interval, Msg::Tick);
        Ok(State { args, running: false, waiting: Vec::new(), later: Vec::new() })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Tick => {
                state.begin(ctx);
                ctx.send_after(state.args.interval, Msg::Tick);
            }
            Msg::Run { reply } => {
                state.later.push(reply);
                state.begin(ctx);
            }
            Msg::Ended { result } => {
                state.end(result);
                if !state.later.is_empty() {
                    state.begin(ctx);
                }
            }
        }
        Ok(())
    }
}

impl State {
    fn begin(&mut self, ctx: &mut Context<Msg>) {
        if self.running {
            return;
        }
        self.running = true;
        self.waiting = std::mem::take(&mut self.later);
        let limit = self.args.limit + ASK_LIMIT;
        ctx.effect(limit, run(self.args.registry.clone(), self.args.limit), |result| Msg::Ended {
            result: result.unwrap_or_else(|error: EffectError| Err(error.to_string())),
        });
    }

    fn end(&mut self, result: Result<Vec<ReconcileResult>, String>) {
        self.running = false;
        let report = result.map(|warehouses| {
            let pulled = warehouses.iter().filter(|result| result.outcome == "ok").count();
            let message = format!("Pulled the inventory of {pulled} of {} warehouses.", warehouses.len());
            ReconcileReport { message, warehouses }
        });
        match &report {
            Ok(report) => tracing::info!(message = report.message, "reconciled"),
            Err(error) => tracing::warn!(error, "not reconciled"),
        }
        for reply in self.waiting.drain(..) {
            reply.send(report.clone());
        }
    }
}

async fn run(registry: Address<registry::Msg>, limit: Duration) -> Result<Vec<ReconcileResult>, String> {
    let targets = registry.ask(ASK_LIMIT, |reply| registry::Msg::Syncs { reply }).await;
    let targets = targets.map_err(|error| format!("the registry: {error}"))?;
    Ok(join_all(targets.into_iter().map(|target| reconcile(target, limit))).await)
}

async fn reconcile(target: Target, limit: Duration) -> ReconcileResult {
    let result = |outcome: &str, error: Option<String>| ReconcileResult {
        name: target.name.clone(),
        outcome: outcome.to_owned(),
        items: 0,
        changed: 0,
        duration_ms: 0,
        error,
    };
    if let Some(reason) = &target.offline {
        return result("skipped", Some(format!("offline: {reason}")));
    }
    let answer = target.sync.ask(limit, |reply| sync::Msg::Pull { reply }).await;
    let duration_ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match answer {
        Ok(sync::Outcome { result: Ok(summary), duration }) => ReconcileResult {
            items: summary.items as u64,
            changed: summary.changed as u64,
            duration_ms: duration_ms(duration),
            ..result("ok", None)
        },
        Ok(sync::Outcome { result: Err(reason), duration }) => {
            ReconcileResult { duration_ms: duration_ms(duration), ..result("failed", Some(reason)) }
        }
        Err(AskError::Timeout) => {
            let error = format!("not done after {} s; it goes on", limit.as_secs());
            ReconcileResult { duration_ms: duration_ms(limit), ..result("timeout", Some(error)) }
        }
        Err(error @ (AskError::Refused | AskError::Lost)) => result("failed", Some(format!("its sync: {error}"))),
    }
}

#[cfg(test)]
mod tests;
