//! The process dies at every boundary: before and after each entry is written and each effect has happened. What
//! follows ends as it would have, or as well.

use contract::{OrderStatus, ReturnId};
use uuid::Uuid;

use super::world::*;
use crate::domain::saga::{Event, Step};

type Story = (&'static str, fn() -> Run, fn(&mut Run), OrderStatus);

fn go(run: &mut Run) {
    run.go();
}

fn cancel_when(run: &mut Run, step: Step) {
    while !run.world.calls.contains(&step) && run.advance() {}
    run.tell(Event::Cancel { operator: false, reason: "no".to_owned() });
}

fn take_back(run: &mut Run) {
    run.go();
    let lines: Vec<_> = crate::domain::order::terms(&run.order).items.iter().map(|item| item.line).collect();
    let back = Event::Return { id: ReturnId(Uuid::from_u128(7)), lines };
    run.tell(back.clone());
    // Its customer repeats what had no answer.
    run.tell(back);
}

const STORIES: [Story; 8] = [
    ("direct", || Run::new(&[line(1, 2)], &[(1, line(1, 5))], SPLIT), go, OrderStatus::Shipped),
    ("split", split, go, OrderStatus::Shipped),
    ("moved", moved, go, OrderStatus::Shipped),
    ("rejected", rejected, go, OrderStatus::Rejected),
    ("declined", declined, go, OrderStatus::Rejected),
    ("cancelled", split, |run| cancel_when(run, Step::Reserve), OrderStatus::Cancelled),
    ("returned", split, take_back, OrderStatus::Returned),
    (
        "cancelled while unsent",
        || Run::new(&[line(1, 2)], &[(1, line(1, 5))], SPLIT),
        |run| cancel_when(run, Step::Authorize),
        OrderStatus::Cancelled,
    ),
];

fn split() -> Run {
    Run::new(&[line(1, 1), line(2, 1)], &[(1, line(1, 5)), (2, line(2, 5))], SPLIT)
}

/// One warehouse has lost what it was to send; a third has it.
fn moved() -> Run {
    let mut run = Run::new(&[line(1, 1), line(2, 2)], &[(1, line(1, 5)), (2, line(2, 5)), (3, line(2, 2))], SPLIT);
    let part = run.saga.parts.iter().find(|part| part.lines.iter().any(|line| line.book == book(2))).unwrap();
    let (id, left) = (part.warehouse, run.world.shelves[&(part.warehouse, book(2))].on_hand);
    run.world.take(id, line(2, u32::try_from(left).unwrap()));
    run
}

fn rejected() -> Run {
    let mut run = split();
    run.world.take(warehouse(2), line(2, 5));
    run
}

fn declined() -> Run {
    let mut run = split();
    run.failing = Some((Step::Authorize, Failure::Refused, 1));
    run
}

#[test]
fn whatever_dies_wherever_it_ends_as_it_would_have() {
    for (name, make, tell, end) in STORIES {
        let mut smooth = make();
        tell(&mut smooth);
        smooth.check();
        assert_eq!(smooth.order.status, end, "{name}: {:?}", smooth.names());
        assert!(smooth.boundaries > 3, "{name}: {}", smooth.boundaries);
        for boundary in 1..=smooth.boundaries {
            let mut run = make();
            run.crash_at = Some(boundary);
            tell(&mut run);
            run.go();
            // What was asked of a process that died is asked again.
            tell(&mut run);
            assert!(run.saga.is_over(), "{name}, boundary {boundary}: {:?}", run.names());
            repull(&mut run);
            run.check();
            let cancelled_too_late = end == OrderStatus::Cancelled && run.order.status == OrderStatus::Shipped;
            assert!(run.order.status == end || cancelled_too_late, "{name}, boundary {boundary}: {:?}", run.names());
        }
    }
}

#[test]
fn from_every_prefix_of_its_journal_it_ends_as_it_would_have() {
    for (name, make, tell, end) in STORIES {
        let mut smooth = make();
        tell(&mut smooth);
        assert_eq!(smooth.before_entries.len() + 1, smooth.journal.len(), "{name}");
        for (prefix, boundary) in smooth.before_entries.iter().enumerate() {
            // Everything has happened that can before the next entry, and the process dies twice without writing it.
            let mut run = make();
            run.crash_at = Some(*boundary);
            tell(&mut run);
            assert!(run.boundaries >= *boundary, "{name}: it has died");
            run.crash_at = Some(run.boundaries + 1);
            run.go();
            tell(&mut run);
            assert!(run.saga.is_over(), "{name}, prefix {prefix}: {:?}", run.names());
            repull(&mut run);
            run.check();
            let too_late = end == OrderStatus::Cancelled && run.order.status == OrderStatus::Shipped;
            assert!(run.order.status == end || too_late, "{name}, prefix {prefix}: {:?}", run.names());
        }
    }
}

/// The next pull of every warehouse's inventory: rows that were on their way died with the process.
fn repull(run: &mut Run) {
    for (key, shelf) in run.world.shelves.clone() {
        run.believed.insert(key, shelf.on_hand - shelf.reserved);
    }
}
