//! How the rest of the program reaches a supervisor.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ractor::ActorRef;

use super::Msg;
use crate::spec::ChildSpec;
use crate::tree::{Node, Snapshot, below};
use crate::{AskError, Events, Reply};

/// How long a supervisor may take to take a child in.
const ACCEPT_WITHIN: Duration = Duration::from_secs(5);

/// Where to reach a supervisor, whichever incarnation of it is running.
#[derive(Clone)]
pub struct SupervisorAddress(Arc<Inner>);

struct Inner {
    node: Arc<Node>,
    target: RwLock<Option<ActorRef<Msg>>>,
}

impl fmt::Debug for SupervisorAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SupervisorAddress({})", self.0.node.status.path())
    }
}

impl Default for SupervisorAddress {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a child was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StartChildError {
    /// A child of that id is there, running or about to be.
    #[error("there is a child of that id already")]
    InUse,
    /// The supervisor is not running, or stopping.
    #[error("the supervisor is not running")]
    Refused,
    /// The supervisor ended meanwhile.
    #[error("the supervisor has not answered")]
    Lost,
}

/// Why nothing is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RestartError {
    /// There is nothing at that path.
    #[error("there is no such actor")]
    Unknown,
    /// The root, which nobody would start again, and what is never restarted.
    #[error("it cannot be restarted")]
    NotRestartable,
    /// A supervisor on the way is not running, or stopping.
    #[error("its supervisor is not running")]
    Refused,
    /// A supervisor on the way ended meanwhile.
    #[error("its supervisor has not answered")]
    Lost,
}

impl SupervisorAddress {
    /// An address for a supervisor yet to be started.
    pub fn new() -> Self {
        Self(Arc::new(Inner { node: Arc::new(Node::supervisor()), target: RwLock::new(None) }))
    }

    /// Adds a child; it has been taken in when this returns, not started. Such a child has a budget of its own and
    /// never escalates. It leaves the tree when it ends normally, and is gone when its supervisor is restarted.
    ///
    /// # Errors
    /// See [`StartChildError`]. A child that has failed or stopped for good is replaced.
    pub async fn start_child(&self, spec: ChildSpec) -> Result<(), StartChildError> {
        match self.ask(|reply| Msg::StartChild { spec: Box::new(spec), reply }).await {
            Ok(answer) => answer,
            Err(AskError::Refused) => Err(StartChildError::Refused),
            Err(AskError::Lost | AskError::Timeout) => Err(StartChildError::Lost),
        }
    }

    /// Stops a child and whatever is below it, and forgets it. Nothing of it is alive when this returns true; false
    /// means that there is none.
    pub async fn stop_child(&self, id: &str) -> bool {
        let (reply, stopped) = Reply::channel();
        self.tell(Msg::StopChild { id: id.to_owned(), reply }) && stopped.await.unwrap_or(false)
    }

    /// Ends the actor at `path`, a supervisor with everything below it, and has it started again at once. That uses nothing
    /// of its budget; one that had failed for good begins with a full one. It has been accepted, not done, when this
    /// returns; two incarnations never overlap.
    ///
    /// # Errors
    /// See [`RestartError`].
    pub async fn restart(&self, path: &str) -> Result<(), RestartError> {
        let Some(ids) = below(self.0.node.status.path(), path) else { return Err(RestartError::Unknown) };
        let ids: VecDeque<String> = ids.map(str::to_owned).collect();
        if ids.is_empty() {
            return Err(RestartError::NotRestartable);
        }
        match self.ask(|reply| Msg::Restart { ids, reply }).await {
            Ok(answer) => answer,
            Err(AskError::Refused) => Err(RestartError::Refused),
            Err(AskError::Lost | AskError::Timeout) => Err(RestartError::Lost),
        }
    }

    /// What happens to the actors below, from now on.
    pub fn events(&self) -> Events {
        self.0.node.feed.listen()
    }

    /// What is at `path`, and everything below it.
    pub fn snapshot_of(&self, path: &str) -> Option<Snapshot> {
        self.0.node.find(path).map(|node| node.snapshot())
    }

    /// The supervisor and everything below it, read without asking anybody.
    pub fn snapshot(&self) -> Snapshot {
        self.0.node.snapshot()
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.0.node
    }

    pub(crate) fn target(&self) -> Option<ActorRef<Msg>> {
        self.0.target.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_target(&self, target: Option<ActorRef<Msg>>) {
        *self.0.target.write().unwrap_or_else(PoisonError::into_inner) = target;
    }

    fn tell(&self, msg: Msg) -> bool {
        self.target().is_some_and(|target| target.cast(msg).is_ok())
    }

    async fn ask<R>(&self, question: impl FnOnce(Reply<R>) -> Msg) -> Result<R, AskError> {
        let (reply, answer) = Reply::channel();
        if !self.tell(question(reply)) {
            return Err(AskError::Refused);
        }
        match tokio::time::timeout(ACCEPT_WITHIN, answer).await {
            Ok(answer) => answer.map_err(|_| AskError::Lost),
            Err(_) => Err(AskError::Timeout),
        }
    }
}
