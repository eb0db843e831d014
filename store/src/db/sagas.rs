//! Sagas as they are read back.

#![allow(missing_docs, reason = "the columns are those of the migration")]

use contract::{OrderId, Timestamp};
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, QueryOrder as _, QuerySelect as _};

use super::journal::PANICS_TO_ATTENTION;
use crate::domain::saga::Saga;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sagas")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub order_id: Uuid,
    /// Of its latest journal entry.
    pub seq: i64,
    #[sea_orm(column_type = "JsonBinary")]
    pub state: Json,
    pub finished: bool,
    pub needs_attention: bool,
    pub panics: i32,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

/// A saga and the number of its latest journal entry.
///
/// # Errors
/// Those of the database.
pub async fn find(db: &impl ConnectionTrait, order: OrderId) -> Result<Option<(Saga, i64)>, DbErr> {
    let Some(row) = Entity::find_by_id(order.uuid()).one(db).await? else { return Ok(None) };
    let saga = serde_json::from_value(row.state).map_err(|error| DbErr::Json(error.to_string()))?;
    Ok(Some((saga, row.seq)))
}

/// Orders whose saga is not over, oldest first, at most `limit`, after `after`. One that has panicked too often is tried
/// again too, since needing attention is a flag and no stop (R5), but only where it has rested since `rested_since`.
///
/// # Errors
/// Those of the database.
pub async fn unfinished(
    db: &impl ConnectionTrait,
    after: Option<OrderId>,
    rested_since: Timestamp,
    limit: u64,
) -> Result<Vec<OrderId>, DbErr> {
    let mut query = Entity::find()
        .select_only()
        .column(Column::OrderId)
        .filter(Expr::cust("NOT finished"))
        .filter(Condition::any().add(COLUMN.panics.lt(PANICS_TO_ATTENTION)).add(COLUMN.updated_at.lte(rested_since)))
        .order_by_asc(Column::OrderId)
        .limit(limit);
    if let Some(after) = after {
        query = query.filter(COLUMN.order_id.gt(after.uuid()));
    }
    Ok(query.into_tuple::<Uuid>().all(db).await?.into_iter().map(OrderId).collect())
}
