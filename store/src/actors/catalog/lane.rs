//! Writes of books, one after the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ::actors::{Context, Reply};
use contract::BookId;
use sea_orm::DbErr;
use service::clock;
use service::database::{self, Database, TransactionError};

use super::{Msg, State};
use crate::db;
use crate::domain::book::{Book, Change, Draft};
use crate::domain::catalogue::{Expected, Imported, Refusal};

/// The most writes that wait. More than that have waited too long for anybody to still want them.
const LINE: usize = 256;
const SAVE_LIMIT: Duration = Duration::from_secs(15);
const LOOK_BACK_LIMIT: Duration = Duration::from_secs(10);
const LOOK_BACK_EVERY: Duration = Duration::from_millis(500);

type Answer = Reply<Result<Arc<Book>, WriteError>>;

/// A write that waits, and for whom.
pub enum Target {
    /// As [`Msg::Create`].
    Create {
        /// Its id.
        id: BookId,
        /// The book.
        draft: Box<Draft>,
        /// Who waits.
        reply: Answer,
    },
    /// As [`Msg::Change`].
    Change {
        /// The book.
        id: BookId,
        /// What is to become of it.
        change: Box<Change>,
        /// What may be overwritten.
        expected: Expected,
        /// Who waits.
        reply: Answer,
    },
    /// As [`Msg::Import`].
    Import {
        /// The books.
        drafts: Vec<Draft>,
        /// Who waits.
        reply: Reply<Result<Imported, WriteError>>,
    },
}

/// Why a write is not known to be durable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// It would break something.
    #[error(transparent)]
    Refused(Refusal),
    /// Not now; nothing was written.
    #[error("busy")]
    Busy,
    /// The database does not take it; nothing was written.
    #[error("{0}")]
    Failed(String),
}

/// How an attempt to write ended.
#[derive(Debug)]
pub enum Attempt {
    /// It is durable.
    Done,
    /// Nothing was written.
    Nothing(WriteError),
    /// It may have been written, or what is in memory is not what is in the database.
    Unsure(String),
}

/// Who is answered when the write under way has ended.
enum Asker {
    Book(Answer, Arc<Book>),
    Import(Reply<Result<Imported, WriteError>>, Imported),
}

struct Writing {
    books: Arc<[Book]>,
    asker: Asker,
}

/// The write under way and those that wait for it.
#[derive(Default)]
pub(super) struct Lane {
    waiting: VecDeque<Target>,
    writing: Option<Writing>,
}

impl State {
    pub(super) fn enqueue(&mut self, target: Target, ctx: &mut Context<Msg>) {
        if self.lane.waiting.len() >= LINE {
            return target.refuse(WriteError::Busy);
        }
        self.lane.waiting.push_back(target);
        self.write_next(ctx);
    }

    /// Decides what waits, until something has to be written.
    fn write_next(&mut self, ctx: &mut Context<Msg>) {
        while self.lane.writing.is_none() {
            let Some(target) = self.lane.waiting.pop_front() else { return };
            // Whoever has given up has said to somebody that nothing is known.
            if target.is_abandoned() {
                continue;
            }
            let Some(writing) = self.decide(target) else { continue };
            let (database, books) = (self.database.clone(), Arc::clone(&writing.books));
            self.lane.writing = Some(writing);
            ctx.effect(SAVE_LIMIT, save(database, books), |saved| Msg::Saved {
                outcome: saved.unwrap_or_else(|error| Attempt::Unsure(error.to_string())),
            });
        }
    }

    fn decide(&self, target: Target) -> Option<Writing> {
        let (catalogue, now) = (&self.catalogue, clock::now());
        let of_book =
            |book: Book, reply| Writing { books: Arc::from([book.clone()]), asker: Asker::Book(reply, Arc::new(book)) };
        match target {
            Target::Create { id, draft, reply } => match catalogue.create(id, *draft, now) {
                Ok(book) => return Some(of_book(book, reply)),
                Err(refusal) => reply.send(Err(refusal.into())),
            },
            Target::Change { id, change, expected, reply } => match catalogue.change(id, &change, &expected, now) {
                Ok(Some(book)) => return Some(of_book(book, reply)),
                Ok(None) => reply.send(catalogue.get(id).cloned().ok_or(Refusal::Unknown.into())),
                Err(refusal) => reply.send(Err(refusal.into())),
            },
            Target::Import { drafts, reply } => {
                let (books, imported) = catalogue.import(drafts, BookId::new, now);
                if !books.is_empty() {
                    return Some(Writing { books: books.into(), asker: Asker::Import(reply, imported) });
                }
                reply.send(Ok(imported));
            }
        }
        None
    }

