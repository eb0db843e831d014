//! Orders that get into each other's way.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::harness::*;

/// What came of posts that were sent at once.
async fn at_once(posts: Vec<(Client, String, Value)>) -> Vec<Answer> {
    let mut set = JoinSet::new();
    for (index, (client, path, body)) in posts.into_iter().enumerate() {
        set.spawn(async move { (index, client.post(&path, body).await) });
    }
    let mut answers = set.join_all().await;
    answers.sort_unstable_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn told(answers: &[Answer]) -> Vec<Uuid> {
    answers.iter().filter(|answer| matches!(answer.code(), 201 | 202)).filter_map(Answer::order).collect()
}

async fn all_end(shop: &Shop, orders: &[Uuid], statuses: &[&str]) {
    kit::until("every order has ended", Duration::from_secs(60), async || {
        let all = shop.admin().get("/orders?limit=1000").await.expect(200);
        let status = |id: &Uuid| all.as_array().unwrap().iter().find(|order| order["id"] == json!(id)).cloned();
        let open = orders
            .iter()
            .filter(|id| status(id).is_none_or(|order| !statuses.contains(&order["status"].as_str().unwrap())));
        let open: Vec<_> = open.collect();
        if open.is_empty() { Ok(()) } else { Err(format!("{open:?}")) }
    })
    .await;
}

/// Split orders whose lines are in opposite orders, so that each waits for what the other locks, if anything ever does.
#[tokio::test(flavor = "multi_thread")]
async fn reversed_lines_under_load_do_not_deadlock() {
    let mut shop = Shop::open().await;
    let books = shop.books[..4].to_vec();
    for (index, book) in books.iter().enumerate() {
        let (alpha, beta) = if index % 2 == 0 { (1_000, 0) } else { (0, 1_000) };
        shop.stock(book, alpha, beta).await;
    }
    let post = |n: usize| {
        let mut lines: Vec<Value> = books.iter().map(|book| book.line(1)).collect();
        if n % 2 == 1 {
            lines.reverse();
        }
        (shop.alice(), "/orders".to_owned(), json!({ "items": lines }))
    };
    let answers = at_once((0..80).map(post).collect()).await;
    let orders = told(&answers);
    assert_eq!(orders.len(), 80, "{:?}", answers.iter().map(Answer::code).collect::<Vec<_>>());
    all_end(&shop, &orders, &["SHIPPED"]).await;
    for service in [&mut shop.store, &mut shop.alpha.service, &mut shop.beta.service] {
        let log = service.process().log();
        assert!(!log.contains("deadlock"), "{log}");
    }
    shop.invariants_hold(&orders).await;
}

/// One copy in each of two warehouses, and each order wants both.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_buyers_of_one_copy_across_two_warehouses() {
    let shop = Shop::open().await;
    let (here, there) = (shop.books[0].clone(), shop.books[1].clone());
    shop.stock(&here, 1, 0).await;
    shop.stock(&there, 0, 1).await;
    // Of one more book each warehouse has one, and every order wants one.
    let either = shop.books[2].clone();
    shop.stock(&either, 1, 1).await;
    let both = json!({ "items": [here.line(1), there.line(1)] });
    let one = json!({ "items": [either.line(1)] });
    let post =
        |n: usize| (shop.alice(), "/orders".to_owned(), if n.is_multiple_of(2) { both.clone() } else { one.clone() });
    let answers = at_once((0..200).map(post).collect()).await;
    let of = |rest: usize| answers.iter().enumerate().filter(move |(n, _)| n % 2 == rest).map(|(_, answer)| answer);
    let taken = |rest: usize| of(rest).filter(|answer| matches!(answer.code(), 201 | 202)).count();
    assert_eq!((taken(0), taken(1)), (1, 2));
    let orders = told(&answers);
    all_end(&shop, &orders, &["SHIPPED"]).await;
    for book in [&here, &there, &either] {
        assert_eq!((shop.alpha.on_hand(book).await, shop.beta.on_hand(book).await), (0, 0));
    }
    shop.invariants_hold(&orders).await;
}

