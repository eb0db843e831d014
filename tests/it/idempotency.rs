//! The same shipment again, and shipments that were refused: the first outcome of a shipmentId is final.

use crate::harness::*;

/// What the test posts itself, the store never heard of.
fn posted() -> Allowed {
    Allowed { unknown_orders: true, ..Allowed::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn r13_the_same_shipment_twenty_times_at_once_ships_once() {
    let shop = Shop::open().await;
    let book = shop.books[0].clone();
    shop.stock(&book, 30, 0).await;
    let (order, shipment) = (Uuid::now_v7(), Uuid::now_v7());
    let client = shop.alpha.service.anyone().service();
    let body = json!({ "orderId": order, "shipmentId": shipment, "items": [book.shipment_line(3)] });
    let mut posts = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (client, body) = (client.clone(), body.clone());
        posts.spawn(async move { client.post("/shipments", body).await });
    }
    let answers = posts.join_all().await;
    let first = answers[0].expect(200);
    assert_eq!(
        (&first["shipped"], &first["warehouseName"], &first["shipmentId"]),
        (&json!(true), &json!("warehouse-alpha"), &json!(shipment))
    );
    for answer in &answers {
        assert_eq!(answer.expect(200)["shippedAt"], first["shippedAt"], "twenty answers, one shipment");
    }
    assert_eq!((shop.alpha.on_hand(&book).await, shop.alpha.shipped(&book).await), (27, 3));
    let outbox = shop.alpha.service.sql().await.number("SELECT count(*) FROM shipment_logs").await.unwrap();
    assert_eq!(outbox, 1);

    // Without a shipmentId the order's id is the key.
    let order = Uuid::now_v7();
    for _ in 0..2 {
        let body = json!({ "orderId": order, "items": [book.shipment_line(1)] });
        client.post("/shipments", body).await.expect(200);
    }
    assert_eq!(shop.alpha.on_hand(&book).await, 26);
    shop.reconcile().await;
    shop.invariants_hold_but(&[], &posted()).await;
}

#[tokio::test]
async fn r13_two_lines_of_one_book_are_summed_before_the_check() {
    let shop = Shop::open().await;
    let (book, other) = (shop.books[0].clone(), shop.books[1].clone());
    shop.stock(&book, 10, 0).await;
    shop.stock(&other, 10, 0).await;
    let refused = shop
        .alpha
        .ship(Uuid::now_v7(), Uuid::now_v7(), &[book.shipment_line(6), other.shipment_line(1), book.shipment_line(6)])
        .await;
    assert_eq!(refused.problem(409), "insufficient-stock");
    let shortfalls = refused.json()["shortfalls"].clone();
    assert_eq!(shortfalls, json!([{ "bookId": book.id, "requested": 12, "available": 10 }]));
    assert_eq!((shop.alpha.on_hand(&book).await, shop.alpha.on_hand(&other).await), (10, 10), "all or nothing");
    shop.alpha.ship(Uuid::now_v7(), Uuid::now_v7(), &[book.shipment_line(6), book.shipment_line(4)]).await.expect(200);
    assert_eq!((shop.alpha.on_hand(&book).await, shop.alpha.shipped(&book).await), (0, 10));
    shop.reconcile().await;
    shop.invariants_hold_but(&[], &posted()).await;
}

#[tokio::test]
async fn r02_a_refused_shipment_stays_refused_after_restocking_and_the_next_is_not() {
    let shop = Shop::open().await;
    let book = shop.books[0].clone();
    shop.stock(&book, 1, 0).await;
    let (order, shipment) = (Uuid::now_v7(), Uuid::now_v7());
    let lines = [book.shipment_line(2)];
    assert_eq!(shop.alpha.ship(order, shipment, &lines).await.problem(409), "insufficient-stock");
    shop.stock(&book, 50, 0).await;
    assert_eq!(shop.alpha.ship(order, shipment, &lines).await.problem(409), "insufficient-stock");
    assert_eq!(shop.alpha.on_hand(&book).await, 50);
    shop.alpha.ship(order, Uuid::now_v7(), &lines).await.expect(200);
    assert_eq!(shop.alpha.on_hand(&book).await, 48);
    shop.reconcile().await;
    shop.invariants_hold_but(&[], &posted()).await;
}

#[tokio::test]
async fn r02_a_shipment_with_other_items_or_of_another_order_is_a_mismatch() {
    let shop = Shop::open().await;
    let book = shop.books[0].clone();
    shop.stock(&book, 20, 0).await;
    let (order, shipment) = (Uuid::now_v7(), Uuid::now_v7());
    shop.alpha.ship(order, shipment, &[book.shipment_line(2)]).await.expect(200);
    assert_eq!(shop.alpha.ship(order, shipment, &[book.shipment_line(3)]).await.problem(409), "shipment-mismatch");
    assert_eq!(
        shop.alpha.ship(Uuid::now_v7(), shipment, &[book.shipment_line(2)]).await.problem(409),
        "shipment-mismatch"
    );
    shop.alpha.ship(order, shipment, &[book.shipment_line(1), book.shipment_line(1)]).await.expect(200); // the same, in two lines
    assert_eq!(shop.alpha.on_hand(&book).await, 18);
    shop.reconcile().await;
    shop.invariants_hold_but(&[], &posted()).await;
}

#[tokio::test]
async fn r03_what_was_voided_never_ships_and_what_shipped_is_not_voided() {
    let shop = Shop::open().await;
    let book = shop.books[0].clone();
    shop.stock(&book, 20, 0).await;
    let client = shop.alpha.service.anyone().service();
    let void = async |shipment: Uuid| client.post(&format!("/shipments/{shipment}/void"), json!({})).await;

    let (order, unknown) = (Uuid::now_v7(), Uuid::now_v7());
    void(unknown).await.expect(200);
    void(unknown).await.expect(200);
    assert_eq!(shop.alpha.ship(order, unknown, &[book.shipment_line(1)]).await.problem(409), "voided");

    let refused = Uuid::now_v7();
    assert_eq!(shop.alpha.ship(order, refused, &[book.shipment_line(21)]).await.problem(409), "insufficient-stock");
    void(refused).await.expect(200);
    assert_eq!(shop.alpha.ship(order, refused, &[book.shipment_line(21)]).await.problem(409), "voided");

    let shipped = Uuid::now_v7();
    shop.alpha.ship(order, shipped, &[book.shipment_line(1)]).await.expect(200);
    let refusal = void(shipped).await;
    assert_eq!(refusal.problem(409), "already-shipped");
    assert!(refusal.text.contains(&shipped.to_string()), "with the answer: {}", refusal.text);
    shop.alpha.ship(order, shipped, &[book.shipment_line(1)]).await.expect(200);
    assert_eq!(shop.alpha.on_hand(&book).await, 19);
    shop.reconcile().await;
    shop.invariants_hold_but(&[], &posted()).await;
}

#[tokio::test]
async fn r11_a_confirmation_again_or_of_something_else_changes_nothing() {
    let shop = Shop::open().await;
    let book = shop.books[0].clone();
    shop.stock(&book, 20, 0).await;
    let placed = shop.order(&[book.line(2)]).await;
    let order = placed.order().unwrap();
    let shipped = placed.expect(201);
    let (path, shipment) = (format!("/orders/{order}/status"), &shipped["shipments"][0]["id"]);
    let store = shop.anyone().service();
    let confirmation = json!({ "status": "SHIPPED", "shippedAt": "2026-11-22T10:00:00.000Z", "warehouseName": "warehouse-alpha", "shipmentId": shipment });
    store.post(&path, confirmation.clone()).await.expect(200);
    store.patch(&path, confirmation.clone()).await.expect(200);
    let without = json!({ "status": "SHIPPED", "shippedAt": "2026-11-22T10:00:00.000Z" });
    store.post(&path, without).await; // none of its shipments is open: whatever the answer, nothing changes
    for (member, value) in [("warehouseName", json!("warehouse-beta")), ("shipmentId", json!(Uuid::now_v7()))] {
        let mut other = confirmation.clone();
        other[member] = value;
        assert_eq!(store.post(&path, other).await.code(), 409, "{member}");
    }
    let unknown = store.post(&format!("/orders/{}/status", Uuid::now_v7()), confirmation.clone()).await;
    assert_eq!(unknown.problem(409), "unknown-order");
    let mut back = confirmation;
    back["status"] = json!("PENDING");
    assert!(matches!(store.post(&path, back).await.code(), 409 | 422));
    assert_eq!(shop.look_up(order).await, shipped);
    assert_eq!(shop.cached(&book).await, [("warehouse-alpha".to_owned(), 18), ("warehouse-beta".to_owned(), 0)]);
    shop.invariants_hold(&[order]).await;
}
