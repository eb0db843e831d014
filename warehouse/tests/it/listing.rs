//! Reading: the inventory with its version, and the log of shipments in pages.

use contract::{InventoryItem, MovementKind};
use warehouse::db::inventory::{self, Head, Range};
use warehouse::db::movements::{self, Filter, Place};
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

        let (_, page) = list(house, Range { after: Some(book(2)), limit: Some(2), ..Range::default() }).await;
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

#[tokio::test]
async fn a_ledger_is_given_newest_first_in_pages_that_miss_and_repeat_nothing() {
    on_both(async |house| {
        house.enter(1, 100).await;
        house.enter(2, 100).await;
        for number in [1, 1, 2, 1] {
            assert!(is_shipped(&house.ship(shipment(&[(number, 3)])).await));
        }
        house.adjust(1, Change::Total(50)).await;
        let page =
            async |filter, after, limit| movements::page(&house.sql, book(1), filter, after, limit).await.unwrap();
        let whole = page(Filter::default(), None, 100).await;
        assert_eq!(whole.iter().map(|entry| entry.on_hand_delta).collect::<Vec<_>>(), [-41, -3, -3, -3, 100]);
        assert!(whole.iter().all(|entry| entry.book_id == book(1)));
        assert_eq!(
            (whole[0].kind, whole[0].shipment_id, whole[0].made_by.as_str()),
            (MovementKind::Adjusted, None, "tester")
        );
        assert!(whole[1].kind == MovementKind::Shipped && whole[1].order_id.is_some());
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let entries = page(Filter::default(), after, 2).await;
            let Some(last) = entries.last() else { break };
            after = Some(Place { version: last.version, id: last.id });
            paged.extend(entries);
        }
        assert_eq!(paged, whole);
        let shipped = page(Filter { kind: Some(MovementKind::Shipped), ..Filter::default() }, None, 100).await;
        assert_eq!(shipped, whole[1..4]);
        let at = whole[2].at;
        let since = page(Filter { from: Some(at), ..Filter::default() }, None, 100).await;
        assert!(since.iter().all(|entry| entry.at >= at) && since.len() >= 3);
        let before = page(Filter { to: Some(at), ..Filter::default() }, None, 100).await;
        assert_eq!(since.len() + before.len(), whole.len());
    })
    .await;
}

#[tokio::test]
async fn what_runs_low_is_listed() {
    on_both(async |house| {
        for (number, quantity) in [(1, 5), (2, 50), (3, 0), (4, 6)] {
            house.enter(number, quantity).await;
        }
        let low = async |range| list(house, range).await.1.iter().map(|item| item.book_id).collect::<Vec<_>>();
        assert_eq!(low(Range { below: Some(6), ..Range::default() }).await, [book(1), book(3)]);
        assert_eq!(low(Range { below: Some(7), after: Some(book(1)), limit: Some(1), ..Range::default() }).await, [book(3)]);
        assert_eq!(low(Range { below: Some(0), ..Range::default() }).await, []);
        // Copies set aside are not free.
        house.sql_run("UPDATE inventory SET reserved = 45 WHERE quantity = 50").await;
        house.sql_run("INSERT INTO inventory_movements (id, book_id, kind, on_hand_delta, reserved_delta, made_by, version, at)
            SELECT book_id, book_id, 'reserved', 0, 45, 'x', version, updated_at FROM inventory WHERE quantity = 50").await;
        assert_eq!(low(Range { below: Some(6), ..Range::default() }).await, [book(1), book(2), book(3)]);
    })
    .await;
}
