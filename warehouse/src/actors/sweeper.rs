//! Releases reservations whose time is over. Child of the warehouse's root.
//!
//! Owns when it looks next. A restart forgets that, and looks at once.

use std::time::Duration;

use ::actors::{Actor, Address, Context, EffectError, Failure};
use contract::{ShipmentId, Timestamp};
use futures_util::future::join_all;
use service::clock;
use service::database::Database;
use strum::IntoStaticStr;

use super::stock;
use crate::db::reservations;

/// Reservations released in one go.
const AT_ONCE: u64 = 100;
/// How often to look, unless one expires sooner. None is made for less than this, so none is ever found late.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The limit for reading what expires.
const DATABASE_WITHIN: Duration = Duration::from_secs(10);
/// How long the stock may take over a release: a batch under way and its own.
const ASK_WITHIN: Duration = Duration::from_secs(20);

/// What the actor is given.
#[derive(Clone)]
pub struct Args {
    /// Where the reservations are.
    pub database: Database,
    /// Who releases them.
    pub stock: Address<stock::Msg>,
}

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// Look what is overdue.
    Look,
    /// What expires first.
    Found {
        /// It, or why it could not be read.
        outcome: Result<Result<Vec<(ShipmentId, Timestamp)>, String>, EffectError>,
    },
    /// The stock has been asked to release what was overdue.
    Swept {
        /// How many were released; none where it could not be said.
        outcome: Result<usize, EffectError>,
    },
}

/// The actor.
pub struct Sweeper;

impl Actor for Sweeper {
    const KIND: &'static str = "sweeper";
    type Msg = Msg;
    type Args = Args;
    type State = Args;

    async fn start(&self, args: Args, ctx: &mut Context<Msg>) -> Result<Args, Failure> {
        ctx.notify(Msg::Look);
        Ok(args)
    }

    async fn handle(&self, msg: Msg, args: &mut Args, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        // A stop waits for what is under way: nothing new is begun then.
        if ctx.closing().is_closed() {
            return Ok(());
        }
        match msg {
            Msg::Look => look(args.database.clone(), ctx),
            Msg::Found { outcome } => {
                let first = outcome.unwrap_or_else(|error| Err(error.to_string())).unwrap_or_else(|reason| {
                    tracing::debug!(reason, "the reservations cannot be read");
                    Vec::new()
                });
                let now = clock::now();
                let overdue: Vec<_> =
                    first.iter().filter(|(_, at)| *at <= now).map(|(shipment_id, _)| *shipment_id).collect();
                if overdue.is_empty() {
                    let next = first.first().and_then(|(_, at)| (*at - now).to_std().ok());
                    ctx.send_after(next.map_or(LOOK_EVERY, |next| next.min(LOOK_EVERY)), Msg::Look);
                } else {
                    ctx.effect(ASK_WITHIN, sweep(args.stock.clone(), overdue), |outcome| Msg::Swept { outcome });
                }
            }
            // There may be more than were released in one go.
            Msg::Swept { outcome: Ok(1..) } => look(args.database.clone(), ctx),
            Msg::Swept { .. } => {
                ctx.send_after(LOOK_EVERY, Msg::Look);
            }
        }
        Ok(())
    }
}

fn look(database: Database, ctx: &mut Context<Msg>) {
    let read = async move {
        let connection = database.ready().map_err(|failure| failure.reason().to_owned())?;
        reservations::next_to_expire(connection, AT_ONCE).await.map_err(|error| error.to_string())
    };
    ctx.effect(DATABASE_WITHIN, read, |outcome| Msg::Found { outcome });
}

/// All at once, so that they share a batch. Those that the stock does not take now are found again.
async fn sweep(stock: Address<stock::Msg>, overdue: Vec<ShipmentId>) -> usize {
    let asked = overdue.into_iter().map(|shipment_id| {
        let stock = stock.clone();
        async move { stock.ask(ASK_WITHIN, |reply| stock::Msg::Expire { shipment_id, reply }).await }
    });
    join_all(asked).await.iter().filter(|told| matches!(told, Ok(Ok(Ok(_))))).count()
}
