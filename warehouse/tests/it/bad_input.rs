//! Whatever a client sends: never a 5xx, always a problem that names what is wrong, and nothing left behind.

use contract::{OrderId, Problem, ShipmentId};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::support::{House, book, on_both};

/// Values that are no quantity, as literals.
const NO_QUANTITY: [&str; 12] =
    ["-5", "-1", "1.5", "\"3\"", "null", "1e18", "99999999999999999999", "true", "[]", "{}", "[1]", "\"\\u0000\""];

async fn refused(request: RequestBuilder, status: StatusCode, field: Option<&str>) {
    let what = format!("{request:?}");
    let response = request.send().await.unwrap();
    let (got, kind) = (response.status(), response.headers().get("content-type").cloned());
    let text = response.text().await.unwrap();
    assert_eq!(got, status, "{what}: {text}");
    assert_eq!(kind.unwrap(), "application/problem+json", "{what}: {text}");
    let problem: Problem = serde_json::from_str(&text).unwrap();
    assert_eq!((problem.status, problem.error.status), (status.as_u16(), status.as_u16()));
    assert!(!problem.detail.is_empty() && problem.error.message == problem.detail, "{text}");
    if let Some(field) = field {
        assert!(problem.errors.iter().any(|error| error.field == field), "{what}: {field} is not named: {text}");
    }
}

fn json_body(request: RequestBuilder, body: &str) -> RequestBuilder {
    request.header("content-type", "application/json").body(body.to_owned())
}

const INVALID: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

