//! What each warehouse had free when the store last knew.
//!
//! Rows are written in (warehouse, book) order by everybody, so that two writers never wait for each other in a circle (R18).

#![allow(missing_docs, reason = "the columns are those of the migration")]

use std::collections::BTreeMap;

use contract::{BookId, StockRow, Timestamp, WarehouseId};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, OnConflict, SimpleExpr};
use sea_orm::{DbBackend, FromQueryResult, QueryOrder as _, QuerySelect as _, Set, Statement, Value};

use crate::domain::pull::Cached;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "inventory_cache")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub warehouse_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub book_id: Uuid,
    /// Copies free: on hand less reserved.
    pub quantity: i64,
    pub version: i64,
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

/// When a row replaces the one that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// It has a newer version.
    Newer,
    /// It has the same version or a newer one.
    SameOrNewer,
    /// Always.
    Always,
}

impl Rule {
    const fn sql(self) -> &'static str {
        match self {
            Self::Newer => "excluded.version > inventory_cache.version",
            Self::SameOrNewer => "excluded.version >= inventory_cache.version",
            Self::Always => "true",
        }
    }
}

/// Sets the rows that are newer than those cached, in (warehouse, book) order whatever the order given; older ones change nothing.
///
/// # Errors
/// Those of the database; a foreign key violation for a book or warehouse that there is not.
pub async fn upsert_newer(
    db: &impl ConnectionTrait,
    rows: &[(WarehouseId, StockRow)],
    at: Timestamp,
) -> Result<(), DbErr> {
    upsert(db, rows.iter().copied(), at, Rule::Newer).await
}

/// Writes a pull's changes: rows at the same version too, since there the pull is right; with `wholesale` whatever the versions.
///
/// # Errors
/// As [`upsert_newer`].
pub async fn write_pull(
    db: &impl ConnectionTrait,
    warehouse: WarehouseId,
    rows: &[StockRow],
    wholesale: bool,
    at: Timestamp,
) -> Result<(), DbErr> {
    let rule = if wholesale { Rule::Always } else { Rule::SameOrNewer };
    upsert(db, rows.iter().map(|row| (warehouse, *row)), at, rule).await
}

/// Removes a warehouse's rows of `books` up to `version`; with `None` whatever their version.
///
/// # Errors
/// Those of the database.
pub async fn remove(
    db: &impl ConnectionTrait,
    warehouse: WarehouseId,
    books: &[BookId],
    version: Option<i64>,
) -> Result<(), DbErr> {
    // One by one in order: this is rare, and a statement over many rows locks them in an order of its own.
    let mut books = books.to_vec();
    books.sort_unstable();
    for book in books {
        let mut delete = Entity::delete_many()
            .filter(Column::WarehouseId.eq(warehouse.uuid()))
            .filter(Column::BookId.eq(book.uuid()));
        if let Some(version) = version {
            delete = delete.filter(Column::Version.lte(version));
        }
        delete.exec(db).await?;
    }
    Ok(())
}

/// All rows.
///
/// # Errors
/// Those of the database.
pub async fn all(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
    Entity::find().all(db).await
}

/// One warehouse's rows by book.
///
/// # Errors
/// Those of the database.
pub async fn of_warehouse(
    db: &impl ConnectionTrait,
    warehouse: WarehouseId,
) -> Result<BTreeMap<BookId, Cached>, DbErr> {
    let rows = Entity::find().filter(Column::WarehouseId.eq(warehouse.uuid())).all(db).await?;
    let cached = |row: Model| (BookId(row.book_id), Cached { available: row.quantity, version: row.version });
    Ok(rows.into_iter().map(cached).collect())
}

/// One warehouse's rows of `books`, as rows that a warehouse would send: all of what is cached counts as on hand.
///
/// # Errors
/// Those of the database.
pub async fn rows_of(
    db: &impl ConnectionTrait,
    warehouse: WarehouseId,
    books: &[BookId],
) -> Result<Vec<StockRow>, DbErr> {
    let mut found = Vec::new();
    for chunk in books.chunks(1_000) {
        let rows = Entity::find()
            .filter(Column::WarehouseId.eq(warehouse.uuid()))
            .filter(Column::BookId.is_in(chunk.iter().map(|book| book.uuid())))
            .order_by_asc(Column::BookId)
            .all(db)
            .await?;
        found.extend(rows.into_iter().map(|row| StockRow {
            book_id: BookId(row.book_id),
            quantity: row.quantity,
            reserved: 0,
            version: row.version,
        }));
    }
    Ok(found)
}

