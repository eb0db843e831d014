//! A supervisor's book-keeping of one child: which incarnation it has, how often it failed, what is to be done now.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ractor::{ActorCell, MessagingErr};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::life::{Life, Lifetime};
use crate::spec::{ChildSpec, End, Running};
use crate::status::State;
use crate::supervisor::Msg;
use crate::{Failure, Restart};

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// How long an incarnation that was told to end may take to let go of what it holds before it is killed.
const LET_GO_WITHIN: Duration = Duration::from_secs(1);

/// How long a killed one is waited for. Only code that blocks its thread outlasts this.
const DIE_WITHIN: Duration = Duration::from_secs(10);

pub(crate) struct Child {
    pub(crate) spec: ChildSpec,
    pub(crate) dynamic: bool,
    pub(crate) generation: u64,
    pub(crate) running: Option<Running>,
    /// Of the latest incarnation.
    pub(crate) lifetime: Lifetime,
    /// Somebody asked for this child's stop: it is not started again.
    pub(crate) stopping: bool,
    /// Somebody asked for its restart: its end is no failure.
    pub(crate) restarting: bool,
    up_since: Option<Instant>,
    overdue: bool,
    /// Rings when its start has taken too long.
    pub(crate) deadline: Option<JoinHandle<Result<(), MessagingErr<Msg>>>>,
    failures: VecDeque<Instant>,
    backoff: Backoff,
}

/// How an incarnation ended.
pub(crate) enum Exit {
    Normal,
    Failed(Failure),
}

/// What follows from it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Start it again after a delay.
    Restart(Duration),
    /// The same, since something it depends on is away: not counted.
    Wait(Duration),
    /// It is over.
    End(State),
    /// It failed too often.
    Exhausted(String),
}

impl Child {
    pub(crate) fn new(spec: ChildSpec, dynamic: bool) -> Self {
        spec.node.status.set_budget_left(spec.budget.restarts);
        Self {
            spec,
            dynamic,
            generation: 0,
            running: None,
            lifetime: Lifetime::begin(None).0,
            stopping: false,
            restarting: false,
            up_since: None,
            overdue: false,
            deadline: None,
            failures: VecDeque::new(),
            backoff: Backoff::new(FIRST_DELAY, LONGEST_DELAY),
        }
    }

    pub(crate) fn is(&self, generation: u64) -> bool {
        self.generation == generation && !self.stopping
    }

    /// Neither running nor about to be.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.spec.node.status.state(), State::Failed | State::Stopped) && self.running.is_none()
    }

    /// Begins the next incarnation.
    pub(crate) fn begin(&mut self, parent: &Arc<Life>) -> (u64, Arc<Life>) {
        let (lifetime, life) = Lifetime::begin(Some(parent));
        self.lifetime = lifetime;
        self.generation += 1;
        self.up_since = None;
        self.overdue = false;
        self.restarting = false;
        if self.generation > 1 {
            self.spec.node.status.count_restart();
        }
        self.spec.node.status.set_state(State::Starting);
        (self.generation, life)
    }

    pub(crate) fn started(&mut self) {
        self.up_since = Some(Instant::now());
        if let Some(deadline) = self.deadline.take() {
            deadline.abort();
        }
    }

    pub(crate) fn kill_unless_started(&mut self) {
        if self.up_since.is_none()
            && let Some(running) = &self.running
        {
            self.overdue = true;
            running.cell.kill();
        }
    }

    /// Ends the incarnation, if there is one, so that the next can begin. True where there is none.
    pub(crate) fn end_for_restart(&mut self) -> bool {
        let Some(running) = &self.running else { return true };
        self.restarting = true;
        match &running.end {
            // A supervisor lets its children end in order, each within its limit.
            End::Supervisor(supervisor) => drop(supervisor.cast(Msg::Stop)),
            End::Worker(_) => running.cell.kill(),
        }
        false
    }

    /// After an exhausted budget it begins as if it had never failed.
    pub(crate) fn renew_budget(&mut self) {
        self.failures.clear();
        self.backoff.reset();
        self.spec.node.status.set_budget_left(self.spec.budget.restarts);
    }

    /// The incarnation is gone. A termination that is no failure to ractor is one to us, unless the actor meant it.
    pub(crate) fn exit(&mut self, cell: &ActorCell, failure: Option<Failure>) -> Exit {
        let meant = self.running.take_if(|running| running.cell.get_id() == cell.get_id());
        match failure {
            Some(failure) => Exit::Failed(failure),
            None if self.overdue => Exit::Failed(Failure::broken("did not start in time")),
            None if meant.is_some_and(|running| running.finished.load(Ordering::Acquire)) => Exit::Normal,
            None => Exit::Failed(Failure::broken("killed")),
        }
    }

    pub(crate) fn ended(&mut self, state: State, reason: &str) {
        self.running = None;
        if !reason.is_empty() {
            self.spec.node.status.record_failure(reason);
        }
        self.spec.node.status.set_state(state);
    }

    pub(crate) fn judge(&mut self, exit: &Exit) -> Verdict {
        let now = Instant::now();
        if self.up_since.is_some_and(|since| now - since >= self.spec.budget.window) {
            self.backoff.reset();
        }
        let failure = match (exit, self.spec.restart) {
            (Exit::Normal, Restart::Permanent) => &Failure::broken("ended though it is permanent"),
            (Exit::Normal, _) => return Verdict::End(State::Stopped),
            (Exit::Failed(failure), _) => failure,
        };
        self.spec.node.status.record_failure(failure.reason());
        if self.spec.restart == Restart::Temporary {
            return Verdict::End(State::Failed);
        }
        if failure.is_unavailable() {
            return Verdict::Wait(self.backoff.next_delay());
        }
        while self.failures.front().is_some_and(|at| now - *at > self.spec.budget.window) {
            self.failures.pop_front();
        }
        let at_once = self.failures.is_empty();
        self.failures.push_back(now);
        let used = u32::try_from(self.failures.len()).unwrap_or(u32::MAX);
        self.spec.node.status.set_budget_left(self.spec.budget.restarts.saturating_sub(used));
        if used > self.spec.budget.restarts {
            return Verdict::Exhausted(failure.reason().to_owned());
        }
        Verdict::Restart(if at_once { Duration::ZERO } else { self.backoff.next_delay() })
    }

    /// Ends the child for good: returns when nothing of it is alive, or at the deadline with a complaint in the log.
    pub(crate) fn stop(&mut self) -> impl Future<Output = ()> + Send + 'static {
        self.stopping = true;
        let (running, lifetime) = (self.running.clone(), self.lifetime.clone());
        let (status, within) = (Arc::clone(&self.spec.node.status), self.spec.stop_within);
        let up = self.up_since.is_some();
        async move {
            match running {
                None => lifetime.ended().await,
                Some(Running { end: End::Supervisor(supervisor), .. }) => {
                    // Each of its children has a deadline of its own.
                    let _ = supervisor.cast(Msg::Stop);
                    lifetime.ended().await;
                }
                Some(Running { cell, end: End::Worker(close), .. }) => {
                    close();
                    if up && tokio::time::timeout(within, status.idle()).await.is_ok() {
                        cell.stop(None);
                        if tokio::time::timeout(LET_GO_WITHIN, lifetime.ended()).await.is_ok() {
                            return;
                        }
                    }
                    cell.kill();
                    if tokio::time::timeout(DIE_WITHIN, lifetime.ended()).await.is_err() {
                        tracing::error!(actor = status.path(), "cannot be killed: it blocks its thread");
                    }
                }
            }
        }
    }
}
