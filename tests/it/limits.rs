//! Clients that take up room: listeners that stay, senders that dawdle, requests beyond every bound.

use std::fs;
use std::time::{Duration, Instant};

use kit::Mode;
use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::load::attempt;
use crate::harness::*;

const LISTENERS: usize = 1_000;
const SLOW: usize = 200;
/// What all of them may cost together.
const MEMORY_KIB: i64 = 128 * 1024;
const ALICE: &str = "Authorization: Basic YWxpY2VAY3VzdG9tZXIuY29tOmFsaWNlMTIz";

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_listeners_and_two_hundred_slow_senders_hold_nobody_up_under_load() {
    let quick = vec![("BODY_TIMEOUT_SECONDS", "15".to_owned())];
    let mut shop = Shop::open_as(Plan { store: quick, ..Plan::default() }).await;
    let books = shop.plenty(4).await;
    // Only alpha has this one, and alpha hangs: the order stays open, and all listen to it.
    let (waiting, others) = (books[0].clone(), books[1..].to_vec());
    shop.stock(&waiting, 5, 0).await;
    shop.alpha.to.set(Mode::Hang).await.unwrap();
    let open = shop.order(&[waiting.line(1)]).await;
    open.expect(202);
    let open = open.order().unwrap();
    // One more, so that its breaker opens and the rest goes to beta.
    for _ in 0..3 {
        shop.order(&[others[0].line(1)]).await;
    }
    let before = memory_kib(&mut shop);

    let request = format!("GET /orders/{open}/events HTTP/1.1\r\nHost: store\r\nConnection: close\r\n{ALICE}\r\n\r\n");
    let mut listeners = JoinSet::new();
    let mut opened = Vec::with_capacity(LISTENERS);
    for _ in 0..LISTENERS {
        let mut stream = send(&shop, &request).await;
        assert!(next(&mut stream).await.starts_with("HTTP/1.1 200 "));
        opened.push(stream);
    }
    let mut slow = JoinSet::new();
    for _ in 0..SLOW {
        let head = format!(
            "POST /orders HTTP/1.1\r\nHost: store\r\n{ALICE}\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{{"
        );
        let mut stream = send(&shop, &head).await;
        slow.spawn(async move { next(&mut stream).await });
    }

    let (began, mut told, mut took) = (Instant::now(), vec![open], Vec::new());
    while began.elapsed() < Duration::from_secs(10) {
        let at = Instant::now();
        let placed = attempt(&shop.bob(), json!({ "items": [others[1].line(1)] })).await;
        took.push(at.elapsed());
        match placed {
            load::Outcome::Told { order, .. } => told.push(order),
            other => panic!("not placed beside them: {other:?}"),
        }
    }
    took.sort_unstable();
    let during = memory_kib(&mut shop);
    println!(
        "{LISTENERS} listeners and {SLOW} slow senders: {} orders, p50 {:?}, slowest {:?}; memory {} KiB before, {} KiB with them",
        took.len(),
        took[took.len() / 2],
        took[took.len() - 1],
        before,
        during
    );
    assert!(during - before < MEMORY_KIB, "{} KiB more", during - before);

    while let Some(said) = slow.join_next().await {
        assert!(said.unwrap().starts_with("HTTP/1.1 408 "), "a slow sender is cut off");
    }
    shop.alpha.to.set(Mode::Pass).await.unwrap();
    for mut stream in opened {
        listeners.spawn(async move {
            let mut whole = String::new();
            tokio::time::timeout(Duration::from_secs(60), stream.read_to_string(&mut whole)).await.unwrap().unwrap();
            whole
        });
    }
    while let Some(heard) = listeners.join_next().await {
        assert!(heard.unwrap().contains("SHIPPED"), "every listener hears the end");
    }
    shop.invariants_hold(&told).await;
}

#[tokio::test]
async fn what_is_beyond_a_bound_is_turned_away() {
    let small = vec![("MAX_BODY_KIB", "4".to_owned()), ("MAX_EVENT_STREAMS", "1".to_owned())];
    let shop = Shop::open_as(Plan { store: small, ..Plan::default() }).await;
    let large = json!({ "items": [shop.books[0].line(1)], "note": "x".repeat(5_000) });
    assert_eq!(shop.alice().post("/orders", large).await.problem(413), "body-too-large");

    let head = format!("GET /books HTTP/1.1\r\nHost: store\r\nX-Long: {}\r\n\r\n", "x".repeat(1_000_000));
    assert!(next(&mut send(&shop, &head).await).await.starts_with("HTTP/1.1 431 "));
    let many: String = (0..150).map(|number| format!("X-{number}: y\r\n")).collect();
    let head = format!("GET /books HTTP/1.1\r\nHost: store\r\n{many}\r\n");
    assert!(next(&mut send(&shop, &head).await).await.starts_with("HTTP/1.1 431 "));

    let admin = "Authorization: Basic YWRtaW5AYm9va3N0b3JlLmNvbTphZG1pbjEyMw==";
    let events = format!("GET /actors/events HTTP/1.1\r\nHost: store\r\n{admin}\r\n\r\n");
    let mut first = send(&shop, &events).await;
    assert!(next(&mut first).await.starts_with("HTTP/1.1 200 "));
    let second = shop.admin().try_send(Method::GET, "/actors/events", None).await.unwrap();
    assert_eq!((second.problem(503).as_str(), second.header("retry-after")), ("unavailable", "1"));
}

async fn send(shop: &Shop, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(shop.store.address()).await.unwrap();
    // A server that refuses a head does not read the rest of it.
    let _ = stream.write_all(text.as_bytes()).await;
    stream
}

/// What comes next, up to some kilobytes.
async fn next(stream: &mut TcpStream) -> String {
    let mut piece = vec![0; 8_192];
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut piece)).await.unwrap().unwrap();
    String::from_utf8_lossy(&piece[..read]).into_owned()
}

/// The memory that the store's process has in use.
fn memory_kib(shop: &mut Shop) -> i64 {
    let status = fs::read_to_string(format!("/proc/{}/status", shop.store.process().id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn an_account_that_orders_too_often_is_told_when_to_come_back() {
    let slow = vec![("ORDERS_PER_MINUTE_PER_ACCOUNT", "2".to_owned())];
    let shop = Shop::open_as(Plan { store: slow, ..Plan::default() }).await;
    let line = shop.books[0].line(1);
    let mut told = Vec::new();
    for _ in 0..2 {
        let placed = shop.order(std::slice::from_ref(&line)).await;
        placed.expect(201);
        told.extend(placed.order());
    }
    let refused = shop.order(std::slice::from_ref(&line)).await;
    assert_eq!(refused.problem(429), "too-many-requests");
    assert!((1..=30).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
    let other = shop.bob().post("/orders", json!({ "items": [line] })).await;
    other.expect(201);
    told.extend(other.order());
    shop.invariants_hold(&told).await;
}
