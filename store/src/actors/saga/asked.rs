//! What people and warehouses ask of a saga, and what they, and those who look on, are told.

use chrono::TimeDelta;
use contract::{Order, OrderStatus, ReturnId, ShipmentId, ShipmentStatus};
use service::clock;

use super::{NotConfirmed, State};
use crate::actors::orders;
use crate::domain::saga::{Stage, Unfit};
use crate::domain::sourcing::Line;

/// What people ask of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// To be cancelled.
    Cancel {
        /// By a person of ours, who may give up the rest.
        operator: bool,
        /// What the order will say of it.
        reason: String,
    },
    /// To take copies back.
    Return {
        /// The return.
        id: ReturnId,
        /// What.
        lines: Vec<Line>,
    },
    /// To try again now.
    Retry,
    /// To go on as if it had just begun to try.
    Resume,
}

/// The order once the request has come to its end, or why it cannot be.
pub type Asked = Result<Box<Order>, Unfit>;

impl State {
    pub(super) fn fits(&self, request: &Request) -> Result<(), Unfit> {
        match request {
            Request::Cancel { operator, .. } => self.saga.may_be_cancelled(*operator),
            Request::Return { id, lines } => self.saga.may_be_returned(*id, lines),
            Request::Retry | Request::Resume if self.saga.is_over() => Err(Unfit::Over),
            Request::Retry | Request::Resume => Ok(()),
        }
    }

    pub(super) fn is_instructed(&self, shipment: ShipmentId, warehouse_name: Option<&str>) -> bool {
        let known = self.saga.parts.iter().find(|part| part.shipment == shipment && part.is_alive());
        known.is_some_and(|known| warehouse_name.is_none_or(|name| name == known.name))
    }

    /// Answers whoever has waited for what is durable now.
    pub(super) fn answer(&mut self) {
        let (order, saga) = (&self.order, &self.saga);
        let state = |id: ShipmentId| order.shipments.iter().find(|known| known.id == id).map(|known| known.status);
        let told = self.confirming.extract_if(.., |(id, _)| state(*id) != Some(ShipmentStatus::Pending));
        for (id, reply) in told {
            let shipped = state(id) == Some(ShipmentStatus::Shipped);
            reply.send(if shipped { Ok(()) } else { Err(NotConfirmed::NotInstructed) });
        }
        let done = |request: &Request| match request {
            Request::Cancel { .. } => saga.is_over() || !saga.is_cancelling(),
            Request::Return { .. } => saga.returning.is_none(),
            Request::Retry | Request::Resume => true,
        };
        for (request, reply) in self.asking.extract_if(.., |(request, _)| done(request)) {
            let refused = matches!(request, Request::Cancel { operator: false, .. }) && saga.stage != Stage::Cancelled;
            reply.send(if refused { Err(Unfit::Leaving) } else { Ok(Box::new(order.clone())) });
        }
    }

    /// Tells who waits for the order what is worth it. If that is refused, they look it up.
    pub(super) fn tell(&mut self) {
        let is_open = matches!(
            self.order.status,
            OrderStatus::Pending | OrderStatus::PartiallyShipped | OrderStatus::NeedsAttention
        );
        if self.saga.is_over() || !is_open {
            let (order, shortfalls) = (Box::new(self.order.clone()), self.shortfalls.clone());
            let over = self.saga.is_over();
            let _ = self.args.peers.orders.tell(orders::Msg::SagaMoved { order, shortfalls, over });
        }
    }

    /// What operators are to see among what is unwell.
    pub(super) fn concern(&self) -> Option<String> {
        if let Some(reason) = &self.saga.attention {
            return Some(format!("needs attention: {reason}"));
        }
        let patience = TimeDelta::from_std(self.args.peers.stalled_after).unwrap_or(TimeDelta::MAX);
        let stalled = self.saga.should_move() && clock::now() - self.since > patience;
        let waits_for = self.saga.waits_for().filter(|_| stalled)?;
        let since = contract::time::format(&self.since);
        Some(format!("has not moved since {since}: it waits for {waits_for}"))
    }
}
