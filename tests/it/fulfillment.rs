//! Orders that are not simply shipped: split, held, waited for, cancelled, returned, declined, and in the hands of people.

use kit::Mode;

use crate::harness::*;

const WAIT_MS: u64 = 1_500;

fn quick<'a>() -> Plan<'a> {
    Plan {
        store: vec![("ORDER_WAIT_MS", WAIT_MS.to_string()), ("DISPATCH_TIMEOUT_MS", "500".into())],
        ..Plan::default()
    }
}

/// A book that only alpha has, and one that only beta has.
async fn apart(shop: &Shop) -> (Book, Book) {
    let (here, there) = (shop.books[0].clone(), shop.books[1].clone());
    shop.stock(&here, 5, 0).await;
    shop.stock(&there, 0, 5).await;
    (here, there)
}

fn events(saga: &Value) -> Vec<&str> {
    saga["journal"].as_array().unwrap().iter().map(|entry| entry["event"].as_str().unwrap()).collect()
}

async fn saga(shop: &Shop, order: Uuid) -> Value {
    shop.admin().get(&format!("/sagas/{order}")).await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_split_over_the_fewest_warehouses_and_the_journal_says_why() {
    let shop = Shop::open().await;
    let (here, there) = apart(&shop).await;
    let items = json!([here.line(2), there.line(1)]);
    let single = shop.alice().post("/orders", json!({ "items": items, "allowSplit": false })).await;
    assert_eq!(single.problem(409), "insufficient-stock");

    let order = shop.alice().post("/orders", json!({ "items": items })).await.expect(201);
    let shipments = order["shipments"].as_array().unwrap();
    assert_eq!((&order["status"], &order["payment"]["status"]), (&json!("SHIPPED"), &json!("CAPTURED")));
    assert!(shipments.len() == 2 && shipments.iter().all(|part| part["status"] == "SHIPPED"), "{order}");
    assert_eq!((shop.alpha.on_hand(&here).await, shop.beta.on_hand(&there).await), (3, 4));
    let id: Uuid = serde_json::from_value(order["id"].clone()).unwrap();
    let saga = saga(&shop, id).await;
    assert_eq!(events(&saga), ["accepted", "held", "part-shipped", "shipped"]);
    let why = saga["journal"][0]["text"].as_str().unwrap();
    assert!(why.contains("warehouse-alpha") && why.contains("warehouse-beta"), "{why}");
    assert_eq!(saga["state"], "shipped");
    shop.invariants_hold(&[id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_refused_leaves_stock_holds_payment_and_cache_as_they_were() {
    let shop = Shop::open().await;
    let (here, there) = apart(&shop).await;
    // Beta has lost its copies, and the store does not know.
    shop.beta.stock(&there, 0).await;
    let refused = shop.order(&[here.line(2), there.line(1)]).await;
    assert_eq!(refused.problem(409), "insufficient-stock");
    let id: Uuid = serde_json::from_value(refused.json()["orderId"].clone()).unwrap();
    let order = shop.look_up(id).await;
    assert_eq!((&order["status"], &order["payment"]["status"]), (&json!("REJECTED"), &json!("VOIDED")));
    assert_eq!((shop.alpha.on_hand(&here).await, shop.cached(&here).await[0].1), (5, 5), "at once available again");
    let again = shop.order(&[here.line(5)]).await;
    assert_eq!(again.expect(201)["status"], "SHIPPED");
    shop.invariants_hold(&[id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backorders_ship_oldest_first_when_stock_comes() {
    let shop = Shop::open().await;
    let book = shop.books[0].clone();
    shop.stock(&book, 1, 0).await;
    let order = json!({ "items": [book.line(2)], "allowBackorder": true });
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let answer = shop.alice().post("/orders", order.clone()).await;
        assert_eq!(answer.expect(202)["status"], "BACKORDERED", "told at once that it waits");
        waiting.push(answer.order().unwrap());
    }
    // Whoever wants no more than there is goes on.
    assert_eq!(shop.order(&[book.line(1)]).await.expect(201)["status"], "SHIPPED");
    shop.stock(&book, 0, 3).await;
    shop.order_is(waiting[0], "SHIPPED", SOON).await;
    assert_eq!(shop.look_up(waiting[1]).await["status"], "BACKORDERED");
    // A restart loses the line, and the sagas stand in it again.
    let mut shop = shop;
    shop.store.kill();
    shop.store.start();
    shop.store.ready().await;
    shop.in_step().await;
    let cancelled = shop.alice().post(&format!("/orders/{}/cancel", waiting[1]), json!({})).await.expect(200);
    assert_eq!((&cancelled["status"], &cancelled["payment"]["status"]), (&json!("CANCELLED"), &json!("VOIDED")));
    shop.stock(&book, 4, 0).await;
    shop.order_is(waiting[2], "SHIPPED", SOON).await;
    shop.invariants_hold(&waiting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_cancelled_in_time_too_late_or_once_the_warehouse_answers() {
    let shop = Shop::open_as(quick()).await;
    let book = shop.plenty(1).await.remove(0);
    let cancel = async |order: Uuid| shop.alice().post(&format!("/orders/{order}/cancel"), json!({})).await;

    let shipped = shop.order(&[book.line(1)]).await.order().unwrap();
    assert_eq!(cancel(shipped).await.problem(409), "already-shipped");

    // The call never goes out, and nobody knows.
    shop.store.faults("call:ship=return(fail:unknown)\n");
    let unsent = shop.order(&[book.line(1)]).await;
    assert_eq!(unsent.code(), 202);
    let unsent = unsent.order().unwrap();
    assert_eq!(cancel(unsent).await.expect(200)["status"], "CANCELLED");
    assert_eq!(cancel(unsent).await.expect(200)["status"], "CANCELLED", "and again");

    // It goes out, and nobody hears of it.
    shop.store.faults("answered:ship=return(fail:unknown)\n");
    for warehouse in [&shop.alpha, &shop.beta] {
        warehouse.back.set(Mode::Hang).await.unwrap();
    }
    let left = shop.order(&[book.line(1)]).await;
    assert_eq!(left.code(), 202);
    assert_eq!(cancel(left.order().unwrap()).await.problem(409), "already-shipped");
    shop.order_is(left.order().unwrap(), "SHIPPED", SOON).await;

    // Nobody can be asked: it is promised, and done later.
    shop.store.faults("call:ship=return(fail:unknown)\ncall:void=return(fail:unknown)\n");
    let doubt = shop.order(&[book.line(1)]).await.order().unwrap();
    let promised = cancel(doubt).await.expect(202);
    assert_eq!((&promised["status"], &promised["cancelRequested"]), (&json!("PENDING"), &json!(true)));
    let waits = saga(&shop, doubt).await;
    assert_eq!((&waits["state"], &waits["steps"]), (&json!("undoing"), &json!(["void"])));
    assert!(waits["attempts"].as_u64() > Some(0) && waits["lastError"].is_string(), "{waits}");
    shop.store.faults("");
    for warehouse in [&shop.alpha, &shop.beta] {
        warehouse.back.set(Mode::Pass).await.unwrap();
    }
    let order = shop.order_is(doubt, "CANCELLED", SOON).await;
    assert_eq!((&order["payment"]["status"], &order["cancelRequested"]), (&json!("VOIDED"), &Value::Null));
    let other = shop.bob().post(&format!("/orders/{doubt}/cancel"), json!({})).await;
    assert_eq!(other.code(), 403);
    shop.invariants_hold(&[shipped, unsent, left.order().unwrap(), doubt]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_come_back_to_where_they_left_and_are_refunded_once() {
    let shop = Shop::open().await;
    let (here, there) = apart(&shop).await;
    let order = shop.order(&[here.line(2), there.line(1)]).await.order().unwrap();
    let path = format!("/orders/{order}/return");
    let alice = shop.alice().with_header("Idempotency-Key", "first");
    for _ in 0..3 {
        let back = alice.post(&path, json!({ "items": [here.line(1)] })).await.expect(200);
        assert_eq!((&back["status"], &back["items"][0]["returned"]), (&json!("SHIPPED"), &json!(1)));
        assert_eq!(back["payment"]["refunded"].as_f64().unwrap(), here.price_cents as f64 / 100.0);
    }
    assert_eq!(shop.alpha.on_hand(&here).await, 4);
    assert_eq!(shop.alice().post(&path, json!({ "items": [here.line(2)] })).await.problem(409), "not-shipped");
    let unknown = shop.alice().post(&path, json!({ "items": [shop.books[7].line(1)] })).await;
    assert_eq!(unknown.problem(422), "invalid");
    let rest = shop.alice().post(&path, json!({ "items": [here.line(1), there.line(1)] })).await.expect(200);
    assert_eq!((&rest["status"], &rest["payment"]["status"]), (&json!("RETURNED"), &json!("REFUNDED")));
    assert_eq!((shop.alpha.on_hand(&here).await, shop.beta.on_hand(&there).await), (5, 5));
    shop.invariants_hold(&[order]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_are_declined_refused_slow_and_ambiguous_and_nothing_is_charged_twice() {
    let shop = Shop::open().await;
    let book = shop.plenty(1).await.remove(0);
    let pay = async |method: &str| {
        let order = json!({ "items": [book.line(1)], "payment": { "method": method } });
        shop.alice().post("/orders", order).await
    };
    let declined = pay("test_decline").await;
    assert_eq!(declined.problem(402), "payment-declined");
    let id: Uuid = serde_json::from_value(declined.json()["orderId"].clone()).unwrap();
    assert!(declined.header("location").ends_with(&id.to_string()));
    assert_eq!(shop.look_up(id).await["payment"]["status"], "FAILED");
    let mut told = vec![id];
    for method in ["test_ambiguous", "test_unreachable", "test_slow"] {
        let order = pay(method).await.order().unwrap();
        let order = shop.order_is(order, "SHIPPED", SOON).await;
        told.push(serde_json::from_value(order["id"].clone()).unwrap());
        kit::until("it is captured", SOON, async || {
            let order = shop.look_up(*told.last().unwrap()).await;
            if order["payment"]["status"] == "CAPTURED" { Ok(()) } else { Err(order.to_string()) }
        })
        .await;
    }

    let uncharged = pay("test_decline_capture").await.expect(201);
    assert_eq!((&uncharged["status"], &uncharged["payment"]["status"]), (&json!("SHIPPED"), &json!("FAILED")));
    let id: Uuid = serde_json::from_value(uncharged["id"].clone()).unwrap();
    let listed = shop.admin().get("/sagas?state=needs-attention&error=CHARGED").await.expect(200);
    assert_eq!((&listed[0]["orderId"], &listed[0]["needsAttention"]), (&json!(id), &json!(true)), "{listed}");
    assert!(shop.admin().get("/actors").await.text.contains("could not be charged"));
    // The same again under another key, and then a person gives it up.
    assert_eq!(shop.admin().post(&format!("/sagas/{id}/retry"), json!({})).await.expect(200)["orderStatus"], "SHIPPED");
    kit::until("it was refused again", SOON, async || {
        let keys = format!("SELECT count(*) FROM gateway_ledger WHERE order_id = '{id}' AND operation = 'capture'");
        match shop.store.sql().await.number(&keys).await.unwrap() {
            2 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
    kit::until("it is written off", SOON, async || {
        let answer = shop.admin().post(&format!("/sagas/{id}/cancel"), json!({})).await;
        if answer.code() == 200 { Ok(answer.json()) } else { Err(answer.text) }
    })
    .await;
    assert_eq!(events(&saga(&shop, id).await).last(), Some(&"written-off"));
    let audit = shop.admin().get("/audit").await.text;
    assert!(audit.contains(&format!("/sagas/{id}/cancel")) && audit.contains(&format!("/sagas/{id}/retry")), "audited");
    told.push(id);
    shop.invariants_hold(&told).await;
}

/// Nobody hears of beta again: once it is time a person is told, gives up the rest, and pays for what has left.
#[tokio::test(flavor = "multi_thread")]
async fn a_rest_that_never_leaves_is_given_up_by_a_person_and_is_not_charged() {
    let mut plan = quick();
    plan.store.push(("SAGA_ATTENTION_AFTER_SECONDS", "2".into()));
    let shop = Shop::open_as(plan).await;
    let (here, there) = apart(&shop).await;
    shop.store.faults("call:ship-held=1*off->return(fail:unknown)\n");
    let order = shop.order(&[here.line(1), there.line(1)]).await.order().unwrap();
    shop.order_is(order, "NEEDS_ATTENTION", SOON).await;
    let customers = shop.alice().post(&format!("/orders/{order}/cancel"), json!({})).await;
    assert_eq!(customers.problem(409), "already-shipped", "it has left in part");
    let waits = saga(&shop, order).await;
    assert!(waits["reason"].as_str().unwrap().contains("to ship"), "{waits}");
    shop.store.faults("");
    let given_up = shop.admin().post(&format!("/sagas/{order}/cancel"), json!({})).await;
    assert!(matches!(given_up.code(), 200 | 202), "{}", given_up.text);
    // Until the breaker lets calls through again, it may be flagged anew: whoever waits has it tried again.
    let order_now = kit::until("the rest is given up", SOON, async || {
        shop.admin().post(&format!("/sagas/{order}/retry"), json!({})).await;
        let now = shop.look_up(order).await;
        if now["status"] == "SHIPPED" { Ok(now) } else { Err(now.to_string()) }
    })
    .await;
    let left: Vec<_> =
        order_now["shipments"].as_array().unwrap().iter().filter(|part| part["status"] == "SHIPPED").collect();
    assert_eq!(left.len(), 1, "{order_now}");
    let price = if left[0]["warehouseName"] == "warehouse-alpha" { here.price_cents } else { there.price_cents };
    kit::until("what has left is charged", SOON, async || {
        let order = shop.look_up(order).await;
        let right = order["payment"]["captured"].as_f64() == Some(price as f64 / 100.0);
        if right && order["statusReason"].is_string() { Ok(()) } else { Err(order.to_string()) }
    })
    .await;
    shop.invariants_hold(&[order]).await;
}
