//! The ledger: everything that ever changed a row, so that each column is the sum of its movements. Append only.

use std::fmt;
use std::str::FromStr;

use contract::{BookId, MovementId, MovementKind, OrderId, ShipmentId, Timestamp};
use sea_orm::{
    Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use serde::Serialize;
use service::database::bulk::{self, Type};
use uuid::Uuid;

use super::entities::inventory_movements::{ActiveModel, COLUMN, Column, Entity, Model};
use crate::domain::batch::Movement;

/// Writes movements.
///
/// # Errors
/// Those of the database.
pub async fn insert(
    txn: &DatabaseTransaction,
    movements: &[Movement],
    version: i64,
    at: Timestamp,
) -> Result<(), DbErr> {
    #[derive(Serialize)]
    struct Row<'a> {
        id: Uuid,
        book_id: BookId,
        kind: MovementKind,
        on_hand_delta: i64,
        reserved_delta: i64,
        shipment_id: Option<ShipmentId>,
        order_id: Option<OrderId>,
        made_by: &'a str,
        reason: Option<&'a str>,
        version: i64,
        at: String,
    }
    const COLUMNS: &bulk::Columns = &[
        ("id", Type::Uuid),
        ("book_id", Type::Uuid),
        ("kind", Type::Text),
        ("on_hand_delta", Type::BigInt),
        ("reserved_delta", Type::BigInt),
        ("shipment_id", Type::Uuid),
        ("order_id", Type::Uuid),
        ("made_by", Type::Text),
        ("reason", Type::Text),
        ("version", Type::BigInt),
        ("at", Type::Time),
    ];
    const SQL: &str = "\
        INSERT INTO inventory_movements
            (id, book_id, kind, on_hand_delta, reserved_delta, shipment_id, order_id, made_by, reason, version, at)
        SELECT id, book_id, kind, on_hand_delta, reserved_delta, shipment_id, order_id, made_by, reason, version, at
        FROM {rows}";
    let rows = movements.iter().map(|movement| Row {
        id: Uuid::now_v7(),
        book_id: movement.book_id,
        kind: movement.kind,
        on_hand_delta: movement.on_hand_delta,
        reserved_delta: movement.reserved_delta,
        shipment_id: movement.shipment_id,
        order_id: movement.order_id,
        made_by: &movement.made_by,
        reason: movement.reason.as_deref(),
        version,
        at: at.to_rfc3339(),
    });
    bulk::execute(txn, COLUMNS, &rows.collect::<Vec<_>>(), &[SQL]).await
}

pub(super) async fn insert_all(txn: &DatabaseTransaction, models: Vec<ActiveModel>) -> Result<(), DbErr> {
    for chunk in models.chunks(500) {
        Entity::insert_many(chunk.to_vec()).exec_without_returning(txn).await?;
    }
    Ok(())
}

/// Which entries to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Made at or after.
    pub from: Option<Timestamp>,
    /// Made before.
    pub to: Option<Timestamp>,
    /// Of this kind.
    pub kind: Option<MovementKind>,
}

/// A place in a book's ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The version of the entry.
    pub version: i64,
    /// The entry.
    pub id: MovementId,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.version, self.id)
    }
}

/// The text is no place in a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedPlace;

impl FromStr for Place {
    type Err = MalformedPlace;

    fn from_str(text: &str) -> Result<Self, MalformedPlace> {
        let (version, id) = text.split_once(' ').ok_or(MalformedPlace)?;
        let version = version.parse().map_err(|_| MalformedPlace)?;
        Ok(Self { version, id: id.parse().map_err(|_| MalformedPlace)? })
    }
}

/// A page of a book's ledger, newest first: by version, since a clock may be set back.
///
/// # Errors
/// Those of the database.
pub async fn page(
    db: &impl ConnectionTrait,
    book: BookId,
    filter: Filter,
    after: Option<Place>,
    limit: u64,
) -> Result<Vec<contract::Movement>, DbErr> {
    let older = after.map(|last| {
        Condition::any()
            .add(COLUMN.version.lt(last.version))
            .add(Condition::all().add(COLUMN.version.eq(last.version)).add(COLUMN.id.lt(last.id.uuid())))
    });
    let wanted = Condition::all()
        .add(COLUMN.book_id.eq(book.uuid()))
        .add_option(filter.from.map(|from| COLUMN.at.gte(from)))
        .add_option(filter.to.map(|to| COLUMN.at.lt(to)))
        .add_option(filter.kind.map(|kind| COLUMN.kind.eq(kind.as_str())))
        .add_option(older);
    let entries = Entity::find().filter(wanted).order_by_desc(Column::Version).order_by_desc(Column::Id);
    entries.limit(limit).all(db).await?.into_iter().map(entry).collect()
}

fn entry(row: Model) -> Result<contract::Movement, DbErr> {
    Ok(contract::Movement {
        id: MovementId(row.id),
        book_id: BookId(row.book_id),
        kind: row.kind.parse().map_err(|error| DbErr::Type(format!("a movement's kind: {error}")))?,
        on_hand_delta: row.on_hand_delta,
        reserved_delta: row.reserved_delta,
        shipment_id: row.shipment_id.map(ShipmentId),
        order_id: row.order_id.map(OrderId),
        made_by: row.made_by,
        reason: row.reason,
        version: row.version,
        at: row.at,
    })
}
