//! One process a database: an advisory lock on a connection of its own (PostgreSQL), or a lock on the file beside the
//! database's (SQLite). Both let go by themselves when the process dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::str::FromStr as _;
use std::time::Duration;

use migrations::lock::{KEY, file_beside};
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _, PgConnection};

use super::Settings;

const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// The lock. Dropping it lets go.
pub(super) enum Lock {
    Postgres(Box<PgConnection>),
    /// Held for as long as the file is open.
    File {
        _file: File,
    },
    /// A database in memory has no second process.
    Nothing,
}

/// What came of trying to take it.
pub(super) enum Attempt {
    Held(Lock),
    /// Somebody else has it.
    Taken(String),
}

/// Why it could not be tried.
#[derive(Debug, thiserror::Error)]
pub(super) enum LockError {
    #[error("{0}")]
    Postgres(#[from] sqlx::Error),
    #[error("no connection within {} s", CONNECT_WITHIN.as_secs())]
    Slow,
    #[error("{0}")]
    File(#[from] io::Error),
}

/// Tries once. `identity` tells this process from every other.
pub(super) async fn take(settings: &Settings, identity: &str) -> Result<Attempt, LockError> {
    if !settings.url.is_sqlite() {
        let attempt = tokio::time::timeout(CONNECT_WITHIN, take_postgres(settings, identity));
        return attempt.await.unwrap_or(Err(LockError::Slow));
    }
    let Some(database) = settings.url.file() else { return Ok(Attempt::Held(Lock::Nothing)) };
    let path = file_beside(&database);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Attempt::Held(Lock::File { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(Attempt::Taken(format!("who has {} locked", path.display()))),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

async fn take_postgres(settings: &Settings, identity: &str) -> Result<Attempt, LockError> {
    let name = settings.application_name(&format!(":{identity}"));
    // A process that is cut off must not keep the lock for the two hours that TCP takes to notice.
    let keepalive = [
        ("tcp_keepalives_idle", "5"),
        ("tcp_keepalives_interval", "2"),
        ("tcp_keepalives_count", "3"),
        ("statement_timeout", "3000"),
    ];
    let options = PgConnectOptions::from_str(settings.url.expose())?.application_name(&name).options(keepalive);
    let mut connection = options.disable_statement_logging().connect().await?;
    let held: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(KEY).fetch_one(&mut connection).await?;
    if held {
        return Ok(Attempt::Held(Lock::Postgres(Box::new(connection))));
    }
    let holder: Option<(i32, String)> = sqlx::query_as(
        "SELECT a.pid, a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.classid::bigint = $1 AND l.objid::bigint = $2
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .bind(KEY >> 32)
    .bind(KEY & 0xffff_ffff)
    .fetch_optional(&mut connection)
    .await?;
    let holder = match holder {
        // Our own connection of before, which the server has not missed yet.
        Some((pid, holder)) if holder == name => {
            sqlx::query("SELECT pg_terminate_backend($1)").bind(pid).execute(&mut connection).await?;
            let gone = sqlx::Error::Protocol("waiting for our own former connection to let go".to_owned());
            return Err(gone.into());
        }
        Some((pid, holder)) => format!("{} (PostgreSQL process {pid})", holder.split(':').next().unwrap_or_default()),
        None => "one that has just let go".to_owned(),
    };
    connection.close().await?;
    Ok(Attempt::Taken(holder))
}

impl Lock {
    /// Whether it is still held.
    pub(super) async fn ping(&mut self) -> Result<(), LockError> {
        match self {
            Self::Postgres(connection) => Ok(connection.ping().await?),
            Self::File { .. } | Self::Nothing => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DatabaseUrl;

    #[tokio::test]
    async fn a_connection_of_our_own_that_the_server_has_not_missed_is_ended_but_nobody_elses() {
        let scratch = kit::Database::create("lock").await.unwrap();
        let settings = Settings::small(DatabaseUrl::parse(&scratch.url()).unwrap());
        let Ok(Attempt::Held(mut ghost)) = take(&settings, "me").await else { panic!("not taken") };
        let Ok(Attempt::Taken(holder)) = take(&settings, "somebody else").await else { panic!("taken twice") };
        assert!(holder.starts_with("bookstore (PostgreSQL process "), "{holder}");
        ghost.ping().await.unwrap();

        assert!(take(&settings, "me").await.is_err(), "the ghost is being ended");
        kit::until("the lock is free", Duration::from_secs(10), async || match take(&settings, "me").await {
            Ok(Attempt::Held(_)) => Ok(()),
            Ok(Attempt::Taken(holder)) => Err(holder),
            Err(error) => Err(error.to_string()),
        })
        .await;
        ghost.ping().await.unwrap_err();
    }
}
