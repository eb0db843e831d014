//! What an actor has at hand while it handles a message: itself, its timers and its effects.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use ractor::ActorRef;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::address::Envelope;
use crate::life::Life;
use crate::status::{InFlight, Slot, Status};
use crate::{Address, Message};

/// Why an effect has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EffectError {
    /// It panicked, with this text.
    #[error("panicked: {0}")]
    Panicked(String),
    /// It took longer than its limit, and was dropped. What it had begun elsewhere may still happen.
    #[error("timed out")]
    TimedOut,
}

/// A message to come. Dropping this leaves it to come.
#[derive(Debug)]
pub struct Timer(AbortHandle);

impl Timer {
    /// Takes the message back, unless it has been sent.
    pub fn cancel(self) {
        self.0.abort();
    }
}

/// Tells that the actor is being stopped: it gets no more messages from outside, and its effects should end.
#[derive(Debug, Clone)]
pub struct Closing(CancellationToken);

impl Closing {
    /// Waits until the stop begins.
    pub async fn closed(&self) {
        self.0.cancelled().await;
    }

    /// Whether the stop has begun.
    pub fn is_closed(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// One incarnation's hands. Dropping it, however the incarnation ends, aborts its timers and effects.
pub struct Context<M: Message> {
    address: Address<M>,
    me: ActorRef<Envelope<M>>,
    status: Arc<Status>,
    tasks: JoinSet<()>,
    life: Arc<Life>,
    closing: CancellationToken,
    finished: bool,
}

impl<M: Message> Context<M> {
    pub(crate) fn new(
        address: Address<M>,
        me: ActorRef<Envelope<M>>,
        life: Arc<Life>,
        closing: CancellationToken,
    ) -> Self {
        let status = Arc::clone(address.status());
        Self { address, me, status, tasks: JoinSet::new(), life, closing, finished: false }
    }

    /// The actor's own address.
    pub fn address(&self) -> &Address<M> {
        &self.address
    }

    /// Where the actor is in the tree, such as `root/pool/worker`.
    pub fn path(&self) -> &str {
        self.status.path()
    }

    /// Fires when the supervisor begins to stop this incarnation.
    pub fn closing(&self) -> Closing {
        Closing(self.closing.clone())
    }

    /// Says that something is wrong although this actor runs, or that it no longer is: seen in its status and among the unwell. The same
    /// reason again changes nothing, so it may be said at every occasion; the end of this incarnation ends it.
    pub fn set_concern(&self, reason: Option<String>) {
        self.status.set_concern(reason);
    }

    /// Ends the actor normally once the message in hand is done. What is queued behind it is dropped.
    pub fn stop(&mut self) {
        self.finished = true;
    }

    /// How many effects are under way.
    pub fn effects_in_flight(&self) -> usize {
        self.status.effects()
    }

    /// Sends a message to this incarnation, whatever its mailbox bound.
    pub fn notify(&self, msg: M) {
        self.loopback().send(msg);
    }

    /// Sends a message to this incarnation after `delay`. A timer does not hold up a stop.
    pub fn send_after(&mut self, delay: Duration, msg: M) -> Timer {
        let loopback = self.loopback();
        let life = Arc::clone(&self.life);
        Timer(self.tasks.spawn(async move {
            let _life = life;
            tokio::time::sleep(delay).await;
            loopback.send(msg);
        }))
    }

    /// Runs slow work in a task of its own. Its result, panic or timeout comes back as the message that `then` makes.
    ///
    /// A stop waits for effects; every other end of the actor aborts them.
    pub fn effect<T: Send + 'static>(
        &mut self,
        limit: Duration,
        work: impl Future<Output = T> + Send + 'static,
        then: impl FnOnce(Result<T, EffectError>) -> M + Send + 'static,
    ) {
        let loopback = self.loopback();
        let life = Arc::clone(&self.life);
        let in_flight = InFlight::new(&self.status);
        self.tasks.spawn(async move {
            let _life = life;
            // Counted until its result is counted as a message, so that nobody ever sees neither.
            let _in_flight = in_flight;
            let outcome = match tokio::time::timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(panic)) => Err(EffectError::Panicked(panic_text(&*panic))),
                Err(_) => Err(EffectError::TimedOut),
            };
            loopback.send(then(outcome));
        });
    }

    /// Runs work that blocks its thread, such as hashing a password, where that hurts nobody. As [`Context::effect`],
    /// but such work cannot be aborted: what waits for the end of this incarnation waits for it.
    pub fn blocking<T: Send + 'static>(
        &mut self,
        limit: Duration,
        work: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(Result<T, EffectError>) -> M + Send + 'static,
    ) {
        let life = Arc::clone(&self.life);
        let task = tokio::task::spawn_blocking(move || {
            let _life = life;
            work()
        });
        self.effect(
            limit,
            async move {
                match task.await {
                    Ok(value) => value,
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => resume_unwind(panic),
                        // The runtime is shutting down and this task is about to be dropped with it.
                        Err(_) => std::future::pending().await,
                    },
                }
            },
            then,
        );
    }

    pub(crate) fn status(&self) -> &Arc<Status> {
        &self.status
    }

    pub(crate) fn me(&self) -> &ActorRef<Envelope<M>> {
        &self.me
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Lets go of the tasks that have ended.
    pub(crate) fn reap(&mut self) {
        while self.tasks.try_join_next().is_some() {}
    }

    fn loopback(&self) -> Loopback<M> {
        Loopback { me: self.me.clone(), status: Arc::clone(&self.status) }
    }
}

struct Loopback<M> {
    me: ActorRef<Envelope<M>>,
    status: Arc<Status>,
}

impl<M: Message> Loopback<M> {
    /// An incarnation that has ended needs no result: its successor starts from what is durable.
    fn send(self, msg: M) {
        let slot = Slot::beyond_bound(&self.status);
        let _ = self.me.cast(Envelope::Message { msg, slot });
    }
}

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
