//! More buyers than copies.

use crate::harness::*;

async fn a_hundred_buyers(alpha: u32, beta: u32) {
    let shop = Shop::open().await;
    let book = shop.books[0].clone();
    shop.stock(&book, alpha, beta).await;
    let client = shop.alice();
    let mut buyers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (client, order) = (client.clone(), json!({ "items": [book.line(1)] }));
        buyers.spawn(async move { client.post("/orders", order).await });
    }
    let answers = buyers.join_all().await;
    let told: Vec<Uuid> = answers
        .iter()
        .filter(|answer| matches!(answer.code(), 201 | 202))
        .map(|answer| answer.order().unwrap())
        .collect();
    assert_eq!(told.len(), 10, "{:?}", answers.iter().map(Answer::code).collect::<Vec<_>>());
    for answer in answers.iter().filter(|answer| !answer.status.is_success()) {
        assert_eq!(answer.problem(409), "insufficient-stock");
        let shortfall = &answer.json()["shortfalls"][0];
        assert_eq!((&shortfall["bookId"], &shortfall["requested"]), (&json!(book.id), &json!(1)), "{}", answer.text);
    }
    for order in &told {
        shop.order_is(*order, "SHIPPED", SOON).await;
    }
    assert_eq!((shop.alpha.on_hand(&book).await, shop.beta.on_hand(&book).await), (0, 0));
    assert_eq!((shop.alpha.shipped(&book).await, shop.beta.shipped(&book).await), (alpha.into(), beta.into()));
    let orders = shop.store.sql().await.number("SELECT count(*) FROM orders").await.unwrap();
    assert_eq!(orders, 10, "an order that was refused does not exist");
    shop.invariants_hold(&told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_buyers_of_ten_copies_in_one_warehouse() {
    a_hundred_buyers(10, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_buyers_of_ten_copies_in_two_warehouses() {
    a_hundred_buyers(6, 4).await;
}

/// The cache may promise what is gone; then the warehouse decides, and nobody is charged.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_buyers_of_copies_that_only_the_cache_has() {
    let shop = Shop::open().await;
    let book = shop.books[0].clone();
    shop.stock(&book, 50, 50).await;
    shop.alpha.stock(&book, 4).await;
    shop.beta.stock(&book, 6).await;
    let client = shop.alice();
    let mut buyers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (client, order) = (client.clone(), json!({ "items": [book.line(1)] }));
        buyers.spawn(async move { client.post("/orders", order).await });
    }
    let answers = buyers.join_all().await;
    let told: Vec<Uuid> =
        answers.iter().filter(|answer| answer.status.is_success()).map(|answer| answer.order().unwrap()).collect();
    for answer in answers.iter().filter(|answer| !answer.status.is_success()) {
        assert_eq!(answer.problem(409), "insufficient-stock");
    }
    shop.invariants_hold(&told).await;
    assert_eq!((shop.alpha.shipped(&book).await, shop.beta.shipped(&book).await), (4, 6));
}
