//! Pulls one warehouse's inventory into the cache: when it starts (a new or moved warehouse, a restart), when the warehouse is back, and on
//! demand; one pull at a time. Child of `warehouse:<name>`.
//!
//! Owns nothing durable. A restart loses who waited for a pull (they are told so) and pulls again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ::actors::{Actor, Address, Closing, Context, EffectError, Failure, Reply};
use contract::{DatabaseId, Timestamp, WarehouseId};
use metrics::counter;
use sea_orm::DbErr;
use service::clock;
use service::database::Database;
use strum::IntoStaticStr;
use tokio::time::Instant;

use super::{monitor, registry};
use crate::actors::availability;
use crate::client::WarehouseApi;
use crate::db;
use crate::domain::pull::{self, Changes, Snapshot};

/// How long to wait before availability is told again of a pull that it could not take.
const PUBLISH_AGAIN: Duration = Duration::from_secs(1);

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
    /// How long one pull may take.
    pub limit: Duration,
    /// Where the cache is.
    pub database: Database,
    /// Told of every pull.
    pub availability: Address<availability::Msg>,
    /// Told of every pull.
    pub registry: Address<registry::Msg>,
}

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// Pulls; after the one under way, if there is one: that may have missed what the asker knows of.
    Pull {
        /// What came of it.
        reply: Reply<Outcome>,
    },
    /// Pulls, or leaves it at the pull under way if that succeeds.
    Nudge,
    /// The pull has ended.
    Pulled {
        /// The result.
        result: Result<Pull, String>,
    },
    /// Timer: tell availability of the last pull again.
    Publish,
}

/// What a pull came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What changed, or why it failed.
    pub result: Result<Summary, String>,
    /// How long it took.
    pub duration: Duration,
}

/// A pull in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows pulled.
    pub items: usize,
    /// Rows that differed from the cache.
    pub changed: usize,
    /// Of these, how many without a newer version to explain it.
    pub drift: usize,
    /// Rows of books that the store does not know.
    pub unknown: usize,
    /// Rows that cannot be.
    pub senseless: usize,
    /// Whether the warehouse's database had gone back, so that everything was replaced.
    pub wholesale: bool,
}

/// A pull that was committed.
#[derive(Debug)]
pub struct Pull {
    snapshot: Arc<Snapshot>,
    at: Timestamp,
    summary: Summary,
}

/// Who waits for what.
pub struct State {
    args: Args,
    began: Option<Instant>,
    /// Those who wait for the pull under way.
    waiting: Vec<Reply<Outcome>>,
    /// Those who wait for the one after it.
    later: Vec<Reply<Outcome>>,
    nudged: bool,
    unpublished: Option<Pull>,
}

/// The actor.
pub struct Sync;

impl Actor for Sync {
    const KIND: &'static str = "sync";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, ctx: &mut Context<Msg>) -> Result<State, Failure> {
        ctx.notify(Msg::Nudge);
        Ok(State { args, began: None, waiting: vec![], later: vec![], nudged: false, unpublished: None })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Pull { reply } => {
                state.later.push(reply);
                state.begin(ctx);
            }
            Msg::Nudge => {
                state.nudged = true;
                state.begin(ctx);
            }
            Msg::Pulled { result } => {
                state.nudged &= result.is_err();
                state.end(result, ctx);
                if !state.later.is_empty() || state.nudged {
                    state.begin(ctx);
                }
            }
            Msg::Publish => state.publish(ctx),
        }
        Ok(())
    }
}

impl State {
    fn begin(&mut self, ctx: &mut Context<Msg>) {
        if self.began.is_some() {
            return;
        }
        // A nudge that comes while this pull runs is kept for its end; the one that began it is spent.
        self.nudged = false;
        self.began = Some(Instant::now());
        self.waiting = std::mem::take(&mut self.later);
        let pull = pull(self.args.clone(), ctx.closing());
        ctx.effect(self.args.limit, pull, |result| Msg::Pulled {
            result: result.unwrap_or_else(|error: EffectError| Err(error.to_string())),
        });
    }

