//! Keeps the database of a service usable: connects, takes the lock, brings the schema up to date, and watches. The
//! first child of a service's root.
//!
//! Owns nothing itself: pool, lock and state live in [`Database`], so a restart loses nothing and lets go of nothing.
//! While the server is away the database is not ready, and the lock is taken again when it is back. If another process
//! was quicker, two would write: this one fails until its budget is spent, and so ends the process.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actors::{Actor, Address, ChildSpec, Context, EffectError, Failure};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbErr, RuntimeErr};
use sea_orm_migration::MigratorTrait;
use strum::IntoStaticStr;
use tokio::sync::oneshot;

use super::lock::{self, Attempt};
use super::{Database, Settings, State as Readiness, connect, is_unavailable};

const PING_EVERY: Duration = Duration::from_secs(1);
const PING_WITHIN: Duration = Duration::from_secs(3);
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// Migrations included, which may rewrite a large table.
const OPEN_WITHIN: Duration = Duration::from_secs(3_600);
/// How long the start waits for the first attempt, so that the actors after it find a database. After that they start
/// all the same, and wait.
const FIRST_ATTEMPT: Duration = Duration::from_secs(5);

type Step = Arc<dyn Fn(DatabaseConnection) -> BoxFuture<'static, Result<(), DbErr>> + Send + Sync>;

/// What must be done with the database before the service may use it; each time it was away, again.
#[derive(Clone, Default)]
pub struct Preparation {
    steps: Vec<(&'static str, Step)>,
}

impl Preparation {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Brings the schema up to date, or only waits until somebody else has (`migrate up`) when `apply` is false.
    pub fn migrate<M: MigratorTrait>(self, apply: bool) -> Self {
        self.then("migrate", move |connection| async move {
            if apply {
                return M::up(&connection, None).await;
            }
            match M::get_pending_migrations(&connection).await?.len() {
                0 => Ok(()),
                pending => Err(DbErr::Conn(RuntimeErr::Internal(format!("{pending} migrations are pending")))),
            }
        })
    }

    /// Does something that is the same when done again, such as making the first accounts.
    pub fn then<F>(mut self, name: &'static str, step: impl Fn(DatabaseConnection) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), DbErr>> + Send + 'static,
    {
        self.steps.push((name, Arc::new(move |connection| step(connection).boxed())));
        self
    }
}

impl fmt::Debug for Preparation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps.iter().map(|(name, _)| name)).finish()
    }
}

impl Database {
    /// The actor that keeps it, as the child `database`.
    pub fn child(&self, preparation: Preparation) -> ChildSpec {
        let args = Args { database: self.clone(), preparation };
        // Some restarts at most: one that finds its lock stolen fails at each, and must end the process soon.
        ChildSpec::actor("database", &Address::new(MAILBOX), Keeper, args)
            .budget(3, Duration::from_secs(60))
            .start_within(FIRST_ATTEMPT + Duration::from_secs(1))
    }
}

/// Nobody but itself sends it anything.
const MAILBOX: usize = 8;

/// What the actor is given.
#[derive(Clone, Debug)]
struct Args {
    database: Database,
    preparation: Preparation,
}

/// What it tells itself.
#[derive(IntoStaticStr)]
enum Msg {
    /// Try to make the database ready.
    Open,
    /// The attempt has ended.
    Opened {
        /// How.
        outcome: Result<Outcome, EffectError>,
    },
    /// See whether the lock is still held.
    Ping,
    /// The answer.
    Pinged {
        /// Why it is not.
        outcome: Result<Result<(), String>, EffectError>,
    },
}

/// How an attempt ended.
enum Outcome {
    /// It is ready.
    Ready,
    /// Another process has the lock, which was never ours.
    Locked(String),
    /// The server is away.
    Away(String),
    /// Another process has taken the lock that was ours.
    Stolen(String),
    /// A step failed, and would again.
    Broken(String),
}

/// The actor.
struct Keeper;

impl Actor for Keeper {
    const KIND: &'static str = "database";
    type Msg = Msg;
    type Args = Args;
    type State = Args;

    async fn start(&self, args: Args, ctx: &mut Context<Msg>) -> Result<Args, Failure> {
        if args.database.state() == Readiness::Ready {
            ctx.notify(Msg::Ping);
            return Ok(args);
        }
        let (tried, first_attempt) = oneshot::channel();
        args.open(ctx, Some(tried));
        let _ = tokio::time::timeout(FIRST_ATTEMPT, first_attempt).await;
        Ok(args)
    }

