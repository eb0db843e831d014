//! Sagas: where each order's fulfillment stands, and every step it took.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{self, reference};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let unfinished = Index::create()
            .name("sagas_unfinished_idx")
            .table("sagas")
            .col("order_id")
            .and_where(Expr::col("finished").not())
            .take();
        table::create(manager, sagas(), [unfinished]).await?;
        table::create(manager, saga_journal(), []).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::drop(manager, &["saga_journal", "sagas"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn sagas() -> TableCreateStatement {
    Table::create()
        .table("sagas")
        .col(uuid("order_id").primary_key())
        .col(big_integer("seq"))
        .col(json_binary("state"))
        .col(boolean("finished"))
        .col(boolean("needs_attention"))
        .col(integer("panics").default(0))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .foreign_key(&mut reference("sagas", "order_id", "orders", "id"))
        .take()
}

fn saga_journal() -> TableCreateStatement {
    Table::create()
        .table("saga_journal")
        .col(uuid("order_id"))
        .col(big_integer("seq"))
        .col(text("event"))
        .col(json_binary_null("detail"))
        .col(timestamp_with_time_zone("at"))
        .primary_key(Index::create().col("order_id").col("seq"))
        .foreign_key(&mut reference("saga_journal", "order_id", "sagas", "order_id"))
        .take()
}
