//! Which warehouse an order is shipped from.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use contract::{BookId, Shortfall, WarehouseId};

/// Copies of one book that an order wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The book.
    pub book: BookId,
    /// Copies.
    pub quantity: u32,
}

/// Everything an order wants: each book once, in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand(Vec<Line>);

impl Demand {
    /// Sums the lines by book and drops those of nothing.
    pub fn new(lines: &[Line]) -> Self {
        let mut sums = BTreeMap::<BookId, u32>::new();
        for line in lines.iter().filter(|line| line.quantity > 0) {
            let sum = sums.entry(line.book).or_default();
            *sum = sum.saturating_add(line.quantity);
        }
        Self(sums.into_iter().map(|(book, quantity)| Line { book, quantity }).collect())
    }

    /// Its lines, by book id.
    pub fn lines(&self) -> &[Line] {
        &self.0
    }
}

/// A warehouse that may be asked.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// The warehouse.
    pub warehouse: WarehouseId,
    /// Its name, the last of what decides between equals.
    pub name: &'a str,
    /// A lower one is preferred.
    pub priority: i32,
    /// Copies free there of each line of the demand, in the demand's order. Negative counts as none.
    pub free: Vec<i64>,
}

impl Candidate<'_> {
    fn free(&self, index: usize) -> i64 {
        self.free.get(index).copied().unwrap_or(0).max(0)
    }

    fn missing(&self, demand: &Demand) -> i64 {
        let lines = demand.lines().iter().enumerate();
        lines.map(|(index, line)| (i64::from(line.quantity) - self.free(index)).max(0)).sum()
    }

    /// Copies of the demanded books that are left once it has shipped them.
    fn left_after(&self, demand: &Demand) -> i64 {
        let lines = demand.lines().iter().enumerate();
        lines.map(|(index, line)| self.free(index) - i64::from(line.quantity)).sum()
    }
}

