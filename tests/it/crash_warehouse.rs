//! A warehouse that dies between its commit and its answer. The store cannot know; it asks the same again until it is told, and the order ships once.

use std::time::Duration;

use kit::Mode;

use crate::harness::*;

/// The transaction in which a warehouse ships.
const SHIPS: &str = "committed:stock";

/// A book of which alpha has more and is asked first, while beta could ship it as well, which would be the second time.
async fn most_in_alpha(shop: &Shop) -> Book {
    let book = shop.books[0].clone();
    shop.stock(&book, 20, 10).await;
    book
}

async fn ships_once(shop: &Shop, book: &Book, order: Uuid) {
    let shipped = shop.order_is(order, "SHIPPED", Duration::from_secs(60)).await;
    assert_eq!(shipped["fulfillmentWarehouse"], "warehouse-alpha");
    shop.invariants_hold(&[order]).await;
    assert_eq!((shop.alpha.shipments().await, shop.alpha.on_hand(book).await, shop.beta.shipments().await), (1, 18, 0));
}

/// Short waits, so that a customer is not kept.
fn impatient<'a>() -> Plan<'a> {
    Plan { store: vec![("ORDER_WAIT_MS", "1000".into()), ("DISPATCH_TIMEOUT_MS", "500".into())], ..Plan::default() }
}

#[tokio::test]
async fn r01_killed_between_commit_and_answer_ships_once() {
    let mut shop = Shop::open_as(impatient()).await;
    let book = most_in_alpha(&shop).await;
    shop.alpha.service.faults(&format!("{SHIPS}=return(abort)"));
    let placed = shop.order(&[book.line(2)]).await;
    assert_eq!(placed.code(), 202, "{}", placed.text);
    shop.alpha.service.process().ended(SOON).await.unwrap();
    assert_eq!((shop.alpha.shipments().await, shop.alpha.on_hand(&book).await), (1, 18), "it died after its commit");
    stays_open(&shop, placed.order().unwrap()).await;
    shop.alpha.service.faults("");
    shop.alpha.service.start();
    ships_once(&shop, &book, placed.order().unwrap()).await;
}

#[tokio::test]
async fn r01_killed_before_its_commit_ships_once() {
    let mut shop = Shop::open_as(impatient()).await;
    let book = most_in_alpha(&shop).await;
    shop.alpha.service.faults(&format!("{}=return(abort)", SHIPS.replace("committed", "commit")));
    let placed = shop.order(&[book.line(2)]).await;
    assert_eq!(placed.code(), 202, "{}", placed.text);
    shop.alpha.service.process().ended(SOON).await.unwrap();
    assert_eq!((shop.alpha.shipments().await, shop.alpha.on_hand(&book).await), (0, 20), "it died before its commit");
    stays_open(&shop, placed.order().unwrap()).await;
    shop.alpha.service.faults("");
    shop.alpha.service.start();
    ships_once(&shop, &book, placed.order().unwrap()).await;
}

/// Ships an order whose answer and confirmation nobody gets, then kills the warehouse with SIGKILL.
async fn ship_unheard_and_kill(shop: &mut Shop, book: &Book) -> Uuid {
    shop.alpha.to.set(Mode::Swallow).await.unwrap();
    shop.alpha.back.set(Mode::Hang).await.unwrap();
    let placed = shop.order(&[book.line(2)]).await;
    assert_eq!(placed.code(), 202, "{}", placed.text);
    kit::until("it is committed", SOON, async || match shop.alpha.shipments().await {
        1 => Ok(()),
        count => Err(format!("{count} shipments")),
    })
    .await;
    shop.alpha.service.kill();
    placed.order().unwrap()
}

/// It does after three calls without an answer, whether refused or unknown.
async fn breaker_opens(shop: &Shop) {
    kit::until("the breaker is open", Duration::from_secs(60), async || {
        let warehouse = shop.warehouse("warehouse-alpha").await.unwrap();
        if warehouse["breaker"].to_string().to_lowercase().contains("open") {
            Ok(())
        } else {
            Err(warehouse.to_string())
        }
    })
    .await;
}

