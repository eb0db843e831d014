//! Copies set aside under a shipment's id before they leave, and copies that came back after they had left.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{self, index, one_of};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let reservation_indexes = [
            index("reservations", &["status", "expires_at"]),
            index("reservations", &["order_id"]),
            index("reservations", &["created_at", "shipment_id"]),
        ];
        table::create(manager, reservations(), reservation_indexes).await?;
        table::create(manager, returns(), [index("returns", &["shipment_id"])]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::drop(manager, &["returns", "reservations"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

// The lines stay with their row, since they are only ever written and read together.
fn reservations() -> TableCreateStatement {
    const STATUSES: &[&str] = &["held", "confirmed", "shipped", "released", "expired"];
    Table::create()
        .table("reservations")
        .col(uuid("shipment_id").primary_key())
        .col(uuid("order_id"))
        .col(text("items_hash"))
        .col(text("items"))
        .col(text("status"))
        .col(timestamp_with_time_zone_null("expires_at"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .check(("reservations_status_check", one_of("status", STATUSES)))
        .check((
            "reservations_expiry_check",
            Expr::cust(
                "(status <> 'held' OR expires_at IS NOT NULL) AND (status <> 'confirmed' OR expires_at IS NULL)",
            ),
        ))
        .take()
}

fn returns() -> TableCreateStatement {
    Table::create()
        .table("returns")
        .col(uuid("return_id").primary_key())
        .col(uuid("shipment_id"))
        .col(uuid("order_id"))
        .col(text("items_hash"))
        .col(text("items"))
        .col(text("answer"))
        .col(timestamp_with_time_zone("at"))
        .take()
}
