//! What a database error means to the one who gets it.

use std::ops::Deref as _;

use actors::{Failure, FlushError};
use sea_orm::sqlx::Error as SqlxError;
use sea_orm::{DbErr, RuntimeErr, SqlErr};

use super::TransactionError;

/// Whether the database is away, or cannot do anything for anybody: worth trying again, no fault of the statement.
///
/// A write that fails so may have happened all the same.
pub fn is_unavailable(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            is_sqlx_unavailable(error.deref())
        }
        _ => false,
    }
}

pub(super) fn is_sqlx_unavailable(error: &SqlxError) -> bool {
    match error {
        SqlxError::Io(_)
        | SqlxError::Tls(_)
        | SqlxError::Protocol(_)
        | SqlxError::PoolTimedOut
        | SqlxError::PoolClosed
        | SqlxError::WorkerCrashed => true,
        SqlxError::Database(error) => {
            let code = error.code().unwrap_or_default();
            // PostgreSQL: connections (08), resources (53), shutdown (57P), I/O (58), a standby (25006).
            // SQLite, by its primary code in the low byte: busy, locked, I/O, full, cannot open.
            match code.parse::<u32>() {
                Ok(number) if code.len() < 5 => matches!(number & 0xff, 5 | 6 | 10 | 13 | 14),
                _ => ["08", "53", "57P", "58", "25006"].iter().any(|class| code.starts_with(class)),
            }
        }
        _ => false,
    }
}

/// Whether another transaction stood in the way (serialization, deadlock, lock timeout): nothing happened, the same again
/// will do.
pub fn is_contended(error: &DbErr) -> bool {
    sqlstate(error).is_some_and(|code| matches!(code.as_str(), "40001" | "40P01" | "55P03"))
}

/// Whether a row with the same key is there already.
pub fn is_unique_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// Whether the row it refers to is not there, or is still referred to.
pub fn is_foreign_key_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_)))
}

/// For an actor that cannot go on: a database that is away is waited for and never counted against a budget.
pub fn failure(error: &DbErr) -> Failure {
    if is_unavailable(error) { Failure::unavailable(error) } else { Failure::broken(error) }
}

/// For a batch: a database that is away is away for every member.
impl From<TransactionError<DbErr>> for FlushError {
    fn from(error: TransactionError<DbErr>) -> Self {
        let error = DbErr::from(error);
        if is_unavailable(&error) { Self::Unavailable(error.to_string()) } else { Self::Poisoned(error.to_string()) }
    }
}

fn sqlstate(error: &DbErr) -> Option<String> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            error.as_database_error()?.code().map(|code| code.into_owned())
        }
        _ => None,
    }
}
