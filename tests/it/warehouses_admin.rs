//! Warehouses as an admin changes them: another database accepted, disabled, deleted.

use std::collections::HashSet;
use std::time::Duration;

use kit::Mode;
use reqwest::Method;

use crate::harness::*;

const ALPHA: &str = "/warehouses/warehouse-alpha";

async fn delete(shop: &Shop) -> Answer {
    shop.admin().try_send(Method::DELETE, ALPHA, None).await.unwrap()
}

async fn warehouse_of(shop: &Shop, lines: &[Value]) -> (Uuid, String) {
    let placed = shop.order(lines).await;
    let warehouse = placed.expect(201)["fulfillmentWarehouse"].as_str().unwrap().to_owned();
    (placed.order().unwrap(), warehouse)
}

/// R19: what may have left the old database is not asked of the new one; everything else goes on there.
#[tokio::test]
async fn r19_a_wiped_warehouse_that_is_accepted_ships_again_but_nothing_twice() {
    let store = vec![("ORDER_WAIT_MS", "1000".into()), ("DISPATCH_TIMEOUT_MS", "500".into())];
    let mut shop = Shop::open_as(Plan { store, ..Plan::default() }).await;
    let (book, other) = (shop.books[0].clone(), shop.books[1].clone());
    shop.stock(&book, 20, 0).await;
    let known = shop.warehouse("warehouse-alpha").await.unwrap();

    // It may or may not have left when the database is lost.
    shop.alpha.to.set(Mode::Hang).await.unwrap();
    let unknown = shop.order(&[book.line(1)]).await;
    unknown.expect(202);
    let unknown = unknown.order().unwrap();
    assert_eq!(delete(&shop).await.problem(409), "conflict", "it has an open shipment");
    shop.alpha.service.kill();
    shop.alpha.service.database.wipe().await.unwrap();
    shop.alpha.service.start();
    shop.alpha.service.ready().await;
    let found: Vec<Value> =
        shop.alpha.service.sql().await.rows("SELECT database_id FROM warehouse_state").await.unwrap();
    let found = found[0]["database_id"].clone();
    shop.alpha.to.set(Mode::Pass).await.unwrap();
    shop.warehouse_is("warehouse-alpha", "OFFLINE").await;

    let accepted = shop.admin().patch(ALPHA, json!({ "acceptDatabaseId": found })).await.expect(200);
    assert_eq!((&accepted["databaseId"], &accepted["name"]), (&found, &known["name"]));
    shop.in_step().await;
    shop.stock(&book, 30, 0).await;
    let (shipped, warehouse) = warehouse_of(&shop, &[book.line(2)]).await;
    assert_eq!(warehouse, "warehouse-alpha");
    shop.order_is(unknown, "NEEDS_ATTENTION", Duration::from_secs(60)).await;
    let body = json!({ "name": known["name"], "url": known["url"], "internalUrl": known["internalUrl"], "databaseId": known["databaseId"] });
    let former = shop.anyone().service().post("/warehouses/register", body).await;
    assert_eq!(former.problem(409), "warehouse-identity");

    // A restart resumes the unknown one at once: still not here.
    shop.store.terminate().await;
    shop.store.start();
    shop.store.ready().await;
    shop.in_step().await;
    let (last, _) = warehouse_of(&shop, &[other.line(1)]).await;
    shop.order_is(unknown, "NEEDS_ATTENTION", SOON).await;
    assert_eq!((shop.alpha.shipped(&book).await, shop.alpha.on_hand(&book).await), (2, 28));
    let allowed = Allowed { needs_attention: HashSet::from([unknown]), ..Allowed::default() };
    shop.invariants_hold_but(&[unknown, shipped, last], &allowed).await;
}

#[tokio::test]
async fn a_disabled_warehouse_is_not_sourced_from_and_priority_decides_and_a_deleted_one_comes_back() {
    let mut shop = Shop::open().await;
    let book = shop.books[0].clone();
    let mut told = Vec::new();
    let steps = [
        (json!({ "priority": 500 }), "warehouse-beta"),
        (json!({ "priority": 1 }), "warehouse-alpha"),
        (json!({ "enabled": false }), "warehouse-beta"),
        (json!({ "enabled": true }), "warehouse-alpha"),
    ];
    for (change, expected) in steps {
        shop.stock(&book, 20, 20).await;
        let view = shop.admin().patch(ALPHA, change.clone()).await.expect(200);
        for (member, value) in change.as_object().unwrap() {
            assert_eq!(view[member], *value);
        }
        let (order, warehouse) = warehouse_of(&shop, &[book.line(1)]).await;
        assert_eq!(warehouse, expected, "{change}");
        told.push(order);
    }
    shop.stock(&book, 30, 20).await;
    shop.admin().patch(ALPHA, json!({ "enabled": false })).await.expect(200);
    shop.store.terminate().await;
    shop.store.start();
    shop.store.ready().await;
    shop.in_step().await; // it is watched and pulled all the same
    let kept = shop.warehouse("warehouse-alpha").await.unwrap();
    assert_eq!((&kept["enabled"], &kept["priority"]), (&json!(false), &json!(1)));

    assert_eq!(shop.admin().patch("/warehouses/nobody", json!({})).await.code(), 404);
    assert_eq!(shop.admin().patch(ALPHA, json!({ "priority": 1.5 })).await.fields(), ["priority"]);
    assert_eq!(shop.alice().patch(ALPHA, json!({})).await.code(), 403);

    let gone = delete(&shop).await;
    assert_eq!((gone.code(), gone.text.as_str()), (204, ""));
    assert_eq!(shop.cached(&book).await.len(), 1);
    if delete(&shop).await.code() == 404 {
        assert!(shop.warehouse("warehouse-alpha").await.is_none());
    }
    // It runs, and registers again: now, not in a minute.
    let body = json!({ "name": kept["name"], "url": kept["url"], "internalUrl": kept["internalUrl"], "databaseId": kept["databaseId"] });
    let again = shop.anyone().service().post("/warehouses/register", body).await.expect(201);
    assert_eq!(again["id"], kept["id"], "with the same database it is the same");
    shop.in_step().await;
    let (order, warehouse) = warehouse_of(&shop, &[book.line(1)]).await;
    assert_eq!(warehouse, "warehouse-alpha");
    told.push(order);
    shop.invariants_hold(&told).await;
}
