//! The keys by which customers repeat an order without placing it twice. `db::journal` writes them with their orders.

use contract::{OrderId, Timestamp, UserId};
use sea_orm::{ConnectionTrait, DbErr, Statement};
use serde::Serialize;
use uuid::Uuid;

/// A key with what it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Key {
    /// Whose.
    pub user_id: UserId,
    /// As the customer sent it.
    pub key: String,
    /// The fingerprint of what was asked for.
    pub body_hash: String,
}

/// The order of a key, and the fingerprint of what was asked for then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The order.
    pub order: OrderId,
    /// The fingerprint.
    pub body_hash: String,
}

/// What is kept of a customer's key. It is, until [`forget`] has come by.
///
/// # Errors
/// Those of the database.
pub async fn find(db: &impl ConnectionTrait, user: UserId, key: &str) -> Result<Option<Kept>, DbErr> {
    let sql = "SELECT order_id, body_hash FROM idempotency_keys WHERE user_id = $1 AND key = $2";
    let values = [user.uuid().into(), key.into()];
    let row = db.query_one_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await?;
    let kept = |row: sea_orm::QueryResult| {
        Ok(Kept { order: OrderId(row.try_get::<Uuid>("", "order_id")?), body_hash: row.try_get("", "body_hash")? })
    };
    row.map(kept).transpose()
}

/// Forgets keys from before `limit`, oldest first, at most `count`, and says how many.
///
/// # Errors
/// Those of the database.
pub async fn forget(db: &impl ConnectionTrait, limit: Timestamp, count: u64) -> Result<u64, DbErr> {
    let sql = "DELETE FROM idempotency_keys WHERE (user_id, key) IN (\
               SELECT user_id, key FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2)";
    let values = [limit.into(), i64::try_from(count).unwrap_or(i64::MAX).into()];
    let done = db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await?;
    Ok(done.rows_affected())
}
