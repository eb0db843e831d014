//! What split, backordered, cancelled and returned orders need: where each saga stands and what it tries in vain, what was
//! taken of a payment and given back, and which copies came back.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column a statement.
        for (table, column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(column).take()).await?;
        }
        let db = manager.get_connection();
        db.execute_unprepared("UPDATE payments SET captured_cents = amount_cents WHERE status = 'CAPTURED'").await?;
        db.execute_unprepared(
            "UPDATE sagas SET stage = CASE WHEN NOT finished THEN 'shipping' ELSE \
             (SELECT CASE o.status WHEN 'SHIPPED' THEN 'shipped' ELSE 'rejected' END FROM orders o WHERE o.id = order_id) END",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in columns().into_iter().rev() {
            let name = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(name).take()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn columns() -> Vec<(&'static str, ColumnDef)> {
    vec![
        ("sagas", text("stage").default("").take()),
        ("sagas", json_binary_null("effort").take()),
        ("orders", boolean("cancel_requested").default(false).take()),
        ("order_items", big_integer("returned").default(0).take()),
        ("payments", big_integer("captured_cents").default(0).take()),
        ("payments", big_integer("refunded_cents").default(0).take()),
    ]
}
