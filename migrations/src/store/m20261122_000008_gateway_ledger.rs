//! The ledger of the built-in payment gateway. It stands for another company's system: nothing refers to it, and it refers to nothing.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::table::{self, one_of, unique};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::create(manager, gateway_ledger(), [unique("gateway_ledger", &["order_id", "line"])]).await?;
        manager.get_connection().execute_unprepared(&backfill(manager.get_database_backend())).await?;
        table::make_append_only(manager, "gateway_ledger").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::drop_append_only(manager, "gateway_ledger").await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// The lines of an order are numbered, so that two decisions upon the same state of it cannot both be written.
fn gateway_ledger() -> TableCreateStatement {
    Table::create()
        .table("gateway_ledger")
        .col(text("key").primary_key())
        .col(uuid("order_id"))
        .col(big_integer("line"))
        .col(text("operation"))
        .col(big_integer("amount_cents"))
        .col(text("outcome"))
        .col(text_null("reason"))
        .col(timestamp_with_time_zone("at"))
        .check(("gateway_ledger_line_check", Expr::cust("line >= 0")))
        .check((
            "gateway_ledger_operation_check",
            one_of("operation", &["authorize", "capture", "void-payment", "refund"]),
        ))
        .check(("gateway_ledger_amount_check", Expr::cust("amount_cents >= 0")))
        .check(("gateway_ledger_outcome_check", one_of("outcome", &["done", "refused"])))
        .check(("gateway_ledger_reason_check", Expr::cust("(outcome = 'refused') = (reason IS NOT NULL)")))
        .take()
}

/// Payments that were captured before there was a gateway, so that they can be refunded.
fn backfill(backend: DbBackend) -> String {
    let order = if backend == DbBackend::Sqlite { "lower(hex(order_id))" } else { "order_id::text" };
    let line = |line: u8, operation: &str| {
        format!(
            "SELECT 'before:{operation}:' || {order}, order_id, {line}, '{operation}', amount_cents, 'done', updated_at
             FROM payments WHERE status = 'CAPTURED'"
        )
    };
    format!(
        "INSERT INTO gateway_ledger (key, order_id, line, operation, amount_cents, outcome, at) {} UNION ALL {}",
        line(0, "authorize"),
        line(1, "capture")
    )
}
