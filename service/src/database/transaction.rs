//! The one way to open a transaction that is right on both databases.

use std::fmt;

use sea_orm::{
    AccessMode, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel, RuntimeErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait as _,
};

use super::is_unavailable;
use actors::fault;

/// Why a transaction did not end as it was meant to.
#[derive(Debug)]
pub enum TransactionError<E> {
    /// It never began: nothing happened.
    Begin(DbErr),
    /// The work refused or failed, and was rolled back: nothing happened.
    Work(E),
    /// The commit failed. Where its answer was lost it may have happened: see [`TransactionError::is_uncertain`].
    Commit(DbErr),
}

impl<E> TransactionError<E> {
    /// Whether it may have been committed after all. Read back what it wrote before telling anybody.
    pub fn is_uncertain(&self) -> bool {
        matches!(self, Self::Commit(error) if is_unavailable(error))
    }
}

impl<E: fmt::Display> fmt::Display for TransactionError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin(_) => f.write_str("the transaction could not begin"),
            Self::Work(_) => f.write_str("the transaction was rolled back"),
            Self::Commit(_) => f.write_str("the transaction could not be committed"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for TransactionError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Begin(error) | Self::Commit(error) => Some(error),
            Self::Work(error) => Some(error),
        }
    }
}

/// For those who need not know at which step it failed.
impl From<TransactionError<DbErr>> for DbErr {
    fn from(error: TransactionError<DbErr>) -> Self {
        match error {
            TransactionError::Begin(error) | TransactionError::Work(error) | TransactionError::Commit(error) => error,
        }
    }
}

/// Runs `work` in a transaction, committed when it answers `Ok` and rolled back otherwise, also when it panics or is dropped.
///
/// On SQLite it holds the write lock from the beginning: one that reads first and then writes would fail at once where
/// another has written meanwhile, whatever the busy timeout. So: no slow work inside.
///
/// `name` names the fault points `commit:<name>` and `committed:<name>`. With a verdict the commit's answer is lost: at the first
/// it did not happen, at the second it did.
///
/// # Errors
/// By step, see [`TransactionError`].
#[allow(clippy::disallowed_methods, reason = "this is the place")]
pub async fn transaction<T, E, F>(
    connection: &DatabaseConnection,
    name: &str,
    work: F,
) -> Result<T, TransactionError<E>>
where
    F: AsyncFnOnce(&DatabaseTransaction) -> Result<T, E>,
{
    let options =
        TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() };
    let transaction = connection.begin_with_options(options).await.map_err(TransactionError::Begin)?;
    match work(&transaction).await {
        Ok(done) => {
            if fault::ENABLED && fault::verdict(&format!("commit:{name}")).await.is_some() {
                return Err(TransactionError::Commit(lost()));
            }
            transaction.commit().await.map_err(TransactionError::Commit)?;
            if fault::ENABLED && fault::verdict(&format!("committed:{name}")).await.is_some() {
                return Err(TransactionError::Commit(lost()));
            }
            Ok(done)
        }
        Err(error) => {
            // Dropping it rolls back too, but only later, when the connection is used again.
            if let Err(error) = transaction.rollback().await {
                tracing::debug!(%error, "rollback failed; the connection is dropped");
            }
            Err(TransactionError::Work(error))
        }
    }
}

/// The error of a test that wants the answer to a commit lost.
fn lost() -> DbErr {
    DbErr::Conn(RuntimeErr::Internal("injected: the answer to the commit was lost".to_owned()))
}

