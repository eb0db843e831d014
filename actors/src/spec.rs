//! What a supervisor must know of a child.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::future::BoxFuture;
use ractor::{ActorCell, ActorRef};
use tokio_util::sync::CancellationToken;

use crate::life::Life;
use crate::shell::{Birth, Shell, Started};
use crate::supervisor::{self, Supervisor};
use crate::tree::Node;
use crate::{Actor, Address, SupervisorAddress};

/// When a child that has ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    Permanent,
    /// Only after a failure.
    Transient,
    /// Never.
    Temporary,
}

/// How many restarts are allowed within how long. One more failure exhausts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Restarts that are allowed.
    pub restarts: u32,
    /// The window in which they are counted.
    pub window: Duration,
}

/// What happens when the budget is exhausted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhausted {
    /// The supervisor stops its other children and fails: its own parent decides. A child started by
    /// [`SupervisorAddress::start_child`] never escalates; for it this is `GiveUp` without a retry.
    Escalate,
    /// The child stays failed and the others live on.
    GiveUp {
        /// Start it afresh, with a full budget, after this long.
        retry_after: Option<Duration>,
    },
}

/// Told to whoever asked by [`ChildSpec::on_failure`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureReport {
    /// The child's place in the tree.
    pub path: String,
    /// The panic's text or the error, with its causes.
    pub reason: String,
    /// Whether it will not be restarted.
    pub gave_up: bool,
}

type OnFailure = Arc<dyn Fn(&FailureReport) + Send + Sync>;

/// A child as its supervisor is told to keep it.
///
/// By default it is permanent, may be restarted five times a minute and escalates beyond that, has ten seconds to start
/// and five to stop.
#[derive(Clone)]
pub struct ChildSpec {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) restart: Restart,
    pub(crate) budget: Budget,
    pub(crate) exhausted: Exhausted,
    pub(crate) start_within: Option<Duration>,
    pub(crate) stop_within: Duration,
    pub(crate) on_failure: Option<OnFailure>,
    pub(crate) node: Arc<Node>,
    pub(crate) launch: Launch,
}

/// Spawns one incarnation, linked to its supervisor.
pub(crate) type Launch = Arc<dyn Fn(Parentage) -> BoxFuture<'static, Result<Running, String>> + Send + Sync>;

/// What the supervisor gives to an incarnation of whatever type.
pub(crate) struct Parentage {
    pub(crate) supervisor: ActorCell,
    pub(crate) life: Arc<Life>,
    pub(crate) started: Started,
}

/// An incarnation as its supervisor sees it.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) cell: ActorCell,
    pub(crate) finished: Arc<AtomicBool>,
    pub(crate) end: End,
}

/// How it is asked to end.
#[derive(Clone)]
pub(crate) enum End {
    /// Closes the address and tells the actor.
    Worker(Arc<dyn Fn() + Send + Sync>),
    Supervisor(ActorRef<supervisor::Msg>),
}

impl ChildSpec {
    /// An actor that is reached at `address`; `args` are given to every start.
    pub fn actor<A: Actor>(id: impl Into<String>, address: &Address<A::Msg>, actor: A, args: A::Args) -> Self {
        let (actor, address) = (Arc::new(actor), address.clone());
        let node = Arc::new(Node::worker(Arc::clone(address.status())));
        let launch: Launch = Arc::new(move |parent| {
            let (actor, address, args) = (Arc::clone(&actor), address.clone(), args.clone());
            Box::pin(async move {
                let (closing, finished) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
                let birth = Birth {
                    address: address.clone(),
                    args,
                    life: parent.life,
                    closing: closing.clone(),
                    finished: Arc::clone(&finished),
                    started: parent.started,
                };
                let spawned = ractor::Actor::spawn_linked(None, Shell(actor), birth, parent.supervisor).await;
                let (child, _) = spawned.map_err(|error| error.to_string())?;
                let close = move || {
                    address.close();
                    closing.cancel();
                };
                Ok(Running { cell: child.get_cell(), finished, end: End::Worker(Arc::new(close)) })
            })
        });
        Self::new(id.into(), A::KIND, node, Some(Duration::from_secs(10)), launch)
    }

    /// A supervisor with these children, in the order in which they start.
    pub fn supervisor(id: impl Into<String>, address: &SupervisorAddress, children: Vec<ChildSpec>) -> Self {
        let address = address.clone();
        let node = Arc::clone(address.node());
        let launch: Launch = Arc::new(move |parent| {
            let (address, children) = (address.clone(), children.clone());
            Box::pin(async move {
                let finished = Arc::new(AtomicBool::new(false));
                let args = supervisor::Args {
                    address,
                    children,
                    life: parent.life,
                    finished: Arc::clone(&finished),
                    started: parent.started,
                };
                let spawned = ractor::Actor::spawn_linked(None, Supervisor, args, parent.supervisor).await;
                let (child, _) = spawned.map_err(|error| error.to_string())?;
                Ok(Running { cell: child.get_cell(), finished, end: End::Supervisor(child) })
            })
        });
        // Its children have limits of their own.
        Self::new(id.into(), "supervisor", node, None, launch)
    }

    fn new(id: String, kind: &'static str, node: Arc<Node>, start_within: Option<Duration>, launch: Launch) -> Self {
        Self {
            id,
            kind,
            restart: Restart::Permanent,
            budget: Budget { restarts: 5, window: Duration::from_secs(60) },
            exhausted: Exhausted::Escalate,
            start_within,
            stop_within: Duration::from_secs(5),
            on_failure: None,
            node,
            launch,
        }
    }

    /// When it is started again.
    #[must_use]
    pub fn restart(self, restart: Restart) -> Self {
        Self { restart, ..self }
    }

    /// How often it may be started again.
    #[must_use]
    pub fn budget(self, restarts: u32, window: Duration) -> Self {
        Self { budget: Budget { restarts, window }, ..self }
    }

    /// What happens beyond its budget.
    #[must_use]
    pub fn on_exhausted(self, exhausted: Exhausted) -> Self {
        Self { exhausted, ..self }
    }

    /// How long its `start` may take before it is killed, which counts as a failure.
    #[must_use]
    pub fn start_within(self, limit: Duration) -> Self {
        Self { start_within: Some(limit), ..self }
    }

    /// How long a stop waits for its mailbox and effects to be done before it is killed.
    #[must_use]
    pub fn stop_within(self, limit: Duration) -> Self {
        Self { stop_within: limit, ..self }
    }

    /// Calls this at every counted failure, on the supervisor's task: it must be quick, such as telling an address.
    #[must_use]
    pub fn on_failure(self, hook: impl Fn(&FailureReport) + Send + Sync + 'static) -> Self {
        Self { on_failure: Some(Arc::new(hook)), ..self }
    }
}
