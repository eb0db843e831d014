//! Makes this warehouse known to the store, and keeps it known. Child of the warehouse's root.
//!
//! Owns whether the store has registered it. A restart forgets that and registers at once, which changes nothing there.

use std::sync::Arc;
use std::time::Duration;

use ::actors::{Actor, Context, EffectError, Failure, Reply};
use contract::{DatabaseId, Registered, Registration};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
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
    /// What is registered under the name.
    pub identity: Arc<dyn Identity>,
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

/// Knows which database this is, or why that cannot be told now.
pub trait Identity: Send + Sync {
    /// Read anew at each call: it is another when the database was replaced under us (R19).
    fn read(&self) -> BoxFuture<'static, Result<DatabaseId, String>>;
}

impl Identity for Database {
    fn read(&self) -> BoxFuture<'static, Result<DatabaseId, String>> {
        let database = self.clone();
        async move {
            let connection = database.ready().map_err(|failure| failure.reason().to_owned())?;
            db::state::identity(connection).await.map_err(|error| error.to_string())
        }
        .boxed()
    }
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

async fn register(args: Args) -> Result<Registered, RegisterError> {
    let away = |reason| RegisterError::Unanswered(format!("the own database is away: {reason}"));
    let database_id = args.identity.read().await.map_err(away)?;
    let Args { name, url, internal_url, store, .. } = args;
    store.register(Registration { name, url, internal_url, database_id }).await
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use ::actors::{Address, ChildSpec, System};
    use contract::{OrderId, WarehouseHealth, WarehouseId};
    use tokio::time::Instant;

    use super::*;
    use crate::domain::delivery::Attempt;

    /// A store that answers in turn as it was told, and notes when it was asked for which database.
    struct Script {
        answers: Mutex<VecDeque<Result<(), RegisterError>>>,
        asked: Mutex<Vec<(u64, DatabaseId)>>,
        began: Instant,
    }

    impl Script {
        fn new(answers: impl IntoIterator<Item = Result<(), RegisterError>>) -> Arc<Self> {
            let answers = Mutex::new(answers.into_iter().collect());
            Arc::new(Self { answers, asked: Mutex::default(), began: Instant::now() })
        }

        fn seconds(&self) -> Vec<u64> {
            self.asked.lock().unwrap().iter().map(|(seconds, _)| *seconds).collect()
        }
    }

    impl StoreApi for Script {
        fn register(&self, registration: Registration) -> BoxFuture<'static, Result<Registered, RegisterError>> {
            self.asked.lock().unwrap().push((self.began.elapsed().as_secs(), registration.database_id));
            let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Ok(()));
            let (id, status) = (WarehouseId::new(), WarehouseHealth::Offline);
            async move { answer.map(|()| Registered { id, name: registration.name, status }) }.boxed()
        }

        fn confirm(&self, _: OrderId, _: String) -> BoxFuture<'static, Attempt> {
            async { Attempt::Taken }.boxed()
        }

        fn titles(&self, _: Vec<contract::BookId>) -> BoxFuture<'static, Result<Vec<db::titles::Titled>, String>> {
            std::future::pending().boxed()
        }

        fn address(&self) -> String {
            "http://store".to_owned()
        }
    }

    /// A database that is another one at each look.
    struct Restless;

    impl Identity for Restless {
        fn read(&self) -> BoxFuture<'static, Result<DatabaseId, String>> {
            async { Ok(DatabaseId::new()) }.boxed()
        }
    }

    async fn start(store: &Arc<Script>) -> (System, Address<Msg>) {
        let args = Args {
            identity: Arc::new(Restless),
            store: Arc::clone(store) as _,
            name: "alpha".to_owned(),
            url: "http://alpha".to_owned(),
            internal_url: "http://alpha:3000".to_owned(),
            policy: Policy { interval: Duration::from_secs(5), quick_tries: 3 },
        };
        let address = Address::new(10);
        let system =
            System::start("test", vec![ChildSpec::actor("registrar", &address, Registrar, args)]).await.unwrap();
        assert!(system.started().await);
        (system, address)
    }

    async fn registered_with(address: &Address<Msg>) -> Option<String> {
        address.ask(Duration::from_secs(1), |reply| Msg::GetStore { reply }).await.unwrap()
    }

    fn silent() -> Result<(), RegisterError> {
        Err(RegisterError::Unanswered("refused".to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn defect_13_a_store_that_comes_late_is_never_given_up() {
        let store = Script::new((0..8).map(|_| silent()));
        let (system, address) = start(&store).await;
        tokio::time::sleep(Duration::from_secs(314)).await;
        assert_eq!(store.seconds(), [0, 5, 10, 20, 40, 80, 140, 200, 260]);
        assert_eq!(registered_with(&address).await.as_deref(), Some("http://store"));
        tokio::time::sleep(Duration::from_secs(7)).await;
        assert_eq!(store.seconds().last(), Some(&320), "once in, again every minute");
        system.stop().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn r19_every_try_tells_the_identity_of_the_moment() {
        let store = Script::new([]);
        let (system, _) = start(&store).await;
        tokio::time::sleep(Duration::from_secs(61)).await;
        let asked = store.asked.lock().unwrap().clone();
        assert_eq!(asked.len(), 2);
        assert_ne!(asked[0].1, asked[1].1);
        system.stop().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn silence_does_not_undo_a_registration_and_a_refusal_does() {
        let other = Err(RegisterError::OtherIdentity("409".to_owned()));
        let store = Script::new([Ok(()), silent(), other, Ok(())]);
        let (system, address) = start(&store).await;
        let mut seen = Vec::new();
        for pause in [1, 60, 5, 5] {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            seen.push(registered_with(&address).await.is_some());
        }
        assert_eq!(seen, [true, true, false, true]);
        system.stop().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_registers_again_at_once() {
        let store = Script::new([]);
        let (system, address) = start(&store).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        address.kill();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(store.seconds().len(), 2);
        assert!(registered_with(&address).await.is_some());
        system.stop().await.unwrap();
    }
}
