//! bcrypt, on few threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// bcrypt reads 72 bytes, of which the last is its own. A longer password is refused, never cut.
pub(super) const MAX_BYTES: usize = 71;

/// Hashes and checks passwords, on half of the cores: whoever sends wrong passwords leaves the other half to everybody
/// else. More threads would make no hash come sooner, since each is nothing but computing.
#[derive(Clone)]
pub struct Hasher {
    cost: u32,
    threads: usize,
    permits: Arc<Semaphore>,
    hashes: Arc<AtomicU64>,
}

impl Hasher {
    pub(super) fn new(cost: u32) -> Self {
        let threads = (available_parallelism().map_or(1, usize::from) / 2).max(1);
        Self { cost, threads, permits: Arc::new(Semaphore::new(threads)), hashes: Arc::default() }
    }

    /// How many hashes were computed.
    pub fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }

    /// How many hashes can be computed at once.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// A place among those that compute. It belongs to the thread, not to the actor: a hash that has begun cannot be
    /// aborted, so after a restart the actor's first ones wait for those of its predecessor.
    pub(super) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    /// Whether the password is the one behind `hash`. A hash that is none matches nothing.
    pub(super) async fn verify(&self, permit: Option<OwnedSemaphorePermit>, password: String, hash: String) -> bool {
        self.compute(permit, move || bcrypt::non_truncating_verify(password, &hash).unwrap_or(false))
            .await
            .unwrap_or(false)
    }

    /// A new hash of the password.
    ///
    /// # Errors
    /// For a password over [`MAX_BYTES`], and when the process is ending.
    pub(super) async fn hash(&self, permit: Option<OwnedSemaphorePermit>, password: String) -> Result<String, String> {
        let cost = self.cost;
        let hash = move || bcrypt::non_truncating_hash(password, cost).map_err(|error| error.to_string());
        self.compute(permit, hash).await.unwrap_or_else(|| Err("the process is ending".to_owned()))
    }

    async fn compute<T: Send + 'static>(
        &self,
        permit: Option<OwnedSemaphorePermit>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        self.hashes.fetch_add(1, Ordering::Relaxed);
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        task.await.ok()
    }
}
