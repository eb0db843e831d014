//! What a warehouse's answer to a shipment means: certain or unknown (R1).

use contract::{Problem, ShipmentReceipt, ShipmentRequest, Shortfall, StockRow, problem};

/// What became of one call to ship.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It has left.
    Shipped(ShipmentReceipt),
    /// The warehouse lacks stock, and this shipment never leaves it.
    Refused {
        /// What it lacks.
        shortfalls: Vec<Shortfall>,
        /// Its rows of the books, as far as it sent them.
        stock: Vec<StockRow>,
    },
    /// It was voided and never leaves.
    Voided,
    /// This call never reached the warehouse.
    NeverSent {
        /// Why.
        reason: String,
    },
    /// It may have left, or may yet: only the same call again tells.
    Unknown {
        /// Why.
        reason: String,
    },
    /// The database there is not the one that was accepted (R19). What was known of this shipment is in another.
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
}

/// Reads the answer to `request`. Only 200, 409 `insufficient-stock`, 409 `voided` and 409 `warehouse-identity` are answers, and only where
/// the body is what it should be; everything else is unknown.
pub fn classify(request: &ShipmentRequest, status: u16, body: &[u8]) -> Delivery {
    match status {
        200 => match serde_json::from_slice::<ShipmentReceipt>(body) {
            Ok(receipt) => shipped(request, receipt),
            Err(error) => Delivery::Unknown { reason: format!("200 with a body that is no receipt: {error}") },
        },
        409 => match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => conflict(request, problem),
            Err(error) => Delivery::Unknown { reason: format!("409 with a body that is no problem: {error}") },
        },
        _ => {
            let problem = serde_json::from_slice::<Problem>(body).ok();
            let detail = problem.map(|problem| format!(": {}", problem.detail)).unwrap_or_default();
            Delivery::Unknown { reason: format!("answered {status}{detail}") }
        }
    }
}

fn shipped(request: &ShipmentRequest, receipt: ShipmentReceipt) -> Delivery {
    let expected = request.shipment_id.unwrap_or_else(|| request.order_id.into());
    if !receipt.shipped || receipt.order_id != request.order_id || receipt.shipment_id != expected {
        return Delivery::Unknown { reason: format!("200 with the receipt of shipment {}", receipt.shipment_id) };
    }
    match request.database_id {
        Some(known) if known != receipt.database_id => Delivery::WrongIdentity {
            reason: format!("shipped from database {}, expected {known}", receipt.database_id),
        },
        _ => Delivery::Shipped(receipt),
    }
}

fn conflict(request: &ShipmentRequest, problem: Problem) -> Delivery {
    if let (Some(known), Some(other)) = (request.database_id, problem.database_id)
        && known != other
    {
        return Delivery::WrongIdentity { reason: format!("answered by database {other}, expected {known}") };
    }
    match problem.kind.as_str() {
        problem::INSUFFICIENT_STOCK => Delivery::Refused { shortfalls: problem.shortfalls, stock: problem.stock },
        problem::VOIDED => Delivery::Voided,
        problem::WAREHOUSE_IDENTITY => Delivery::WrongIdentity { reason: problem.detail },
        other => Delivery::Unknown { reason: format!("answered 409 {other}: {}", problem.detail) },
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use contract::{BookId, DatabaseId, OrderId, ShipmentId, ShipmentLine};
    use serde_json::{Value, json};

    use super::*;

    fn request() -> ShipmentRequest {
        ShipmentRequest {
            order_id: OrderId(uuid::Uuid::from_u128(1)),
            shipment_id: Some(ShipmentId(uuid::Uuid::from_u128(2))),
            database_id: Some(DatabaseId(uuid::Uuid::from_u128(3))),
            items: vec![ShipmentLine { book_id: BookId(uuid::Uuid::from_u128(4)), isbn: "x".to_owned(), quantity: 1 }],
        }
    }

    fn receipt() -> ShipmentReceipt {
        let request = request();
        ShipmentReceipt {
            order_id: request.order_id,
            shipment_id: request.shipment_id.unwrap(),
            warehouse_name: "alpha".to_owned(),
            shipped: true,
            shipped_at: DateTime::UNIX_EPOCH,
            stock: vec![],
            database_id: request.database_id.unwrap(),
        }
    }

    fn of(delivery: &Delivery) -> &'static str {
        match delivery {
            Delivery::Shipped(_) => "shipped",
            Delivery::Refused { .. } => "refused",
            Delivery::Voided => "voided",
            Delivery::NeverSent { .. } => "never sent",
            Delivery::Unknown { .. } => "unknown",
            Delivery::WrongIdentity { .. } => "wrong identity",
        }
    }

    fn problem(kind: &str) -> Value {
        serde_json::to_value(Problem::new(kind, "", 409, "")).unwrap()
    }

    #[test]
    fn r01_only_answers_are_certain() {
        let receipt = serde_json::to_value(receipt()).unwrap();
        let with = |member: &str, value: Value| {
            let mut changed = receipt.clone();
            changed[member] = value;
            changed
        };
        let other = json!(uuid::Uuid::from_u128(99));
        let mut elsewhere = problem(problem::INSUFFICIENT_STOCK);
        elsewhere["databaseId"] = other.clone();
        let table = [
            (200, receipt.clone(), "shipped"),
            (200, with("databaseId", other.clone()), "wrong identity"),
            (200, with("shipmentId", other.clone()), "unknown"),
            (200, with("orderId", other), "unknown"),
            (200, with("shipped", json!(false)), "unknown"),
            (200, json!({}), "unknown"),
            (201, receipt.clone(), "unknown"),
            (202, receipt, "unknown"),
            (409, problem(problem::INSUFFICIENT_STOCK), "refused"),
            (409, elsewhere, "wrong identity"),
            (409, problem(problem::VOIDED), "voided"),
            (409, problem(problem::WAREHOUSE_IDENTITY), "wrong identity"),
            (409, problem(problem::SHIPMENT_MISMATCH), "unknown"),
            (409, json!("?"), "unknown"),
            (400, problem(problem::INVALID), "unknown"),
            (401, problem(problem::UNAUTHORIZED), "unknown"),
            (404, json!({}), "unknown"),
            (429, json!({}), "unknown"),
            (500, json!({}), "unknown"),
            (503, problem(problem::UNAVAILABLE), "unknown"),
        ];
        for (status, body, expected) in table {
            let delivery = classify(&request(), status, body.to_string().as_bytes());
            assert_eq!(of(&delivery), expected, "{status} {body}");
        }
        assert_eq!(of(&classify(&request(), 200, b"<html>")), "unknown");
    }

    #[test]
    fn a_shipment_without_an_id_has_that_of_its_order() {
        let request = ShipmentRequest { shipment_id: None, ..request() };
        let receipt = ShipmentReceipt { shipment_id: request.order_id.into(), ..receipt() };
        let delivery = classify(&request, 200, &serde_json::to_vec(&receipt).unwrap());
        assert_eq!(delivery, Delivery::Shipped(receipt));
    }
}
