//! Stock, the ledger of everything that moved it, and the identity and version counter of this database.

use ::uuid::Uuid;
use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{self, index, one_of, reference};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::create(manager, warehouse_state(), []).await?;
        table::create(manager, inventory(), [index("inventory", &["version"])]).await?;
        table::create(manager, inventory_movements(), [index("inventory_movements", &["book_id", "id"])]).await?;
        manager
            .execute(
                Query::insert()
                    .into_table("warehouse_state")
                    .columns(["id", "database_id", "version"])
                    .values_panic([1.into(), Uuid::new_v4().into(), 0_i64.into()])
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::drop(manager, &["inventory_movements", "inventory", "warehouse_state"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn warehouse_state() -> TableCreateStatement {
    Table::create()
        .table("warehouse_state")
        .col(integer("id").primary_key())
        .col(uuid("database_id"))
        .col(big_integer("version"))
        .check(("warehouse_state_one_row_check", Expr::cust("id = 1")))
        .take()
}

fn inventory() -> TableCreateStatement {
    Table::create()
        .table("inventory")
        .col(uuid("book_id").primary_key())
        .col(text("isbn"))
        .col(big_integer("quantity"))
        .col(big_integer("reserved").default(0))
        .col(big_integer("version"))
        .col(text_null("title"))
        .col(text_null("author"))
        .col(timestamp_with_time_zone("updated_at"))
        .check(("inventory_stock_check", Expr::cust("reserved >= 0 AND reserved <= quantity")))
        .take()
}

fn inventory_movements() -> TableCreateStatement {
    const KINDS: &[&str] = &["received", "adjusted", "shipped", "reserved", "released", "returned"];
    Table::create()
        .table("inventory_movements")
        .col(uuid("id").primary_key())
        .col(uuid("book_id"))
        .col(text("kind"))
        .col(big_integer("on_hand_delta"))
        .col(big_integer("reserved_delta"))
        .col(uuid_null("shipment_id"))
        .col(uuid_null("order_id"))
        .col(text("made_by"))
        .col(text_null("reason"))
        .col(big_integer("version"))
        .col(timestamp_with_time_zone("at"))
        .foreign_key(&mut reference("inventory_movements", "book_id", "inventory", "book_id"))
        .check(("inventory_movements_kind_check", one_of("kind", KINDS)))
        .take()
}
