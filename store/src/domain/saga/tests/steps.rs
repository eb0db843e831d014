//! Every step fails in turn, forward and undo, and happens twice. The steps are those of the definition: one that is added
//! there does not compile here before it is part of a story.

use std::collections::BTreeMap;

use contract::{BookId, Money, OrderStatus, PaymentStatus, ReturnId, WarehouseId};
use strum::IntoEnumIterator as _;
use uuid::Uuid;

use super::world::*;
use crate::domain::saga::{Event, Step};

/// An order in which the step is taken; not begun.
fn story(step: Step, seed: u32) -> Run {
    let quantity = 1 + seed % 3;
    let direct = || Run::new(&[line(1, quantity)], &[(1, line(1, 9 + seed))], SPLIT);
    let split = || Run::new(&[line(1, quantity), line(2, 1)], &[(1, line(1, 9)), (2, line(2, 7 + seed))], SPLIT);
    match step {
        Step::Authorize | Step::Ship | Step::Capture | Step::VoidPayment | Step::Restock | Step::Refund => direct(),
        Step::Reserve | Step::Confirm | Step::ShipHeld | Step::Void => split(),
    }
}

/// Brings the order to where the step is taken, and on from there to its rest.
fn tell(run: &mut Run, step: Step) {
    let lines: Vec<_> = crate::domain::order::terms(&run.order).items.iter().map(|item| item.line).collect();
    match step {
        Step::Authorize | Step::Ship | Step::Reserve | Step::Confirm | Step::ShipHeld | Step::Capture => run.go(),
        // Undone by a cancel once both parts are held.
        Step::Void | Step::VoidPayment => {
            let part = if step == Step::Void { Step::Reserve } else { Step::Authorize };
            while !run.world.calls.contains(&part) {
                assert!(run.advance());
            }
            run.tell(Event::Cancel { operator: false, reason: "no".to_owned() });
        }
        Step::Restock | Step::Refund => {
            run.go();
            run.tell(Event::Return { id: ReturnId(Uuid::from_u128(7)), lines });
        }
    }
}

type Outside = (Vec<((WarehouseId, BookId), Shelf)>, (Money, Money, bool), BTreeMap<(WarehouseId, BookId), i64>);

/// What is left outside: stock and holds, money, cache.
fn outside(run: &Run) -> Outside {
    let shelves: Vec<_> = run.world.shelves.iter().map(|(key, shelf)| (*key, *shelf)).collect();
    let money = (run.world.captured(), run.world.refunded(), run.world.is_set_aside());
    (shelves, money, run.believed.clone())
}

#[test]
fn every_step_that_fails_for_a_while_ends_as_if_it_had_not() {
    for (seed, step) in Step::iter().enumerate() {
        for failure in Failure::PASSING {
            for times in 1..=3 {
                let seed = u32::try_from(seed).unwrap();
                let mut smooth = story(step, seed);
                tell(&mut smooth, step);
                let mut run = story(step, seed);
                run.failing = Some((step, failure, times));
                tell(&mut run, step);
                while run.awaiting && !run.saga.is_over() {
                    run.awaiting = false;
                    run.tell(Event::StockCame);
                }
                assert_eq!(run.failed, Some(step), "the step that was to fail is the one that did");
                run.check();
                assert!(run.saga.is_over(), "{step:?} {failure:?}: {:?}", run.names());
                assert_eq!(run.order.status, smooth.order.status, "{step:?} {failure:?}");
                assert_eq!(outside(&run), outside(&smooth), "{step:?} {failure:?}");
            }
        }
    }
}

#[test]
fn every_step_that_is_refused_leaves_everything_as_it_was_or_calls_a_person() {
    for (seed, step) in Step::iter().enumerate() {
        let seed = u32::try_from(seed).unwrap();
        let before = outside(&story(step, seed));
        let mut run = story(step, seed);
        run.failing = Some((step, Failure::Refused, usize::MAX));
        tell(&mut run, step);
        run.check();
        assert_eq!(run.failed, Some(step), "the step that was to fail is the one that did");
        let (status, payment) = (run.order.status, run.order.payment.status);
        match step {
            Step::Authorize | Step::Ship | Step::Reserve | Step::Confirm => {
                assert_eq!(status, OrderStatus::Rejected, "{step:?}: {:?}", run.names());
                assert_eq!(outside(&run), before, "{step:?}");
            }
            // Nothing is given up any more: it waits until a person has looked, and ships.
            Step::ShipHeld => {
                assert_eq!(status, OrderStatus::Backordered, "{:?}", run.names());
                assert_eq!(outside(&run).0, before.0, "{step:?}");
                run.failing = None;
                run.tell(Event::Resume);
                run.check();
                assert_eq!(run.order.status, OrderStatus::Shipped, "{:?}", run.names());
            }
            Step::Void => assert_eq!(status, OrderStatus::Shipped, "{:?}", run.names()),
            Step::Capture => {
                assert_eq!((status, payment), (OrderStatus::Shipped, PaymentStatus::Failed));
                assert!(run.saga.attention.is_some());
            }
            Step::VoidPayment | Step::Restock | Step::Refund => {
                assert!(run.saga.attention.is_some() && !run.saga.is_over(), "{step:?}: {:?}", run.names());
                run.failing = None;
                run.tell(Event::Retry);
                run.check();
                assert!(run.saga.is_over(), "{step:?}: a person had it tried again");
                let (shelves, (captured, refunded, set_aside), believed) = outside(&run);
                assert_eq!((shelves, believed), (before.0, before.2), "{step:?}");
                assert_eq!((captured, set_aside), (refunded, false), "{step:?}");
            }
        }
    }
}

#[test]
fn every_step_twice_is_that_step_once_and_so_is_its_undo() {
    for (seed, step) in Step::iter().enumerate() {
        let seed = u32::try_from(seed).unwrap();
        let mut once = story(step, seed);
        tell(&mut once, step);
        let mut twice = story(step, seed);
        twice.twice = Some(step);
        tell(&mut twice, step);
        twice.check();
        let count = |run: &Run| run.world.calls.iter().filter(|call| **call == step).count();
        assert_eq!((count(&twice), twice.names()), (2 * count(&once), once.names()), "{step:?}");
        assert!(count(&once) > 0, "{step:?} is part of its story");
        assert_eq!(outside(&twice), outside(&once), "{step:?}");
        let Some(undo) = step.undo() else { continue };
        assert!(Step::iter().any(|step| step == undo && step.undo().is_none()), "what undoes is not undone");
    }
}
