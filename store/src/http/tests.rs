//! The routes of books, stock, warehouses and accounts, over a real socket, on a store with warehouses by script.

mod catalogue;

use std::sync::Arc;
use std::time::Duration;

use ::actors::System;
use contract::{BookId, demo};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use service::config::{BASE, Source};
use tempfile::TempDir;
use uuid::Uuid;

use crate::actors::testing::{Fake, never, now};
use crate::app::App;
use crate::client::Connect;
use crate::config::{Config, DEFAULTS};
use crate::domain::pull::Snapshot;

const SECRET: &str = "the secret of these tests";
const ADMIN: Who = Who::Account("admin@bookstore.com", "admin123");
const ALICE: Who = Who::Account("alice@customer.com", "alice123");

#[derive(Clone, Copy)]
enum Who {
    Anyone,
    Account(&'static str, &'static str),
    Bearer(&'static str),
}

struct Shop {
    base: String,
    http: reqwest::Client,
    system: System,
    _folder: TempDir,
}

struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The last word of the problem's type, and the fields it names.
    #[track_caller]
    fn problem(self, status: u16) -> (String, Vec<String>) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.body);
        let body = self.expect(status);
        assert_eq!(body["error"]["status"], status);
        let errors = body["errors"].as_array().into_iter().flatten();
        let fields = errors.map(|error| error["field"].as_str().unwrap().to_owned()).collect();
        (body["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned(), fields)
    }
}

/// Every demo book is there five times at version 3, and one that the store does not know.
fn stocked(url: &str) -> Fake {
    let row = |book_id: BookId| contract::StockRow { book_id, quantity: 6, reserved: 1, version: 3 };
    let rows: Vec<_> = demo::BOOKS.iter().map(|book| row(book.id())).chain([row(BookId::new())]).collect();
    let fake = Fake { inventory: Box::new(move |_| now(Ok(Snapshot::new(3, rows.clone())))), ..Fake::default() };
    if url.contains("hung") { Fake { health: Box::new(|_| never()), ..fake } } else { fake }
}

impl Shop {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::defaults(&[BASE, DEFAULTS]).unwrap();
        let database = format!("sqlite://{}", folder.path().join("store.db").display());
        let keys = [
            ("service_secret", SECRET),
            ("database_url", &database),
            ("bcrypt_cost", "4"),
            ("seed_demo", "true"),
            ("dispatch_timeout_ms", "500"),
        ];
        let source = keys.iter().fold(source, |source, (key, value)| source.with(key, value).unwrap());
        let config = Config::from_source(&source).unwrap();
        let connect: Connect = Arc::new(|url| stocked(url).api().1);
        let listener = service::http::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let store = App::build_with(&config, connect).unwrap().with_http(listener, &config);
        let system = System::start_at("store", &store.root, store.children).await.unwrap();
        assert!(system.started().await);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { base, http, system, _folder: folder }
    }

    async fn send(&self, who: Who, method: Method, path: &str, body: Option<&str>) -> Answer {
        let json = body.map(|body| (("content-type", "application/json"), body.to_owned().into()));
        let (headers, body) = json.map_or((vec![], None), |(header, body)| (vec![header], Some(body)));
        self.send_with(who, method, path, &headers, body).await
    }

    async fn send_with(
        &self,
        who: Who,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<reqwest::Body>,
    ) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        request = match who {
            Who::Anyone => request,
            Who::Account(email, password) => request.basic_auth(email, Some(password)),
            Who::Bearer(secret) => request.bearer_auth(secret),
        };
        request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect(&text) };
        Answer { status, headers, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Who::Anyone, Method::GET, path, None).await
    }

    async fn register(&self, body: Value) -> Answer {
        self.send(Who::Bearer(SECRET), Method::POST, "/warehouses/register", Some(&body.to_string())).await
    }

    /// Registers a warehouse and waits until its stock is known.
    async fn with_warehouse(&self, name: &str) -> Value {
        let registered = self.register(warehouse(name)).await.expect(201);
        kit::until("its inventory is pulled", Duration::from_secs(20), async || {
            let all = self.send(ADMIN, Method::GET, "/warehouses", None).await.expect(200);
            let found = all.as_array().unwrap().iter().find(|warehouse| warehouse["name"] == name).cloned();
            found.filter(|warehouse| warehouse["lastPulledAt"].is_string()).ok_or_else(|| all.to_string())
        })
        .await;
        registered
    }
}

