//! How each shipment ended, and the log of what has left.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use contract::{BookId, OrderId, ShipmentId, ShipmentLogEntry, ShipmentLogId, Timestamp};
use sea_orm::{
    Condition, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait as _, FromQueryResult,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Set, Statement, Value,
};
use serde::Serialize;
use service::database::bulk::{self, Type};
use uuid::Uuid;

use super::entities::{shipment_logs as log, shipments as outcome};
use super::{json, reservations};
use crate::domain::batch::Record;
use crate::domain::hold::Hold;
use crate::domain::shipment::{Known, Outcome};

const SHIPPED: &str = "shipped";
const REFUSED: &str = "refused";
const VOIDED: &str = "voided";

/// An outcome as its row has it: the name, and the answer that is given again.
pub(super) fn to_columns(outcome: &Outcome) -> Result<(&'static str, Option<String>), DbErr> {
    Ok(match outcome {
        Outcome::Shipped(receipt) => (SHIPPED, Some(json(receipt)?)),
        Outcome::Refused(refused) => (REFUSED, Some(json(refused)?)),
        Outcome::Voided => (VOIDED, None),
    })
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

/// What is known of some shipments.
#[derive(Debug, Default)]
pub struct Met {
    /// How those ended that have.
    pub known: BTreeMap<ShipmentId, Known>,
    /// What was ever set aside for them.
    pub holds: BTreeMap<ShipmentId, Hold>,
}

#[derive(FromQueryResult)]
struct MetRow {
    shipment_id: Uuid,
    outcome: Option<String>,
    answer: Option<String>,
    order_id: Option<Uuid>,
    items_hash: Option<String>,
    status: Option<String>,
    items: Option<String>,
    expires_at: Option<Timestamp>,
    hold_order_id: Option<Uuid>,
    hold_items_hash: Option<String>,
}

/// What is known of these shipments. One statement, whose text is the same for any number of ids: every batch asks this.
///
/// # Errors
/// Those of the database.
pub async fn met(txn: &DatabaseTransaction, ids: impl IntoIterator<Item = ShipmentId>) -> Result<Met, DbErr> {
    let ids: Vec<Uuid> = ids.into_iter().map(ShipmentId::uuid).collect();
    if ids.is_empty() {
        return Ok(Met::default());
    }
    const SQL: &str = "\
        SELECT shipment_id, s.outcome, s.answer, s.order_id, s.items_hash,
            r.status, r.items, r.expires_at, r.order_id AS hold_order_id, r.items_hash AS hold_items_hash
        FROM (SELECT * FROM shipments WHERE shipment_id {ids}) AS s
        FULL JOIN (SELECT * FROM reservations WHERE shipment_id {ids}) AS r USING (shipment_id)";
    let backend = txn.get_database_backend();
    let (condition, value): (_, Value) = match backend {
        DbBackend::Postgres => ("= ANY($1)", ids.into()),
        _ => ("IN (SELECT unhex(value, '-') FROM json_each(?1))", json(&ids)?.into()),
    };
    let statement = Statement::from_sql_and_values(backend, SQL.replace("{ids}", condition), [value]);
    let mut met = Met::default();
    for row in MetRow::find_by_statement(statement).all(txn).await? {
        let id = ShipmentId(row.shipment_id);
        if let Some(outcome) = row.outcome {
            let outcome = from_columns(&outcome, row.answer.as_deref())?;
            let known = Known { order_id: row.order_id.map(OrderId), items_hash: row.items_hash, outcome };
            met.known.insert(id, known);
        }
        if let (Some(order_id), Some(items_hash), Some(items), Some(status)) =
            (row.hold_order_id, row.hold_items_hash, row.items, row.status)
        {
            let (lines, status) = reservations::read(&items, &status)?;
            let hold = Hold { order_id: OrderId(order_id), items_hash, lines, status, expires_at: row.expires_at };
            met.holds.insert(id, hold);
        }
    }
    Ok(met)
}

/// Writes outcomes one by one: for databases without a faster way.
pub(super) async fn put(txn: &DatabaseTransaction, records: Vec<&Record>, at: Timestamp) -> Result<(), DbErr> {
    for record in records {
        let (name, answer) = to_columns(&record.outcome)?;
        let row = outcome::ActiveModel {
            shipment_id: Set(record.shipment_id.uuid()),
            order_id: Set(record.order_id.map(OrderId::uuid)),
            items_hash: Set(record.items_hash.clone()),
            outcome: Set(name.to_owned()),
            answer: Set(answer),
            at: Set(at),
        };
        outcome::Entity::insert(row).exec_without_returning(txn).await?;
    }
    Ok(())
}

/// Writes that these will never leave, also of those that were refused before.
pub(super) async fn void(txn: &DatabaseTransaction, records: &[&Record], at: Timestamp) -> Result<(), DbErr> {
    #[derive(Serialize)]
    struct Row<'a> {
        shipment_id: ShipmentId,
        order_id: Option<OrderId>,
        items_hash: Option<&'a str>,
        at: String,
    }
    const COLUMNS: &bulk::Columns =
        &[("shipment_id", Type::Uuid), ("order_id", Type::Uuid), ("items_hash", Type::Text), ("at", Type::Time)];
    const SQL: &str = "\
        INSERT INTO shipments (shipment_id, order_id, items_hash, outcome, answer, at)
        SELECT shipment_id, order_id, items_hash, 'voided', NULL, at FROM {rows} WHERE true
        ON CONFLICT (shipment_id) DO UPDATE SET outcome = 'voided', answer = NULL, at = excluded.at";
    let rows = records.iter().map(|record| Row {
        shipment_id: record.shipment_id,
        order_id: record.order_id,
        items_hash: record.items_hash.as_deref(),
        at: at.to_rfc3339(),
    });
    bulk::execute(txn, COLUMNS, &rows.collect::<Vec<_>>(), &[SQL]).await
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
