//! Copies that came back.

use std::collections::BTreeMap;

use contract::{BookId, OrderId, ReturnId, ShipmentId, Timestamp};
use sea_orm::{Condition, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _, QuerySelect as _};
use serde::Serialize;
use service::database::bulk::{self, Type};
use uuid::Uuid;

use super::entities::{returns as made, shipment_logs as log};
use super::json;
use crate::domain::batch::Member;
use crate::domain::returned::Returned;

/// What has to be known before returns are decided.
#[derive(Debug, Default)]
pub struct Past {
    /// What the shipments took.
    pub shipped: BTreeMap<ShipmentId, BTreeMap<BookId, i64>>,
    /// What has come back of them, and what was made under the returns' ids.
    pub returns: BTreeMap<ReturnId, Returned>,
}

/// What has to be known before these members are decided: nothing, and no question of the database, without a return.
///
/// # Errors
/// Those of the database.
pub async fn past(txn: &DatabaseTransaction, members: &[Member]) -> Result<Past, DbErr> {
    let of = |member: &Member| match member {
        Member::Return(returned) => Some((returned.id.uuid(), returned.shipment_id.uuid())),
        _ => None,
    };
    let (ids, shipments): (Vec<Uuid>, Vec<Uuid>) = members.iter().filter_map(of).unzip();
    let mut past = Past::default();
    if ids.is_empty() {
        return Ok(past);
    }
    let lines: Vec<(Uuid, Uuid, i64)> = log::Entity::find()
        .select_only()
        .columns([log::Column::ShipmentId, log::Column::BookId, log::Column::Quantity])
        .filter(log::COLUMN.shipment_id.is_in(shipments.clone()))
        .into_tuple()
        .all(txn)
        .await?;
    for (shipment, book, quantity) in lines {
        *past.shipped.entry(ShipmentId(shipment)).or_default().entry(BookId(book)).or_insert(0) += quantity;
    }
    let wanted = Condition::any().add(made::COLUMN.return_id.is_in(ids)).add(made::COLUMN.shipment_id.is_in(shipments));
    for row in made::Entity::find().filter(wanted).all(txn).await? {
        let unreadable = |error| DbErr::Json(format!("a return cannot be read: {error}"));
        let lines = serde_json::from_str(&row.items).map_err(unreadable)?;
        let receipt = serde_json::from_str(&row.answer).map_err(unreadable)?;
        past.returns.insert(ReturnId(row.return_id), Returned { items_hash: row.items_hash, lines, receipt });
    }
    Ok(past)
}

/// Writes returns.
pub(super) async fn insert(
    txn: &DatabaseTransaction,
    returns: &[(ReturnId, Returned)],
    at: Timestamp,
) -> Result<(), DbErr> {
    #[derive(Serialize)]
    struct Row<'a> {
        return_id: ReturnId,
        shipment_id: ShipmentId,
        order_id: OrderId,
        items_hash: &'a str,
        items: String,
        answer: String,
        at: String,
    }
    const COLUMNS: &bulk::Columns = &[
        ("return_id", Type::Uuid),
        ("shipment_id", Type::Uuid),
        ("order_id", Type::Uuid),
        ("items_hash", Type::Text),
        ("items", Type::Text),
        ("answer", Type::Text),
        ("at", Type::Time),
    ];
    const SQL: &str = "\
        INSERT INTO returns (return_id, shipment_id, order_id, items_hash, items, answer, at)
        SELECT return_id, shipment_id, order_id, items_hash, items, answer, at FROM {rows}";
    let rows = returns.iter().map(|(return_id, returned)| {
        Ok(Row {
            return_id: *return_id,
            shipment_id: returned.receipt.shipment_id,
            order_id: returned.receipt.order_id,
            items_hash: &returned.items_hash,
            items: json(&returned.lines)?,
            answer: json(&returned.receipt)?,
            at: at.to_rfc3339(),
        })
    });
    bulk::execute(txn, COLUMNS, &rows.collect::<Result<Vec<_>, DbErr>>()?, &[SQL]).await
}
