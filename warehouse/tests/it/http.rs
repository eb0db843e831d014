//! The routes as clients use them.

use contract::{
    DatabaseId, InventoryItem, OrderId, Problem, ShipmentId, ShipmentReceipt, WarehouseHealthReport, problem,
};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::support::{House, SECRET, STAFF, book, on_both};

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

impl House {
    pub(crate) fn staff(&self, method: Method, path: &str) -> RequestBuilder {
        client().request(method, format!("{}{path}", self.url)).basic_auth(STAFF.0, Some(STAFF.1))
    }

    pub(crate) fn service(&self, method: Method, path: &str) -> RequestBuilder {
        client().request(method, format!("{}{path}", self.url)).bearer_auth(SECRET)
    }

    fn anyone(&self, method: Method, path: &str) -> RequestBuilder {
        client().request(method, format!("{}{path}", self.url))
    }
}

pub(crate) async fn send(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap_or_default())
}

pub(crate) fn line(number: u128, quantity: u32) -> Value {
    json!({ "bookId": book(number), "isbn": "x", "quantity": quantity })
}

#[tokio::test]
async fn a_shipment_and_all_that_can_come_of_it() {
    on_both(async |house| {
        house.enter(1, 5).await;
        let post = |body: Value| house.service(Method::POST, "/shipments").json(&body);
        let health: WarehouseHealthReport =
            house.service(Method::GET, "/health").send().await.unwrap().json().await.unwrap();

        let (order, id) = (OrderId::new(), ShipmentId::new());
        let body = json!({ "orderId": order, "shipmentId": id, "databaseId": health.database_id, "items": [line(1, 1), line(1, 2)] });
        let (status, answer) = send(post(body.clone())).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let receipt: ShipmentReceipt = serde_json::from_value(answer).unwrap();
        assert_eq!((receipt.order_id, receipt.shipment_id, receipt.shipped), (order, id, true));
        assert_eq!((receipt.stock[0].quantity, receipt.database_id), (2, health.database_id));
        assert_eq!(send(post(body)).await.0, StatusCode::OK);

        let expect = async |request: RequestBuilder, kind: &str| {
            let (status, answer) = send(request).await;
            assert_eq!(status, StatusCode::CONFLICT, "{answer}");
            let problem: Problem = serde_json::from_value(answer).unwrap();
            assert_eq!((problem.kind.as_str(), problem.database_id), (kind, Some(health.database_id)));
            problem
        };
        let other_items = json!({ "orderId": order, "shipmentId": id, "items": [line(1, 1)] });
        expect(post(other_items), problem::SHIPMENT_MISMATCH).await;
        let too_many = json!({ "orderId": OrderId::new(), "items": [line(1, 3), line(7, 1)] });
        let refused = expect(post(too_many), problem::INSUFFICIENT_STOCK).await;
        assert_eq!(refused.shortfalls.iter().map(|line| (line.requested, line.available)).collect::<Vec<_>>(), [(3, 2), (1, 0)]);
        assert_eq!(refused.stock.iter().map(|row| row.quantity).collect::<Vec<_>>(), [2, 0]);
        let elsewhere = json!({ "orderId": OrderId::new(), "databaseId": DatabaseId::new(), "items": [line(1, 1)] });
        expect(post(elsewhere), problem::WAREHOUSE_IDENTITY).await;

        let void = |id: ShipmentId| house.service(Method::POST, &format!("/shipments/{id}/void"));
        let shipped = expect(void(id), problem::ALREADY_SHIPPED).await;
        assert_eq!(shipped.extra["shipment"]["shipmentId"], json!(id));
        let never = ShipmentId::new();
        let (status, answer) = send(void(never)).await;
        assert_eq!((status, &answer["voided"]), (StatusCode::OK, &json!(true)));
        let late = json!({ "orderId": OrderId::new(), "shipmentId": never, "items": [line(1, 1)] });
        expect(post(late), problem::VOIDED).await;
        assert_eq!(house.on_hand(1).await, 2);

        let (_, log) = send(house.staff(Method::GET, &format!("/shipments?orderId={order}"))).await;
        assert_eq!(log.as_array().unwrap().len(), 1);
        assert_eq!((&log[0]["quantity"], &log[0]["shipmentId"]), (&json!(3), &json!(id)));
    })
    .await;
}

