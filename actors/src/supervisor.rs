//! The supervisor: starts its children in order, starts again what fails, and stops them in reverse.
//!
//! It never waits: starts, delays and stops run in tasks whose ends come back as messages, so a child that hangs
//! delays no other. Every start has a generation, which makes whatever arrives late for an earlier one harmless.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use indexmap::IndexMap;
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::child::{Child, Exit, Verdict};
use crate::events::{self, Happening};
use crate::life::Life;
use crate::shell::{Crash, Started};
use crate::spec::{ChildSpec, Parentage};
use crate::status::State;
use crate::{Exhausted, Failure, Reply};

mod address;
mod operator;

pub use address::{RestartError, StartChildError, SupervisorAddress};

pub(crate) enum Msg {
    StartChild {
        spec: Box<ChildSpec>,
        reply: Reply<Result<(), StartChildError>>,
    },
    StopChild {
        id: String,
        reply: Reply<bool>,
    },
    /// The ids lead down from here.
    Restart {
        ids: VecDeque<String>,
        reply: Reply<Result<(), RestartError>>,
    },
    Forget {
        id: String,
        reply: Reply<bool>,
    },
    Started {
        id: String,
        generation: u64,
    },
    Overdue {
        id: String,
        generation: u64,
    },
    Launch {
        id: String,
        generation: u64,
    },
    Retry {
        id: String,
        generation: u64,
    },
    Stop,
    ChildrenStopped,
}

pub(crate) struct Supervisor;

pub(crate) struct Args {
    pub(crate) address: SupervisorAddress,
    pub(crate) children: Vec<ChildSpec>,
    pub(crate) life: Arc<Life>,
    /// Set before it ends because it was told to.
    pub(crate) finished: Arc<AtomicBool>,
    /// Called once each child has started or failed to at first.
    pub(crate) started: Started,
}

pub(crate) struct Supervision {
    open: Open,
    me: ActorRef<Msg>,
    children: IndexMap<String, Child>,
    by_actor: HashMap<ActorId, String>,
    /// The static child whose first start decides when the next one begins.
    next: usize,
    started: Option<Started>,
    stopping: Option<Result<(), String>>,
    finished: Arc<AtomicBool>,
    life: Arc<Life>,
}

/// Closes the address when the supervisor is gone.
struct Open(SupervisorAddress);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.set_target(None);
    }
}

impl Actor for Supervisor {
    type Msg = Msg;
    type State = Supervision;
    type Arguments = Args;

    async fn pre_start(&self, me: ActorRef<Msg>, args: Args) -> Result<Supervision, ActorProcessingErr> {
        args.address.node().clear();
        args.address.node().status.set_state(State::Starting);
        args.address.set_target(Some(me.clone()));
        let mut supervision = Supervision {
            open: Open(args.address),
            me,
            children: IndexMap::new(),
            by_actor: HashMap::new(),
            next: 0,
            started: Some(args.started),
            stopping: None,
            finished: args.finished,
            life: args.life,
        };
        for spec in args.children {
            supervision.take_in(spec, false);
        }
        Ok(supervision)
    }

    async fn post_start(&self, _: ActorRef<Msg>, supervision: &mut Supervision) -> Result<(), ActorProcessingErr> {
        supervision.start_in_order().await;
        Ok(())
    }

