//! Copies set aside: what the sweeper finds, and what people see.

use std::fmt;
use std::str::FromStr;

use contract::{OrderId, ReservationEntry, ReservationStatus, ShipmentId, ShipmentLine, Timestamp};
use sea_orm::{
    Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait as _, FromQueryResult, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Statement,
};
use serde::Serialize;
use service::database::bulk::{self, Type};
use uuid::Uuid;

use super::entities::reservations::{COLUMN, Column, Entity, Model};
use super::json;
use crate::domain::hold::Hold;
use crate::domain::shipment::Line;

const HELD: &str = "held";

const fn name(status: ReservationStatus) -> &'static str {
    match status {
        ReservationStatus::Held => HELD,
        ReservationStatus::Confirmed => "confirmed",
        ReservationStatus::Shipped => "shipped",
        ReservationStatus::Released => "released",
        ReservationStatus::Expired => "expired",
    }
}

/// Lines and status as their columns have them.
pub(super) fn read(items: &str, status: &str) -> Result<(Vec<Line>, ReservationStatus), DbErr> {
    let lines = serde_json::from_str(items).map_err(|error| DbErr::Json(format!("a reservation's lines: {error}")))?;
    let found = ReservationStatus::ALL.iter().copied().find(|known| name(*known) == status);
    Ok((lines, found.ok_or_else(|| DbErr::Type(format!("a reservation's status: {status}")))?))
}

/// Writes reservations that are new or have changed.
pub(super) async fn put(txn: &DatabaseTransaction, holds: &[(ShipmentId, Hold)], at: Timestamp) -> Result<(), DbErr> {
    #[derive(Serialize)]
    struct Row<'a> {
        shipment_id: ShipmentId,
        order_id: OrderId,
        items_hash: &'a str,
        items: String,
        status: &'static str,
        expires_at: Option<String>,
        at: String,
    }
    const COLUMNS: &bulk::Columns = &[
        ("shipment_id", Type::Uuid),
        ("order_id", Type::Uuid),
        ("items_hash", Type::Text),
        ("items", Type::Text),
        ("status", Type::Text),
        ("expires_at", Type::Time),
        ("at", Type::Time),
    ];
    const SQL: &str = "\
        INSERT INTO reservations
            (shipment_id, order_id, items_hash, items, status, expires_at, created_at, updated_at)
        SELECT shipment_id, order_id, items_hash, items, status, expires_at, at, at FROM {rows} WHERE true
        ON CONFLICT (shipment_id) DO UPDATE
            SET status = excluded.status, expires_at = excluded.expires_at, updated_at = excluded.updated_at";
    let rows = holds.iter().map(|(shipment_id, hold)| {
        Ok(Row {
            shipment_id: *shipment_id,
            order_id: hold.order_id,
            items_hash: &hold.items_hash,
            items: json(&hold.lines)?,
            status: name(hold.status),
            expires_at: hold.expires_at.map(|expires_at| expires_at.to_rfc3339()),
            at: at.to_rfc3339(),
        })
    });
    bulk::execute(txn, COLUMNS, &rows.collect::<Result<Vec<_>, DbErr>>()?, &[SQL]).await
}

/// The `limit` reservations that expire first, and when.
///
/// # Errors
/// Those of the database.
pub async fn next_to_expire(db: &impl ConnectionTrait, limit: u64) -> Result<Vec<(ShipmentId, Timestamp)>, DbErr> {
    let rows: Vec<(Uuid, Option<Timestamp>)> = Entity::find()
        .select_only()
        .columns([Column::ShipmentId, Column::ExpiresAt])
        .filter(COLUMN.status.eq(HELD))
        .order_by_asc(Column::ExpiresAt)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().filter_map(|(id, expires_at)| Some((ShipmentId(id), expires_at?))).collect())
}

/// What is set aside.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromQueryResult, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ReservationSummary)]
pub struct Summary {
    /// Reservations that are held until they expire.
    pub held: i64,
    /// Those that are held until they are shipped or released.
    pub confirmed: i64,
    /// When the first expires.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_expiry: Option<Timestamp>,
}

