//! The routes: each service under its prefix, without it, as if there were no proxy; and streams that are not held up.

use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, LOCATION};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::Traefik;
use super::traefik::HOST;
use crate::docs;
use crate::harness::*;

#[tokio::test(flavor = "multi_thread")]
async fn each_service_is_under_its_prefix_and_nothing_else_is_anywhere() {
    let shop = Shop::open().await;
    let traefik = Traefik::before(&shop).await;
    let health = traefik.client("/store").get("/health").await.expect(200);
    assert_eq!(health["service"], "store");
    for name in ["alpha", "beta"] {
        let prefix = format!("/warehouses/{name}");
        let info = traefik.client(&prefix).get("/info").await.expect(200);
        assert_eq!(info["name"], format!("warehouse-{name}"));
        let staff = format!("staff@warehouse-{name}.com");
        traefik.client(&prefix).who_is(&staff, "staff123").get("/inventory").await.expect(200);
        traefik.client(&prefix).service().get("/health").await.expect(200);
    }

    // The services answer themselves where they have no such page, Traefik where nobody has.
    let (code, text) = traefik.get("/store").await;
    assert!(code == 404 && text.contains("urn:bookstore:problem:"), "{text}");
    for nobody in ["/books", "/storefront/books", "/warehouses/alphabet/info", "/warehouses", "/warehouses/gamma/info"]
    {
        assert_eq!(traefik.get(nobody).await, (404, "404 page not found\n".to_owned()), "{nobody}");
    }
    let other = traefik.http().get(format!("http://{}/store/health", traefik.web())).send().await.unwrap();
    assert_eq!(other.status(), 404, "another host");
    assert_eq!(traefik.get("/store/books/..%2f..%2factors").await.0, 400, "a slash that hides");

    for home in ["/", "/?from=somewhere"] {
        let home = traefik.http().get(traefik.url(home)).send().await.unwrap();
        assert_eq!(home.status(), 302);
        assert_eq!(home.headers()[LOCATION], traefik.url("/store/docs"));
    }
    let page = docs::read(&traefik.url("/store/docs")).await;
    assert!(page.contains(">Place an order<"), "{}", &page[..page.len().min(4_000)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_placed_followed_and_shipped_through_it() {
    let shop = Shop::open().await;
    let traefik = Traefik::before(&shop).await;
    let store = traefik.client("/store");
    let alice = store.who_is("alice@customer.com", "alice123");
    let book = &shop.books[0];
    let stock = async |name: &str| {
        let who =
            traefik.client(&format!("/warehouses/{name}")).who_is(&format!("staff@warehouse-{name}.com"), "staff123");
        who.get(&format!("/inventory/{}", book.id)).await.expect(200)["quantity"].as_i64().unwrap()
    };
    let before = stock("alpha").await + stock("beta").await;

    let placed = alice.post("/orders", json!({ "items": [book.line(2)] })).await;
    let order = placed.expect(201);
    assert_eq!(order["status"], "SHIPPED");
    // Relative references, since a prefix was taken off.
    let here = reqwest::Url::parse(&traefik.url("/store/orders")).unwrap();
    let location = here.join(placed.header("location")).unwrap();
    assert_eq!(location.path(), format!("/store/orders/{}", order["id"].as_str().unwrap()));
    assert_eq!(alice.get(location.path().trim_start_matches("/store")).await.expect(200)["id"], order["id"]);
    let page = store.get("/books?limit=5").await;
    let next = page.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    let books = reqwest::Url::parse(&traefik.url("/store/books")).unwrap();
    let next = books.join(&next).unwrap();
    let path = format!("{}?{}", next.path().trim_start_matches("/store"), next.query().unwrap());
    assert_eq!(store.get(&path).await.expect(200).as_array().unwrap().len(), 5);

    assert_eq!(stock("alpha").await + stock("beta").await, before - 2);
    let admin = store.who_is("admin@bookstore.com", "admin123");
    let warehouses = admin.get("/warehouses").await.expect(200);
    assert!(warehouses.as_array().unwrap().iter().all(|warehouse| warehouse["status"] == "HEALTHY"), "{warehouses}");
    let large =
        alice.try_send_raw(reqwest::Method::POST, "/orders", Some(vec![b' '; 2_000_000]), Some("application/json"));
    assert_eq!(large.await.unwrap().problem(413), "body-too-large");
    shop.invariants_hold(&[placed.order().unwrap()]).await;
}

/// Each answer carries the security headers once, Traefik's own too, and is compressed by whoever can.
#[tokio::test(flavor = "multi_thread")]
async fn answers_are_compressed_and_carry_security_headers_once() {
    let shop = Shop::open().await;
    let traefik = Traefik::before(&shop).await;
    for (path, encoding) in
        [("/store/books", "gzip"), ("/store/openapi.json", "br"), ("/warehouses/alpha/openapi.json", "zstd")]
    {
        let request = traefik.http().get(traefik.url(path)).header(ACCEPT_ENCODING, encoding);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["content-encoding"], encoding, "{path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
        ] {
            let values: Vec<_> = answer.headers().get_all(name).iter().collect();
            assert_eq!(values, [value], "{path} {name}");
        }
        assert!(!answer.headers().contains_key("strict-transport-security"), "it is not HTTPS");
    }
}

/// What a client claims in X-Forwarded-For is not believed, however it is spelled: Traefik says whom it saw, and the store believes Traefik.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_pass_for_another_address() {
    let trusting = Plan {
        store: vec![("TRUSTED_PROXIES", "127.0.0.1".to_owned()), ("LOGIN_FAILURES_PER_ADDRESS", "3".to_owned())],
        ..Plan::default()
    };
    let shop = Shop::open_as(trusting).await;
    let traefik = Traefik::before(&shop).await;
    let mut codes = Vec::new();
    for number in 0..5 {
        let request =
            traefik.http().post(traefik.url("/store/auth/login")).header("x-forwarded-for", format!("10.0.0.{number}"));
        let request = request
            .header("x_forwarded_for", format!("10.0.1.{number}"))
            .header("x-real-ip", format!("10.0.2.{number}"));
        let body = json!({ "email": format!("{number}@example.com"), "password": "wrong password" });
        codes.push(request.json(&body).send().await.unwrap().status().as_u16());
    }
    assert_eq!(codes, [401, 401, 401, 429, 429], "all from one address");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_as_they_happen() {
    let shop = Shop::open().await;
    let traefik = Traefik::before(&shop).await;
    let admin = "Authorization: Basic YWRtaW5AYm9va3N0b3JlLmNvbTphZG1pbjEyMw==";
    let mut stream = TcpStream::connect(traefik.web()).await.unwrap();
    let head = format!(
        "GET /store/actors/events HTTP/1.1\r\nHost: {HOST}\r\nAccept-Encoding: gzip, br, zstd\r\n{admin}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut until = async |text: &str| {
        let found = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains(text) {
                    return;
                }
            }
            panic!("the stream has ended before {text:?}");
        };
        tokio::time::timeout(Duration::from_secs(5), found).await.unwrap_or_else(|_| panic!("{text:?} is held up"));
    };
    until("HTTP/1.1 200 OK").await;
    until(": open").await;
    for _ in 0..3 {
        let body = json!({ "path": "store/reconciler" });
        traefik
            .client("/store")
            .who_is("admin@bookstore.com", "admin123")
            .post("/actors/restart", body)
            .await
            .expect(202);
        until("store/reconciler").await;
    }
}
