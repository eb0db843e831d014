//! Commits that happen although a timeout is reported, in the store and in the warehouses, drawn from a seed.

use std::time::Duration;

use crate::harness::*;

/// A second for every five orders, on a slow machine.
const WITHIN: Duration = Duration::from_secs(1_000);

#[tokio::test(flavor = "multi_thread")]
async fn r23_under_load_commits_whose_answer_is_lost_are_found_again() {
    let mut shop = Shop::open().await;
    let books = shop.plenty(5).await;
    // Of a few orders a larger share, so that some of each are lost.
    let (orders, per_mille, seed) = if long() { (5_000, 10, seed()) } else { (300, 50, seed()) };
    let lose = |points: &[&str]| {
        points.iter().map(|point| format!("committed:{point}=return(lost:{per_mille}:{seed})\n")).collect::<String>()
    };
    shop.store.faults(&lose(&["journal", "gateway", "pull"]));
    for warehouse in [&shop.alpha, &shop.beta] {
        warehouse.service.faults(&lose(&["stock", "outbox"]));
    }
    let load = Load::start(&shop, 16, &books, Duration::ZERO);
    load.accepted(orders, WITHIN).await;
    let report = load.stop().await;
    println!("{:?}", report.codes());
    // Read back, or asked again: a customer notices at most that an order takes longer, or finds no warehouse while the breakers of
    // both are open, since one commit is the answer to several calls.
    assert!(report.codes().keys().all(|code| [201, 202, 409].contains(code)), "{:?}", report.codes());
    shop.invariants_hold(&report.told()).await;
    let logs = [&mut shop.alpha, &mut shop.beta].map(|warehouse| warehouse.service.process().log());
    assert!(logs.iter().any(|log| log.contains("the answer to the commit was lost")), "nothing was lost");
    for service in [&shop.store, &shop.alpha.service, &shop.beta.service] {
        service.faults("");
    }
}