/// Each is cancelled about when it ships. Whoever is told that it is cancelled gets nothing and pays nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_races_the_shipment() {
    let shop = Shop::open().await;
    let books = shop.plenty(2).await;
    shop.alpha.stock(&books[1], 0).await;
    shop.beta.stock(&books[0], 0).await;
    shop.reconcile().await;
    let mut set = JoinSet::new();
    for n in 0..120_u64 {
        let (alice, bodies) = (shop.alice(), [vec![books[0].line(1)], vec![books[0].line(1), books[1].line(1)]]);
        set.spawn(async move {
            let patient = alice.with_header("Prefer", "respond-async");
            let order = patient.post("/orders", json!({ "items": bodies[n as usize % 2] })).await.order().unwrap();
            // Sooner or later by a little, so that every moment of an order meets a cancel.
            let began = tokio::time::Instant::now();
            tokio::time::sleep_until(began + Duration::from_micros(n * 700)).await;
            (order, alice.post(&format!("/orders/{order}/cancel"), json!({})).await)
        });
    }
    let answers = set.join_all().await;
    let orders: Vec<Uuid> = answers.iter().map(|(order, _)| *order).collect();
    all_end(&shop, &orders, &["SHIPPED", "CANCELLED"]).await;
    let (mut cancelled, mut shipped) = (0, 0);
    for (order, answer) in &answers {
        let now = shop.look_up(*order).await;
        match answer.code() {
            200 => {
                assert_eq!((&now["status"], &now["payment"]["captured"]), (&json!("CANCELLED"), &json!(0.0)), "{now}");
            }
            409 => assert_eq!(now["status"], "SHIPPED", "{}", answer.text),
            // Neither, within the wait.
            other => assert_eq!(other, 202, "{}", answer.text),
        }
        if now["status"] == "SHIPPED" {
            shipped += 1;
        } else {
            cancelled += 1;
        }
    }
    assert!(cancelled > 0 && shipped > 0, "{cancelled} cancelled and {shipped} shipped: no race");
    shop.invariants_hold(&orders).await;
}

/// Half of the orders are undone, since beta has not what the store believes; the others are paid meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn one_orders_undo_races_anothers_payment() {
    let shop = Shop::open().await;
    let (shared, lost) = (shop.books[0].clone(), shop.books[1].clone());
    shop.stock(&shared, 500, 0).await;
    shop.stock(&lost, 0, 500).await;
    shop.beta.stock(&lost, 7).await;
    let undone = json!({ "items": [shared.line(2), lost.line(1)] });
    let paid = json!({ "items": [shared.line(1)], "payment": { "method": "test_ambiguous" } });
    let post = |n: usize| {
        let who = if n.is_multiple_of(2) { shop.alice() } else { shop.bob() };
        (who, "/orders".to_owned(), if n.is_multiple_of(2) { undone.clone() } else { paid.clone() })
    };
    let answers = at_once((0..120).map(post).collect()).await;
    let orders: Vec<Uuid> = shop
        .admin()
        .get("/orders?limit=1000")
        .await
        .expect(200)
        .as_array()
        .unwrap()
        .iter()
        .map(|order| serde_json::from_value(order["id"].clone()).unwrap())
        .collect();
    all_end(&shop, &orders, &["SHIPPED", "REJECTED"]).await;
    let all = shop.admin().get("/orders?limit=1000").await.expect(200);
    let count = |lines: usize, status: &str| {
        let of = |order: &&Value| order["items"].as_array().unwrap().len() == lines && order["status"] == status;
        all.as_array().unwrap().iter().filter(of).count()
    };
    assert_eq!(
        (count(2, "SHIPPED"), count(1, "SHIPPED")),
        (7, 60),
        "{:?}",
        answers.iter().map(Answer::code).collect::<Vec<_>>()
    );
    assert_eq!(shop.alpha.on_hand(&shared).await, 500 - 60 - 7 * 2);
    shop.invariants_hold(&told(&answers)).await;
}

/// Holds of a second, confirmed after about as long.
#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_expires_as_it_is_confirmed_and_shipped() {
    let mut plan = Plan::default();
    plan.store.push(("RESERVATION_HOLD_SECONDS", "1".into()));
    let shop = Shop::open_as(plan).await;
    let (here, there) = (shop.books[0].clone(), shop.books[1].clone());
    shop.stock(&here, 30, 0).await;
    shop.stock(&there, 0, 30).await;
    shop.store
        .faults("call:confirm=5*sleep(900)->5*sleep(1000)->5*sleep(1100)->off\ncall:ship-held=10*sleep(200)->off\n");
    let order = json!({ "items": [here.line(1), there.line(1)] });
    let answers = at_once((0..20).map(|_| (shop.alice(), "/orders".to_owned(), order.clone())).collect()).await;
    let orders = told(&answers);
    all_end(&shop, &orders, &["SHIPPED", "REJECTED"]).await;
    let shipped = shop.alpha.shipped(&here).await;
    assert_eq!((shop.alpha.on_hand(&here).await, shop.beta.on_hand(&there).await), (30 - shipped, 30 - shipped));
    let expired = "SELECT count(*) FROM reservations WHERE status = 'expired'";
    let expired = shop.alpha.service.sql().await.number(expired).await.unwrap()
        + shop.beta.service.sql().await.number(expired).await.unwrap();
    assert!(expired > 0, "no hold has expired: no race");
    shop.invariants_hold(&orders).await;
}
