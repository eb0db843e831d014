//! What is looked for in the catalogue, and in which order it is wanted.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use contract::BookId;

use super::Entry;

/// By what books are ordered; equal ones by their ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Their ids alone.
    #[default]
    Id,
    /// Their titles, case folded.
    Title,
    /// Their authors, case folded.
    Author,
    /// Their prices.
    Price,
    /// Their years; those without one as the oldest.
    PublishedYear,
    /// When they were entered.
    CreatedAt,
}

/// All of them, in the order of their numbers.
pub(super) const ALL: [By; 6] = [By::Id, By::Title, By::Author, By::Price, By::PublishedYear, By::CreatedAt];

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Title => "title",
            Self::Author => "author",
            Self::Price => "price",
            Self::PublishedYear => "publishedYear",
            Self::CreatedAt => "createdAt",
        }
    }

    pub(super) fn key(self, entry: &Entry) -> Key {
        let book = &entry.book;
        match self {
            Self::Id => Key::Number(0),
            Self::Title => Key::Text(Arc::clone(&entry.title)),
            Self::Author => Key::Text(Arc::clone(&entry.author)),
            Self::Price => Key::Number(book.price.cents()),
            Self::PublishedYear => Key::Number(book.published_year.map_or(i64::MIN, i64::from)),
            Self::CreatedAt => Key::Number(book.created_at.timestamp_micros()),
        }
    }
}

/// An order of books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub by: By,
    /// Whether the greatest comes first, ids too.
    pub descending: bool,
}

/// The text names no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl FromStr for Sort {
    type Err = Malformed;

    /// `price`, or `-price` for the greatest first.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (descending, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
        let by = ALL.into_iter().find(|by| by.name() == name).ok_or(Malformed)?;
        Ok(Self { by, descending })
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.descending { "-" } else { "" }, self.by.name())
    }
}

/// What a book is ordered by. Keys of different kinds are never compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Number(i64),
    Text(Arc<str>),
}

/// Where a page ended: at this key of this book. The book itself may be gone, and others may have come: the next page begins behind
/// the place, wherever that is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The order that it is a place in.
    pub sort: Sort,
    pub(super) key: Key,
    pub(super) id: BookId,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/", self.sort, self.id)?;
        match &self.key {
            Key::Number(number) => write!(f, "{number}"),
            Key::Text(text) => f.write_str(text),
        }
    }
}

impl FromStr for Cursor {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut parts = text.splitn(3, '/');
        let mut next = || parts.next().ok_or(Malformed);
        let (sort, id, key) = (next()?.parse::<Sort>()?, next()?, next()?);
        let key = match sort.by {
            By::Title | By::Author => Key::Text(key.into()),
            _ => Key::Number(key.parse().map_err(|_| Malformed)?),
        };
        Ok(Self { sort, key, id: id.parse().map_err(|_| Malformed)? })
    }
}

/// A word that must be somewhere in a book's title, author or ISBN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub(super) text: String,
    /// The same as a piece of an ISBN, where it can be one.
    pub(super) isbn: Option<String>,
}

impl Word {
    fn new(text: &str) -> Self {
        let text = fold(text);
        let isbn: String = text.chars().filter(|&c| c != '-').map(|c| c.to_ascii_uppercase()).collect();
        let is_isbn = !isbn.is_empty() && isbn.bytes().all(|byte| byte.is_ascii_digit() || byte == b'X');
        // Books are kept under ISBN-13.
        let isbn = contract::isbn::normalize(&isbn).unwrap_or(isbn);
        Self { text, isbn: is_isbn.then_some(isbn) }
    }

    pub(super) fn is_in(&self, entry: &Entry) -> bool {
        entry.title.contains(&self.text)
            || entry.author.contains(&self.text)
            || self.isbn.as_ref().is_some_and(|isbn| entry.book.isbn.contains(isbn))
    }
}

/// What books are looked for. The default is all that are on sale, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// See [`Query::containing`].
    pub words: Vec<Word>,
    /// See [`Query::by_author`].
    pub author: Vec<String>,
    /// See [`Query::of_genre`].
    pub genre: Option<String>,
    /// Only these.
    pub ids: Option<Vec<BookId>>,
    /// Those that are not on sale, instead of those that are.
    pub withdrawn: bool,
    /// The order.
    pub sort: Sort,
    /// Behind this place, which must be one of the same order.
    pub after: Option<Cursor>,
    /// The most books.
    pub limit: usize,
}

impl Query {
    /// Every word of the text must be somewhere in title, author or ISBN, whatever its case; an ISBN's hyphens do not count.
    #[must_use]
    pub fn containing(mut self, text: &str) -> Self {
        self.words = text.split_whitespace().map(Word::new).collect();
        self
    }

    /// Every word of the text must be in the author's name, whatever its case.
    #[must_use]
    pub fn by_author(mut self, text: &str) -> Self {
        self.author = text.split_whitespace().map(fold).collect();
        self
    }

    /// The genre must be this, whatever its case.
    #[must_use]
    pub fn of_genre(mut self, genre: &str) -> Self {
        self.genre = Some(fold(genre.trim()));
        self
    }

    pub(super) fn matches(&self, entry: &Entry) -> bool {
        self.words.iter().all(|word| word.is_in(entry))
            && self.author.iter().all(|word| entry.author.contains(word.as_str()))
            && self.genre.as_ref().is_none_or(|genre| entry.genre.as_ref() == Some(genre))
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&entry.book.id))
    }
}

/// The text without its case. Character by character: what a letter becomes must not depend on those around it, or a piece of a word
/// would not be found in it. For that reason the two small sigmas are one.
pub(super) fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c }).collect()
}
