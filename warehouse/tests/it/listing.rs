//! Reading: the inventory with its version, and the log of shipments in pages.

use contract::InventoryItem;
use warehouse::db::inventory::{self, Head, Range};
use warehouse::db::shipments::{self, LogCursor, LogFilter};
use warehouse::domain::adjustment::Change;

use crate::support::{House, book, is_shipped, on_both, shipment};

async fn list(house: &House, range: Range) -> (Head, Vec<InventoryItem>) {
    let mut items = Vec::new();
    let head = inventory::list(&house.sql, range, |item| items.push(item)).await.unwrap();
    (head, items)
}

#[tokio::test]
async fn r15_a_listing_carries_the_version_it_was_read_at() {
    on_both(async |house| {
        let (empty, items) = list(house, Range::default()).await;
        assert!(items.is_empty());
        for number in 1..=5 {
            house.enter(number, 10).await;
        }
        let (head, items) = list(house, Range::default()).await;
        assert_eq!(items.iter().map(|item| item.book_id).collect::<Vec<_>>(), (1..=5).map(book).collect::<Vec<_>>());
        assert_eq!(Some(head.version), items.iter().map(|item| item.version).max());
        assert_eq!(head.version, house.number("SELECT version FROM warehouse_state").await);
        assert_eq!(head.database_id, empty.database_id);
        assert!(head.version > empty.version);

        house.adjust(3, Change::Total(4)).await;
        let (_, changed) = list(house, Range { since: Some(head.version), ..Range::default() }).await;
        assert_eq!(changed.iter().map(|item| (item.book_id, item.quantity)).collect::<Vec<_>>(), [(book(3), 4)]);

        let (_, page) = list(house, Range { after: Some(book(2)), limit: Some(2), since: None }).await;
        assert_eq!(page.iter().map(|item| item.book_id).collect::<Vec<_>>(), [book(3), book(4)]);
        let (head, past_the_end) = list(house, Range { after: Some(book(9)), ..Range::default() }).await;
        assert!(past_the_end.is_empty() && head.version > 0);
        assert_eq!(inventory::totals(&house.sql).await.unwrap(), (44, 5));
    })
    .await;
}

#[tokio::test]
async fn the_log_is_given_newest_first_in_pages_that_miss_and_repeat_nothing() {
    on_both(async |house| {
        house.enter(1, 100).await;
        house.enter(2, 100).await;
        let mut orders = Vec::new();
        for _ in 0..4 {
            // Two lines at once have the same time: only their ids tell them apart.
            let both = shipment(&[(1, 1), (2, 2)]);
            orders.push(both.order_id);
            assert!(is_shipped(&house.ship(both).await));
        }
        let whole = shipments::page(&house.sql, &LogFilter::default(), None, 100).await.unwrap();
        assert_eq!(whole.len(), 8);
        assert!(whole.is_sorted_by_key(|entry| std::cmp::Reverse((entry.shipped_at, entry.id))));
        assert_eq!(whole[0].order_id, orders[3]);

        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = shipments::page(&house.sql, &LogFilter::default(), after, 3).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(LogCursor { shipped_at: last.shipped_at, id: last.id });
            paged.extend(page);
        }
        assert_eq!(paged, whole);

        let count = async |filter: LogFilter| shipments::page(&house.sql, &filter, None, 100).await.unwrap().len();
        let all = LogFilter::default;
        assert_eq!(count(LogFilter { book_id: Some(book(2)), ..all() }).await, 4);
        assert_eq!(count(LogFilter { order_id: Some(orders[1]), ..all() }).await, 2);
        assert_eq!(count(LogFilter { order_id: Some(orders[1]), book_id: Some(book(1)), ..all() }).await, 1);
        let second = whole.iter().find(|entry| entry.order_id == orders[1]).unwrap().shipped_at;
        assert_eq!(count(LogFilter { from: Some(second), ..all() }).await, 6);
        assert_eq!(count(LogFilter { to: Some(second), ..all() }).await, 2);
    })
    .await;
}