    async fn handle(&self, me: ActorRef<Msg>, msg: Msg, it: &mut Supervision) -> Result<(), ActorProcessingErr> {
        match msg {
            Msg::StartChild { spec, reply } => reply.send(it.start_child(*spec).await),
            Msg::StopChild { id, reply } => it.stop_child(id, reply),
            Msg::Restart { ids, reply } => it.restart(ids, reply),
            Msg::Forget { id, reply } => {
                it.forget(&id);
                reply.send(true);
            }
            Msg::Started { id, generation } => {
                if let Some(child) = it.current(&id, generation) {
                    child.started();
                    if generation > 1 {
                        events::publish(&child.spec.node, Happening::Restarted, None);
                    }
                    it.settled(&id).await;
                }
            }
            Msg::Overdue { id, generation } => {
                if let Some(child) = it.current(&id, generation) {
                    child.kill_unless_started();
                }
            }
            Msg::Launch { id, generation } => {
                if it.current(&id, generation).is_some() {
                    it.launch(&id).await;
                }
            }
            Msg::Retry { id, generation } => {
                if let Some(child) = it.current(&id, generation) {
                    child.renew_budget();
                    it.launch(&id).await;
                }
            }
            Msg::Stop => it.stop(Ok(())),
            Msg::ChildrenStopped => {
                if let Some(Err(reason)) = it.stopping.take() {
                    return Err(Crash(Failure::broken(reason)).into());
                }
                it.open.0.node().status.set_state(State::Stopped);
                it.finished.store(true, Ordering::Release);
                me.stop(None);
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Msg>,
        event: SupervisionEvent,
        it: &mut Supervision,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(cell, error) => {
                let failure = match error.downcast::<Crash>() {
                    Ok(crash) => crash.0,
                    Err(panic) => Failure::broken(format!("panicked: {panic}")),
                };
                it.exited(&cell, Some(failure)).await;
            }
            // The state of the incarnation, if it comes with the event, is dropped here: its end waits for that.
            SupervisionEvent::ActorTerminated(cell, _, _) => it.exited(&cell, None).await,
            _ => {}
        }
        Ok(())
    }
}

impl Supervision {
    fn take_in(&mut self, spec: ChildSpec, dynamic: bool) {
        let node = self.open.0.node();
        let path = format!("{}/{}", node.status.path(), spec.id);
        let times = if dynamic { node.times_of(spec.kind) } else { Arc::default() };
        spec.node.status.identify(path, spec.kind, times);
        spec.node.status.set_state(State::Starting);
        spec.node.feed.set_parent(Arc::downgrade(node));
        node.insert(&spec.id, &spec.node);
        self.children.insert(spec.id.clone(), Child::new(spec, dynamic));
    }

    /// The child, if this generation of it is still the latest and nobody is being stopped.
    fn current(&mut self, id: &str, generation: u64) -> Option<&mut Child> {
        if self.stopping.is_some() {
            return None;
        }
        self.children.get_mut(id).filter(|child| child.is(generation))
    }

    async fn start_in_order(&mut self) {
        match self.children.get_index(self.next).filter(|(_, child)| !child.dynamic) {
            Some((id, _)) => {
                let id = id.clone();
                self.launch(&id).await;
            }
            None => {
                if let Some(started) = self.started.take() {
                    self.open.0.node().status.set_state(State::Running);
                    started();
                }
            }
        }
    }

    /// A child's first start has ended, well or not: the next one begins.
    async fn settled(&mut self, id: &str) {
        if self.started.is_some() && self.children.get_index(self.next).is_some_and(|(next, _)| next == id) {
            self.next += 1;
            Box::pin(self.start_in_order()).await;
        }
    }

    async fn start_child(&mut self, spec: ChildSpec) -> Result<(), StartChildError> {
        if self.stopping.is_some() {
            return Err(StartChildError::Refused);
        }
        if self.children.get(&spec.id).is_some_and(|child| !child.is_over()) {
            return Err(StartChildError::InUse);
        }
        let id = spec.id.clone();
        self.forget(&id);
        self.take_in(spec, true);
        self.launch(&id).await;
        Ok(())
    }

    fn stop_child(&mut self, id: String, reply: Reply<bool>) {
        let Some(child) = self.children.get_mut(&id) else { return reply.send(false) };
        let (stop, me) = (child.stop(), self.me.clone());
        tokio::spawn(async move {
            stop.await;
            let _ = me.cast(Msg::Forget { id, reply });
        });
    }

    fn forget(&mut self, id: &str) {
        // Swapping is cheap among thousands, and leaves the order of the static ones, who come first, as it is.
        let dynamic = self.children.get(id).is_some_and(|child| child.dynamic);
        let removed = if dynamic { self.children.swap_remove(id) } else { self.children.shift_remove(id) };
        if removed.is_some() {
            self.open.0.node().remove(id, dynamic);
        }
    }

