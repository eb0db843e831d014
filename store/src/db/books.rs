//! Books.

#![allow(missing_docs, reason = "the columns are those of the migration")]

use std::collections::HashSet;

use contract::{BookId, Money};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{Condition, QuerySelect as _, Set};
use serde::Serialize;

use super::bulk::{self, Type};
use crate::domain::book::Book;

/// The most keys of one lookup.
const KEYS: usize = 1_000;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "books")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(unique)]
    pub isbn: String,
    pub title: String,
    pub author: String,
    pub publisher: Option<String>,
    pub price_cents: i64,
    pub description: Option<String>,
    pub genre: Option<String>,
    pub published_year: Option<i32>,
    pub is_active: bool,
    pub version: i64,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for Book {
    fn from(row: Model) -> Self {
        Self {
            id: BookId(row.id),
            isbn: row.isbn,
            title: row.title,
            author: row.author,
            publisher: row.publisher,
            price: Money(row.price_cents),
            description: row.description,
            genre: row.genre,
            published_year: row.published_year,
            is_active: row.is_active,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

fn active_model(book: &Book) -> ActiveModel {
    ActiveModel {
        id: Set(book.id.uuid()),
        isbn: Set(book.isbn.clone()),
        title: Set(book.title.clone()),
        author: Set(book.author.clone()),
        publisher: Set(book.publisher.clone()),
        price_cents: Set(book.price.cents()),
        description: Set(book.description.clone()),
        genre: Set(book.genre.clone()),
        published_year: Set(book.published_year),
        is_active: Set(book.is_active),
        version: Set(book.version),
        created_at: Set(book.created_at),
        updated_at: Set(book.updated_at),
    }
}

/// Every book, on sale or not.
///
/// # Errors
/// Those of the database.
pub async fn all(db: &impl ConnectionTrait) -> Result<Vec<Book>, DbErr> {
    Ok(Entity::find().all(db).await?.into_iter().map(Book::from).collect())
}

/// The books that were changed then or later.
///
/// # Errors
/// Those of the database.
pub async fn changed_since(db: &impl ConnectionTrait, since: DateTimeUtc) -> Result<Vec<Book>, DbErr> {
    let rows = Entity::find().filter(Column::UpdatedAt.gte(since)).all(db).await?;
    Ok(rows.into_iter().map(Book::from).collect())
}

/// The books that have one of these ids or ISBNs.
///
/// # Errors
/// Those of the database.
pub async fn find(db: &impl ConnectionTrait, keys: &[(BookId, String)]) -> Result<Vec<Book>, DbErr> {
    let mut books = Vec::new();
    for keys in keys.chunks(KEYS) {
        let either = Condition::any()
            .add(Column::Id.is_in(keys.iter().map(|(id, _)| id.uuid())))
            .add(Column::Isbn.is_in(keys.iter().map(|(_, isbn)| isbn.as_str())));
        books.extend(Entity::find().filter(either).all(db).await?.into_iter().map(Book::from));
    }
    Ok(books)
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
struct Row<'a> {
    id: BookId,
    isbn: &'a str,
    title: &'a str,
    author: &'a str,
    publisher: Option<&'a str>,
    price_cents: i64,
    description: Option<&'a str>,
    genre: Option<&'a str>,
    published_year: Option<i32>,
    is_active: bool,
    version: i64,
    #[serde(with = "contract::time")]
    created_at: DateTimeUtc,
    #[serde(with = "contract::time")]
    updated_at: DateTimeUtc,
}

const COLUMNS: &bulk::Columns = &[
    ("id", Type::Uuid),
    ("isbn", Type::Text),
    ("title", Type::Text),
    ("author", Type::Text),
    ("publisher", Type::Text),
    ("price_cents", Type::BigInt),
    ("description", Type::Text),
    ("genre", Type::Text),
    ("published_year", Type::BigInt),
    ("is_active", Type::Bool),
    ("version", Type::BigInt),
    ("created_at", Type::Time),
    ("updated_at", Type::Time),
];

/// SQLite reads `ON` after a table as a join's, unless there is a condition before it.
const SAVE: &str = "
    INSERT INTO books (id, isbn, title, author, publisher, price_cents, description, genre, published_year, is_active,
        version, created_at, updated_at)
    SELECT id, isbn, title, author, publisher, price_cents, description, genre, published_year, is_active, version,
        created_at, updated_at
    FROM {rows} WHERE true
    ON CONFLICT (id) DO UPDATE SET isbn = excluded.isbn, title = excluded.title, author = excluded.author,
        publisher = excluded.publisher, price_cents = excluded.price_cents, description = excluded.description,
        genre = excluded.genre, published_year = excluded.published_year, is_active = excluded.is_active,
        version = excluded.version, updated_at = excluded.updated_at
    WHERE books.version = excluded.version - 1
    RETURNING id";

/// Writes books in one statement: new ones, and others that are one version behind. Tells how many were written; the caller's
/// transaction should stand only if that is all.
///
/// # Errors
/// Those of the database; an ISBN that another book has is one.
pub async fn save(db: &impl ConnectionTrait, books: &[Book]) -> Result<usize, DbErr> {
    let rows: Vec<_> = books.iter().map(row).collect();
    Ok(bulk::query(db, COLUMNS, &rows, SAVE).await?.len())
}

fn row(book: &Book) -> Row<'_> {
    Row {
        id: book.id,
        isbn: &book.isbn,
        title: &book.title,
        author: &book.author,
        publisher: book.publisher.as_deref(),
        price_cents: book.price.cents(),
        description: book.description.as_deref(),
        genre: book.genre.as_deref(),
        published_year: book.published_year,
        is_active: book.is_active,
        version: book.version,
        created_at: book.created_at,
        updated_at: book.updated_at,
    }
}

/// Every book that there is a row of, on sale or not.
///
/// # Errors
/// Those of the database.
pub async fn known(db: &impl ConnectionTrait) -> Result<HashSet<BookId>, DbErr> {
    let ids: Vec<Uuid> = Entity::find().select_only().column(Column::Id).into_tuple().all(db).await?;
    Ok(ids.into_iter().map(BookId).collect())
}

/// Enters those books that are not there yet, by id and by ISBN; the others stay as they are.
///
/// # Errors
/// Those of the database.
pub async fn enter_missing(db: &impl ConnectionTrait, books: &[Book]) -> Result<(), DbErr> {
    for chunk in books.chunks(500) {
        Entity::insert_many(chunk.iter().map(active_model))
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use contract::Money;
    use service::database;

    use super::*;
    use crate::db::testing::{at, book, on_both};

    async fn sorted(db: &impl ConnectionTrait) -> Vec<Book> {
        let mut books = all(db).await.unwrap();
        books.sort_by_key(|book| book.id);
        books
    }

    #[tokio::test]
    async fn entering_again_changes_nothing() {
        on_both(async |database| {
            let db = database.ready().unwrap();
            let gone = Book { is_active: false, ..book(2) };
            enter_missing(db, &[book(3), gone.clone(), book(1)]).await.unwrap();
            // By id and by ISBN.
            let renamed = Book { title: "Another".to_owned(), ..book(1) };
            let doubled = Book { isbn: book(3).isbn, ..book(4) };
            enter_missing(db, &[renamed, doubled]).await.unwrap();
            enter_missing(db, &[]).await.unwrap();
            assert_eq!(sorted(db).await, [book(1), gone, book(3)]);
            assert_eq!(known(db).await.unwrap(), HashSet::from([book(1).id, book(2).id, book(3).id]));
        })
        .await;
    }

    #[tokio::test]
    async fn saves_what_is_new_or_one_version_on_and_nothing_else() {
        on_both(async |database| {
            let db = database.ready().unwrap();
            let full = Book {
                publisher: Some("Publisher \"P\"".to_owned()),
                description: Some("Two\nlines, 'é'".to_owned()),
                genre: Some("Genre".to_owned()),
                published_year: None,
                ..book(1)
            };
            assert_eq!(save(db, &[full.clone(), book(2)]).await.unwrap(), 2);
            assert_eq!(sorted(db).await, [full.clone(), book(2)]);
            let next = Book { version: 2, price: Money(5), is_active: false, genre: None, updated_at: at(9), ..full };
            let late = Book { version: 3, title: "Late".to_owned(), ..book(2) };
            assert_eq!(save(db, &[next.clone(), late.clone()]).await.unwrap(), 1);
            assert_eq!(save(db, std::slice::from_ref(&next)).await.unwrap(), 0, "no version twice");
            assert_eq!(sorted(db).await, [next.clone(), book(2)]);
            let thief = Book { isbn: next.isbn.clone(), ..book(3) };
            assert!(database::is_unique_violation(&save(db, &[book(4), thief]).await.unwrap_err()));
            assert_eq!(sorted(db).await, [next.clone(), book(2)]);
            assert_eq!(changed_since(db, at(9)).await.unwrap(), std::slice::from_ref(&next));
            let keys = [(next.id, "-".to_owned()), (book(7).id, book(2).isbn), (book(8).id, "-".to_owned())];
            let mut found = find(db, &keys).await.unwrap();
            found.sort_by_key(|book| book.id);
            assert_eq!(found, [next, book(2)]);
        })
        .await;
    }
}
