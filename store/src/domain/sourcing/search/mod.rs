//! The fewest warehouses that have everything together, and of such sets the best: an exact search with a bound.
//!
//! It is a set multi-cover, so no way is known that is quick in every case. The first set known is the one found by taking whoever has
//! most of what is missing, again and again. Then any smaller set is looked for, and a smaller one still, until there is none; then the
//! best of that size. A set must have some warehouse for the line that fewest have, so the search branches on which one that is, best
//! first, and leaves out what cannot have everything or cannot be better than the best known. Work is counted in steps, not in time, so
//! that the same question always has the same answer. Where [`BUDGET`] is spent first, the set known then is taken.

use super::{Demand, Ranked};

mod bits;
mod cover;

use cover::Cover;

/// Steps that one search may take. A step is a set looked at, of which lines have to be counted several: some 20 ns.
const BUDGET: u32 = 12_000;
/// Lines that are counted in one step.
const LINES_A_STEP: usize = 12;

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
    let mut search = Search::new(&cover, budget);
    let mut known = cover.greedy();
    let least = cover.least(known.len());
    let is_smaller_possible = loop {
        if known.len() <= least {
            break false;
        }
        match search.any_of(known.len() - 1) {
            Some(smaller) => known = cover.without_needless(smaller),
            None => break search.is_cut(),
        }
    };
    if is_smaller_possible {
        return Found { chosen: cover.indices(&known), proof: Proof::None };
    }
    let best = search.best_of(&known);
    let proof = if search.is_cut() { Proof::Fewest } else { Proof::Whole };
    Found { chosen: cover.indices(&best), proof }
}

struct Search<'a> {
    cover: &'a Cover,
    steps_left: u32,
    best: Option<Set>,
    /// Whether any set will do.
    any: bool,
    /// The set so far.
    chosen: Vec<usize>,
    /// Where each member of the set so far, and before them nobody, leaves it.
    levels: Vec<Level>,
    /// Room for the sites that complete a set.
    able: Vec<u64>,
}

/// What is still to be done after so many members.
#[derive(Clone)]
struct Level {
    /// Lines that are missing or partly so.
    need: Vec<u64>,
    /// Copies that are missing of the counted lines.
    missing: Vec<u32>,
    /// Sites that may be taken still: neither in the set, nor tried already with all that goes with it.
    open: Vec<u64>,
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
        let start = Level {
            need: bits::all(cover.wanted.len()),
            missing: cover.wanted[..cover.counted].to_vec(),
            open: bits::all(cover.sites.len()),
        };
        let able = start.open.clone();
        Self { cover, steps_left: budget, best: None, any: false, chosen: Vec::new(), levels: vec![start], able }
    }

    /// Some set of at most `size`; none where there is none, or it is cut before. Some of it may be needless.
    fn any_of(&mut self, size: usize) -> Option<Vec<usize>> {
        self.any = true;
        self.run(size);
        self.best.take().map(|set| set.sites)
    }

    /// The best set of the size of `known`, or the best found until it is cut. There must be no smaller one.
    fn best_of(&mut self, known: &[usize]) -> Vec<usize> {
        self.any = false;
        self.offer(known);
        self.run(known.len());
        self.best.take().map_or_else(|| known.to_vec(), |set| set.sites)
    }

    fn run(&mut self, size: usize) {
        // It has room for the level of a whole set, which is not looked at.
        let start = self.levels[0].clone();
        self.levels.resize(size + 1, start);
        self.levels[0].open = bits::all(self.cover.sites.len());
        self.visit(size, 0);
    }

    fn is_cut(&self) -> bool {
        self.steps_left == 0
    }

    fn spend(&mut self, steps: usize) {
        self.steps_left = self.steps_left.saturating_sub(u32::try_from(steps).unwrap_or(u32::MAX));
    }

    /// Tries all sets of what is chosen and `left` more. `key` is the sum of the chosen ones'.
    fn visit(&mut self, left: usize, key: i128) {
        let (cover, depth) = (self.cover, self.chosen.len());
        let Some(line) = cover.rarest(&self.levels[depth].need) else {
            return self.offer(&self.chosen.clone());
        };
        if left == 1 {
            return self.complete(key);
        }
        for site in cover.suppliers(line) {
            if !bits::contains(&self.levels[depth].open, site) {
                continue;
            }
            // Those after it are worse still.
            if self.is_cut() || self.is_hopeless(site, left, key) {
                break;
            }
            bits::remove(&mut self.levels[depth].open, site);
            if self.descend(site, left) {
                self.chosen.push(site);
                self.visit(left - 1, key + cover.sites[site].key);
                self.chosen.pop();
            }
        }
    }

    /// Makes the level after `site`; false where the others cannot have what is missing then.
    fn descend(&mut self, site: usize, left: usize) -> bool {
        let cover = self.cover;
        self.spend(1 + cover.counting() / LINES_A_STEP);
        let (before, after) = self.levels.split_at_mut(self.chosen.len() + 1);
        let (before, after) = (&before[before.len() - 1], &mut after[0]);
        after.need.copy_from_slice(&before.need);
        after.open.copy_from_slice(&before.open);
        bits::take_out(&mut after.need, &cover.sites[site].full);
        for ((after, before), has) in after.missing.iter_mut().zip(&before.missing).zip(cover.counted_row(site)) {
            *after = before.saturating_sub(*has);
        }
        // Branch by branch would be several times as slow: about every other one is zero.
        for (need, missing) in after.need.iter_mut().zip(after.missing.chunks(64)) {
            let none = missing.iter().rev().fold(0, |none, missing| none << 1 | u64::from(*missing == 0));
            *need &= !none;
        }
        cover.reaches(&after.missing, left - 1)
    }

    /// Looks for the best site that has all that is missing.
    fn complete(&mut self, key: i128) {
        self.spend(1);
        let cover = self.cover;
        let level = &self.levels[self.chosen.len()];
        let able = &mut self.able;
        able.copy_from_slice(&level.open);
        for line in bits::ones(&level.need) {
            if !bits::keep(able, cover.completing(line, &level.missing)) {
                return;
            }
        }
        let has_all =
            |site: &usize| cover.counted_row(*site).iter().zip(&level.missing).all(|(has, missing)| has >= missing);
        let found = bits::ones(able).find(has_all);
        if let Some(site) = found.filter(|site| !self.is_hopeless(*site, 1, key)) {
            self.chosen.push(site);
            self.offer(&self.chosen.clone());
            self.chosen.pop();
        }
    }

    /// Whether no set of what is chosen, `site` and others to make `left` can be better than the best known.
    fn is_hopeless(&self, site: usize, left: usize, key: i128) -> bool {
        let Some(best) = &self.best else { return false };
        if self.any {
            return true;
        }
        let sites = &self.cover.sites;
        let others = || bits::ones(&self.levels[self.chosen.len()].open).filter(|other| *other != site);
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

    fn offer(&mut self, sites: &[usize]) {
        let of = &self.cover.sites;
        let key = sites.iter().map(|&site| of[site].key).sum();
        let mut names: Vec<_> = sites.iter().map(|&site| of[site].name).collect();
        names.sort_unstable();
        if self.best.as_ref().is_none_or(|best| (key, &names) < (best.key, &best.names)) {
            self.best = Some(Set { key, names, sites: sites.to_vec() });
        }
    }
}

#[cfg(test)]
mod tests;
