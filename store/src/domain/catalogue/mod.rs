//! The whole catalogue in memory: every book by id and ISBN, those on sale and those withdrawn each searchable and in every order.
//! Also the decisions about writes, which need to know all of it.

mod grams;
mod query;
mod shelf;

use std::collections::HashMap;
use std::sync::Arc;

use contract::{BookId, Timestamp};

pub use super::book::Book;
use super::book::{Change, Draft};
pub use query::{By, Cursor, Malformed, Query, Sort, Word};
use shelf::{Entry, Shelf};

/// Every book that there is.
#[derive(Debug, Default)]
pub struct Catalogue {
    on_sale: Shelf,
    withdrawn: Shelf,
    isbns: HashMap<String, BookId>,
}

/// Some books, in the order asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The books.
    pub books: Vec<Arc<Book>>,
    /// Where the next page begins. None on the last page.
    pub next: Option<Cursor>,
}

/// Why a book is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such book.
    #[error("there is no such book")]
    Unknown,
    /// Another book has the ISBN.
    #[error("another book has the ISBN")]
    IsbnTaken {
        /// That book.
        by: BookId,
        /// Whether it is on sale.
        on_sale: bool,
    },
    /// The book is at another version than the writer believes.
    #[error("the book has been changed meanwhile")]
    OtherVersion {
        /// The version it is at.
        current: i64,
    },
}

/// Which versions a writer would overwrite.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Expected {
    /// Whatever there is.
    #[default]
    Any,
    /// One of these.
    Versions(Vec<i64>),
}

/// What an import comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// New books.
    pub created: u64,
    /// Books that are different now.
    pub updated: u64,
    /// Books that are as the rows have them.
    pub unchanged: u64,
}

impl Catalogue {
    /// Takes a book as it is in the database; an older version than the one here changes nothing.
    pub fn put(&mut self, book: Book) {
        if let Some(known) = self.get(book.id) {
            if known.version >= book.version {
                return;
            }
            let isbn = known.isbn.clone();
            if isbn != book.isbn && self.isbns.get(&isbn) == Some(&book.id) {
                self.isbns.remove(&isbn);
            }
            self.on_sale.remove(book.id);
            self.withdrawn.remove(book.id);
        }
        self.isbns.insert(book.isbn.clone(), book.id);
        let shelf = if book.is_active { &mut self.on_sale } else { &mut self.withdrawn };
        shelf.add(Arc::new(book));
    }

    /// A book, on sale or not.
    pub fn get(&self, id: BookId) -> Option<&Arc<Book>> {
        self.on_sale.get(id).or_else(|| self.withdrawn.get(id))
    }

    /// A book that is on sale.
    pub fn on_sale(&self, id: BookId) -> Option<&Arc<Book>> {
        self.on_sale.get(id)
    }

    /// A page of what is looked for.
    pub fn search(&self, query: &Query) -> Page {
        if query.withdrawn { self.withdrawn.search(query) } else { self.on_sale.search(query) }
    }

    /// The new book that a draft is.
    ///
    /// # Errors
    /// When the ISBN is another book's.
    pub fn create(&self, id: BookId, draft: Draft, now: Timestamp) -> Result<Book, Refusal> {
        self.check_isbn(id, &draft.isbn)?;
        Ok(draft.into_book(id, now))
    }

    /// The book after a change; none where that changes nothing.
    ///
    /// # Errors
    /// Any [`Refusal`].
    pub fn change(
        &self,
        id: BookId,
        change: &Change,
        expected: &Expected,
        now: Timestamp,
    ) -> Result<Option<Book>, Refusal> {
        let book = self.get(id).ok_or(Refusal::Unknown)?;
        match expected {
            Expected::Versions(versions) if !versions.contains(&book.version) => {
                return Err(Refusal::OtherVersion { current: book.version });
            }
            Expected::Versions(_) | Expected::Any => {}
        }
        if let Some(isbn) = change.isbn() {
            self.check_isbn(id, isbn)?;
        }
        Ok(book.changed(change, now))
    }

    /// The books that an import writes, and what it comes to. Rows are told apart by ISBN; of several with the same the first counts.
    /// A book that is there stays on sale, or not, as it is.
    pub fn import(
        &self,
        drafts: Vec<Draft>,
        mut new_id: impl FnMut() -> BookId,
        now: Timestamp,
    ) -> (Vec<Book>, Imported) {
        let (mut books, mut imported) = (HashMap::<String, Book>::new(), Imported::default());
        for draft in drafts {
            if books.contains_key(&draft.isbn) {
                continue;
            }
            let known = self.isbns.get(&draft.isbn).and_then(|id| self.get(*id));
            let written = match known {
                None => {
                    imported.created += 1;
                    Some(draft.into_book(new_id(), now))
                }
                Some(known) => known.changed(&Change::Replace(draft), now).inspect(|_| imported.updated += 1),
            };
            match written {
                Some(book) => {
                    books.insert(book.isbn.clone(), book);
                }
                None => imported.unchanged += 1,
            }
        }
        (books.into_values().collect(), imported)
    }

    fn check_isbn(&self, id: BookId, isbn: &str) -> Result<(), Refusal> {
        match self.isbns.get(isbn) {
            Some(&by) if by != id => Err(Refusal::IsbnTaken { by, on_sale: self.on_sale(by).is_some() }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
