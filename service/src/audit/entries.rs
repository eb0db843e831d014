//! The table `audit_log`, the same in every service.

use contract::{AuditEntry, Timestamp, UserId};
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, QueryOrder as _, QuerySelect as _};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_log")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub request_id: String,
        pub at: DateTimeUtc,
        pub phase: String,
        pub account_id: Uuid,
        pub email: String,
        pub role: String,
        pub client: String,
        pub method: String,
        pub route: String,
        pub path: String,
        pub body: Option<String>,
        pub status: Option<i32>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// One entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry(pub AuditEntry);

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    /// Not before.
    pub(super) from: Option<Timestamp>,
    /// Before.
    pub(super) to: Option<Timestamp>,
    pub(super) email: Option<String>,
    /// Older than the entry of this id.
    pub(super) before: Option<Uuid>,
    pub(super) limit: u64,
}

/// Appends entries. One that is there already stays: a transaction whose outcome was lost may be repeated.
pub(super) async fn append(db: &impl ConnectionTrait, entries: &[Entry]) -> Result<(), DbErr> {
    let rows = entries.iter().map(|Entry(entry)| entity::ActiveModel {
        id: Set(entry.id),
        request_id: Set(entry.request_id.clone()),
        at: Set(entry.at),
        phase: Set(entry.phase.as_str().to_owned()),
        account_id: Set(entry.account_id.uuid()),
        email: Set(entry.email.clone()),
        role: Set(entry.role.as_str().to_owned()),
        client: Set(entry.client.clone()),
        method: Set(entry.method.clone()),
        route: Set(entry.route.clone()),
        path: Set(entry.path.clone()),
        body: Set(entry.body.clone()),
        status: Set(entry.status.map(i32::from)),
    });
    let insert = entity::Entity::insert_many(rows).on_conflict_do_nothing_on([entity::Column::Id]);
    insert.exec_without_returning(db).await.map(|_| ())
}

/// Entries, newest first.
pub(super) async fn list(db: &impl ConnectionTrait, filter: Filter) -> Result<Vec<AuditEntry>, DbErr> {
    use entity::Column;
    let mut query = entity::Entity::find();
    if let Some(from) = filter.from {
        query = query.filter(Column::At.gte(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(Column::At.lt(to));
    }
    if let Some(email) = filter.email {
        query = query.filter(Column::Email.eq(email));
    }
    if let Some(before) = filter.before {
        query = query.filter(Column::Id.lt(before));
    }
    let rows = query.order_by_desc(Column::Id).limit(filter.limit).all(db).await?;
    rows.into_iter().map(entry).collect()
}

fn entry(row: entity::Model) -> Result<AuditEntry, DbErr> {
    let wrong = |column: &str, error: &dyn std::fmt::Display| DbErr::Type(format!("audit_log.{column}: {error}"));
    let status = row.status.map(u16::try_from).transpose();
    Ok(AuditEntry {
        id: row.id,
        request_id: row.request_id,
        at: row.at,
        phase: row.phase.parse().map_err(|error| wrong("phase", &error))?,
        account_id: UserId(row.account_id),
        email: row.email,
        role: row.role.parse().map_err(|error| wrong("role", &error))?,
        client: row.client,
        method: row.method,
        route: row.route,
        path: row.path,
        body: row.body,
        status: status.map_err(|error| wrong("status", &error))?,
    })
}
