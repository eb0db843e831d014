//! The books on sale, as a read model in memory. Child of the store's root.
//!
//! A restart reads them again and loses nothing.

use std::sync::Arc;

use ::actors::{Actor, Context, Failure, Reply};
use contract::BookId;
use service::database::{self, Database};
use strum::IntoStaticStr;

use crate::db;
use crate::domain::book::Book;

/// What every start is given.
#[derive(Clone)]
pub struct Args {
    /// Where the books are.
    pub database: Database,
}

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// A page of the books on sale, by id.
    List {
        /// The last book of the page before.
        after: Option<BookId>,
        /// The most books.
        limit: usize,
        /// The page.
        reply: Reply<Page>,
    },
    /// One book on sale.
    Get {
        /// The book.
        book: BookId,
        /// None where there is none, or it is not on sale.
        reply: Reply<Option<Arc<Book>>>,
    },
    /// Several books on sale, for an order that takes their prices.
    Prices {
        /// The books.
        books: Vec<BookId>,
        /// In the same order; none for a book that is not on sale.
        reply: Reply<Vec<Option<Arc<Book>>>>,
    },
}

/// Some of the books on sale.
#[derive(Debug, Default)]
pub struct Page {
    /// The books, by id.
    pub books: Vec<Arc<Book>>,
    /// Where the next page begins: after this book. None on the last page.
    pub next: Option<BookId>,
}

/// The books on sale, by id.
pub struct State {
    books: Vec<Arc<Book>>,
}

/// The actor.
pub struct Catalog;

impl Actor for Catalog {
    const KIND: &'static str = "catalog";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, _: &mut Context<Msg>) -> Result<State, Failure> {
        let books = db::books::active(args.database.ready()?).await.map_err(|error| database::failure(&error))?;
        let mut books: Vec<_> = books.into_iter().map(Arc::new).collect();
        // Not every database orders UUIDs as Rust does.
        books.sort_unstable_by_key(|book| book.id);
        Ok(State { books })
    }

    async fn handle(&self, msg: Msg, state: &mut State, _: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::List { after, limit, reply } => reply.send(state.page(after, limit)),
            Msg::Get { book, reply } => reply.send(state.get(book)),
            Msg::Prices { books, reply } => reply.send(books.into_iter().map(|book| state.get(book)).collect()),
        }
        Ok(())
    }
}

impl State {
    fn get(&self, book: BookId) -> Option<Arc<Book>> {
        let index = self.books.binary_search_by_key(&book, |book| book.id).ok()?;
        Some(Arc::clone(&self.books[index]))
    }

    fn page(&self, after: Option<BookId>, limit: usize) -> Page {
        let begin = after.map_or(0, |after| self.books.partition_point(|book| book.id <= after));
        let rest = &self.books[begin..];
        let books = rest[..limit.min(rest.len())].to_vec();
        let next = books.last().filter(|_| rest.len() > books.len()).map(|book| book.id);
        Page { books, next }
    }
}

#[cfg(test)]
mod tests;
