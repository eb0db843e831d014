//! The database of a service: PostgreSQL or an SQLite file, behind one handle that knows whether it can be used.
//!
//! The handle is made before the tree, unconnected. [`Database::child`], the first child of every service's tree, connects, takes
//! the lock that keeps a second process out, brings the schema up to date, and from then on says whether it is ready.

pub mod bulk;
mod connect;
mod error;
mod keeper;
mod lock;
mod transaction;

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use actors::Failure;
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, RuntimeErr};
use tokio::sync::{Mutex, watch};

use crate::config::DatabaseUrl;

pub use connect::Settings;
pub use error::{failure, is_contended, is_foreign_key_violation, is_unavailable, is_unique_violation};
pub use keeper::Preparation;
pub use transaction::{TransactionError, snapshot, transaction};

/// The handle; clones share it.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    settings: Settings,
    connection: OnceLock<DatabaseConnection>,
    state: watch::Sender<State>,
    lock: Mutex<Option<lock::Lock>>,
    was_locked: AtomicBool,
    /// Tells this process from every other that wants the lock.
    identity: String,
    /// Pooled connections older than the last outage are of a server that is gone.
    epoch: Arc<connect::Epoch>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({})", self.url())
    }
}

/// Whether the database can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Connected, locked, up to date.
    Ready,
    /// Another process uses it; who that is. This one waits.
    Locked(String),
    /// Not now, and why.
    Away(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Locked(holder) => write!(f, "another process uses it: {holder}"),
            Self::Away(reason) => f.write_str(reason),
        }
    }
}

impl Database {
    /// The pool's connections, and how many of them are idle; none before the first is made.
    pub fn pool(&self) -> Option<(usize, usize)> {
        let connection = self.0.connection.get()?;
        let (size, idle) = match connection.get_database_backend() {
            DbBackend::Postgres => {
                let pool = connection.get_postgres_connection_pool();
                (pool.size(), pool.num_idle())
            }
            _ => {
                let pool = connection.get_sqlite_connection_pool();
                (pool.size(), pool.num_idle())
            }
        };
        Some((usize::try_from(size).unwrap_or_default(), idle))
    }

    /// A handle that is not ready until [`Database::child`] has made it so. Nothing is opened yet.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Inner {
            settings,
            connection: OnceLock::new(),
            state: watch::Sender::new(State::Away("not connected yet".to_owned())),
            lock: Mutex::new(None),
            was_locked: AtomicBool::new(false),
            identity: uuid::Uuid::new_v4().simple().to_string(),
            epoch: Arc::default(),
        }))
    }

    /// Connects without a keeper, lock or migration: for tests and command lines. Ready at once.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub async fn connect(settings: Settings) -> Result<Self, DbErr> {
        let database = Self::new(settings);
        database.open().await?;
        database.set_state(State::Ready);
        Ok(database)
    }

    /// The pool, when it can be used.
    ///
    /// # Errors
    /// [`Failure::unavailable`] while the database is away, not migrated yet, or locked by another process.
    pub fn ready(&self) -> Result<&DatabaseConnection, Failure> {
        match (&*self.0.state.borrow(), self.0.connection.get()) {
            (State::Ready, Some(connection)) => Ok(connection),
            (State::Ready, None) => Err(Failure::unavailable("database: not connected yet")),
            (state, _) => Err(Failure::unavailable(format!("database: {state}"))),
        }
    }

    /// Whether it can be used, for readiness.
    pub fn state(&self) -> State {
        self.0.state.borrow().clone()
    }

    /// Waits until it is ready.
    pub async fn until_ready(&self) {
        self.until(|state| *state == State::Ready).await;
    }

    /// Waits until its state is such, and says which.
    pub async fn until(&self, such: impl FnMut(&State) -> bool) -> State {
        // The sender lives in the handle itself, so waiting cannot fail.
        self.0.state.subscribe().wait_for(such).await.map_or_else(|_| self.state(), |state| state.clone())
    }

    /// Which of the two it is.
    pub fn backend(&self) -> DbBackend {
        if self.url().is_sqlite() { DbBackend::Sqlite } else { DbBackend::Postgres }
    }

    /// Where it is.
    pub fn url(&self) -> &DatabaseUrl {
        &self.0.settings.url
    }

    /// How it is used.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// [`transaction`] on the pool; not ready counts as [`TransactionError::Begin`].
    ///
    /// # Errors
    /// By step, see [`TransactionError`].
    pub async fn transaction<T, E, F>(&self, name: &str, work: F) -> Result<T, TransactionError<E>>
    where
        F: AsyncFnOnce(&DatabaseTransaction) -> Result<T, E>,
    {
        let connection = self.ready().map_err(|failure| {
            TransactionError::Begin(DbErr::Conn(RuntimeErr::Internal(failure.reason().to_owned())))
        })?;
        transaction(connection, name, work).await
    }

    /// Each change is worth a line in the log.
    fn set_state(&self, state: State) {
        let database = self.url();
        let changed = self.0.state.send_if_modified(|current| {
            let changes = *current != state;
            current.clone_from(&state);
            changes
        });
        match state {
            State::Ready if changed => tracing::info!(%database, "the database is ready"),
            unready if changed => tracing::warn!(%database, "the database cannot be used: {unready}"),
            _ => {}
        }
    }

    /// The pool, opened if it is not. For PostgreSQL this makes no connection yet.
    async fn open(&self) -> Result<&DatabaseConnection, DbErr> {
        if self.0.connection.get().is_none() {
            let connection = connect::pool(&self.0.settings, &self.0.epoch).await?;
            // Somebody else's pool may have been set meanwhile; then this one is dropped.
            let _ = self.0.connection.set(connection);
        }
        self.0.connection.get().ok_or_else(|| DbErr::Conn(RuntimeErr::Internal("no pool".to_owned())))
    }
}
