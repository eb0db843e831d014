//! What repeating, listing and administering orders needs: idempotency keys, indexes in the order of lists, and
//! warehouses that are gone but still named by the shipments of old orders.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{self, index, reference};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::create(manager, idempotency_keys(), [index("idempotency_keys", &["created_at"])]).await?;
        for columns in LISTS {
            manager.create_index(index("orders", columns)).await?;
        }
        for columns in FORMER_LISTS {
            manager.drop_index(drop_index(columns)).await?;
        }
        let deleted_at = timestamp_with_time_zone_null("deleted_at");
        manager.alter_table(Table::alter().table("warehouse_registry").add_column(deleted_at).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("warehouse_registry").drop_column("deleted_at").take()).await?;
        for columns in FORMER_LISTS {
            manager.create_index(index("orders", columns)).await?;
        }
        for columns in LISTS {
            manager.drop_index(drop_index(columns)).await?;
        }
        table::drop(manager, &["idempotency_keys"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Lists are by the time of acceptance, newest first: of all, of a customer, in a status.
const LISTS: [&[&str]; 3] = [&["created_at", "id"], &["user_id", "created_at", "id"], &["status", "created_at", "id"]];

/// By id, which is about the same, but not what a range of times can be looked up by.
const FORMER_LISTS: [&[&str]; 2] = [&["user_id", "id"], &["status", "id"]];

fn drop_index(columns: &[&str]) -> IndexDropStatement {
    Index::drop().name(format!("orders_{}_idx", columns.join("_"))).table("orders").to_owned()
}

fn idempotency_keys() -> TableCreateStatement {
    Table::create()
        .table("idempotency_keys")
        .col(uuid("user_id"))
        .col(text("key"))
        .col(text("body_hash"))
        .col(uuid("order_id"))
        .col(timestamp_with_time_zone("created_at"))
        .primary_key(Index::create().col("user_id").col("key"))
        .foreign_key(&mut reference("idempotency_keys", "user_id", "users", "id"))
        .foreign_key(&mut reference("idempotency_keys", "order_id", "orders", "id"))
        .take()
}