fn warehouse(name: &str) -> Value {
    let url = format!("http://{name}:3000");
    json!({ "name": name, "url": url, "internalUrl": url, "databaseId": Uuid::from_u128(1) })
}

#[test]
fn every_route_is_documented() {
    assert_eq!(service::openapi::gaps(&super::table()), Vec::<String>::new());
}

#[tokio::test]
async fn lists_books_in_pages_with_what_is_in_stock() {
    let shop = Shop::open().await;
    shop.with_warehouse("alpha").await;
    shop.with_warehouse("beta").await;
    let (mut path, mut ids, mut pages) = ("/books?limit=8&genre=".to_owned(), Vec::new(), 0);
    loop {
        let page = shop.get(&path).await;
        let link = page.header("link").to_owned();
        for book in page.expect(200).as_array().unwrap() {
            assert_eq!((&book["availableStock"], &book["isActive"]), (&json!(10), &json!(true)));
            ids.push(book["id"].as_str().unwrap().to_owned());
        }
        pages += 1;
        let Some(next) = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")) else { break };
        path = format!("/books{next}");
    }
    assert_eq!((pages, ids.len()), (3, 20));
    assert!(ids.is_sorted());
}

#[tokio::test]
async fn a_book_says_where_it_is_and_since_when() {
    let shop = Shop::open().await;
    let demo = &demo::BOOKS[0];
    let path = format!("/books/{}", demo.id());
    let before = shop.get(&path).await.expect(200);
    assert_eq!((&before["availableStock"], &before["availability"]), (&json!(0), &json!([])));
    shop.with_warehouse("beta").await;
    shop.with_warehouse("alpha").await;
    let book = shop.get(&path).await.expect(200);
    assert_eq!((&book["isbn"], &book["title"], &book["price"]), (&json!(demo.isbn), &json!(demo.title), &json!(43.99)));
    assert_eq!(book["availableStock"], 10);
    let availability = book["availability"].as_array().unwrap();
    let names: Vec<_> = availability.iter().map(|shelf| shelf["warehouseName"].as_str().unwrap()).collect();
    assert_eq!(names, ["alpha", "beta"]);
    assert!(availability.iter().all(|shelf| shelf["quantity"] == 5 && shelf["lastSynced"].is_string()));
    let inventory = shop.get(&format!("/inventory/books/{}", demo.id())).await.expect(200);
    assert_eq!(&inventory, &book["availability"]);
}

#[tokio::test]
async fn bad_addresses_and_queries_of_books() {
    let shop = Shop::open().await;
    for id in ["x", "1", "0175bdea-725b-5e58-b14d-0dd9e2a720f5", "%00", "..%2f"] {
        for path in [format!("/books/{id}"), format!("/inventory/books/{id}")] {
            assert_eq!(shop.get(&path).await.problem(404).0, "not-found", "{path}");
        }
    }
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=x", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=%00", "cursor"),
        ("sort=isbn", "sort"),
        ("sort=", "sort"),
        ("ids=", "ids"),
        ("ids=x", "ids"),
        ("inactive=2", "inactive"),
        (&format!("query={}", "x".repeat(201)), "query"),
        (&format!("genre={}", "x".repeat(201)), "genre"),
        (&format!("author={}", "x".repeat(201)), "author"),
        (&format!("ids={}", vec![demo::BOOKS[0].id().to_string(); 101].join(",")), "ids"),
    ] {
        assert_eq!(shop.get(&format!("/books?{query}")).await.problem(422).1, [field], "{query}");
    }
    let refused = shop.send(Who::Anyone, Method::DELETE, "/books", None).await;
    assert_eq!(refused.header("allow"), "GET, POST, HEAD, OPTIONS");
    assert_eq!(refused.problem(405).0, "method-not-allowed");
}

