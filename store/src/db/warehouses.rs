//! The warehouses that registered. Only the registry writes here.

#![allow(missing_docs, reason = "the columns are those of the migration")]

use contract::{DatabaseId, WarehouseHealth, WarehouseId};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{Iterable as _, QueryOrder as _, Set};

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
}

impl ActiveModelBehavior for ActiveModel {}

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

/// All of them, by name.
///
/// # Errors
/// Those of the database.
pub async fn all(db: &impl ConnectionTrait) -> Result<Vec<Warehouse>, DbErr> {
    let rows = Entity::find().order_by_asc(Column::Name).all(db).await?;
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
    };
    let changeable = Column::iter().filter(|column| !matches!(column, Column::Id | Column::CreatedAt));
    let upsert = OnConflict::column(Column::Id).update_columns(changeable).to_owned();
    Entity::insert(row).on_conflict(upsert).exec_without_returning(db).await?;
    Ok(())
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
}
