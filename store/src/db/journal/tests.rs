use contract::{Money, ShipmentLine, Shortfall};
use sea_orm::{ConnectionTrait as _, DatabaseConnection};
use service::database::{Database, is_unique_violation};

use super::*;
use crate::db::testing::{at, book_id, enter_books, enter_warehouse, on_both, row, warehouse_id};
use crate::db::{history, idempotency, orders, sagas};
use crate::domain::history::Detail;
use crate::domain::saga::{Effort, Options, Part, Saga};
use crate::domain::sourcing::Line;

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
    let (shipment, lines) = (instructed(n, shipment_id(n), 1, "alpha"), [(1, 1), (2, 2)]);
    let wanted = lines.map(|(book, quantity)| Line { book: book_id(book), quantity }).to_vec();
    let part = Part::new(shipment.id, shipment.warehouse_id, "alpha".to_owned(), wanted, true);
    let options = Options { allow_split: true, allow_backorder: false };
    let saga = Saga::new(vec![part], options, at(50), at(1_000));
    let line = |(book, quantity)| AcceptedLine {
        id: OrderItemId(Uuid::from_u128(n * 10 + book)),
        order_id: order_id(n),
        book_id: book_id(book),
        book_title: format!("It's \"book\" {book}"),
        isbn: format!("isbn {book}"),
        quantity,
        price_cents: 1_050,
    };
    Accepted {
        order_id: order_id(n),
        user_id: USER,
        total_cents: 3_150,
        method: "credit_card".to_owned(),
        state: serde_json::to_value(&saga).unwrap(),
        stage: saga.stage.name(),
        detail: serde_json::json!({}),
        at: at(50),
        shipments: vec![shipment],
        lines: lines.map(line).to_vec(),
        key: None,
    }
}

fn instructed(n: u128, id: ShipmentId, warehouse: u128, name: &str) -> Instructed {
    let contents = vec![ShipmentLine { book_id: book_id(1), isbn: "isbn 1".to_owned(), quantity: 1 }];
    Instructed {
        id,
        order_id: order_id(n),
        warehouse_id: warehouse_id(warehouse),
        warehouse_name: name.to_owned(),
        status: ShipmentStatus::Pending,
        contents: serde_json::to_string(&contents).unwrap(),
        at: at(50),
    }
}

/// Nothing but another entry.
fn advanced(n: u128, seq: i64, event: &'static str) -> Advanced {
    Advanced {
        order_id: order_id(n),
        seq,
        event,
        detail: serde_json::json!({}),
        state: accepted(n).state,
        stage: "shipping",
        finished: false,
        attention: false,
        order_status: OrderStatus::Pending,
        reason: None,
        shipped_at: None,
        cancel_requested: false,
        payment_status: None,
        captured_cents: 0,
        refunded_cents: 0,
        at: at(60),
        shipments: Vec::new(),
        instructed: Vec::new(),
        returned: Vec::new(),
        stock: Vec::new(),
    }
}

fn now(n: u128, status: ShipmentStatus, shipped_at: Option<Timestamp>) -> Vec<ShipmentNow> {
    vec![ShipmentNow { id: shipment_id(n), status, shipped_at, at: at(60) }]
}

fn shipped(n: u128, seq: i64, stock: Vec<StockRow>) -> Advanced {
    Advanced {
        finished: true,
        stage: "shipped",
        order_status: OrderStatus::Shipped,
        shipped_at: Some(at(55)),
        payment_status: Some(PaymentStatus::Captured),
        captured_cents: 3_150,
        shipments: now(n, ShipmentStatus::Shipped, Some(at(55))),
        stock: stock.into_iter().map(|row| (warehouse_id(1), row)).collect(),
        ..advanced(n, seq, "shipped")
    }
}

fn rejected(n: u128, reason: &str) -> Advanced {
    Advanced {
        finished: true,
        stage: "rejected",
        order_status: OrderStatus::Rejected,
        reason: Some(reason.to_owned()),
        payment_status: Some(PaymentStatus::Voided),
        shipments: now(n, ShipmentStatus::Refused, None),
        ..advanced(n, 0, "rejected")
    }
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
        let (_, stored) = sagas::resume(&db, order_id(2)).await.unwrap().unwrap();
        assert_eq!((stored.saga.parts[0].shipment, stored.seq, stored.updated_at), (shipment_id(2), 0, at(50)));
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
        let step = shipped(1, 0, vec![row(1, 7, 3), row(2, 9, 3)]);
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
        let ship = |n, seq| shipped(n, seq, vec![row(1, 7, 3)]);
        assert_eq!(advance(&db, &[&ship(1, 0)]).await.unwrap(), [true]);
        let late = rejected(1, "no");
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
        let step = Advanced {
            shipments: now(1, ShipmentStatus::Refused, None),
            instructed: vec![instructed(1, shipment_id(99), 2, "beta")],
            ..advanced(1, 0, "moved")
        };
        assert_eq!(advance(&db, &[&step, &rejected(2, "nobody has it")]).await.unwrap(), [true, true]);
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
        assert_eq!(advance(&db, &[&shipped(1, 0, vec![])]).await.unwrap(), [true]);
        let order = orders::find(&db, order_id(1)).await.unwrap().unwrap();
        assert_eq!((order.status, order.status_reason), (OrderStatus::Shipped, None));
        assert_eq!(count_panic(&db, order_id(1), "late", at(80)).await.unwrap(), 0, "it is over");
    })
    .await;
}

