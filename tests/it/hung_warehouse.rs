//! A warehouse that accepts connections and never answers.

use std::time::Duration;

use kit::Mode;

use crate::harness::load::Outcome;
use crate::harness::*;

const WAIT_MS: u64 = 2_000;

fn plan<'a>() -> Plan<'a> {
    Plan {
        store: vec![("ORDER_WAIT_MS", WAIT_MS.to_string()), ("DISPATCH_TIMEOUT_MS", "500".into())],
        ..Plan::default()
    }
}

/// Alpha has the most, so it is asked first while it is believed to be well.
async fn hang(mode: Mode) {
    let shop = Shop::open_as(plan()).await;
    let books = shop.plenty(5).await;
    for book in &books {
        shop.beta.stock(book, 50_000).await;
    }
    shop.reconcile().await;
    let load = Load::start(&shop, 8, &books, Duration::from_millis(5));
    load.accepted(50, Duration::from_secs(60)).await;
    shop.alpha.to.set(mode).await.unwrap();
    if mode == Mode::Swallow {
        shop.alpha.back.set(Mode::Hang).await.unwrap();
    }
    let hung = std::time::Instant::now();
    shop.warehouse_is("warehouse-alpha", "OFFLINE").await;
    // Orders in hand wait at most as long as a customer does; the next ones do not touch alpha at all.
    load.accepted(150, Duration::from_secs(60)).await;
    let gone = hung.elapsed();
    shop.alpha.to.set(Mode::Pass).await.unwrap();
    shop.alpha.back.set(Mode::Pass).await.unwrap();
    shop.warehouse_is("warehouse-alpha", "HEALTHY").await;
    load.accepted(50, Duration::from_secs(60)).await;
    let report = load.stop().await;

    assert!(gone < Duration::from_secs(40), "150 orders took {gone:?} beside a hung warehouse");
    assert_eq!(report.codes().keys().filter(|code| !matches!(**code, 201 | 202)).count(), 0, "{:?}", report.codes());
    let slow: Vec<_> =
        report.0.iter().filter(|attempt| attempt.took > Duration::from_millis(WAIT_MS + 1_500)).collect();
    assert!(slow.is_empty(), "nobody is kept longer than the wait: {slow:?}");
    let open = report.0.iter().filter(|attempt| matches!(attempt.result, Outcome::Told { code: 202, .. })).count();
    assert!(open <= 40, "{open} orders were left waiting for a hung warehouse");
    shop.invariants_hold(&report.told()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_it_turns_offline_and_orders_go_on_at_the_other() {
    hang(Mode::Hang).await;
}

/// The worse kind: it does what it is asked and nobody hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn under_load_what_it_shipped_unheard_is_not_shipped_again() {
    hang(Mode::Swallow).await;
}

/// Once the breaker is open orders are as fast as if the hung warehouse were not there.
#[tokio::test(flavor = "multi_thread")]
async fn under_load_the_other_is_as_fast_as_before() {
    let shop = Shop::open_as(plan()).await;
    let books = shop.plenty(5).await;
    for book in &books {
        shop.alpha.stock(book, 0).await; // so that both measurements are of beta alone
    }
    shop.reconcile().await;
    let measure = async || {
        let load = Load::start(&shop, 4, &books, Duration::ZERO);
        let began = std::time::Instant::now();
        load.accepted(150, Duration::from_secs(60)).await;
        let report = load.stop().await;
        (began.elapsed(), report)
    };
    let (before, first) = measure().await;
    for book in &books {
        shop.alpha.stock(book, 100_000).await;
    }
    shop.reconcile().await;
    shop.alpha.to.set(Mode::Hang).await.unwrap();
    shop.warehouse_is("warehouse-alpha", "OFFLINE").await;
    let (beside, second) = measure().await;
    // Twice, since the machine has other things to do; a wait for the hung one would show as seconds an order.
    assert!(beside < before * 2 + Duration::from_secs(1), "{beside:?} beside a hung warehouse, {before:?} without");
    assert!(second.0.iter().all(|attempt| matches!(&attempt.result, Outcome::Told { code: 201, warehouse: Some(name), .. } if name == "warehouse-beta")));
    shop.alpha.to.set(Mode::Pass).await.unwrap();
    shop.warehouse_is("warehouse-alpha", "HEALTHY").await;
    shop.invariants_hold(&[first.told(), second.told()].concat()).await;
}

/// One warehouse paused by SIGSTOP: its kernel accepts connections, the process does nothing.
#[tokio::test]
async fn a_paused_warehouse_neither_loses_nor_repeats_what_it_was_asked_for() {
    let mut shop = Shop::open_as(plan()).await;
    let book = shop.books[0].clone();
    shop.stock(&book, 20, 0).await;
    shop.alpha.service.process().pause().unwrap();
    let placed = shop.order(&[book.line(1)]).await;
    assert_eq!(placed.code(), 202, "{}", placed.text);
    assert_eq!(
        placed.header("location"),
        format!("orders/{}", placed.order().unwrap()),
        "relative to where it was asked for, since a proxy strips a prefix"
    );
    shop.warehouse_is("warehouse-alpha", "OFFLINE").await;
    shop.alpha.service.process().resume().unwrap();
    shop.order_is(placed.order().unwrap(), "SHIPPED", Duration::from_secs(60)).await;
    shop.invariants_hold(&[placed.order().unwrap()]).await;
    assert_eq!(shop.alpha.on_hand(&book).await, 19);
}
