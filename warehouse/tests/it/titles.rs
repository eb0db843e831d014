//! Titles and authors from the store's catalogue.

use contract::InventoryItem;
use reqwest::Method;
use warehouse::db::inventory::{self, Range};

use crate::support::{House, SOON, Scratch, book};

const OFTEN: (&str, &str) = ("titles_refresh_interval_seconds", "1");

/// Runs the check on a house that asks often, on either database.
async fn on_both(check: impl AsyncFn(&House)) {
    for scratch in [Scratch::sqlite(), Scratch::postgres().await] {
        let house = House::open_with(&scratch, &[OFTEN]).await;
        check(&house).await;
        house.ledger_agrees().await;
        house.close().await;
    }
}

async fn items(house: &House) -> Vec<InventoryItem> {
    let mut items = Vec::new();
    inventory::list(&house.sql, Range::default(), |item| items.push(item)).await.unwrap();
    items
}

/// Waits until a book is called so.
async fn is_called(house: &House, number: u128, title: &str) {
    kit::until(&format!("{number} is called {title}"), SOON, async || {
        let item = inventory::one(&house.sql, book(number)).await.unwrap();
        let called = item.and_then(|item| item.title);
        if called.as_deref() == Some(title) { Ok(()) } else { Err(format!("{called:?}")) }
    })
    .await;
}

#[tokio::test]
async fn r14_titles_come_from_the_store_a_hundred_a_call_and_are_no_change_of_stock() {
    on_both(async |house| {
        house.store.is_away(true);
        for number in 1..=250 {
            house.enter(number, 10).await;
            if number != 7 {
                house.store.calls(number, &format!("Title {number}"), "Author");
            }
        }
        let before = items(house).await;
        let version = house.number("SELECT version FROM warehouse_state").await;
        let tag = async || {
            let answer = house.service(Method::GET, "/inventory").send().await.unwrap();
            answer.headers()["etag"].to_str().unwrap().to_owned()
        };
        let tag_before = tag().await;
        house.store.is_away(false);
        is_called(house, 250, "Title 250").await;
        let after = items(house).await;
        assert!(after.iter().zip(&before).all(|(after, before)| {
            after.version == before.version
                && after.updated_at == before.updated_at
                && after.quantity == before.quantity
        }));
        assert_eq!(house.number("SELECT version FROM warehouse_state").await, version);
        assert_eq!(
            after.iter().filter(|item| item.title.is_none()).map(|item| item.book_id).collect::<Vec<_>>(),
            [book(7)]
        );
        assert!(
            after.iter().filter(|item| item.book_id != book(7)).all(|item| item.author.as_deref() == Some("Author"))
        );
        assert_ne!(tag().await, tag_before, "who has read the list before is given it anew");
        let calls = house.store.asked();
        assert!(
            calls.iter().all(|books| (1..=100).contains(&books.len())),
            "{:?}",
            calls.iter().map(Vec::len).collect::<Vec<_>>()
        );

        house.store.calls(3, "Renamed", "Author");
        house.store.calls(7, "Known at last", "Author");
        is_called(house, 3, "Renamed").await;
        is_called(house, 7, "Known at last").await;
    })
    .await;
}

#[tokio::test]
async fn what_the_store_does_not_know_is_asked_for_once_a_refresh() {
    let scratch = Scratch::sqlite();
    let house = House::open_with(&scratch, &[]).await;
    house.store.calls(1, "One", "Author");
    house.store.is_away(true);
    house.enter(1, 10).await;
    house.enter(2, 10).await;
    kit::until("it is asked in vain", SOON, async || {
        let asked = house.store.asked();
        if asked.iter().any(|books| books.len() == 2) { Ok(()) } else { Err(format!("{asked:?}")) }
    })
    .await;
    house.store.is_away(false);
    is_called(&house, 1, "One").await;
    house.enter(3, 10).await;
    house.store.calls(3, "Three", "Author");
    is_called(&house, 3, "Three").await;
    assert_eq!(house.store.asked().last().unwrap(), &[book(3)], "2 is not asked for again");
    house.close().await;
}