#[tokio::test]
async fn r19_r20_registers_with_the_secret_only_and_is_no_strangers_prey() {
    let shop = Shop::open().await;
    let body = warehouse("alpha").to_string();
    for who in [Who::Anyone, Who::Bearer("wrong"), Who::Bearer(""), ADMIN] {
        let refused = shop.send(who, Method::POST, "/warehouses/register", Some(&body)).await;
        assert!(refused.header("www-authenticate").starts_with("Bearer"));
        refused.problem(401);
    }
    let first = shop.with_warehouse("alpha").await;
    assert_eq!((&first["name"], first.as_object().unwrap().len()), (&json!("alpha"), 3));
    let again = shop.register(warehouse("alpha")).await.expect(201);
    assert_eq!((&again["id"], &again["status"]), (&first["id"], &json!("HEALTHY")));

    let mut stranger = warehouse("alpha");
    stranger["databaseId"] = json!(Uuid::from_u128(2));
    assert_eq!(shop.register(stranger).await.problem(409).0, "warehouse-identity");
    let all = shop.send(ADMIN, Method::GET, "/warehouses", None).await.expect(200);
    let shown = json!([all[0]["name"], all[0]["status"], all[0]["breaker"], all[0]["enabled"], all[0]["priority"]]);
    assert_eq!(shown, json!(["alpha", "HEALTHY", "closed", true, 100]));
    assert!(all[0]["lastSeen"].is_string() && all[0]["internalUrl"] == "http://alpha:3000");
}

#[tokio::test]
async fn bad_registrations_name_every_field_and_leave_nothing_behind() {
    let shop = Shop::open().await;
    let with = |member: &str, value: Value| {
        let mut body = warehouse("alpha");
        body[member] = value;
        body
    };
    let table = [
        (with("name", json!("")), "name"),
        (with("name", json!("  ")), "name"),
        (with("name", json!("a/b")), "name"),
        (with("name", json!("a".repeat(65))), "name"),
        (with("name", json!(7)), "name"),
        (with("name", Value::Null), "name"),
        (with("url", json!("")), "url"),
        (with("url", json!("ftp://alpha")), "url"),
        (with("url", json!("http://")), "url"),
        (with("internalUrl", json!("alpha:3000")), "internalUrl"),
        (with("internalUrl", json!(format!("http://{}", "a".repeat(3_000)))), "internalUrl"),
        (with("databaseId", json!("x")), "databaseId"),
        (with("databaseId", json!([])), "databaseId"),
        (json!({ "url": "http://a", "internalUrl": "http://a", "databaseId": Uuid::from_u128(1) }), "name"),
    ];
    for (body, field) in table {
        assert_eq!(shop.register(body.clone()).await.problem(422).1, [field], "{body}");
    }
    let several = json!({ "name": "", "url": "", "internalUrl": "", "databaseId": Uuid::from_u128(1) });
    assert_eq!(shop.register(several).await.problem(422).1, ["name", "url", "internalUrl"]);
    for (body, status) in [("", 400), ("{", 400), ("[]", 422), ("null", 422), ("{} {}", 400)] {
        let answer = shop.send(Who::Bearer(SECRET), Method::POST, "/warehouses/register", Some(body)).await;
        answer.problem(status);
    }
    let all = shop.send(ADMIN, Method::GET, "/warehouses", None).await.expect(200);
    assert_eq!(all, json!([]));
}

