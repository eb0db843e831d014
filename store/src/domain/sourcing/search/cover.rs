//! What the search works on: how much of each line each warehouse has.

use std::cmp::Reverse;

use super::bits;
use crate::domain::sourcing::{Demand, Ranked};

/// Numbers of copies that have a set of their own for who has as many. Where more are missing, all sites with so many are looked at.
const STEPS: usize = 8;

/// Who has what. Warehouses are numbered from the best.
///
/// Lines are numbered so that those come first of which some warehouse has a part only: they are counted. Of the others a set of those
/// that are still missing says everything. Both kinds begin with the line that fewest have.
pub(super) struct Cover {
    /// Copies wanted of each line.
    pub(super) wanted: Vec<u32>,
    /// How many of the lines are counted.
    pub(super) counted: usize,
    pub(super) sites: Vec<Site>,
    /// A row for each site: of each line what it has, at most what is wanted.
    has: Vec<u32>,
    /// For each line the sites that have any of it, and those that have it all.
    some: Vec<u64>,
    full: Vec<u64>,
    /// For each counted line the sites that have at least one copy of it, at least two, and so on: [`STEPS`] sets.
    at_least: Vec<u64>,
    /// How many sites have any of a line.
    suppliers: Vec<usize>,
    thin: Vec<Thin>,
}

/// A line that nobody has all of.
struct Thin {
    line: usize,
    /// What any number of warehouses has at most, from none on.
    reach: Vec<u64>,
}

/// A warehouse.
pub(super) struct Site {
    /// Where it is among the candidates.
    index: usize,
    /// What it adds to that of a set.
    pub(super) key: i128,
    /// Its position by name.
    pub(super) name: usize,
    /// Lines that it has all of.
    pub(super) full: Vec<u64>,
}

