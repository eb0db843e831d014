//! Books as the store shows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::{self, Timestamp};
use crate::{BookId, Money};

/// A book of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Book {
    /// The book.
    pub id: BookId,
    /// ISBN-10 or ISBN-13 without hyphens.
    pub isbn: String,
    /// Title.
    pub title: String,
    /// Author or authors.
    pub author: String,
    /// Publisher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// Price of one copy.
    pub price: Money,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Genre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genre: Option<String>,
    /// Year of publication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_year: Option<i32>,
    /// Whether it is on sale.
    pub is_active: bool,
    /// Copies that healthy warehouses have free, by the store's cache.
    pub available_stock: i64,
    /// When it was entered.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// Where copies are; only in `GET /books/:id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<Vec<BookAvailability>>,
}

/// Copies of one book in one warehouse, by the store's cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookAvailability {
    /// The warehouse.
    pub warehouse_name: String,
    /// Copies free.
    pub quantity: i64,
    /// When the store last knew it to be true.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub last_synced: Timestamp,
}
