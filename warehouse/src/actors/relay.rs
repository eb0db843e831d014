//! Delivers confirmations of shipments from the outbox to the store, at least once each. Child of the warehouse's root.
//!
//! Owns which of them are under way. A restart forgets that and reads the outbox again, so some are delivered twice,
//! which the store takes as once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ::actors::{Actor, Context, EffectError, Failure, Timer};
use contract::{ShipmentId, Timestamp};
use sea_orm::DbErr;
use service::clock;
use service::database::Database;
use strum::IntoStaticStr;

use crate::client::{CALL_WITHIN, StoreApi};
use crate::db::outbox::{self, Due};
use crate::domain::delivery::{self, Attempt, Next};

/// Confirmations under way at once. One that hangs holds up only its own place.
const CONCURRENCY: usize = 16;
/// How long to wait after a shipment for those right behind it, so that they are read together.
const LINGER: Duration = Duration::from_millis(20);
/// How often to look for what has become due again.
const POLL: Duration = Duration::from_secs(1);
/// The limit for reading or writing the outbox.
const DATABASE_WITHIN: Duration = Duration::from_secs(10);

/// What the actor is given.
#[derive(Clone)]
pub struct Args {
    /// Where the outbox is.
    pub database: Database,
    /// Whom to tell.
    pub store: Arc<dyn StoreApi>,
}

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// A shipment has left.
    Wake,
    /// Look what is due.
    Fetch,
    /// What is due.
    Fetched {
        /// It, or why it could not be read.
        outcome: Result<Result<Vec<Due>, String>, EffectError>,
    },
    /// A try has ended.
    Tried {
        /// Which.
        shipment_id: ShipmentId,
        /// The tries before it.
        attempts: u32,
        /// How.
        outcome: Result<Attempt, EffectError>,
    },
    /// What came of tries has been written.
    Settled {
        /// Of which.
        shipments: Vec<ShipmentId>,
        /// Or why it could not be; they are tried again.
        outcome: Result<Result<(), String>, EffectError>,
    },
}

/// What it owns.
pub struct State {
    args: Args,
    /// Those being tried, or whose try is yet to be written.
    under_way: HashSet<ShipmentId>,
    /// Tries that ended since the last write began.
    ended: Vec<(ShipmentId, Next)>,
    trying: usize,
    fetching: bool,
    settling: bool,
    /// Whether something may be due that was not fetched.
    more: bool,
    timer: Option<Timer>,
    lingers: bool,
}

/// The actor.
pub struct Relay;

impl Actor for Relay {
    const KIND: &'static str = "relay";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, ctx: &mut Context<Msg>) -> Result<State, Failure> {
        ctx.notify(Msg::Fetch);
        Ok(State {
            args,
            under_way: HashSet::new(),
            ended: Vec::new(),
            trying: 0,
            fetching: false,
            settling: false,
            more: false,
            timer: None,
            lingers: false,
        })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Wake if state.lingers => {}
            Msg::Wake => {
                state.lingers = true;
                state.look_after(LINGER, ctx);
            }
            Msg::Fetch => {
                state.lingers = false;
                state.more = true;
            }
            Msg::Fetched { outcome } => {
                state.fetching = false;
                state.fetched(flatten(outcome), ctx);
            }
            Msg::Tried { shipment_id, attempts, outcome } => {
                state.trying -= 1;
                let attempt = outcome.unwrap_or_else(|error| Attempt::Unanswered(error.to_string()));
                if let Attempt::Refused(reason) = &attempt {
                    tracing::error!(%shipment_id, reason, "the store refuses a confirmation: it is parked");
                }
                state.ended.push((shipment_id, delivery::next(attempts, attempt)));
            }
            Msg::Settled { shipments, outcome } => {
                state.settling = false;
                for shipment in &shipments {
                    state.under_way.remove(shipment);
                }
                if let Err(reason) = flatten(outcome) {
                    tracing::warn!(reason, "deliveries could not be written down: they are repeated");
                }
            }
        }
        state.settle(ctx);
        state.fetch(ctx);
        Ok(())
    }
}

impl State {
    /// Looks again after `delay`, in place of any look that was planned.
    fn look_after(&mut self, delay: Duration, ctx: &mut Context<Msg>) {
        if let Some(timer) = self.timer.replace(ctx.send_after(delay, Msg::Fetch)) {
            timer.cancel();
        }
    }

    fn fetch(&mut self, ctx: &mut Context<Msg>) {
        // A stop waits for what is under way: nothing new is begun then.
        if !self.more || self.fetching || self.trying >= CONCURRENCY || ctx.closing().is_closed() {
            return;
        }
        (self.more, self.fetching) = (false, true);
        let (database, now) = (self.args.database.clone(), clock::now());
        let limit = (self.under_way.len() + CONCURRENCY) as u64;
        let read = async move {
            let connection = database.ready().map_err(|failure| failure.reason().to_owned())?;
            outbox::due(connection, now, limit).await.map_err(|error| error.to_string())
        };
        ctx.effect(DATABASE_WITHIN, read, |outcome| Msg::Fetched { outcome });
    }

    fn fetched(&mut self, outcome: Result<Vec<Due>, String>, ctx: &mut Context<Msg>) {
        let due = outcome.unwrap_or_else(|reason| {
            tracing::debug!(reason, "the outbox cannot be read");
            Vec::new()
        });
        for due in due {
            if self.under_way.contains(&due.shipment_id) {
                continue;
            }
            if self.trying >= CONCURRENCY || ctx.closing().is_closed() {
                self.more = true;
                break;
            }
            self.trying += 1;
            self.under_way.insert(due.shipment_id);
            let Due { shipment_id, order_id, body, attempts } = due;
            let call = self.args.store.confirm(order_id, body);
            ctx.effect(CALL_WITHIN, call, move |outcome| Msg::Tried { shipment_id, attempts, outcome });
        }
        if !self.lingers {
            self.look_after(POLL, ctx);
        }
    }

    /// Writes down what the tries came to: all that ended while the last write ran, in one go.
    fn settle(&mut self, ctx: &mut Context<Msg>) {
        if self.settling || self.ended.is_empty() {
            return;
        }
        self.settling = true;
        let ended = std::mem::take(&mut self.ended);
        let shipments = ended.iter().map(|(shipment, _)| *shipment).collect();
        let write = write_down(self.args.database.clone(), ended, clock::now());
        ctx.effect(DATABASE_WITHIN, write, |outcome| Msg::Settled { shipments, outcome });
    }
}

async fn write_down(database: Database, ended: Vec<(ShipmentId, Next)>, now: Timestamp) -> Result<(), String> {
    let write = async |txn: &sea_orm::DatabaseTransaction| {
        outbox::without_wait(txn).await?;
        let mut taken = Vec::new();
        for (shipment, next) in &ended {
            let (pause, reason) = match next {
                Next::Forget => {
                    taken.push(*shipment);
                    continue;
                }
                Next::Retry(pause) => (pause, None),
                Next::Park(pause, reason) => (pause, Some(reason.clone())),
            };
            outbox::put_off(txn, *shipment, now + *pause, reason).await?;
        }
        outbox::delivered(txn, taken).await
    };
    database.transaction("outbox", write).await.map_err(|error| DbErr::from(error).to_string())
}

fn flatten<T>(outcome: Result<Result<T, String>, EffectError>) -> Result<T, String> {
    outcome.unwrap_or_else(|error| Err(error.to_string()))
}
