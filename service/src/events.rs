//! What a service tells its operators while it happens, beside what its actors' supervisors tell.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::broadcast;

use crate::clock;

/// How many notices a listener may be behind before it loses the oldest.
const BEHIND: usize = 1_024;

/// Something that happened to what a service watches.
#[derive(Clone, Debug, Serialize)]
pub struct Notice {
    /// What sort it is: the event's name on the wire.
    #[serde(skip)]
    pub event: &'static str,
    /// When.
    pub at: DateTime<Utc>,
    /// Its members.
    #[serde(flatten)]
    pub members: Value,
}

/// Where notices are published and listened to. Who publishes never waits, whoever listens.
#[derive(Clone, Debug)]
pub struct Feed(broadcast::Sender<Notice>);

impl Default for Feed {
    fn default() -> Self {
        Self(broadcast::Sender::new(BEHIND))
    }
}

impl Feed {
    /// Tells everybody who is listening.
    pub fn publish(&self, event: &'static str, members: Value) {
        // Nobody may be listening just now.
        let _ = self.0.send(Notice { event, at: clock::now(), members });
    }

    /// Listens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Notice> {
        self.0.subscribe()
    }
}
