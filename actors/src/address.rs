//! Addresses: how the rest of the program reaches an actor, whichever incarnation of it is running.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::oneshot;

use crate::Message;
use crate::status::{Slot, Status};

/// What lies in a mailbox.
pub(crate) enum Envelope<M> {
    /// The first message of every incarnation.
    Start,
    /// One that somebody sent; the slot counts it until it has been handled or dropped.
    Message { msg: M, slot: Slot },
}

/// Where to send messages to an actor. It stays good across restarts, and refuses while there is nobody to receive.
pub struct Address<M>(Arc<Inner<M>>);

struct Inner<M> {
    status: Arc<Status>,
    target: RwLock<Option<ActorRef<Envelope<M>>>>,
}

impl<M> Clone for Address<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> fmt::Debug for Address<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.0.status.path())
    }
}

/// The actor is not running, or its mailbox is full. Nothing was enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("refused: the actor is down or its mailbox is full")]
pub struct Refused;

/// Why an ask has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Never enqueued: it certainly did not happen.
    #[error("refused: the actor is down or its mailbox is full")]
    Refused,
    /// The actor ended with the question in hand: it may have happened.
    #[error("lost: the actor ended before it answered")]
    Lost,
    /// No answer in time: it may have happened, or may yet.
    #[error("timed out: the actor has not answered")]
    Timeout,
}

impl From<Refused> for AskError {
    fn from(_: Refused) -> Self {
        Self::Refused
    }
}

/// Answers one ask.
#[derive(Debug)]
pub struct Reply<R>(oneshot::Sender<R>);

impl<R> Reply<R> {
    /// Answers. An asker that has given up is no error.
    pub fn send(self, answer: R) {
        let _ = self.0.send(answer);
    }

    /// Whether the asker has given up.
    pub fn is_abandoned(&self) -> bool {
        self.0.is_closed()
    }

    /// A reply with nobody's mailbox in between, for asking oneself and for tests.
    pub fn channel() -> (Self, oneshot::Receiver<R>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }
}

impl<M: Message> Address<M> {
    /// An address for an actor yet to be started, whose mailbox holds at most `bound` messages.
    pub fn new(bound: usize) -> Self {
        Self(Arc::new(Inner { status: Arc::new(Status::new(bound)), target: RwLock::new(None) }))
    }

    /// Sends and forgets.
    ///
    /// # Errors
    /// [`Refused`] when the actor is not running or its mailbox is full.
    pub fn tell(&self, msg: M) -> Result<(), Refused> {
        let target = self.target().ok_or(Refused)?;
        let slot = Slot::within_bound(&self.0.status).ok_or(Refused)?;
        target.cast(Envelope::Message { msg, slot }).map_err(|_| Refused)
    }

    /// Sends a question and waits up to `timeout` for its answer.
    ///
    /// # Errors
    /// See [`AskError`]: only a refusal is certain.
    pub async fn ask<R>(&self, timeout: Duration, question: impl FnOnce(Reply<R>) -> M) -> Result<R, AskError> {
        let (reply, answer) = Reply::channel();
        self.tell(question(reply))?;
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(AskError::Lost),
            Err(_) => Err(AskError::Timeout),
        }
    }

    /// Whether there is an incarnation that takes messages.
    pub fn is_open(&self) -> bool {
        self.target().is_some()
    }

    /// Ends the running incarnation at its next await. Its supervisor treats that as any other failure.
    pub fn kill(&self) {
        if let Some(target) = self.target() {
            target.kill();
        }
    }

    pub(crate) fn status(&self) -> &Arc<Status> {
        &self.0.status
    }

    pub(crate) fn open(&self, target: ActorRef<Envelope<M>>) {
        *self.0.target.write().unwrap_or_else(PoisonError::into_inner) = Some(target);
    }

    pub(crate) fn close(&self) {
        *self.0.target.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn target(&self) -> Option<ActorRef<Envelope<M>>> {
        self.0.target.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
