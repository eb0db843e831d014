//! Books, the warehouses that registered, and the cache of what they have free.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{self, index, one_of, reference};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::create(manager, books(), [index("books", &["is_active", "id"])]).await?;
        table::create(manager, warehouse_registry(), []).await?;
        table::create(manager, inventory_cache(), [index("inventory_cache", &["book_id"])]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::drop(manager, &["inventory_cache", "warehouse_registry", "books"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn books() -> TableCreateStatement {
    Table::create()
        .table("books")
        .col(uuid("id").primary_key())
        .col(text("isbn").unique_key())
        .col(text("title"))
        .col(text("author"))
        .col(text_null("publisher"))
        .col(big_integer("price_cents"))
        .col(text_null("description"))
        .col(text_null("genre"))
        .col(integer_null("published_year"))
        .col(boolean("is_active"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .check(("books_price_check", Expr::cust("price_cents >= 0")))
        .take()
}

fn warehouse_registry() -> TableCreateStatement {
    Table::create()
        .table("warehouse_registry")
        .col(uuid("id").primary_key())
        .col(text("name").unique_key())
        .col(text("url"))
        .col(text("internal_url"))
        .col(uuid("database_id"))
        .col(text("status"))
        .col(timestamp_with_time_zone_null("last_seen"))
        .col(timestamp_with_time_zone("last_registered"))
        .col(timestamp_with_time_zone_null("last_pulled_at"))
        .col(boolean("enabled").default(true))
        .col(integer("priority").default(100))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .check(("warehouse_registry_status_check", one_of("status", &["HEALTHY", "OFFLINE"])))
        .take()
}

fn inventory_cache() -> TableCreateStatement {
    Table::create()
        .table("inventory_cache")
        .col(uuid("warehouse_id"))
        .col(uuid("book_id"))
        .col(big_integer("quantity"))
        .col(big_integer("version"))
        .col(timestamp_with_time_zone("updated_at"))
        .primary_key(Index::create().col("warehouse_id").col("book_id"))
        .foreign_key(&mut reference("inventory_cache", "warehouse_id", "warehouse_registry", "id"))
        .foreign_key(&mut reference("inventory_cache", "book_id", "books", "id"))
        .check(("inventory_cache_quantity_check", Expr::cust("quantity >= 0")))
        .take()
}
