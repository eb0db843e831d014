//! Pools with the settings that each database needs.

use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, DatabaseConnection, DbErr, RuntimeErr};

use crate::config::{Base, ConfigError, DatabaseUrl};

/// How long a query waits for a connection before it counts as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an SQLite writer waits for another. Longer than any transaction of ours takes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection idle for longer is pinged before use; a ping for each use would cost a round trip.
const PING_AFTER_IDLE: Duration = Duration::from_secs(30);

/// How a database is used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is.
    pub url: DatabaseUrl,
    /// What PostgreSQL shows us as, at most 40 bytes of it.
    pub name: String,
    /// Connections for those who write.
    pub writers: u32,
    /// Connections for [`crate::queries`], beside those.
    pub readers: u32,
    /// The longest that one statement may take (PostgreSQL).
    pub statement_timeout: Duration,
}

impl Settings {
    /// From configuration.
    ///
    /// # Errors
    /// When no database is named.
    pub fn new(name: &str, config: &Base) -> Result<Self, ConfigError> {
        Ok(Self {
            url: config.database_url()?,
            name: name.to_owned(),
            writers: config.database_writers,
            readers: config.database_readers,
            statement_timeout: Duration::from_millis(config.statement_timeout_ms),
        })
    }

    /// For tests and command lines: few connections.
    pub fn small(url: DatabaseUrl) -> Self {
        Self { url, name: "bookstore".to_owned(), writers: 4, readers: 4, statement_timeout: Duration::from_secs(30) }
    }

    pub(super) fn application_name(&self, suffix: &str) -> String {
        let name: String = self.name.chars().filter(char::is_ascii).take(40).collect();
        format!("{name}{suffix}")
    }
}

/// When the last outage ended. What was connected before belongs to a server that is gone.
#[derive(Default)]
pub(super) struct Epoch(Mutex<Option<Instant>>);

impl Epoch {
    pub(super) fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_before(&self, age: Duration) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|began| age > began.elapsed())
    }
}

pub(super) async fn pool(settings: &Settings, epoch: &Arc<Epoch>) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(settings.url.expose());
    options.acquire_timeout(ACQUIRE_TIMEOUT).sqlx_logging(false).record_stmt_in_spans(false).connect_lazy(true);
    if settings.url.is_sqlite() {
        // Each connection to memory would be another database.
        let connections = if settings.url.file().is_some() { settings.writers + settings.readers } else { 1 };
        make_folder(&settings.url)?;
        options.max_connections(connections).test_before_acquire(false).map_sqlx_sqlite_opts(|options| {
            options
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                // What has been answered is durable: WAL alone may lose the last commits at a power cut.
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(BUSY_TIMEOUT)
                .foreign_keys(true)
        });
        if settings.url.file().is_none() {
            options.min_connections(1).idle_timeout(None::<Duration>).max_lifetime(None::<Duration>);
        }
    } else {
        let epoch = Arc::clone(epoch);
        options
            .max_connections(settings.writers + settings.readers)
            .statement_timeout(settings.statement_timeout)
            .set_application_name(settings.application_name(""))
            .test_before_acquire_if_idle_for(PING_AFTER_IDLE)
            // A statement's plan is kept, and those of the first seconds are made for tables that are still small: at the
            // default price of a random page, which is a spinning disk's, they would read each from end to end for long.
            .map_sqlx_postgres_opts(|options| options.options([("random_page_cost", "1.1")]))
            .map_sqlx_postgres_before_acquire(move |_, about| {
                let usable = !epoch.is_before(about.age);
                Box::pin(async move { Ok(usable) })
            });
    }
    sea_orm::Database::connect(options).await
}

fn make_folder(url: &DatabaseUrl) -> Result<(), DbErr> {
    let Some(file) = url.file() else { return Ok(()) };
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    std::fs::create_dir_all(folder)
        .map_err(|error| DbErr::Conn(RuntimeErr::Internal(format!("{}: {error}", folder.display()))))
}
