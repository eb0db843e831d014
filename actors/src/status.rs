//! What is known of an actor from outside, without asking it: so a stuck actor is as visible as a busy one.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use crossbeam_utils::atomic::AtomicCell;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Where an actor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum State {
    /// Its `start` has not returned yet.
    Starting,
    /// It takes messages.
    Running,
    /// It ended, and waits to be started again.
    BackingOff,
    /// It ended and is not to be started again.
    Stopped,
    /// It failed more often than its budget allows, or failed and is never restarted.
    Failed,
}

impl State {
    fn of(value: u8) -> Self {
        match value {
            0 => Self::Starting,
            1 => Self::Running,
            2 => Self::BackingOff,
            3 => Self::Stopped,
            _ => Self::Failed,
        }
    }
}

/// The latest failure of an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct LastFailure {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The panic's text or the error, with its causes.
    pub reason: String,
}

/// Something that an actor finds wrong although it runs, such as work that does not get on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Concern {
    /// Since when it has said so.
    pub since: DateTime<Utc>,
    /// What is wrong.
    pub reason: String,
}

#[derive(Debug, Clone, Copy)]
struct Current {
    message: &'static str,
    since: Instant,
}

/// Shared by an actor's incarnations, its address and its supervisor.
#[derive(Debug)]
pub(crate) struct Status {
    identity: OnceLock<Identity>,
    bound: usize,
    state: AtomicU8,
    started_at_ms: AtomicI64,
    restarts: AtomicU64,
    budget_left: AtomicU32,
    failure: Mutex<Option<LastFailure>>,
    concern: Mutex<Option<Concern>>,
    depth: AtomicUsize,
    deepest: AtomicUsize,
    /// Messages queued or being handled, and effects under way: what a stop waits for. One counter, since two could
    /// not be read together.
    pending: AtomicUsize,
    effects: AtomicUsize,
    quiet: Notify,
    handled: AtomicU64,
    current: AtomicCell<Option<Current>>,
}

#[derive(Debug)]
struct Identity {
    path: String,
    kind: &'static str,
    times: Arc<Histogram>,
}

impl Status {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            identity: OnceLock::new(),
            bound,
            state: AtomicU8::new(State::Starting as u8),
            started_at_ms: AtomicI64::new(0),
            restarts: AtomicU64::new(0),
            budget_left: AtomicU32::new(0),
            failure: Mutex::new(None),
            concern: Mutex::new(None),
            depth: AtomicUsize::new(0),
            deepest: AtomicUsize::new(0),
            pending: AtomicUsize::new(0),
            effects: AtomicUsize::new(0),
            quiet: Notify::new(),
            handled: AtomicU64::new(0),
            current: AtomicCell::new(None),
        }
    }

    /// Given once, when a supervisor first takes the actor in.
    pub(crate) fn identify(&self, path: String, kind: &'static str, times: Arc<Histogram>) {
        let _ = self.identity.set(Identity { path, kind, times });
    }

    pub(crate) fn path(&self) -> &str {
        self.identity.get().map_or("", |identity| &identity.path)
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.identity.get().map_or("", |identity| identity.kind)
    }

    pub(crate) fn times(&self) -> Option<&Histogram> {
        self.identity.get().map(|identity| &*identity.times)
    }

    pub(crate) fn state(&self) -> State {
        State::of(self.state.load(Ordering::Acquire))
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
        if state == State::Running {
            self.started_at_ms.store(now().timestamp_millis(), Ordering::Relaxed);
        }
    }

    pub(crate) fn started_at(&self) -> Option<DateTime<Utc>> {
        match self.started_at_ms.load(Ordering::Relaxed) {
            0 => None,
            ms => DateTime::from_timestamp_millis(ms),
        }
    }

    pub(crate) fn set_budget_left(&self, left: u32) {
        self.budget_left.store(left, Ordering::Relaxed);
    }

    pub(crate) fn budget_left(&self) -> u32 {
        self.budget_left.load(Ordering::Relaxed)
    }

    pub(crate) fn count_restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    pub(crate) fn record_failure(&self, reason: &str) {
        let failure = LastFailure { at: now(), reason: reason.to_owned() };
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    pub(crate) fn last_failure(&self) -> Option<LastFailure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same reason again is still the same concern.
    pub(crate) fn set_concern(&self, reason: Option<String>) {
        let mut concern = self.concern.lock().unwrap_or_else(PoisonError::into_inner);
        if concern.as_ref().map(|concern| &concern.reason) != reason.as_ref() {
            *concern = reason.map(|reason| Concern { since: now(), reason });
        }
    }

    pub(crate) fn concern(&self) -> Option<Concern> {
        self.concern.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }

    pub(crate) fn deepest(&self) -> usize {
        self.deepest.load(Ordering::Relaxed)
    }

    pub(crate) fn bound(&self) -> usize {
        self.bound
    }

    pub(crate) fn effects(&self) -> usize {
        self.effects.load(Ordering::Relaxed)
    }

    pub(crate) fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }

    /// The message in hand and for how long.
    pub(crate) fn current(&self) -> Option<(&'static str, Duration)> {
        self.current.load().map(|current| (current.message, current.since.elapsed()))
    }

    /// Returns once nothing is queued, in hand or under way as an effect.
    pub(crate) async fn idle(&self) {
        loop {
            let quiet = self.quiet.notified();
            if self.pending.load(Ordering::Acquire) == 0 {
                return;
            }
            quiet.await;
        }
    }

    fn begin_pending(&self) {
        self.pending.fetch_add(1, Ordering::AcqRel);
    }

    fn end_pending(&self) {
        if self.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.quiet.notify_waiters();
        }
    }
}

