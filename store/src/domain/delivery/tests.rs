use chrono::DateTime;
use contract::BookId;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

fn call(action: Action) -> Call {
    Call {
        order: OrderId(Uuid::from_u128(1)),
        shipment: ShipmentId(Uuid::from_u128(2)),
        database_id: DatabaseId(Uuid::from_u128(3)),
        action,
    }
}

fn lines() -> Vec<ShipmentLine> {
    vec![ShipmentLine { book_id: BookId(Uuid::from_u128(4)), isbn: "x".to_owned(), quantity: 1 }]
}

fn actions() -> [Action; 6] {
    [
        Action::Ship { lines: lines() },
        Action::Reserve { lines: lines(), hold: Duration::from_secs(60) },
        Action::Confirm,
        Action::ShipHeld,
        Action::Void,
        Action::Restock { return_id: ReturnId(Uuid::from_u128(5)), lines: lines() },
    ]
}

fn row() -> StockRow {
    StockRow { book_id: BookId(Uuid::from_u128(4)), quantity: 5, reserved: 1, version: 7 }
}

fn receipt() -> ShipmentReceipt {
    let call = call(Action::ShipHeld);
    ShipmentReceipt {
        order_id: call.order,
        shipment_id: call.shipment,
        warehouse_name: "alpha".to_owned(),
        shipped: true,
        shipped_at: DateTime::UNIX_EPOCH,
        stock: vec![row()],
        database_id: call.database_id,
    }
}

/// What the warehouse answers to this action when all is well.
fn good(action: &Action) -> Value {
    let Call { order, shipment, database_id, .. } = call(action.clone());
    match action {
        Action::Ship { .. } | Action::ShipHeld => json!(receipt()),
        Action::Reserve { .. } => json!({
            "orderId": order, "shipmentId": shipment, "databaseId": database_id, "warehouseName": "alpha",
            "status": "HELD", "expiresAt": "1970-01-01T00:00:00Z", "stock": [row()],
        }),
        Action::Confirm => json!({
            "orderId": order, "shipmentId": shipment, "databaseId": database_id, "warehouseName": "alpha",
            "status": "CONFIRMED", "stock": [row()],
        }),
        Action::Void => {
            json!({ "shipmentId": shipment, "databaseId": database_id, "voided": true, "stock": [row()] })
        }
        Action::Restock { return_id, .. } => json!({
            "returnId": return_id, "orderId": order, "shipmentId": shipment, "databaseId": database_id,
            "returnedAt": "1970-01-01T00:00:00Z", "stock": [row()],
        }),
    }
}

/// A problem said by this database, or by somebody that does not give any.
fn problem(kind: &str, database: Option<u128>) -> Value {
    let mut problem = Problem::new(kind, "", 409, "said so");
    problem.database_id = database.map(|id| DatabaseId(Uuid::from_u128(id)));
    problem.shortfalls = vec![Shortfall { book_id: BookId(Uuid::from_u128(4)), requested: 2, available: 1 }];
    problem.stock = vec![row()];
    problem.extra.insert("shipment".to_owned(), json!(receipt()));
    json!(problem)
}

fn answer(action: &Action, status: u16, body: &Value) -> Delivery {
    classify(&call(action.clone()), status, body.to_string().as_bytes())
}

fn with(body: &Value, member: &str, value: Value) -> Value {
    let mut changed = body.clone();
    changed[member] = value;
    changed
}

#[test]
fn each_action_is_answered_in_its_own_way() {
    let stock = vec![row()];
    let expected = [
        Delivery::Shipped(receipt()),
        Delivery::Held { expires_at: Some(DateTime::UNIX_EPOCH), stock: stock.clone() },
        Delivery::Held { expires_at: None, stock: stock.clone() },
        Delivery::Shipped(receipt()),
        Delivery::Voided { stock: stock.clone() },
        Delivery::Restocked { stock },
    ];
    for (action, expected) in actions().iter().zip(expected) {
        assert_eq!(answer(action, 200, &good(action)), expected, "{}", action.name());
        for other in actions().iter().filter(|other| good(other) != good(action)) {
            let delivery = answer(action, 200, &good(other));
            // A hold that is confirmed already is a fair answer to whoever asks for it again.
            let fair = matches!((action, other), (Action::Reserve { .. }, Action::Confirm));
            assert_eq!(delivery.is_answer(), fair, "{} by {}: {delivery:?}", action.name(), other.name());
        }
    }
}

#[test]
fn r01_what_was_done_is_certain_only_as_that_of_the_database_and_shipment_that_were_meant() {
    let other = json!(Uuid::from_u128(99));
    for action in actions() {
        let good = good(&action);
        for member in ["databaseId", "shipmentId", "orderId", "returnId"] {
            if good.get(member).is_some() {
                let delivery = answer(&action, 200, &with(&good, member, other.clone()));
                assert_eq!(delivery.name(), "unknown", "{} {member}", action.name());
                let without = with(&good, member, Value::Null);
                assert_eq!(answer(&action, 200, &without).name(), "unknown", "{} {member}", action.name());
            }
        }
        for member in ["shipped", "voided"].iter().filter(|member| good.get(member).is_some()) {
            assert_eq!(answer(&action, 200, &with(&good, member, json!(false))).name(), "unknown", "{member}");
        }
    }
}

