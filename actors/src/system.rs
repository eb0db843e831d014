//! The root of a tree, and the program's hold on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ractor::{Actor, ActorRef};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::life::Lifetime;
use crate::spec::ChildSpec;
use crate::status::State;
use crate::supervisor::{Args, Msg, Supervisor};
use crate::{Snapshot, SupervisorAddress};

/// A running tree.
#[derive(Debug, Clone)]
pub struct System {
    root: SupervisorAddress,
    actor: ActorRef<Msg>,
    started: watch::Receiver<bool>,
    outcome: watch::Receiver<Option<Result<(), String>>>,
}

impl System {
    /// Starts a tree named `name` with these children of its root.
    ///
    /// # Errors
    /// Only when the runtime is shutting down.
    pub async fn start(name: &'static str, children: Vec<ChildSpec>) -> Result<Self, String> {
        Self::start_at(name, &SupervisorAddress::new(), children).await
    }

    /// The same with a root whose address is already known to others.
    ///
    /// # Errors
    /// Only when the runtime is shutting down.
    pub async fn start_at(
        name: &'static str,
        root: &SupervisorAddress,
        children: Vec<ChildSpec>,
    ) -> Result<Self, String> {
        root.node().status.identify(name.to_owned(), "supervisor", Arc::default());
        let (lifetime, life) = Lifetime::begin(None);
        let finished = Arc::new(AtomicBool::new(false));
        let (started_tx, started) = watch::channel(false);
        let args = Args {
            address: root.clone(),
            children,
            life,
            finished: Arc::clone(&finished),
            started: Box::new(move || {
                let _ = started_tx.send(true);
            }),
        };
        let (actor, task) = Supervisor::spawn(None, Supervisor, args).await.map_err(|error| error.to_string())?;
        let (outcome_tx, outcome) = watch::channel(None);
        tokio::spawn(watch_end(root.clone(), task, lifetime, finished, outcome_tx));
        Ok(Self { root: root.clone(), actor, started, outcome })
    }

    /// Waits until every child has started, or failed to at its first try. False when the tree ended before.
    pub async fn started(&self) -> bool {
        self.started.clone().wait_for(|started| *started).await.is_ok()
    }

    /// Waits until the tree has ended and nothing of it is alive.
    ///
    /// # Errors
    /// Why it ended, unless it was stopped.
    pub async fn ended(&self) -> Result<(), String> {
        match self.outcome.clone().wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Ok(())),
            Err(_) => Err("the runtime is shutting down".to_owned()),
        }
    }

    /// Stops the tree in reverse order and waits until nothing of it is alive.
    ///
    /// # Errors
    /// Why it had ended already, unless it was stopped.
    pub async fn stop(&self) -> Result<(), String> {
        let _ = self.actor.cast(Msg::Stop);
        self.ended().await
    }

    /// The whole tree, read without asking anybody.
    pub fn snapshot(&self) -> Snapshot {
        self.root.snapshot()
    }
}

async fn watch_end(
    root: SupervisorAddress,
    task: JoinHandle<()>,
    lifetime: Lifetime,
    finished: Arc<AtomicBool>,
    outcome: watch::Sender<Option<Result<(), String>>>,
) {
    let _ = task.await;
    lifetime.ended().await;
    let status = &root.node().status;
    let end = if finished.load(Ordering::Acquire) {
        Ok(())
    } else {
        status.set_state(State::Failed);
        Err(status.last_failure().map_or_else(|| "killed".to_owned(), |failure| failure.reason))
    };
    let _ = outcome.send(Some(end));
}
