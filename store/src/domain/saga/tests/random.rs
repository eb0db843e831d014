//! Any orders, stocks, refusals and failures, in any order of answers.

use contract::ReturnId;
use proptest::prelude::*;
use strum::IntoEnumIterator as _;
use uuid::Uuid;

use super::world::*;
use crate::domain::saga::{Event, Options, Step};
use crate::domain::sourcing::Line;

fn lines() -> impl Strategy<Value = Vec<Line>> {
    proptest::collection::btree_map(1..4_u128, 1..4_u32, 1..4)
        .prop_map(|lines| lines.into_iter().map(|(n, quantity)| line(n, quantity)).collect())
}

fn stock() -> impl Strategy<Value = Vec<(u128, Line)>> {
    proptest::collection::vec((1..5_u128, 1..4_u128, 0..4_u32), 0..9)
        .prop_map(|all| all.into_iter().map(|(id, n, quantity)| (id, line(n, quantity))).collect())
}

/// What somebody does in between.
#[derive(Debug, Clone)]
enum Deed {
    Take(u128, u128),
    Receive(u128, u128),
    Cancel(bool),
    Retry,
    Resume,
    Crash,
    Wake,
    Return(u128),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        (1..5_u128, 1..4_u128).prop_map(|(id, n)| Deed::Take(id, n)),
        (1..5_u128, 1..4_u128).prop_map(|(id, n)| Deed::Receive(id, n)),
        any::<bool>().prop_map(Deed::Cancel),
        Just(Deed::Retry),
        Just(Deed::Resume),
        Just(Deed::Crash),
        Just(Deed::Wake),
        (1..4_u128).prop_map(Deed::Return),
    ]
}

fn failure() -> impl Strategy<Value = Option<(Step, Failure, usize)>> {
    let steps: Vec<Step> = Step::iter().collect();
    proptest::option::of((proptest::sample::select(steps), proptest::sample::select(&Failure::ALL[..]), 1..4_usize))
}

fn order_of(turn: usize, waiting: usize) -> usize {
    // A fixed, well mixed sequence.
    turn.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 7 & waiting.max(1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_is_shipped_twice_or_charged_without_leaving_and_every_saga_ends(
        lines in lines(),
        stock in stock(),
        (allow_split, allow_backorder, mixed) in any::<(bool, bool, bool)>(),
        failing in failure(),
        deeds in proptest::collection::vec((0..12_usize, deed()), 0..8),
    ) {
        let mut run = Run::new(&lines, &stock, Options { allow_split, allow_backorder });
        run.failing = failing;
        if mixed {
            run.choose = order_of;
        }
        for (moves, deed) in deeds {
            for _ in 0..moves {
                run.advance();
            }
            act(&mut run, &deed);
        }
        // The world is well again: a person has every trouble tried once more, and gives up what waits for stock.
        run.failing = None;
        run.go();
        for _ in 0..3 {
            run.tell(Event::Resume);
            run.tell(Event::Retry);
        }
        run.tell(Event::Cancel { operator: true, reason: "given up".to_owned() });
        run.tell(Event::Retry);
        prop_assert!(run.saga.is_over(), "{:?} {:?}", run.names(), run.saga);
        for (key, shelf) in run.world.shelves.clone() {
            run.believed.insert(key, shelf.on_hand - shelf.reserved);
        }
        run.check();
    }
}

fn act(run: &mut Run, deed: &Deed) {
    match *deed {
        Deed::Take(id, n) => {
            let shelf = run.world.shelves.get(&(warehouse(id), book(n))).copied().unwrap_or_default();
            if shelf.on_hand > shelf.reserved {
                run.world.take(warehouse(id), line(n, 1));
            }
        }
        Deed::Receive(id, n) => {
            run.world.receive(warehouse(id), line(n, 1));
            *run.believed.entry((warehouse(id), book(n))).or_default() += 1;
            if run.awaiting {
                run.push(Event::StockCame);
            }
        }
        Deed::Cancel(operator) => run.push(Event::Cancel { operator, reason: "no".to_owned() }),
        Deed::Retry => run.push(Event::Retry),
        Deed::Resume => run.push(Event::Resume),
        Deed::Crash => run.crash(),
        Deed::Wake => run.push(Event::Woke),
        Deed::Return(n) => {
            let lines: Vec<_> =
                run.order.items.iter().take(1).map(|item| Line { book: item.book_id, quantity: 1 }).collect();
            run.push(Event::Return { id: ReturnId(Uuid::from_u128(n)), lines });
        }
    }
}
