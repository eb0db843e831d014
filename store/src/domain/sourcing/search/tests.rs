use std::collections::BTreeSet;

use contract::{BookId, WarehouseId};
use proptest::prelude::{Just, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;
use uuid::Uuid;

use super::*;
use crate::domain::sourcing::{Candidate, Line, Strategy, rank};

/// One copy of each of `lines` books, and warehouses that have so many copies of each of these.
fn puzzle(lines: usize, has: &[(i64, &[usize])]) -> (Demand, Vec<(String, Vec<i64>)>) {
    let book = |n: usize| BookId(Uuid::from_u128(n as u128));
    let demand = Demand::new(&(0..lines).map(|n| Line { book: book(n), quantity: 1 }).collect::<Vec<_>>());
    let free = |(copies, has): &(i64, &[usize])| {
        (0..lines).map(|line| if has.contains(&line) { *copies } else { 0 }).collect()
    };
    let sites = has.iter().enumerate().map(|(n, has)| (format!("w{n}"), free(has)));
    (demand, sites.collect())
}

fn solve(budget: u32, lines: usize, has: &[(i64, &[usize])]) -> (Vec<String>, Proof) {
    let (demand, sites) = puzzle(lines, has);
    let candidates = sites.iter().zip(1..).map(|((name, free), n)| {
        let warehouse = WarehouseId(Uuid::from_u128(n));
        Candidate { warehouse, name, priority: 0, free: free.clone() }
    });
    let candidates: Vec<_> = candidates.collect();
    let pool = rank(&demand, &candidates, Strategy::FewestShipments);
    let found = fewest_within(budget, &demand, &pool);
    let names: BTreeSet<_> = found.chosen.iter().map(|&index| pool[index].candidate.name.to_owned()).collect();
    (names.into_iter().collect(), found.proof)
}

#[test]
fn finds_fewer_than_greed_does_and_falls_back_to_it_where_the_bound_is_met() {
    let told = |names: &[&str], proof| (names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), proof);
    // Greed takes the one with five of the eight books, then of those with two more the one with more copies; one is missing still.
    let greed_is_wrong: &[(i64, &[usize])] =
        &[(1, &[1, 2, 3, 5, 6]), (9, &[0, 4]), (1, &[0, 1, 2, 3]), (1, &[4, 5, 6, 7])];
    assert_eq!(solve(BUDGET, 8, greed_is_wrong), told(&["w2", "w3"], Proof::Whole));
    assert_eq!(solve(0, 8, greed_is_wrong), told(&["w0", "w1", "w3"], Proof::None));
    // Two are the fewest, and there is no time to see which two are best.
    let halves: &[(i64, &[usize])] = &[(1, &[0, 1, 2, 3]), (1, &[4, 5]), (2, &[0, 1, 2]), (2, &[3, 4, 5])];
    assert_eq!(solve(0, 6, halves), told(&["w0", "w3"], Proof::Fewest));
    assert_eq!(solve(BUDGET, 6, halves), told(&["w2", "w3"], Proof::Whole));
}

#[test]
fn names_decide_between_sets_of_the_same_worth() {
    // Only two pairs have everything. The other one has the best warehouse, and is met first.
    let pairs: &[(i64, &[usize])] = &[(4, &[0, 2]), (3, &[1, 3]), (5, &[0, 1]), (2, &[2, 3])];
    assert_eq!(solve(0, 4, pairs).0, ["w2", "w3"]);
    assert_eq!(solve(BUDGET, 4, pairs).0, ["w0", "w1"]);
}

#[test]
fn greed_leaves_out_who_turns_out_to_be_one_too_many() {
    // Taken: w0, then w1 and w2, which have all of what it has between them.
    let names = solve(0, 8, &[(1, &[1, 2, 3, 5, 6]), (1, &[0, 1, 2, 3]), (1, &[4, 5, 6, 7])]).0;
    assert_eq!(names, ["w1", "w2"]);
}