#[tokio::test]
async fn what_only_admins_may_do() {
    let shop = Shop::open().await;
    for (method, path) in
        [(Method::GET, "/warehouses"), (Method::POST, "/inventory/reconcile"), (Method::GET, "/actors")]
    {
        for (who, status) in [
            (Who::Anyone, 401),
            (Who::Bearer(SECRET), 401),
            (Who::Account("admin@bookstore.com", "wrong"), 401),
            (ALICE, 403),
            (ADMIN, 200),
        ] {
            let answer = shop.send(who, method.clone(), path, None).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn reconciles_on_demand_and_says_what_became_of_each() {
    let shop = Shop::open().await;
    shop.with_warehouse("alpha").await;
    shop.register(warehouse("hung")).await.expect(201);
    let report = shop.send(ADMIN, Method::POST, "/inventory/reconcile", None).await.expect(200);
    let shown: Vec<_> = report["warehouses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| json!([result["name"], result["outcome"], result["items"], result["changed"]]))
        .collect();
    assert_eq!(shown, [json!(["alpha", "ok", 21, 0]), json!(["hung", "skipped", 0, 0])]);
    assert!(report["message"].is_string() && report["warehouses"][1]["error"].is_string());
}

#[tokio::test]
async fn registers_customers_and_lets_only_admins_make_admins() {
    let shop = Shop::open().await;
    let register = async |who: Who, email: &str, role: Option<&str>| {
        let mut body = json!({ "email": email, "password": "a long one", "firstName": "X" });
        if let Some(role) = role {
            body["role"] = json!(role);
        }
        shop.send(who, Method::POST, "/auth/register", Some(&body.to_string())).await
    };
    let new = register(Who::Anyone, "New@Example.com", None).await.expect(201);
    assert_eq!((&new["email"], &new["role"]), (&json!("new@example.com"), &json!("CUSTOMER")));
    assert_eq!(new.as_object().unwrap().len(), 3, "no hash, no password: {new}");
    assert_eq!(register(Who::Anyone, "new@example.com", Some("CUSTOMER")).await.problem(409).0, "email-taken");
    for who in [Who::Anyone, ALICE] {
        assert_eq!(register(who, "boss@example.com", Some("STORE_ADMIN")).await.problem(403).0, "forbidden");
    }
    let wrong = Who::Account("admin@bookstore.com", "wrong");
    assert_eq!(register(wrong, "boss@example.com", Some("STORE_ADMIN")).await.problem(401).0, "unauthorized");
    assert_eq!(register(ADMIN, "boss@example.com", Some("WAREHOUSE_STAFF")).await.problem(422).1, ["role"]);
    assert_eq!(register(ADMIN, "boss@example.com", Some("STORE_ADMIN")).await.expect(201)["role"], "STORE_ADMIN");

    let login = |password: &str| json!({ "email": "boss@example.com", "password": password }).to_string();
    let login = async |password| shop.send(Who::Anyone, Method::POST, "/auth/login", Some(&login(password))).await;
    assert_eq!(login("a long one").await.expect(200)["role"], "STORE_ADMIN");
    assert_eq!(login("another").await.problem(401).0, "unauthorized");
}

#[tokio::test]
async fn lives_is_ready_and_shows_its_tree() {
    let shop = Shop::open().await;
    assert_eq!(shop.get("/health").await.expect(200), json!({ "status": "ok", "service": "store" }));
    assert_eq!(shop.get("/ready").await.expect(200)["checks"]["database"], "ok");
    assert_eq!(shop.send(Who::Anyone, Method::HEAD, "/books", None).await.status, StatusCode::OK);
    shop.with_warehouse("alpha").await;
    let actors = shop.send(ADMIN, Method::GET, "/actors", None).await.expect(200);
    let children: Vec<_> =
        actors["tree"]["children"].as_array().unwrap().iter().map(|actor| actor["path"].as_str().unwrap()).collect();
    let order = [
        "database",
        "journal",
        "queries",
        "accounts",
        "audit",
        "catalog",
        "availability",
        "warehouses",
        "gateway",
        "fulfillment",
        "reconciler",
        "http",
    ];
    assert_eq!(children, order.map(|name| format!("store/{name}")));
    assert_eq!((&actors["unwell"], &actors["totals"]["restarts"]), (&json!([]), &json!(0)));
    shop.system.stop().await.unwrap();
}

#[tokio::test]
async fn changes_a_password_and_throttles_logins() {
    let shop = Shop::open().await;
    let change = async |who: Who, body: &str| shop.send(who, Method::POST, "/auth/password", Some(body)).await;
    let new = r#"{"password": "a better one"}"#;
    change(Who::Anyone, new).await.problem(401);
    change(Who::Bearer(SECRET), new).await.problem(401);
    change(Who::Account("alice@customer.com", "guess123"), new).await.problem(401);
    let (_, fields) = change(ALICE, r#"{"password": "short"}"#).await.problem(422);
    assert_eq!(fields, ["password"]);
    assert_eq!(change(ALICE, new).await.status, 204);
    change(ALICE, new).await.problem(401);
    shop.send(ALICE, Method::GET, "/orders", None).await.problem(401);
    let alice = Who::Account("alice@customer.com", "a better one");
    shop.send(alice, Method::GET, "/orders", None).await.expect(200);

    let login = async |password: &str| {
        let body = json!({ "email": "bob@customer.com", "password": password }).to_string();
        shop.send(Who::Anyone, Method::POST, "/auth/login", Some(&body)).await
    };
    for guess in 0..5 {
        login(&format!("guess {guess}")).await.problem(401);
    }
    let throttled = login("guess").await;
    assert_eq!(throttled.header("retry-after"), "1");
    throttled.problem(429);
    // A wait for one account is none for another.
    shop.send(alice, Method::GET, "/orders", None).await.expect(200);
    shop.system.stop().await.unwrap();
}

#[tokio::test]
async fn what_admins_change_is_noted_before_and_after_and_nothing_else_is() {
    let shop = Shop::open().await;
    let register = json!({ "email": "new@customer.com", "password": "p4ssw0rd-of-new" }).to_string();
    shop.send(ADMIN, Method::POST, "/auth/register", Some(&register)).await.expect(201);
    shop.send(ADMIN, Method::POST, "/auth/register", Some(&register)).await.problem(409);
    shop.send(ADMIN, Method::GET, "/warehouses", None).await.expect(200);
    shop.send(ALICE, Method::POST, "/auth/password", Some(r#"{"password": "another one"}"#)).await;
    let bad = shop.send(ADMIN, Method::POST, "/orders?x=y", Some("{\"token\": \"p4ss\", \"items\": 1}")).await;
    let request_id = bad.header("x-request-id").to_owned();
    bad.problem(422);

    let page = shop.send(ADMIN, Method::GET, "/audit", None).await.expect(200);
    let entries = page.as_array().unwrap();
    let summary: Vec<_> = entries
        .iter()
        .rev()
        .map(|entry| (entry["phase"].as_str().unwrap(), entry["route"].as_str().unwrap(), entry["status"].as_u64()))
        .collect();
    let expected = [
        ("requested", "/auth/register", None),
        ("answered", "/auth/register", Some(201)),
        ("requested", "/auth/register", None),
        ("answered", "/auth/register", Some(409)),
        ("requested", "/orders", None),
        ("answered", "/orders", Some(422)),
    ];
    assert_eq!(summary, expected);
    assert!(!page.to_string().contains("p4ss"), "{page}");
    let newest = &entries[1];
    assert_eq!((&newest["requestId"], &entries[0]["requestId"]), (&json!(request_id), &json!(request_id)));
    assert_eq!((&newest["email"], &newest["role"]), (&json!("admin@bookstore.com"), &json!("STORE_ADMIN")));
    assert_eq!((&newest["method"], &newest["path"]), (&json!("POST"), &json!("/orders")));
    assert_eq!(
        (&newest["client"], &newest["body"]),
        (&json!("127.0.0.1"), &json!(r#"{"items":1,"token":"[redacted]"}"#))
    );

    let list = async |query: &str| {
        let answer = shop.send(ADMIN, Method::GET, &format!("/audit{query}"), None).await;
        let next = answer.header("link").trim_start_matches('<').split('>').next().unwrap_or_default().to_owned();
        (answer.expect(200).as_array().unwrap().clone(), next)
    };
    let (mut seen, mut query) = (Vec::new(), "?limit=4".to_owned());
    loop {
        let (page, next) = list(&query).await;
        seen.extend(page);
        if next.is_empty() {
            break;
        }
        query = next;
    }
    assert_eq!(&seen, entries, "in pages");
    let at = newest["at"].as_str().unwrap();
    assert_eq!(list(&format!("?from={at}")).await.0, entries[..2]);
    assert_eq!(list(&format!("?to={at}")).await.0, entries[2..]);
    assert_eq!(list("?email=ADMIN@bookstore.com").await.0.len(), 6);
    assert_eq!(list("?email=alice@customer.com").await.0.len(), 0);
    shop.send(ADMIN, Method::GET, "/audit?from=yesterday", None).await.problem(422);
    shop.send(ALICE, Method::GET, "/audit", None).await.problem(401);
    shop.send(Who::Account("bob@customer.com", "bob123"), Method::GET, "/audit", None).await.problem(403);
    shop.send(Who::Bearer(SECRET), Method::GET, "/audit", None).await.problem(401);
    shop.system.stop().await.unwrap();
}

#[tokio::test]
async fn operators_see_a_part_of_the_tree_restart_it_and_are_told() {
    use futures_util::StreamExt as _;

    let shop = Shop::open().await;
    let restart = async |who: Who, path: &str| {
        shop.send(who, Method::POST, "/actors/restart", Some(&json!({ "path": path }).to_string())).await
    };
    let part = shop.send(ADMIN, Method::GET, "/actors?path=store/warehouses", None).await.expect(200);
    assert_eq!((&part["tree"]["path"], &part["totals"]["actors"]), (&json!("store/warehouses"), &json!(2)));
    shop.send(ADMIN, Method::GET, "/actors?path=store/nobody", None).await.problem(404);

    let events =
        shop.http.get(format!("{}/actors/events", shop.base)).basic_auth("admin@bookstore.com", Some("admin123"));
    let events = events.send().await.unwrap();
    assert_eq!(
        (events.status().as_u16(), events.headers()["content-type"].to_str().unwrap()),
        (200, "text/event-stream")
    );
    let mut events = events.bytes_stream();
    let mut heard = String::new();

    let view = restart(ADMIN, "store/catalog").await.expect(202);
    assert_eq!(view["path"], "store/catalog");
    shop.with_warehouse("alpha").await;
    while !(heard.contains("\"happened\":\"restarted\"") && heard.contains("event: health")) {
        heard.push_str(std::str::from_utf8(&events.next().await.unwrap().unwrap()).unwrap());
    }
    let asked = heard.find("\"happened\":\"restartAsked\"").expect("asked for");
    assert!(asked < heard.find("\"happened\":\"restarted\"").unwrap(), "{heard}");
    assert!(heard.contains("event: actor\n") && heard.contains("\"path\":\"store/catalog\""), "{heard}");
    assert!(heard.contains(r#""from":"OFFLINE""#) && heard.contains(r#""to":"HEALTHY""#), "{heard}");
    let catalog = shop.send(ADMIN, Method::GET, "/actors?path=store/catalog", None).await.expect(200);
    assert_eq!((&catalog["tree"]["restarts"], &catalog["tree"]["budgetLeft"]), (&json!(1), &json!(5)));

    restart(ADMIN, "store/nobody").await.problem(404);
    restart(ADMIN, "store").await.problem(409);
    restart(ALICE, "store/catalog").await.problem(403);
    restart(Who::Bearer(SECRET), "store/catalog").await.problem(401);
    drop(events);
    shop.system.stop().await.unwrap();
}
