//! Sagas as they are read back.

#![allow(missing_docs, reason = "the columns are those of the migration")]

use std::collections::HashMap;

use contract::{Order, OrderId, Timestamp};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait as _, LikeExpr};
use sea_orm::{Condition, QueryOrder as _, QuerySelect as _};

use super::journal::PANICS_TO_ATTENTION;
use crate::domain::saga::{Effort, Saga};

mod former;

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
    /// The state's.
    pub stage: String,
    /// What it has tried in vain since its latest entry.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub effort: Option<Json>,
    pub finished: bool,
    pub needs_attention: bool,
    pub panics: i32,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

/// A saga as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub saga: Saga,
    /// Of its latest journal entry.
    pub seq: i64,
    /// When that was written.
    pub updated_at: Timestamp,
}

/// An order with its saga.
///
/// # Errors
/// Those of the database; one that the saga cannot be read.
pub async fn resume(db: &impl ConnectionTrait, order: OrderId) -> Result<Option<(Order, Stored)>, DbErr> {
    let Some(found) = super::orders::find(db, order).await? else { return Ok(None) };
    let Some(row) = Entity::find_by_id(order.uuid()).one(db).await? else { return Ok(None) };
    let saga = read(row.state, &found)?;
    Ok(Some((found, Stored { saga, seq: row.seq, updated_at: row.updated_at })))
}

/// Which sagas to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only in one of these stages; where none is named, only those that are not over.
    pub stages: Vec<&'static str>,
    /// Only those that need attention.
    pub attention: bool,
    /// Only those with this in their latest error or in why a person must look, in lower case; empty is any error.
    pub error: Option<String>,
    /// Only those of later orders than this.
    pub after: Option<OrderId>,
}

/// A saga as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    pub order: Order,
    /// Or why it cannot be read: one such hides no other.
    pub saga: Result<Saga, String>,
    /// The stage's name.
    pub stage: String,
    pub effort: Effort,
    pub needs_attention: bool,
    pub panics: i32,
    pub updated_at: Timestamp,
}

/// Sagas by the age of their orders, oldest first, at most `limit`.
///
/// # Errors
/// Those of the database.
pub async fn list(db: &impl ConnectionTrait, filter: &Filter, limit: u64) -> Result<Vec<Overview>, DbErr> {
    let mut query = Entity::find().order_by_asc(Column::OrderId).limit(limit);
    query = match &filter.stages[..] {
        [] => query.filter(Expr::cust("NOT finished")),
        stages => query.filter(COLUMN.stage.is_in(stages.iter().copied())),
    };
    if filter.attention {
        query = query.filter(COLUMN.needs_attention.eq(true));
    }
    if let Some(error) = &filter.error {
        // A character of its own, since a backslash means something more to PostgreSQL and nothing to SQLite.
        let escaped = error.replace('!', "!!").replace('%', "!%").replace('_', "!_");
        let pattern = format!("%{escaped}%");
        let text = "lower(coalesce(effort ->> 'error', '') || ' ' || coalesce(sagas.state ->> 'attention', ''))";
        let some = "(effort ->> 'error' IS NOT NULL OR sagas.state ->> 'attention' IS NOT NULL)";
        query = query.filter(Expr::cust(some)).filter(Expr::cust(text).like(LikeExpr::new(pattern).escape('!')));
    }
    if let Some(after) = filter.after {
        query = query.filter(COLUMN.order_id.gt(after.uuid()));
    }
    overviews(db, query.all(db).await?).await
}

/// One saga as operators see it.
///
/// # Errors
/// Those of the database.
pub async fn overview(db: &impl ConnectionTrait, order: OrderId) -> Result<Option<Overview>, DbErr> {
    let rows = Entity::find_by_id(order.uuid()).all(db).await?;
    Ok(overviews(db, rows).await?.pop())
}

async fn overviews(db: &impl ConnectionTrait, rows: Vec<Model>) -> Result<Vec<Overview>, DbErr> {
    let ids: Vec<_> = rows.iter().map(|row| OrderId(row.order_id)).collect();
    let orders = super::orders::find_all(db, &ids).await?;
    let mut orders: HashMap<_, _> = orders.into_iter().map(|order| (order.id, order)).collect();
    let overview = |row: Model| {
        let id = OrderId(row.order_id);
        let order = orders.remove(&id).ok_or_else(|| DbErr::RecordNotFound(format!("order {id}")))?;
        let effort = row.effort.map(serde_json::from_value).transpose();
        Ok(Overview {
            saga: read(row.state, &order).map_err(|error| error.to_string()),
            stage: row.stage,
            order,
            effort: effort.ok().flatten().unwrap_or_default(),
            needs_attention: row.needs_attention,
            panics: row.panics,
            updated_at: row.updated_at,
        })
    };
    rows.into_iter().map(overview).collect()
}

fn read(state: Json, order: &Order) -> Result<Saga, DbErr> {
    let malformed = |error: serde_json::Error| DbErr::Json(error.to_string());
    if state.get("shipment").is_some() {
        return Ok(serde_json::from_value::<former::Saga>(state).map_err(malformed)?.into_saga(order));
    }
    serde_json::from_value(state).map_err(malformed)
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
