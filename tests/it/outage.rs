//! PostgreSQL is away for a minute under load, for everybody.

use std::time::Duration;

use kit::Cluster;

use crate::harness::*;

async fn readiness(service: &Service) -> u16 {
    service.anyone().get("/ready").await.code()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_without_postgresql_under_load() {
    let mut cluster = Cluster::start().await.unwrap();
    let mut shop = Shop::open_as(Plan { cluster: Some(&cluster), ..Plan::default() }).await;
    let books = shop.plenty(5).await;
    let load = Load::start(&shop, 4, &books, Duration::from_millis(20));
    load.accepted(50, Duration::from_secs(60)).await;
    cluster.stop().await.unwrap();
    let stopped = std::time::Instant::now();
    for service in [&shop.store, &shop.alpha.service, &shop.beta.service] {
        kit::until("readiness is 503", SOON, async || match readiness(service).await {
            503 => Ok(()),
            other => Err(other.to_string()),
        })
        .await;
        let ready = service.anyone().get("/ready").await;
        assert_eq!(ready.json()["checks"]["database"], "cannot be used now: the log says why");
    }
    while stopped.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_secs(1)).await; // the minute that this is about
        for service in [&mut shop.store, &mut shop.alpha.service, &mut shop.beta.service] {
            assert!(service.process().is_running(), "it ended:\n{}", service.process().log());
            assert_eq!(readiness(service).await, 503);
            assert!(!service.anyone().get("/health").await.status.is_server_error(), "it is alive all the same");
        }
    }
    cluster.start_again().await.unwrap();
    for service in [&mut shop.store, &mut shop.alpha.service, &mut shop.beta.service] {
        service.ready().await;
    }
    shop.in_step().await;
    load.accepted(50, Duration::from_secs(60)).await;
    let report = load.stop().await;
    assert!(report.inexcusable().is_empty(), "{:?}", report.inexcusable());
    assert!(!report.codes().contains_key(&0), "no connection was cut: {:?}", report.codes());
    shop.invariants_hold(&report.told()).await;
}

/// PostgreSQL dies for a moment, again and again: shorter than any patience.
#[tokio::test(flavor = "multi_thread")]
async fn under_load_short_outages_of_postgresql() {
    let mut cluster = Cluster::start().await.unwrap();
    let shop = Shop::open_as(Plan { cluster: Some(&cluster), ..Plan::default() }).await;
    let books = shop.plenty(5).await;
    let load = Load::start(&shop, 8, &books, Duration::from_millis(5));
    for _ in 0..3 {
        load.accepted(40, Duration::from_secs(60)).await;
        cluster.stop().await.unwrap();
        cluster.start_again().await.unwrap();
    }
    load.accepted(40, Duration::from_secs(60)).await;
    let report = load.stop().await;
    assert!(report.inexcusable().is_empty(), "{:?}", report.inexcusable());
    shop.invariants_hold(&report.told()).await;
}
