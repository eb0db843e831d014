//! How each shipment ended, and the log of what has left.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use contract::{BookId, OrderId, ShipmentId, ShipmentLogEntry, ShipmentLogId, Timestamp};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    Condition, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Set, Statement,
};
use uuid::Uuid;

use super::entities::{shipment_logs as log, shipments as outcome};
use crate::domain::batch::Record;
use crate::domain::shipment::{Known, Outcome};

const SHIPPED: &str = "shipped";
const REFUSED: &str = "refused";
const VOIDED: &str = "voided";

/// An outcome as its row has it: the name, and the answer that is given again.
pub(super) fn to_columns(outcome: &Outcome) -> Result<(&'static str, Option<String>), DbErr> {
    let answer = match outcome {
        Outcome::Shipped(receipt) => (SHIPPED, serde_json::to_string(receipt)),
        Outcome::Refused(refused) => (REFUSED, serde_json::to_string(refused)),
        Outcome::Voided => return Ok((VOIDED, None)),
    };
    let (name, answer) = answer;
    Ok((name, Some(answer.map_err(|error| DbErr::Json(error.to_string()))?)))
}

fn from_columns(name: &str, answer: Option<&str>) -> Result<Outcome, DbErr> {
    let answer = answer.unwrap_or_default();
    let outcome = match name {
        SHIPPED => serde_json::from_str(answer).map(Outcome::Shipped),
        REFUSED => serde_json::from_str(answer).map(Outcome::Refused),
        _ => Ok(Outcome::Voided),
    };
    outcome.map_err(|error| DbErr::Json(format!("a shipment's answer cannot be read: {error}")))
}

/// Those of these shipments that were decided before.
///
/// # Errors
/// Those of the database.
pub async fn known(
    txn: &DatabaseTransaction,
    ids: impl IntoIterator<Item = ShipmentId>,
) -> Result<BTreeMap<ShipmentId, Known>, DbErr> {
    let ids: Vec<Uuid> = ids.into_iter().map(ShipmentId::uuid).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let find = outcome::Entity::find();
    let rows = match txn.get_database_backend() {
        // One prepared statement for any number of ids.
        DbBackend::Postgres => {
            const SQL: &str = "SELECT * FROM shipments WHERE shipment_id = ANY($1)";
            let statement = Statement::from_sql_and_values(DbBackend::Postgres, SQL, [ids.into()]);
            find.from_raw_sql(statement).all(txn).await?
        }
        _ => find.filter(outcome::COLUMN.shipment_id.is_in(ids)).all(txn).await?,
    };
    rows.into_iter()
        .map(|row| {
            let known = Known {
                order_id: row.order_id.map(OrderId),
                outcome: from_columns(&row.outcome, row.answer.as_deref())?,
                items_hash: row.items_hash,
            };
            Ok((ShipmentId(row.shipment_id), known))
        })
        .collect()
}

/// Writes outcomes one by one, replacing what is there: for those that were voided, and for databases without a faster way.
pub(super) async fn put(txn: &DatabaseTransaction, records: Vec<Record>, at: Timestamp) -> Result<(), DbErr> {
    for record in records {
        let (name, answer) = to_columns(&record.outcome)?;
        let row = outcome::ActiveModel {
            shipment_id: Set(record.shipment_id.uuid()),
            order_id: Set(record.order_id.map(OrderId::uuid)),
            items_hash: Set(record.items_hash),
            outcome: Set(name.to_owned()),
            answer: Set(answer),
            at: Set(at),
        };
        let columns = [outcome::Column::Outcome, outcome::Column::Answer, outcome::Column::At];
        let conflict = OnConflict::column(outcome::Column::ShipmentId).update_columns(columns).to_owned();
        outcome::Entity::insert(row).on_conflict(conflict).exec_without_returning(txn).await?;
    }
    Ok(())
}

/// Which lines of the log to give.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// Shipped at or after.
    pub from: Option<Timestamp>,
    /// Shipped before.
    pub to: Option<Timestamp>,
    /// Of this book.
    pub book_id: Option<BookId>,
    /// Of this order.
    pub order_id: Option<OrderId>,
}

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogCursor {
    /// When the line was shipped.
    pub shipped_at: Timestamp,
    /// The line.
    pub id: ShipmentLogId,
}

impl fmt::Display for LogCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", contract::time::format(&self.shipped_at), self.id)
    }
}

/// The text is no place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedCursor;

impl FromStr for LogCursor {
    type Err = MalformedCursor;

    fn from_str(text: &str) -> Result<Self, MalformedCursor> {
        let (time, id) = text.split_once(' ').ok_or(MalformedCursor)?;
        let shipped_at = contract::time::parse(time).ok_or(MalformedCursor)?;
        Ok(Self { shipped_at, id: id.parse().map_err(|_| MalformedCursor)? })
    }
}

/// A page of the log, newest first.
///
/// # Errors
/// Those of the database.
pub async fn page(
    db: &impl ConnectionTrait,
    filter: &LogFilter,
    after: Option<LogCursor>,
    limit: u64,
) -> Result<Vec<ShipmentLogEntry>, DbErr> {
    use log::COLUMN;
    let older = after.map(|last| {
        Condition::any()
            .add(COLUMN.shipped_at.lt(last.shipped_at))
            .add(Condition::all().add(COLUMN.shipped_at.eq(last.shipped_at)).add(COLUMN.id.lt(last.id.uuid())))
    });
    let wanted = Condition::all()
        .add_option(filter.from.map(|from| COLUMN.shipped_at.gte(from)))
        .add_option(filter.to.map(|to| COLUMN.shipped_at.lt(to)))
        .add_option(filter.book_id.map(|book| COLUMN.book_id.eq(book.uuid())))
        .add_option(filter.order_id.map(|order| COLUMN.order_id.eq(order.uuid())))
        .add_option(older);
    let rows = log::Entity::find()
        .filter(wanted)
        .order_by_desc(log::Column::ShippedAt)
        .order_by_desc(log::Column::Id)
        .limit(limit)
        .all(db)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| ShipmentLogEntry {
            id: ShipmentLogId(row.id),
            order_id: OrderId(row.order_id),
            shipment_id: ShipmentId(row.shipment_id),
            book_id: BookId(row.book_id),
            isbn: row.isbn,
            quantity: row.quantity,
            shipped_at: row.shipped_at,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let shipped_at = contract::time::parse("2026-11-22T10:00:00.123456Z").unwrap();
        let cursor = LogCursor { shipped_at, id: ShipmentLogId::new() };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "2026-11-22T10:00:00Z", "x y", "2026-11-22T10:00:00Z y"] {
            assert_eq!(text.parse::<LogCursor>(), Err(MalformedCursor), "{text}");
        }
    }
}
