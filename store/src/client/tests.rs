use std::sync::Arc;

use contract::{DatabaseId, OrderId, ReturnId, ShipmentId, ShipmentLine, problem};
use futures_util::future::join_all;
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use uuid::Uuid;

use super::*;
use crate::db::testing::{book_id, row};

const SECOND: Duration = Duration::from_secs(1);

/// A server that answers every request with these bytes, then closes; none at all for empty ones. And what it was sent.
async fn server(answer: Vec<u8>) -> (String, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/warehouses/alpha/", listener.local_addr().unwrap());
    let (sender, receiver) = unbounded_channel();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answer, sender) = (Arc::clone(&answer), sender.clone());
            tokio::spawn(async move {
                let _ = sender.send(converse(stream, &answer).await);
            });
        }
    });
    (url, receiver)
}

async fn converse(mut stream: TcpStream, answer: &[u8]) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4_096];
    while !is_whole(&request) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
    String::from_utf8_lossy(&request).into_owned()
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn http(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len()).into_bytes()
}

fn api(url: &str) -> Arc<dyn WarehouseApi> {
    connector(Secret::new("s3cret"), SECOND, 4).unwrap()(url)
}

fn call(action: Action) -> Call {
    Call {
        order: OrderId(Uuid::from_u128(1)),
        shipment: ShipmentId(Uuid::from_u128(2)),
        database_id: DatabaseId(Uuid::from_u128(3)),
        action,
    }
}

fn lines() -> Vec<ShipmentLine> {
    vec![ShipmentLine { book_id: book_id(1), isbn: "x".to_owned(), quantity: 2 }]
}

fn to_ship() -> Call {
    call(Action::Ship { lines: lines() })
}

fn receipt() -> Value {
    let Call { order, shipment, database_id, .. } = to_ship();
    json!({
        "orderId": order, "shipmentId": shipment, "warehouseName": "alpha", "shipped": true,
        "shippedAt": "2026-11-22T10:00:00.000Z", "databaseId": database_id,
        "stock": [{ "bookId": book_id(1), "quantity": 4, "reserved": 1, "version": 9 }],
    })
}

#[tokio::test]
async fn ships_with_the_secret_and_the_request_id_and_reads_the_receipt() {
    let (url, mut requests) = server(http(200, "", &receipt().to_string())).await;
    let trace = Trace::of(&HeaderMap::from_iter([("x-request-id".parse().unwrap(), "of-a-client".parse().unwrap())]));
    let Delivery::Shipped(shipped) = api(&url).call(&to_ship(), Some(&trace)).await else { panic!("not shipped") };
    assert_eq!((shipped.stock[0].available(), shipped.stock[0].version), (3, 9));
    let sent = requests.recv().await.unwrap();
    assert!(sent.starts_with("POST /warehouses/alpha/shipments HTTP/1.1\r\n"), "{sent}");
    let parent = format!("traceparent: 00-{}-", trace.trace_id());
    for header in
        ["authorization: Bearer s3cret\r\n", "x-request-id: of-a-client\r\n", &parent, "content-type: application/json"]
    {
        assert!(sent.contains(header), "{sent}");
    }
}

