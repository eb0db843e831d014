//! Clients that wait for orders, each order's with one timer.

use std::collections::HashMap;

use actors::{Reply, Timer};
use contract::OrderId;

use super::{Placed, Unplaced};

/// The most clients that wait for one order: its first and those who repeat it.
pub(super) const WAITERS: usize = 128;

pub(super) type Answer = Result<Placed, Unplaced>;

/// A client that waits.
pub(super) struct Waiter {
    pub(super) reply: Reply<Answer>,
    /// Content with the order's acceptance.
    pub(super) respond_async: bool,
}

struct Waiters {
    clients: Vec<Waiter>,
    timer: Timer,
}

/// All who wait.
#[derive(Default)]
pub(super) struct Waiting(HashMap<OrderId, Waiters>);

impl Waiting {
    /// Adds a client; one too many is told to come back. The first one of an order starts its timer.
    pub(super) fn add(&mut self, order: OrderId, waiter: Waiter, timer: impl FnOnce() -> Timer) {
        let waiters = self.0.entry(order).or_insert_with(|| Waiters { clients: Vec::new(), timer: timer() });
        if waiters.clients.len() < WAITERS {
            waiters.clients.push(waiter);
        } else {
            waiter.reply.send(Err(Unplaced::InProgress));
        }
    }

    pub(super) fn is_any(&self, order: OrderId) -> bool {
        self.0.contains_key(&order)
    }

    /// Those who wait for the order, who do so no longer.
    pub(super) fn take(&mut self, order: OrderId) -> Vec<Waiter> {
        let Some(waiters) = self.0.remove(&order) else { return Vec::new() };
        waiters.timer.cancel();
        waiters.clients
    }

    /// Answers all who wait for the order.
    pub(super) fn answer(&mut self, order: OrderId, answer: &Answer) {
        for waiter in self.take(order) {
            waiter.reply.send(answer.clone());
        }
    }

    /// Answers those who want no more than the order's acceptance.
    pub(super) fn accepted(&mut self, order: OrderId, answer: &Answer) {
        let Some(waiters) = self.0.get_mut(&order) else { return };
        for waiter in waiters.clients.extract_if(.., |waiter| waiter.respond_async) {
            waiter.reply.send(answer.clone());
        }
        if waiters.clients.is_empty() {
            self.take(order);
        }
    }
}
