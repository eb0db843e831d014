//! What Traefik sends again, and what it never does.

use std::time::Duration;

use super::Traefik;
use crate::harness::*;

async fn orders(shop: &Shop) -> i64 {
    shop.store.sql().await.number("SELECT count(*) FROM orders").await.unwrap()
}

/// A store that is away is waited for, also by a request with a body and without a key, which nobody but Traefik could repeat.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_for_a_moment_is_a_pause() {
    let mut shop = Shop::open().await;
    let mut traefik = Traefik::before_as(&shop, &[("LOG_LEVEL", "DEBUG")]).await;
    shop.store.terminate().await;
    let body = json!({ "items": [shop.books[0].line(1)] });
    let alice = traefik.client("/store").who_is("alice@customer.com", "alice123");
    let waiting = tokio::spawn(async move { alice.post("/orders", body).await });
    traefik.process.printed("New attempt 4 for request", SOON).await.unwrap();
    assert!(!waiting.is_finished(), "it was answered by nobody");
    shop.store.start();
    let placed = waiting.await.unwrap();
    placed.expect(201);
    assert_eq!(orders(&shop).await, 1);
    shop.store.ready().await;
    shop.invariants_hold(&[placed.order().unwrap()]).await;
}

/// A request that a store may have taken is not sent again: the customer is told so, and asks again by the key.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_answer_was_lost_is_not_placed_again() {
    let mut shop = Shop::open().await;
    let traefik = Traefik::before(&shop).await;
    let body = json!({ "items": [shop.books[0].line(1)] });
    let http = traefik.http();
    let place = async |key: &str| {
        let request = http.post(traefik.url("/store/orders")).basic_auth("alice@customer.com", Some("alice123"));
        request.header("idempotency-key", key).json(&body).send().await.unwrap()
    };
    for point in ["committed:journal", "call:ship"] {
        let before = orders(&shop).await;
        shop.store.faults(&format!("{point}=1*return(abort)"));
        assert_eq!(place(point).await.status(), 502, "it died at {point}");
        shop.store.process().ended(SOON).await.unwrap();
        shop.store.start_well();
        shop.store.ready().await;
        let again = place(point).await;
        assert!(matches!(again.status().as_u16(), 201 | 202), "{}", again.text().await.unwrap());
        let order: Value = again.json().await.unwrap();
        assert_eq!(orders(&shop).await, before + 1, "once, though it died at {point}");
        let order = serde_json::from_value(order["id"].clone()).unwrap();
        shop.order_is(order, "SHIPPED", SOON).await;
        shop.invariants_hold(&[order]).await;
    }
}

/// A request whose head was written is given up as soon as the connection breaks.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_arrived_is_not_sent_again() {
    let shop = Shop::open().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let taken = tokio::spawn(async move {
        let mut count = 0;
        while let Ok(Ok((mut stream, _))) = tokio::time::timeout(Duration::from_secs(3), listener.accept()).await {
            let read = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 8_192]).await.unwrap();
            count += usize::from(read > 0);
        }
        count
    });
    let traefik = Traefik::before_as(&shop, &[("STORE_URL", &url)]).await;
    let http = traefik.http();
    assert_eq!(http.post(traefik.url("/store/orders")).body("{}").send().await.unwrap().status(), 502);
    assert_eq!(taken.await.unwrap(), 1, "it was sent once");
}
