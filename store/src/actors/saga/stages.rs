//! How many sagas are in which stage, for metrics. Those are the process's, and so is this.

use std::sync::atomic::{AtomicI64, Ordering};

use metrics::{counter, gauge};
use strum::IntoEnumIterator as _;

use crate::domain::saga::Stage;

/// More than there are stages.
const ROOM: usize = 32;
static SAGAS: [AtomicI64; ROOM] = [const { AtomicI64::new(0) }; ROOM];

fn sagas(stage: Stage) -> &'static AtomicI64 {
    &SAGAS[stage as usize]
}

/// One saga's place in the count, until dropped with it.
pub(super) struct Counted(Stage);

impl Counted {
    pub(super) fn at(stage: Stage) -> Self {
        sagas(stage).fetch_add(1, Ordering::Relaxed);
        Self(stage)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        sagas(self.0).fetch_sub(1, Ordering::Relaxed);
    }
}

/// A step is durable.
pub(super) fn stepped(name: &'static str) {
    counter!("bookstore_saga_transitions_total", "transition" => name).increment(1);
}

/// Sets the metric.
pub fn measure() {
    for stage in Stage::iter() {
        let now = sagas(stage).load(Ordering::Relaxed);
        // No such count comes near where a float is inexact.
        gauge!("bookstore_sagas", "stage" => stage.name()).set(f64::from(i32::try_from(now).unwrap_or(i32::MAX)));
    }
}
