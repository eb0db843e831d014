//! Every write of orders and sagas: what waits goes into one transaction (group commit). Child of the store's root.
//!
//! A restart loses what was queued; whoever asked learns that it may have happened, and reads it back.

use std::sync::Arc;
use std::time::Duration;

use ::actors::{Actor, Batch, BatchError, Context, Failure, FlushError, Reply};
use contract::{OrderId, Timestamp};
use sea_orm::DbErr;
use service::clock;
use service::database::{self, Database, TransactionError};
use strum::IntoStaticStr;

use crate::db::idempotency;
use crate::db::journal::{self, Accepted, Advanced, Tried};
use crate::events::Events;

/// The most entries of one transaction. Beyond that a commit is shared by so many that its cost is no longer felt.
const BATCH: usize = 64;
/// How long one transaction may take, its reading back included.
const FLUSH_WITHIN: Duration = Duration::from_secs(15);
/// How long a commit whose answer was lost is looked for.
const READ_BACK_WITHIN: Duration = Duration::from_secs(8);
const READ_BACK_EVERY: Duration = Duration::from_millis(200);

/// What every start is given.
#[derive(Clone)]
pub struct Args {
    /// Where it writes.
    pub database: Database,
    /// Told of each order's steps.
    pub events: Events,
}

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// Write this with whatever else waits; the answer comes after the commit.
    Write {
        /// What.
        entry: Entry,
        /// What became of it. An error that is not [`BatchError::Failed`] may have happened.
        reply: Reply<Result<Written, BatchError>>,
    },
    /// A transaction has ended, and its callers have been answered.
    Flushed,
}

/// Something to be written. Clones are cheap: a failed batch is repeated member by member.
#[derive(Debug, Clone)]
pub enum Entry {
    /// An order is accepted.
    Accept(Arc<Accepted>),
    /// A saga takes a step.
    Advance(Arc<Advanced>),
    /// A saga has tried something in vain.
    Note(Arc<Tried>),
    /// A saga that has panicked too often may start again.
    ForgetPanics {
        /// Its order.
        order: OrderId,
    },
    /// A saga has panicked.
    CountPanic {
        /// Its order.
        order: OrderId,
        /// What people are told when it was once too often.
        reason: String,
    },
    /// Idempotency keys have been kept for long enough.
    ForgetKeys {
        /// Those from before this.
        before: Timestamp,
        /// At most so many.
        count: u64,
    },
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is durable.
    Done,
    /// The saga has gone another step meanwhile; nothing was written.
    Stale,
    /// It is durable, and no entry of a saga's journal.
    Noted,
    /// So many panics.
    Panics(i32),
    /// So many keys are forgotten.
    Forgotten(u64),
}

/// What waits.
pub struct State {
    args: Args,
    batch: Batch<Entry, Written>,
}

/// The actor.
pub struct Journal;

impl Actor for Journal {
    const KIND: &'static str = "journal";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, _: &mut Context<Msg>) -> Result<State, Failure> {
        args.database.ready()?;
        Ok(State { args, batch: Batch::new(BATCH) })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Write { entry, reply } => state.batch.push(entry, reply),
            Msg::Flushed => state.batch.flushed(),
        }
        let args = state.args.clone();
        let write = move |entries| flush(args.clone(), entries);
        state.batch.flush(ctx, FLUSH_WITHIN, write, || Msg::Flushed);
        Ok(())
    }
}

async fn flush(args: Args, entries: Vec<Entry>) -> Result<Vec<Written>, FlushError> {
    let written = write_or_find(&args.database, &entries).await?;
    for (order, seq) in durable(&entries, &written) {
        args.events.tell(order, seq);
    }
    Ok(written)
}

async fn write_or_find(database: &Database, entries: &[Entry]) -> Result<Vec<Written>, FlushError> {
    let mut written = Vec::new();
    let outcome = database
        .transaction("journal", async |txn| {
            written = write(txn, entries).await?;
            Ok::<_, DbErr>(())
        })
        .await;
    match outcome {
        Ok(()) => Ok(written),
        // R23: nobody is told before it is known whether it happened.
        Err(error) if error.is_uncertain() && read_back(database, entries, &written).await => Ok(written),
        Err(error) if error.is_uncertain() => Err(FlushError::Unavailable(error.to_string())),
        Err(TransactionError::Begin(error) | TransactionError::Work(error) | TransactionError::Commit(error)) => {
            if database::is_unavailable(&error) {
                Err(FlushError::Unavailable(error.to_string()))
            } else {
                Err(FlushError::Poisoned(error.to_string()))
            }
        }
    }
}

async fn write(txn: &impl sea_orm::ConnectionTrait, entries: &[Entry]) -> Result<Vec<Written>, DbErr> {
    let accepted: Vec<&Accepted> = entries.iter().filter_map(Entry::accepted).collect();
    journal::accept(txn, &accepted).await?;
    let steps: Vec<&Advanced> = entries.iter().filter_map(Entry::advanced).collect();
    let mut current = journal::advance(txn, &steps).await?.into_iter();
    let tries: Vec<&Tried> = entries.iter().filter_map(Entry::tried).collect();
    journal::note_tries(txn, &tries).await?;
    let mut written = Vec::with_capacity(entries.len());
    for entry in entries {
        written.push(match entry {
            Entry::Accept(_) => Written::Done,
            Entry::Note(_) => Written::Noted,
            Entry::Advance(_) if current.next() == Some(true) => Written::Done,
            Entry::Advance(_) => Written::Stale,
            Entry::ForgetPanics { order } => {
                journal::forget_panics(txn, *order).await?;
                Written::Noted
            }
            Entry::CountPanic { order, reason } => {
                Written::Panics(journal::count_panic(txn, *order, reason, clock::now()).await?)
            }
            Entry::ForgetKeys { before, count } => Written::Forgotten(idempotency::forget(txn, *before, *count).await?),
        });
    }
    Ok(written)
}

/// Whether the transaction that wrote these was committed, once the database answers again. All of it was or nothing:
/// one entry tells. False where that cannot be found out in time.
async fn read_back(database: &Database, entries: &[Entry], written: &[Written]) -> bool {
    let Some((order, seq)) = durable(entries, written).next() else { return false };
    let look = async {
        loop {
            if let Ok(connection) = database.ready()
                && let Ok(found) = journal::has_entry(connection, order, seq).await
            {
                return found;
            }
            tokio::time::sleep(READ_BACK_EVERY).await;
        }
    };
    tokio::time::timeout(READ_BACK_WITHIN, look).await.unwrap_or(false)
}

/// The journal entries that were written, if anything was.
fn durable(entries: &[Entry], written: &[Written]) -> impl Iterator<Item = (OrderId, i64)> {
    let done = entries.iter().zip(written).filter(|(_, written)| **written == Written::Done);
    done.filter_map(|(entry, _)| entry.key())
}

impl Entry {
    fn accepted(&self) -> Option<&Accepted> {
        if let Self::Accept(order) = self { Some(order) } else { None }
    }

    fn advanced(&self) -> Option<&Advanced> {
        if let Self::Advance(step) = self { Some(step) } else { None }
    }

    fn tried(&self) -> Option<&Tried> {
        if let Self::Note(tried) = self { Some(tried) } else { None }
    }

    /// Where its journal entry will be.
    fn key(&self) -> Option<(OrderId, i64)> {
        match self {
            Self::Accept(order) => Some((order.order_id, 0)),
            Self::Advance(step) => Some((step.order_id, step.seq + 1)),
            Self::Note(_) | Self::ForgetPanics { .. } | Self::CountPanic { .. } | Self::ForgetKeys { .. } => None,
        }
    }
}
