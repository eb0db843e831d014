//! The built-in payment gateway: settles charges by a ledger of its own, what waits in one transaction (group commit). Child of the
//! store's root. It stands for another company's system, so it is reached only through `payments` and touches no other table.
//!
//! A restart loses what was queued; whoever asked learns that it may have happened, and asks again under the same key.

use std::sync::Arc;
use std::time::Duration;

use ::actors::{Actor, Batch, BatchError, Context, Failure, FlushError, Reply};
use sea_orm::DbErr;
use service::clock;
use service::database::{Database, TransactionError, is_unavailable};
use strum::IntoStaticStr;

use crate::db::gateway_ledger;
use crate::domain::payment::{Charge, Outcome};

/// The most charges of one transaction.
const BATCH: usize = 64;
/// How long one transaction may take, its reading back included.
const FLUSH_WITHIN: Duration = Duration::from_secs(15);
/// How long a commit whose answer was lost is looked for.
const READ_BACK_WITHIN: Duration = Duration::from_secs(8);
const READ_BACK_EVERY: Duration = Duration::from_millis(200);

/// What every start is given.
#[derive(Clone)]
pub struct Args {
    /// Where the ledger is.
    pub database: Database,
    /// The most charges that may wait for a transaction.
    pub waiting_bound: usize,
}

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// Settles this with whatever else waits; the answer comes after the commit.
    Settle {
        /// What.
        charge: Charge,
        /// Why it is refused whatever the ledger says, unless its outcome is known.
        declined: Option<String>,
        /// What became of it. After an error it may have happened.
        reply: Reply<Result<Outcome, BatchError>>,
    },
    /// A transaction has ended, and its callers have been answered.
    Flushed,
}

struct Member {
    charge: Charge,
    declined: Option<String>,
}

/// What waits.
pub struct State {
    args: Args,
    batch: Batch<Arc<Member>, Outcome>,
}

/// The actor.
pub struct Gateway;

impl Actor for Gateway {
    const KIND: &'static str = "gateway";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, _: &mut Context<Msg>) -> Result<State, Failure> {
        args.database.ready()?;
        Ok(State { args, batch: Batch::new(BATCH) })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Settle { reply, .. } if state.batch.len() >= state.args.waiting_bound => {
                reply.send(Ok(Outcome::NeverSent { reason: "too many charges wait".to_owned() }));
            }
            Msg::Settle { charge, declined, reply } => state.batch.push(Arc::new(Member { charge, declined }), reply),
            Msg::Flushed => state.batch.flushed(),
        }
        let database = state.args.database.clone();
        let settle = move |members| flush(database.clone(), members);
        state.batch.flush(ctx, FLUSH_WITHIN, settle, || Msg::Flushed);
        Ok(())
    }
}

/// One batch: read what is known of its orders and keys, decide one after the other, write the new lines.
async fn flush(database: Database, members: Vec<Arc<Member>>) -> Result<Vec<Outcome>, FlushError> {
    let (mut outcomes, mut added) = (Vec::with_capacity(members.len()), None);
    let done = database
        .transaction("gateway", async |txn| {
            let mut ledger = gateway_ledger::read(txn, members.iter().map(|member| &member.charge)).await?;
            for member in &members {
                outcomes.push(ledger.settle(&member.charge, member.declined.as_deref()));
            }
            added = ledger.added().first().map(|entry| entry.key.clone());
            gateway_ledger::append(txn, ledger.added(), clock::now()).await
        })
        .await;
    match done {
        Ok(()) => Ok(outcomes),
        // It never began, or is rolled back.
        Err(TransactionError::Begin(error)) => Ok(never_sent(members.len(), &error)),
        Err(TransactionError::Work(error)) if is_unavailable(&error) => Ok(never_sent(members.len(), &error)),
        // R23: nobody is told before it is known whether it happened.
        Err(error) if error.is_uncertain() && read_back(&database, added).await => Ok(outcomes),
        Err(error) if error.is_uncertain() => Err(FlushError::Unavailable(error.to_string())),
        // Another decision upon the same state was faster, perhaps of an earlier life: each is decided anew, alone.
        Err(error) => Err(FlushError::Poisoned(DbErr::from(error).to_string())),
    }
}

fn never_sent(count: usize, error: &DbErr) -> Vec<Outcome> {
    tracing::warn!(%error, charges = count, "the gateway has no database");
    vec![Outcome::NeverSent { reason: "the gateway has no database".to_owned() }; count]
}

/// Whether the lines were committed, once the database answers again. All of them were or none: the first tells. False where that
/// cannot be found out in time.
async fn read_back(database: &Database, added: Option<String>) -> bool {
    let Some(key) = added else { return true };
    let look = async {
        loop {
            if let Ok(connection) = database.ready()
                && let Ok(found) = gateway_ledger::has(connection, &key).await
            {
                return found;
            }
            tokio::time::sleep(READ_BACK_EVERY).await;
        }
    };
    tokio::time::timeout(READ_BACK_WITHIN, look).await.unwrap_or(false)
}

#[cfg(test)]
mod tests;
