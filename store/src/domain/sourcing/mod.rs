//! From which warehouses an order is shipped.
//!
//! [`plan`] finds the fewest warehouses that have everything between them, and of those the ones that the strategy prefers. It is exact,
//! by a bounded search (`search`); where the bound is met first, the plan is the best found until then, and its reason says so.

use std::collections::BTreeMap;

use contract::{BookId, Shortfall, WarehouseId};
use serde::{Deserialize, Serialize};

mod reason;
mod search;
mod share;

pub use reason::{CUT_SHORT, FEWEST};

/// Copies of one book that an order wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

    /// Copies of all books.
    fn copies(&self) -> i64 {
        self.0.iter().map(|line| i64::from(line.quantity)).sum()
    }
}

/// What is to be sourced, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// The books.
    pub demand: Demand,
    /// Whether several warehouses may share it.
    pub allow_split: bool,
    /// Warehouses not to take.
    pub exclude: Vec<WarehouseId>,
}

/// Which warehouses are preferred, of those that have everything between them.
///
/// Whatever the strategy, a plan has no warehouse too many, and what decides last is their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// As few as can be. Of several such sets the one that keeps most copies of these books after it, then the one whose priorities
    /// add up to least.
    #[default]
    FewestShipments,
    /// The preferred ones, though they be more: none of a worse priority than the best at which that warehouse and all better ones have
    /// everything. Of these as few as can be; then the set whose priorities add up to least, then the one that keeps most.
    Priority,
    /// The richest ones, though they be more, so that what is left levels out: none with fewer copies of these books than the highest
    /// number at which the warehouses with at least as many have everything. Of these as few as can be; then the set that keeps most,
    /// then the one whose priorities add up to least.
    Balance,
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

    /// Copies free of a line, of those wanted.
    fn up_to(&self, index: usize, wanted: u32) -> u32 {
        // What does not fit is more than is wanted.
        u32::try_from(self.free(index)).map_or(wanted, |free| free.min(wanted))
    }

    fn missing(&self, demand: &Demand) -> i64 {
        let lines = demand.lines().iter().enumerate();
        lines.map(|(index, line)| (i64::from(line.quantity) - self.free(index)).max(0)).sum()
    }

    fn has_all(&self, demand: &Demand) -> bool {
        demand.lines().iter().enumerate().all(|(index, line)| self.free(index) >= i64::from(line.quantity))
    }
}

/// What one warehouse is to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The warehouse.
    pub warehouse: WarehouseId,
    /// Its name.
    pub name: String,
    /// What of the order, by book id.
    pub lines: Vec<Line>,
}

/// From where an order is shipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What each warehouse sends: at least something, together exactly the demand. Most preferred first.
    pub parts: Vec<Part>,
    /// Why these, in one sentence for people.
    pub reason: String,
}

/// A candidate and what it is worth; their order is the strategy's.
#[derive(Clone, Copy, Debug)]
struct Ranked<'a> {
    candidate: &'a Candidate<'a>,
    /// Copies of the demanded books that are there.
    copies: i64,
    /// Of a set, the sum decides, lower first: a pair of numbers in one, see [`rank`].
    key: i128,
}

