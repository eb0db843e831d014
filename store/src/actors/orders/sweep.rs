//! Looking for orders that have no saga, and starting them (R8); and forgetting idempotency keys that are old enough.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use actors::{Context, StartChildError};
use chrono::TimeDelta;
use contract::OrderId;
use service::clock;

use super::{Live, Msg, State, saga_of};
use crate::actors::{journal, saga};
use crate::db;

/// How often orders without a saga are looked for.
pub(super) const SWEEP_EVERY: Duration = Duration::from_secs(10);
const SWEEP_WITHIN: Duration = Duration::from_secs(30);
/// The most sagas that one sweep starts.
const SWEEP_STARTS: usize = 500;
/// How many orders one statement of the sweep reads.
const SWEEP_PAGE: u64 = 2_000;
/// How long a saga may take to open its address before it counts as gone.
const BIRTH: Duration = Duration::from_secs(30);

/// How long an idempotency key is kept, at least.
const KEPT: TimeDelta = TimeDelta::hours(24);
/// How often older ones are looked for, and how many are forgotten in one transaction.
const FORGET_EVERY: Duration = Duration::from_secs(600);
const FORGET_AT_ONCE: u64 = 1_000;

impl State {
    pub(super) fn sweep(&mut self, ctx: &mut Context<Msg>) {
        self.live.retain(|_, live| live.address.is_open() || live.since.elapsed() < BIRTH);
        let reader = self.args.peers.reader.clone();
        let known: HashSet<OrderId> = self.live.keys().chain(self.placing.keys()).copied().collect();
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

    pub(super) fn start_orphans(&mut self, unfinished: &[OrderId], ctx: &mut Context<Msg>) {
        let is_orphan = |order: &&OrderId| !self.live.contains_key(order) && !self.placing.contains_key(order);
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

    pub(super) fn forget_keys(&self, ctx: &mut Context<Msg>) {
        let journal = self.args.peers.journal.clone();
        let entry = journal::Entry::ForgetKeys { before: clock::now() - KEPT, count: FORGET_AT_ONCE };
        let ask = async move { journal.ask(saga::WRITE_WITHIN, |reply| journal::Msg::Write { entry, reply }).await };
        ctx.effect(saga::WRITE_WITHIN * 2, ask, |outcome| Msg::KeysForgotten {
            // A journal that is away is asked again at the next time.
            more: matches!(outcome, Ok(Ok(Ok(journal::Written::Forgotten(FORGET_AT_ONCE))))),
        });
    }

    pub(super) fn keys_forgotten(&self, more: bool, ctx: &mut Context<Msg>) {
        if more {
            ctx.notify(Msg::ForgetKeys);
        } else {
            ctx.send_after(FORGET_EVERY, Msg::ForgetKeys);
        }
    }
}
