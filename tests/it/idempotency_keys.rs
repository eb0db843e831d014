//! The same `POST /orders` with one `Idempotency-Key`, at once, again, and across restarts and crashes: one order, one answer.

use std::time::Duration;

use crate::harness::*;

const KEY: &str = "Idempotency-Key";

fn keyed(shop: &Shop, key: &str) -> Client {
    shop.alice().with_header(KEY, key)
}

async fn orders(shop: &Shop) -> i64 {
    shop.store.sql().await.number("SELECT count(*) FROM orders").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_are_one_order_and_one_answer_also_after_a_restart() {
    let mut shop = Shop::open().await;
    let book = shop.books[0].clone();
    shop.stock(&book, 60, 0).await;
    let body = json!({ "items": [book.line(1)] });
    let mut posts = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (client, body) = (keyed(&shop, "one"), body.clone());
        posts.spawn(async move { client.post("/orders", body).await });
    }
    let answers = posts.join_all().await;
    let first = answers.iter().find(|answer| answer.code() == 201).expect("one is answered");
    for answer in &answers {
        assert!(answer.code() == 409 || answer.text == first.text, "{} differs from {}", answer.text, first.text);
        assert_eq!(answer.header("location"), if answer.code() == 409 { "" } else { first.header("location") });
    }
    let order = first.order().unwrap();

    shop.store.terminate().await;
    shop.store.start();
    shop.store.ready().await;
    shop.in_step().await;
    // Spelled otherwise, but the same.
    let spaced = format!("{{ \"payment\": {{}},\n \"items\" : [ {} ] }}", book.line(1)).into_bytes();
    let client = keyed(&shop, "one");
    let again = client.try_send_raw(reqwest::Method::POST, "/orders", Some(spaced), Some("application/json"));
    assert_eq!(again.await.unwrap().text, first.text);

    let other = keyed(&shop, "one").post("/orders", json!({ "items": [book.line(2)] })).await;
    assert_eq!(other.problem(422), "idempotency-key-reused");
    let bobs = shop.bob().with_header(KEY, "one").post("/orders", body.clone()).await;
    assert_ne!(bobs.expect(201)["id"], first.json()["id"]);
    let second = keyed(&shop, "two").post("/orders", body.clone()).await;
    assert_ne!(second.expect(201)["id"], first.json()["id"]);
    for bad in ["a b", &"x".repeat(256), ""] {
        assert_eq!(keyed(&shop, bad).post("/orders", body.clone()).await.fields(), [KEY]);
    }
    assert_eq!((orders(&shop).await, shop.alpha.on_hand(&book).await), (3, 57));
    shop.invariants_hold(&[order, bobs.order().unwrap(), second.order().unwrap()]).await;
}

#[tokio::test]
async fn a_refusal_before_there_is_an_order_is_not_kept_and_a_rejection_is() {
    let shop = Shop::open().await;
    let book = shop.books[0].clone();
    shop.stock(&book, 1, 0).await;
    let body = json!({ "items": [book.line(2)] });
    assert_eq!(keyed(&shop, "short").post("/orders", body.clone()).await.problem(409), "insufficient-stock");
    shop.stock(&book, 5, 0).await;
    let placed = keyed(&shop, "short").post("/orders", body.clone()).await;
    placed.expect(201);

    // What the store believes is more than there is: the order is accepted, and rejected then.
    shop.alpha.stock(&book, 2).await; // which the store is not told
    let body = json!({ "items": [book.line(3)] });
    let rejected = keyed(&shop, "rejected").post("/orders", body.clone()).await;
    assert_eq!(rejected.problem(409), "insufficient-stock");
    assert!(rejected.order().is_some() && rejected.json()["shortfalls"][0].is_object(), "{}", rejected.text);
    let again = keyed(&shop, "rejected").post("/orders", body).await;
    assert_eq!((again.code(), &again.text), (409, &rejected.text));
    shop.reconcile().await;
    shop.invariants_hold(&[placed.order().unwrap(), rejected.order().unwrap()]).await;
}

/// The process dies with the first request in hand, before and after its order is durable.
#[tokio::test]
async fn killed_during_the_first_it_is_one_order_and_the_same_answer() {
    let mut shop = Shop::open().await;
    let book = shop.books[0].clone();
    shop.stock(&book, 20, 0).await;
    let body = json!({ "items": [book.line(1)] });
    let mut told = Vec::new();
    for (key, point) in [("before", "commit:journal"), ("after", "committed:journal"), ("sent", "call:ship")] {
        shop.store.faults(&format!("{point}=return(abort)"));
        let lost = keyed(&shop, key).try_send(reqwest::Method::POST, "/orders", Some(body.clone())).await;
        assert!(lost.is_err(), "{lost:?}");
        shop.store.process().ended(SOON).await.unwrap();
        shop.store.faults("");
        shop.store.start();
        shop.store.ready().await;
        shop.in_step().await;
        let first = kit::until("the order is shipped", Duration::from_secs(60), async || {
            let answer = keyed(&shop, key).post("/orders", body.clone()).await;
            if answer.code() == 201 { Ok(answer) } else { Err(answer.text) }
        })
        .await;
        assert_eq!(keyed(&shop, key).post("/orders", body.clone()).await.text, first.text);
        told.extend(first.order());
    }
    assert_eq!((orders(&shop).await, shop.alpha.on_hand(&book).await), (3, 17));
    shop.invariants_hold(&told).await;
}

