//! The journals of orders as they are read; `db::journal` writes them.

use contract::{OrderId, Shortfall, Timestamp};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement};

use crate::domain::history::{Detail, Entry};

/// What an order's journal says from some entry on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
    /// Whether there will be no more.
    pub is_over: bool,
}

/// The entries after `after`, or all; none where there is no such order.
///
/// # Errors
/// Those of the database.
pub async fn since(db: &impl ConnectionTrait, order: OrderId, after: Option<i64>) -> Result<Option<History>, DbErr> {
    // One statement, so that it is over only together with the entry that ended it.
    let sql = "SELECT s.finished, j.seq, j.event, j.detail, j.at FROM sagas s \
               LEFT JOIN saga_journal j ON j.order_id = s.order_id AND j.seq > $2 \
               WHERE s.order_id = $1 ORDER BY j.seq";
    let values = [order.uuid().into(), after.unwrap_or(-1).into()];
    let rows = db.query_all_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let is_over = first.try_get("", "finished")?;
    let entries = rows.iter().filter_map(|row| entry(row).transpose()).collect::<Result<_, _>>()?;
    Ok(Some(History { entries, is_over }))
}

/// What a rejected order was short of.
///
/// # Errors
/// Those of the database.
pub async fn shortfalls(db: &impl ConnectionTrait, order: OrderId) -> Result<Vec<Shortfall>, DbErr> {
    let sql = "SELECT seq, event, detail, at FROM saga_journal WHERE order_id = $1 ORDER BY seq DESC LIMIT 1";
    let values = [order.uuid().into()];
    let last = db.query_one_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await?;
    let last = last.map(|row| entry(&row)).transpose()?.flatten();
    Ok(last.map(|last| last.detail.shortfalls).unwrap_or_default())
}

fn entry(row: &QueryResult) -> Result<Option<Entry>, DbErr> {
    let Some(seq) = row.try_get("", "seq")? else { return Ok(None) };
    let detail: Option<serde_json::Value> = row.try_get("", "detail")?;
    let detail = detail.map(serde_json::from_value::<Detail>).transpose();
    let detail = detail.map_err(|error| DbErr::Json(error.to_string()))?.unwrap_or_default();
    Ok(Some(Entry { seq, event: row.try_get("", "event")?, detail, at: row.try_get::<Timestamp>("", "at")? }))
}