/// Over some more attempts, whose waits are below 4 s by then. That nothing happens has no signal to wait for.
async fn stays_open(shop: &Shop, order: Uuid) {
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        assert_eq!(shop.look_up(order).await["status"], "PENDING");
        assert_eq!(shop.beta.shipments().await, 0);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn r01_a_second_attempt_that_meets_a_refused_connection_does_not_send_the_order_elsewhere() {
    let mut shop = Shop::open_as(impatient()).await;
    let book = most_in_alpha(&shop).await;
    let order = ship_unheard_and_kill(&mut shop, &book).await;
    shop.alpha.to.set(Mode::Refuse).await.unwrap();
    breaker_opens(&shop).await; // so the second attempt has been made
    stays_open(&shop, order).await;
    shop.alpha.to.set(Mode::Pass).await.unwrap();
    shop.alpha.back.set(Mode::Pass).await.unwrap();
    shop.alpha.service.start();
    ships_once(&shop, &book, order).await;
}

#[tokio::test]
async fn r01_a_second_attempt_that_meets_an_open_breaker_does_not_send_the_order_elsewhere() {
    let mut shop = Shop::open_as(impatient()).await;
    let book = most_in_alpha(&shop).await;
    let order = ship_unheard_and_kill(&mut shop, &book).await;
    shop.alpha.to.set(Mode::Hang).await.unwrap();
    breaker_opens(&shop).await;
    stays_open(&shop, order).await;
    shop.alpha.to.set(Mode::Pass).await.unwrap();
    shop.alpha.back.set(Mode::Pass).await.unwrap();
    shop.alpha.service.start();
    ships_once(&shop, &book, order).await;
}

/// The saga forgets nothing when the store dies too: resumed, its pending call is unknown, not unsent.
#[tokio::test]
async fn r01_the_store_killed_as_well_still_asks_the_same_warehouse() {
    let mut shop = Shop::open_as(impatient()).await;
    let book = most_in_alpha(&shop).await;
    let order = ship_unheard_and_kill(&mut shop, &book).await;
    shop.store.kill();
    shop.alpha.to.set(Mode::Refuse).await.unwrap();
    shop.store.start();
    shop.store.ready().await;
    shop.warehouse_is("warehouse-beta", "HEALTHY").await;
    breaker_opens(&shop).await;
    stays_open(&shop, order).await;
    shop.alpha.to.set(Mode::Pass).await.unwrap();
    shop.alpha.back.set(Mode::Pass).await.unwrap();
    shop.alpha.service.start();
    ships_once(&shop, &book, order).await;
}

/// The confirmation alone ends an order whose answer is never heard.
#[tokio::test]
async fn r11_the_confirmation_ends_an_order_whose_answer_was_lost() {
    let shop = Shop::open_as(impatient()).await;
    let book = most_in_alpha(&shop).await;
    shop.alpha.to.set(Mode::Swallow).await.unwrap();
    let placed = shop.order(&[book.line(2)]).await;
    let order = placed.order().unwrap();
    assert!(matches!(placed.code(), 201 | 202), "{}", placed.text);
    shop.order_is(order, "SHIPPED", SOON).await;
    shop.alpha.to.set(Mode::Pass).await.unwrap();
    ships_once(&shop, &book, order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_every_order_ends_though_a_warehouse_is_killed_again_and_again() {
    let mut shop = Shop::open().await;
    let books = shop.plenty(5).await;
    let load = Load::start(&shop, 8, &books, Duration::from_millis(5));
    for _ in 0..3 {
        load.accepted(40, Duration::from_secs(60)).await;
        shop.alpha.service.kill();
        load.accepted(40, Duration::from_secs(60)).await; // beta goes on
        shop.alpha.service.start();
        shop.alpha.service.ready().await;
        shop.warehouse_is("warehouse-alpha", "HEALTHY").await;
    }
    let report = load.stop().await;
    assert!(report.inexcusable().is_empty(), "{:?}", report.inexcusable());
    shop.invariants_hold(&report.told()).await;
}