#[tokio::test]
async fn staff_enters_lists_and_changes_stock() {
    on_both(async |house| {
        let isbn = contract::isbn::synthetic(1);
        let entered = house.staff(Method::POST, "/inventory").json(&json!({
            "bookId": book(1), "isbn": isbn, "quantity": 7, "title": "A title",
        }));
        let response = entered.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.headers()["location"], format!("inventory/{}", book(1)));
        for number in 2..=3 {
            house.enter(number, 1).await;
        }
        let path = format!("/inventory/{}", book(1));
        let (status, one) =
            send(house.staff(Method::PATCH, &path).json(&json!({ "delta": -2, "reason": "damaged" }))).await;
        assert_eq!((status, &one["quantity"], &one["title"]), (StatusCode::OK, &json!(5), &json!("A title")));
        let (status, _) = send(house.staff(Method::PATCH, &path).json(&json!({ "delta": -6 }))).await;
        assert_eq!(status, StatusCode::CONFLICT);
        assert_eq!(house.number("SELECT count(*) FROM inventory_movements WHERE reason = 'damaged'").await, 1);

        let response = house.staff(Method::GET, "/inventory?limit=2").send().await.unwrap();
        let next = response.headers()["link"].to_str().unwrap().to_owned();
        let version: i64 = response.headers()["inventory-version"].to_str().unwrap().parse().unwrap();
        assert_eq!(response.json::<Vec<InventoryItem>>().await.unwrap().len(), 2);
        let query = next.trim_start_matches('<').split('>').next().unwrap();
        let response = house.staff(Method::GET, &format!("/inventory{query}")).send().await.unwrap();
        assert!(!response.headers().contains_key("link"));
        let rest: Vec<InventoryItem> = response.json().await.unwrap();
        assert_eq!(rest.iter().map(|item| item.book_id).collect::<Vec<_>>(), [book(3)]);

        let since = house.service(Method::GET, &format!("/inventory?since={version}"));
        assert_eq!(send(since).await.1, json!([]));
        let (status, one) = send(house.service(Method::GET, &path)).await;
        assert_eq!((status, &one["available"]), (StatusCode::OK, &json!(5)));
        let (_, info) = send(house.anyone(Method::GET, "/info")).await;
        assert_eq!((&info["totalItems"], &info["totalBooks"], &info["name"]), (&json!(7), &json!(3), &json!("alpha")));
        assert_eq!((&info["status"], &info["registeredWith"]), (&json!("active"), &json!("http://store.example")));
    })
    .await;
}

#[tokio::test]
async fn staff_reads_the_ledger_and_what_runs_low_and_nothing_twice() {
    on_both(async |house| {
        house.enter(1, 5).await;
        house.enter(2, 500).await;
        let book_path = format!("/inventory/{}", book(1));
        for delta in [3, -4] {
            let change = json!({ "delta": delta, "reason": format!("because of {delta}") });
            assert_eq!(send(house.staff(Method::PATCH, &book_path).json(&change)).await.0, StatusCode::OK);
        }
        let response = house.staff(Method::GET, &format!("{book_path}/movements?limit=2")).send().await.unwrap();
        let next = response.headers()["link"].to_str().unwrap().to_owned();
        let entries: Value = response.json().await.unwrap();
        assert_eq!((&entries[0]["onHandDelta"], &entries[0]["kind"]), (&json!(-4), &json!("adjusted")));
        assert_eq!((&entries[1]["reason"], &entries[1]["madeBy"]), (&json!("because of 3"), &json!(STAFF.0)));
        let query = next.trim_start_matches('<').split('>').next().unwrap();
        let (status, rest) = send(house.staff(Method::GET, &format!("{book_path}/movements{query}"))).await;
        assert_eq!((status, rest.as_array().unwrap().len()), (StatusCode::OK, 1));
        assert_eq!((&rest[0]["kind"], rest[0].get("shipmentId")), (&json!("received"), None));
        let (_, received) = send(house.staff(Method::GET, &format!("{book_path}/movements?kind=received"))).await;
        assert_eq!(received.as_array().unwrap().len(), 2);

        let (_, low) = send(house.staff(Method::GET, "/inventory?below=5")).await;
        assert_eq!((low.as_array().unwrap().len(), &low[0]["bookId"]), (1, &json!(book(1))));
        for request in [
            |house: &House| house.staff(Method::GET, "/inventory"),
            |house: &House| house.service(Method::GET, "/inventory"),
        ] {
            let first = request(house).send().await.unwrap();
            let tag = first.headers()["etag"].to_str().unwrap().to_owned();
            assert!(first.headers().contains_key("inventory-version"));
            let again = request(house).header("if-none-match", &tag).send().await.unwrap();
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
            house.adjust(2, warehouse::domain::adjustment::Change::Delta(1)).await;
            let changed = request(house).header("if-none-match", &tag).send().await.unwrap();
            assert_eq!(changed.status(), StatusCode::OK);
        }
    })
    .await;
}