#[test]
fn r01_only_the_status_of_the_contract_is_an_answer() {
    let statuses = [100, 201, 202, 204, 206, 301, 307, 400, 401, 403, 404, 405, 408, 409, 410, 413, 422, 429, 500, 502];
    for action in actions() {
        for status in statuses.into_iter().chain([503, 504]) {
            let made = status == 201 && matches!(action, Action::Reserve { .. });
            assert_eq!(answer(&action, status, &good(&action)).is_answer(), made, "{} {status}", action.name());
            for kind in [problem::UNAVAILABLE, problem::OUTCOME_UNKNOWN, problem::INVALID, problem::UNAUTHORIZED] {
                assert_eq!(answer(&action, status, &problem(kind, Some(3))).name(), "unknown", "{status} {kind}");
            }
        }
        for body in [json!({}), json!("?"), json!([]), Value::Null] {
            assert_eq!(answer(&action, 200, &body).name(), "unknown");
            assert_eq!(answer(&action, 409, &body).name(), "unknown");
        }
        assert_eq!(classify(&call(action), 200, b"<html>").name(), "unknown");
    }
}

#[test]
fn r01_each_refusal_is_an_answer_only_to_what_can_be_refused_so() {
    let (refused, voided, shipped, unknown) = ("refused", "voided", "shipped", "unknown");
    // By kind: ship, reserve, confirm, ship-held, void, restock.
    let table = [
        (INSUFFICIENT_STOCK, [refused, refused, unknown, unknown, unknown, unknown]),
        (VOIDED, [voided, voided, voided, voided, unknown, unknown]),
        (ALREADY_SHIPPED, [shipped, shipped, shipped, shipped, shipped, unknown]),
        (NOT_SHIPPED, [unknown, unknown, unknown, unknown, unknown, refused]),
        (problem::SHIPMENT_MISMATCH, [unknown; 6]),
        (problem::CONFLICT, [unknown; 6]),
        (WAREHOUSE_IDENTITY, ["wrong-identity"; 6]),
    ];
    for (kind, expected) in table {
        let names = actions().map(|action| answer(&action, 409, &problem(kind, Some(3))).name());
        assert_eq!(names, expected, "{kind}");
        for action in actions() {
            let identity = kind == WAREHOUSE_IDENTITY;
            let nobody = answer(&action, 409, &problem(kind, None));
            assert_eq!(nobody.name(), if identity { "wrong-identity" } else { unknown }, "{kind}, by nobody");
            assert_eq!(answer(&action, 409, &problem(kind, Some(99))).name(), "wrong-identity", "{kind}, by another");
            assert!(!answer(&action, 400, &problem(kind, Some(3))).is_answer());
        }
    }
}

#[test]
fn a_refusal_brings_shortfalls_and_rows() {
    let [ship, _, _, _, _, restock] = actions();
    let shortfalls = vec![Shortfall { book_id: BookId(Uuid::from_u128(4)), requested: 2, available: 1 }];
    let refused = Delivery::Refused { shortfalls, stock: vec![row()] };
    assert_eq!(answer(&ship, 409, &problem(INSUFFICIENT_STOCK, Some(3))), refused);
    assert_eq!(answer(&restock, 409, &problem(NOT_SHIPPED, Some(3))), refused);
    assert_eq!(answer(&ship, 409, &problem(VOIDED, Some(3))), Delivery::Voided { stock: vec![row()] });
}

#[test]
fn what_has_left_before_is_shipped_only_with_its_receipt() {
    let problem = problem(ALREADY_SHIPPED, Some(3));
    let other = json!(Uuid::from_u128(99));
    for action in &actions()[..5] {
        assert_eq!(answer(action, 409, &problem), Delivery::Shipped(receipt()));
        for member in ["orderId", "shipmentId", "databaseId"] {
            let strange = with(&problem, "shipment", with(&json!(receipt()), member, other.clone()));
            assert_eq!(answer(action, 409, &strange).name(), "unknown", "{member}");
        }
        for receipt in [Value::Null, json!({}), json!("yes")] {
            assert_eq!(answer(action, 409, &with(&problem, "shipment", receipt)).name(), "unknown");
        }
    }
}

#[test]
fn nothing_is_held_only_where_the_warehouse_itself_says_so() {
    let (void, unknown, wrong) = ("voided", "unknown", "wrong-identity");
    let expected = [unknown, unknown, void, void, unknown, unknown];
    for (action, expected) in actions().iter().zip(expected) {
        let mut table = vec![
            (problem(NOT_FOUND, Some(3)), expected),
            (problem(NOT_FOUND, None), unknown),
            (problem(problem::UNAVAILABLE, Some(3)), unknown),
            (json!({}), unknown),
        ];
        if expected == void {
            table.push((problem(NOT_FOUND, Some(99)), wrong));
            assert_eq!(answer(action, 404, &problem(NOT_FOUND, Some(3))), Delivery::Voided { stock: vec![] });
        }
        for (body, expected) in table {
            assert_eq!(answer(action, 404, &body).name(), expected, "{} {body}", action.name());
        }
    }
}

#[test]
fn a_reservation_is_held_until_then_or_confirmed_and_nothing_in_between() {
    let [_, reserve, confirm, ..] = actions();
    let (held, confirmed) = (good(&reserve), good(&confirm));
    assert_eq!(answer(&reserve, 200, &confirmed), Delivery::Held { expires_at: None, stock: vec![row()] });
    let table = [
        (&confirm, held.clone()),
        (&confirm, with(&held, "status", json!("CONFIRMED"))),
        (&reserve, with(&held, "expiresAt", Value::Null)),
        (&reserve, with(&held, "status", json!("SHIPPED"))),
        (&reserve, with(&held, "status", json!("RELEASED"))),
        (&reserve, with(&held, "status", json!("EXPIRED"))),
    ];
    for (action, body) in table {
        assert_eq!(answer(action, 200, &body).name(), "unknown", "{} {body}", action.name());
    }
}
