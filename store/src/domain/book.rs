//! A book of the catalogue, and what it takes to enter or change one.

use contract::{BookId, BookPatch, FieldError, Money, NewBook, Timestamp, book, isbn};

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
    /// One more with every change.
    pub version: i64,
    /// When it was entered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A whole book as somebody wants it, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// ISBN without hyphens.
    pub isbn: String,
    title: String,
    author: String,
    publisher: Option<String>,
    price: Money,
    description: Option<String>,
    genre: Option<String>,
    published_year: Option<i32>,
    is_active: Option<bool>,
}

/// Parts of a book as somebody wants them, checked. None leaves the part as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    isbn: Option<String>,
    title: Option<String>,
    author: Option<String>,
    publisher: Option<Option<String>>,
    price: Option<Money>,
    description: Option<Option<String>>,
    genre: Option<Option<String>>,
    published_year: Option<Option<i32>>,
    is_active: Option<bool>,
}

/// What is to become of a book that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This, whatever it was. Whether it is on sale stays, unless the draft says so.
    Replace(Draft),
    /// The same but for these parts.
    Patch(Box<Patch>),
    /// No more on sale.
    Withdraw,
}

impl Draft {
    /// Checks a whole book.
    ///
    /// # Errors
    /// Every member that is wrong.
    pub fn new(wanted: NewBook) -> Result<Self, Vec<FieldError>> {
        let mut check = Check::default();
        let draft = Self {
            isbn: check.isbn(&wanted.isbn),
            title: check.text("title", wanted.title, book::TITLE_LIMIT),
            author: check.text("author", wanted.author, book::AUTHOR_LIMIT),
            publisher: check.optional("publisher", wanted.publisher, book::PUBLISHER_LIMIT),
            price: check.price(wanted.price),
            description: check.optional("description", wanted.description, book::DESCRIPTION_LIMIT),
            genre: check.optional("genre", wanted.genre, book::GENRE_LIMIT),
            published_year: check.year(wanted.published_year),
            is_active: wanted.is_active,
        };
        check.finish(draft)
    }

    /// A new book.
    pub fn into_book(self, id: BookId, now: Timestamp) -> Book {
        Book {
            id,
            isbn: self.isbn,
            title: self.title,
            author: self.author,
            publisher: self.publisher,
            price: self.price,
            description: self.description,
            genre: self.genre,
            published_year: self.published_year,
            is_active: self.is_active.unwrap_or(true),
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }
}

impl Patch {
    /// Checks the parts that are there.
    ///
    /// # Errors
    /// Every member that is wrong.
    pub fn new(wanted: BookPatch) -> Result<Self, Vec<FieldError>> {
        let mut check = Check::default();
        let patch = Self {
            isbn: wanted.isbn.map(|text| check.isbn(&text)),
            title: wanted.title.map(|text| check.text("title", text, book::TITLE_LIMIT)),
            author: wanted.author.map(|text| check.text("author", text, book::AUTHOR_LIMIT)),
            publisher: wanted.publisher.map(|text| check.optional("publisher", text, book::PUBLISHER_LIMIT)),
            price: wanted.price.map(|price| check.price(price)),
            description: wanted.description.map(|text| check.optional("description", text, book::DESCRIPTION_LIMIT)),
            genre: wanted.genre.map(|text| check.optional("genre", text, book::GENRE_LIMIT)),
            published_year: wanted.published_year.map(|year| check.year(year)),
            is_active: wanted.is_active,
        };
        check.finish(patch)
    }
}

impl Change {
    /// The ISBN that the book shall have, where that is said.
    pub fn isbn(&self) -> Option<&str> {
        match self {
            Self::Replace(draft) => Some(&draft.isbn),
            Self::Patch(patch) => patch.isbn.as_deref(),
            Self::Withdraw => None,
        }
    }
}

impl Book {
    /// The book after the change, one version on; none where the change changes nothing.
    pub fn changed(&self, change: &Change, now: Timestamp) -> Option<Self> {
        let mut next = match change {
            Change::Replace(draft) => self.replaced(draft),
            Change::Patch(patch) => self.patched(patch),
            Change::Withdraw => Self { is_active: false, ..self.clone() },
        };
        if next == *self {
            return None;
        }
        next.version += 1;
        next.updated_at = now.max(self.updated_at);
        Some(next)
    }

    fn replaced(&self, draft: &Draft) -> Self {
        Self {
            is_active: draft.is_active.unwrap_or(self.is_active),
            version: self.version,
            updated_at: self.updated_at,
            ..draft.clone().into_book(self.id, self.created_at)
        }
    }

    fn patched(&self, patch: &Patch) -> Self {
        let patch = patch.clone();
        let mut next = self.clone();
        put(&mut next.isbn, patch.isbn);
        put(&mut next.title, patch.title);
        put(&mut next.author, patch.author);
        put(&mut next.publisher, patch.publisher);
        put(&mut next.price, patch.price);
        put(&mut next.description, patch.description);
        put(&mut next.genre, patch.genre);
        put(&mut next.published_year, patch.published_year);
        put(&mut next.is_active, patch.is_active);
        next
    }
}

fn put<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// Collects what is wrong.
#[derive(Default)]
struct Check(Vec<FieldError>);

impl Check {
    fn note(&mut self, ok: bool, field: &str, message: impl FnOnce() -> String) {
        if !ok {
            self.0.push(FieldError { field: field.to_owned(), message: message() });
        }
    }

    fn isbn(&mut self, text: &str) -> String {
        let number = isbn::normalize(text);
        self.note(number.is_some(), "isbn", || "must be an ISBN-10 or ISBN-13 with a right check digit".to_owned());
        number.unwrap_or_default()
    }

    fn text(&mut self, field: &str, text: String, limit: usize) -> String {
        let text = self.bounded(field, text, limit);
        self.note(!text.is_empty(), field, || "must not be empty".to_owned());
        text
    }

    /// An empty text is none.
    fn optional(&mut self, field: &str, text: Option<String>, limit: usize) -> Option<String> {
        text.map(|text| self.bounded(field, text, limit)).filter(|text| !text.is_empty())
    }

    fn bounded(&mut self, field: &str, text: String, limit: usize) -> String {
        let text = text.trim();
        self.note(text.chars().count() <= limit, field, || format!("must have at most {limit} characters"));
        let lines = field == "description";
        let forbidden = |c: char| c.is_control() && !(lines && matches!(c, '\n' | '\r' | '\t'));
        self.note(!text.contains(forbidden), field, || "must not contain control characters".to_owned());
        text.to_owned()
    }

    fn price(&mut self, price: Money) -> Money {
        let ok = price >= Money(0) && price <= book::MAX_PRICE;
        self.note(ok, "price", || format!("must be 0.00 to {}", book::MAX_PRICE));
        price
    }

    fn year(&mut self, year: Option<i32>) -> Option<i32> {
        let (first, last) = book::YEARS;
        let ok = year.is_none_or(|year| (first..=last).contains(&year));
        self.note(ok, "publishedYear", || format!("must be {first} to {last}"));
        year
    }

    fn finish<T>(self, value: T) -> Result<T, Vec<FieldError>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}

#[cfg(test)]
mod tests;
