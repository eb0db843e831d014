//! Confirmations: each reaches the store, whatever becomes of the others (R12).

use contract::OrderStatus;
use warehouse::domain::delivery::Attempt;

use crate::support::{House, Mood, SOON, Scratch, is_shipped, on_both, shipment};

#[tokio::test]
async fn a_confirmation_says_what_left_and_what_is_left() {
    on_both(async |house| {
        house.enter(1, 10).await;
        let wanted = shipment(&[(1, 4)]);
        assert!(is_shipped(&house.ship(wanted.clone()).await));
        house.delivered().await;
        let [(order, confirmation)] = &house.store.confirmed()[..] else { panic!("{:?}", house.store.confirmed()) };
        assert_eq!((*order, confirmation.shipment_id), (wanted.order_id, Some(wanted.id)));
        assert_eq!(
            (confirmation.status, confirmation.warehouse_name.as_deref()),
            (OrderStatus::Shipped, Some("alpha"))
        );
        assert_eq!(confirmation.stock.as_ref().unwrap()[0].quantity, 6);
    })
    .await;
}

#[tokio::test]
async fn r12_a_confirmation_that_hangs_or_is_refused_holds_up_no_other() {
    on_both(async |house| {
        house.enter(1, 1_000).await;
        let (hung, refused, shy) = (shipment(&[(1, 1)]), shipment(&[(1, 1)]), shipment(&[(1, 1)]));
        house.store.set(hung.order_id, Mood::Hang);
        house.store.set(refused.order_id, Mood::Answer(Attempt::Refused("409: unknown order".to_owned())));
        house.store.set(shy.order_id, Mood::Answer(Attempt::Unanswered("503".to_owned())));
        for first in [&hung, &refused, &shy] {
            assert!(is_shipped(&house.ship(first.clone()).await));
        }
        for _ in 0..60 {
            assert!(is_shipped(&house.ship(shipment(&[(1, 1)])).await));
        }
        // The count says nothing of these two: they may be tried after others that left later.
        let parked = "SELECT count(*) FROM outbox WHERE parked_reason = '409: unknown order' AND attempts = 1";
        kit::until("these are tried and all others delivered", SOON, async || {
            let left = house.number("SELECT count(*) FROM outbox").await;
            match (left, house.store.tries(hung.order_id), house.number(parked).await) {
                (3, 1.., 1) => Ok(()),
                seen => Err(format!("left, tries of the one that hangs, parked: {seen:?}")),
            }
        })
        .await;
        assert_eq!(house.store.tries(hung.order_id), 1);
        let summary = warehouse::db::outbox::summary(&house.sql).await.unwrap();
        assert_eq!((summary.waiting, summary.parked), (3, 1));
        assert!(summary.next_attempt_at.is_some());

        house.store.set(shy.order_id, Mood::Answer(Attempt::Taken));
        kit::until("the shy one is tried again", SOON, async || match house.store.tries(shy.order_id) {
            0 | 1 => Err("not yet".to_owned()),
            _ => Ok(()),
        })
        .await;
        assert_eq!(house.store.tries(refused.order_id), 1, "parked for an hour");
    })
    .await;
}

#[tokio::test]
async fn what_one_process_left_undelivered_the_next_one_delivers() {
    for scratch in [Scratch::sqlite(), Scratch::postgres().await] {
        let house = House::open(&scratch).await;
        house.enter(1, 10).await;
        let left = shipment(&[(1, 4)]);
        house.store.set(left.order_id, Mood::Answer(Attempt::Unanswered("the store is down".to_owned())));
        assert!(is_shipped(&house.ship(left.clone()).await));
        kit::until("it was tried", SOON, async || {
            match house.store.tries(left.order_id) {
                0 => Err(()),
                _ => Ok(()),
            }
            .map_err(|()| "not yet".to_owned())
        })
        .await;
        house.close().await;

        let house = House::open(&scratch).await;
        house.delivered().await;
        assert_eq!(house.store.tries(left.order_id), 1);
        house.close().await;
    }
}

#[tokio::test]
async fn a_store_that_relents_gets_all_of_many() {
    on_both(async |house| {
        house.enter(1, 1_000).await;
        let many: Vec<_> = (0..50).map(|_| shipment(&[(1, 1)])).collect();
        for one in &many {
            house.store.set(one.order_id, Mood::Answer(Attempt::Unanswered("503".to_owned())));
        }
        for one in &many {
            assert!(is_shipped(&house.ship(one.clone()).await));
        }
        kit::until("each was tried", SOON, async || {
            let tried = many.iter().filter(|one| house.store.tries(one.order_id) > 0).count();
            if tried == 50 { Ok(()) } else { Err(format!("{tried} of 50")) }
        })
        .await;
        house.store.relent();
        house.delivered().await;
    })
    .await;
}
