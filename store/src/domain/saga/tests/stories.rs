//! What becomes of orders of every kind.

use contract::{OrderStatus, PaymentStatus, ReturnId, ShipmentStatus};
use uuid::Uuid;

use super::world::*;
use crate::domain::saga::{Event, Stage, Step, Unfit};
use crate::domain::sourcing::Line;

fn cancel(operator: bool) -> Event {
    Event::Cancel { operator, reason: "changed my mind".to_owned() }
}

fn take_back(n: u128, lines: &[Line]) -> Event {
    Event::Return { id: ReturnId(Uuid::from_u128(n)), lines: lines.to_vec() }
}

/// Two warehouses, each with what the other has not.
fn split() -> Run {
    Run::new(&[line(1, 1), line(2, 1)], &[(1, line(1, 5)), (2, line(2, 5))], SPLIT)
}

fn direct() -> Run {
    Run::new(&[line(1, 2)], &[(1, line(1, 5))], SPLIT)
}

#[test]
fn one_warehouse_ships_by_one_call_and_two_entries() {
    let mut run = direct();
    run.go();
    run.check();
    assert_eq!(run.names(), ["accepted", "shipped"]);
    assert_eq!(run.world.calls, [Step::Authorize, Step::Ship, Step::Capture]);
    assert_eq!((run.order.status, run.order.payment.status), (OrderStatus::Shipped, PaymentStatus::Captured));
}

#[test]
fn several_hold_then_confirm_then_ship() {
    let mut run = split();
    run.go();
    run.check();
    assert_eq!(run.names(), ["accepted", "held", "part-shipped", "shipped"]);
    assert_eq!(run.journal[2].2.status, OrderStatus::PartiallyShipped, "its status follows its shipments");
    assert_eq!(run.order.shipments.iter().filter(|part| part.status == ShipmentStatus::Shipped).count(), 2);
    let first_ship = run.world.calls.iter().position(|step| *step == Step::ShipHeld).unwrap();
    let confirmed = run.world.calls[..first_ship].iter().filter(|step| **step == Step::Confirm).count();
    assert_eq!(confirmed, 2, "every hold lasts before the first part ships");
}

#[test]
fn a_part_that_is_refused_lets_the_others_go_and_the_order_is_sourced_anew() {
    let stock = [(1, line(1, 5)), (2, line(2, 5)), (3, line(1, 1)), (3, line(2, 1))];
    let mut run = Run::new(&[line(1, 2), line(2, 1)], &stock, SPLIT);
    let (book_one, book_two) = (run.saga.parts[0].clone(), run.saga.parts[1].clone());
    assert_eq!(run.saga.parts.len(), 2, "{book_one:?} {book_two:?}");
    // Whoever was to send the second book has lost all of its copies.
    let gone = run.saga.parts.iter().find(|part| part.lines.iter().any(|line| line.book == book(2))).unwrap();
    let (id, left) = (gone.warehouse, run.world.shelves[&(gone.warehouse, book(2))].on_hand);
    run.world.take(id, line(2, u32::try_from(left).unwrap()));
    run.go();
    run.check();
    assert_eq!(run.order.status, OrderStatus::Shipped, "{:?}", run.names());
    assert!(run.names().contains(&"moved") && run.world.calls.contains(&Step::Void), "{:?}", run.names());
    assert!(run.order.shipments.iter().any(|part| part.status == ShipmentStatus::Refused));
    assert!(run.order.shipments.iter().any(|part| part.status == ShipmentStatus::Voided));
}

#[test]
fn a_declined_payment_asks_no_warehouse() {
    let mut run = split();
    run.failing = Some((Step::Authorize, Failure::Refused, 1));
    run.go();
    run.check();
    assert_eq!(run.names(), ["accepted", "declined"]);
    assert_eq!((run.order.status, run.order.payment.status), (OrderStatus::Rejected, PaymentStatus::Failed));
    assert!(run.world.calls.is_empty());
}