    pub(super) fn saved(&mut self, outcome: Attempt, ctx: &mut Context<Msg>) {
        match outcome {
            Attempt::Done => self.end(Ok(()), ctx),
            Attempt::Nothing(error) => self.end(Err(error), ctx),
            Attempt::Unsure(reason) => {
                tracing::warn!(reason, "it is looked up what became of a write of books");
                self.look_back(ctx);
            }
        }
    }

    pub(super) fn look_back(&mut self, ctx: &mut Context<Msg>) {
        let Some(writing) = &self.lane.writing else { return };
        ctx.effect(LOOK_BACK_LIMIT, find(self.database.clone(), Arc::clone(&writing.books)), |found| Msg::LookedBack {
            found: found.unwrap_or_else(|error| Err(error.to_string())),
        });
    }

    pub(super) fn looked_back(&mut self, found: Result<Vec<Book>, String>, ctx: &mut Context<Msg>) {
        let (Ok(found), Some(writing)) = (found, &self.lane.writing) else {
            ctx.send_after(LOOK_BACK_EVERY, Msg::LookBack);
            return;
        };
        // One transaction wrote all of them or none.
        let written = writing.books.first().is_some_and(|book| found.contains(book));
        for book in found {
            self.catalogue.put(book);
        }
        self.end(if written { Ok(()) } else { Err(WriteError::Busy) }, ctx);
    }

    fn end(&mut self, result: Result<(), WriteError>, ctx: &mut Context<Msg>) {
        if let Some(Writing { books, asker }) = self.lane.writing.take() {
            if result.is_ok() {
                for book in books.iter() {
                    self.catalogue.put(book.clone());
                }
            }
            match asker {
                Asker::Book(reply, book) => reply.send(result.map(|()| book)),
                Asker::Import(reply, imported) => reply.send(result.map(|()| imported)),
            }
        }
        self.write_next(ctx);
    }
}

impl Target {
    fn refuse(self, error: WriteError) {
        match self {
            Self::Create { reply, .. } | Self::Change { reply, .. } => reply.send(Err(error)),
            Self::Import { reply, .. } => reply.send(Err(error)),
        }
    }

    fn is_abandoned(&self) -> bool {
        match self {
            Self::Create { reply, .. } | Self::Change { reply, .. } => reply.is_abandoned(),
            Self::Import { reply, .. } => reply.is_abandoned(),
        }
    }
}

/// Why a transaction is rolled back.
enum Undone {
    Stale,
    Database(DbErr),
}

async fn save(database: Database, books: Arc<[Book]>) -> Attempt {
    let saved = database
        .transaction("catalog", async |txn| match db::books::save(txn, &books).await {
            Ok(count) if count == books.len() => Ok(()),
            Ok(_) => Err(Undone::Stale),
            Err(error) => Err(Undone::Database(error)),
        })
        .await;
    match saved {
        Ok(()) => Attempt::Done,
        Err(TransactionError::Begin(_)) => Attempt::Nothing(WriteError::Busy),
        Err(TransactionError::Work(Undone::Stale)) => Attempt::Unsure("another version is there".to_owned()),
        Err(TransactionError::Work(Undone::Database(error))) if database::is_unique_violation(&error) => {
            Attempt::Unsure("an ISBN is there already".to_owned())
        }
        Err(TransactionError::Work(Undone::Database(error))) => {
            let away = database::is_unavailable(&error) || database::is_contended(&error);
            Attempt::Nothing(if away { WriteError::Busy } else { WriteError::Failed(error.to_string()) })
        }
        Err(TransactionError::Commit(error)) => Attempt::Unsure(error.to_string()),
    }
}

/// The books as the database has them, and others that have their ISBNs.
async fn find(database: Database, books: Arc<[Book]>) -> Result<Vec<Book>, String> {
    let db = database.ready().map_err(|failure| failure.reason().to_owned())?;
    let keys: Vec<_> = books.iter().map(|book| (book.id, book.isbn.clone())).collect();
    db::books::find(db, &keys).await.map_err(|error| error.to_string())
}
