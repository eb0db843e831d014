//! Reads of the database, bounded, so that they never queue behind writes nor take every connection. Child of a service's root.
//!
//! Owns the line of reads that wait. A restart loses those; who asked for them is told to come back.

use std::collections::VecDeque;
use std::future::Future;
use std::time::{Duration, Instant};

use actors::{Actor, Address, AskError, ChildSpec, Context, Failure, Reply};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sea_orm::{DatabaseConnection, DbErr};
use strum::IntoStaticStr;

use crate::database::{self, Database};
use crate::problem::Problem;

/// Reads that may wait for a connection, beyond those that have one.
const LINE: usize = 1_024;
/// How long one read may take, its time in the line included.
const WITHIN: Duration = Duration::from_secs(10);
/// A read that takes longer is worth a line in the log.
const SLOW: Duration = Duration::from_secs(1);

/// Why a read has no result.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Too many reads wait already, or the service is starting or stopping.
    #[error("busy")]
    Busy,
    /// The database is away.
    #[error("the database is away")]
    Unavailable,
    /// It took too long.
    #[error("timed out")]
    TimedOut,
    /// The database refused it.
    #[error("the read failed")]
    Failed(#[source] DbErr),
}

impl From<DbErr> for ReadError {
    fn from(error: DbErr) -> Self {
        if database::is_unavailable(&error) { Self::Unavailable } else { Self::Failed(error) }
    }
}

impl From<AskError> for ReadError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Refused | AskError::Lost => Self::Busy,
            AskError::Timeout => Self::TimedOut,
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Busy => Self::unavailable("Too much is being read just now."),
            ReadError::Unavailable => Self::unavailable("The database is away."),
            ReadError::TimedOut => Self::unavailable("This took too long to read."),
            ReadError::Failed(error) => Self::internal(error),
        }
    }
}

/// How the rest of a service reads.
#[derive(Clone)]
pub struct Reader(Address<Msg>);

impl Reader {
    /// A reader whose actor is yet to be started, see [`Reader::child`].
    pub fn new(mailbox_bound: usize) -> Self {
        Self(Address::new(mailbox_bound))
    }

    /// The actor behind it, as the child `queries`.
    pub fn child(&self, database: &Database) -> ChildSpec {
        let args = Args { database: database.clone(), concurrency: database.settings().readers.max(1) as usize };
        ChildSpec::actor("queries", &self.0, Queries, args)
    }

    /// Runs a read on a connection of its own: `reader.read("orders.list", move |db| async move { list(&db).await })`.
    ///
    /// `name` is what the log calls it when it is slow.
    ///
    /// # Errors
    /// [`ReadError`]; a read has no effect, so each may simply be tried again.
    pub async fn read<T, F, R>(&self, name: &'static str, read: R) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, DbErr>> + Send + 'static,
        R: FnOnce(DatabaseConnection) -> F + Send + 'static,
    {
        self.0.ask(WITHIN, |reply| Msg::Read(Job(Box::new(Read { name, read, reply })))).await?
    }
}

/// What the actor is given.
#[derive(Clone)]
struct Args {
    database: Database,
    concurrency: usize,
}

/// What it can be told.
#[derive(IntoStaticStr)]
enum Msg {
    /// Run this when there is a connection for it.
    Read(Job),
    /// One has ended, well or not.
    Ended,
}

/// A read, with whom to tell.
struct Job(Box<dyn Run>);

trait Run: Send {
    fn run(self: Box<Self>, connection: DatabaseConnection) -> BoxFuture<'static, ()>;
    fn refuse(self: Box<Self>, error: ReadError);
    fn is_abandoned(&self) -> bool;
}

struct Read<T, R> {
    name: &'static str,
    read: R,
    reply: Reply<Result<T, ReadError>>,
}

impl<T, F, R> Run for Read<T, R>
where
    T: Send + 'static,
    F: Future<Output = Result<T, DbErr>> + Send + 'static,
    R: FnOnce(DatabaseConnection) -> F + Send + 'static,
{
    fn run(self: Box<Self>, connection: DatabaseConnection) -> BoxFuture<'static, ()> {
        async move {
            let began = Instant::now();
            let outcome = (self.read)(connection).await;
            let took = began.elapsed();
            if took > SLOW {
                tracing::warn!(read = self.name, took_ms = took.as_millis(), "slow read");
            }
            self.reply.send(outcome.map_err(ReadError::from));
        }
        .boxed()
    }

    fn refuse(self: Box<Self>, error: ReadError) {
        self.reply.send(Err(error));
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_abandoned()
    }
}

/// What it owns.
struct State {
    args: Args,
    running: usize,
    line: VecDeque<Job>,
}

/// The actor.
struct Queries;

impl Actor for Queries {
    const KIND: &'static str = "queries";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, _ctx: &mut Context<Msg>) -> Result<State, Failure> {
        Ok(State { args, running: 0, line: VecDeque::new() })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Read(job) if state.line.len() < LINE => state.line.push_back(job),
            Msg::Read(job) => job.0.refuse(ReadError::Busy),
            Msg::Ended => state.running -= 1,
        }
        state.run_next(ctx);
        Ok(())
    }
}

impl State {
    fn run_next(&mut self, ctx: &mut Context<Msg>) {
        while self.running < self.args.concurrency {
            let Some(job) = self.line.pop_front() else { return };
            if job.0.is_abandoned() {
                continue;
            }
            match self.args.database.ready() {
                Ok(connection) => {
                    self.running += 1;
                    ctx.effect(WITHIN, job.0.run(connection.clone()), |_| Msg::Ended);
                }
                Err(_) => job.0.refuse(ReadError::Unavailable),
            }
        }
    }
}
