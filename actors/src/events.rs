//! What happens to the actors of a tree, told while it happens.

use std::sync::{OnceLock, PoisonError, RwLock, Weak};

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::broadcast;

use crate::status;
use crate::tree::Node;

/// How many events a listener may be behind before it loses the oldest.
const BEHIND: usize = 1_024;

/// What happened to an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Happening {
    /// It failed and will be started again.
    Failed,
    /// Something it depends on is away; it will be started again.
    Waiting,
    /// It failed and will not be started again, or only much later.
    GaveUp,
    /// Somebody asked for its restart.
    RestartAsked,
    /// It runs again.
    Restarted,
}

impl Happening {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::GaveUp => "gaveUp",
            Self::RestartAsked => "restartAsked",
            Self::Restarted => "restarted",
        }
    }
}

/// Something that happened to an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When.
    pub at: DateTime<Utc>,
    /// To whom: its place in the tree.
    pub path: String,
    /// What.
    pub happened: Happening,
    /// The panic's text or the error, with its causes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How often it has been started again by now.
    pub restarts: u64,
}

/// Follows what happens below a supervisor, from its making on.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

/// Why there is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventsError {
    /// This many came too fast for the listener and are lost to it; the next ones are there.
    #[error("{0} events were missed")]
    Missed(u64),
    /// There will be none any more.
    #[error("the tree has ended")]
    Ended,
}

impl Events {
    /// Waits for the next one. May be dropped at any time without losing any.
    ///
    /// # Errors
    /// See [`EventsError`].
    pub async fn next(&mut self) -> Result<Event, EventsError> {
        self.0.recv().await.map_err(|error| match error {
            broadcast::error::RecvError::Lagged(count) => EventsError::Missed(count),
            broadcast::error::RecvError::Closed => EventsError::Ended,
        })
    }
}

/// A node's listeners, and the way to those above it.
#[derive(Default)]
pub(crate) struct Feed {
    parent: RwLock<Weak<Node>>,
    /// Made for the first listener: most nodes never have one.
    listeners: OnceLock<broadcast::Sender<Event>>,
}

impl Feed {
    pub(crate) fn set_parent(&self, parent: Weak<Node>) {
        *self.parent.write().unwrap_or_else(PoisonError::into_inner) = parent;
    }

    pub(crate) fn listen(&self) -> Events {
        Events(self.listeners.get_or_init(|| broadcast::Sender::new(BEHIND)).subscribe())
    }

    fn parent(&self) -> Option<std::sync::Arc<Node>> {
        self.parent.read().unwrap_or_else(PoisonError::into_inner).upgrade()
    }
}

/// Tells everybody who listens to the actor's supervisor or to one above it.
pub(crate) fn publish(node: &Node, happened: Happening, reason: Option<&str>) {
    let status = &node.status;
    let (path, restarts) = (status.path().to_owned(), status.restarts());
    let event = Event { at: status::now(), path, happened, reason: reason.map(str::to_owned), restarts };
    let mut above = node.feed.parent();
    while let Some(node) = above {
        if let Some(listeners) = node.feed.listeners.get() {
            // Nobody may be listening just now.
            let _ = listeners.send(event.clone());
        }
        above = node.feed.parent();
    }
}
