//! Makes this warehouse known to the store, and keeps it known. Child of the warehouse's root.
//!
//! Owns whether the store has registered it. A restart forgets that and registers at once, which changes nothing there.

use std::sync::Arc;
use std::time::Duration;

use ::actors::{Actor, Context, EffectError, Failure, Reply};
use contract::{Registered, Registration};
use service::database::Database;
use strum::IntoStaticStr;

use crate::client::{CALL_WITHIN, RegisterError, StoreApi};
use crate::db;
use crate::domain::registration::Policy;

/// The limit for one try, reading this database's identity included.
const TRY_WITHIN: Duration = CALL_WITHIN.saturating_add(Duration::from_secs(5));

/// What the actor is given.
#[derive(Clone)]
pub struct Args {
    /// Whose identity is registered.
    pub database: Database,
    /// Where.
    pub store: Arc<dyn StoreApi>,
    /// The name that the store knows this warehouse by.
    pub name: String,
    /// Its address for people.
    pub url: String,
    /// Its address for the store.
    pub internal_url: String,
    /// When to try.
    pub policy: Policy,
}

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// Try now; from a timer.
    Register,
    /// The try has ended.
    Tried {
        /// How.
        outcome: Result<Result<Registered, RegisterError>, EffectError>,
    },
    /// Where is this warehouse registered?
    GetStore {
        /// Whom to tell: the store's address, none while it does not know this warehouse.
        reply: Reply<Option<String>>,
    },
}

/// What it owns.
pub struct State {
    args: Args,
    is_registered: bool,
    failures: u32,
}

/// The actor.
pub struct Registrar;

impl Actor for Registrar {
    const KIND: &'static str = "registrar";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, ctx: &mut Context<Msg>) -> Result<State, Failure> {
        ctx.notify(Msg::Register);
        Ok(State { args, is_registered: false, failures: 0 })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Register => {
                let attempt = register(state.args.clone());
                ctx.effect(TRY_WITHIN, attempt, |outcome| Msg::Tried { outcome });
            }
            Msg::Tried { outcome } => {
                state.note(outcome.unwrap_or_else(|error| Err(RegisterError::Unanswered(error.to_string()))));
                ctx.send_after(state.args.policy.pause(state.failures), Msg::Register);
            }
            Msg::GetStore { reply } => reply.send(state.is_registered.then(|| state.args.store.address())),
        }
        Ok(())
    }
}

impl State {
    fn note(&mut self, outcome: Result<Registered, RegisterError>) {
        match outcome {
            Ok(registered) => {
                if !self.is_registered || self.failures > 0 {
                    let (id, store) = (registered.id, self.args.store.address());
                    tracing::info!(%id, store, status = %registered.status, "registered with the store");
                }
                (self.is_registered, self.failures) = (true, 0);
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                // A store that does not answer may know this warehouse all the same.
                self.is_registered &= matches!(error, RegisterError::Unanswered(_));
                let (store, failures) = (self.args.store.address(), self.failures);
                match error {
                    RegisterError::Unanswered(_) => tracing::warn!(store, failures, "not registered: {error}"),
                    _ => tracing::error!(store, failures, "not registered: {error}"),
                }
            }
        }
    }
}

/// The identity is read for each try: it is another when the database was replaced under us (R19).
async fn register(args: Args) -> Result<Registered, RegisterError> {
    let away = |reason: String| RegisterError::Unanswered(format!("the own database is away: {reason}"));
    let connection = args.database.ready().map_err(|failure| away(failure.reason().to_owned()))?;
    let database_id = db::state::identity(connection).await.map_err(|error| away(error.to_string()))?;
    let Args { name, url, internal_url, store, .. } = args;
    store.register(Registration { name, url, internal_url, database_id }).await
}
