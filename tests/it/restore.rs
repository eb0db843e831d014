//! A warehouse whose database is wiped, or put back to an earlier time.

use std::collections::HashSet;
use std::time::Duration;

use kit::Mode;

use crate::harness::*;

/// R15: its counter is below what was cached, so the store takes its stock wholesale.
#[tokio::test]
async fn r15_a_restored_warehouse_is_believed_in_full() {
    let mut shop = Shop::open().await;
    let (book, other) = (shop.books[0].clone(), shop.books[1].clone());
    shop.stock(&book, 20, 0).await;
    shop.stock(&other, 9, 0).await;
    shop.alpha.service.terminate().await;
    let backup = shop.alpha.service.database.backup().await.unwrap();
    shop.alpha.service.start();
    shop.alpha.service.ready().await;
    shop.warehouse_is("warehouse-alpha", "HEALTHY").await;
    shop.stock(&other, 4, 0).await;
    let mut told = Vec::new();
    for _ in 0..3 {
        let placed = shop.order(&[book.line(2)]).await;
        placed.expect(201);
        told.extend(placed.order());
    }
    shop.invariants_hold(&told).await; // also: the confirmations are delivered, so the backup has none to repeat

    shop.alpha.service.terminate().await;
    shop.warehouse_is("warehouse-alpha", "OFFLINE").await;
    shop.alpha.service.database.restore(&backup).await.unwrap();
    shop.alpha.service.start();
    shop.alpha.service.ready().await;
    shop.warehouse_is("warehouse-alpha", "HEALTHY").await;
    kit::until("the store has taken the restored stock", SOON, async || {
        let cached = [shop.cached(&book).await[0].1, shop.cached(&other).await[0].1];
        if cached == [20, 9] { Ok(()) } else { Err(format!("{cached:?}")) }
    })
    .await;
    let placed = shop.order(&[other.line(9)]).await; // more than it had before the restore
    placed.expect(201);
    let forgotten: HashSet<Uuid> = told.iter().copied().collect();
    told.extend(placed.order());
    shop.invariants_hold_but(&told, &Allowed { forgotten, ..Allowed::default() }).await;
}

/// R19: under the same name it is another one, which nobody has accepted yet.
#[tokio::test]
async fn r19_a_wiped_warehouse_is_not_the_one_that_was_known() {
    let mut shop = Shop::open_as(Plan {
        store: vec![("ORDER_WAIT_MS", "1000".into()), ("DISPATCH_TIMEOUT_MS", "500".into())],
        ..Plan::default()
    })
    .await;
    let (book, both) = (shop.books[0].clone(), shop.books[1].clone());
    shop.stock(&book, 20, 0).await;
    shop.stock(&both, 40, 10).await;
    let shipped = shop.order(&[both.line(1)]).await; // alpha has more left: it ships from there
    assert_eq!(shipped.expect(201)["fulfillmentWarehouse"], "warehouse-alpha");
    shop.invariants_hold(&[shipped.order().unwrap()]).await;
    let known = shop.warehouse("warehouse-alpha").await.unwrap();

    // An order that may or may not have reached alpha when its database is lost.
    shop.alpha.to.set(Mode::Hang).await.unwrap();
    let unknown = shop.order(&[book.line(1)]).await;
    assert_eq!(unknown.code(), 202, "{}", unknown.text);
    shop.alpha.service.kill();
    shop.alpha.service.database.wipe().await.unwrap();
    shop.alpha.service.start();
    shop.alpha.service.ready().await;
    shop.alpha.to.set(Mode::Pass).await.unwrap();

    let unknown = unknown.order().unwrap();
    shop.order_is(unknown, "NEEDS_ATTENTION", Duration::from_secs(90)).await;
    shop.warehouse_is("warehouse-alpha", "OFFLINE").await;
    let now = shop.warehouse("warehouse-alpha").await.unwrap();
    assert_eq!(now["databaseId"], known["databaseId"], "no one accepted the other one");
    let elsewhere = shop.order(&[both.line(2)]).await;
    assert_eq!(elsewhere.expect(201)["fulfillmentWarehouse"], "warehouse-beta");
    assert_eq!(shop.alpha.shipments().await, 0, "nothing ships from a warehouse that is not believed");

    let told = [shipped.order().unwrap(), unknown, elsewhere.order().unwrap()];
    let allowed = Allowed {
        forgotten: HashSet::from([told[0]]),
        needs_attention: HashSet::from([unknown]),
        away: HashSet::from(["warehouse-alpha".to_owned()]),
        ..Allowed::default()
    };
    shop.invariants_hold_but(&told, &allowed).await;
}
