//! The stock: shipments, reservations, returns and adjustments, decided in batches of one transaction each. Child of the warehouse's root.
//!
//! Owns those that wait for the next batch. A restart loses them and the answers of the batch under way; their callers
//! are told that the outcome is unknown and ask again under the same key.

use std::sync::Arc;
use std::time::Duration;

use ::actors::{Actor, Address, Batch, BatchError, Context, Failure, FlushError, Reply};
use contract::{DatabaseId, ShipmentId};
use sea_orm::DbErr;
use service::clock;
use service::database::{Database, TransactionError, is_unavailable};
use strum::IntoStaticStr;

use super::relay;
use crate::db;
use crate::domain::adjustment::Adjustment;
use crate::domain::batch::{self, Answer, Decision, Member, Named};
use crate::domain::returned::Return;
use crate::domain::shipment::Shipment;

/// Members of one batch. Beyond this a transaction only grows longer, and no cheaper by the member.
const BATCH: usize = 128;
/// How long a batch may take, and its members one by one should it fail.
const FLUSH_WITHIN: Duration = Duration::from_secs(10);
/// How long a commit whose answer was lost is looked for.
const READ_BACK_WITHIN: Duration = Duration::from_secs(4);
const READ_BACK_EVERY: Duration = Duration::from_millis(100);

/// What the actor is given.
#[derive(Clone)]
pub struct Args {
    /// Where the stock is.
    pub database: Database,
    /// The name on receipts.
    pub warehouse_name: Arc<str>,
    /// Who delivers the confirmations.
    pub relay: Address<relay::Msg>,
    /// How many may wait for a batch; what comes beyond is turned away.
    pub waiting_bound: usize,
}

/// What a caller is told: an answer, or that nothing was done; or else that it failed, perhaps after its commit.
pub type Told = Result<Result<Answered, NotDone>, BatchError>;

/// An answer from this database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The answer.
    pub answer: Answer,
    /// The database.
    pub database_id: DatabaseId,
}

/// The database is away, or too many wait: certainly nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotDone;

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// Ship this, all lines or none.
    Ship {
        /// What.
        shipment: Shipment,
        /// Whom to tell.
        reply: Reply<Told>,
    },
    /// Set this aside, all lines or none.
    Reserve {
        /// What.
        shipment: Shipment,
        /// For how long, unless it is confirmed.
        hold: Duration,
        /// Whom to tell.
        reply: Reply<Told>,
    },
    /// Keep what is set aside until it is shipped or voided.
    Confirm {
        /// Which.
        shipment: Named,
        /// Whom to tell.
        reply: Reply<Told>,
    },
    /// Ship what is set aside.
    ShipHeld {
        /// Which.
        shipment: Named,
        /// Whom to tell.
        reply: Reply<Told>,
    },
    /// Make sure that this never ships, and release what is set aside for it.
    Void {
        /// Which.
        shipment: Named,
        /// Whom to tell.
        reply: Reply<Told>,
    },
    /// Release what is set aside, if its time is over.
    Expire {
        /// Which.
        shipment_id: ShipmentId,
        /// Whom to tell.
        reply: Reply<Told>,
    },
    /// Take back what was shipped.
    Return {
        /// What.
        returned: Return,
        /// Whom to tell.
        reply: Reply<Told>,
    },
    /// Change what there is.
    Adjust {
        /// How.
        adjustment: Adjustment,
        /// Whom to tell.
        reply: Reply<Told>,
    },
    /// A batch has ended and its callers know.
    Flushed,
}

/// What it owns.
pub struct State {
    args: Args,
    waiting: Batch<Member, Result<Answered, NotDone>>,
}

/// The actor.
pub struct Stock;

