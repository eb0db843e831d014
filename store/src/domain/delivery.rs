//! What a warehouse is asked about a shipment, and what its answer means: certain or unknown (R1).

use std::time::Duration;

use contract::problem::{
    self, ALREADY_SHIPPED, INSUFFICIENT_STOCK, NOT_FOUND, NOT_SHIPPED, VOIDED, WAREHOUSE_IDENTITY,
};
use contract::{
    DatabaseId, OrderId, Problem, Reservation, ReservationStatus, ReturnId, ReturnReceipt, ShipmentId, ShipmentLine,
    ShipmentReceipt, Shortfall, StockRow, Timestamp, VoidReceipt,
};
use serde::de::DeserializeOwned;

/// One question to a warehouse. Its key is the shipment's id, and the return's where copies come back: asking again is harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The order it is for.
    pub order: OrderId,
    /// The shipment it is about: one id from the reservation to the return.
    pub shipment: ShipmentId,
    /// The database that is meant; another one refuses without effect (R19).
    pub database_id: DatabaseId,
    /// What is asked.
    pub action: Action,
}

/// What can be asked about a shipment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take the copies and send them, all or none.
    Ship {
        /// What.
        lines: Vec<ShipmentLine>,
    },
    /// Set them aside, all or none.
    Reserve {
        /// What.
        lines: Vec<ShipmentLine>,
        /// For how long, unless they are shipped or confirmed.
        hold: Duration,
    },
    /// Keep what is set aside until it is shipped or released.
    Confirm,
    /// Send what is set aside.
    ShipHeld,
    /// Make sure that it never leaves, and release what is set aside.
    Void,
    /// Put copies back that had left.
    Restock {
        /// The return.
        return_id: ReturnId,
        /// What came back.
        lines: Vec<ShipmentLine>,
    },
}

impl Action {
    /// Its name in logs, metrics and fault points.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ship { .. } => "ship",
            Self::Reserve { .. } => "reserve",
            Self::Confirm => "confirm",
            Self::ShipHeld => "ship-held",
            Self::Void => "void",
            Self::Restock { .. } => "restock",
        }
    }

    /// Whether 409 of this kind, said by the right database, is an answer to it.
    fn can_be_refused_as(&self, kind: &str) -> bool {
        match self {
            Self::Ship { .. } | Self::Reserve { .. } => [INSUFFICIENT_STOCK, VOIDED, ALREADY_SHIPPED].contains(&kind),
            Self::Confirm | Self::ShipHeld => [VOIDED, ALREADY_SHIPPED].contains(&kind),
            Self::Void => kind == ALREADY_SHIPPED,
            Self::Restock { .. } => kind == NOT_SHIPPED,
        }
    }
}

/// What became of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It has left, now or before.
    Shipped(ShipmentReceipt),
    /// The copies are set aside.
    Held {
        /// When they are released by themselves; never, once confirmed.
        expires_at: Option<Timestamp>,
        /// The books' rows.
        stock: Vec<StockRow>,
    },
    /// The warehouse lacks stock, and this shipment never leaves it; or more would come back than had left.
    Refused {
        /// What is lacking.
        shortfalls: Vec<Shortfall>,
        /// Its rows of the books, as far as it sent them.
        stock: Vec<StockRow>,
    },
    /// It never leaves: it was voided, or what was set aside for it was released, expired or never there.
    Voided {
        /// The rows of what this released, as far as the warehouse sent them.
        stock: Vec<StockRow>,
    },
    /// The copies are on the shelf again.
    Restocked {
        /// The books' rows.
        stock: Vec<StockRow>,
    },
    /// This call never reached the warehouse.
    NeverSent {
        /// Why.
        reason: String,
    },
    /// It may have happened, or may yet: only the same call again tells.
    Unknown {
        /// Why.
        reason: String,
    },
    /// The database there is not the one that was accepted, and did nothing (R19). What was known of this shipment is in another.
    WrongIdentity {
        /// Why.
        reason: String,
    },
}

impl Delivery {
    /// Whether the warehouse answered.
    pub const fn is_answer(&self) -> bool {
        !matches!(self, Self::NeverSent { .. } | Self::Unknown { .. })
    }

    /// Its name in logs and journals.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Shipped(_) => "shipped",
            Self::Held { .. } => "held",
            Self::Refused { .. } => "refused",
            Self::Voided { .. } => "voided",
            Self::Restocked { .. } => "restocked",
            Self::NeverSent { .. } => "never-sent",
            Self::Unknown { .. } => "unknown",
            Self::WrongIdentity { .. } => "wrong-identity",
        }
    }

    fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown { reason: reason.into() }
    }
}

