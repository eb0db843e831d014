//! Warehouses find their store, whenever it comes and whatever it forgets.

use std::time::Duration;

use kit::Mode;

use crate::harness::*;

/// Registered again every 60 s, and some time to do it.
const AGAIN_WITHIN: Duration = Duration::from_secs(90);

async fn both_are_healthy(shop: &Shop, within: Duration) {
    kit::until("both warehouses have registered", within, async || {
        let warehouses = shop.admin().get("/warehouses").await;
        let healthy = warehouses.text.matches("HEALTHY").count();
        if warehouses.code() == 200 && healthy == 2 { Ok(()) } else { Err(warehouses.text) }
    })
    .await;
}

#[tokio::test]
async fn a_store_that_starts_a_minute_after_its_warehouses_has_them_without_a_restart() {
    let mut shop = Shop::prepare(Plan::default()).await;
    shop.alpha.service.start();
    shop.beta.service.start();
    shop.alpha.service.ready().await;
    shop.beta.service.ready().await;
    tokio::time::sleep(Duration::from_secs(60)).await; // the minute that this is about
    let ids = [shop.alpha.service.process().id(), shop.beta.service.process().id()];
    shop.store.start();
    shop.store.ready().await;
    both_are_healthy(&shop, AGAIN_WITHIN).await;
    shop.in_step().await;
    assert!(shop.alpha.service.process().is_running() && shop.beta.service.process().is_running());
    assert_eq!(ids, [shop.alpha.service.process().id(), shop.beta.service.process().id()]);
    let placed = shop.order(&[shop.books[0].line(1)]).await;
    placed.expect(201);
    shop.invariants_hold(&[placed.order().unwrap()]).await;
}

#[tokio::test]
async fn a_store_whose_database_was_wiped_has_its_warehouses_again_within_a_minute_and_parks_what_it_forgot() {
    let mut shop = Shop::open().await;
    let book = shop.books[0].clone();
    shop.stock(&book, 20, 0).await;
    shop.alpha.back.set(Mode::Refuse).await.unwrap(); // its confirmation stays in the outbox
    let forgotten = shop.order(&[book.line(1)]).await;
    forgotten.expect(201);
    shop.store.terminate().await;
    shop.store.database.wipe().await.unwrap();
    shop.alpha.back.set(Mode::Pass).await.unwrap();
    shop.store.start();
    shop.store.ready().await;
    both_are_healthy(&shop, AGAIN_WITHIN).await;
    shop.in_step().await;
    let placed = shop.order(&[book.line(1)]).await;
    placed.expect(201);
    let allowed = Allowed { unknown_orders: true, ..Allowed::default() };
    shop.invariants_hold_but(&[placed.order().unwrap()], &allowed).await;
    let parked = "SELECT count(*) FROM outbox WHERE parked_reason IS NOT NULL";
    assert_eq!(
        shop.alpha.service.sql().await.number(parked).await.unwrap(),
        1,
        "the confirmation that the store does not know"
    );
    assert_eq!(shop.alpha.on_hand(&book).await, 18);
}

#[tokio::test]
async fn r20_registering_again_unchanged_changes_only_the_time() {
    let shop = Shop::open().await;
    let before = shop.warehouse("warehouse-alpha").await.unwrap();
    let body = json!({ "name": before["name"], "url": before["url"], "internalUrl": before["internalUrl"], "databaseId": before["databaseId"] });
    let again = shop.anyone().service().post("/warehouses/register", body.clone()).await.expect(201);
    assert_eq!((&again["id"], &again["status"]), (&before["id"], &json!("HEALTHY")));
    let after = shop.warehouse("warehouse-alpha").await.unwrap();
    assert_ne!(after["lastRegistered"], before["lastRegistered"]);
    for member in ["id", "url", "internalUrl", "databaseId", "status"] {
        assert_eq!(after[member], before[member], "{member}");
    }

    let mut other = body;
    other["databaseId"] = json!(Uuid::new_v4());
    let refused = shop.anyone().service().post("/warehouses/register", other).await;
    assert_eq!(refused.problem(409), "warehouse-identity");
    assert_eq!(shop.warehouse("warehouse-alpha").await.unwrap()["databaseId"], before["databaseId"]);
    shop.invariants_hold(&[]).await;
}
