//! The books: the only one that writes them, and all of them in memory, where they are searched. Child of the store's root.
//!
//! Writes run one after the other, each decided on what is in memory, so that nobody overwrites what they have not seen; memory follows
//! the commit. Where a commit's answer was lost, the next write waits until the database has told what became of it. A restart reads the
//! books again; it loses the writes that waited, and whoever asked for one is told that it may have happened.

mod lane;

use std::sync::Arc;
use std::time::Duration;

use ::actors::{Actor, Context, EffectError, Failure, Reply};
use chrono::TimeDelta;
use contract::{BookId, Timestamp};
use service::clock;
use service::database::{self, Database};
use strum::IntoStaticStr;

use crate::db;
use crate::domain::book::{Book, Change, Draft};
use crate::domain::catalogue::{Catalogue, Expected, Imported, Refusal};

pub use crate::domain::catalogue::{Page, Query};
pub use lane::{Attempt, Target, WriteError};

/// How often the books are compared with the database, and how far back: what a predecessor of this incarnation had sent to the database
/// when it was killed may have been committed after this one had read.
const REFRESH_EVERY: Duration = Duration::from_secs(30);
const REFRESH_FIRST: Duration = Duration::from_secs(3);
const REFRESH_BACK: TimeDelta = TimeDelta::seconds(90);
const REFRESH_LIMIT: Duration = Duration::from_secs(20);

/// What every start is given.
#[derive(Clone)]
pub struct Args {
    /// Where the books are.
    pub database: Database,
}

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// A page of the books looked for.
    List {
        /// What is looked for.
        query: Box<Query>,
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
    /// One book, on sale or not.
    Find {
        /// The book.
        book: BookId,
        /// None where there is none.
        reply: Reply<Option<Arc<Book>>>,
    },
    /// Several books on sale, for an order that takes their prices.
    Prices {
        /// The books.
        books: Vec<BookId>,
        /// In the same order; none for a book that is not on sale.
        reply: Reply<Vec<Option<Arc<Book>>>>,
    },
    /// Enters a book.
    Create {
        /// Its id, made by the asker so that it can be looked for.
        id: BookId,
        /// The book.
        draft: Box<Draft>,
        /// The book as it is now durable.
        reply: Reply<Result<Arc<Book>, WriteError>>,
    },
    /// Changes a book.
    Change {
        /// The book.
        id: BookId,
        /// What is to become of it.
        change: Box<Change>,
        /// What may be overwritten.
        expected: Expected,
        /// The book as it is now durable.
        reply: Reply<Result<Arc<Book>, WriteError>>,
    },
    /// Enters and replaces books by ISBN: all of them or, when it fails, none.
    Import {
        /// The books, each ISBN once.
        drafts: Vec<Draft>,
        /// What it came to.
        reply: Reply<Result<Imported, WriteError>>,
    },
    /// The write under way has ended.
    Saved {
        /// How.
        outcome: Attempt,
    },
    /// Timer: look again what became of a write.
    LookBack,
    /// What the database has of the books of a write whose outcome was not known.
    LookedBack {
        /// Those books.
        found: Result<Vec<Book>, String>,
    },
    /// Timer: take what has changed in the database without us.
    Refresh,
    /// What has.
    Refreshed {
        /// Books that were changed lately.
        found: Result<Vec<Book>, String>,
    },
}

/// The books, and the writes that wait.
pub struct State {
    database: Database,
    catalogue: Catalogue,
    lane: lane::Lane,
}

/// The actor.
pub struct Catalog;

impl Actor for Catalog {
    const KIND: &'static str = "catalog";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, ctx: &mut Context<Msg>) -> Result<State, Failure> {
        let books = db::books::all(args.database.ready()?).await.map_err(|error| database::failure(&error))?;
        let mut catalogue = Catalogue::default();
        for book in books {
            catalogue.put(book);
        }
        ctx.send_after(REFRESH_FIRST, Msg::Refresh);
        Ok(State { database: args.database, catalogue, lane: lane::Lane::default() })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        let catalogue = &state.catalogue;
        match msg {
            Msg::List { query, reply } => reply.send(catalogue.search(&query)),
            Msg::Get { book, reply } => reply.send(catalogue.on_sale(book).cloned()),
            Msg::Find { book, reply } => reply.send(catalogue.get(book).cloned()),
            Msg::Prices { books, reply } => {
                reply.send(books.into_iter().map(|book| catalogue.on_sale(book).cloned()).collect());
            }
            Msg::Create { id, draft, reply } => state.enqueue(Target::Create { id, draft, reply }, ctx),
            Msg::Change { id, change, expected, reply } => {
                state.enqueue(Target::Change { id, change, expected, reply }, ctx);
            }
            Msg::Import { drafts, reply } => state.enqueue(Target::Import { drafts, reply }, ctx),
            Msg::Saved { outcome } => state.saved(outcome, ctx),
            Msg::LookBack => state.look_back(ctx),
            Msg::LookedBack { found } => state.looked_back(found, ctx),
            Msg::Refresh => state.refresh(ctx),
            Msg::Refreshed { found } => state.refreshed(found, ctx),
        }
        Ok(())
    }
}

impl State {
    fn refresh(&mut self, ctx: &mut Context<Msg>) {
        let (database, since) = (self.database.clone(), clock::now() - REFRESH_BACK);
        ctx.effect(REFRESH_LIMIT, changed_since(database, since), |found| Msg::Refreshed {
            found: found.unwrap_or_else(|error: EffectError| Err(error.to_string())),
        });
    }

    fn refreshed(&mut self, found: Result<Vec<Book>, String>, ctx: &mut Context<Msg>) {
        match found {
            Ok(books) => books.into_iter().for_each(|book| self.catalogue.put(book)),
            Err(error) => tracing::debug!(error, "the books were not compared with the database"),
        }
        ctx.send_after(REFRESH_EVERY, Msg::Refresh);
    }
}

async fn changed_since(database: Database, since: Timestamp) -> Result<Vec<Book>, String> {
    let db = database.ready().map_err(|failure| failure.reason().to_owned())?;
    db::books::changed_since(db, since).await.map_err(|error| error.to_string())
}

impl From<Refusal> for WriteError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

#[cfg(test)]
mod tests;