/// The single warehouse that ships all of `demand`: of those that can, the one with most copies of these books left after, then the
/// preferred one by priority, then by name.
///
/// # Errors
/// What is short at the warehouse that comes nearest, which lacks the fewest copies. (By book alone, each may be plentiful somewhere.)
/// With no candidate at all, everything is short and nothing is available; an order of nothing is then refused without a shortfall.
pub fn plan(demand: &Demand, candidates: &[Candidate<'_>]) -> Result<WarehouseId, Vec<Shortfall>> {
    let rank = |candidate: &&Candidate<'_>| {
        (Reverse(candidate.left_after(demand)), candidate.priority, candidate.name.to_owned())
    };
    let able = candidates.iter().filter(|candidate| candidate.missing(demand) == 0);
    if let Some(best) = able.min_by_key(rank) {
        return Ok(best.warehouse);
    }
    let nearest = candidates.iter().min_by_key(|candidate| (candidate.missing(demand), rank(candidate)));
    let shortfalls = demand.lines().iter().enumerate().filter_map(|(index, line)| {
        let (requested, available) = (i64::from(line.quantity), nearest.map_or(0, |candidate| candidate.free(index)));
        (available < requested).then_some(Shortfall { book_id: line.book, requested, available })
    });
    Err(shortfalls.collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn book(n: u128) -> BookId {
        BookId(Uuid::from_u128(n))
    }

    fn warehouse(n: u128) -> WarehouseId {
        WarehouseId(Uuid::from_u128(n))
    }

    fn demand(lines: &[(u128, u32)]) -> Demand {
        Demand::new(&lines.iter().map(|&(n, quantity)| Line { book: book(n), quantity }).collect::<Vec<_>>())
    }

    /// Name of the case, (book, copies) wanted, the warehouses, and what comes of it.
    type Case<'a, T> = (&'a str, &'a [(u128, u32)], &'a [Shelf<'a>], T);

    /// Priority, name and what is free of each line.
    type Shelf<'a> = (i32, &'a str, &'a [i64]);

    /// Of warehouses 1, 2, 3…
    fn candidates<'a>(all: &[Shelf<'a>]) -> Vec<Candidate<'a>> {
        let numbered = all.iter().zip(1..);
        numbered
            .map(|(&(priority, name, free), n)| Candidate {
                warehouse: warehouse(n),
                name,
                priority,
                free: free.to_vec(),
            })
            .collect()
    }

    #[test]
    fn chooses_by_what_is_left_then_priority_then_name() {
        #[rustfmt::skip]
        let table: &[Case<'_, u128>] = &[
            ("the only one",            &[(1, 2)],         &[(0, "a", &[2])],                                  1),
            ("most left",               &[(1, 2)],         &[(0, "a", &[5]), (9, "z", &[6])],                  2),
            ("most left of what it has to ship", &[(1, 1), (2, 1)], &[(0, "a", &[9, 1]), (0, "b", &[5, 6])],   2),
            ("then priority",           &[(1, 2)],         &[(2, "a", &[5]), (1, "b", &[5])],                  2),
            ("then name",               &[(1, 2)],         &[(1, "b", &[5]), (1, "a", &[5])],                  2),
            ("only one has everything", &[(1, 2), (2, 2)], &[(0, "a", &[99, 1]), (0, "b", &[2, 2])],           2),
            ("lines of one book add",   &[(1, 2), (1, 3)], &[(0, "a", &[4]), (9, "b", &[5])],                  2),
        ];
        for (case, lines, warehouses, expected) in table {
            assert_eq!(plan(&demand(lines), &candidates(warehouses)), Ok(warehouse(*expected)), "{case}");
        }
    }

    #[test]
    fn a_refusal_says_what_is_short_at_the_nearest_warehouse() {
        let short = |n, requested, available| Shortfall { book_id: book(n), requested, available };
        #[rustfmt::skip]
        let table: &[Case<'_, &[Shortfall]>] = &[
            ("nobody is there",         &[(1, 2)],         &[],                                                &[short(1, 2, 0)]),
            ("too few",                 &[(1, 2)],         &[(0, "a", &[1])],                                  &[short(1, 2, 1)]),
            ("summed over lines",       &[(1, 2), (1, 3)], &[(0, "a", &[4])],                                  &[short(1, 5, 4)]),
            ("each has one of the two", &[(1, 2), (2, 2)], &[(0, "a", &[5, 0]), (0, "b", &[1, 5])],            &[short(1, 2, 1)]),
            ("below nothing is nothing", &[(1, 2)],        &[(0, "a", &[-3])],                                 &[short(1, 2, 0)]),
        ];
        for (case, lines, warehouses, expected) in table {
            assert_eq!(plan(&demand(lines), &candidates(warehouses)), Err(expected.to_vec()), "{case}");
        }
    }

    proptest! {
        #[test]
        fn never_more_than_there_is_and_never_refused_without_cause(
            lines in prop::collection::vec((0..4u128, 0..6u32), 1..6),
            shelves in prop::collection::vec(prop::collection::vec(-2..8i64, 4), 0..5),
        ) {
            let demand = demand(&lines);
            let warehouses = shelves.iter().zip(1..).map(|(free, n)| Candidate {
                warehouse: warehouse(n), name: "same", priority: 0, free: free.clone(),
            });
            let warehouses: Vec<_> = warehouses.collect();
            let covers = |candidate: &Candidate<'_>| {
                demand.lines().iter().zip(&candidate.free).all(|(line, free)| *free >= i64::from(line.quantity))
            };
            match plan(&demand, &warehouses) {
                Ok(chosen) => {
                    let chosen = warehouses.iter().find(|candidate| candidate.warehouse == chosen).unwrap();
                    prop_assert!(covers(chosen));
                }
                Err(shortfalls) => {
                    prop_assert!(!warehouses.iter().any(covers));
                    prop_assert!(!shortfalls.is_empty() || demand.lines().is_empty());
                    prop_assert!(shortfalls.iter().all(|short| short.available < short.requested && short.available >= 0));
                }
            }
        }
    }
}