#[tokio::test]
async fn orders_are_listed_newest_first_by_customer_status_time_and_page() {
    on_both(async |database| {
        let db = world(database).await;
        // The ids say nothing of the times: 2 and 5 were accepted at the same one, 3 was the last.
        let times = [1, 20, 90, 10, 20];
        let all: Vec<_> = (1..=5).map(|n| Accepted { at: at(times[n as usize - 1]), ..accepted(n) }).collect();
        accept(&db, &all.iter().collect::<Vec<_>>()).await.unwrap();
        advance(&db, &[&shipped(3, 0, vec![])]).await.unwrap();
        let ids = async |filter: orders::Filter, limit| {
            let found = orders::list(&db, &filter, limit).await.unwrap();
            found.into_iter().map(|order| order.id.uuid().as_u128()).collect::<Vec<_>>()
        };
        let any = orders::Filter::default;
        assert_eq!(ids(any(), 9).await, [3, 5, 2, 4, 1]);
        let before = Some(orders::Cursor { created_at: at(20), id: order_id(5) });
        assert_eq!(ids(orders::Filter { before, ..any() }, 2).await, [2, 4]);
        let (from, to) = (Some(at(10)), Some(at(90)));
        assert_eq!(ids(orders::Filter { from, to, ..any() }, 9).await, [5, 2, 4], "from is in, to is out");
        let statuses = vec![OrderStatus::Shipped];
        assert_eq!(ids(orders::Filter { statuses, ..any() }, 9).await, [3]);
        let statuses = vec![OrderStatus::Shipped, OrderStatus::Pending];
        assert_eq!(ids(orders::Filter { statuses, to, ..any() }, 9).await, [5, 2, 4, 1]);
        let email = |text: &str| Some(orders::Customer::Email(text.to_owned()));
        let somebody = orders::Customer::Id(UserId(Uuid::from_u128(0xBB)));
        let customers =
            [(Some(orders::Customer::Id(USER)), 5), (email("a@b.example"), 5), (email("x@y"), 0), (Some(somebody), 0)];
        for (customer, expected) in customers {
            assert_eq!(ids(orders::Filter { customer, ..any() }, 9).await.len(), expected);
        }
    })
    .await;
}