#[test]
fn a_capture_refused_leaves_it_shipped_and_a_person_has_it_tried_under_another_key() {
    let mut run = direct();
    run.failing = Some((Step::Capture, Failure::Refused, 1));
    run.go();
    run.check();
    assert_eq!((run.order.status, run.order.payment.status), (OrderStatus::Shipped, PaymentStatus::Failed));
    assert!(run.saga.attention.is_some() && !run.saga.is_over());
    let mut again = run.clone();
    again.tell(Event::Retry);
    again.check();
    assert_eq!((again.order.payment.status, again.saga.stage), (PaymentStatus::Captured, Stage::Shipped));
    run.tell(cancel(true));
    assert_eq!((run.order.payment.status, run.saga.stage), (PaymentStatus::Failed, Stage::Shipped));
    assert_eq!(run.names().last(), Some(&"written-off"));
}

#[test]
fn a_refund_that_may_have_happened_is_never_tried_under_another_key() {
    let mut run = direct();
    run.go();
    run.failing = Some((Step::Refund, Failure::AnswerLost, 3));
    run.tell(take_back(1, &[line(1, 2)]));
    for _ in 0..3 {
        run.tell(Event::Retry);
    }
    run.check();
    assert_eq!(run.world.refunded(), contract::Money(2_000));
}

#[test]
fn backorders_wait_ship_when_stock_comes_and_can_be_cancelled() {
    let mut run = Run::new(&[line(1, 2)], &[(1, line(1, 1))], BACKORDER);
    run.go();
    assert_eq!((run.order.status, run.names().last()), (OrderStatus::Backordered, Some(&"backordered")));
    let mut cancelled = run.clone();
    run.world.receive(warehouse(1), line(1, 1));
    run.believed.insert((warehouse(1), book(1)), 2);
    run.tell(Event::StockCame);
    run.check();
    assert_eq!(run.order.status, OrderStatus::Shipped);
    cancelled.tell(cancel(false));
    cancelled.check();
    assert_eq!(
        (cancelled.order.status, cancelled.order.payment.status),
        (OrderStatus::Cancelled, PaymentStatus::Voided)
    );
}

