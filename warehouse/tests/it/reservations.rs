//! Copies set aside: as clients use them, against the clock, and many at once.

use std::time::Duration;

use contract::{
    OrderId, Problem, Reservation, ReservationEntry, ReservationStatus, ShipmentId, ShipmentReceipt, VoidReceipt,
    problem,
};
use futures_util::future::{join, join_all};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use warehouse::actors::stock;
use warehouse::domain::adjustment::{Change, Refusal};
use warehouse::domain::batch::Answer;

use crate::http::{line, send};
use crate::support::{House, SOON, Scratch, book, is_refused, is_shipped, on_both, shipment};

const LONG: Duration = Duration::from_secs(600);

impl House {
    fn post_reservation(&self, order: OrderId, id: ShipmentId, items: &[Value], seconds: u32) -> RequestBuilder {
        let body = json!({ "orderId": order, "shipmentId": id, "items": items, "expiresInSeconds": seconds });
        self.service(Method::POST, "/reservations").json(&body)
    }

    async fn entries(&self, query: &str) -> Vec<ReservationEntry> {
        let (status, list) = send(self.staff(Method::GET, &format!("/reservations{query}"))).await;
        assert_eq!(status, StatusCode::OK, "{list}");
        serde_json::from_value(list).unwrap()
    }

    /// On hand and set aside.
    async fn columns(&self, number: u128) -> (i64, i64) {
        let item = warehouse::db::inventory::one(&self.sql, book(number)).await.unwrap().unwrap();
        (item.quantity, item.reserved)
    }

    async fn refused(&self, request: RequestBuilder, kind: &str) -> Problem {
        let (status, answer) = send(request).await;
        let problem: Problem = serde_json::from_value(answer).unwrap();
        let expected = if kind == problem::NOT_FOUND { StatusCode::NOT_FOUND } else { StatusCode::CONFLICT };
        assert_eq!((status, problem.kind.as_str()), (expected, kind), "{problem:?}");
        assert!(problem.database_id.is_some(), "{problem:?}");
        problem
    }
}

async fn expect<T: serde::de::DeserializeOwned>(request: RequestBuilder, status: StatusCode) -> T {
    let (got, answer) = send(request).await;
    assert_eq!(got, status, "{answer}");
    serde_json::from_value(answer).unwrap()
}