impl Actor for Stock {
    const KIND: &'static str = "stock";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, _ctx: &mut Context<Msg>) -> Result<State, Failure> {
        Ok(State { args, waiting: Batch::new(BATCH) })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Ship { shipment, reply } => state.push(Member::Ship(shipment), reply),
            Msg::Reserve { shipment, hold, reply } => state.push(Member::Reserve(shipment, hold), reply),
            Msg::Confirm { shipment, reply } => state.push(Member::Confirm(shipment), reply),
            Msg::ShipHeld { shipment, reply } => state.push(Member::ShipHeld(shipment), reply),
            Msg::Void { shipment, reply } => state.push(Member::Void(shipment), reply),
            Msg::Expire { shipment_id, reply } => state.push(Member::Expire(shipment_id), reply),
            Msg::Return { returned, reply } => state.push(Member::Return(returned), reply),
            Msg::Adjust { adjustment, reply } => state.push(Member::Adjust(adjustment), reply),
            Msg::Flushed => state.waiting.flushed(),
        }
        let args = state.args.clone();
        state.waiting.flush(ctx, FLUSH_WITHIN, move |members| flush(args.clone(), members), || Msg::Flushed);
        Ok(())
    }
}

impl State {
    fn push(&mut self, member: Member, reply: Reply<Told>) {
        if self.waiting.len() >= self.args.waiting_bound {
            reply.send(Ok(Err(NotDone)));
        } else if !reply.is_abandoned() {
            self.waiting.push(member, reply);
        }
    }
}

/// One batch: lock and read what it has to know, decide, write, commit (R13).
async fn flush(args: Args, members: Vec<Member>) -> Result<Vec<Result<Answered, NotDone>>, FlushError> {
    let now = clock::now();
    let count = members.len();
    let mut decided = None;
    let done = args.database.transaction("stock", async |txn| {
        let ground = db::ground(txn, &args.warehouse_name, &members, now).await?;
        let (database_id, version) = (ground.database_id, ground.version);
        let decision = batch::decide(ground, &members);
        db::write(txn, &decision, version, now).await?;
        decided = Some((database_id, version, decision));
        Ok::<_, DbErr>(())
    });
    match (done.await, decided) {
        (Ok(()), Some((database_id, _, decision))) => Ok(answered(&args, database_id, decision)),
        // R23: one lost answer is that of the whole batch, and many unknown ones at once look like a warehouse that is away.
        (Err(error), Some((database_id, version, decision)))
            if error.is_uncertain() && read_back(&args.database, version).await =>
        {
            Ok(answered(&args, database_id, decision))
        }
        (Err(TransactionError::Begin(error)), _) => {
            tracing::warn!(%error, members = count, "a batch could not begin");
            Ok(vec![Err(NotDone); count])
        }
        (Err(TransactionError::Work(error)), _) if is_unavailable(&error) => {
            tracing::warn!(%error, members = count, "the database went away under a batch, which is rolled back");
            Ok(vec![Err(NotDone); count])
        }
        (Err(error), _) if error.is_uncertain() => Err(FlushError::Unavailable(describe(&error))),
        (Err(error), _) => Err(FlushError::Poisoned(describe(&error))),
        (Ok(()), None) => Err(FlushError::Poisoned("a batch was committed undecided".to_owned())),
    }
}

fn answered(args: &Args, database_id: DatabaseId, decision: Decision) -> Vec<Result<Answered, NotDone>> {
    if !decision.departures.is_empty() {
        // A relay that is down finds them when it starts.
        let _ = args.relay.tell(relay::Msg::Wake);
    }
    decision.answers.into_iter().map(|answer| Ok(Answered { answer, database_id })).collect()
}

/// Whether the batch that raised the counter to `version` was committed, once the database answers again. Nobody else raises
/// it, and no other batch is under way. False where that cannot be found out in time.
async fn read_back(database: &Database, version: i64) -> bool {
    let look = async {
        loop {
            if let Ok(connection) = database.ready()
                && let Ok(now) = db::state::version(connection).await
            {
                return now == version;
            }
            tokio::time::sleep(READ_BACK_EVERY).await;
        }
    };
    tokio::time::timeout(READ_BACK_WITHIN, look).await.unwrap_or(false)
}

fn describe(error: &TransactionError<DbErr>) -> String {
    match error {
        TransactionError::Begin(cause) | TransactionError::Work(cause) | TransactionError::Commit(cause) => {
            format!("{error}: {cause}")
        }
    }
}
