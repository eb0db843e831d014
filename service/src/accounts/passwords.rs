//! bcrypt, on few threads.

use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::available_parallelism;

use bcrypt::HashParts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// bcrypt reads 72 bytes, of which the last is its own. A longer password is refused, never cut.
pub const MAX_BYTES: usize = 71;

/// Hashes and checks passwords, on half of the cores: whoever sends wrong passwords leaves the other half to everybody
/// else. More threads would make no hash come sooner, since each is nothing but computing.
#[derive(Clone)]
pub struct Hasher {
    cost: u32,
    threads: usize,
    permits: Arc<Semaphore>,
    hashes: Arc<AtomicU64>,
    rounds: Arc<AtomicU64>,
    /// The highest cost among stored hashes, once that is known.
    stored: Arc<AtomicU32>,
}

impl Hasher {
    pub(super) fn new(cost: u32) -> Self {
        let threads = (available_parallelism().map_or(1, usize::from) / 2).max(1);
        Self {
            cost,
            threads,
            permits: Arc::new(Semaphore::new(threads)),
            hashes: Arc::default(),
            rounds: Arc::default(),
            stored: Arc::default(),
        }
    }

    /// How many hashes were computed.
    pub fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }

    /// How many rounds of bcrypt were computed, whoever asked: what time a check takes.
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// The highest cost of stored hashes, where somebody has looked.
    pub(super) fn stored_cost(&self) -> Option<u32> {
        Some(self.stored.load(Ordering::Relaxed)).filter(|cost| *cost > 0)
    }

    /// Tells the highest cost of stored hashes.
    pub(super) fn set_stored_cost(&self, cost: u32) {
        self.stored.store(cost.max(self.cost), Ordering::Relaxed);
    }

    /// Whether a hash has the cost that new ones get.
    pub(super) fn is_current(&self, hash: &str) -> bool {
        cost_of(hash) == Some(self.cost)
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

    /// Whether the password is the one behind `hash`. No hash, and one that is none, match nothing.
    ///
    /// Every refusal takes the same time: that of the most costly hash there is. So the time says neither whether there is
    /// an account, nor whether it is from before the cost was changed.
    pub(super) async fn verify(
        &self,
        permit: Option<OwnedSemaphorePermit>,
        password: String,
        hash: Option<String>,
    ) -> bool {
        let (most, rounds) = (self.cost.max(self.stored.load(Ordering::Relaxed)), Arc::clone(&self.rounds));
        let verify = move || {
            let hash = hash.as_deref().and_then(|hash| cost_of(hash).map(|cost| (hash, cost)));
            let Some((hash, cost)) = hash else {
                burn(&password, most, &rounds);
                return false;
            };
            rounds.fetch_add(1 << cost, Ordering::Relaxed);
            if bcrypt::non_truncating_verify(&password, hash).unwrap_or(false) {
                return true;
            }
            // 2^c, and once more 2^c + 2^(c+1) + … up to, but without, the highest: together as many as the highest.
            (cost..most).for_each(|cost| burn(&password, cost, &rounds));
            false
        };
        self.compute(permit, verify).await.unwrap_or(false)
    }

    /// A new hash of the password.
    ///
    /// # Errors
    /// For a password over [`MAX_BYTES`], and when the process is ending.
    pub(super) async fn hash(&self, permit: Option<OwnedSemaphorePermit>, password: String) -> Result<String, String> {
        let cost = self.cost;
        self.rounds.fetch_add(1 << cost, Ordering::Relaxed);
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

/// Computes a hash for the time that it takes.
fn burn(password: &str, cost: u32, rounds: &AtomicU64) {
    rounds.fetch_add(1 << cost, Ordering::Relaxed);
    std::hint::black_box(bcrypt::non_truncating_hash(password, cost).is_ok());
}

fn cost_of(hash: &str) -> Option<u32> {
    // Beyond 31, bcrypt has no costs, nor a shift by it a meaning.
    HashParts::from_str(hash).ok().map(|parts| parts.get_cost()).filter(|cost| (4..=31).contains(cost))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds that a check of `password` against a hash of this cost takes; none stands for an unknown account.
    async fn rounds(hasher: &Hasher, stored: Option<u32>, password: &str) -> (bool, u64) {
        let hash = stored.map(|cost| bcrypt::non_truncating_hash("right", cost).unwrap());
        let before = hasher.rounds();
        let right = hasher.verify(hasher.permit().await, password.to_owned(), hash).await;
        (right, hasher.rounds() - before)
    }

    #[tokio::test]
    async fn a_refusal_takes_as_long_whether_there_is_an_account_or_not_and_whatever_its_hash_cost() {
        for (configured, highest_stored) in [(5, 5), (7, 4), (4, 7), (6, 0)] {
            let hasher = Hasher::new(configured);
            hasher.set_stored_cost(highest_stored);
            let most = 1 << configured.max(highest_stored);
            for stored in [None, Some(4), Some(5), Some(highest_stored.max(4))] {
                if stored.is_none_or(|cost| 1 << cost <= most) {
                    assert_eq!(rounds(&hasher, stored, "wrong").await, (false, most), "{configured} {stored:?}");
                }
            }
            assert!(rounds(&hasher, Some(4), "right").await.0);
        }
        let hasher = Hasher::new(4);
        assert!(!hasher.verify(None, "x".to_owned(), Some("$2b$99$broken".to_owned())).await);
    }
}
