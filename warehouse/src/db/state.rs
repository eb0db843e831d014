//! The one row that names this database and counts its commits.

use contract::DatabaseId;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait as _, Statement};

use super::entities::warehouse_state::{Entity, Model};

/// Raises the version, and holds every other writer of stock off until the transaction ends: whoever changes stock comes
/// through here first, so versions are committed in their order.
///
/// # Errors
/// Those of the database.
pub async fn raise(txn: &DatabaseTransaction) -> Result<Model, DbErr> {
    const SQL: &str =
        "UPDATE warehouse_state SET version = version + 1 WHERE id = 1 RETURNING id, database_id, version";
    let raised = Entity::find().from_raw_sql(Statement::from_string(txn.get_database_backend(), SQL));
    raised.one(txn).await?.ok_or_else(missing)
}

/// This database.
///
/// # Errors
/// Those of the database.
pub async fn identity(db: &impl ConnectionTrait) -> Result<DatabaseId, DbErr> {
    let state = Entity::find_by_id(1).one(db).await?.ok_or_else(missing)?;
    Ok(DatabaseId(state.database_id))
}

/// The version of the latest batch that was committed.
///
/// # Errors
/// Those of the database.
pub async fn version(db: &impl ConnectionTrait) -> Result<i64, DbErr> {
    let state = Entity::find_by_id(1).one(db).await?.ok_or_else(missing)?;
    Ok(state.version)
}

fn missing() -> DbErr {
    DbErr::RecordNotFound("warehouse_state has lost its row".to_owned())
}
