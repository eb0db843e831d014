//! Books.

#![allow(missing_docs, reason = "the columns are those of the migration")]

use std::collections::HashSet;

use contract::{BookId, Money};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{QueryOrder as _, QuerySelect as _, Set};

use crate::domain::book::Book;

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
        created_at: Set(book.created_at),
        updated_at: Set(book.updated_at),
    }
}

/// The books on sale, by id.
///
/// # Errors
/// Those of the database.
pub async fn active(db: &impl ConnectionTrait) -> Result<Vec<Book>, DbErr> {
    let rows = Entity::find().filter(Column::IsActive.eq(true)).order_by_asc(Column::Id).all(db).await?;
    Ok(rows.into_iter().map(Book::from).collect())
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
    use super::*;
    use crate::db::testing::{book, on_both};

    #[tokio::test]
    async fn entering_again_changes_nothing_and_only_books_on_sale_are_listed() {
        on_both(async |database| {
            let db = database.ready().unwrap();
            let gone = Book { is_active: false, ..book(2) };
            enter_missing(db, &[book(3), gone, book(1)]).await.unwrap();
            // By id and by ISBN.
            let renamed = Book { title: "Another".to_owned(), ..book(1) };
            let doubled = Book { isbn: book(3).isbn, ..book(4) };
            enter_missing(db, &[renamed, doubled]).await.unwrap();
            enter_missing(db, &[]).await.unwrap();
            assert_eq!(active(db).await.unwrap(), [book(1), book(3)]);
            assert_eq!(known(db).await.unwrap(), HashSet::from([book(1).id, book(2).id, book(3).id]));
        })
        .await;
    }
}