#[tokio::test]
async fn a_reservation_from_its_making_to_its_shipment() {
    on_both(async |house| {
        house.enter(1, 5).await;
        house.enter(2, 2).await;
        let (order, id) = (OrderId::new(), ShipmentId::new());
        let call = |what: &str| house.service(Method::POST, &format!("/reservations/{id}{what}"));

        // Nobody has asked under this id, and asking so leaves nothing behind.
        for what in ["/confirm", "/ship"] {
            house.refused(call(what), problem::NOT_FOUND).await;
        }
        let items = [line(1, 1), line(2, 2), line(1, 2)];
        let made: Reservation = expect(house.post_reservation(order, id, &items, 600), StatusCode::CREATED).await;
        assert_eq!((made.order_id, made.shipment_id, made.status), (order, id, ReservationStatus::Held));
        let stock: Vec<_> = made.stock.iter().map(|row| (row.quantity, row.reserved, row.available())).collect();
        assert_eq!(stock, [(5, 3, 2), (2, 2, 0)]);
        let again: Reservation = expect(house.post_reservation(order, id, &items, 1), StatusCode::OK).await;
        assert_eq!(again, made, "and its time is not another");
        house.refused(house.post_reservation(order, id, &items[..1], 600), problem::SHIPMENT_MISMATCH).await;
        house.refused(house.post_reservation(OrderId::new(), id, &items, 600), problem::SHIPMENT_MISMATCH).await;

        // It is free for nobody else, neither the store nor people.
        let (_, item) = send(house.staff(Method::GET, &format!("/inventory/{}", book(1)))).await;
        assert_eq!((&item["quantity"], &item["reserved"], &item["available"]), (&json!(5), &json!(3), &json!(2)));
        let elsewhere = json!({ "orderId": OrderId::new(), "items": [line(1, 3)] });
        let refused = house
            .refused(house.service(Method::POST, "/shipments").json(&elsewhere), problem::INSUFFICIENT_STOCK)
            .await;
        assert_eq!((refused.shortfalls[0].available, refused.stock[0].reserved), (2, 3));
        let other = house.post_reservation(OrderId::new(), ShipmentId::new(), &[line(1, 3)], 600);
        house.refused(other, problem::INSUFFICIENT_STOCK).await;
        let bounds = Answer::Refused(Refusal::OutOfBounds { would_be: 2, reserved: 3 });
        assert_eq!(house.adjust(1, Change::Total(2)).await, bounds);

        let other_database = json!({ "databaseId": ShipmentId::new() });
        for what in ["/confirm", "/ship"] {
            house.refused(call(what).json(&other_database), problem::WAREHOUSE_IDENTITY).await;
        }
        let same_database = json!({ "databaseId": made.database_id });
        for request in
            [call("/confirm").json(&same_database), call("/confirm"), house.post_reservation(order, id, &items, 1)]
        {
            let kept: Reservation = expect(request, StatusCode::OK).await;
            assert_eq!((kept.status, kept.expires_at), (ReservationStatus::Confirmed, None));
        }
        assert_eq!(house.entries(&format!("?orderId={order}&status=CONFIRMED")).await[0].items.len(), 2);

        let receipt: ShipmentReceipt = expect(call("/ship"), StatusCode::OK).await;
        assert_eq!((receipt.order_id, receipt.shipment_id, receipt.shipped), (order, id, true));
        assert_eq!(receipt.stock.iter().map(|row| (row.quantity, row.reserved)).collect::<Vec<_>>(), [(2, 0), (0, 0)]);
        assert_eq!(expect::<ShipmentReceipt>(call("/ship").json(&json!({})), StatusCode::OK).await, receipt);
        assert_eq!((house.columns(1).await, house.columns(2).await), ((2, 0), (0, 0)));
        for late in [
            house.service(Method::DELETE, &format!("/reservations/{id}")),
            house.service(Method::POST, &format!("/shipments/{id}/void")),
            house.post_reservation(order, id, &items, 600),
            call("/confirm"),
        ] {
            let told = house.refused(late, problem::ALREADY_SHIPPED).await;
            assert_eq!(serde_json::from_value::<ShipmentReceipt>(told.extra["shipment"].clone()).unwrap(), receipt);
        }
        house.delivered().await;
        assert_eq!(house.store.tries(order), 1, "it is confirmed like any other");
        let (_, log) = send(house.staff(Method::GET, &format!("/shipments?orderId={order}"))).await;
        assert_eq!(log.as_array().unwrap().len(), 2);
        let moved =
            |entry: &Value| (entry["kind"].clone(), entry["onHandDelta"].clone(), entry["reservedDelta"].clone());
        let (_, ledger) = send(house.staff(Method::GET, &format!("/inventory/{}/movements", book(1)))).await;
        let ledger: Vec<_> = ledger.as_array().unwrap().iter().take(2).map(moved).collect();
        assert_eq!(ledger, [(json!("shipped"), json!(-3), json!(-3)), (json!("reserved"), json!(0), json!(3))]);
    })
    .await;
}