/// Runs reads that all see the database as it was at the first of them, whatever is committed meanwhile.
///
/// # Errors
/// Those of the reads.
pub async fn snapshot<T, F>(connection: &DatabaseConnection, reads: F) -> Result<T, DbErr>
where
    F: AsyncFnOnce(&DatabaseTransaction) -> Result<T, DbErr>,
{
    // SQLite has one isolation level, which is as strict, and a deferred transaction that never writes waits for nobody.
    let postgres = connection.get_database_backend() == DbBackend::Postgres;
    let options = TransactionOptions {
        isolation_level: postgres.then_some(IsolationLevel::RepeatableRead),
        access_mode: postgres.then_some(AccessMode::ReadOnly),
        ..Default::default()
    };
    let transaction = connection.begin_with_options(options).await?;
    let read = reads(&transaction).await;
    transaction.rollback().await?;
    read
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait as _, Statement};

    use super::*;
    use crate::config::DatabaseUrl;
    use crate::database::{Database, Settings};

    async fn database(folder: &tempfile::TempDir) -> Database {
        let url = format!("sqlite://{}", folder.path().join("t.db").display());
        let database = Database::connect(Settings::small(DatabaseUrl::parse(&url).unwrap())).await.unwrap();
        let connection = database.ready().unwrap();
        connection.execute_unprepared("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)").await.unwrap();
        connection.execute_unprepared("INSERT INTO t VALUES (1, 0)").await.unwrap();
        database
    }

    async fn number(connection: &impl sea_orm::ConnectionTrait) -> Result<i64, DbErr> {
        let row =
            connection.query_one_raw(Statement::from_string(connection.get_database_backend(), "SELECT n FROM t"));
        row.await?.ok_or(DbErr::RecordNotFound("t".to_owned()))?.try_get("", "n")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_may_read_and_then_write_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder).await;
        let writers = (0..16).map(|_| {
            let database = database.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    let add = 1;
                    database
                        .transaction("test", async |txn| {
                            let next = number(txn).await? + add;
                            txn.execute_unprepared(&format!("UPDATE t SET n = {next}")).await?;
                            Ok::<_, DbErr>(())
                        })
                        .await
                        .unwrap();
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        assert_eq!(number(database.ready().unwrap()).await.unwrap(), 80);
    }

    #[tokio::test]
    async fn an_error_rolls_back() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder).await;
        let refused = database.transaction("test", async |txn| {
            txn.execute_unprepared("UPDATE t SET n = 7").await.unwrap();
            Err::<(), _>("no")
        });
        assert!(matches!(refused.await, Err(TransactionError::Work("no"))));
        assert_eq!(number(database.ready().unwrap()).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn an_answer_to_a_commit_can_be_lost_whether_it_happened_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder).await;
        let set_to = async |value: i64| {
            let work = async |txn: &DatabaseTransaction| {
                txn.execute_unprepared(&format!("UPDATE t SET n = {value}")).await.map(|_| ())
            };
            database.transaction("lossy", work).await
        };
        fault::set("committed:lossy", "1*return(lost:1000:1)").unwrap();
        let error = set_to(7).await.err();
        assert_eq!(error.is_some_and(|error| error.is_uncertain()), fault::ENABLED);
        assert_eq!(number(database.ready().unwrap()).await.unwrap(), 7, "it happened");
        fault::set("commit:lossy", "1*return(fail:lost)").unwrap();
        let error = set_to(8).await.err();
        assert_eq!(error.is_some_and(|error| error.is_uncertain()), fault::ENABLED);
        let expected = if fault::ENABLED { 7 } else { 8 };
        assert_eq!(number(database.ready().unwrap()).await.unwrap(), expected, "it did not");
        set_to(9).await.unwrap();
        assert_eq!(number(database.ready().unwrap()).await.unwrap(), 9);
    }

    #[tokio::test]
    async fn what_was_answered_is_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder).await;
        let pragma = async |name: &str| {
            let sql = format!("SELECT CAST({name} AS TEXT) AS value FROM pragma_{name}");
            let row = database.ready().unwrap().query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await;
            row.unwrap().unwrap().try_get::<String>("", "value").unwrap()
        };
        assert_eq!(pragma("journal_mode").await, "wal");
        assert_eq!(pragma("synchronous").await, "2");
        assert_eq!(pragma("foreign_keys").await, "1");
    }
}