/// The highest version cached of a warehouse; 0 where there is none.
///
/// # Errors
/// Those of the database.
pub async fn highest_version(db: &impl ConnectionTrait, warehouse: WarehouseId) -> Result<i64, DbErr> {
    #[derive(FromQueryResult)]
    struct Highest {
        version: Option<i64>,
    }
    let highest = Entity::find()
        .select_only()
        .column_as(Column::Version.max(), "version")
        .filter(Column::WarehouseId.eq(warehouse.uuid()))
        .into_model::<Highest>()
        .one(db)
        .await?;
    Ok(highest.and_then(|highest| highest.version).unwrap_or(0))
}

async fn upsert(
    db: &impl ConnectionTrait,
    rows: impl Iterator<Item = (WarehouseId, StockRow)>,
    at: Timestamp,
    rule: Rule,
) -> Result<(), DbErr> {
    // One statement may not touch a row twice: of several the newest counts.
    let mut newest = BTreeMap::<(WarehouseId, BookId), StockRow>::new();
    for (warehouse, row) in rows {
        let kept = newest.entry((warehouse, row.book_id)).or_insert(row);
        if kept.version < row.version {
            *kept = row;
        }
    }
    if newest.is_empty() {
        return Ok(());
    }
    match db.get_database_backend() {
        DbBackend::Postgres => upsert_unnested(db, &newest, at, rule).await,
        _ => upsert_in_chunks(db, &newest, at, rule).await,
    }
}

type Rows = BTreeMap<(WarehouseId, BookId), StockRow>;

/// Five parameters for any number of rows: ten thousand take about a third of what they take in chunks.
async fn upsert_unnested(db: &impl ConnectionTrait, rows: &Rows, at: Timestamp, rule: Rule) -> Result<(), DbErr> {
    let sql = format!(
        "INSERT INTO inventory_cache (warehouse_id, book_id, quantity, version, updated_at) \
         SELECT warehouse_id, book_id, quantity, version, $5 \
         FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[]) AS u(warehouse_id, book_id, quantity, version) \
         ORDER BY warehouse_id, book_id \
         ON CONFLICT (warehouse_id, book_id) DO UPDATE \
         SET quantity = excluded.quantity, version = excluded.version, updated_at = excluded.updated_at WHERE {}",
        rule.sql()
    );
    let warehouses: Vec<Uuid> = rows.keys().map(|(warehouse, _)| warehouse.uuid()).collect();
    let books: Vec<Uuid> = rows.keys().map(|(_, book)| book.uuid()).collect();
    let quantities: Vec<i64> = rows.values().map(|row| row.available().max(0)).collect();
    let versions: Vec<i64> = rows.values().map(|row| row.version).collect();
    let values: [Value; 5] = [warehouses.into(), books.into(), quantities.into(), versions.into(), at.into()];
    db.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    Ok(())
}

async fn upsert_in_chunks(db: &impl ConnectionTrait, rows: &Rows, at: Timestamp, rule: Rule) -> Result<(), DbErr> {
    let models: Vec<_> = rows
        .iter()
        .map(|((warehouse, book), row)| ActiveModel {
            warehouse_id: Set(warehouse.uuid()),
            book_id: Set(book.uuid()),
            quantity: Set(row.available().max(0)),
            version: Set(row.version),
            updated_at: Set(at),
        })
        .collect();
    for chunk in models.chunks(500) {
        let condition: SimpleExpr = Expr::cust(rule.sql());
        let conflict = OnConflict::columns([Column::WarehouseId, Column::BookId])
            .update_columns([Column::Quantity, Column::Version, Column::UpdatedAt])
            .action_and_where(condition)
            .to_owned();
        Entity::insert_many(chunk.to_vec()).on_conflict(conflict).exec_without_returning(db).await?;
    }
    Ok(())
}
