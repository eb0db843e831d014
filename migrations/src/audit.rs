//! The audit log: what admins and staff changed. The same in every service, and append-only by the database's own rule.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::table::{self, index, one_of};

pub(crate) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let by_email = index("audit_log", &["email", "id"]);
    table::create(manager, audit_log(), [by_email]).await?;
    let rules: &[&str] = match manager.get_database_backend() {
        DbBackend::Sqlite => &[
            "CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log
             BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END",
            "CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
             BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END",
        ],
        _ => &[
            "CREATE OR REPLACE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'audit_log is append-only'; END $$",
            "CREATE TRIGGER audit_log_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
             FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only()",
        ],
    };
    for rule in rules {
        manager.get_connection().execute_unprepared(rule).await?;
    }
    Ok(())
}

/// Takes the log away with its rules: only whoever may change the schema can do that.
pub(crate) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    table::drop(manager, &["audit_log"]).await?;
    if manager.get_database_backend() == DbBackend::Postgres {
        manager.get_connection().execute_unprepared("DROP FUNCTION audit_log_is_append_only()").await?;
    }
    Ok(())
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