    /// Spawns an incarnation. This waits for no code of the child's: its own start is its first message.
    async fn launch(&mut self, id: &str) {
        let Some(child) = self.children.get_mut(id) else { return };
        let (generation, life) = child.begin(&self.life);
        let (me, name) = (self.me.clone(), id.to_owned());
        let started = Box::new(move || {
            let _ = me.cast(Msg::Started { id: name, generation });
        });
        let parent = Parentage { supervisor: self.me.get_cell(), life, started };
        match (child.spec.launch)(parent).await {
            Ok(running) => {
                self.by_actor.insert(running.cell.get_id(), id.to_owned());
                child.running = Some(running);
                if let Some(limit) = child.spec.start_within {
                    let id = id.to_owned();
                    child.deadline = Some(self.me.send_after(limit, move || Msg::Overdue { id, generation }));
                }
            }
            // Only a supervisor that is itself being killed cannot link a child.
            Err(reason) => child.ended(State::Failed, &reason),
        }
    }

    async fn exited(&mut self, cell: &ActorCell, failure: Option<Failure>) {
        let Some(id) = self.by_actor.remove(&cell.get_id()) else { return };
        let Some(child) = self.children.get_mut(&id) else { return };
        let exit = child.exit(cell, failure);
        if self.stopping.is_some() || child.stopping {
            return child.ended(State::Stopped, "");
        }
        if child.restarting {
            self.launch_later(&id, Duration::ZERO);
            return self.settled(&id).await;
        }
        let verdict = child.judge(&exit);
        if let Exit::Failed(failure) = &exit {
            self.report(&id, failure, &verdict);
        }
        self.carry_out(&id, verdict);
        self.settled(&id).await;
    }

    fn carry_out(&mut self, id: &str, verdict: Verdict) {
        let Some(child) = self.children.get_mut(id) else { return };
        match verdict {
            Verdict::Restart(delay) | Verdict::Wait(delay) => self.launch_later(id, delay),
            Verdict::End(state) => {
                child.spec.node.status.set_state(state);
                if child.dynamic && state == State::Stopped {
                    self.forget(id);
                }
            }
            Verdict::Exhausted(reason) => {
                child.spec.node.status.set_state(State::Failed);
                let generation = child.generation;
                match child.spec.exhausted {
                    Exhausted::Escalate if !child.dynamic => {
                        let path = child.spec.node.status.path().to_owned();
                        self.stop(Err(format!("{path} failed too often: {reason}")));
                    }
                    Exhausted::GiveUp { retry_after: Some(delay) } => {
                        self.later(delay, Msg::Retry { id: id.to_owned(), generation });
                    }
                    Exhausted::Escalate | Exhausted::GiveUp { .. } => {}
                }
            }
        }
    }

    /// Starts the next incarnation after `delay`, and not before everything of the last one is gone.
    fn launch_later(&mut self, id: &str, delay: Duration) {
        let Some(child) = self.children.get_mut(id) else { return };
        child.spec.node.status.set_state(State::BackingOff);
        let (generation, lifetime, me) = (child.generation, child.lifetime.clone(), self.me.clone());
        let id = id.to_owned();
        tokio::spawn(async move {
            // Two incarnations never overlap, not even by an effect.
            tokio::join!(lifetime.ended(), tokio::time::sleep(delay));
            let _ = me.cast(Msg::Launch { id, generation });
        });
    }

    /// Dynamic children stop at once, together; then the others, in reverse, one after the other.
    fn stop(&mut self, outcome: Result<(), String>) {
        if self.stopping.is_some() {
            return;
        }
        if let Err(reason) = &outcome {
            let status = &self.open.0.node().status;
            status.record_failure(reason);
            tracing::error!(supervisor = status.path(), reason, "giving up");
        }
        self.stopping = Some(outcome);
        let mut dynamic = Vec::new();
        let mut ordered = Vec::new();
        for child in self.children.values_mut().rev() {
            if child.dynamic { dynamic.push(child.stop()) } else { ordered.push(child.stop()) }
        }
        let me = self.me.clone();
        tokio::spawn(async move {
            join_all(dynamic).await;
            for stop in ordered {
                stop.await;
            }
            let _ = me.cast(Msg::ChildrenStopped);
        });
    }

    fn later(&self, delay: Duration, msg: Msg) {
        self.me.send_after(delay, move || msg);
    }
}