#[tokio::test]
async fn r15_the_store_gets_the_whole_inventory_in_pieces_that_are_one_array() {
    on_both(async |house| {
        let response = house.service(Method::GET, "/inventory").send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "[]");
        futures_util::future::join_all((1..=1_500).map(|number| house.enter(number, 1))).await;
        let response = house.service(Method::GET, "/inventory?limit=10").send().await.unwrap();
        assert!(!response.headers().contains_key("link"));
        assert!(response.headers().contains_key("etag"));
        let items: Vec<InventoryItem> = response.json().await.unwrap();
        assert_eq!(items.len(), 1_500);
        assert!(items.is_sorted_by_key(|item| item.book_id));
    })
    .await;
}

#[tokio::test]
async fn defect_7_only_staff_makes_staff() {
    on_both(async |house| {
        let new = json!({ "email": "New@example.com", "password": "new password" });
        let (status, _) = send(house.anyone(Method::POST, "/auth/register").json(&new)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        let (status, _) = send(house.service(Method::POST, "/auth/register").json(&new)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        let (status, made) = send(house.staff(Method::POST, "/auth/register").json(&new)).await;
        assert_eq!((status, &made["role"]), (StatusCode::CREATED, &json!("WAREHOUSE_STAFF")));
        assert!(!made.to_string().contains("assword"), "{made}");
        let (status, _) = send(house.staff(Method::POST, "/auth/register").json(&new)).await;
        assert_eq!(status, StatusCode::CONFLICT);
        let admin = json!({ "email": "b@example.com", "password": "new password", "role": "STORE_ADMIN" });
        let (status, refused) = send(house.staff(Method::POST, "/auth/register").json(&admin)).await;
        assert_eq!((status, &refused["errors"][0]["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("role")));

        let login = |password: &str| {
            let body = json!({ "email": "new@Example.com", "password": password });
            house.anyone(Method::POST, "/auth/login").json(&body)
        };
        assert_eq!(send(login("new password")).await.0, StatusCode::OK);
        let refused = login("old password").send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert!(refused.headers().contains_key("www-authenticate"));
    })
    .await;
}

#[tokio::test]
async fn every_route_lets_in_only_those_it_is_for() {
    on_both(async |house| {
        let (book, none) = (book(1), ShipmentId::new());
        let routes = [
            (Method::GET, "/health".to_owned(), true, false),
            (Method::GET, "/inventory".to_owned(), true, true),
            (Method::GET, format!("/inventory/{book}"), true, true),
            (Method::GET, format!("/inventory/{book}/movements"), false, true),
            (Method::POST, "/inventory".to_owned(), false, true),
            (Method::PATCH, format!("/inventory/{book}"), false, true),
            (Method::POST, "/shipments".to_owned(), true, false),
            (Method::POST, format!("/shipments/{none}/void"), true, false),
            (Method::GET, "/shipments".to_owned(), false, true),
            (Method::GET, "/reservations".to_owned(), false, true),
            (Method::POST, "/reservations".to_owned(), true, false),
            (Method::POST, format!("/reservations/{none}/confirm"), true, false),
            (Method::POST, format!("/reservations/{none}/ship"), true, false),
            (Method::DELETE, format!("/reservations/{none}"), true, false),
            (Method::POST, "/returns".to_owned(), true, false),
            (Method::GET, "/actors".to_owned(), false, true),
        ];
        for (method, path, for_services, for_staff) in routes {
            let status = |request: RequestBuilder| async { send(request.json(&json!({}))).await.0 };
            let nobody = status(house.anyone(method.clone(), &path)).await;
            assert_eq!(nobody, StatusCode::UNAUTHORIZED, "{method} {path}");
            for (request, may) in
                [(house.service(method.clone(), &path), for_services), (house.staff(method.clone(), &path), for_staff)]
            {
                let is_in = !matches!(status(request).await, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
                assert_eq!(is_in, may, "{method} {path}");
            }
        }
        for path in ["/ready", "/info"] {
            assert_eq!(send(house.anyone(Method::GET, path)).await.0, StatusCode::OK, "{path}");
        }
        let (_, actors) = send(house.staff(Method::GET, "/actors")).await;
        let children: Vec<_> =
            actors["tree"]["children"].as_array().unwrap().iter().map(|child| &child["path"]).collect();
        let names =
            ["database", "stock", "queries", "accounts", "audit", "relay", "sweeper", "http", "registrar", "titles"];
        assert_eq!(children, names.map(|name| json!(format!("warehouse/{name}"))).iter().collect::<Vec<_>>());
        assert_eq!(actors["outbox"]["waiting"], json!(0));
        assert_eq!(actors["reservations"]["held"], json!(0));
    })
    .await;
}