#[test]
fn finds_two_where_greed_takes_four() {
    // Greed takes those with 16, 8, 4 and 2 of the 30 books, a half of each from either of the first two, which have 15 each.
    let (a, b): (Vec<_>, Vec<_>) = (0..30).partition(|book| book % 2 == 0);
    let ranges = [0..16, 16..24, 24..28, 28..30].map(|range| range.collect::<Vec<_>>());
    let [c, d, e, f] = &ranges;
    let has: &[(i64, &[usize])] = &[(1, &a), (1, &b), (1, c), (1, d), (1, e), (1, f)];
    assert_eq!(solve(0, 30, has).0, ["w2", "w3", "w4", "w5"]);
    assert_eq!(solve(BUDGET, 30, has), (vec!["w0".to_owned(), "w1".to_owned()], Proof::Whole));
    // The two are the best of all as well, so they are met where three were looked for, and the third is not missed.
    let rich: &[(i64, &[usize])] = &[(9, &a), (9, &b), (1, c), (1, d), (1, e), (1, f)];
    assert_eq!(solve(BUDGET, 30, rich), (vec!["w0".to_owned(), "w1".to_owned()], Proof::Whole));
    // Wherever the search is cut, what it has found by then is whole, and nobody in it is needless.
    for budget in 0..60 {
        let (names, proof) = solve(budget, 30, has);
        assert!(names.len() == 2 || names.len() == 4, "{budget}: {names:?}");
        assert_eq!(proof == Proof::None, names.len() == 4, "{budget}: {names:?}");
    }
}

proptest! {
    #[test]
    fn whatever_the_bound_what_is_found_is_what_it_is_said_to_be(
        (wanted, shelves) in (1..12_usize).prop_flat_map(|lines| {
            let free = prop::collection::vec(prop_oneof![2 => Just(0_i64), 1 => 0..4_i64], lines);
            (prop::collection::vec(1..4_u32, lines), prop::collection::vec(free, 2..10))
        }),
        budget in 0..150_u32,
    ) {
        let lines = wanted.iter().zip(0..).map(|(&quantity, n)| Line { book: BookId(Uuid::from_u128(n)), quantity });
        let demand = Demand::new(&lines.collect::<Vec<_>>());
        let names: Vec<_> = (0..shelves.len()).map(|n| format!("w{n}")).collect();
        let candidates = shelves.iter().zip(&names).map(|(free, name)| {
            Candidate { warehouse: WarehouseId(Uuid::nil()), name, priority: 0, free: free.clone() }
        });
        let candidates: Vec<_> = candidates.collect();
        let pool = rank(&demand, &candidates, Strategy::FewestShipments);
        let has_all = |set: usize| demand.lines().iter().enumerate().all(|(line, wanted)| {
            let members = (0..pool.len()).filter(|n| set >> n & 1 == 1);
            members.map(|n| pool[n].candidate.free[line]).sum::<i64>() >= i64::from(wanted.quantity)
        });
        let compared = |set: usize| {
            let members = || (0..pool.len()).filter(|n| set >> n & 1 == 1);
            let names: BTreeSet<_> = members().map(|n| pool[n].candidate.name).collect();
            (set.count_ones(), members().map(|n| pool[n].key).sum::<i128>(), names, set)
        };
        let best = (1_usize..1 << pool.len()).filter(|set| has_all(*set)).map(compared).min();
        let Some((fewest, .., best)) = best.filter(|(fewest, ..)| *fewest > 1) else { return Ok(()) };

        let found = fewest_within(budget, &demand, &pool);
        let set = found.chosen.iter().fold(0, |set, n| set | 1 << n);
        prop_assert!(has_all(set));
        prop_assert!(found.chosen.iter().all(|n| !has_all(set & !(1 << n))), "somebody is needless");
        match found.proof {
            Proof::Whole => prop_assert_eq!(set, best),
            Proof::Fewest => prop_assert_eq!(found.chosen.len(), fewest as usize),
            Proof::None => {}
        }
    }
}
