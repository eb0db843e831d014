//! Shipments and adjustments against the database, in batches as they come.

use actors::Address;
use contract::{BookId, ShipmentReceipt};
use futures_util::future::join_all;
use sea_orm::ConnectionTrait as _;
use service::config::DatabaseUrl;
use service::database::{Database, Settings};
use warehouse::actors::stock::{self, NotDone, Stock};
use warehouse::domain::adjustment::{Change, Refusal};
use warehouse::domain::batch::Answer;
use warehouse::domain::shipment::{Outcome, Refused};

use crate::support::{SOON, book, is_refused, is_shipped, on_both, shipment};

fn receipt(answer: &Answer) -> &ShipmentReceipt {
    match answer {
        Answer::Decided(Outcome::Shipped(receipt)) => receipt,
        other => panic!("{other:?}"),
    }
}

fn refusal(answer: &Answer) -> &Refused {
    match answer {
        Answer::Decided(Outcome::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn defect_1_a_hundred_buyers_of_ten_copies_get_ten() {
    on_both(async |house| {
        house.enter(1, 10).await;
        let answers = join_all((0..100).map(|_| house.ship(shipment(&[(1, 1)])))).await;
        assert_eq!(answers.iter().filter(|answer| is_shipped(answer)).count(), 10);
        assert_eq!(answers.iter().filter(|answer| is_refused(answer)).count(), 90);
        assert_eq!(house.on_hand(1).await, 0);
        assert_eq!(house.number("SELECT sum(quantity) FROM shipment_logs").await, 10);
        assert_eq!(house.number("SELECT count(*) FROM shipments WHERE outcome = 'refused'").await, 90);
        house.delivered().await;
        assert_eq!(house.store.confirmed().len(), 10);
    })
    .await;
}

#[tokio::test]
async fn defect_5_the_same_shipment_twenty_times_at_once_is_one() {
    on_both(async |house| {
        house.enter(1, 10).await;
        let same = shipment(&[(1, 3)]);
        let answers = join_all((0..20).map(|_| house.ship(same.clone()))).await;
        assert!(answers.iter().all(|answer| receipt(answer) == receipt(&answers[0])));
        assert_eq!(house.on_hand(1).await, 7);
        assert_eq!(receipt(&house.ship(same.clone()).await), receipt(&answers[0]), "and long after");

        let mut other = same.clone();
        other.lines.insert(book(1), 4);
        assert_eq!(house.ship(other).await, Answer::Mismatch);
        let mut other = same;
        other.order_id = contract::OrderId::new();
        assert_eq!(house.ship(other).await, Answer::Mismatch);
        assert_eq!(house.on_hand(1).await, 7);
    })
    .await;
}

#[tokio::test]
async fn defect_6_a_shipment_leaves_whole_or_not_at_all() {
    on_both(async |house| {
        house.enter(1, 5).await;
        house.enter(2, 1).await;
        let refused = house.ship(shipment(&[(1, 5), (2, 2)])).await;
        let short: Vec<_> = refusal(&refused).shortfalls.iter().map(|line| (line.requested, line.available)).collect();
        assert_eq!(short, [(2, 1)]);
        assert_eq!((house.on_hand(1).await, house.on_hand(2).await), (5, 1));
        assert!(is_shipped(&house.ship(shipment(&[(1, 5), (2, 1)])).await));
        assert_eq!((house.on_hand(1).await, house.on_hand(2).await), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn r02_a_refused_shipment_stays_refused_after_restocking() {
    on_both(async |house| {
        house.enter(1, 1).await;
        let wanted = shipment(&[(1, 2), (9, 1)]);
        let first = house.ship(wanted.clone()).await;
        assert_eq!(refusal(&first).shortfalls.len(), 2);
        house.enter(1, 50).await;
        house.enter(9, 50).await;
        assert_eq!(refusal(&house.ship(wanted.clone()).await), refusal(&first));
        let again = shipment(&[(1, 2), (9, 1)]);
        assert!(is_shipped(&house.ship(again).await), "under a new id it ships");
    })
    .await;
}

#[tokio::test]
async fn r03_what_was_voided_never_ships_and_what_has_shipped_cannot_be_voided() {
    on_both(async |house| {
        house.enter(1, 10).await;
        let (voided, never) = (Answer::Voided(Vec::new()), Answer::Never(Vec::new()));
        let unknown = shipment(&[(1, 1)]);
        assert_eq!(house.void(unknown.id).await, voided);
        assert_eq!(house.void(unknown.id).await, voided);
        assert_eq!(house.ship(unknown).await, never);

        let refused = shipment(&[(1, 11)]);
        assert!(is_refused(&house.ship(refused.clone()).await));
        assert_eq!(house.void(refused.id).await, voided);
        assert_eq!(house.ship(refused).await, never);

        let shipped = shipment(&[(1, 1)]);
        let answer = house.ship(shipped.clone()).await;
        assert_eq!(house.void(shipped.id).await, Answer::AlreadyShipped(receipt(&answer).clone()));
        assert_eq!(house.on_hand(1).await, 9);
    })
    .await;
}

#[tokio::test]
async fn r14_rows_in_answers_are_those_of_the_commit_and_newer_ones_have_greater_versions() {
    on_both(async |house| {
        house.enter(1, 100).await;
        let answers = join_all((0..30).map(|_| house.ship(shipment(&[(1, 1)])))).await;
        let mut rows: Vec<_> = answers.iter().map(|answer| receipt(answer).stock[0]).collect();
        rows.sort_by_key(|row| row.version);
        for pair in rows.windows(2) {
            let falls = pair[0].version < pair[1].version && pair[0].quantity > pair[1].quantity;
            assert!(falls || pair[0] == pair[1], "{pair:?}");
        }
        let now = warehouse::db::inventory::one(&house.sql, book(1)).await.unwrap().unwrap();
        assert_eq!((rows[29].quantity, rows[29].version), (now.quantity, now.version));
        assert_eq!(now.quantity, 70);
    })
    .await;
}

#[tokio::test]
async fn people_change_stock_within_its_bounds_and_the_ledger_says_who() {
    on_both(async |house| {
        house.enter(1, 10).await;
        assert!(matches!(house.adjust(1, Change::Delta(5)).await, Answer::Adjusted(row) if row.quantity == 15));
        assert!(matches!(house.adjust(1, Change::Total(3)).await, Answer::Adjusted(row) if row.quantity == 3));
        let refused = Answer::Refused(Refusal::OutOfBounds { would_be: -1, reserved: 0 });
        assert_eq!(house.adjust(1, Change::Delta(-4)).await, refused);
        assert_eq!(house.adjust(2, Change::Total(3)).await, Answer::Refused(Refusal::UnknownBook));
        assert_eq!(house.on_hand(1).await, 3);
        let by = "SELECT count(*) FROM inventory_movements WHERE made_by = 'tester' AND kind = ";
        assert_eq!(house.number(&format!("{by}'received'")).await, 2);
        assert_eq!(house.number(&format!("{by}'adjusted'")).await, 1);
    })
    .await;
}

#[tokio::test]
async fn shipments_and_changes_of_the_same_books_at_once_keep_the_ledger_right() {
    on_both(async |house| {
        for number in 1..=4 {
            house.enter(number, 20).await;
        }
        let ship = |round: u128| async move {
            house.ship(shipment(&[(1 + round % 4, 1 + (round % 3) as i64), (1 + (round + 1) % 4, 1)])).await
        };
        let change =
            |round: u128| async move { house.adjust(1 + round % 4, Change::Delta(1 + (round % 5) as i64)).await };
        let (shipped, changed) = tokio::join!(join_all((0..60).map(ship)), join_all((0..40).map(change)));
        assert!(shipped.iter().all(|answer| is_shipped(answer) || is_refused(answer)));
        assert!(changed.iter().all(|answer| matches!(answer, Answer::Adjusted(_))));
        // `on_both` checks the ledger at the end.
    })
    .await;
}

#[tokio::test]
async fn r23_a_member_that_the_database_refuses_fails_alone() {
    on_both(async |house| {
        house.enter(1, 100).await;
        let poisoned = shipment(&[(1, 1)]);
        // A confirmation that should not be there: writing this shipment's own must fail.
        let insert = "INSERT INTO outbox (shipment_id, order_id, body, attempts, next_attempt_at, created_at) VALUES ";
        let id = match house.sql.get_database_backend() {
            sea_orm::DbBackend::Sqlite => format!("X'{}'", poisoned.id.uuid().simple()),
            _ => format!("'{}'", poisoned.id),
        };
        let later = "'2999-01-01T00:00:00+00:00'";
        house.sql.execute_unprepared(&format!("{insert} ({id}, {id}, '{{}}', 0, {later}, {later})")).await.unwrap();

        let good: Vec<_> = (0..40).map(|_| shipment(&[(1, 1)])).collect();
        let all = good.iter().chain([&poisoned]).chain(&good[..10]);
        let told = join_all(all.map(|shipment| {
            let shipment = shipment.clone();
            house.app.stock.ask(SOON, |reply| stock::Msg::Ship { shipment, reply })
        }))
        .await;
        for (index, told) in told.into_iter().enumerate() {
            assert_eq!(told.unwrap().is_err(), index == 40, "member {index}");
        }
        assert_eq!(house.on_hand(1).await, 60);
        assert_eq!(house.number("SELECT count(*) FROM shipments").await, 40);
        house.sql.execute_unprepared(&format!("DELETE FROM outbox WHERE shipment_id = {id}")).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_killed_stock_is_restarted_and_goes_on() {
    on_both(async |house| {
        house.enter(1, 10).await;
        house.app.stock.kill();
        kit::until("the stock answers again", SOON, async || {
            let same = shipment(&[(1, 1)]);
            match house.app.stock.ask(SOON, |reply| stock::Msg::Ship { shipment: same, reply }).await {
                Ok(Ok(Ok(_))) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        assert_eq!(house.on_hand(1).await, 9);
    })
    .await;
}

#[tokio::test]
async fn while_the_database_is_away_nothing_is_done_and_that_is_said_at_once() {
    let url = DatabaseUrl::parse("postgres://nobody@127.0.0.1:1/nowhere").unwrap();
    let address = Address::new(10);
    let args = stock::Args {
        database: Database::new(Settings::small(url)),
        warehouse_name: "alpha".into(),
        relay: Address::new(10),
        waiting_bound: 10,
    };
    let system =
        actors::System::start("test", vec![actors::ChildSpec::actor("stock", &address, Stock, args)]).await.unwrap();
    assert!(system.started().await);
    let shipment = shipment(&[(1, 1)]);
    let told = address.ask(SOON, |reply| stock::Msg::Ship { shipment, reply }).await.unwrap();
    assert_eq!(told.unwrap(), Err(NotDone));
    system.stop().await.unwrap();
}

#[tokio::test]
async fn demo_books_are_entered_once() {
    for scratch in [crate::support::Scratch::sqlite(), crate::support::Scratch::postgres().await] {
        for round in 0..2 {
            let keys = [("seed_demo", "true"), ("warehouse_name", "warehouse-alpha")];
            let house = crate::support::House::open_with(&scratch, &keys).await;
            assert_eq!(house.number("SELECT count(*) FROM inventory").await, 20, "round {round}");
            assert_eq!(house.number("SELECT count(*) FROM inventory_movements").await, 20, "round {round}");
            assert_eq!(house.number("SELECT count(*) FROM users").await, 2, "round {round}");
            let dune = BookId(contract::demo::book_id("9780441172719").uuid());
            let item = warehouse::db::inventory::one(&house.sql, dune).await.unwrap().unwrap();
            assert_eq!(item.quantity, i64::from(contract::demo::stock("warehouse-alpha", "9780441172719")));
            house.ledger_agrees().await;
            house.close().await;
        }
    }
}