#[tokio::test]
async fn what_is_released_is_free_at_once_and_never_ships() {
    on_both(async |house| {
        house.enter(1, 5).await;
        let release =
            |id: ShipmentId, query: &str| house.service(Method::DELETE, &format!("/reservations/{id}{query}"));
        let void = |id: ShipmentId| house.service(Method::POST, &format!("/shipments/{id}/void"));
        for by_name in [false, true] {
            let (order, id) = (OrderId::new(), ShipmentId::new());
            let _: Reservation =
                expect(house.post_reservation(order, id, &[line(1, 5)], 600), StatusCode::CREATED).await;
            house
                .refused(release(id, &format!("?databaseId={}", ShipmentId::new())), problem::WAREHOUSE_IDENTITY)
                .await;
            assert_eq!(house.columns(1).await, (5, 5));
            let request = if by_name { void(id) } else { release(id, "") };
            let done: VoidReceipt = expect(request, StatusCode::OK).await;
            assert_eq!((done.shipment_id, done.voided, done.stock[0].available()), (id, true, 5));
            for again in [release(id, ""), void(id)] {
                assert_eq!(expect::<VoidReceipt>(again, StatusCode::OK).await, done);
            }
            for late in [
                house.post_reservation(order, id, &[line(1, 5)], 600),
                house.service(Method::POST, &format!("/reservations/{id}/confirm")),
                house.service(Method::POST, &format!("/reservations/{id}/ship")),
            ] {
                let told = house.refused(late, problem::VOIDED).await;
                assert_eq!(told.stock, done.stock, "what is free is told to whoever comes too late");
            }
        }
        // Also of one that was never made: what comes late comes to nothing.
        let never = ShipmentId::new();
        assert_eq!(expect::<VoidReceipt>(release(never, ""), StatusCode::OK).await.stock, []);
        house.refused(house.post_reservation(OrderId::new(), never, &[line(1, 1)], 600), problem::VOIDED).await;
        assert_eq!(house.columns(1).await, (5, 0));
        assert_eq!(house.entries("").await.len(), 2);
        assert!(is_shipped(&house.ship(shipment(&[(1, 5)])).await));
    })
    .await;
}

