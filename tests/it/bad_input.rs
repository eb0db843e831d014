//! What no client should send, on every endpoint: never a 5xx, always a problem that names the field, and nothing left behind.

use reqwest::Method;

use crate::harness::*;

/// No number of copies.
const NO_QUANTITY: &[&str] = &["-5", "0", "1.5", "\"3\"", "null", "1e18", "1e400", "true", "[]", "{}"];
/// The same where none at all is a number of copies.
const NO_STOCK: &[&str] = &["-5", "1.5", "\"3\"", "1e18", "true", "[]", "{}"];
const NO_ID: &[&str] = &["\"x\"", "\"\"", "1", "null", "[]", "true"];
const NO_TEXT: &[&str] = &["1", "null", "[]", "true", "{}"];
const NO_LIST: &[&str] = &["null", "{}", "[]", "\"x\"", "1", "[null]", "[1]", "[\"x\"]"];
const NO_URL: &[&str] = &["1", "null", "\"\"", "\"not a url\"", "\"ftp://host/x\"", "\"/only/a/path\""];
const NO_EMAIL: &[&str] =
    &["1", "null", "\"\"", "\"alice\"", "\"@customer.com\"", "\"alice@\"", "\"a b@customer.com\""];

/// An endpoint that takes a body, as somebody who may use it.
struct Endpoint {
    client: Client,
    method: Method,
    path: String,
    /// Fields with values that they refuse. The first text is a whole body in which `$` stands for the value.
    fields: Vec<(String, &'static str, &'static [&'static str])>,
}

impl Endpoint {
    fn post(client: &Client, path: impl Into<String>) -> Self {
        Self { client: client.clone(), method: Method::POST, path: path.into(), fields: Vec::new() }
    }

    fn field(mut self, body: impl Into<String>, name: &'static str, values: &'static [&'static str]) -> Self {
        self.fields.push((body.into(), name, values));
        self
    }

    async fn send(&self, body: &[u8], content_type: Option<&str>) -> Answer {
        self.client.try_send_raw(self.method.clone(), &self.path, Some(body.to_vec()), content_type).await.unwrap()
    }

    async fn refuses_bad_fields(&self) {
        for (template, name, values) in &self.fields {
            for value in *values {
                let body = template.replace('$', value);
                let answer = self.send(body.as_bytes(), Some("application/json")).await;
                let here = format!("{} {} {body}: {}", self.method, self.path, answer.text);
                if *value == "1e400" && answer.code() == 400 {
                    continue; // no number that JSON readers must take
                }
                assert_eq!(answer.code(), 422, "{here}");
                let fields = answer.fields();
                assert!(fields.iter().any(|field| field.contains(name)), "{fields:?} names not {name}: {here}");
            }
        }
    }

    async fn refuses_bad_bodies(&self) {
        let deep = "[".repeat(100_000);
        for body in [&b""[..], b"{", b"nul", b"\xff\xfe", b"{\"items\":}", b"{'a':1}", b"{} x", deep.as_bytes()] {
            let answer = self.send(body, Some("application/json")).await;
            assert_eq!(
                answer.problem(400),
                "malformed-body",
                "{} {}",
                self.path,
                String::from_utf8_lossy(&body[..body.len().min(20)])
            );
        }
        for body in ["[]", "1", "\"x\"", "null", "true"] {
            let answer = self.send(body.as_bytes(), Some("application/json")).await;
            assert_eq!(answer.code(), 422, "{} {body}: {}", self.path, answer.text);
            answer.fields();
        }
        for content_type in
            [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonx")]
        {
            let answer = self.send(b"{}", content_type).await;
            assert_eq!(answer.problem(415), "unsupported-media-type", "{}", self.path);
        }
        let huge = format!("{{\"x\":\"{}\"}}", "x".repeat(2 << 20));
        match self
            .client
            .try_send_raw(self.method.clone(), &self.path, Some(huge.into_bytes()), Some("application/json"))
            .await
        {
            Ok(answer) => assert_eq!(answer.problem(413), "body-too-large", "{}", self.path),
            Err(error) => assert!(!error.is_timeout(), "{error:?}"), // closed while we were still sending, as HTTP allows
        }
    }
}

/// What could be left behind, in all databases.
async fn traces(shop: &Shop) -> Vec<(String, i64)> {
    let mut traces = Vec::new();
    let tables = [
        "users",
        "books",
        "orders",
        "order_items",
        "payments",
        "shipments",
        "sagas",
        "saga_journal",
        "warehouse_registry",
        "inventory_cache",
    ];
    let sql = shop.store.sql().await;
    for table in tables {
        traces.push((table.to_owned(), sql.number(&format!("SELECT count(*) FROM {table}")).await.unwrap()));
    }
    for warehouse in [&shop.alpha, &shop.beta] {
        let sql = warehouse.service.sql().await;
        for table in ["users", "inventory", "inventory_movements", "shipment_logs", "outbox"] {
            traces.push((
                format!("{} {table}", warehouse.name),
                sql.number(&format!("SELECT count(*) FROM {table}")).await.unwrap(),
            ));
        }
        traces.push((
            format!("{} copies", warehouse.name),
            sql.number("SELECT sum(quantity) FROM inventory").await.unwrap(),
        ));
    }
    traces
}

async fn refuse_everything(shop: &Shop, endpoints: &[Endpoint]) {
    let before = traces(shop).await;
    for endpoint in endpoints {
        endpoint.refuses_bad_fields().await;
        endpoint.refuses_bad_bodies().await;
    }
    assert_eq!(traces(shop).await, before, "something was left behind");
    shop.invariants_hold(&[]).await;
}

fn accounts(anyone: &Client, registrar: &Client) -> [Endpoint; 2] {
    let other =
        |member: &str| format!("{{\"email\":\"new@customer.com\",\"password\":\"long enough\",\"{member}\":$}}");
    const NO_PASSWORD: &[&str] = &[
        "1",
        "null",
        "\"\"",
        "\"seven77\"",
        "\"123456789012345678901234567890123456789012345678901234567890123456789012\"",
    ];
    [
        Endpoint::post(registrar, "/auth/register")
            .field("{\"email\":$,\"password\":\"long enough\"}", "email", NO_EMAIL)
            .field("{\"email\":\"new@customer.com\",\"password\":$}", "password", NO_PASSWORD)
            .field(other("firstName"), "firstName", &["1", "[]", "{}"])
            .field(other("role"), "role", &["\"KING\"", "1", "[]"])
            .field("{\"password\":\"long enough\"$}", "email", &[""]),
        Endpoint::post(anyone, "/auth/login")
            .field("{\"email\":$,\"password\":\"alice123\"}", "email", NO_TEXT)
            .field("{\"email\":\"alice@customer.com\",\"password\":$}", "password", NO_TEXT)
            .field("{\"password\":\"alice123\"$}", "email", &[""]),
    ]
}

#[tokio::test]
async fn the_store_refuses_bad_bodies_and_names_the_field() {
    let shop = Shop::open().await;
    let book = shop.books[0].id;
    let (alice, service) = (shop.alice(), shop.anyone().service());
    let paid =
        |payment: &str| format!("{{\"items\":[{{\"bookId\":\"{book}\",\"quantity\":1}}],\"payment\":{payment}}}");
    let registered = |member: &str| {
        let whole = [
            ("name", "\"warehouse-gamma\""),
            ("url", "\"http://g\""),
            ("internalUrl", "\"http://g\""),
            ("databaseId", "\"018f5b2e-0000-7000-8000-000000000000\""),
        ];
        let members: Vec<String> = whole
            .iter()
            .map(|(name, value)| format!("\"{name}\":{}", if *name == member { "$" } else { value }))
            .collect();
        format!("{{{}}}", members.join(","))
    };
    let confirmed =
        |member: &str| format!("{{\"status\":\"SHIPPED\",\"shippedAt\":\"2026-11-22T10:00:00Z\",\"{member}\":$}}");
    let mut endpoints = vec![
        Endpoint::post(&alice, "/orders")
            .field(format!("{{\"items\":[{{\"bookId\":\"{book}\",\"quantity\":$}}]}}"), "quantity", NO_QUANTITY)
            .field(
                format!(
                    "{{\"items\":[{{\"bookId\":\"{book}\",\"quantity\":1}},{{\"bookId\":\"{book}\",\"quantity\":$}}]}}"
                ),
                "items[1].quantity",
                NO_QUANTITY,
            )
            .field(
                format!("{{\"items\":[{{\"bookId\":\"{book}\",\"quantity\":$}}]}}"),
                "quantity",
                &["1001", "4294967296"],
            )
            .field("{\"items\":[{\"bookId\":$,\"quantity\":1}]}", "bookId", NO_ID)
            .field("{\"items\":[{\"quantity\":1}]$}", "bookId", &[""])
            .field("{\"items\":$}", "items", NO_LIST)
            .field("{$}", "items", &[""])
            .field(paid("{\"amount\":$}"), "amount", &["0.01", "-1", "14.999", "\"x\"", "true", "[]", "1e30"])
            .field(paid("{\"method\":$}"), "method", &["1", "true", "[]", "{}"])
            .field(paid("$"), "payment", &["1", "\"x\"", "true"]),
        Endpoint::post(&service, format!("/orders/{}/status", Uuid::now_v7()))
            .field("{\"status\":$,\"shippedAt\":\"2026-11-22T10:00:00Z\"}", "status", &["\"DONE\"", "1", "null", "[]"])
            .field("{\"status\":\"SHIPPED\",\"shippedAt\":$}", "shippedAt", &["\"yesterday\"", "1", "null", "\"\""])
            .field(confirmed("shipmentId"), "shipmentId", &["\"x\"", "1", "[]"])
            .field(confirmed("warehouseName"), "warehouseName", &["1", "[]"])
            .field(confirmed("stock"), "stock", &["1", "[1]", "[{}]", "\"x\""]),
        Endpoint::post(&service, "/warehouses/register")
            .field(registered("name"), "name", &["1", "null", "\"\"", "[]"])
            .field(registered("url"), "url", NO_URL)
            .field(registered("internalUrl"), "internalUrl", NO_URL)
            .field(registered("databaseId"), "databaseId", NO_ID),
    ];
    endpoints.extend(accounts(&shop.anyone(), &shop.anyone()));
    refuse_everything(&shop, &endpoints).await;
}

#[tokio::test]
async fn a_warehouse_refuses_bad_bodies_and_names_the_field() {
    let shop = Shop::open().await;
    let (book, isbn) = (shop.books[0].id, shop.books[0].isbn.clone());
    let (staff, service) = (shop.alpha.staff(), shop.alpha.service.anyone().service());
    let id = Uuid::now_v7();
    let line = |member: &str| {
        let whole = [("bookId", format!("\"{book}\"")), ("isbn", format!("\"{isbn}\"")), ("quantity", "1".to_owned())];
        let members: Vec<String> = whole
            .iter()
            .map(|(name, value)| format!("\"{name}\":{}", if *name == member { "$" } else { value }))
            .collect();
        format!("{{{}}}", members.join(","))
    };
    let shipment = |member: &str| format!("{{\"orderId\":\"{id}\",\"items\":[{}]}}", line(member));
    let mut patch = Endpoint::post(&staff, format!("/inventory/{book}"))
        .field("{\"quantity\":$}", "quantity", NO_STOCK)
        .field("{\"delta\":$}", "delta", &["1.5", "\"3\"", "1e18", "true", "[]"])
        .field("{\"quantity\":$}", "quantity", &["null"])
        .field("{$}", "quantity", &[""])
        .field("{$}", "delta", &["\"quantity\":1,\"delta\":1"]);
    patch.method = Method::PATCH;
    let mut endpoints = vec![
        patch,
        Endpoint::post(&staff, "/inventory")
            .field(line("bookId"), "bookId", NO_ID)
            .field(line("isbn"), "isbn", &["1", "null", "\"\"", "[]", "\"978013235088x\"", "\"9780132350885\""])
            .field(line("quantity"), "quantity", NO_STOCK)
            .field(line("quantity"), "quantity", &["null"]),
        Endpoint::post(&service, "/shipments")
            .field(format!("{{\"orderId\":$,\"items\":[{}]}}", line("")), "orderId", NO_ID)
            .field(
                format!("{{\"orderId\":\"{id}\",\"shipmentId\":$,\"items\":[{}]}}", line("")),
                "shipmentId",
                &["\"x\"", "1", "[]"],
            )
            .field(format!("{{\"orderId\":\"{id}\",\"items\":$}}"), "items", NO_LIST)
            .field(shipment("bookId"), "bookId", NO_ID)
            .field(shipment("quantity"), "quantity", NO_QUANTITY)
            .field(shipment("isbn"), "isbn", &["1", "null", "[]"]),
    ];
    endpoints.extend(accounts(&shop.alpha.service.anyone(), &staff));
    refuse_everything(&shop, &endpoints).await;
    let below = staff.patch(&format!("/inventory/{book}"), json!({ "delta": -1_000_000 })).await;
    assert_eq!(below.problem(409), "stock-bounds");
}

/// Ids, queries, methods and paths.
#[tokio::test]
async fn bad_addresses_are_refused_and_named() {
    let shop = Shop::open().await;
    let before = traces(&shop).await;
    let (anyone, alice, admin, service) = (shop.anyone(), shop.alice(), shop.admin(), shop.anyone().service());
    let (house, staff, shipper) =
        (shop.alpha.service.anyone(), shop.alpha.staff(), shop.alpha.service.anyone().service());
    let nobody = Uuid::now_v7();
    for id in [
        "x",
        "1",
        "00000000-0000-0000-0000-00000000000g",
        "%00",
        "%ff",
        "..%2f..",
        &nobody.to_string(),
        &"9".repeat(5_000),
    ] {
        for (client, path) in
            [(&anyone, format!("/books/{id}")), (&alice, format!("/orders/{id}")), (&staff, format!("/inventory/{id}"))]
        {
            let answer = client.get(&path).await;
            assert!(matches!(answer.code(), 404 | 414 | 431), "{path}: {} {}", answer.code(), answer.text);
        }
        let stock = anyone.get(&format!("/inventory/books/{id}")).await;
        assert!(stock.code() < 500, "{}", stock.text);
        let status = json!({ "status": "SHIPPED", "shippedAt": "2026-11-22T10:00:00Z" });
        for answer in [
            service.post(&format!("/orders/{id}/status"), status.clone()).await,
            service.patch(&format!("/orders/{id}/status"), status).await,
        ] {
            assert!(matches!(answer.code(), 404 | 409 | 414 | 431), "{id}: {} {}", answer.code(), answer.text);
        }
        if id != nobody.to_string() {
            let answer = shipper.post(&format!("/shipments/{id}/void"), json!({})).await;
            assert!(matches!(answer.code(), 404 | 414 | 431), "{id}: {}", answer.text);
        }
    }
    for (client, path, named) in [
        (&anyone, "/books?limit=x", "limit"),
        (&anyone, "/books?limit=0", "limit"),
        (&anyone, "/books?limit=-1", "limit"),
        (&anyone, "/books?limit=1.5", "limit"),
        (&anyone, "/books?limit=99999999999999999999", "limit"),
        (&anyone, "/books?cursor=%21%21", "cursor"),
        (&alice, "/orders?limit=x", "limit"),
        (&alice, "/orders?cursor=x", "cursor"),
        (&staff, "/inventory?limit=x", "limit"),
        (&shipper, "/inventory?since=x", "since"),
        (&shipper, "/inventory?since=-1", "since"),
        (&shipper, "/inventory?since=1.5", "since"),
        (&staff, "/shipments?orderId=x", "orderId"),
        (&staff, "/shipments?bookId=x", "bookId"),
        (&staff, "/shipments?from=yesterday", "from"),
        (&staff, "/shipments?to=yesterday", "to"),
    ] {
        let answer = client.get(path).await;
        assert_eq!(answer.code(), 422, "{path}: {}", answer.text);
        assert!(answer.fields().iter().any(|field| field == named), "{path}: {}", answer.text);
    }
    for (client, method, path, allowed) in [
        (&anyone, Method::DELETE, "/orders", "POST"),
        (&admin, Method::PUT, "/warehouses", "GET"),
        (&anyone, Method::POST, "/health", "GET"),
        (&house, Method::DELETE, "/shipments", "POST"),
    ] {
        let answer = client.try_send(method, path, None).await.unwrap();
        assert_eq!(answer.problem(405), "method-not-allowed");
        assert!(answer.header("allow").contains(allowed), "{path}: {}", answer.header("allow"));
    }
    for client in [&anyone, &house] {
        assert_eq!(client.get("/nothing/here").await.problem(404), "not-found");
        assert_eq!(client.get("/%2e%2e/%2e%2e/etc/passwd").await.code(), 404);
    }
    assert_eq!(traces(&shop).await, before);
    shop.invariants_hold(&[]).await;
}

/// Books that are not for sale, and orders beyond what is allowed.
#[tokio::test]
async fn unknown_and_inactive_books_and_too_many_are_refused() {
    let mut shop = Shop::open().await;
    let inactive = shop.books[3].clone();
    shop.store
        .sql()
        .await
        .execute(&format!("UPDATE books SET is_active = false WHERE id = '{}'", inactive.id))
        .await
        .unwrap();
    shop.store.terminate().await; // the catalogue is read at start
    shop.store.start();
    shop.store.ready().await;
    shop.in_step().await;
    let before = traces(&shop).await;
    let good = shop.books[0].clone();
    for book in [inactive.id, Uuid::now_v7()] {
        let answer = shop.order(&[good.line(1), json!({ "bookId": book, "quantity": 1 })]).await;
        assert!(matches!(answer.code(), 409 | 422), "{}", answer.text);
        answer.problem(answer.code());
        assert!(
            answer.text.contains(&book.to_string()) || answer.text.contains("items[1]"),
            "it says which: {}",
            answer.text
        );
    }
    let many: Vec<Value> = (0..101).map(|_| json!({ "bookId": Uuid::now_v7(), "quantity": 1 })).collect();
    assert!(shop.order(&many).await.fields().iter().any(|field| field.contains("items")));
    let merged = shop.order(&[good.line(600), good.line(600)]).await;
    assert!(matches!(merged.code(), 409 | 422), "{}", merged.text);
    let wide = format!("{{\"items\":[{}]}}", vec![good.line(1).to_string(); 9_000].join(","));
    let answer = shop
        .alice()
        .try_send_raw(Method::POST, "/orders", Some(wide.into_bytes()), Some("application/json"))
        .await
        .unwrap();
    assert!(matches!(answer.code(), 409 | 413 | 422), "{}", answer.text);
    assert_eq!(traces(&shop).await, before);
    shop.invariants_hold(&[]).await;
}

/// No credentials, wrong ones, and those of somebody else.
#[tokio::test]
async fn credentials_that_do_not_suffice() {
    let shop = Shop::open().await;
    let placed = shop.order(&[shop.books[0].line(1)]).await;
    let order = placed.order().unwrap();
    placed.expect(201);
    let before = traces(&shop).await;
    let staff_only = ["/inventory", "/shipments", "/actors"];
    for path in ["/orders", &format!("/orders/{order}"), "/warehouses", "/actors"] {
        let wrong = [
            shop.anyone(),
            shop.anyone().who_is("alice@customer.com", "wrong"),
            shop.anyone().who_is("", ""),
            shop.anyone().who_is("nobody@x.y", "alice123"),
        ];
        for client in wrong {
            let answer = client.get(path).await;
            assert_eq!(answer.problem(401), "unauthorized", "{path}");
            assert!(answer.header("www-authenticate").starts_with("Basic"), "{path}");
        }
    }
    for path in ["/warehouses", "/actors"] {
        assert_eq!(shop.alice().get(path).await.problem(403), "forbidden", "{path}");
    }
    assert_eq!(shop.bob().get(&format!("/orders/{order}")).await.problem(403), "forbidden");
    assert!(!shop.bob().get("/orders").await.text.contains(&order.to_string()));
    for path in [format!("/orders/{order}/status"), "/warehouses/register".into()] {
        for client in [shop.anyone(), shop.alice(), shop.admin(), shop.anyone().who_is("Bearer", "x")] {
            assert!(matches!(client.post(&path, json!({})).await.code(), 401 | 403), "{path}");
        }
    }
    for path in staff_only {
        for client in [
            shop.alpha.service.anyone(),
            shop.alpha.service.anyone().who_is("alice@customer.com", "alice123"),
            shop.alpha.service.anyone().who_is("staff@warehouse-beta.com", "staff123"),
        ] {
            assert_eq!(client.get(path).await.problem(401), "unauthorized", "{path}");
        }
    }
    let ship = json!({ "orderId": Uuid::now_v7(), "items": [shop.books[0].shipment_line(1)] });
    assert!(
        matches!(shop.alpha.staff().post("/shipments", ship.clone()).await.code(), 401 | 403),
        "only the store ships"
    );
    assert_eq!(shop.alpha.service.anyone().post("/shipments", ship).await.code(), 401);
    assert_eq!(traces(&shop).await, before);
    shop.invariants_hold(&[order]).await;
}
