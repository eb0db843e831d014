//! What one client may do, and that it is one route's concern.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kit::Mode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Traefik;
use super::traefik::HOST;
use crate::harness::*;

#[tokio::test(flavor = "multi_thread")]
async fn beyond_its_rate_a_client_gets_429_and_other_routes_go_on() {
    let shop = Shop::open().await;
    let traefik = Traefik::before_as(&shop, &[("RATE_LIMIT_PER_SECOND", "1"), ("RATE_LIMIT_BURST", "5")]).await;
    let http = traefik.http();
    let mut codes = BTreeMap::new();
    for _ in 0..20 {
        let answer = http.get(traefik.url("/store/health")).send().await.unwrap();
        if answer.status() == 429 {
            let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!(wait <= 60, "{wait}");
        }
        *codes.entry(answer.status().as_u16()).or_insert(0) += 1;
    }
    assert!(codes.keys().copied().eq([200, 429]) && (5..=8).contains(&codes[&200]), "{codes:?}");
    assert_eq!(http.get(traefik.url("/warehouses/alpha/info")).send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_its_requests_at_once_a_client_gets_429_until_one_ends() {
    let shop = Shop::open().await;
    let traefik = Traefik::before_as(&shop, &[("IN_FLIGHT_PER_CLIENT", "2")]).await;
    let admin = "Authorization: Basic YWRtaW5AYm9va3N0b3JlLmNvbTphZG1pbjEyMw==";
    let head = format!("GET /store/actors/events HTTP/1.1\r\nHost: {HOST}\r\n{admin}\r\n\r\n");
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(traefik.web()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        open.push(stream);
    }
    assert_eq!(traefik.get("/store/health").await.0, 429);
    assert_eq!(traefik.get("/warehouses/beta/info").await.0, 200);
    open.pop();
    kit::until("one has ended", SOON, async || match traefik.get("/store/health").await {
        (200, _) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

/// A warehouse that is gone: its callers wait for it once, then are told at once; nobody else notices, and orders go to the other one.
#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_that_was_killed_hurts_no_other_route() {
    let mut shop = Shop::open().await;
    let book = shop.books[0].clone();
    let traefik = Traefik::before(&shop).await;
    shop.alpha.service.kill();
    shop.alpha.to.set(Mode::Refuse).await.unwrap();

    let began = Instant::now();
    let alpha = tokio::spawn({
        let request = traefik.http().get(traefik.url("/warehouses/alpha/info"));
        async move { request.send().await.unwrap().status().as_u16() }
    });
    let alice = traefik.client("/store").who_is("alice@customer.com", "alice123");
    let mut told = Vec::new();
    for _ in 0..10 {
        let at = Instant::now();
        let placed = alice.post("/orders", json!({ "items": [book.line(1)] })).await;
        placed.expect(201);
        told.extend(placed.order());
        assert_eq!(traefik.get("/warehouses/beta/info").await.0, 200);
        assert!(at.elapsed() < Duration::from_secs(5), "held up by alpha: {:?}", at.elapsed());
    }
    assert_eq!(alpha.await.unwrap(), 502);
    println!("alpha was given up after {:?}", began.elapsed());
    kit::until("the breaker is open", SOON, async || {
        let at = Instant::now();
        let (code, _) = traefik.get("/warehouses/alpha/info").await;
        if code == 503 && at.elapsed() < Duration::from_secs(1) { Ok(()) } else { Err(format!("{code}")) }
    })
    .await;

    shop.alpha.to.set(Mode::Pass).await.unwrap();
    shop.alpha.service.start_well();
    shop.alpha.service.ready().await;
    kit::until("the breaker has closed", SOON, async || match traefik.get("/warehouses/alpha/info").await {
        (200, _) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    shop.in_step().await;
    shop.invariants_hold(&told).await;
}

/// A warehouse that hangs: who calls it is told so in the end, and it holds up nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_that_hangs_is_given_up_and_hurts_no_other_route() {
    let mut shop = Shop::open().await;
    let traefik = Traefik::before_as(&shop, &[("RESPONSE_TIMEOUT", "2s")]).await;
    shop.alpha.service.process().pause().unwrap();
    let began = Instant::now();
    let http = traefik.http();
    let (alpha, beta, store) = tokio::join!(
        http.get(traefik.url("/warehouses/alpha/info")).send(),
        traefik.get("/warehouses/beta/info"),
        traefik.get("/store/health"),
    );
    assert_eq!((alpha.unwrap().status().as_u16(), beta.0, store.0), (504, 200, 200));
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    shop.alpha.service.process().resume().unwrap();
    shop.in_step().await;
    shop.invariants_hold(&[]).await;
}
