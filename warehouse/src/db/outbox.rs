//! Confirmations that the store has yet to take.

use contract::{OrderId, ShipmentId, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait as _, ExprTrait as _, FromQueryResult,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Statement,
};
use serde::Serialize;
use uuid::Uuid;

use super::entities::outbox::{COLUMN, Column, Entity, Model};

/// A confirmation to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The shipment.
    pub shipment_id: ShipmentId,
    /// Its order.
    pub order_id: OrderId,
    /// The body to send.
    pub body: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// Up to `limit` confirmations that are due, longest due first.
///
/// # Errors
/// Those of the database.
pub async fn due(db: &impl ConnectionTrait, now: Timestamp, limit: u64) -> Result<Vec<Due>, DbErr> {
    let rows = Entity::find()
        .filter(COLUMN.next_attempt_at.lte(now))
        .order_by_asc(Column::NextAttemptAt)
        .limit(limit)
        .all(db)
        .await?;
    let due = |row: Model| Due {
        shipment_id: ShipmentId(row.shipment_id),
        order_id: OrderId(row.order_id),
        body: row.body,
        attempts: u32::try_from(row.attempts).unwrap_or(0),
    };
    Ok(rows.into_iter().map(due).collect())
}

/// Removes what the store has taken.
///
/// # Errors
/// Those of the database.
pub async fn delivered(db: &impl ConnectionTrait, shipments: Vec<ShipmentId>) -> Result<(), DbErr> {
    if shipments.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = shipments.into_iter().map(ShipmentId::uuid).collect();
    match db.get_database_backend() {
        // One prepared statement for any number of ids.
        DbBackend::Postgres => {
            const SQL: &str = "DELETE FROM outbox WHERE shipment_id = ANY($1)";
            db.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, SQL, [ids.into()])).await?;
        }
        _ => {
            Entity::delete_many().filter(COLUMN.shipment_id.is_in(ids)).exec(db).await?;
        }
    }
    Ok(())
}

/// Lets this transaction be lost in a crash of the server: for notes of deliveries, which would only be made again, a
/// wait for the disk is not worth it. SQLite has no such setting and waits.
///
/// # Errors
/// Those of the database.
pub async fn without_wait(txn: &DatabaseTransaction) -> Result<(), DbErr> {
    if txn.get_database_backend() == DbBackend::Postgres {
        txn.execute_unprepared("SET LOCAL synchronous_commit = off").await?;
    }
    Ok(())
}

/// Notes a failed try, and when to try next. With a reason the row is parked.
///
/// # Errors
/// Those of the database.
pub async fn put_off(
    db: &impl ConnectionTrait,
    shipment: ShipmentId,
    until: Timestamp,
    parked_reason: Option<String>,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .col_expr(Column::NextAttemptAt, Expr::value(until))
        .col_expr(Column::ParkedReason, Expr::value(parked_reason))
        .filter(COLUMN.shipment_id.eq(shipment.uuid()))
        .exec(db)
        .await?;
    Ok(())
}

/// What is in the outbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromQueryResult, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Confirmations that wait for their next try.
    pub waiting: i64,
    /// Those that the store refused.
    pub parked: i64,
    /// When the earliest is due.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt_at: Option<Timestamp>,
}

/// What is in the outbox, in one row.
///
/// # Errors
/// Those of the database.
pub async fn summary(db: &impl ConnectionTrait) -> Result<Summary, DbErr> {
    const SQL: &str = "SELECT count(*) AS waiting, count(parked_reason) AS parked, \
                       min(next_attempt_at) AS next_attempt_at FROM outbox";
    let statement = Statement::from_string(db.get_database_backend(), SQL);
    Ok(Summary::find_by_statement(statement).one(db).await?.unwrap_or_default())
}