impl Cover {
    pub(super) fn new(demand: &Demand, pool: &[Ranked<'_>]) -> Self {
        let (order, counted) = numbered(demand, pool);
        let wanted: Vec<_> = order.iter().map(|&line| demand.lines()[line].quantity).collect();
        let names = positions_by_name(pool);
        let (mut sites, mut has) = (Vec::<Site>::new(), Vec::with_capacity(pool.len() * wanted.len()));
        for (index, ranked) in pool.iter().enumerate() {
            let row = order.iter().zip(&wanted).map(|(&line, wanted)| ranked.candidate.up_to(line, *wanted));
            let begin = has.len();
            has.extend(row);
            let row = &has[begin..];
            let some = bits::of(row.iter().map(|has| *has > 0));
            let full = bits::of(row.iter().zip(&wanted).map(|(has, wanted)| has == wanted));
            // It adds nothing to a set where it has nothing, or where one that is better has all of what it has some of: that one in its
            // place makes a set that is better, or smaller if it was there already.
            let beaten = || sites.iter().any(|better| bits::is_subset(&some, &better.full));
            if bits::is_empty(&some) || beaten() {
                has.truncate(begin);
            } else {
                sites.push(Site { index, key: ranked.key, name: names[index], full });
            }
        }
        Self::of(wanted, counted, sites, has)
    }

    fn of(wanted: Vec<u32>, counted: usize, sites: Vec<Site>, has: Vec<u32>) -> Self {
        let (lines, words) = (wanted.len(), bits::words(sites.len()));
        let (mut some, mut full) = (vec![0; lines * words], vec![0; lines * words]);
        let (mut at_least, mut suppliers) = (vec![0; counted * STEPS * words], vec![0; lines]);
        for (site, row) in has.chunks(lines).enumerate() {
            let (word, bit) = (site / 64, site % 64);
            for (line, (has, wanted)) in row.iter().zip(&wanted).enumerate() {
                some[line * words + word] |= u64::from(*has > 0) << bit;
                full[line * words + word] |= u64::from(has == wanted) << bit;
                suppliers[line] += usize::from(*has > 0);
            }
            for (line, has) in row[..counted].iter().enumerate() {
                for copies in 0..STEPS.min(*has as usize) {
                    at_least[(line * STEPS + copies) * words + word] |= 1 << bit;
                }
            }
        }
        let mut cover = Self { wanted, counted, sites, has, some, full, at_least, suppliers, thin: Vec::new() };
        let thin = (0..counted).filter(|line| bits::is_empty(cover.set(&cover.full, *line)));
        cover.thin = thin.map(|line| Thin { line, reach: cover.reach(line) }).collect();
        cover
    }

    /// What the warehouses that have most of the line have together, for each number of them.
    fn reach(&self, line: usize) -> Vec<u64> {
        let mut most: Vec<_> = self.suppliers(line).map(|site| self.row(site)[line]).collect();
        most.sort_unstable_by_key(|has| Reverse(*has));
        let sums = most.iter().scan(0, |sum, has| {
            *sum += u64::from(*has);
            Some(*sum)
        });
        [0].into_iter().chain(sums).collect()
    }

    fn row(&self, site: usize) -> &[u32] {
        &self.has[site * self.wanted.len()..][..self.wanted.len()]
    }

    fn set<'s>(&self, sets: &'s [u64], number: usize) -> &'s [u64] {
        let words = bits::words(self.sites.len());
        &sets[number * words..][..words]
    }

    /// What a site has of the counted lines.
    pub(super) fn counted_row(&self, site: usize) -> &[u32] {
        &self.row(site)[..self.counted]
    }

    /// Sites that have some of a line, best first.
    pub(super) fn suppliers(&self, line: usize) -> impl Iterator<Item = usize> {
        bits::ones(self.set(&self.some, line))
    }

    /// Of the lines that are needed the one that fewest have.
    pub(super) fn rarest(&self, need: &[u64]) -> Option<usize> {
        let first = bits::ones(need).next()?;
        let plain = bits::first_from(need, self.counted);
        plain.filter(|plain| self.suppliers[*plain] < self.suppliers[first]).or(Some(first))
    }

    /// Sites that may have what is missing of a line.
    pub(super) fn completing(&self, line: usize, missing: &[u32]) -> &[u64] {
        match missing.get(line) {
            Some(missing) if *missing < self.wanted[line] => {
                self.set(&self.at_least, line * STEPS + STEPS.min(*missing as usize) - 1)
            }
            _ => self.set(&self.full, line),
        }
    }

    /// Whether `count` warehouses might have what is missing of the counted lines, as far as those tell that nobody has all of.
    pub(super) fn reaches(&self, missing: &[u32], count: usize) -> bool {
        let might = |thin: &Thin| thin.reach[count.min(thin.reach.len() - 1)] >= u64::from(missing[thin.line]);
        self.thin.iter().all(might)
    }

    /// How often a line is looked at to see what is missing after one warehouse more.
    pub(super) fn counting(&self) -> usize {
        self.counted + self.thin.len()
    }

    /// The least number of warehouses that might have everything; at most `most`, which do.
    pub(super) fn least(&self, most: usize) -> usize {
        let sites = 0..self.sites.len();
        let mut totals: Vec<u64> = sites.map(|site| self.row(site).iter().map(|has| u64::from(*has)).sum()).collect();
        totals.sort_unstable_by_key(|total| Reverse(*total));
        let wanted = self.wanted.iter().map(|wanted| u64::from(*wanted)).sum();
        let might =
            |count: usize| self.reaches(&self.wanted, count) && totals.iter().take(count).sum::<u64>() >= wanted;
        (1..most).find(|count| might(*count)).unwrap_or(most)
    }

    /// Whoever has most of what is missing, again and again; then without those that turn out to be needless.
    pub(super) fn greedy(&self) -> Vec<usize> {
        let (mut missing, mut chosen) = (self.wanted.clone(), Vec::new());
        while missing.iter().any(|missing| *missing > 0) {
            let gain = |site: &usize| -> u64 {
                self.row(*site).iter().zip(&missing).map(|(has, missing)| u64::from(*has.min(missing))).sum()
            };
            let others = (0..self.sites.len()).filter(|site| !chosen.contains(site));
            // Of equals the best: `min_by_key` gives the first.
            let Some(most) = others.min_by_key(|site| Reverse(gain(site))) else { break };
            missing.iter_mut().zip(self.row(most)).for_each(|(missing, has)| *missing = missing.saturating_sub(*has));
            chosen.push(most);
        }
        self.without_needless(chosen)
    }

    /// A set that has everything without those that it can do without, the worst first; ascending.
    pub(super) fn without_needless(&self, mut sites: Vec<usize>) -> Vec<usize> {
        sites.sort_unstable();
        for position in (0..sites.len()).rev() {
            let mut others = sites.clone();
            others.remove(position);
            if self.have_all(&others) {
                sites = others;
            }
        }
        sites
    }

    fn have_all(&self, sites: &[usize]) -> bool {
        self.wanted.iter().enumerate().all(|(line, wanted)| {
            sites.iter().map(|&site| u64::from(self.row(site)[line])).sum::<u64>() >= u64::from(*wanted)
        })
    }

    /// Where these are among the candidates, ascending.
    pub(super) fn indices(&self, sites: &[usize]) -> Vec<usize> {
        let mut indices: Vec<_> = sites.iter().map(|&site| self.sites[site].index).collect();
        indices.sort_unstable();
        indices
    }
}

/// The lines in the order in which they are numbered, and how many of them are counted.
fn numbered(demand: &Demand, pool: &[Ranked<'_>]) -> (Vec<usize>, usize) {
    let wanted = demand.lines();
    let (mut suppliers, mut is_counted) = (vec![0_usize; wanted.len()], vec![false; wanted.len()]);
    for ranked in pool {
        for (line, wanted) in wanted.iter().enumerate() {
            let has = ranked.candidate.up_to(line, wanted.quantity);
            suppliers[line] += usize::from(has > 0);
            is_counted[line] |= has > 0 && has < wanted.quantity;
        }
    }
    let mut order: Vec<_> = (0..wanted.len()).collect();
    order.sort_by_key(|line| (!is_counted[*line], suppliers[*line]));
    (order, is_counted.iter().filter(|is| **is).count())
}

fn positions_by_name(pool: &[Ranked<'_>]) -> Vec<usize> {
    let mut by_name: Vec<_> = (0..pool.len()).collect();
    by_name.sort_unstable_by_key(|&index| (pool[index].candidate.name, pool[index].candidate.warehouse));
    let mut positions = vec![0; pool.len()];
    by_name.into_iter().enumerate().for_each(|(position, index)| positions[index] = position);
    positions
}
