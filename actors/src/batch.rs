//! Natural batching: what queued while the last flush ran goes into the next one.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;

use crate::context::panic_text;
use crate::{Context, Message, Reply};

/// Why a flush did nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlushError {
    /// One of the members, or the flush itself, is at fault: each member is tried alone.
    #[error("{0}")]
    Poisoned(String),
    /// What it writes to is away: nobody is tried again. It may have happened.
    #[error("{0}")]
    Unavailable(String),
}

/// Why a member was not flushed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// It failed alone.
    #[error("{0}")]
    Failed(String),
    /// What is written to is away, or took too long: it may have happened.
    #[error("{0}")]
    Unavailable(String),
}

/// Members that wait for their flush, each with its caller.
///
/// One flush runs at a time, as an effect, so a caller waits for at most the flush under way and its own, and an idle
/// batch delays nobody. The owner calls [`Batch::flush`] after every push, and [`Batch::flushed`] then `flush` on the
/// message that ends one.
#[derive(Debug)]
pub struct Batch<T, R> {
    waiting: VecDeque<Waiting<T, R>>,
    limit: usize,
    flushing: bool,
}

type Waiting<T, R> = (T, Reply<Result<R, BatchError>>);

impl<T: Clone + Send + 'static, R: Send + 'static> Batch<T, R> {
    /// Flushes take at most `limit` members each.
    pub fn new(limit: usize) -> Self {
        Self { waiting: VecDeque::new(), limit, flushing: false }
    }

    /// Adds a member, whose caller is answered after its flush.
    pub fn push(&mut self, member: T, reply: Reply<Result<R, BatchError>>) {
        self.waiting.push_back((member, reply));
    }

    /// How many wait, those of the flush under way not among them.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Begins a flush, unless one is under way or nobody waits. `write` gets the members in order and returns a result
    /// for each in the same order, each try within `limit`; `ended` is sent when all callers have been answered.
    ///
    /// A write that fails or panics must have changed nothing, or be the same when repeated: its members are then
    /// written one by one, and only those that fail alone get an error.
    pub fn flush<M, W, F>(
        &mut self,
        ctx: &mut Context<M>,
        limit: Duration,
        write: W,
        ended: impl FnOnce() -> M + Send + 'static,
    ) where
        M: Message,
        W: Fn(Vec<T>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Vec<R>, FlushError>> + Send + 'static,
    {
        if self.flushing || self.waiting.is_empty() {
            return;
        }
        self.flushing = true;
        let count = self.waiting.len().min(self.limit);
        let members: Vec<_> = self.waiting.drain(..count).collect();
        ctx.effect(Duration::MAX, run(members, limit, write), move |_| ended());
    }

    /// The flush under way has ended.
    pub fn flushed(&mut self) {
        self.flushing = false;
    }
}

async fn run<T, R, W, F>(members: Vec<Waiting<T, R>>, limit: Duration, write: W)
where
    T: Clone,
    W: Fn(Vec<T>) -> F,
    F: Future<Output = Result<Vec<R>, FlushError>>,
{
    let all = members.iter().map(|(member, _)| member.clone()).collect();
    match attempt(&write, all, members.len(), limit).await {
        Ok(results) => {
            for ((_, reply), result) in members.into_iter().zip(results) {
                reply.send(Ok(result));
            }
        }
        Err(FlushError::Unavailable(reason)) => {
            for (_, reply) in members {
                reply.send(Err(BatchError::Unavailable(reason.clone())));
            }
        }
        Err(FlushError::Poisoned(reason)) if members.len() == 1 => {
            for (_, reply) in members {
                reply.send(Err(BatchError::Failed(reason.clone())));
            }
        }
        Err(FlushError::Poisoned(reason)) => {
            tracing::warn!(members = members.len(), reason, "a flush failed: repeating it member by member");
            for (member, reply) in members {
                reply.send(match attempt(&write, vec![member], 1, limit).await {
                    Ok(mut results) => results.pop().ok_or_else(|| BatchError::Failed("no result".to_owned())),
                    Err(FlushError::Poisoned(reason)) => Err(BatchError::Failed(reason)),
                    Err(FlushError::Unavailable(reason)) => Err(BatchError::Unavailable(reason)),
                });
            }
        }
    }
}

async fn attempt<T, R, W, F>(write: &W, members: Vec<T>, count: usize, limit: Duration) -> Result<Vec<R>, FlushError>
where
    W: Fn(Vec<T>) -> F,
    F: Future<Output = Result<Vec<R>, FlushError>>,
{
    let guarded = AssertUnwindSafe(async { write(members).await }).catch_unwind();
    match tokio::time::timeout(limit, guarded).await {
        Ok(Ok(Ok(results))) if results.len() == count => Ok(results),
        Ok(Ok(Ok(results))) => Err(FlushError::Poisoned(format!("{} results for {count} members", results.len()))),
        Ok(Ok(Err(error))) => Err(error),
        Ok(Err(panic)) => Err(FlushError::Poisoned(format!("panicked: {}", panic_text(&*panic)))),
        Err(_) => Err(FlushError::Unavailable("timed out".to_owned())),
    }
}