async fn nothing_changed(house: &House) {
    assert_eq!(house.on_hand(1).await, 10);
    for table in ["shipments", "shipment_logs", "outbox", "reservations", "returns"] {
        assert_eq!(house.number(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    assert_eq!(house.number("SELECT count(*) FROM inventory").await, 1);
    assert_eq!(house.number("SELECT count(*) FROM inventory_movements").await, 1);
}

#[tokio::test]
async fn defect_10_shipments() {
    on_both(async |house| {
        house.enter(1, 10).await;
        let post = |body: String| json_body(house.service(Method::POST, "/shipments"), &body);
        let (order, book) = (OrderId::new(), book(1));
        let with = |quantity: &str| {
            format!(r#"{{"orderId":"{order}","items":[{{"bookId":"{book}","isbn":"x","quantity":{quantity}}}]}}"#)
        };
        for quantity in NO_QUANTITY.iter().chain(&["0", "1000001"]) {
            refused(post(with(quantity)), INVALID, Some("items[0].quantity")).await;
        }
        let line = json!({ "bookId": book, "isbn": "x", "quantity": 1 });
        let bodies: [(Value, &str); 14] = [
            (json!({}), "orderId"),
            (json!({ "orderId": null, "items": [line] }), "orderId"),
            (json!({ "orderId": "1", "items": [line] }), "orderId"),
            (json!({ "orderId": 1, "items": [line] }), "orderId"),
            (json!({ "orderId": order, "shipmentId": "x", "items": [line] }), "shipmentId"),
            (json!({ "orderId": order, "databaseId": 5, "items": [line] }), "databaseId"),
            (json!({ "orderId": order }), "items"),
            (json!({ "orderId": order, "items": [] }), "items"),
            (json!({ "orderId": order, "items": {} }), "items"),
            (json!({ "orderId": order, "items": [line, 5] }), "items[1]"),
            (json!({ "orderId": order, "items": [{ "isbn": "x", "quantity": 1 }] }), "items[0].bookId"),
            (json!({ "orderId": order, "items": [{ "bookId": "x", "isbn": "x", "quantity": 1 }] }), "items[0].bookId"),
            (json!({ "orderId": order, "items": [{ "bookId": book, "isbn": 5, "quantity": 1 }] }), "items[0].isbn"),
            (json!({ "orderId": order, "items": vec![line.clone(); 1_001] }), "items"),
        ];
        for (body, field) in bodies {
            refused(post(body.to_string()), INVALID, Some(field)).await;
        }
        let every = json!({ "orderId": order, "items": [
            { "bookId": book, "isbn": "x", "quantity": 0 }, { "bookId": book, "isbn": "x".repeat(33), "quantity": 0 },
        ] });
        for field in ["items[0].quantity", "items[1].quantity", "items[1].isbn"] {
            refused(post(every.to_string()), INVALID, Some(field)).await;
        }
        for body in ["", "{", "nonsense", "[1,", "\"", "{\"orderId\":}", "\u{feff}{}"] {
            refused(post(body.to_owned()), StatusCode::BAD_REQUEST, None).await;
        }
        for body in ["null", "[]", "5", "\"text\"", "true"] {
            refused(post(body.to_owned()), INVALID, None).await;
        }
        refused(post(" ".repeat(1024 * 1024 + 1)), StatusCode::PAYLOAD_TOO_LARGE, None).await;
        let form = house.service(Method::POST, "/shipments").header("content-type", "text/plain").body(with("1"));
        refused(form, StatusCode::UNSUPPORTED_MEDIA_TYPE, None).await;
        for id in ["x", "1", "%00", "00000000-0000-0000-0000", "..%2F.."] {
            refused(house.service(Method::POST, &format!("/shipments/{id}/void")), StatusCode::NOT_FOUND, None).await;
        }
        nothing_changed(house).await;
    })
    .await;
}

/// What is wrong with the lines and the ids of any body of this sort; `change` makes it wrong.
async fn refused_lines(post: impl Fn(&dyn Fn(&mut Value)) -> RequestBuilder, required: &[&str]) {
    for quantity in NO_QUANTITY.iter().chain(&["0", "1000001"]) {
        let quantity: Value = serde_json::from_str(quantity).unwrap();
        let with = |body: &mut Value| body["items"][0]["quantity"] = quantity.clone();
        refused(post(&with), INVALID, Some("items[0].quantity")).await;
    }
    for member in required {
        let without = |body: &mut Value| drop(body.as_object_mut().unwrap().remove(*member));
        refused(post(&without), INVALID, Some(member)).await;
    }
    let line = json!({ "bookId": book(1), "isbn": "x", "quantity": 1 });
    for (member, value) in [
        ("orderId", json!("x")),
        ("shipmentId", json!(null)),
        ("databaseId", json!("x")),
        ("items", json!([])),
        ("items", json!(vec![line; 1_001])),
    ] {
        refused(post(&|body| body[member] = value.clone()), INVALID, Some(member)).await;
    }
}

#[tokio::test]
async fn defect_10_reservations_and_returns() {
    on_both(async |house| {
        house.enter(1, 10).await;
        let id = ShipmentId::new();
        let post = |path: &str, mut body: Value, change: &dyn Fn(&mut Value)| {
            (body["orderId"], body["shipmentId"]) = (json!(OrderId::new()), json!(id));
            body["items"] = json!([{ "bookId": book(1), "isbn": "x", "quantity": 1 }]);
            change(&mut body);
            json_body(house.service(Method::POST, path), &body.to_string())
        };
        let reserve = |change: &dyn Fn(&mut Value)| post("/reservations", json!({ "expiresInSeconds": 60 }), change);
        refused_lines(reserve, &["orderId", "shipmentId", "items", "expiresInSeconds"]).await;
        for seconds in NO_QUANTITY.iter().chain(&["0", "86401", "4294967296"]) {
            let seconds: Value = serde_json::from_str(seconds).unwrap();
            refused(reserve(&|body| body["expiresInSeconds"] = seconds.clone()), INVALID, Some("expiresInSeconds"))
                .await;
        }
        let take_back = |change: &dyn Fn(&mut Value)| post("/returns", json!({ "returnId": id }), change);
        refused_lines(take_back, &["returnId", "orderId", "shipmentId", "items"]).await;
        for reason in [json!(""), json!(" "), json!("x".repeat(501)), json!("a\0b"), json!(5)] {
            refused(take_back(&|body| body["reason"] = reason.clone()), INVALID, Some("reason")).await;
        }
        nothing_changed(house).await;
    })
    .await;
}

#[tokio::test]
async fn defect_10_calls_about_a_reservation() {
    on_both(async |house| {
        house.enter(1, 10).await;
        let id = ShipmentId::new();
        for what in ["confirm", "ship"] {
            let post = |body: &str| json_body(house.service(Method::POST, &format!("/reservations/{id}/{what}")), body);
            refused(post(r#"{"databaseId": 5}"#), INVALID, Some("databaseId")).await;
            for body in ["null", "[]", "5"] {
                refused(post(body), INVALID, None).await;
            }
            refused(post("{"), StatusCode::BAD_REQUEST, None).await;
            refused(post("{}"), StatusCode::NOT_FOUND, None).await;
            for id in ["x", "%00"] {
                let post = house.service(Method::POST, &format!("/reservations/{id}/{what}"));
                refused(post, StatusCode::NOT_FOUND, None).await;
            }
        }
        let release = |rest: &str| house.service(Method::DELETE, &format!("/reservations/{rest}"));
        refused(release("x"), StatusCode::NOT_FOUND, None).await;
        refused(release(&format!("{id}?databaseId=x")), INVALID, Some("databaseId")).await;
        for (query, field) in [
            ("status=LOST", "status"),
            ("status=held", "status"),
            ("orderId=x", "orderId"),
            ("limit=0", "limit"),
            ("cursor=x", "cursor"),
        ] {
            refused(house.staff(Method::GET, &format!("/reservations?{query}")), INVALID, Some(field)).await;
        }
        nothing_changed(house).await;
    })
    .await;
}

#[tokio::test]
async fn defect_10_stock() {
    on_both(async |house| {
        house.enter(1, 10).await;
        let book = book(1);
        let patch = |body: &str| json_body(house.staff(Method::PATCH, &format!("/inventory/{book}")), body);
        let post = |body: &str| json_body(house.staff(Method::POST, "/inventory"), body);
        let isbn = contract::isbn::synthetic(1);
        for quantity in NO_QUANTITY.iter().chain(&["1000000001", "4294967295"]) {
            refused(patch(&format!(r#"{{"quantity":{quantity}}}"#)), INVALID, Some("quantity")).await;
            let body = format!(r#"{{"bookId":"{book}","isbn":"{isbn}","quantity":{quantity}}}"#);
            refused(post(&body), INVALID, Some("quantity")).await;
        }
        for delta in ["0", "1.5", "\"3\"", "1e18", "2147483648", "[]"] {
            refused(patch(&format!(r#"{{"delta":{delta}}}"#)), INVALID, Some("delta")).await;
        }
        let long = "x".repeat(501);
        for (body, field) in [
            (json!({}), "quantity"),
            (json!({ "delta": null }), "quantity"),
            (json!({ "quantity": 1, "delta": 1 }), "delta"),
            (json!({ "quantity": 1, "reason": long }), "reason"),
            (json!({ "quantity": 1, "reason": "" }), "reason"),
            (json!({ "quantity": 1, "reason": "a\0b" }), "reason"),
            (json!({ "quantity": 1, "reason": 5 }), "reason"),
        ] {
            refused(patch(&body.to_string()), INVALID, Some(field)).await;
        }
        for (body, field) in [
            (json!({}), "bookId"),
            (json!({ "bookId": "x", "isbn": isbn, "quantity": 1 }), "bookId"),
            (json!({ "bookId": book, "quantity": 1 }), "isbn"),
            (json!({ "bookId": book, "isbn": "9780132350885", "quantity": 1 }), "isbn"),
            (json!({ "bookId": book, "isbn": "", "quantity": 1 }), "isbn"),
            (json!({ "bookId": book, "isbn": "x".repeat(10_000), "quantity": 1 }), "isbn"),
            (json!({ "bookId": book, "isbn": 9780132350884_i64, "quantity": 1 }), "isbn"),
            (json!({ "bookId": book, "isbn": isbn, "quantity": 1, "title": "" }), "title"),
            (json!({ "bookId": book, "isbn": isbn, "quantity": 1, "author": long }), "author"),
            (json!({ "bookId": book, "isbn": isbn, "quantity": 1, "author": "\0" }), "author"),
        ] {
            refused(post(&body.to_string()), INVALID, Some(field)).await;
        }
        for (body, status) in
            [(r#"{"delta":-11}"#, StatusCode::CONFLICT), (r#"{"delta":2147483647}"#, StatusCode::CONFLICT)]
        {
            refused(patch(body), status, None).await;
        }
        for id in ["x", "%00", "00000000-0000-0000-0000-00000000000g"] {
            refused(
                json_body(house.staff(Method::PATCH, &format!("/inventory/{id}")), "{}"),
                StatusCode::NOT_FOUND,
                None,
            )
            .await;
            refused(house.staff(Method::GET, &format!("/inventory/{id}")), StatusCode::NOT_FOUND, None).await;
        }
        let unknown = format!("/inventory/{}", crate::support::book(2));
        refused(house.staff(Method::GET, &unknown), StatusCode::NOT_FOUND, None).await;
        refused(json_body(house.staff(Method::PATCH, &unknown), r#"{"quantity":1}"#), StatusCode::NOT_FOUND, None)
            .await;
        nothing_changed(house).await;
    })
    .await;
}

#[tokio::test]
async fn queries_and_other_methods() {
    on_both(async |house| {
        house.enter(1, 10).await;
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=-1", "limit"),
            ("limit=x", "limit"),
            ("cursor=x", "cursor"),
            ("cursor=%00", "cursor"),
        ] {
            refused(house.staff(Method::GET, &format!("/inventory?{query}")), INVALID, Some(field)).await;
            refused(house.staff(Method::GET, &format!("/shipments?{query}")), INVALID, Some(field)).await;
        }
        for since in ["-1", "x", "1.5", "99999999999999999999"] {
            refused(house.service(Method::GET, &format!("/inventory?since={since}")), INVALID, Some("since")).await;
            refused(house.staff(Method::GET, &format!("/inventory?below={since}")), INVALID, Some("below")).await;
        }
        let ledger = format!("/inventory/{}/movements", crate::support::book(1));
        for (query, field) in
            [("from=x", "from"), ("to=", "to"), ("kind=lost", "kind"), ("limit=0", "limit"), ("cursor=x", "cursor")]
        {
            refused(house.staff(Method::GET, &format!("{ledger}?{query}")), INVALID, Some(field)).await;
        }
        for unknown in
            [format!("/inventory/{}/movements", crate::support::book(2)), "/inventory/x/movements".to_owned()]
        {
            refused(house.staff(Method::GET, &unknown), StatusCode::NOT_FOUND, None).await;
        }
        for (query, field) in [
            ("from=yesterday", "from"),
            ("from=", "from"),
            ("to=2026-13-01T00:00:00Z", "to"),
            ("to=%2B99999-01-01T00:00:00Z", "to"),
            ("bookId=x", "bookId"),
            ("orderId=1", "orderId"),
        ] {
            refused(house.staff(Method::GET, &format!("/shipments?{query}")), INVALID, Some(field)).await;
        }
        for (method, path) in [(Method::DELETE, "/inventory"), (Method::PUT, "/shipments"), (Method::POST, "/health")] {
            refused(house.staff(method, path), StatusCode::METHOD_NOT_ALLOWED, None).await;
        }
        refused(house.staff(Method::GET, "/nowhere"), StatusCode::NOT_FOUND, None).await;
        nothing_changed(house).await;
    })
    .await;
}

#[tokio::test]
async fn accounts() {
    on_both(async |house| {
        house.enter(1, 10).await;
        let register = |body: Value| house.staff(Method::POST, "/auth/register").json(&body);
        let login = |body: Value| house.staff(Method::POST, "/auth/login").json(&body);
        for (body, field) in [
            (json!({ "password": "long enough" }), "email"),
            (json!({ "email": "a@example.com" }), "password"),
            (json!({ "email": 5, "password": "long enough" }), "email"),
            (json!({ "email": "nobody", "password": "long enough" }), "email"),
            (json!({ "email": "a@example.com", "password": "short" }), "password"),
            (json!({ "email": "a@example.com", "password": "x".repeat(72) }), "password"),
            (json!({ "email": "a@example.com", "password": "long enough", "role": "OWNER" }), "role"),
            (json!({ "email": "a@example.com", "password": "long enough", "firstName": 5 }), "firstName"),
            (json!({ "email": "a\0@example.com", "password": "long enough" }), "email"),
        ] {
            refused(register(body), INVALID, Some(field)).await;
        }
        for (body, field) in [(json!({}), "email"), (json!({ "email": "a@example.com" }), "password")] {
            refused(login(body), INVALID, Some(field)).await;
        }
        refused(login(json!({ "email": "", "password": "" })), StatusCode::UNAUTHORIZED, None).await;
        assert_eq!(house.number("SELECT count(*) FROM users").await, 1);
        nothing_changed(house).await;
    })
    .await;
}
