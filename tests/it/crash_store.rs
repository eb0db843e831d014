//! The store dies under load, at any point, and is started again: what was accepted is there and ends.

use std::time::Duration;

use crate::harness::load::Outcome;
use crate::harness::*;

const GOES_ON_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn under_load_killed_and_started_again_every_order_ends() {
    let mut shop = Shop::open().await;
    let books = shop.plenty(5).await;
    let load = Load::start(&shop, 16, &books, Duration::ZERO);
    for _ in 0..3 {
        load.accepted(60, GOES_ON_WITHIN).await;
        shop.store.kill();
        shop.store.start();
        shop.store.ready().await;
    }
    load.accepted(60, GOES_ON_WITHIN).await;
    let report = load.stop().await;
    assert!(report.inexcusable().is_empty(), "{:?}", report.inexcusable());
    assert!(report.codes().contains_key(&0), "the store was killed under load: {:?}", report.codes());
    shop.invariants_hold(&report.told()).await;
}

/// Every request that had an effect is answered: as many orders as customers were told of.
#[tokio::test(flavor = "multi_thread")]
async fn under_load_asked_to_end_it_cuts_no_request() {
    let mut shop = Shop::open().await;
    let books = shop.plenty(5).await;
    let load = Load::start(&shop, 16, &books, Duration::ZERO);
    load.accepted(60, GOES_ON_WITHIN).await;
    shop.store.terminate().await;
    let report = load.stop().await;
    assert!(report.inexcusable().is_empty(), "{:?}", report.inexcusable());
    let told = report.told();
    let orders = shop.store.sql().await.number("SELECT count(*) FROM orders").await.unwrap();
    assert_eq!(orders, told.len() as i64, "{:?}", report.codes());
    shop.store.start();
    shop.store.ready().await;
    shop.invariants_hold(&told).await;
}

/// Dies at each point where it could matter, the first, second or third time it comes by.
async fn dies_at(points: &[(&str, u32)]) {
    let mut shop = Shop::open().await;
    let books = shop.plenty(5).await;
    let load = Load::start(&shop, 4, &books, Duration::from_millis(5));
    for (point, time) in points {
        println!("{point}, time {time}");
        load.accepted(3, GOES_ON_WITHIN).await;
        shop.store.faults(&format!(
            "{point}={}1*return(abort)",
            if *time > 1 { format!("{}*off->", time - 1) } else { String::new() }
        ));
        shop.store
            .process()
            .ended(GOES_ON_WITHIN)
            .await
            .unwrap_or_else(|error| panic!("{point} is never reached: {error}"));
        shop.store.faults("");
        shop.store.start();
        shop.store.ready().await;
    }
    load.accepted(3, GOES_ON_WITHIN).await;
    let report = load.stop().await;
    assert!(report.inexcusable().is_empty(), "{:?}", report.inexcusable());
    shop.invariants_hold(&report.told()).await;
}

const POINTS: [&str; 9] = [
    "commit:journal",
    "committed:journal",
    "call:ship",
    "handle:store/journal",
    "handle:store/availability",
    "handle:store/fulfillment/orders",
    "handle:store/warehouses/warehouse:warehouse-alpha/dispatcher",
    "handle:store/warehouses/warehouse:warehouse-beta/dispatcher",
    "handle:store/accounts",
];

#[tokio::test(flavor = "multi_thread")]
async fn matrix_of_points_at_which_the_store_dies() {
    let all: Vec<(&str, u32)> = POINTS.iter().flat_map(|point| (1..=3).map(move |time| (*point, time))).collect();
    let chosen = if long() { all } else { Random(seed()).sample(&all, 5) };
    dies_at(&chosen).await;
}

/// An order that was accepted but whose answer was lost is found again by its customer.
#[tokio::test]
async fn r07_an_order_whose_answer_was_lost_is_there_and_ships() {
    let mut shop = Shop::open().await;
    let book = shop.books[0].clone();
    shop.stock(&book, 20, 0).await;
    shop.store.faults("committed:journal=return(abort)");
    let answer = load::attempt(&shop.alice(), json!({ "items": [book.line(1)] })).await;
    assert!(matches!(answer, Outcome::Failed { connected: true, .. }), "{answer:?}");
    shop.store.process().ended(SOON).await.unwrap();
    shop.store.faults("");
    shop.store.start();
    shop.store.ready().await;
    let orders = shop.alice().get("/orders").await.expect(200);
    let order = serde_json::from_value(orders[0]["id"].clone()).unwrap();
    shop.order_is(order, "SHIPPED", SOON).await;
    shop.invariants_hold(&[order]).await;
    assert_eq!(shop.alpha.on_hand(&book).await, 19);
}
