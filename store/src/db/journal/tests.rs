use contract::{ShipmentLine, Shortfall};
use sea_orm::{ConnectionTrait as _, DatabaseConnection};
use service::database::{Database, is_unique_violation};

use super::*;
use crate::db::testing::{at, book_id, enter_books, enter_warehouse, on_both, row, warehouse_id};
use crate::db::{orders, sagas};
use crate::domain::order::Change;
use crate::domain::saga::{Saga, Transition};

const USER: UserId = UserId(Uuid::from_u128(0xAA));

fn order_id(n: u128) -> OrderId {
    OrderId(Uuid::from_u128(n))
}

fn shipment_id(n: u128) -> ShipmentId {
    ShipmentId(Uuid::from_u128(0x1000 + n))
}

async fn world(database: &Database) -> DatabaseConnection {
    enter_books(database, 3).await;
    enter_warehouse(database, 1, "alpha").await;
    enter_warehouse(database, 2, "beta").await;
    let db = database.ready().unwrap();
    let user = match db.get_database_backend() {
        sea_orm::DbBackend::Sqlite => format!("X'{}'", USER.uuid().simple()),
        _ => format!("'{USER}'"),
    };
    db.execute_unprepared(&format!(
        "INSERT INTO users (id, email, password_hash, password_version, role, created_at, updated_at)
         VALUES ({user}, 'a@b.example', '', 1, 'CUSTOMER', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
    ))
    .await
    .unwrap();
    db.clone()
}

/// Order `n`: one copy of book 1 and two of book 2, from alpha.
fn accepted(n: u128) -> Accepted {
    let saga = Saga::new(shipment_id(n), warehouse_id(1), at(1_000));
    let line = |book: u128, quantity| AcceptedLine {
        id: OrderItemId(Uuid::from_u128(n * 10 + book)),
        order_id: order_id(n),
        book_id: book_id(book),
        book_title: format!("It's \"book\" {book}"),
        isbn: format!("isbn {book}"),
        quantity,
        price_cents: 1_050,
    };
    let contents = vec![ShipmentLine { book_id: book_id(1), isbn: "isbn 1".to_owned(), quantity: 1 }];
    Accepted {
        order_id: order_id(n),
        user_id: USER,
        total_cents: 3_150,
        method: "credit_card".to_owned(),
        shipment_id: shipment_id(n),
        warehouse_id: warehouse_id(1),
        warehouse_name: "alpha".to_owned(),
        contents: serde_json::to_string(&contents).unwrap(),
        state: serde_json::to_value(saga).unwrap(),
        at: at(50),
        lines: vec![line(1, 1), line(2, 2)],
    }
}

fn advanced(n: u128, seq: i64, transition: &Transition) -> Advanced {
    let change = Change::of(transition);
    let stock = match transition {
        Transition::Shipped { stock, .. } => stock.iter().map(|row| (warehouse_id(1), *row)).collect(),
        _ => Vec::new(),
    };
    Advanced {
        order_id: order_id(n),
        seq,
        event: transition.name(),
        detail: serde_json::json!({}),
        state: accepted(n).state,
        finished: matches!(transition, Transition::Shipped { .. } | Transition::Rejected { .. }),
        attention: matches!(transition, Transition::Flagged { .. }),
        order_status: change.order,
        reason: change.reason,
        shipment_id: shipment_id(n),
        shipment_status: change.shipment,
        shipped_at: change.shipped_at,
        payment_status: change.payment,
        next: None,
        at: at(60),
        stock,
    }
}

fn shipped(stock: Vec<StockRow>) -> Transition {
    Transition::Shipped { shipped_at: at(55), stock }
}

#[tokio::test]
async fn an_accepted_order_reads_back_as_it_was_written() {
    on_both(async |database| {
        let db = world(database).await;
        accept(&db, &[&accepted(1), &accepted(2)]).await.unwrap();
        let order = orders::find(&db, order_id(1)).await.unwrap().unwrap();
        assert_eq!((order.status, order.total_amount.to_string().as_str()), (OrderStatus::Pending, "31.50"));
        assert_eq!((order.created_at, order.user_id), (at(50), USER));
        assert_eq!(order.items.len(), 2);
        assert_eq!((order.items[1].book_title.as_str(), order.items[1].quantity), ("It's \"book\" 2", 2));
        assert_eq!((order.payment.status, order.payment.amount), (PaymentStatus::Pending, order.total_amount));
        assert_eq!(order.shipments[0].status, ShipmentStatus::Pending);
        assert_eq!(order.fulfillment_warehouse.as_deref(), Some("alpha"));
        let (saga, seq) = sagas::find(&db, order_id(2)).await.unwrap().unwrap();
        assert_eq!((saga.shipment, seq), (shipment_id(2), 0));
        assert!(has_entry(&db, order_id(1), 0).await.unwrap());
        assert!(!has_entry(&db, order_id(1), 1).await.unwrap());
        let again = accept(&db, &[&accepted(2)]).await.unwrap_err();
        assert!(is_unique_violation(&again), "{again}");
    })
    .await;
}

#[tokio::test]
async fn a_shipped_order_captures_the_payment_sets_the_cache_and_ends_the_saga() {
    on_both(async |database| {
        let db = world(database).await;
        accept(&db, &[&accepted(1), &accepted(2)]).await.unwrap();
        let step = advanced(1, 0, &shipped(vec![row(1, 7, 3), row(2, 9, 3)]));
        assert_eq!(advance(&db, &[&step]).await.unwrap(), [true]);
        let order = orders::find(&db, order_id(1)).await.unwrap().unwrap();
        assert_eq!((order.status, order.shipped_at), (OrderStatus::Shipped, Some(at(55))));
        assert_eq!(order.payment.status, PaymentStatus::Captured);
        assert_eq!((order.shipments[0].status, order.shipments[0].shipped_at), (ShipmentStatus::Shipped, Some(at(55))));
        let cache = inventory_cache::of_warehouse(&db, warehouse_id(1)).await.unwrap();
        assert_eq!((cache[&book_id(1)].available, cache[&book_id(2)].available), (7, 9));
        assert_eq!(sagas::unfinished(&db, None, at(0), 10).await.unwrap(), [order_id(2)]);
        assert_eq!(entries(&db, order_id(1)).await.unwrap(), [(0, "accepted".to_owned()), (1, "shipped".to_owned())]);
        let other = orders::find(&db, order_id(2)).await.unwrap().unwrap();
        assert_eq!(other.status, OrderStatus::Pending, "its neighbour is untouched");
    })
    .await;
}

#[tokio::test]
async fn r04_a_step_that_is_not_the_next_one_writes_nothing() {
    on_both(async |database| {
        let db = world(database).await;
        accept(&db, &[&accepted(1), &accepted(2)]).await.unwrap();
        let ship = |n, seq| advanced(n, seq, &shipped(vec![row(1, 7, 3)]));
        assert_eq!(advance(&db, &[&ship(1, 0)]).await.unwrap(), [true]);
        let rejected = Transition::Rejected { shortfalls: Vec::<Shortfall>::new(), refused: true, reason: "no".into() };
        let late = advanced(1, 0, &rejected);
        assert_eq!(advance(&db, &[&late, &ship(2, 0), &ship(2, 5)][..2]).await.unwrap(), [false, true]);
        let order = orders::find(&db, order_id(1)).await.unwrap().unwrap();
        assert_eq!((order.status, order.payment.status), (OrderStatus::Shipped, PaymentStatus::Captured));
        assert_eq!(entries(&db, order_id(1)).await.unwrap().len(), 2);
        assert_eq!(orders::find(&db, order_id(2)).await.unwrap().unwrap().status, OrderStatus::Shipped);
    })
    .await;
}

#[tokio::test]
async fn a_moved_order_has_a_second_shipment_and_a_rejected_one_no_charge() {
    on_both(async |database| {
        let db = world(database).await;
        accept(&db, &[&accepted(1), &accepted(2)]).await.unwrap();
        let moved = Transition::Moved { from: shipment_id(1), refused: true };
        let mut step = advanced(1, 0, &moved);
        step.next = Some(NextShipment {
            next_id: shipment_id(99),
            warehouse_id: warehouse_id(2),
            warehouse_name: "beta".to_owned(),
            contents: accepted(1).contents,
        });
        let rejected = Transition::Rejected { shortfalls: vec![], refused: true, reason: "nobody has it".into() };
        assert_eq!(advance(&db, &[&step, &advanced(2, 0, &rejected)]).await.unwrap(), [true, true]);
        let order = orders::find(&db, order_id(1)).await.unwrap().unwrap();
        let statuses: Vec<_> = order.shipments.iter().map(|shipment| shipment.status).collect();
        assert_eq!(statuses, [ShipmentStatus::Refused, ShipmentStatus::Pending]);
        assert_eq!(
            (order.fulfillment_warehouse.as_deref(), order.payment.status),
            (Some("beta"), PaymentStatus::Pending)
        );
        let order = orders::find(&db, order_id(2)).await.unwrap().unwrap();
        assert_eq!((order.status, order.payment.status), (OrderStatus::Rejected, PaymentStatus::Voided));
        assert_eq!(order.status_reason.as_deref(), Some("nobody has it"));
        assert_eq!(order.fulfillment_warehouse, None);
    })
    .await;
}

#[tokio::test]
async fn r24_the_third_panic_calls_a_person_and_a_confirmation_still_ships() {
    on_both(async |database| {
        let db = world(database).await;
        accept(&db, &[&accepted(1)]).await.unwrap();
        for expected in 1..=3 {
            assert_eq!(sagas::unfinished(&db, None, at(0), 10).await.unwrap().len(), 1, "{expected}");
            assert_eq!(count_panic(&db, order_id(1), "boom", at(70)).await.unwrap(), expected);
        }
        let order = orders::find(&db, order_id(1)).await.unwrap().unwrap();
        assert_eq!((order.status, order.status_reason.as_deref()), (OrderStatus::NeedsAttention, Some("boom")));
        assert!(sagas::unfinished(&db, None, at(69), 10).await.unwrap().is_empty(), "it rests");
        assert_eq!(sagas::unfinished(&db, None, at(70), 10).await.unwrap(), [order_id(1)], "and is tried again");
        assert_eq!(advance(&db, &[&advanced(1, 0, &shipped(vec![]))]).await.unwrap(), [true]);
        let order = orders::find(&db, order_id(1)).await.unwrap().unwrap();
        assert_eq!((order.status, order.status_reason), (OrderStatus::Shipped, None));
        assert_eq!(count_panic(&db, order_id(1), "late", at(80)).await.unwrap(), 0, "it is over");
    })
    .await;
}

#[tokio::test]
async fn orders_are_listed_newest_first_by_owner_status_and_page() {
    on_both(async |database| {
        let db = world(database).await;
        let all: Vec<_> = (1..=5).map(accepted).collect();
        accept(&db, &all.iter().collect::<Vec<_>>()).await.unwrap();
        advance(&db, &[&advanced(3, 0, &shipped(vec![]))]).await.unwrap();
        let ids = async |filter: orders::Filter, limit| {
            let found = orders::list(&db, &filter, limit).await.unwrap();
            found.into_iter().map(|order| order.id.uuid().as_u128()).collect::<Vec<_>>()
        };
        assert_eq!(ids(orders::Filter::default(), 3).await, [5, 4, 3]);
        let before = Some(order_id(3));
        assert_eq!(ids(orders::Filter { before, ..Default::default() }, 3).await, [2, 1]);
        let status = Some(OrderStatus::Shipped);
        assert_eq!(ids(orders::Filter { status, ..Default::default() }, 3).await, [3]);
        let user = Some(UserId(Uuid::from_u128(0xBB)));
        assert!(ids(orders::Filter { user, ..Default::default() }, 3).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn two_thousand_orders_are_accepted_by_two_statements() {
    on_both(async |database| {
        let db = world(database).await;
        let all: Vec<_> = (1..=2_000).map(accepted).collect();
        accept(&db, &all.iter().collect::<Vec<_>>()).await.unwrap();
        let steps: Vec<_> = (1..=2_000).map(|n| advanced(n, 0, &shipped(vec![row(1, 5, n as i64)]))).collect();
        let current = advance(&db, &steps.iter().collect::<Vec<_>>()).await.unwrap();
        assert!(current.iter().all(|current| *current));
        assert!(sagas::unfinished(&db, None, at(0), 10).await.unwrap().is_empty());
        let cache = inventory_cache::of_warehouse(&db, warehouse_id(1)).await.unwrap();
        assert_eq!(cache[&book_id(1)].version, 2_000);
    })
    .await;
}
