//! Who wants to hear of which order's steps. The journal tells of each one once it is durable.
//!
//! Only the number of the latest step travels; a listener reads the steps themselves. So one that is slow, or that was
//! not told of a step, misses nothing: it reads whatever there is beyond what it has. An order that nobody listens to
//! costs a look into a map, and an idle listener nothing at all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contract::OrderId;
use tokio::sync::watch;

/// The listeners of all orders.
#[derive(Clone, Debug, Default)]
pub struct Events(Arc<Mutex<HashMap<OrderId, watch::Sender<i64>>>>);

/// One listener. Dropping it ends its interest.
#[derive(Debug)]
pub struct Subscription {
    events: Events,
    order: OrderId,
    latest: Option<watch::Receiver<i64>>,
}

impl Events {
    /// Wants to hear of an order's steps from now on. Read what there is after this, so that nothing falls in between.
    pub fn subscribe(&self, order: OrderId) -> Subscription {
        let mut orders = self.orders();
        let sender = orders.entry(order).or_insert_with(|| watch::Sender::new(-1));
        Subscription { events: self.clone(), order, latest: Some(sender.subscribe()) }
    }

    /// The step `seq` of the order is durable.
    pub fn tell(&self, order: OrderId, seq: i64) {
        if let Some(sender) = self.orders().get(&order) {
            sender.send_if_modified(|latest| {
                let is_news = seq > *latest;
                *latest = seq.max(*latest);
                is_news
            });
        }
    }

    fn orders(&self) -> MutexGuard<'_, HashMap<OrderId, watch::Sender<i64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// Waits until there is a step after `seq`.
    pub async fn beyond(&mut self, seq: i64) {
        if let Some(latest) = &mut self.latest
            // The sender is in the map for as long as this subscription is.
            && latest.wait_for(|latest| *latest > seq).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut orders = self.events.orders();
        self.latest = None;
        if orders.get(&self.order).is_some_and(|sender| sender.receiver_count() == 0) {
            orders.remove(&self.order);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_listener_hears_of_later_steps_and_is_forgotten_when_it_goes() {
        let (events, order) = (Events::default(), OrderId::new());
        events.tell(order, 0);
        assert!(events.orders().is_empty(), "nobody listens");

        let (mut first, mut second) = (events.subscribe(order), events.subscribe(order));
        let mut other = events.subscribe(OrderId::new());
        assert!(first.beyond(-1).now_or_never().is_none(), "what was before is read, not told");
        events.tell(order, 2);
        events.tell(order, 1);
        assert!(first.beyond(-1).now_or_never().is_some() && first.beyond(1).now_or_never().is_some());
        assert!(first.beyond(2).now_or_never().is_none(), "an older step is no news");
        assert!(other.beyond(-1).now_or_never().is_none());

        drop(first);
        events.tell(order, 3);
        assert!(second.beyond(2).now_or_never().is_some());
        drop((second, other));
        assert!(events.orders().is_empty());
    }
}
