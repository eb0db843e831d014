//! What there is of each book.

use std::collections::BTreeMap;

use contract::{BookId, InventoryItem, Timestamp};
use futures_util::{Stream, StreamExt as _};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait as _, FromQueryResult, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Set, Statement, StreamTrait,
};
use uuid::Uuid;

use super::entities::inventory::{ActiveModel, COLUMN, Column, Entity, Model};
use crate::domain::shelf::Row;

impl From<Model> for Row {
    fn from(model: Model) -> Self {
        Self {
            book_id: BookId(model.book_id),
            isbn: model.isbn,
            title: model.title,
            author: model.author,
            quantity: model.quantity,
            reserved: model.reserved,
            version: model.version,
            updated_at: model.updated_at,
        }
    }
}

impl From<Model> for InventoryItem {
    fn from(model: Model) -> Self {
        Row::from(model).into()
    }
}

/// The rows of these books, locked in the order of their ids until the transaction ends.
///
/// # Errors
/// Those of the database.
pub async fn lock(
    txn: &DatabaseTransaction,
    books: impl IntoIterator<Item = BookId>,
) -> Result<BTreeMap<BookId, Row>, DbErr> {
    let ids: Vec<Uuid> = books.into_iter().map(BookId::uuid).collect();
    let mut rows = Vec::new();
    match ConnectionTrait::get_database_backend(txn) {
        DbBackend::Postgres if !ids.is_empty() => {
            const SQL: &str = "SELECT * FROM inventory WHERE book_id = ANY($1) ORDER BY book_id FOR UPDATE";
            let statement = Statement::from_sql_and_values(DbBackend::Postgres, SQL, [ids.into()]);
            rows = Entity::find().from_raw_sql(statement).all(txn).await?;
        }
        // An SQLite transaction of ours has the whole database to itself.
        _ => {
            for chunk in ids.chunks(1_000) {
                rows.extend(Entity::find().filter(COLUMN.book_id.is_in(chunk.iter().copied())).all(txn).await?);
            }
        }
    }
    Ok(rows.into_iter().map(|row| (BookId(row.book_id), row.into())).collect())
}

/// Writes rows that people entered or changed, new ones too.
///
/// # Errors
/// Those of the database.
pub async fn upsert(txn: &DatabaseTransaction, rows: Vec<Row>, at: Timestamp) -> Result<(), DbErr> {
    let models: Vec<_> = rows
        .into_iter()
        .map(|row| ActiveModel {
            book_id: Set(row.book_id.uuid()),
            isbn: Set(row.isbn),
            quantity: Set(row.quantity),
            reserved: Set(row.reserved),
            version: Set(row.version),
            title: Set(row.title),
            author: Set(row.author),
            updated_at: Set(at),
        })
        .collect();
    for chunk in models.chunks(500) {
        let columns = [
            Column::Isbn,
            Column::Quantity,
            Column::Reserved,
            Column::Version,
            Column::Title,
            Column::Author,
            Column::UpdatedAt,
        ];
        let conflict = OnConflict::column(Column::BookId).update_columns(columns).to_owned();
        Entity::insert_many(chunk.to_vec()).on_conflict(conflict).exec_without_returning(txn).await?;
    }
    Ok(())
}

/// One book.
///
/// # Errors
/// Those of the database.
pub async fn one(db: &impl ConnectionTrait, book: BookId) -> Result<Option<InventoryItem>, DbErr> {
    Ok(Entity::find_by_id(book.uuid()).one(db).await?.map(Into::into))
}

/// The row of a listing: the counter as it was when the rows were read, and a row unless there is none at all.
#[derive(FromQueryResult)]
struct Listed {
    counter: i64,
    identity: Uuid,
    #[sea_orm(nested)]
    item: Option<Model>,
}

/// Which part of the inventory to list, in the order of the books' ids.
#[derive(Clone, Copy, Debug, Default)]
pub struct Range {
    /// Only rows with a version above this.
    pub since: Option<i64>,
    /// Only rows with fewer copies free than this.
    pub below: Option<i64>,
    /// Only books after this one.
    pub after: Option<BookId>,
    /// At most so many.
    pub limit: Option<u64>,
}

/// What every listing begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The warehouse's version.
    pub version: i64,
    /// Its database.
    pub database_id: Uuid,
}

/// Lists rows together with the counter. One statement, so that both are of one snapshot on either database (R15).
///
/// `each` is given every row as it arrives.
///
/// # Errors
/// Those of the database.
pub async fn list<C>(db: &C, range: Range, mut each: impl FnMut(InventoryItem)) -> Result<Head, DbErr>
where
    C: ConnectionTrait + StreamTrait,
{
    let rows = stream(db, range).await?;
    let mut rows = std::pin::pin!(rows);
    let mut head = None;
    while let Some(row) = rows.next().await {
        let Listed { counter, identity, item } = row?;
        head = Some(Head { version: counter, database_id: identity });
        if let Some(item) = item {
            each(item.into());
        }
    }
    head.ok_or_else(|| DbErr::RecordNotFound("warehouse_state has lost its row".to_owned()))
}

async fn stream<C>(db: &C, range: Range) -> Result<impl Stream<Item = Result<Listed, DbErr>> + Send, DbErr>
where
    C: ConnectionTrait + StreamTrait,
{
    let mut values: Vec<sea_orm::Value> = vec![range.since.unwrap_or(-1).into()];
    let mut sql = "SELECT s.version AS counter, s.database_id AS identity, i.* \
                   FROM warehouse_state AS s LEFT JOIN inventory AS i ON i.version > $1"
        .to_owned();
    if let Some(after) = range.after {
        values.push(after.uuid().into());
        sql.push_str(" AND i.book_id > $2");
    }
    if let Some(below) = range.below {
        values.push(below.into());
        sql.push_str(&format!(" AND i.quantity - i.reserved < ${}", values.len()));
    }
    sql.push_str(" ORDER BY i.book_id");
    if let Some(limit) = range.limit {
        sql.push_str(&format!(" LIMIT {limit}"));
    }
    let statement = Statement::from_sql_and_values(ConnectionTrait::get_database_backend(db), sql, values);
    Listed::find_by_statement(statement).stream(db).await
}

/// Copies on hand and books, all together.
///
/// # Errors
/// Those of the database.
pub async fn totals(db: &impl ConnectionTrait) -> Result<(i64, i64), DbErr> {
    #[derive(FromQueryResult)]
    struct Totals {
        items: i64,
        books: i64,
    }
    const SQL: &str = "SELECT CAST(coalesce(sum(quantity), 0) AS bigint) AS items, count(*) AS books FROM inventory";
    let statement = Statement::from_string(db.get_database_backend(), SQL);
    let totals = Totals::find_by_statement(statement).one(db).await?;
    Ok(totals.map_or((0, 0), |totals| (totals.items, totals.books)))
}

/// Which of these books have a row.
///
/// # Errors
/// Those of the database.
pub async fn present(db: &impl ConnectionTrait, books: &[BookId]) -> Result<Vec<BookId>, DbErr> {
    let ids = books.iter().map(|book| book.uuid());
    let found: Vec<Uuid> = Entity::find()
        .select_only()
        .column(Column::BookId)
        .filter(COLUMN.book_id.is_in(ids))
        .order_by_asc(Column::BookId)
        .into_tuple()
        .all(db)
        .await?;
    Ok(found.into_iter().map(BookId).collect())
}
