//! What one service takes on at once. Beyond it, a request is turned away before it costs memory.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// The bounds of a service's routes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests that are being answered at once.
    pub in_flight: usize,
    /// Streams of events that are open at once.
    pub event_streams: usize,
    /// Bytes of all bodies that are being read or answered.
    pub body_memory: usize,
    /// Bytes of one body, where the route says nothing else.
    pub body: usize,
    /// How long a body may take to arrive.
    pub body_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            in_flight: 1_024,
            event_streams: 2_000,
            body_memory: 64 * MIB,
            body: MIB,
            body_within: Duration::from_secs(30),
        }
    }
}

/// How much of each bound is left.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) limits: Limits,
    in_flight: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    memory: Memory,
}

impl Load {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            in_flight: Arc::new(Semaphore::new(limits.in_flight)),
            streams: Arc::new(Semaphore::new(limits.event_streams)),
            memory: Memory(Arc::new(Semaphore::new(limits.body_memory.div_ceil(PAGE)))),
        }
    }

    /// A place among the requests that are being answered.
    ///
    /// # Errors
    /// 503 when there is none.
    pub(super) fn enter(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.in_flight).try_acquire_owned().map_err(|_| Problem::unavailable("Too many requests at once."))
    }

    /// A place among the open streams.
    ///
    /// # Errors
    /// 503 when there is none.
    pub(super) fn stream(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let busy = |_| Problem::unavailable("Too many streams of events are open.");
        Arc::clone(&self.streams).try_acquire_owned().map_err(busy)
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }
}

/// Bytes that one permit stands for.
const PAGE: usize = 4_096;

/// The memory for bodies.
#[derive(Clone)]
pub(super) struct Memory(Arc<Semaphore>);

/// The memory that one body has taken, until dropped.
#[derive(Default)]
pub(super) struct Held {
    pages: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl Memory {
    /// Takes what a body of `bytes` needs beyond what it holds: as they arrive, so that a sender who promises much and
    /// sends little takes little.
    ///
    /// # Errors
    /// 503 when there is no more.
    pub(super) fn grow(&self, held: &mut Held, bytes: usize) -> Result<(), Problem> {
        let pages = bytes.div_ceil(PAGE);
        let more = u32::try_from(pages.saturating_sub(held.pages)).unwrap_or(u32::MAX);
        if more == 0 {
            return Ok(());
        }
        let busy = |_| Problem::unavailable("Too much is being received at once.");
        let permit = Arc::clone(&self.0).try_acquire_many_owned(more).map_err(busy)?;
        match &mut held.permit {
            Some(whole) => whole.merge(permit),
            none => *none = Some(permit),
        }
        held.pages = pages;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_taken_as_it_is_needed_and_given_back() {
        let load = Load::new(Limits { body_memory: 3 * PAGE, ..Limits::default() });
        let (mut one, mut other) = (Held::default(), Held::default());
        load.memory().grow(&mut one, 1).unwrap();
        load.memory().grow(&mut one, PAGE).unwrap();
        load.memory().grow(&mut other, 2 * PAGE).unwrap();
        assert_eq!(load.memory().grow(&mut one, PAGE + 1).unwrap_err().status(), 503);
        drop(other);
        load.memory().grow(&mut one, 3 * PAGE).unwrap();
    }

    #[test]
    fn what_is_too_much_at_once_is_turned_away() {
        let load = Load::new(Limits { in_flight: 1, event_streams: 1, ..Limits::default() });
        let (request, stream) = (load.enter().unwrap(), load.stream().unwrap());
        assert_eq!(load.enter().unwrap_err().status(), 503);
        assert_eq!(load.stream().unwrap_err().status(), 503);
        drop((request, stream));
        assert!(load.enter().is_ok() && load.stream().is_ok());
    }
}