/// The only one that has it is there, and takes no call: what the order waits for is always there.
#[test]
fn what_cannot_be_reached_is_looked_for_ever_later_until_it_can() {
    let mut run = direct();
    run.failing = Some((Step::Ship, Failure::NeverSent, 8));
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let before = run.now;
        run.tell(if pauses.is_empty() { Event::Begun } else { Event::StockCame });
        assert!(run.awaiting, "{:?}", run.names());
        pauses.push((run.now - before).num_milliseconds());
    }
    assert_eq!(pauses, [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    run.tell(Event::StockCame);
    run.check();
    assert_eq!(run.order.status, OrderStatus::Shipped, "{:?}", run.names());
}

#[test]
fn a_backorder_ends_when_its_time_is_over() {
    let mut run = Run::new(&[line(1, 2)], &[(1, line(1, 1))], BACKORDER);
    run.go();
    run.now += chrono::TimeDelta::days(31);
    run.tell(Event::Woke);
    run.check();
    assert_eq!(run.order.status, OrderStatus::Rejected);
}

#[test]
fn a_part_lost_after_the_first_has_shipped_is_sourced_anew_or_waits_and_a_person_may_refund_the_rest() {
    let stock = [(1, line(1, 5)), (2, line(2, 1))];
    let mut run = Run::new(&[line(1, 1), line(2, 1)], &stock, SPLIT);
    // The hold of one of them is gone when it is to ship, and so are the copies.
    run.failing = Some((Step::ShipHeld, Failure::Refused, 1));
    while run.failed.is_none() {
        assert!(run.advance());
    }
    let part = run.saga.parts[0].clone();
    let left = run.world.shelves[&(part.warehouse, part.lines[0].book)].on_hand;
    run.world.take(part.warehouse, Line { quantity: u32::try_from(left).unwrap(), ..part.lines[0] });
    run.go();
    assert_eq!(run.order.status, OrderStatus::PartiallyShipped, "{:?}", run.names());
    assert_eq!(run.saga.may_be_cancelled(false), Err(Unfit::Leaving));
    let mut given_up = run.clone();
    let came = Line { quantity: 1, ..part.lines[0] };
    run.world.receive(warehouse(3), came);
    run.believed.insert((warehouse(3), came.book), 1);
    run.tell(Event::StockCame);
    run.check();
    assert_eq!(run.order.status, OrderStatus::Shipped);
    given_up.tell(cancel(true));
    given_up.check();
    assert_eq!((given_up.order.status, given_up.world.captured().cents()), (OrderStatus::Shipped, 1_000));
    assert!(given_up.order.status_reason.is_some());
}

#[test]
fn what_has_left_comes_back_in_part_and_then_all() {
    let mut run = split();
    run.go();
    run.tell(take_back(1, &[line(1, 1)]));
    run.check();
    assert_eq!((run.order.status, run.order.payment.status), (OrderStatus::Shipped, PaymentStatus::Captured));
    assert_eq!(
        run.saga.may_be_returned(ReturnId(Uuid::from_u128(9)), &[line(1, 1)]),
        Err(Unfit::TooMany(vec![line(1, 1)]))
    );
    run.tell(take_back(1, &[line(1, 1)]));
    assert_eq!(run.world.refunded().cents(), 1_000, "the same return is the same");
    run.tell(take_back(2, &[line(2, 1)]));
    run.check();
    assert_eq!((run.order.status, run.order.payment.status), (OrderStatus::Returned, PaymentStatus::Refunded));
}

#[test]
fn a_cancel_in_time_leaves_nothing_and_too_late_changes_nothing() {
    // At every moment of both kinds of order.
    for make in [direct, split] {
        for moment in 0..40 {
            let mut run = make();
            let moved = (0..moment).all(|_| run.advance());
            let allowed = run.saga.may_be_cancelled(false).is_ok() && !run.saga.is_over();
            run.tell(cancel(false));
            run.check();
            assert!(run.saga.is_over(), "{moment}: {:?}", run.names());
            if !allowed {
                assert_eq!(run.order.status, OrderStatus::Shipped, "{moment}: {:?}", run.names());
            }
            if !moved {
                break;
            }
        }
    }
}

#[test]
fn a_cancel_that_meets_a_shipment_that_has_left_is_too_late() {
    let mut run = direct();
    run.failing = Some((Step::Ship, Failure::AnswerLost, 1));
    while run.failed.is_none() {
        assert!(run.advance());
    }
    run.tell(cancel(false));
    run.check();
    assert_eq!((run.order.status, run.order.cancel_requested), (OrderStatus::Shipped, false));
}

#[test]
fn r05_in_doubt_at_the_deadline_a_person_is_called_and_the_same_call_goes_on() {
    let mut run = direct();
    run.failing = Some((Step::Ship, Failure::Lost, usize::MAX));
    while run.failed.is_none() {
        assert!(run.advance());
    }
    run.now += chrono::TimeDelta::days(2);
    run.tell(Event::Woke);
    assert_eq!((run.order.status, run.names().last()), (OrderStatus::NeedsAttention, Some(&"needs-attention")));
    run.failing = None;
    run.tell(Event::Woke);
    run.check();
    assert_eq!((run.order.status, run.saga.attention.clone()), (OrderStatus::Shipped, None));
}

#[test]
fn r01_only_what_certainly_reached_nobody_goes_elsewhere() {
    let stock = [(1, line(1, 9)), (2, line(1, 5))];
    for (failure, elsewhere) in
        [(Failure::NeverSent, true), (Failure::Refused, true), (Failure::Lost, false), (Failure::AnswerLost, false)]
    {
        let mut run = Run::new(&[line(1, 2)], &stock, SPLIT);
        run.failing = Some((Step::Ship, failure, 1));
        run.go();
        run.check();
        assert_eq!(run.names().contains(&"moved"), elsewhere, "{failure:?}: {:?}", run.names());
        // After a restart nobody knows what was sent before.
        let mut run = Run::new(&[line(1, 2)], &stock, SPLIT);
        run.crash();
        run.failing = Some((Step::Ship, failure, 1));
        run.go();
        run.check();
        assert_eq!(
            run.names().contains(&"moved"),
            failure == Failure::Refused,
            "read back, {failure:?}: {:?}",
            run.names()
        );
    }
}

#[test]
fn a_warehouse_that_tells_by_itself_is_believed() {
    let mut run = direct();
    run.failing = Some((Step::Ship, Failure::AnswerLost, usize::MAX));
    while run.failed.is_none() {
        assert!(run.advance());
    }
    let (shipment, row) =
        (run.shipment(0), contract::StockRow { book_id: book(1), quantity: 3, reserved: 0, version: 1 });
    run.tell(Event::Confirmed { shipment, shipped_at: run.now, stock: vec![row] });
    run.check();
    assert_eq!(run.order.status, OrderStatus::Shipped);
}