#[tokio::test]
async fn what_expires_is_free_again_without_anybody_asking() {
    on_both(async |house| {
        house.enter(1, 4).await;
        let kept = shipment(&[(1, 1)]);
        house.reserve(kept.clone(), Duration::from_secs(1)).await;
        house.confirm(kept.id).await;
        let (order, id) = (OrderId::new(), ShipmentId::new());
        let _: Reservation = expect(house.post_reservation(order, id, &[line(1, 3)], 1), StatusCode::CREATED).await;
        assert!(is_refused(&house.ship(shipment(&[(1, 1)])).await));
        kit::until("the copies are free", SOON, async || match house.columns(1).await {
            (4, 1) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        assert!(is_shipped(&house.ship(shipment(&[(1, 3)])).await));
        let [expired] = &house.entries("?status=EXPIRED").await[..] else { panic!("not one") };
        assert_eq!((expired.shipment_id, expired.order_id), (id, order));
        assert!(expired.expires_at.is_some_and(|at| at <= expired.updated_at && at > expired.created_at));
        house.refused(house.post_reservation(order, id, &[line(1, 3)], 1), problem::VOIDED).await;
        assert!(is_shipped(&house.ship_held(kept.id).await), "one that was confirmed does not expire");
    })
    .await;
}

#[tokio::test]
async fn many_that_expire_at_once_all_do_and_those_that_do_not_hold_up_nobody() {
    on_both(async |house| {
        house.enter(1, 1_000).await;
        // More than the sweeper releases in one go, with more that expire later made before them.
        join_all((0..150).map(|_| house.reserve(shipment(&[(1, 1)]), LONG))).await;
        join_all((0..250).map(|_| house.reserve(shipment(&[(1, 1)]), Duration::from_secs(1)))).await;
        kit::until("only the long ones are left", SOON, async || match house.columns(1).await {
            (1_000, 150) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        assert_eq!(house.entries("?status=EXPIRED&limit=1000").await.len(), 250);
    })
    .await;
}

#[tokio::test]
async fn what_is_set_aside_outlives_the_process_and_so_does_its_time() {
    for scratch in [Scratch::sqlite(), Scratch::postgres().await] {
        let house = House::open(&scratch).await;
        house.enter(1, 5).await;
        let (short, long) = (shipment(&[(1, 2)]), shipment(&[(1, 1)]));
        house.reserve(short.clone(), Duration::from_secs(1)).await;
        house.reserve(long.clone(), LONG).await;
        house.close().await;
        let house = House::open(&scratch).await;
        kit::until("only one is left", SOON, async || match house.columns(1).await {
            (5, 1) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        assert!(matches!(house.ship_held(short.id).await, Answer::Never(rows) if rows[0].reserved == 1));
        assert!(is_shipped(&house.ship_held(long.id).await));
        assert_eq!(house.columns(1).await, (4, 0));
        house.ledger_agrees().await;
        house.close().await;
    }
}

#[tokio::test]
async fn a_reservation_that_expires_as_it_is_shipped_is_shipped_once_or_released_once() {
    on_both(async |house| {
        const ROUNDS: i64 = 150;
        house.enter(1, ROUNDS).await;
        let (mut shipped, mut released) = (0, 0);
        for round in 0..ROUNDS {
            let asked = shipment(&[(1, 1)]);
            // From over at once to over about when the calls arrive.
            let hold = Duration::from_micros((round as u64 % 30) * 300);
            assert!(matches!(house.reserve(asked.clone(), hold).await, Answer::Held { is_new: true, .. }));
            let expire = || house.app.stock.ask(SOON, |reply| stock::Msg::Expire { shipment_id: asked.id, reply });
            let ships = join_all((0..2).map(|_| house.ship_held(asked.id)));
            let (answers, _) = join(ships, join_all((0..3).map(|_| expire()))).await;
            let count = answers.iter().filter(|answer| is_shipped(answer)).count();
            assert!(count == 0 || count == answers.len(), "{answers:?}");
            assert_eq!(house.ship_held(asked.id).await, answers[0], "and it stays so");
            if count > 0 { shipped += 1 } else { released += 1 }
        }
        assert!(shipped > 0 && released > 0, "{shipped} shipped, {released} released");
        assert_eq!(house.columns(1).await, (ROUNDS - shipped, 0));
        assert_eq!(house.number("SELECT count(*) FROM shipment_logs").await, shipped);
        let ends = "SELECT count(*) FROM inventory_movements WHERE kind = 'released'";
        assert_eq!(house.number(ends).await, released);
        assert_eq!(house.number("SELECT count(*) FROM reservations WHERE status = 'expired'").await, released);
    })
    .await;
}

#[tokio::test]
async fn the_same_reservation_twenty_times_at_once_is_one() {
    on_both(async |house| {
        house.enter(1, 10).await;
        let same = shipment(&[(1, 3)]);
        let answers = join_all((0..20).map(|_| house.reserve(same.clone(), LONG))).await;
        let new = answers.iter().filter(|answer| matches!(answer, Answer::Held { is_new: true, .. })).count();
        let held = answers.iter().filter(|answer| matches!(answer, Answer::Held { .. })).count();
        assert_eq!((new, held, house.columns(1).await), (1, 20, (10, 3)));
        let ships = join_all((0..20).map(|_| house.ship_held(same.id))).await;
        assert!(ships.iter().all(|answer| is_shipped(answer) && *answer == ships[0]));
        assert_eq!(house.columns(1).await, (7, 0));
    })
    .await;
}

#[tokio::test]
async fn many_reservations_of_the_same_books_in_opposite_orders_all_end() {
    on_both(async |house| {
        const BOOKS: u128 = 6;
        for number in 1..=BOOKS {
            house.enter(number, 40).await;
        }
        let one = |round: u128| async move {
            let mut lines: Vec<_> = (1..=BOOKS).map(|number| line(number, 1)).collect();
            if round.is_multiple_of(2) {
                lines.reverse();
            }
            let (order, id) = (OrderId::new(), ShipmentId::new());
            let (status, answer) = send(house.post_reservation(order, id, &lines, 600)).await;
            if status == StatusCode::CONFLICT {
                assert_eq!(answer["type"], problem::INSUFFICIENT_STOCK);
                return (0, 0);
            }
            assert_eq!(status, StatusCode::CREATED, "{answer}");
            let then = match round % 3 {
                0 => house.service(Method::DELETE, &format!("/reservations/{id}")),
                _ => house.service(Method::POST, &format!("/reservations/{id}/ship")),
            };
            assert_eq!(send(then).await.0, StatusCode::OK);
            (1, i64::from(!round.is_multiple_of(3)))
        };
        let correct =
            |round: u128| house.adjust(1 + round % BOOKS, Change::Delta(if round.is_multiple_of(2) { 1 } else { -1 }));
        let direct = |round: u128| house.ship(shipment(&[(1 + round % BOOKS, 1), (1 + (round + 3) % BOOKS, 1)]));
        let (made, ((), ())) = join(
            join_all((0..120).map(one)),
            join(async { drop(join_all((0..60).map(correct)).await) }, async {
                drop(join_all((0..30).map(direct)).await)
            }),
        )
        .await;
        let made: Vec<(i64, i64)> = made;
        let (held, shipped) = made.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        assert!(held > 0 && shipped > 0, "{held} {shipped}");
        for number in 1..=BOOKS {
            assert_eq!(house.columns(number).await.1, 0, "nothing is left set aside");
        }
        let count = |status: &str| format!("SELECT count(*) FROM reservations WHERE status = '{status}'");
        assert_eq!(house.number(&count("shipped")).await, shipped);
        assert_eq!(house.number(&count("released")).await, held - shipped);
        // `on_both` checks the ledger at the end.
    })
    .await;
}

#[tokio::test]
async fn a_book_that_is_entered_and_set_aside_in_one_batch_keeps_both() {
    on_both(async |house| {
        house.enter(1, 10).await;
        let (first, second) = (shipment(&[(1, 1)]), shipment(&[(1, 2)]));
        // While the first is decided the others queue, and so share a batch.
        let told =
            join(house.reserve(first, LONG), join(house.enter(1, 20), house.reserve(second.clone(), LONG))).await;
        assert!(matches!(told.1.1, Answer::Held { .. }), "{told:?}");
        assert_eq!(house.columns(1).await, (20, 3));
        join(house.reserve(shipment(&[(1, 1)]), LONG), join(house.enter(1, 30), house.ship_held(second.id))).await;
        assert_eq!(house.columns(1).await, (28, 2));
    })
    .await;
}

#[tokio::test]
async fn staff_sees_reservations_newest_first_in_pages() {
    on_both(async |house| {
        house.enter(1, 100).await;
        let asked: Vec<_> = (0..7).map(|_| shipment(&[(1, 1)])).collect();
        for shipment in &asked {
            house.reserve(shipment.clone(), LONG).await;
        }
        house.void(asked[2].id).await;
        let whole = house.entries("").await;
        let ids: Vec<_> = whole.iter().map(|entry| entry.shipment_id).collect();
        assert_eq!(ids, asked.iter().rev().map(|shipment| shipment.id).collect::<Vec<_>>());
        assert_eq!(whole[4].status, ReservationStatus::Released);
        assert_eq!((whole[0].items[0].book_id, whole[0].items[0].quantity), (book(1), 1));
        assert_eq!(whole[0].items[0].isbn, contract::isbn::synthetic(1));

        let (mut paged, mut query) = (Vec::new(), "?limit=3&status=HELD".to_owned());
        loop {
            let response = house.staff(Method::GET, &format!("/reservations{query}")).send().await.unwrap();
            let next = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
            paged.extend(response.json::<Vec<ReservationEntry>>().await.unwrap());
            let Some(next) = next else { break };
            query = next.trim_start_matches('<').split('>').next().unwrap().to_owned();
        }
        let held: Vec<_> = whole.iter().filter(|entry| entry.status == ReservationStatus::Held).cloned().collect();
        assert_eq!(paged, held);
        let (_, actors) = send(house.staff(Method::GET, "/actors")).await;
        assert_eq!(actors["reservations"]["held"], json!(6));
        assert!(actors["reservations"]["nextExpiry"].is_string(), "{}", actors["reservations"]);
    })
    .await;
}
