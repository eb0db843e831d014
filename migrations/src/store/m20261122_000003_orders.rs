//! Orders with their items, payment and shipments. The CHECKs know every status there will be: SQLite cannot change one later.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{self, index, one_of, reference, unique};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::create(manager, orders(), [index("orders", &["user_id", "id"]), index("orders", &["status", "id"])])
            .await?;
        let by_order_and_book = unique("order_items", &["order_id", "book_id"]);
        table::create(manager, order_items(), [by_order_and_book, index("order_items", &["book_id"])]).await?;
        table::create(manager, payments(), []).await?;
        let by_warehouse = index("shipments", &["warehouse_id", "status"]);
        table::create(manager, shipments(), [index("shipments", &["order_id"]), by_warehouse]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::drop(manager, &["shipments", "payments", "order_items", "orders"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn orders() -> TableCreateStatement {
    const STATUSES: &[&str] = &[
        "PENDING",
        "SHIPPED",
        "CANCELLED",
        "REJECTED",
        "NEEDS_ATTENTION",
        "BACKORDERED",
        "PARTIALLY_SHIPPED",
        "RETURNED",
    ];
    Table::create()
        .table("orders")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(text("status"))
        .col(big_integer("total_cents"))
        .col(text_null("status_reason"))
        .col(timestamp_with_time_zone_null("shipped_at"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .foreign_key(&mut reference("orders", "user_id", "users", "id"))
        .check(("orders_status_check", one_of("status", STATUSES)))
        .check(("orders_total_check", Expr::cust("total_cents >= 0")))
        .take()
}

fn order_items() -> TableCreateStatement {
    Table::create()
        .table("order_items")
        .col(uuid("id").primary_key())
        .col(uuid("order_id"))
        .col(uuid("book_id"))
        .col(text("book_title"))
        .col(text("isbn"))
        .col(big_integer("quantity"))
        .col(big_integer("price_cents"))
        .foreign_key(&mut reference("order_items", "order_id", "orders", "id"))
        .foreign_key(&mut reference("order_items", "book_id", "books", "id"))
        .check(("order_items_quantity_check", Expr::cust("quantity > 0")))
        .check(("order_items_price_check", Expr::cust("price_cents >= 0")))
        .take()
}

fn payments() -> TableCreateStatement {
    const STATUSES: &[&str] = &["PENDING", "AUTHORIZED", "CAPTURED", "VOIDED", "REFUNDED", "FAILED"];
    Table::create()
        .table("payments")
        .col(uuid("id").primary_key())
        .col(uuid("order_id").unique_key())
        .col(text("method"))
        .col(big_integer("amount_cents"))
        .col(text("status"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .foreign_key(&mut reference("payments", "order_id", "orders", "id"))
        .check(("payments_amount_check", Expr::cust("amount_cents >= 0")))
        .check(("payments_status_check", one_of("status", STATUSES)))
        .take()
}

fn shipments() -> TableCreateStatement {
    Table::create()
        .table("shipments")
        .col(uuid("id").primary_key())
        .col(uuid("order_id"))
        .col(uuid("warehouse_id"))
        .col(text("warehouse_name"))
        .col(text("status"))
        .col(text("items"))
        .col(timestamp_with_time_zone_null("shipped_at"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .foreign_key(&mut reference("shipments", "order_id", "orders", "id"))
        .foreign_key(&mut reference("shipments", "warehouse_id", "warehouse_registry", "id"))
        .check(("shipments_status_check", one_of("status", &["PENDING", "SHIPPED", "REFUSED", "VOIDED"])))
        .take()
}