    fn end(&mut self, result: Result<Pull, String>, ctx: &mut Context<Msg>) {
        let duration = self.began.take().map_or(Duration::ZERO, |began| began.elapsed());
        let warehouse = &self.args.name;
        let outcome = match result {
            Ok(pull) => {
                let Summary { items, changed, drift, unknown, wholesale, .. } = pull.summary;
                tracing::debug!(warehouse, items, changed, unknown, ?duration, "inventory pulled");
                counter!("bookstore_stock_differences_total", "warehouse" => warehouse.clone()).increment(drift as u64);
                if drift > 0 || wholesale {
                    tracing::warn!(warehouse, drift, wholesale, "the cache differed from the warehouse");
                }
                let summary = pull.summary;
                self.unpublished = Some(pull);
                self.publish(ctx);
                Outcome { result: Ok(summary), duration }
            }
            Err(reason) => {
                tracing::warn!(warehouse, reason, "inventory not pulled");
                Outcome { result: Err(reason), duration }
            }
        };
        for reply in self.waiting.drain(..) {
            reply.send(outcome.clone());
        }
    }

    fn publish(&mut self, ctx: &mut Context<Msg>) {
        let Some(pull) = &self.unpublished else { return };
        let (warehouse, wholesale, at) = (self.args.id, pull.summary.wholesale, pull.at);
        let snapshot = Arc::clone(&pull.snapshot);
        if self.args.availability.tell(availability::Msg::ApplyPull { warehouse, snapshot, wholesale, at }).is_err() {
            ctx.send_after(PUBLISH_AGAIN, Msg::Publish);
            return;
        }
        // Not durable for a moment longer if the registry is away: then lastSynced is older than it could be.
        let _ = self.args.registry.tell(registry::Msg::Pulled { id: warehouse, at });
        self.unpublished = None;
    }
}

async fn pull(args: Args, closing: Closing) -> Result<Pull, String> {
    tokio::select! {
        result = fetch_and_apply(&args) => result,
        () = closing.closed() => Err("the warehouse's actors are stopping".to_owned()),
    }
}

async fn fetch_and_apply(args: &Args) -> Result<Pull, String> {
    let db = args.database.ready().map_err(|failure| failure.reason().to_owned())?;
    // Before the request: a counter below what was cached by then means that the database there has gone back (R15).
    let highest = db::inventory_cache::highest_version(db, args.id).await.map_err(|error| error.to_string())?;
    monitor::check(args.api.health().await, args.database_id).map_err(|unwell| unwell.to_string())?;
    let mut snapshot = args.api.inventory().await.map_err(|error| error.to_string())?;
    let at = clock::now();
    let (warehouse, pulled) = (args.id, &snapshot);
    let applied = args.database.transaction("pull", async |db| apply(db, warehouse, highest, pulled, at).await).await;
    let changes = applied.map_err(|error| DbErr::from(error).to_string())?;
    let summary = summary(&snapshot, &changes);
    let unknown: HashSet<_> = changes.unknown.into_iter().collect();
    snapshot.rows.retain(|row| !unknown.contains(&row.book_id));
    Ok(Pull { snapshot: Arc::new(snapshot), at, summary })
}

async fn apply(
    db: &impl sea_orm::ConnectionTrait,
    warehouse: WarehouseId,
    highest: i64,
    snapshot: &Snapshot,
    at: Timestamp,
) -> Result<Changes, DbErr> {
    let cached = db::inventory_cache::of_warehouse(db, warehouse).await?;
    let known = db::books::known(db).await?;
    let changes = pull::compare(highest, &cached, &known, snapshot);
    db::inventory_cache::write_pull(db, warehouse, &changes.write, changes.wholesale, at).await?;
    let up_to = (!changes.wholesale).then_some(snapshot.version);
    db::inventory_cache::remove(db, warehouse, &changes.remove, up_to).await?;
    Ok(changes)
}

fn summary(snapshot: &Snapshot, changes: &Changes) -> Summary {
    Summary {
        items: snapshot.rows.len(),
        changed: changes.write.len() + changes.remove.len(),
        drift: changes.drift.len(),
        unknown: changes.unknown.len(),
        senseless: snapshot.senseless,
        wholesale: changes.wholesale,
    }
}

#[cfg(test)]
mod tests;
