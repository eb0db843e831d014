//! The ledger: everything that ever changed a row, so that each column is the sum of its movements. Append only.

use std::fmt;
use std::str::FromStr;

use contract::{BookId, MovementId, MovementKind, OrderId, ShipmentId, Timestamp};
use sea_orm::{
    Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Set,
};
use uuid::Uuid;

use super::entities::inventory_movements::{ActiveModel, COLUMN, Column, Entity, Model};
use crate::domain::batch::Movement;

/// Writes movements by people.
///
/// # Errors
/// Those of the database.
pub async fn insert(
    txn: &DatabaseTransaction,
    movements: Vec<Movement>,
    version: i64,
    at: Timestamp,
) -> Result<(), DbErr> {
    let models: Vec<_> = movements
        .into_iter()
        .map(|movement| ActiveModel {
            id: Set(Uuid::now_v7()),
            book_id: Set(movement.book_id.uuid()),
            kind: Set(movement.kind.as_str().to_owned()),
            on_hand_delta: Set(movement.on_hand_delta),
            reserved_delta: Set(0),
            shipment_id: Set(None),
            order_id: Set(None),
            made_by: Set(movement.made_by),
            reason: Set(movement.reason),
            version: Set(version),
            at: Set(at),
        })
        .collect();
    insert_all(txn, models).await
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