#[tokio::test]
async fn each_action_has_its_path_and_names_the_database_that_is_meant() {
    let Call { order, shipment, database_id, .. } = to_ship();
    let (return_id, items) = (ReturnId(Uuid::from_u128(4)), json!(lines()));
    let meant = json!({ "databaseId": database_id });
    let with = |more: Value| {
        let mut body = json!({ "orderId": order, "shipmentId": shipment, "databaseId": database_id, "items": items });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let reserve = |hold| Action::Reserve { lines: lines(), hold };
    let reserved = |seconds: u32| with(json!({ "expiresInSeconds": seconds }));
    let restock = Action::Restock { return_id, lines: lines() };
    let table = [
        (Action::Ship { lines: lines() }, "shipments".to_owned(), with(json!({}))),
        (reserve(Duration::from_millis(60_001)), "reservations".to_owned(), reserved(61)),
        (reserve(Duration::ZERO), "reservations".to_owned(), reserved(1)),
        (reserve(Duration::MAX), "reservations".to_owned(), reserved(MAX_HOLD_SECONDS)),
        (Action::Confirm, format!("reservations/{shipment}/confirm"), meant.clone()),
        (Action::ShipHeld, format!("reservations/{shipment}/ship"), meant.clone()),
        (Action::Void, format!("shipments/{shipment}/void"), meant),
        (restock, "returns".to_owned(), with(json!({ "returnId": return_id }))),
    ];
    let already = json!({
        "type": problem::ALREADY_SHIPPED, "title": "", "status": 409, "databaseId": database_id, "shipment": receipt(),
    });
    let (url, mut requests) = server(http(409, "", &already.to_string())).await;
    for (action, path, body) in table {
        let delivery = api(&url).call(&call(action.clone()), None).await;
        let expected = if matches!(action, Action::Restock { .. }) { "unknown" } else { "shipped" };
        assert_eq!(delivery.name(), expected, "{}", action.name());
        let sent = requests.recv().await.unwrap();
        assert!(sent.starts_with(&format!("POST /warehouses/alpha/{path} HTTP/1.1\r\n")), "{sent}");
        assert!(sent.contains("authorization: Bearer s3cret\r\n"), "{sent}");
        assert_eq!(serde_json::from_str::<Value>(sent.split_once("\r\n\r\n").unwrap().1).unwrap(), body);
    }
}

#[tokio::test]
async fn r01_whatever_reached_the_warehouse_is_unknown_unless_it_answers() {
    let refused = json!({
        "type": problem::INSUFFICIENT_STOCK, "title": "", "status": 409, "databaseId": to_ship().database_id,
        "shortfalls": [{ "bookId": book_id(1), "requested": 2, "available": 1 }], "stock": [row(1, 1, 7)],
    });
    let truncated = b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{".to_vec();
    let redirect = http(307, "location: http://127.0.0.1:9/shipments\r\n", "");
    let table = [
        ("refused", http(409, "", &refused.to_string())),
        ("unknown", http(500, "", "")),
        ("unknown", http(503, "retry-after: 1\r\n", "")),
        ("unknown", http(401, "", "")),
        ("unknown", http(404, "", "<html>")),
        ("unknown", redirect),
        ("unknown", http(200, "", "{}")),
        ("unknown", http(202, "", &receipt().to_string())),
        ("unknown", http(409, "", "{}")),
        ("unknown", truncated),
        ("unknown", Vec::new()),
        ("unknown", b"SSH-2.0\r\n".to_vec()),
    ];
    for (expected, answer) in table {
        let shown = String::from_utf8_lossy(&answer).into_owned();
        let (url, _requests) = server(answer).await;
        let delivery = api(&url).call(&to_ship(), None).await;
        let outcome = match &delivery {
            Delivery::Refused { shortfalls, stock } if shortfalls.len() == 1 && stock.len() == 1 => "refused",
            Delivery::Unknown { .. } => "unknown",
            _ => "?",
        };
        assert_eq!(outcome, expected, "{shown}: {delivery:?}");
    }
}

#[tokio::test]
async fn r01_only_a_connection_that_never_was_is_certain() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for url in [format!("http://{closed}"), "http://no-such-host.invalid".to_owned(), "not a url".to_owned()] {
        let delivery = api(&url).call(&to_ship(), None).await;
        let Delivery::NeverSent { reason } = &delivery else { panic!("{url}: {delivery:?}") };
        assert!(!reason.is_empty());
    }
}

#[tokio::test]
async fn reads_an_inventory_with_its_version() {
    let item = |n: u128, quantity| {
        json!({
            "bookId": book_id(n), "isbn": "x", "quantity": quantity, "reserved": 2, "available": quantity - 2,
            "title": "T", "updatedAt": "2026-11-22T10:00:00.000Z", "version": n,
        })
    };
    let body = json!([item(2, 9), item(1, 5)]).to_string();
    let (url, mut requests) = server(http(200, "Inventory-Version: 17\r\n", &body)).await;
    let snapshot = api(&url).inventory().await.unwrap();
    assert_eq!(snapshot.version, 17);
    let rows: Vec<_> = snapshot.rows.iter().map(|row| (row.book_id, row.available(), row.version)).collect();
    assert_eq!(rows, [(book_id(1), 3, 1), (book_id(2), 7, 2)]);
    let sent = requests.recv().await.unwrap();
    assert!(sent.starts_with("GET /warehouses/alpha/inventory HTTP/1.1\r\n"), "{sent}");
}

#[tokio::test]
async fn an_inventory_that_is_none_is_an_error() {
    let problem = json!({ "type": "x", "title": "x", "status": 503, "detail": "starting" }).to_string();
    let table = [
        (http(200, "", "[]"), "unreadable answer: no inventory-version"),
        (http(200, "inventory-version: x\r\n", "[]"), "unreadable answer: no inventory-version"),
        (http(200, "inventory-version: 1\r\n", "{}"), "unreadable answer: "),
        (http(200, "inventory-version: 1\r\n", "[{\"bookId\": 7}]"), "unreadable answer: "),
        (http(503, "", &problem), "answered 503: starting"),
        (http(401, "", ""), "answered 401"),
        (Vec::new(), "error sending request"),
    ];
    for (answer, expected) in table {
        let (url, _requests) = server(answer).await;
        let error = api(&url).inventory().await.unwrap_err().to_string();
        assert!(error.starts_with(expected), "{expected}: {error}");
    }
}

#[tokio::test]
async fn an_endless_inventory_is_cut_off() {
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
    let answer =
        format!("HTTP/1.1 200 OK\r\ninventory-version: 1\r\ntransfer-encoding: chunked\r\n\r\n{}", chunk.repeat(70));
    let (url, _requests) = server(answer.into_bytes()).await;
    assert_eq!(api(&url).inventory().await.unwrap_err(), CallError::TooLarge(INVENTORY_LIMIT));
}

#[tokio::test]
async fn reads_health() {
    let body = json!({ "status": "healthy", "timestamp": "2026-11-22T10:00:00Z", "databaseId": Uuid::from_u128(3) });
    let (url, mut requests) = server(http(200, "", &body.to_string())).await;
    let api = api(&url);
    let reports = join_all((0..3).map(|_| api.health())).await;
    assert!(reports.iter().all(|report| report.as_ref().is_ok_and(|report| report.status == "healthy")));
    assert!(requests.recv().await.unwrap().starts_with("GET /warehouses/alpha/health HTTP/1.1\r\n"));
}

/// What becomes of a call to `action`, and the first lines of what went out for it.
async fn failing(action: Action, point: &str, how: &str) -> (&'static str, Vec<String>) {
    let receipt = json!({
        "shipmentId": to_ship().shipment, "databaseId": to_ship().database_id, "voided": true, "stock": [],
    });
    let answer = if action == Action::ShipHeld && point == "answered" { self::receipt() } else { receipt };
    let (url, mut requests) = server(http(200, "", &answer.to_string())).await;
    let point = format!("{point}:{}", action.name());
    fault::set(&point, &format!("1*return(fail:{how})")).unwrap();
    let delivery = api(&url).call(&call(action), None).await;
    let mut sent = Vec::new();
    while let Ok(request) = requests.try_recv() {
        sent.push(request.split_whitespace().nth(1).unwrap_or_default().to_owned());
    }
    (delivery.name(), sent)
}

#[tokio::test]
async fn calls_fail_as_a_test_tells_them_to() {
    if !fault::ENABLED {
        return;
    }
    let shipment = to_ship().shipment;
    let (void, ship_held) = (
        format!("/warehouses/alpha/shipments/{shipment}/void"),
        format!("/warehouses/alpha/reservations/{shipment}/ship"),
    );
    let ship = || Action::Ship { lines: lines() };
    assert_eq!(failing(ship(), "call", "refuse").await, ("refused", vec![]));
    assert_eq!(failing(ship(), "call", "never-sent").await, ("never-sent", vec![]));
    assert_eq!(failing(ship(), "call", "unknown").await, ("unknown", vec![]));
    assert_eq!(failing(Action::ShipHeld, "answered", "unknown").await, ("unknown", vec![ship_held]));
    assert_eq!(failing(Action::Confirm, "call", "refuse").await, ("voided", vec![void.clone()]), "it is held no more");
    assert_eq!(failing(Action::ShipHeld, "call", "refuse").await, ("voided", vec![void.clone()]));
    assert_eq!(failing(Action::Void, "call", "refuse").await, ("unknown", vec![]));
    assert_eq!(failing(Action::Void, "call", "never-sent").await, ("never-sent", vec![]));
    assert_eq!(failing(Action::Void, "answered", "unknown").await, ("unknown", vec![void]));
}
