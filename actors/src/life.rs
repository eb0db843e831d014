//! Knowing when nothing of an incarnation is left: its state, its effects, its timers and its descendants.

use std::sync::Arc;

use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Held by everything that belongs to an incarnation. A child's holds its parent's, so a parent's lifetime covers its
/// whole subtree.
pub(crate) struct Life {
    _token: TaskTrackerToken,
    _parent: Option<Arc<Life>>,
}

/// The other end: tells when the last holder of a [`Life`] has gone.
#[derive(Clone)]
pub(crate) struct Lifetime(TaskTracker);

impl Lifetime {
    pub(crate) fn begin(parent: Option<&Arc<Life>>) -> (Self, Arc<Life>) {
        let tracker = TaskTracker::new();
        let life = Life { _token: tracker.token(), _parent: parent.cloned() };
        (Self(tracker), Arc::new(life))
    }

    pub(crate) async fn ended(&self) {
        self.0.close();
        self.0.wait().await;
    }
}
