use chrono::DateTime;
use contract::{BookId, DatabaseId, OrderId, ShipmentReceipt};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn shipment(n: u128) -> ShipmentId {
    ShipmentId(Uuid::from_u128(n))
}

fn warehouse(n: u128) -> WarehouseId {
    WarehouseId(Uuid::from_u128(n))
}

fn saga() -> Saga {
    Saga::new(shipment(1), warehouse(1), at(100))
}

fn shipped(id: ShipmentId) -> Delivery {
    Delivery::Shipped(ShipmentReceipt {
        order_id: OrderId(Uuid::nil()),
        shipment_id: id,
        warehouse_name: "w".to_owned(),
        shipped: true,
        shipped_at: at(5),
        stock: vec![StockRow { book_id: BookId(Uuid::nil()), quantity: 7, reserved: 0, version: 3 }],
        database_id: DatabaseId(Uuid::nil()),
    })
}

fn refused() -> Delivery {
    Delivery::Refused { shortfalls: Vec::new(), stock: Vec::new() }
}

fn never_sent() -> Delivery {
    Delivery::NeverSent { reason: "refused".to_owned() }
}

fn unknown() -> Delivery {
    Delivery::Unknown { reason: "reset".to_owned() }
}

fn stranger() -> Delivery {
    Delivery::WrongIdentity { reason: "other".to_owned() }
}

fn delivered(saga: &Saga, delivery: Delivery, seconds: i64) -> Step {
    let shipment = saga.shipment;
    saga.step(Event::Delivered { shipment, delivery }, at(seconds), &Policy::default())
}

fn source_elsewhere(step: &Step) -> bool {
    step.commands.iter().any(|command| matches!(command, Command::Source { .. }))
}

/// What it is after being read back.
fn restarted(saga: &Saga) -> Saga {
    serde_json::from_value(serde_json::to_value(saga).unwrap()).unwrap()
}

#[test]
fn r01_only_what_certainly_reached_nobody_goes_elsewhere() {
    // (before the last delivery, the last delivery, goes elsewhere)
    let table: [(&[Delivery], Delivery, bool); 9] = [
        (&[], never_sent(), true),
        (&[], refused(), true),
        (&[], Delivery::Voided { stock: Vec::new() }, true),
        (&[], stranger(), true),
        (&[], unknown(), false),
        (&[unknown()], never_sent(), false),
        (&[unknown()], stranger(), false),
        (&[unknown()], refused(), true),
        (&[unknown(), never_sent()], unknown(), false),
    ];
    for (before, last, elsewhere) in table {
        let mut saga = saga();
        for delivery in before {
            saga = delivered(&saga, delivery.clone(), 1).saga;
        }
        let step = delivered(&saga, last.clone(), 1);
        assert_eq!(source_elsewhere(&step), elsewhere, "{before:?} then {last:?}");
        assert!(step.saga.shipment == shipment(1), "the same key until another is journaled");
    }
}

#[test]
fn r01_a_saga_that_was_read_back_takes_its_call_for_unknown() {
    assert!(source_elsewhere(&delivered(&saga(), never_sent(), 1)));
    let step = delivered(&restarted(&saga()), never_sent(), 1);
    assert!(!source_elsewhere(&step));
    assert_eq!(step.commands, [Command::Wait(Policy::default().first_retry)]);
    assert!(source_elsewhere(&delivered(&restarted(&saga()), refused(), 1)), "an answer is certain all the same");
}

#[test]
fn r02_sourcing_again_takes_a_new_shipment_id_that_is_durable_before_it_is_used() {
    let step = delivered(&saga(), refused(), 1);
    let event = Event::Sourced { shipment: shipment(2), warehouse: warehouse(2) };
    let step = step.saga.step(event, at(1), &Policy::default());
    assert_eq!(step.transition, Some(Transition::Moved { from: shipment(1), refused: true }));
    assert_eq!(
        (step.saga.shipment, step.saga.warehouse, step.commands),
        (shipment(2), warehouse(2), vec![Command::Ship])
    );
    let late =
        step.saga.step(Event::Delivered { shipment: shipment(1), delivery: unknown() }, at(1), &Policy::default());
    assert_eq!((late.saga, late.commands), (step.saga, vec![]), "the former shipment's answer changes nothing");
}

#[test]
fn r05_in_doubt_at_the_deadline_a_person_is_called_and_the_same_call_goes_on_slowly() {
    let policy = Policy::default();
    let step = delivered(&saga(), unknown(), 99);
    assert_eq!((step.saga.stage, &step.transition), (Stage::Shipping, &None));
    let step = delivered(&step.saga, unknown(), 100);
    assert!(matches!(step.transition, Some(Transition::Flagged { .. })));
    assert_eq!(step.commands, [Command::Wait(policy.attention_retry)]);
    let again = delivered(&step.saga, unknown(), 200);
    assert_eq!((again.transition, again.commands), (None, vec![Command::Wait(policy.attention_retry)]));
    let end = delivered(&again.saga, shipped(shipment(1)), 300);
    assert!(matches!(end.transition, Some(Transition::Shipped { .. })));
    assert!(end.saga.is_over());
}