/// What is set aside.
///
/// # Errors
/// Those of the database.
pub async fn summary(db: &impl ConnectionTrait) -> Result<Summary, DbErr> {
    const SQL: &str = "\
        SELECT (SELECT count(*) FROM reservations WHERE status = 'held') AS held,
            (SELECT count(*) FROM reservations WHERE status = 'confirmed') AS confirmed,
            (SELECT min(expires_at) FROM reservations WHERE status = 'held') AS next_expiry";
    let statement = Statement::from_string(db.get_database_backend(), SQL);
    Ok(Summary::find_by_statement(statement).one(db).await?.unwrap_or_default())
}

/// Which reservations to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// That stand there.
    pub status: Option<ReservationStatus>,
    /// For this order.
    pub order_id: Option<OrderId>,
}

/// A place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// When the reservation was made.
    pub created_at: Timestamp,
    /// The reservation.
    pub shipment_id: ShipmentId,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", contract::time::format(&self.created_at), self.shipment_id)
    }
}

/// The text is no place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedPlace;

impl FromStr for Place {
    type Err = MalformedPlace;

    fn from_str(text: &str) -> Result<Self, MalformedPlace> {
        let (time, id) = text.split_once(' ').ok_or(MalformedPlace)?;
        let created_at = contract::time::parse(time).ok_or(MalformedPlace)?;
        Ok(Self { created_at, shipment_id: id.parse().map_err(|_| MalformedPlace)? })
    }
}

/// A page of the reservations, newest first.
///
/// # Errors
/// Those of the database.
pub async fn page(
    db: &impl ConnectionTrait,
    filter: Filter,
    after: Option<Place>,
    limit: u64,
) -> Result<Vec<ReservationEntry>, DbErr> {
    let older = after.map(|last| {
        let (made, id) = (last.created_at, last.shipment_id.uuid());
        Condition::any()
            .add(COLUMN.created_at.lt(made))
            .add(Condition::all().add(COLUMN.created_at.eq(made)).add(COLUMN.shipment_id.lt(id)))
    });
    let wanted = Condition::all()
        .add_option(filter.status.map(|status| COLUMN.status.eq(name(status))))
        .add_option(filter.order_id.map(|order| COLUMN.order_id.eq(order.uuid())))
        .add_option(older);
    let rows = Entity::find().filter(wanted).order_by_desc(Column::CreatedAt).order_by_desc(Column::ShipmentId);
    rows.limit(limit).all(db).await?.into_iter().map(entry).collect()
}

fn entry(row: Model) -> Result<ReservationEntry, DbErr> {
    let (lines, status) = read(&row.items, &row.status)?;
    let item = |Line { book_id, isbn, quantity }| {
        let quantity = u32::try_from(quantity).unwrap_or(u32::MAX);
        ShipmentLine { book_id, isbn, quantity }
    };
    Ok(ReservationEntry {
        shipment_id: ShipmentId(row.shipment_id),
        order_id: OrderId(row.order_id),
        status,
        items: lines.into_iter().map(item).collect(),
        expires_at: row.expires_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_text() {
        let created_at = contract::time::parse("2026-11-22T10:00:00.123456Z").unwrap();
        let place = Place { created_at, shipment_id: ShipmentId::new() };
        assert_eq!(place.to_string().parse(), Ok(place));
        for text in ["", "2026-11-22T10:00:00Z", "x y", "2026-11-22T10:00:00Z y"] {
            assert_eq!(text.parse::<Place>(), Err(MalformedPlace), "{text}");
        }
    }

    #[test]
    fn every_status_is_read_as_it_is_written() {
        for status in ReservationStatus::ALL {
            assert_eq!(read("[]", name(*status)).unwrap(), (Vec::new(), *status));
        }
        assert!(read("[]", "HELD").is_err() && read("", "held").is_err());
    }
}
