//! A book of the catalogue.

use contract::{BookId, Money, Timestamp};

/// What the store knows of a book, its stock apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    /// The book.
    pub id: BookId,
    /// ISBN without hyphens.
    pub isbn: String,
    /// Title.
    pub title: String,
    /// Author or authors.
    pub author: String,
    /// Publisher.
    pub publisher: Option<String>,
    /// Price of one copy.
    pub price: Money,
    /// What it is about.
    pub description: Option<String>,
    /// Genre.
    pub genre: Option<String>,
    /// Year of publication.
    pub published_year: Option<i32>,
    /// Whether it is on sale.
    pub is_active: bool,
    /// When it was entered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