/// The one place that reads the wall clock here: status is shown to people.
#[allow(clippy::disallowed_methods)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(3)
}

/// A message's place in the mailbox, counted until it is handled or dropped with the mailbox.
pub(crate) struct Slot {
    status: Arc<Status>,
    queued: bool,
}

impl Slot {
    /// A place, unless the mailbox is full.
    pub(crate) fn within_bound(status: &Arc<Status>) -> Option<Self> {
        let depth = status
            .depth
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |depth| (depth < status.bound).then_some(depth + 1))
            .ok()?;
        Some(Self::counted(status, depth + 1))
    }

    /// A place whatever the bound: for the results of effects and timers, which must not be lost.
    pub(crate) fn beyond_bound(status: &Arc<Status>) -> Self {
        let depth = status.depth.fetch_add(1, Ordering::Relaxed);
        Self::counted(status, depth + 1)
    }

    fn counted(status: &Arc<Status>, depth: usize) -> Self {
        status.begin_pending();
        status.deepest.fetch_max(depth, Ordering::Relaxed);
        Self { status: Arc::clone(status), queued: true }
    }

    /// The message leaves the queue and is in hand: the bound counts waiting ones only.
    pub(crate) fn leave_queue(&mut self) {
        if std::mem::take(&mut self.queued) {
            self.status.depth.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.leave_queue();
        self.status.end_pending();
    }
}

/// An effect under way.
pub(crate) struct InFlight(Arc<Status>);

impl InFlight {
    pub(crate) fn new(status: &Arc<Status>) -> Self {
        status.begin_pending();
        status.effects.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(status))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.effects.fetch_sub(1, Ordering::Relaxed);
        self.0.end_pending();
    }
}

/// The message in hand, until dropped: also by a panic.
pub(crate) struct InHand<'a>(&'a Status, Instant);

impl<'a> InHand<'a> {
    pub(crate) fn new(status: &'a Status, message: &'static str) -> Self {
        let since = Instant::now();
        status.current.store(Some(Current { message, since }));
        Self(status, since)
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.0.current.store(None);
        self.0.handled.fetch_add(1, Ordering::Relaxed);
        if let Some(times) = self.0.times() {
            times.record(self.1.elapsed());
        }
    }
}

const SUB_BUCKETS: usize = 4;
const BUCKETS: usize = 48 * SUB_BUCKETS;

/// Durations in buckets that grow by a quarter of a power of two, so a percentile is right to within 25 %.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS] }
    }
}

impl Histogram {
    fn record(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(SUB_BUCKETS as u64);
        let power = ns.ilog2() as usize;
        let part = (ns >> (power - 2)) as usize & (SUB_BUCKETS - 1);
        let bucket = ((power - 2) * SUB_BUCKETS + part).min(BUCKETS - 1);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// The upper edge, in microseconds, of the bucket in which the given share of all recorded times ends.
    pub(crate) fn percentile_us(&self, percent: u64) -> Option<f64> {
        let total = self.count();
        let rank = (total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|bucket| {
            seen += bucket.load(Ordering::Relaxed);
            seen >= rank
        })?;
        let (power, part) = (bucket / SUB_BUCKETS + 2, bucket % SUB_BUCKETS);
        let edge_ns = ((SUB_BUCKETS + part + 1) as f64) * 2f64.powi(power as i32 - 2);
        Some((edge_ns / 10.0).round() / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_quarter() {
        let histogram = Histogram::default();
        assert_eq!(histogram.percentile_us(50), None);
        for us in 1..=1000 {
            histogram.record(Duration::from_micros(us));
        }
        for (percent, exact) in [(50, 500.0), (99, 990.0)] {
            let found = histogram.percentile_us(percent).unwrap();
            assert!((exact..=exact * 1.25).contains(&found), "p{percent}: {found}");
        }
    }
}
