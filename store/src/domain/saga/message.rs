//! What a saga is told, and what follows.

use std::time::Duration;

use contract::{Money, OrderId, ReturnId, ShipmentId, Shortfall, StockRow, Timestamp, WarehouseId};

use super::{Part, Saga, Step};
use crate::domain::delivery::Delivery;
use crate::domain::payment::{Operation, Outcome};
use crate::domain::sourcing::Line;

/// What of the order matters to its saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The order.
    pub order: OrderId,
    /// Books, each once.
    pub items: Vec<Item>,
    /// Their price together.
    pub total: Money,
}

/// A book of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Which, and how many.
    pub line: Line,
    /// What one costs.
    pub price: Money,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It begins, or has been read back after a restart.
    Begun,
    /// The time to try again has come.
    Woke,
    /// Stock that the order waits for has come and is allocated to it.
    StockCame,
    /// A call to the payment gateway has ended.
    Charged {
        /// Of this kind.
        operation: Operation,
        /// What became of it.
        outcome: Outcome,
    },
    /// A call to a warehouse has ended.
    Delivered {
        /// About this shipment.
        shipment: ShipmentId,
        /// Of this kind.
        step: Step,
        /// What became of it.
        delivery: Delivery,
    },
    /// Warehouses were found.
    Sourced {
        /// Who ships what, each under a key of its own.
        parts: Vec<Part>,
        /// Why these.
        reason: String,
    },
    /// None were.
    NotSourced {
        /// What is short.
        shortfalls: Vec<Shortfall>,
    },
    /// The warehouse tells by itself that a part has left.
    Confirmed {
        /// The shipment.
        shipment: ShipmentId,
        /// When it left.
        shipped_at: Timestamp,
        /// The books' rows.
        stock: Vec<StockRow>,
    },
    /// Somebody wants it cancelled.
    Cancel {
        /// A person of ours, who may give up the rest of what has left in part, or what cannot be charged.
        operator: bool,
        /// What the order will say of it.
        reason: String,
    },
    /// Copies come back.
    Return {
        /// The return.
        id: ReturnId,
        /// What.
        lines: Vec<Line>,
    },
    /// A person wants it tried now; an operation on the payment that was refused under another key.
    Retry,
    /// A person has looked: it goes on as if it had just begun to try.
    Resume,
}

/// What a step writes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// The name in the saga's journal.
    pub name: &'static str,
    /// Why, for people.
    pub reason: Option<String>,
    /// Why these warehouses.
    pub sourcing: Option<String>,
    /// What is short.
    pub shortfalls: Vec<Shortfall>,
    /// The return that it is about, and what it brings back.
    pub returned: Vec<Line>,
    /// The shipment that it is about, where it is about one.
    pub shipment: Option<ShipmentId>,
    /// Rows for the cache.
    pub stock: Vec<(WarehouseId, StockRow)>,
}

/// What to do, once the step's entry is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Call a warehouse.
    Call {
        /// For what: one of those that call a warehouse.
        step: Step,
        /// About which shipment.
        shipment: ShipmentId,
        /// Which warehouse.
        warehouse: WarehouseId,
        /// With what.
        lines: Vec<Line>,
        /// Of a return, its key.
        return_id: Option<ReturnId>,
    },
    /// Call the payment gateway.
    Charge {
        /// For what.
        operation: Operation,
        /// Under which key.
        key: String,
        /// How much.
        amount: Money,
    },
    /// Wake it after this long; takes the place of an earlier one.
    Wait(Duration),
    /// Find warehouses for this, other than those.
    Source {
        /// What.
        lines: Vec<Line>,
        /// Not these.
        exclude: Vec<WarehouseId>,
    },
    /// Wait in the line for this.
    AwaitStock {
        /// What.
        lines: Vec<Line>,
        /// Not of these.
        exclude: Vec<WarehouseId>,
    },
    /// Set the cache to what a warehouse says, which also ends the allocation there.
    Settle {
        /// The warehouse.
        warehouse: WarehouseId,
        /// Its rows.
        rows: Vec<StockRow>,
    },
    /// Let go of whatever is allocated.
    Release,
}

/// What follows from an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stepped {
    /// The saga after it.
    pub saga: Saga,
    /// What must be durable before the commands run.
    pub entry: Option<Entry>,
    /// What to do.
    pub commands: Vec<Command>,
}
