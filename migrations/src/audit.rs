//! The audit log: what admins and staff changed. The same in every service, and append-only by the database's own rule.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::table::{self, index, one_of};

pub(crate) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let by_email = index("audit_log", &["email", "id"]);
    table::create(manager, audit_log(), [by_email]).await?;
    table::make_append_only(manager, "audit_log").await
}

pub(crate) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    table::drop_append_only(manager, "audit_log").await
}

fn audit_log() -> TableCreateStatement {
    Table::create()
        .table("audit_log")
        .col(uuid("id").primary_key())
        .col(text("request_id"))
        .col(timestamp_with_time_zone("at"))
        .col(text("phase"))
        .col(uuid("account_id"))
        .col(text("email"))
        .col(text("role"))
        .col(text("client"))
        .col(text("method"))
        .col(text("route"))
        .col(text("path"))
        .col(text_null("body"))
        .col(integer_null("status"))
        .check(("audit_log_phase_check", one_of("phase", &["requested", "answered"])))
        .take()
}
