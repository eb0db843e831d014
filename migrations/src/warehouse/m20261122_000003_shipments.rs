//! What was shipped, the final outcome of every shipmentId, and the confirmations that the store has yet to take.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{self, index, one_of, unique};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let log_indexes = [
            unique("shipment_logs", &["shipment_id", "book_id"]),
            index("shipment_logs", &["order_id"]),
            index("shipment_logs", &["book_id", "shipped_at", "id"]),
            index("shipment_logs", &["shipped_at", "id"]),
        ];
        table::create(manager, shipment_logs(), log_indexes).await?;
        table::create(manager, shipments(), [index("shipments", &["order_id"])]).await?;
        table::create(manager, outbox(), [index("outbox", &["next_attempt_at"])]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::drop(manager, &["outbox", "shipments", "shipment_logs"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn shipment_logs() -> TableCreateStatement {
    Table::create()
        .table("shipment_logs")
        .col(uuid("id").primary_key())
        .col(uuid("order_id"))
        .col(uuid("shipment_id"))
        .col(uuid("book_id"))
        .col(text("isbn"))
        .col(big_integer("quantity"))
        .col(timestamp_with_time_zone("shipped_at"))
        .check(("shipment_logs_quantity_check", Expr::cust("quantity > 0")))
        .take()
}

// An id that is voided before it was ever posted has neither order nor items.
fn shipments() -> TableCreateStatement {
    Table::create()
        .table("shipments")
        .col(uuid("shipment_id").primary_key())
        .col(uuid_null("order_id"))
        .col(text_null("items_hash"))
        .col(text("outcome"))
        .col(text_null("answer"))
        .col(timestamp_with_time_zone("at"))
        .check(("shipments_outcome_check", one_of("outcome", &["shipped", "refused", "voided"])))
        .take()
}

fn outbox() -> TableCreateStatement {
    Table::create()
        .table("outbox")
        .col(uuid("shipment_id").primary_key())
        .col(uuid("order_id"))
        .col(text("body"))
        .col(integer("attempts").default(0))
        .col(timestamp_with_time_zone("next_attempt_at"))
        .col(text_null("parked_reason"))
        .col(timestamp_with_time_zone("created_at"))
        .take()
}