#[tokio::test]
async fn an_order_placed_async_is_listed_filtered_and_its_events_end_with_it() {
    let shop = Shop::open().await;
    let book = shop.books[0].clone();
    shop.stock(&book, 20, 0).await;
    shop.alpha.to.set(kit::Mode::Hang).await.unwrap();
    let prefer = shop.alice().with_header("Prefer", "respond-async, wait=5");
    let placed = prefer.post("/orders", json!({ "items": [book.line(1)] })).await;
    assert_eq!(
        (placed.expect(202)["status"].clone(), placed.header("preference-applied")),
        (json!("PENDING"), "respond-async")
    );
    let order = placed.order().unwrap();
    let path = format!("/orders/{order}/events");
    assert_eq!(shop.bob().get(&path).await.code(), 403);
    // It lasts until the order ends, which it does only once the warehouse can be reached.
    let (live, alice) = (path.clone(), shop.alice());
    let listener = tokio::spawn(async move { alice.get(&live).await });
    kit::until(
        "somebody listens",
        SOON,
        async || {
            if listener.is_finished() { Err("it has ended".to_owned()) } else { Ok(()) }
        },
    )
    .await;
    shop.alpha.to.set(kit::Mode::Pass).await.unwrap();
    let live = listener.await.unwrap();
    shop.order_is(order, "SHIPPED", SOON).await;
    let names = |answer: &Answer| {
        let lines = answer.text.lines().filter_map(|line| line.strip_prefix("event: "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names(&live), ["accepted", "shipped"], "{}", live.text);
    assert_eq!(live.header("content-type"), "text/event-stream");
    assert_eq!(names(&shop.alice().get(&path).await), ["accepted", "shipped"], "also when it is over");
    let rest = shop.admin().with_header("Last-Event-ID", "0").get(&path).await;
    assert_eq!(names(&rest), ["shipped"]);
    let data: Value =
        serde_json::from_str(rest.text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap();
    assert_eq!(
        (&data["status"], &data["warehouseName"], &data["seq"]),
        (&json!("SHIPPED"), &json!("warehouse-alpha"), &json!(1))
    );
    assert_eq!(shop.alice().with_header("Last-Event-ID", "1").get(&path).await.code(), 204);
    assert_eq!(shop.alice().with_header("Last-Event-ID", "x").get(&path).await.fields(), ["Last-Event-ID"]);

    let count = async |who: Client, query: &str| {
        who.get(&format!("/orders?{query}")).await.expect(200).as_array().unwrap().len()
    };
    for (query, expected) in [
        ("status=SHIPPED,PENDING", 1),
        ("status=PENDING", 0),
        ("from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00%2B02:00", 0),
        ("from=2020-01-01T00:00:00.5Z", 1),
    ] {
        assert_eq!(count(shop.alice(), query).await, expected, "{query}");
    }
    assert_eq!(count(shop.admin(), "customer=Alice@customer.com").await, 1);
    assert_eq!(count(shop.admin(), "customer=bob@customer.com").await, 0);
    assert_eq!(shop.alice().get("/orders?customer=alice@customer.com").await.code(), 403);
    let wrong = shop.admin().get("/orders?status=LOST&from=yesterday&to=&customer=me").await;
    assert_eq!(wrong.fields(), ["status", "from", "to", "customer"]);

    // Every step has its name, so that a browser's listener for it is called.
    shop.stock(&shop.books[1], 0, 0).await;
    let waits = json!({ "items": [shop.books[1].line(1)], "allowBackorder": true });
    let waiting = shop.alice().post("/orders", waits).await.order().unwrap();
    shop.alice().post(&format!("/orders/{waiting}/cancel"), json!({})).await.expect(200);
    let steps = shop.alice().get(&format!("/orders/{waiting}/events")).await;
    let data = steps.text.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    assert_eq!(names(&steps), data.map(|step| step["event"].as_str().unwrap().to_owned()).collect::<Vec<_>>());
    assert_eq!(names(&steps).last().unwrap(), "cancelled");
    shop.invariants_hold(&[order, waiting]).await;
}
