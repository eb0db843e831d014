use std::collections::BTreeSet;

use contract::{BookId, WarehouseId};
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
fn greed_leaves_out_who_turns_out_to_be_one_too_many() {
    // Taken: w0, then w1 and w2, which have all of what it has between them.
    let names = solve(0, 8, &[(1, &[1, 2, 3, 5, 6]), (1, &[0, 1, 2, 3]), (1, &[4, 5, 6, 7])]).0;
    assert_eq!(names, ["w1", "w2"]);
}