/// Reads the answer to `call`. Only what the contract has for its action is an answer, and only from the database that is meant, about
/// this order and shipment, in a body that is what it should be. Everything else is unknown.
pub fn classify(call: &Call, status: u16, body: &[u8]) -> Delivery {
    let done = match (status, &call.action) {
        (200, Action::Ship { .. } | Action::ShipHeld) => read(body).map(|receipt| shipped(call, receipt)),
        (200 | 201, Action::Reserve { .. }) | (200, Action::Confirm) => read(body).map(|held| reserved(call, held)),
        (200, Action::Void) => read(body).map(|receipt| voided(call, receipt)),
        (200, Action::Restock { return_id, .. }) => read(body).map(|receipt| restocked(call, *return_id, receipt)),
        (404, Action::Confirm | Action::ShipHeld) => read(body).map(|problem| not_there(call, &problem)),
        (409, _) => read(body).map(|problem| conflict(call, problem)),
        _ => Ok(unexpected(status, read(body).ok())),
    };
    done.unwrap_or_else(|error| Delivery::unknown(format!("answered {status} with an unexpected body: {error}")))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body)
}

fn shipped(call: &Call, receipt: ShipmentReceipt) -> Delivery {
    if !receipt.shipped {
        return Delivery::unknown("a receipt of what has not left");
    }
    match mismatch(call, receipt.order_id, receipt.shipment_id, receipt.database_id) {
        Some(unknown) => unknown,
        None => Delivery::Shipped(receipt),
    }
}

fn reserved(call: &Call, held: Reservation) -> Delivery {
    if let Some(unknown) = mismatch(call, held.order_id, held.shipment_id, held.database_id) {
        return unknown;
    }
    match (held.status, held.expires_at, &call.action) {
        (ReservationStatus::Held, Some(expires_at), Action::Reserve { .. }) => {
            Delivery::Held { expires_at: Some(expires_at), stock: held.stock }
        }
        (ReservationStatus::Confirmed, None, _) => Delivery::Held { expires_at: None, stock: held.stock },
        (status, expires_at, _) => Delivery::unknown(format!("a reservation {status} until {expires_at:?}")),
    }
}

fn voided(call: &Call, receipt: VoidReceipt) -> Delivery {
    if !receipt.voided {
        return Delivery::unknown("a receipt of what is not voided");
    }
    match mismatch(call, call.order, receipt.shipment_id, receipt.database_id) {
        Some(unknown) => unknown,
        None => Delivery::Voided { stock: receipt.stock },
    }
}

fn restocked(call: &Call, return_id: ReturnId, receipt: ReturnReceipt) -> Delivery {
    if receipt.return_id != return_id {
        return Delivery::unknown(format!("the receipt of return {}", receipt.return_id));
    }
    match mismatch(call, receipt.order_id, receipt.shipment_id, receipt.database_id) {
        Some(unknown) => unknown,
        None => Delivery::Restocked { stock: receipt.stock },
    }
}

/// Why something that was done is not what was asked for. It was done, by whomever: never certain that nothing has happened.
fn mismatch(call: &Call, order: OrderId, shipment: ShipmentId, database: DatabaseId) -> Option<Delivery> {
    if (order, shipment) != (call.order, call.shipment) {
        Some(Delivery::unknown(format!("answered about shipment {shipment} of order {order}")))
    } else if database != call.database_id {
        Some(Delivery::unknown(format!("done by database {database}, expected {}", call.database_id)))
    } else {
        None
    }
}

/// Nothing is set aside under the id. A proxy says 404 too, so only the warehouse itself is believed, by its database.
fn not_there(call: &Call, problem: &Problem) -> Delivery {
    match problem.database_id {
        Some(database) if problem.kind == NOT_FOUND && database == call.database_id => {
            Delivery::Voided { stock: Vec::new() }
        }
        Some(database) if problem.kind == NOT_FOUND => stranger(call, database),
        _ => Delivery::unknown(format!("answered 404: {}", problem.detail)),
    }
}

fn conflict(call: &Call, mut problem: Problem) -> Delivery {
    if problem.kind == WAREHOUSE_IDENTITY {
        return Delivery::WrongIdentity { reason: problem.detail };
    }
    match problem.database_id {
        Some(database) if database != call.database_id => return stranger(call, database),
        Some(_) if call.action.can_be_refused_as(&problem.kind) => {}
        _ => return Delivery::unknown(format!("answered 409 {}: {}", problem.kind, problem.detail)),
    }
    match problem.kind.as_str() {
        problem::VOIDED => Delivery::Voided { stock: problem.stock },
        problem::ALREADY_SHIPPED => {
            match problem.extra.remove("shipment").map(serde_json::from_value::<ShipmentReceipt>) {
                Some(Ok(receipt)) => shipped(call, receipt),
                _ => Delivery::unknown("answered 409 already-shipped without a receipt"),
            }
        }
        _ => Delivery::Refused { shortfalls: problem.shortfalls, stock: problem.stock },
    }
}

fn stranger(call: &Call, database: DatabaseId) -> Delivery {
    Delivery::WrongIdentity { reason: format!("answered by database {database}, expected {}", call.database_id) }
}

fn unexpected(status: u16, problem: Option<Problem>) -> Delivery {
    let detail = problem.map(|problem| format!(": {}", problem.detail)).unwrap_or_default();
    Delivery::unknown(format!("answered {status}{detail}"))
}

#[cfg(test)]
mod tests;
