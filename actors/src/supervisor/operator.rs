//! What a supervisor does for whoever operates the tree: tells what happens, and restarts on demand.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Msg, RestartError, Supervision};
use crate::child::Verdict;
use crate::events::{self, Happening};
use crate::spec::{End, FailureReport, Running};
use crate::{Failure, Reply, Restart};

impl Supervision {
    /// Restarts a child, or hands on what is meant for somebody further down.
    pub(super) fn restart(&mut self, mut ids: VecDeque<String>, reply: Reply<Result<(), RestartError>>) {
        let child = ids.pop_front().and_then(|id| self.children.get_mut(&id));
        let Some(child) = child.filter(|child| !child.stopping) else { return reply.send(Err(RestartError::Unknown)) };
        if self.stopping.is_some() {
            return reply.send(Err(RestartError::Refused));
        }
        if !ids.is_empty() {
            return match &child.running {
                Some(Running { end: End::Supervisor(supervisor), .. }) => {
                    let _ = supervisor.cast(Msg::Restart { ids, reply });
                }
                Some(_) => reply.send(Err(RestartError::Unknown)),
                None => reply.send(Err(RestartError::Refused)),
            };
        }
        if child.spec.restart == Restart::Temporary {
            return reply.send(Err(RestartError::NotRestartable));
        }
        events::publish(&child.spec.node, Happening::RestartAsked, None);
        if child.end_for_restart() {
            // It has failed, ended or waits: it begins afresh, and what was to start it later comes too late.
            child.renew_budget();
            let id = child.spec.id.clone();
            self.launch_later(&id, Duration::ZERO);
        }
        reply.send(Ok(()));
    }

    pub(super) fn report(&self, id: &str, failure: &Failure, verdict: &Verdict) {
        let Some(child) = self.children.get(id) else { return };
        let path = child.spec.node.status.path().to_owned();
        if matches!(verdict, Verdict::Wait(_)) {
            events::publish(&child.spec.node, Happening::Waiting, Some(failure.reason()));
            return tracing::info!(actor = path, reason = failure.reason(), "an actor waits for what it depends on");
        }
        let gave_up = !matches!(verdict, Verdict::Restart(_));
        let happened = if gave_up { Happening::GaveUp } else { Happening::Failed };
        events::publish(&child.spec.node, happened, Some(failure.reason()));
        tracing::warn!(actor = path, reason = failure.reason(), gave_up, "an actor failed");
        if let Some(hook) = &child.spec.on_failure {
            hook(&FailureReport { path, reason: failure.reason().to_owned(), gave_up });
        }
    }
}
