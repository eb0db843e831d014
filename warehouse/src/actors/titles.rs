//! Titles and authors of the books in stock, from the store's catalogue, a hundred books a call. Child of the warehouse's root.
//!
//! Owns how far a round has come and which books the store does not know. A restart forgets both and begins with a round through
//! everything. A store that is away is asked again, and is no failure: people then read numbers in place of titles.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::actors::{Actor, Context, EffectError, Failure};
use contract::BookId;
use sea_orm::DbErr;
use service::database::Database;
use strum::IntoStaticStr;

use crate::client::{CALL_WITHIN, StoreApi};
use crate::db::titles::{self, Titled};

/// The books of one call: the most that the store takes.
const BOOKS: u64 = contract::book::MAX_IDS as u64;
/// How often books are looked for that lack a title or an author.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The pause after a failure, doubled with each that follows, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The limit for one call and what is read and written for it.
const STEP_WITHIN: Duration = CALL_WITHIN.saturating_add(Duration::from_secs(20));

/// What the actor is given.
#[derive(Clone)]
pub struct Args {
    /// Where the inventory is.
    pub database: Database,
    /// Whom to ask.
    pub store: Arc<dyn StoreApi>,
    /// How often every book is asked about anew.
    pub refresh_every: Duration,
}

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// Timer: look at the next books.
    Step,
    /// They have been looked at.
    Stepped {
        /// What came of it.
        outcome: Result<Result<Step, String>, EffectError>,
    },
}

/// Some books that have been looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The last of them; none where there were no more.
    last: Option<BookId>,
    /// Those that the store does not know.
    unknown: Vec<BookId>,
}

/// What it owns.
pub struct State {
    args: Args,
    /// Whether this round goes through everything.
    full: bool,
    /// When the last such round began.
    refreshed: Instant,
    after: Option<BookId>,
    /// Not asked about again before the next round through everything.
    unknown: Arc<HashSet<BookId>>,
    failures: u32,
}

/// The actor.
pub struct Titles;

impl Actor for Titles {
    const KIND: &'static str = "titles";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, ctx: &mut Context<Msg>) -> Result<State, Failure> {
        ctx.notify(Msg::Step);
        let unknown = Arc::default();
        Ok(State { args, full: true, refreshed: Instant::now(), after: None, unknown, failures: 0 })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Step => state.step(ctx),
            Msg::Stepped { outcome } => {
                let pause = state.stepped(outcome.unwrap_or_else(|error| Err(error.to_string())));
                ctx.send_after(pause, Msg::Step);
            }
        }
        Ok(())
    }
}

impl State {
    fn step(&mut self, ctx: &mut Context<Msg>) {
        let Args { database, store, .. } = self.args.clone();
        let step = step(database, store, self.after, !self.full, Arc::clone(&self.unknown));
        ctx.effect(STEP_WITHIN, step, |outcome| Msg::Stepped { outcome });
    }

    /// Takes note, and says when to go on.
    fn stepped(&mut self, outcome: Result<Step, String>) -> Duration {
        let step = match outcome {
            Ok(step) => step,
            Err(reason) => {
                let pause = PAUSES.0.saturating_mul(1 << self.failures.min(10)).min(PAUSES.1);
                self.failures += 1;
                tracing::debug!(reason, "titles are asked for later");
                return pause;
            }
        };
        self.failures = 0;
        self.after = step.last;
        if !step.unknown.is_empty() {
            Arc::make_mut(&mut self.unknown).extend(step.unknown);
        }
        if self.after.is_some() {
            return Duration::ZERO;
        }
        self.full = self.refreshed.elapsed() >= self.args.refresh_every;
        if self.full {
            (self.refreshed, self.unknown) = (Instant::now(), Arc::default());
        }
        LOOK_EVERY.min(self.args.refresh_every)
    }
}

async fn step(
    database: Database,
    store: Arc<dyn StoreApi>,
    after: Option<BookId>,
    only_lacking: bool,
    unknown: Arc<HashSet<BookId>>,
) -> Result<Step, String> {
    let connection = database.ready().map_err(|failure| failure.reason().to_owned())?;
    let books = titles::next(connection, after, only_lacking, BOOKS).await.map_err(|error| error.to_string())?;
    let last = books.last().copied();
    let asked: Vec<BookId> = books.into_iter().filter(|book| !unknown.contains(book)).collect();
    if asked.is_empty() {
        return Ok(Step { last, unknown: Vec::new() });
    }
    let found: Vec<Titled> = store.titles(asked.clone()).await?;
    let written = database.transaction("titles", async |txn| titles::write(txn, &found).await);
    match written.await.map_err(DbErr::from).map_err(|error| error.to_string())? {
        0 => {}
        written => tracing::info!(written, "titles from the store"),
    }
    let known: HashSet<BookId> = found.into_iter().map(|titled| titled.book_id).collect();
    Ok(Step { last, unknown: asked.into_iter().filter(|book| !known.contains(book)).collect() })
}
