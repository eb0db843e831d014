//! The warehouses that registered. Only the registry writes here.

#![allow(missing_docs, reason = "the columns are those of the migration")]

use contract::{DatabaseId, WarehouseHealth, WarehouseId};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{Iterable as _, QueryOrder as _, Set};

use super::inventory_cache;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "warehouse_registry")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique)]
    pub name: String,
    pub url: String,
    pub internal_url: String,
    pub database_id: Uuid,
    pub status: String,
    pub last_seen: Option<DateTimeUtc>,
    pub last_registered: DateTimeUtc,
    pub last_pulled_at: Option<DateTimeUtc>,
    pub enabled: bool,
    pub priority: i32,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    /// When it was retired: its shipments still refer to it, its name is free.
    pub deleted_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}

/// Between a retired warehouse's name and its id: a character that names do not have.
const RETIRED: &str = "~";

/// The priority of a warehouse that nobody gave one.
pub const DEFAULT_PRIORITY: i32 = 100;

/// A registered warehouse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warehouse {
    pub id: WarehouseId,
    pub name: String,
    pub url: String,
    pub internal_url: String,
    pub database_id: DatabaseId,
    pub status: WarehouseHealth,
    pub last_seen: Option<DateTimeUtc>,
    pub last_registered: DateTimeUtc,
    pub last_pulled_at: Option<DateTimeUtc>,
    pub enabled: bool,
    pub priority: i32,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

impl TryFrom<Model> for Warehouse {
    type Error = DbErr;

    fn try_from(row: Model) -> Result<Self, DbErr> {
        Ok(Self {
            id: WarehouseId(row.id),
            status: row.status.parse().map_err(|_| DbErr::Type(format!("warehouse status {}", row.status)))?,
            name: row.name,
            url: row.url,
            internal_url: row.internal_url,
            database_id: DatabaseId(row.database_id),
            last_seen: row.last_seen,
            last_registered: row.last_registered,
            last_pulled_at: row.last_pulled_at,
            enabled: row.enabled,
            priority: row.priority,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Those that are there, by name.
///
/// # Errors
/// Those of the database.
pub async fn all(db: &impl ConnectionTrait) -> Result<Vec<Warehouse>, DbErr> {
    let rows = Entity::find().filter(Column::DeletedAt.is_null()).order_by_asc(Column::Name).all(db).await?;
    rows.into_iter().map(Warehouse::try_from).collect()
}

/// Inserts the row, or sets every column of the one with its id.
///
/// # Errors
/// Those of the database; a unique violation when another id has the name.
pub async fn save(db: &impl ConnectionTrait, warehouse: &Warehouse) -> Result<(), DbErr> {
    let row = ActiveModel {
        id: Set(warehouse.id.uuid()),
        name: Set(warehouse.name.clone()),
        url: Set(warehouse.url.clone()),
        internal_url: Set(warehouse.internal_url.clone()),
        database_id: Set(warehouse.database_id.uuid()),
        status: Set(warehouse.status.as_str().to_owned()),
        last_seen: Set(warehouse.last_seen),
        last_registered: Set(warehouse.last_registered),
        last_pulled_at: Set(warehouse.last_pulled_at),
        enabled: Set(warehouse.enabled),
        priority: Set(warehouse.priority),
        created_at: Set(warehouse.created_at),
        updated_at: Set(warehouse.updated_at),
        deleted_at: Set(None),
    };
    let changeable = Column::iter().filter(|column| !matches!(column, Column::Id | Column::CreatedAt));
    let upsert = OnConflict::column(Column::Id).update_columns(changeable).to_owned();
    Entity::insert(row).on_conflict(upsert).exec_without_returning(db).await?;
    Ok(())
}

/// Retires a row: it is there for the shipments that refer to it, but its name is free and its cache empty.
///
/// # Errors
/// Those of the database.
pub async fn retire(db: &impl ConnectionTrait, id: WarehouseId, name: &str, at: DateTimeUtc) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::Name, Expr::value(format!("{name}{RETIRED}{id}")))
        .col_expr(Column::DeletedAt, Expr::value(Some(at)))
        .filter(Column::Id.eq(id.uuid()))
        .exec(db)
        .await?;
    inventory_cache::clear(db, id).await
}

/// Enters a warehouse. One that was retired with the same name and database is it again, with its id.
///
/// # Errors
/// As [`save`].
pub async fn enter(db: &impl ConnectionTrait, warehouse: Warehouse) -> Result<Warehouse, DbErr> {
    let former = Entity::find()
        .filter(Column::DatabaseId.eq(warehouse.database_id.uuid()))
        .filter(Column::DeletedAt.is_not_null())
        .all(db)
        .await?;
    let prefix = format!("{}{RETIRED}", warehouse.name);
    let former = former.into_iter().find(|former| former.name.starts_with(&prefix));
    let id = former.map_or(warehouse.id, |former| WarehouseId(former.id));
    let warehouse = Warehouse { id, ..warehouse };
    save(db, &warehouse).await?;
    Ok(warehouse)
}

#[cfg(test)]
mod tests {
    use service::database::is_unique_violation;

    use super::*;
    use crate::db::testing::{at, enter_warehouse, on_both, warehouse_id};

    #[tokio::test]
    async fn saving_inserts_then_updates_and_a_name_is_one_warehouse() {
        on_both(async |database| {
            let db = database.ready().unwrap();
            let beta = enter_warehouse(database, 2, "beta").await;
            let alpha = enter_warehouse(database, 1, "alpha").await;
            assert_eq!(all(db).await.unwrap(), [alpha.clone(), beta.clone()]);

            let status = WarehouseHealth::Offline;
            let changed = Warehouse { status, last_pulled_at: Some(at(9)), enabled: false, priority: -1, ..alpha };
            save(db, &changed).await.unwrap();
            assert_eq!(all(db).await.unwrap()[0], changed);

            let double = Warehouse { id: warehouse_id(3), ..beta };
            assert!(is_unique_violation(&save(db, &double).await.unwrap_err()));
        })
        .await;
    }

    #[tokio::test]
    async fn a_retired_warehouse_frees_its_name_and_cache_and_is_itself_again_only_with_its_database() {
        on_both(async |database| {
            let db = database.ready().unwrap();
            crate::db::testing::enter_books(database, 2).await;
            let (alpha, beta) =
                (enter_warehouse(database, 1, "alpha").await, enter_warehouse(database, 2, "beta").await);
            let row = crate::db::testing::row(1, 5, 3);
            inventory_cache::upsert_newer(db, &[(alpha.id, row), (beta.id, row)], at(1)).await.unwrap();
            retire(db, alpha.id, "alpha", at(5)).await.unwrap();
            assert_eq!(all(db).await.unwrap(), std::slice::from_ref(&beta));
            assert!(inventory_cache::of_warehouse(db, alpha.id).await.unwrap().is_empty());
            assert_eq!(inventory_cache::of_warehouse(db, beta.id).await.unwrap().len(), 1);

            let stranger =
                Warehouse { id: warehouse_id(3), database_id: DatabaseId(Uuid::from_u128(9)), ..alpha.clone() };
            assert_eq!(enter(db, stranger.clone()).await.unwrap().id, stranger.id);
            retire(db, stranger.id, "alpha", at(6)).await.unwrap();
            let again = Warehouse { id: warehouse_id(4), ..alpha.clone() };
            assert_eq!(enter(db, again).await.unwrap(), alpha);
            assert_eq!(all(db).await.unwrap(), [alpha, beta]);
        })
        .await;
    }
}
