//! Shipments: what each order's warehouse was told to send.

#![allow(missing_docs, reason = "the columns are those of the migration")]

use std::collections::HashSet;

use contract::{OrderId, ShipmentLine, ShipmentStatus, WarehouseId};
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder as _, QuerySelect as _};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "shipments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub order_id: Uuid,
    pub warehouse_id: Uuid,
    pub warehouse_name: String,
    pub status: String,
    /// The lines as JSON: `[{bookId, isbn, quantity}]`.
    #[sea_orm(column_type = "Text")]
    pub items: String,
    pub shipped_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

/// What an order in flight holds of a warehouse's stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    pub order: OrderId,
    pub warehouse: WarehouseId,
    pub items: Vec<ShipmentLine>,
}

/// The shipments that are instructed and not answered, of which an order may have several.
///
/// # Errors
/// Those of the database.
pub async fn open(db: &impl ConnectionTrait) -> Result<Vec<Open>, DbErr> {
    let pending = Column::Status.eq(ShipmentStatus::Pending.as_str());
    let rows = Entity::find().filter(pending).order_by_asc(Column::Id).all(db).await?;
    let parse = |row: Model| {
        let items = serde_json::from_str(&row.items).map_err(|error| DbErr::Json(error.to_string()))?;
        Ok(Open { order: OrderId(row.order_id), warehouse: WarehouseId(row.warehouse_id), items })
    };
    rows.into_iter().map(parse).collect()
}

/// Whether a warehouse has shipments that are instructed and not answered.
///
/// # Errors
/// Those of the database.
pub async fn is_any_open(db: &impl ConnectionTrait, warehouse: WarehouseId) -> Result<bool, DbErr> {
    let open = Entity::find()
        .filter(Column::WarehouseId.eq(warehouse.uuid()))
        .filter(Column::Status.eq(ShipmentStatus::Pending.as_str()));
    Ok(open.one(db).await?.is_some())
}

/// Where `orders` have open shipments.
///
/// # Errors
/// Those of the database.
pub async fn open_of(db: &impl ConnectionTrait, orders: &[OrderId]) -> Result<HashSet<(OrderId, WarehouseId)>, DbErr> {
    let mut open = HashSet::new();
    for chunk in orders.chunks(1_000) {
        let ids: Vec<(Uuid, Uuid)> = Entity::find()
            .select_only()
            .column(Column::OrderId)
            .column(Column::WarehouseId)
            .filter(Column::OrderId.is_in(chunk.iter().map(|order| order.uuid())))
            .filter(Column::Status.eq(ShipmentStatus::Pending.as_str()))
            .into_tuple()
            .all(db)
            .await?;
        open.extend(ids.into_iter().map(|(order, warehouse)| (OrderId(order), WarehouseId(warehouse))));
    }
    Ok(open)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::db::testing::{book_id, enter_order, enter_warehouse, on_both};

    #[tokio::test]
    async fn only_what_is_instructed_and_not_answered_is_open() {
        on_both(async |database| {
            let db = database.ready().unwrap();
            let alpha = enter_warehouse(database, 1, "alpha").await;
            for (n, status) in [(1, "PENDING"), (2, "SHIPPED"), (3, "REFUSED"), (4, "VOIDED"), (5, "PENDING")] {
                enter_order(database, n, &alpha, 3, status).await;
            }
            let found = open(db).await.unwrap();
            assert_eq!(found.iter().map(|open| open.order.uuid().as_u128()).collect::<Vec<_>>(), [1, 5]);
            assert_eq!((found[0].warehouse, found[0].items[0].quantity), (alpha.id, 3));
            assert_eq!(found[0].items[0].book_id, book_id(1));

            assert!(is_any_open(db, alpha.id).await.unwrap());
            assert!(!is_any_open(db, enter_warehouse(database, 2, "beta").await.id).await.unwrap());

            let asked: Vec<_> = [1, 2, 9].map(|n| OrderId(Uuid::from_u128(n))).to_vec();
            assert_eq!(open_of(db, &asked).await.unwrap(), HashSet::from([(asked[0], alpha.id)]));
            assert_eq!(open_of(db, &[]).await.unwrap(), HashSet::new());
        })
        .await;
    }
}
