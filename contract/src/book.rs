//! Books as the store shows them.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::time::{self, Timestamp};
use crate::{BookId, Money};

/// The most characters of a title.
pub const TITLE_LIMIT: usize = 300;
/// The most characters of an author, or of all of them.
pub const AUTHOR_LIMIT: usize = 300;
/// The most characters of a publisher.
pub const PUBLISHER_LIMIT: usize = 200;
/// The most characters of a description.
pub const DESCRIPTION_LIMIT: usize = 5_000;
/// The most characters of a genre.
pub const GENRE_LIMIT: usize = 100;
/// The highest price: a hundred times a thousand such copies are still an amount that can be held.
pub const MAX_PRICE: Money = Money(100_000_000);
/// The first and the last year of publication.
pub const YEARS: (i32, i32) = (1, 2_100);
/// The most books that one `?ids=` may name.
pub const MAX_IDS: usize = 100;

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

/// Body of `POST /books` and `PUT /books/:id`, and a line of an import: a whole book. Texts are trimmed; an empty optional one is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewBook {
    /// ISBN-10 or ISBN-13 with a right check digit; hyphens and spaces are taken out.
    #[schema(max_length = 32)]
    pub isbn: String,
    /// Title.
    #[schema(min_length = 1, max_length = 300)]
    pub title: String,
    /// Author or authors.
    #[schema(min_length = 1, max_length = 300)]
    pub author: String,
    /// Publisher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub publisher: Option<String>,
    /// Price of one copy.
    pub price: Money,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 5_000)]
    pub description: Option<String>,
    /// Genre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100)]
    pub genre: Option<String>,
    /// Year of publication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 2_100)]
    pub published_year: Option<i32>,
    /// Whether it is on sale. Left out, a new book is, and one that is there stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
}

/// Body of `PATCH /books/:id`: what is left out stays, and null clears what a book need not have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookPatch {
    /// ISBN-10 or ISBN-13 with a right check digit; hyphens and spaces are taken out.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = String, required = false, max_length = 32)]
    pub isbn: Option<String>,
    /// Title.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 300)]
    pub title: Option<String>,
    /// Author or authors.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 300)]
    pub author: Option<String>,
    /// Publisher.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 200)]
    pub publisher: Option<Option<String>>,
    /// Price of one copy.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Money, required = false)]
    pub price: Option<Money>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 5_000)]
    pub description: Option<Option<String>>,
    /// Genre.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 100)]
    pub genre: Option<Option<String>>,
    /// Year of publication.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 2_100)]
    pub published_year: Option<Option<i32>>,
    /// Whether it is on sale; true brings a book back that was taken off.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schema(value_type = bool, required = false)]
    pub is_active: Option<bool>,
}

/// A member that is there, be it null: only its absence is `None`.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Answer of `POST /books/import`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    /// Books that were new.
    pub created: u64,
    /// Books that were there and are different now.
    pub updated: u64,
    /// Books that were there, as the row has them.
    pub unchanged: u64,
    /// Rows that were left out.
    pub failed: u64,
    /// Why; of the first thousand rows that were left out.
    pub errors: Vec<ImportFault>,
}

/// A row that was left out of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportFault {
    /// Its number: of a CSV the first row after the header is 1, of NDJSON the first line is.
    pub row: u64,
    /// Its ISBN, where it has one that can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isbn: Option<String>,
    /// Everything that is wrong with it.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_tells_null_from_absent_and_refuses_it_where_a_book_must_have_something() {
        let patch: BookPatch = serde_json::from_str(r#"{"genre": null, "price": 5, "title": "T"}"#).unwrap();
        let wanted = BookPatch {
            genre: Some(None),
            price: Some(Money(500)),
            title: Some("T".to_owned()),
            ..BookPatch::default()
        };
        assert_eq!(patch, wanted);
        assert_eq!(serde_json::from_str::<BookPatch>(&serde_json::to_string(&patch).unwrap()).unwrap(), patch);
        for member in ["isbn", "title", "author", "price", "isActive"] {
            assert!(serde_json::from_str::<BookPatch>(&format!("{{\"{member}\": null}}")).is_err(), "{member}");
        }
    }
}