#[test]
fn r05_never_sent_and_nobody_else_is_refused_at_the_deadline_and_not_before() {
    let policy = Policy::default();
    let mut saga = saga();
    for seconds in [1, 50, 99] {
        saga = delivered(&saga, never_sent(), seconds).saga;
        let step = saga.step(Event::NotSourced { shortfalls: vec![] }, at(seconds), &policy);
        assert_eq!(step.transition, None);
        assert!(matches!(step.commands[..], [Command::Allocate, Command::Wait(_)]));
        saga = step.saga;
    }
    let step = saga.step(Event::NotSourced { shortfalls: vec![] }, at(100), &policy);
    assert!(matches!(step.transition, Some(Transition::Rejected { refused: false, .. })));
}

#[test]
fn r19_doubt_about_a_warehouse_with_another_database_calls_a_person_at_once() {
    let saga = delivered(&saga(), unknown(), 1).saga;
    let step = delivered(&saga, stranger(), 2);
    assert!(matches!(step.transition, Some(Transition::Flagged { .. })));
}

#[test]
fn refused_by_all_it_is_rejected_at_once() {
    let step = delivered(&saga(), refused(), 1);
    assert!(
        matches!(&step.commands[..], [Command::CorrectCache { .. }, Command::Source { exclude }] if *exclude == [warehouse(1)])
    );
    let step = step.saga.step(Event::NotSourced { shortfalls: vec![] }, at(1), &Policy::default());
    assert!(matches!(step.transition, Some(Transition::Rejected { refused: true, .. })));
    assert!(step.saga.is_over());
}

#[test]
fn retries_wait_longer_and_longer_up_to_the_longest() {
    let mut saga = saga();
    let mut waits = Vec::new();
    for _ in 0..9 {
        let step = delivered(&saga, unknown(), 1);
        let [Command::Wait(wait)] = step.commands[..] else { panic!("{:?}", step.commands) };
        waits.push(wait.as_millis());
        saga = step.saga;
    }
    assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
}

#[derive(Debug, Clone)]
enum Happens {
    Delivery(u8),
    Restart,
    Confirmation,
}

fn happenings() -> impl Strategy<Value = Vec<Happens>> {
    let one = prop_oneof![
        6 => (0u8..6).prop_map(Happens::Delivery),
        1 => Just(Happens::Restart),
        1 => Just(Happens::Confirmation),
    ];
    prop::collection::vec(one, 0..60)
}

proptest! {
    /// A world in which a warehouse decides at the first call that reaches it, and never changes its mind, while answers
    /// get lost, the store restarts and confirmations come whenever they like.
    #[test]
    fn every_saga_ends_and_at_most_one_warehouse_ever_ships(
        fates in prop::collection::vec(any::<bool>(), 4),
        happens in happenings(),
    ) {
        let policy = Policy::default();
        let mut saga = saga();
        let mut outcomes = std::collections::HashMap::<ShipmentId, bool>::new();
        let mut clock = 0;
        // After what happens at random, every call is answered.
        let calm = std::iter::repeat_with(|| Happens::Delivery(0)).take(20);
        for happens in happens.into_iter().chain(calm) {
            if saga.is_over() {
                break;
            }
            clock += 1;
            let id = saga.shipment;
            let fate = fates[(saga.warehouse.0.as_u128() as usize - 1) % 4];
            let answer = |shipped_it: bool| if shipped_it { shipped(id) } else { refused() };
            let event = match happens {
                // It reaches the warehouse, and the answer comes or is lost.
                Happens::Delivery(0 | 1) => Event::Delivered { shipment: id, delivery: answer(*outcomes.entry(id).or_insert(fate)) },
                Happens::Delivery(2 | 3) => {
                    outcomes.entry(id).or_insert(fate);
                    Event::Delivered { shipment: id, delivery: unknown() }
                }
                Happens::Delivery(4) => Event::Delivered { shipment: id, delivery: unknown() },
                Happens::Delivery(_) => Event::Delivered { shipment: id, delivery: never_sent() },
                Happens::Restart => { saga = restarted(&saga); Event::Begun }
                Happens::Confirmation if outcomes.get(&id) == Some(&true) => {
                    Event::Confirmed { shipment: id, shipped_at: at(5), stock: vec![] }
                }
                Happens::Confirmation => Event::Woke,
            };
            let mut step = saga.step(event.clone(), at(clock), &policy);
            prop_assert_eq!(&step, &saga.step(event, at(clock), &policy), "a decision is the same twice");
            if let Some(Command::Source { exclude }) = step.commands.iter().find(|it| matches!(it, Command::Source { .. })) {
                prop_assert_ne!(outcomes.get(&id), Some(&true), "it has shipped, so nobody else may");
                let next = (1..=4).map(warehouse).find(|candidate| !exclude.contains(candidate));
                let event = match next {
                    Some(warehouse) => Event::Sourced { shipment: shipment(1_000 + clock as u128), warehouse },
                    None => Event::NotSourced { shortfalls: vec![] },
                };
                step = step.saga.step(event, at(clock), &policy);
            }
            saga = step.saga;
        }
        prop_assert!(saga.is_over(), "{:?}", saga);
        let shipments = outcomes.values().filter(|shipped| **shipped).count();
        prop_assert_eq!(shipments, usize::from(saga.stage == Stage::Shipped));
        let after = saga.step(Event::Delivered { shipment: saga.shipment, delivery: unknown() }, at(clock), &policy);
        prop_assert_eq!((after.transition, after.commands), (None, vec![]), "nothing follows the end");
    }
}
