//! Writes the audit log. Child of a service's root, stopped after its server.
//!
//! Owns the entries that wait. A restart loses those: whoever waits for one is refused, and makes no change.

use std::time::Duration;

use actors::{Actor, Batch, BatchError, Context, Failure, FlushError, Reply};
use sea_orm::DbErr;
use strum::IntoStaticStr;

use super::entries::{self, Entry};
use crate::database::{self, Database};

/// Entries in one transaction.
const BATCH: usize = 256;
/// How long a transaction may take.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) struct Args {
    pub(super) database: Database,
}

#[derive(IntoStaticStr)]
pub(super) enum Msg {
    Write {
        entry: Box<Entry>,
        reply: Reply<Result<(), BatchError>>,
    },
    /// The transaction has ended.
    Flushed,
}

pub(super) struct State {
    database: Database,
    batch: Batch<Entry, ()>,
}

pub(super) struct Recorder;

impl Actor for Recorder {
    const KIND: &'static str = "audit";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, _: &mut Context<Msg>) -> Result<State, Failure> {
        args.database.ready()?;
        Ok(State { database: args.database, batch: Batch::new(BATCH) })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Write { entry, reply } => state.batch.push(*entry, reply),
            Msg::Flushed => state.batch.flushed(),
        }
        let database = state.database.clone();
        let write = move |entries| flush(database.clone(), entries);
        state.batch.flush(ctx, FLUSH_WITHIN, write, || Msg::Flushed);
        Ok(())
    }
}

async fn flush(database: Database, entries: Vec<Entry>) -> Result<Vec<()>, FlushError> {
    let written = database.transaction("audit", async |txn| entries::append(txn, &entries).await).await;
    written.map_err(DbErr::from).map(|()| vec![(); entries.len()]).map_err(|error| {
        if database::is_unavailable(&error) {
            FlushError::Unavailable(error.to_string())
        } else {
            FlushError::Poisoned(error.to_string())
        }
    })
}