    async fn handle(&self, msg: Msg, state: &mut Args, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Open => state.open(ctx, None),
            Msg::Opened { outcome } => return state.opened(outcome, ctx),
            Msg::Ping => {
                let database = state.database.clone();
                ctx.effect(PING_WITHIN, async move { database.ping().await }, |outcome| Msg::Pinged { outcome });
            }
            Msg::Pinged { outcome: Ok(Ok(())) } => {
                ctx.send_after(PING_EVERY, Msg::Ping);
            }
            Msg::Pinged { outcome } => {
                let reason = outcome.map_or_else(|error| error.to_string(), |lost| lost.err().unwrap_or_default());
                state.database.lose(format!("connection lost: {reason}")).await;
                ctx.notify(Msg::Open);
            }
        }
        Ok(())
    }
}

impl Args {
    fn open(&self, ctx: &mut Context<Msg>, tried: Option<oneshot::Sender<()>>) {
        let Self { database, preparation } = self.clone();
        let attempt = async move {
            let outcome = attempt(&database, &preparation).await;
            if let Some(tried) = tried {
                let _ = tried.send(());
            }
            outcome
        };
        ctx.effect(OPEN_WITHIN, attempt, |outcome| Msg::Opened { outcome });
    }

    fn opened(&self, outcome: Result<Outcome, EffectError>, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        let unready = match outcome {
            Ok(Outcome::Ready) => {
                ctx.send_after(PING_EVERY, Msg::Ping);
                return Ok(());
            }
            Ok(Outcome::Locked(holder)) => Readiness::Locked(holder),
            Ok(Outcome::Away(reason)) => Readiness::Away(reason),
            Ok(Outcome::Stolen(holder)) => {
                return Err(Failure::broken(format!("the database is in use by another process now: {holder}")));
            }
            Ok(Outcome::Broken(reason)) => return Err(Failure::broken(reason)),
            Err(error) => return Err(error.into()),
        };
        self.database.set_state(unready);
        ctx.send_after(RETRY_EVERY, Msg::Open);
        Ok(())
    }
}

async fn attempt(database: &Database, preparation: &Preparation) -> Outcome {
    if let Err(error) = database.open().await {
        return Outcome::Away(error.to_string());
    }
    match database.lock().await {
        Ok(None) => {}
        Ok(Some(holder)) if database.was_locked() => return Outcome::Stolen(holder),
        Ok(Some(holder)) => return Outcome::Locked(holder),
        Err(error) => return Outcome::Away(error.to_string()),
    }
    match prepare(database, preparation).await {
        Ok(()) => {
            database.set_state(Readiness::Ready);
            Outcome::Ready
        }
        Err((_, error)) if is_unavailable(&error) => Outcome::Away(error.to_string()),
        Err((step, error)) => Outcome::Broken(format!("{step}: {error}")),
    }
}

/// On a connection of its own, without a time limit for statements: an index of a large table takes its time.
async fn prepare(database: &Database, preparation: &Preparation) -> Result<(), (&'static str, DbErr)> {
    if preparation.steps.is_empty() {
        return Ok(());
    }
    let failed = |error| ("connect", error);
    let connection = if database.url().is_sqlite() {
        database.open().await.map_err(failed)?.clone()
    } else {
        let settings =
            Settings { writers: 1, readers: 0, statement_timeout: Duration::ZERO, ..database.settings().clone() };
        connect::pool(&settings, &Arc::default()).await.map_err(failed)?
    };
    for (name, step) in &preparation.steps {
        step(connection.clone()).await.map_err(|error| (*name, error))?;
    }
    if !database.url().is_sqlite() {
        connection.close().await.map_err(failed)?;
    }
    Ok(())
}

impl Database {
    /// Takes the lock unless it is held; the holder when that is another.
    async fn lock(&self) -> Result<Option<String>, lock::LockError> {
        let mut held = self.0.lock.lock().await;
        if held.is_some() {
            return Ok(None);
        }
        match lock::take(self.settings(), &self.0.identity).await? {
            Attempt::Taken(holder) => Ok(Some(holder)),
            Attempt::Held(lock) => {
                *held = Some(lock);
                if self.was_locked() {
                    self.0.epoch.begin();
                }
                self.0.was_locked.store(true, std::sync::atomic::Ordering::Release);
                Ok(None)
            }
        }
    }

    fn was_locked(&self) -> bool {
        self.0.was_locked.load(std::sync::atomic::Ordering::Acquire)
    }

    async fn lose(&self, reason: String) {
        self.set_state(Readiness::Away(reason));
        self.0.lock.lock().await.take();
    }

    async fn ping(&self) -> Result<(), String> {
        match self.0.lock.lock().await.as_mut() {
            None => return Err("the lock is not held".to_owned()),
            Some(lock) => lock.ping().await.map_err(|error| error.to_string())?,
        }
        if self.url().is_sqlite() {
            let connection = self.open().await.map_err(|error| error.to_string())?;
            connection.execute_unprepared("SELECT 1").await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
