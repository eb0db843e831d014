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

/// Removes all of a warehouse's rows.
///
/// # Errors
/// Those of the database.
pub async fn clear(db: &impl ConnectionTrait, warehouse: WarehouseId) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    // R18: PostgreSQL locks rows in the order in which a statement comes upon them. SQLite has one writer.
    let sql = match backend {
        DbBackend::Postgres => {
            "DELETE FROM inventory_cache WHERE warehouse_id = $1 AND book_id IN \
             (SELECT book_id FROM inventory_cache WHERE warehouse_id = $1 ORDER BY book_id FOR UPDATE)"
        }
        _ => "DELETE FROM inventory_cache WHERE warehouse_id = $1",
    };
    db.execute_raw(Statement::from_sql_and_values(backend, sql, [warehouse.uuid().into()])).await?;
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

#[cfg(test)]
mod tests {
    use service::database::{Database, is_foreign_key_violation};

    use super::*;
    use crate::db::testing::{at, book_id, enter_books, enter_warehouse, on_both, row, warehouse_id};

    async fn shop(database: &Database) -> &sea_orm::DatabaseConnection {
        enter_books(database, 1_200).await;
        enter_warehouse(database, 1, "alpha").await;
        enter_warehouse(database, 2, "beta").await;
        database.ready().unwrap()
    }

    async fn cached(db: &impl ConnectionTrait, warehouse: u128) -> Vec<(u128, i64, i64)> {
        let rows = of_warehouse(db, warehouse_id(warehouse)).await.unwrap();
        rows.into_iter().map(|(book, row)| (book.uuid().as_u128(), row.available, row.version)).collect()
    }

    #[tokio::test]
    async fn r14_only_newer_rows_are_taken() {
        on_both(async |database| {
            let db = shop(database).await;
            let (alpha, beta) = (warehouse_id(1), warehouse_id(2));
            let first = [(beta, row(1, 7, 3)), (alpha, row(2, 5, 4)), (alpha, row(1, 9, 4))];
            upsert_newer(db, &first, at(10)).await.unwrap();
            let reserved = StockRow { reserved: 2, ..row(1, 8, 5) };
            // Older, the same, newer, and twice in one statement.
            let second = [(beta, row(1, 1, 2)), (alpha, row(2, 1, 4)), (alpha, reserved), (alpha, row(1, 1, 1))];
            upsert_newer(db, &second, at(20)).await.unwrap();
            assert_eq!(cached(db, 1).await, [(1, 6, 5), (2, 5, 4)]);
            assert_eq!(cached(db, 2).await, [(1, 7, 3)]);
            let mut rows = all(db).await.unwrap();
            rows.sort_by_key(|row| (row.warehouse_id, row.book_id));
            assert_eq!(rows.iter().map(|row| row.updated_at).collect::<Vec<_>>(), [at(20), at(10), at(10)]);
            assert_eq!(highest_version(db, alpha).await.unwrap(), 5);
            assert_eq!(highest_version(db, warehouse_id(3)).await.unwrap(), 0);
            upsert_newer(db, &[], at(30)).await.unwrap();

            let unknown = upsert_newer(db, &[(alpha, row(9_999, 1, 9))], at(30)).await.unwrap_err();
            assert!(is_foreign_key_violation(&unknown));
        })
        .await;
    }

    #[tokio::test]
    async fn r15_a_pull_wins_at_the_same_version_and_wholesale_always() {
        on_both(async |database| {
            let db = shop(database).await;
            let alpha = warehouse_id(1);
            upsert_newer(db, &[(alpha, row(1, 9, 4)), (alpha, row(2, 5, 4)), (alpha, row(3, 5, 8))], at(1))
                .await
                .unwrap();
            write_pull(db, alpha, &[row(1, 8, 4), row(2, 1, 3)], false, at(2)).await.unwrap();
            assert_eq!(cached(db, 1).await, [(1, 8, 4), (2, 5, 4), (3, 5, 8)]);
            write_pull(db, alpha, &[row(2, 1, 3)], true, at(3)).await.unwrap();
            assert_eq!(cached(db, 1).await, [(1, 8, 4), (2, 1, 3), (3, 5, 8)]);

            remove(db, alpha, &[book_id(3), book_id(1), book_id(7)], Some(4)).await.unwrap();
            assert_eq!(cached(db, 1).await, [(2, 1, 3), (3, 5, 8)]);
            remove(db, alpha, &[book_id(3)], None).await.unwrap();
            assert_eq!(cached(db, 1).await, [(2, 1, 3)]);
            assert_eq!(rows_of(db, alpha, &[book_id(1), book_id(2)]).await.unwrap(), [row(2, 1, 3)]);
        })
        .await;
    }

    #[tokio::test]
    async fn many_rows_at_once() {
        on_both(async |database| {
            let db = shop(database).await;
            let alpha = warehouse_id(1);
            for version in 1..=2 {
                let rows: Vec<_> = (1..=1_200).rev().map(|n| (alpha, row(n, version, version))).collect();
                upsert_newer(db, &rows, at(version)).await.unwrap();
                assert!(cached(db, 1).await.into_iter().eq((1..=1_200).map(|n| (n, version, version))));
            }
        })
        .await;
    }

    #[tokio::test]
    async fn r18_writers_from_both_ends_never_deadlock() {
        on_both(async |database| {
            shop(database).await;
            let alpha = warehouse_id(1);
            let writers = (0..8).map(|writer: i64| {
                let database = database.clone();
                tokio::spawn(async move {
                    for round in 1..=20 {
                        let mut rows: Vec<_> = (1..=100).map(|n| (alpha, row(n, writer, round * 8 + writer))).collect();
                        if writer % 2 == 0 {
                            rows.reverse();
                        }
                        let write = database.transaction("test", async |db| upsert_newer(db, &rows, at(1)).await);
                        write.await.expect("no deadlock");
                    }
                })
            });
            for writer in writers.collect::<Vec<_>>() {
                writer.await.unwrap();
            }
            let expected = (1..=100).map(|n| (n, 7, 167));
            assert!(cached(database.ready().unwrap(), 1).await.into_iter().eq(expected));
        })
        .await;
    }
}