/// On PostgreSQL, with so many orders that reading all of them would be felt.
#[tokio::test]
async fn lists_of_orders_are_read_from_an_index() {
    on_both(async |database| {
        let db = world(database).await;
        if db.get_database_backend() == sea_orm::DbBackend::Sqlite {
            return;
        }
        db.execute_unprepared(&format!(
            "INSERT INTO users SELECT gen_random_uuid(), n || '@c.example', '', 1, 'CUSTOMER', NULL, NULL, now(), now() FROM generate_series(1, 200) n;
             INSERT INTO orders (id, user_id, status, total_cents, created_at, updated_at)
             SELECT gen_random_uuid(), u.id, CASE WHEN n % 500 = 0 THEN 'NEEDS_ATTENTION' ELSE 'SHIPPED' END, 1, now() - n * interval '1 minute', now()
             FROM generate_series(1, 100) n, users u WHERE u.id <> '{USER}';
             ANALYZE"
        ))
        .await
        .unwrap();
        let any = || orders::Filter { from: Some(at(0)), ..Default::default() };
        let before = Some(orders::Cursor { created_at: at(2_000_000_000), id: order_id(1) });
        let statuses = |names: &[OrderStatus]| names.to_vec();
        let filters = [
            orders::Filter { before, ..any() },
            orders::Filter { to: Some(at(1_000_000)), ..any() },
            orders::Filter { customer: Some(orders::Customer::Id(USER)), before, ..any() },
            orders::Filter { customer: Some(orders::Customer::Email("7@c.example".to_owned())), ..any() },
            orders::Filter { statuses: statuses(&[OrderStatus::NeedsAttention]), before, ..any() },
            orders::Filter { statuses: statuses(&[OrderStatus::NeedsAttention, OrderStatus::Pending]), ..any() },
        ];
        for filter in filters {
            let mut statement = sea_orm::QueryTrait::build(&orders::query(&filter, 101), sea_orm::DbBackend::Postgres);
            statement.sql = format!("EXPLAIN {}", statement.sql);
            let plan = db.query_all_raw(statement).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
            assert!(plan.join("\n").contains("Index"), "{filter:?}\n{plan:#?}");
            assert!(!plan.join("\n").contains("Seq Scan on orders"), "{filter:?}\n{plan:#?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_is_written_with_its_order_belongs_to_one_customer_and_is_forgotten() {
    on_both(async |database| {
        let db = world(database).await;
        let keyed = |n, name: &str, seconds| {
            let key = Key { user_id: USER, key: name.to_owned(), body_hash: format!("hash {n}") };
            Accepted { key: Some(key), at: at(seconds), ..accepted(n) }
        };
        accept(&db, &[&keyed(1, "a", 10), &accepted(2), &keyed(3, "b", 20)]).await.unwrap();
        let kept = idempotency::find(&db, USER, "a").await.unwrap().unwrap();
        assert_eq!((kept.order, kept.body_hash.as_str()), (order_id(1), "hash 1"));
        assert_eq!(idempotency::find(&db, UserId(Uuid::from_u128(0xBB)), "a").await.unwrap(), None);
        let again = database.transaction("test", async |txn| accept(txn, &[&accepted(5), &keyed(4, "a", 30)]).await);
        assert!(is_unique_violation(&DbErr::from(again.await.unwrap_err())));
        assert_eq!(orders::find(&db, order_id(4)).await.unwrap(), None, "no order without its key");

        assert_eq!(idempotency::forget(&db, at(20), 10).await.unwrap(), 1);
        assert_eq!(idempotency::find(&db, USER, "a").await.unwrap(), None);
        assert_eq!(idempotency::forget(&db, at(21), 0).await.unwrap(), 0);
        assert!(idempotency::find(&db, USER, "b").await.unwrap().is_some());
        accept(&db, &[&keyed(4, "a", 30)]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_journal_is_read_from_any_entry_on_and_keeps_what_a_rejected_order_was_short_of() {
    on_both(async |database| {
        let db = world(database).await;
        let detail = serde_json::json!(Detail { shipment_id: Some(shipment_id(1)), ..Detail::default() });
        accept(&db, &[&Accepted { detail, ..accepted(1) }]).await.unwrap();
        let first = history::since(&db, order_id(1), None).await.unwrap().unwrap();
        assert_eq!((first.is_over, first.entries.len()), (false, 1));
        assert_eq!(
            (first.entries[0].event.as_str(), first.entries[0].detail.shipment_id),
            ("accepted", Some(shipment_id(1)))
        );
        assert!(history::since(&db, order_id(1), Some(0)).await.unwrap().unwrap().entries.is_empty());
        assert_eq!(history::since(&db, order_id(2), None).await.unwrap(), None);

        let short = vec![Shortfall { book_id: book_id(1), requested: 2, available: 1 }];
        let status = Some(OrderStatus::Rejected);
        let detail = serde_json::json!(Detail { status, shortfalls: short.clone(), ..Detail::default() });
        advance(&db, &[&Advanced { detail, ..rejected(1, "no") }]).await.unwrap();
        let rest = history::since(&db, order_id(1), Some(0)).await.unwrap().unwrap();
        assert_eq!((rest.is_over, rest.entries.len(), rest.entries[0].at), (true, 1, at(60)));
        assert_eq!(rest.entries[0].detail.status, status);
        let (order, shortfalls) = orders::outcome(&db, order_id(1)).await.unwrap().unwrap();
        assert_eq!((order.status, shortfalls), (OrderStatus::Rejected, short));
    })
    .await;
}

#[tokio::test]
async fn two_thousand_orders_are_accepted_by_few_statements() {
    on_both(async |database| {
        let db = world(database).await;
        let all: Vec<_> = (1..=2_000).map(accepted).collect();
        accept(&db, &all.iter().collect::<Vec<_>>()).await.unwrap();
        let steps: Vec<_> = (1..=2_000).map(|n| shipped(n, 0, vec![row(1, 5, n as i64)])).collect();
        let current = advance(&db, &steps.iter().collect::<Vec<_>>()).await.unwrap();
        assert!(current.iter().all(|current| *current));
        assert!(sagas::unfinished(&db, None, at(0), 10).await.unwrap().is_empty());
        let cache = inventory_cache::of_warehouse(&db, warehouse_id(1)).await.unwrap();
        assert_eq!(cache[&book_id(1)].version, 2_000);
    })
    .await;
}

#[tokio::test]
async fn what_is_tried_in_vain_is_listed_until_the_saga_moves() {
    on_both(async |database| {
        let db = world(database).await;
        accept(&db, &[&accepted(1), &accepted(2), &accepted(3)]).await.unwrap();
        let effort =
            Effort { attempts: 4, latest_at: Some(at(70)), error: Some("50% Off_line".into()), ..Effort::default() };
        let tried = |n, seq| Tried { order_id: order_id(n), seq, effort: serde_json::json!(effort) };
        note_tries(&db, &[&tried(1, 0), &tried(2, 7)]).await.unwrap();
        let listed = async |filter: sagas::Filter| {
            let found = sagas::list(&db, &filter, 10).await.unwrap();
            found.into_iter().map(|one| (one.order.id.uuid().as_u128(), one.effort.attempts)).collect::<Vec<_>>()
        };
        let any = sagas::Filter::default;
        assert_eq!(listed(any()).await, [(1, 4), (2, 0), (3, 0)], "what has moved meanwhile is left alone");
        assert_eq!(listed(sagas::Filter { after: Some(order_id(1)), ..any() }).await, [(2, 0), (3, 0)]);
        for (error, expected) in [("off_l", 1), ("50%", 1), ("", 1), ("offxline", 0), ("%", 1), ("nothing", 0)] {
            let found = listed(sagas::Filter { error: Some(error.to_owned()), ..any() }).await;
            assert_eq!(found.len(), expected, "{error:?}");
        }
        advance(&db, &[&shipped(1, 0, vec![])]).await.unwrap();
        advance(&db, &[&Advanced { attention: true, ..advanced(3, 0, "needs-attention") }]).await.unwrap();
        assert_eq!(sagas::overview(&db, order_id(1)).await.unwrap().unwrap().effort, Effort::default());
        assert_eq!(listed(sagas::Filter { stages: vec!["shipped"], ..any() }).await, [(1, 0)]);
        assert_eq!(listed(sagas::Filter { attention: true, ..any() }).await, [(3, 0)]);
        assert_eq!(sagas::overview(&db, order_id(9)).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn returned_copies_and_money_are_kept() {
    on_both(async |database| {
        let db = world(database).await;
        accept(&db, &[&accepted(1)]).await.unwrap();
        advance(&db, &[&shipped(1, 0, vec![])]).await.unwrap();
        let back = Advanced {
            returned: vec![ReturnedNow { id: OrderItemId(Uuid::from_u128(12)), copies: 2 }],
            order_status: OrderStatus::Shipped,
            payment_status: Some(PaymentStatus::Captured),
            captured_cents: 3_150,
            refunded_cents: 2_100,
            ..advanced(1, 1, "returned")
        };
        assert_eq!(advance(&db, &[&back]).await.unwrap(), [true]);
        let order = orders::find(&db, order_id(1)).await.unwrap().unwrap();
        let copies: Vec<_> = order.items.iter().map(|item| item.returned).collect();
        assert_eq!((copies, order.payment.refunded, order.payment.captured), (vec![0, 2], Money(2_100), Money(3_150)));
    })
    .await;
}

/// As an earlier version of the store kept them.
#[tokio::test]
async fn a_saga_of_one_shipment_at_a_time_is_still_read() {
    on_both(async |database| {
        let db = world(database).await;
        let former = |stage: &str| {
            serde_json::json!({
                "shipment": shipment_id(1), "warehouse": warehouse_id(1), "refusedBy": [],
                "deadline": contract::time::format(&at(900)), "stage": stage,
            })
        };
        accept(&db, &[&Accepted { state: former("shipping"), ..accepted(1) }]).await.unwrap();
        let (_, open) = sagas::resume(&db, order_id(1)).await.unwrap().unwrap();
        assert_eq!((open.saga.stage.name(), open.saga.deadline), ("authorizing", at(900)));
        assert_eq!((open.saga.parts[0].shipment, open.saga.parts[0].lines.len()), (shipment_id(1), 2));
        advance(&db, &[&Advanced { state: former("shipped"), ..shipped(1, 0, vec![]) }]).await.unwrap();
        let (order, over) = sagas::resume(&db, order_id(1)).await.unwrap().unwrap();
        assert!(over.saga.is_over() && over.saga.parts[0].shipped_at() == Some(at(55)));
        assert_eq!(over.saga.paid.captured, order.total_amount);
    })
    .await;
}
