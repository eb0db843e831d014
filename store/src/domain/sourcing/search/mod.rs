//! The fewest warehouses that have everything together, and of such sets the best: an exact search with a bound.
//!
//! It is a set multi-cover, so no way is known that is quick in every case. Sets of one size after the other are searched, from the
//! least that could do. A set must have some warehouse for the line that fewest have, so the search branches on which one that is, best
//! first, and leaves out what cannot have everything or cannot be better than the best known. Work is counted in steps, not in time, so
//! that the same question always has the same answer. Where [`BUDGET`] is spent first, the best set known is taken, at worst the one
//! found by taking whoever has most of what is missing, again and again.

use super::{Demand, Ranked};

mod cover;

use cover::Cover;

/// Steps that one search may take; a step is a warehouse looked at.
const BUDGET: u32 = 20_000;
/// What it costs to go on from a warehouse, in steps.
const DESCENT: u32 = 10;

/// How much of the answer is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It is the best of the fewest.
    Whole,
    /// There are no fewer, but there may be a better set of as many.
    Fewest,
    /// There may be fewer.
    None,
}

/// A set that has everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Indices into the candidates, ascending. None can be left out.
    pub(super) chosen: Vec<usize>,
    /// How good it is.
    pub(super) proof: Proof,
}

/// Searches `pool`, which is sorted best first and has all of the demand together.
pub(super) fn fewest(demand: &Demand, pool: &[Ranked<'_>]) -> Found {
    fewest_within(BUDGET, demand, pool)
}

fn fewest_within(budget: u32, demand: &Demand, pool: &[Ranked<'_>]) -> Found {
    let cover = Cover::new(demand, pool);
    let greedy = cover.greedy();
    let mut search = Search::new(&cover, budget);
    for size in cover.least(greedy.len())..=greedy.len() {
        if size == greedy.len() {
            search.offer(&greedy);
        }
        search.run(size);
        if let Some(best) = &search.best {
            let proof = if search.is_cut() { Proof::Fewest } else { Proof::Whole };
            return Found { chosen: cover.indices(&best.sites), proof };
        }
        if search.is_cut() {
            break;
        }
    }
    Found { chosen: cover.indices(&greedy), proof: Proof::None }
}

struct Search<'a> {
    cover: &'a Cover,
    steps_left: u32,
    /// The set so far.
    chosen: Vec<usize>,
    /// In the set, or tried already with all that goes with it.
    out: Vec<bool>,
    /// Those that are out, in the order in which they became so.
    passed: Vec<usize>,
    /// What is still missing of each line, a row for each member of the set so far.
    missing: Vec<u32>,
    best: Option<Set>,
}

/// A set that has everything, and what it is compared by.
struct Set {
    key: i128,
    /// Positions by name, ascending.
    names: Vec<usize>,
    sites: Vec<usize>,
}

impl<'a> Search<'a> {
    fn new(cover: &'a Cover, budget: u32) -> Self {
        Self {
            cover,
            steps_left: budget,
            chosen: Vec::new(),
            out: vec![false; cover.sites.len()],
            passed: Vec::new(),
            missing: cover.wanted.clone(),
            best: None,
        }
    }

    /// Looks through all sets of `size`, unless it is cut.
    fn run(&mut self, size: usize) {
        self.missing.resize((size + 1) * self.cover.wanted.len(), 0);
        self.visit(size, 0, u128::MAX);
    }

    fn is_cut(&self) -> bool {
        self.steps_left == 0
    }

    fn spend(&mut self, steps: u32) {
        self.steps_left = self.steps_left.saturating_sub(steps);
    }

    /// Tries all sets of what is chosen and `left` more. `key` is the sum of the chosen ones'; of the `untouched` lines they have nothing.
    fn visit(&mut self, left: usize, key: i128, untouched: u128) {
        let cover = self.cover;
        let row = self.chosen.len() * cover.wanted.len();
        let Some(line) = self.missing[row..row + cover.wanted.len()].iter().position(|missing| *missing > 0) else {
            return;
        };
        let passed = self.passed.len();
        for &site in &cover.suppliers[line] {
            if self.out[site] {
                continue;
            }
            self.spend(1);
            // Those after it are worse still.
            if self.is_cut() || self.is_hopeless(site, left, key) {
                break;
            }
            if left == 1 {
                if cover.completes(site, untouched, &self.missing[row..row + cover.wanted.len()]) {
                    self.chosen.push(site);
                    self.offer(&self.chosen.clone());
                    self.chosen.pop();
                    break;
                }
                continue;
            }
            self.out[site] = true;
            self.passed.push(site);
            self.descend(site, left, key, untouched);
        }
        for site in self.passed.drain(passed..) {
            self.out[site] = false;
        }
    }

    fn descend(&mut self, site: usize, left: usize, key: i128, untouched: u128) {
        self.spend(DESCENT);
        let cover = self.cover;
        let lines = cover.wanted.len();
        let (before, after) = self.missing.split_at_mut((self.chosen.len() + 1) * lines);
        let before = &before[before.len() - lines..];
        for ((after, before), has) in after.iter_mut().zip(before).zip(cover.row(site)) {
            *after = before.saturating_sub(*has);
        }
        if cover.reaches(&after[..lines], left - 1) {
            self.chosen.push(site);
            self.visit(left - 1, key + cover.sites[site].key, untouched & !cover.sites[site].some);
            self.chosen.pop();
        }
    }

    /// Whether no set of what is chosen, `site` and others to make `left` can be better than the best known.
    fn is_hopeless(&self, site: usize, left: usize, key: i128) -> bool {
        let Some(best) = &self.best else { return false };
        let sites = &self.cover.sites;
        let others = || (0..sites.len()).filter(|other| !self.out[*other] && *other != site);
        let key = key + sites[site].key + others().take(left - 1).map(|other| sites[other].key).sum::<i128>();
        if key != best.key {
            return key > best.key;
        }
        let mut names: Vec<_> = others().map(|other| sites[other].name).collect();
        names.sort_unstable();
        names.truncate(left - 1);
        names.extend(self.chosen.iter().chain([&site]).map(|chosen| sites[*chosen].name));
        names.sort_unstable();
        names >= best.names
    }

    fn offer(&mut self, chosen: &[usize]) {
        let sites = &self.cover.sites;
        let mut names: Vec<_> = chosen.iter().map(|&site| sites[site].name).collect();
        names.sort_unstable();
        let key = chosen.iter().map(|&site| sites[site].key).sum();
        if self.best.as_ref().is_none_or(|best| (key, &names) < (best.key, &best.names)) {
            self.best = Some(Set { key, names, sites: chosen.to_vec() });
        }
    }
}

#[cfg(test)]
mod tests;