/// The warehouses that ship `demand`, and what of it each does.
///
/// A line is taken whole from one of them where one has all of it: from the preferred one by [`Strategy::Priority`], from the one with
/// most of it otherwise. A line that none has all of is taken in the same order, as much as there is.
///
/// # Errors
/// What is short. Where it may be split: of each book, what all candidates have together. Where not: what is short at the warehouse that
/// comes nearest, which lacks the fewest copies. With no candidate at all, everything is short and nothing is available; an order of
/// nothing is refused without a shortfall.
pub fn plan(
    demand: &Demand,
    candidates: &[Candidate<'_>],
    allow_split: bool,
    strategy: Strategy,
) -> Result<Plan, Vec<Shortfall>> {
    if demand.lines().is_empty() {
        return Err(Vec::new());
    }
    let ranked = rank(demand, candidates, strategy);
    if !allow_split {
        return single(demand, &ranked, strategy).ok_or_else(|| short_at_nearest(demand, &ranked));
    }
    let pool = match strategy {
        Strategy::FewestShipments => &ranked[..],
        Strategy::Priority | Strategy::Balance => needed(demand, &ranked, strategy),
    };
    if let Some(plan) = single(demand, pool, strategy) {
        return Ok(plan);
    }
    let short = short_everywhere(demand, candidates);
    if !short.is_empty() {
        return Err(short);
    }
    let found = search::fewest(demand, pool);
    let chosen: Vec<_> = found.chosen.iter().map(|&index| pool[index]).collect();
    let reason = reason::of_several(demand, &chosen, strategy, found.proof);
    Ok(Plan { parts: share::out(demand, &chosen, strategy), reason })
}

/// Best first. The first of the two numbers of a key is in its upper half: sums compare as the pairs of sums do, since the lower one
/// stays far from 2^63 for any number of warehouses.
fn rank<'a>(demand: &Demand, candidates: &'a [Candidate<'a>], strategy: Strategy) -> Vec<Ranked<'a>> {
    let lines = demand.lines().len();
    let ranked = candidates.iter().map(|candidate| {
        let copies = candidate.free.iter().take(lines).map(|free| (*free).max(0)).fold(0, i64::saturating_add);
        let (keeps, priority) = (-i128::from(copies), i128::from(candidate.priority));
        let (first, second) = match strategy {
            Strategy::FewestShipments | Strategy::Balance => (keeps, priority),
            Strategy::Priority => (priority, keeps),
        };
        Ranked { candidate, copies, key: (first << 64) + second }
    });
    let mut ranked: Vec<_> = ranked.collect();
    ranked.sort_unstable_by_key(|ranked| (ranked.key, ranked.candidate.name, ranked.candidate.warehouse));
    ranked
}

/// The best of those that have everything alone.
fn single(demand: &Demand, ranked: &[Ranked<'_>], strategy: Strategy) -> Option<Plan> {
    let mut able = ranked.iter().filter(|ranked| ranked.candidate.has_all(demand));
    let best = able.next()?;
    let reason = reason::of_one(demand, best, able.count(), strategy);
    let Candidate { warehouse, name, .. } = *best.candidate;
    let part = Part { warehouse, name: name.to_owned(), lines: demand.lines().to_vec() };
    Some(Plan { parts: vec![part], reason })
}

/// Those of the levels that are needed, best first: by the first number of the strategy's key, as far as they have everything together.
/// All, if they never do.
fn needed<'r, 'a>(demand: &Demand, ranked: &'r [Ranked<'a>], strategy: Strategy) -> &'r [Ranked<'a>] {
    let level = |ranked: &Ranked<'_>| match strategy {
        Strategy::Priority => i64::from(ranked.candidate.priority),
        Strategy::FewestShipments | Strategy::Balance => -ranked.copies,
    };
    let mut wanted: Vec<_> = demand.lines().iter().map(|line| i64::from(line.quantity)).collect();
    let mut end = 0;
    for group in ranked.chunk_by(|a, b| level(a) == level(b)) {
        for ranked in group {
            wanted.iter_mut().enumerate().for_each(|(index, wanted)| *wanted -= ranked.candidate.free(index));
        }
        end += group.len();
        if wanted.iter().all(|wanted| *wanted <= 0) {
            break;
        }
    }
    &ranked[..end]
}

fn short_everywhere(demand: &Demand, candidates: &[Candidate<'_>]) -> Vec<Shortfall> {
    shortfalls(demand, |index| candidates.iter().map(|candidate| candidate.free(index)).fold(0, i64::saturating_add))
}

fn short_at_nearest(demand: &Demand, ranked: &[Ranked<'_>]) -> Vec<Shortfall> {
    // Of several as near, the first is the preferred one.
    let nearest = ranked.iter().min_by_key(|ranked| ranked.candidate.missing(demand));
    shortfalls(demand, |index| nearest.map_or(0, |ranked| ranked.candidate.free(index)))
}

fn shortfalls(demand: &Demand, available: impl Fn(usize) -> i64) -> Vec<Shortfall> {
    let short = demand.lines().iter().enumerate().filter_map(|(index, line)| {
        let (requested, available) = (i64::from(line.quantity), available(index));
        (available < requested).then_some(Shortfall { book_id: line.book, requested, available })
    });
    short.collect()
}

#[cfg(test)]
mod tests;
