//! How many sagas are in which stage, for metrics. Those are the process's, and so is this.

use std::sync::atomic::{AtomicI64, Ordering};

use metrics::{counter, gauge};

use crate::domain::saga::{Stage, Transition};

const STAGES: [Stage; 4] = [Stage::Shipping, Stage::NeedsAttention, Stage::Shipped, Stage::Rejected];
static SAGAS: [AtomicI64; STAGES.len()] = [const { AtomicI64::new(0) }; STAGES.len()];

fn sagas(stage: Stage) -> Option<&'static AtomicI64> {
    STAGES.iter().position(|other| *other == stage).map(|index| &SAGAS[index])
}

/// One saga's place in the count, until dropped with it.
pub(super) struct Counted(Stage);

impl Counted {
    pub(super) fn at(stage: Stage) -> Self {
        if let Some(sagas) = sagas(stage) {
            sagas.fetch_add(1, Ordering::Relaxed);
        }
        Self(stage)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(sagas) = sagas(self.0) {
            sagas.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A step is durable.
pub(super) fn stepped(transition: &Transition) {
    counter!("bookstore_saga_transitions_total", "transition" => transition.name()).increment(1);
}

/// Sets the metric.
pub fn measure() {
    for stage in STAGES {
        let now = sagas(stage).map_or(0, |sagas| sagas.load(Ordering::Relaxed));
        // No such count comes near where a float is inexact.
        gauge!("bookstore_sagas", "stage" => stage.name()).set(f64::from(i32::try_from(now).unwrap_or(i32::MAX)));
    }
}
