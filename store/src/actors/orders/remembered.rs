//! The latest shipped orders, so that their confirmations need no reading.

use std::collections::{HashMap, VecDeque};

use contract::{Confirmation, OrderId, Shipment};

/// How many are remembered.
const REMEMBERED: usize = 10_000;

/// The latest shipped orders.
#[derive(Default)]
pub(super) struct Remembered {
    shipments: HashMap<OrderId, Shipment>,
    oldest_first: VecDeque<OrderId>,
}

impl Remembered {
    pub(super) fn insert(&mut self, order: OrderId, shipment: Shipment) {
        if self.shipments.insert(order, shipment).is_none() {
            self.oldest_first.push_back(order);
        }
        if self.oldest_first.len() > REMEMBERED
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.shipments.remove(&oldest);
        }
    }

    pub(super) fn is_the_shipment(&self, order: OrderId, confirmation: &Confirmation) -> bool {
        self.shipments.get(&order).is_some_and(|shipment| {
            confirmation.shipment_id == Some(shipment.id)
                && confirmation.warehouse_name.as_ref().is_none_or(|name| *name == shipment.warehouse_name)
        })
    }
}
