//! What the search works on: how much of each line each warehouse has.

use std::cmp::Reverse;

use crate::domain::sourcing::{Demand, Ranked};

/// Lines that fit a mask. An order has at most 100; those beyond are compared by number only.
const MASKED: usize = 128;

/// Who has what. Lines are numbered from the one that fewest have, warehouses from the best.
pub(super) struct Cover {
    /// Copies wanted of each line.
    pub(super) wanted: Vec<u32>,
    pub(super) sites: Vec<Site>,
    /// For each line those that have some of it, best first.
    pub(super) suppliers: Vec<Vec<usize>>,
    /// A row for each site: of each line what it has, at most what is wanted.
    has: Vec<u32>,
    /// Lines that nobody has all of, with what any number of warehouses has at most, from none on.
    thin: Vec<(usize, Vec<u64>)>,
}

/// A warehouse.
pub(super) struct Site {
    /// Where it is among the candidates.
    index: usize,
    /// What it adds to that of a set.
    pub(super) key: i128,
    /// Its position by name.
    pub(super) name: usize,
    /// Lines that it has some of.
    pub(super) some: u128,
    /// Lines that it has all of.
    full: u128,
}

impl Cover {
    pub(super) fn new(demand: &Demand, pool: &[Ranked<'_>]) -> Self {
        let order = rarest_first(demand, pool);
        let wanted: Vec<_> = order.iter().map(|&line| demand.lines()[line].quantity).collect();
        let mut cover = Self {
            sites: Vec::new(),
            suppliers: vec![Vec::new(); order.len()],
            has: Vec::new(),
            thin: Vec::new(),
            wanted,
        };
        let names = positions_by_name(pool);
        for (index, ranked) in pool.iter().enumerate() {
            let has = order
                .iter()
                .zip(&cover.wanted)
                .map(|(&line, wanted)| u32::try_from(ranked.candidate.free(line)).unwrap_or(u32::MAX).min(*wanted));
            let has: Vec<_> = has.collect();
            let some = mask(has.iter().map(|has| *has > 0));
            let full = mask(has.iter().zip(&cover.wanted).map(|(has, wanted)| has == wanted));
            let site = Site { index, key: ranked.key, name: names[index], some, full };
            if !cover.is_needless(&site, &has) {
                cover.enter(site, &has);
            }
        }
        cover.thin = (0..order.len()).filter_map(|line| Some((line, cover.reach(line)?))).collect();
        cover
    }

    /// A warehouse adds nothing to a set where it has nothing, or where one that is better has all of what it has some of: that one in its
    /// place makes a set that is better, or smaller if it was there already.
    fn is_needless(&self, site: &Site, has: &[u32]) -> bool {
        let beaten = || has.len() <= MASKED && self.sites.iter().any(|better| site.some & !better.full == 0);
        has.iter().all(|has| *has == 0) || beaten()
    }

    fn enter(&mut self, site: Site, has: &[u32]) {
        for (suppliers, _) in self.suppliers.iter_mut().zip(has).filter(|(_, has)| **has > 0) {
            suppliers.push(self.sites.len());
        }
        self.sites.push(site);
        self.has.extend(has);
    }

    /// What the warehouses that have most of the line have together, for each number of them. None where one has it all.
    fn reach(&self, line: usize) -> Option<Vec<u64>> {
        let mut most: Vec<_> = self.suppliers[line].iter().map(|&site| self.row(site)[line]).collect();
        most.sort_unstable_by_key(|has| Reverse(*has));
        let is_thin = most.first().is_none_or(|has| *has < self.wanted[line]);
        let sums = most.iter().scan(0, |sum, has| {
            *sum += u64::from(*has);
            Some(*sum)
        });
        is_thin.then(|| [0].into_iter().chain(sums).collect())
    }

    /// What a site has of each line.
    pub(super) fn row(&self, site: usize) -> &[u32] {
        &self.has[site * self.wanted.len()..][..self.wanted.len()]
    }

    /// Whether `count` warehouses might have what is missing, as far as lines that nobody has all of tell.
    pub(super) fn reaches(&self, missing: &[u32], count: usize) -> bool {
        self.thin.iter().all(|(line, reach)| reach[count.min(reach.len() - 1)] >= u64::from(missing[*line]))
    }

    /// Whether the site has all that is missing. Nobody has given anything of the `untouched` lines.
    pub(super) fn completes(&self, site: usize, untouched: u128, missing: &[u32]) -> bool {
        let masked = u128::MAX >> (MASKED - self.wanted.len().min(MASKED));
        untouched & masked & !self.sites[site].full == 0
            && self.row(site).iter().zip(missing).all(|(has, missing)| has >= missing)
    }

    /// The least number of warehouses that might have everything; at most `most`, which do.
    pub(super) fn least(&self, most: usize) -> usize {
        let mut totals: Vec<u64> =
            (0..self.sites.len()).map(|site| self.row(site).iter().map(|has| u64::from(*has)).sum()).collect();
        totals.sort_unstable_by_key(|total| Reverse(*total));
        let wanted: u64 = self.wanted.iter().map(|wanted| u64::from(*wanted)).sum();
        let might =
            |count: usize| self.reaches(&self.wanted, count) && totals.iter().take(count).sum::<u64>() >= wanted;
        (1..most).find(|count| might(*count)).unwrap_or(most)
    }

    /// Whoever has most of what is missing, again and again; then without those that turn out to be one too many, the worst first.
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
        chosen.sort_unstable();
        for position in (0..chosen.len()).rev() {
            let mut others = chosen.clone();
            others.remove(position);
            if self.have_all(&others) {
                chosen = others;
            }
        }
        chosen
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

fn rarest_first(demand: &Demand, pool: &[Ranked<'_>]) -> Vec<usize> {
    let mut counts = vec![0_usize; demand.lines().len()];
    for ranked in pool {
        counts.iter_mut().enumerate().for_each(|(line, count)| *count += usize::from(ranked.candidate.free(line) > 0));
    }
    let mut order: Vec<_> = (0..counts.len()).collect();
    order.sort_by_key(|line| counts[*line]);
    order
}

fn positions_by_name(pool: &[Ranked<'_>]) -> Vec<usize> {
    let mut by_name: Vec<_> = (0..pool.len()).collect();
    by_name.sort_unstable_by_key(|&index| (pool[index].candidate.name, pool[index].candidate.warehouse));
    let mut positions = vec![0; pool.len()];
    by_name.into_iter().enumerate().for_each(|(position, index)| positions[index] = position);
    positions
}

fn mask(lines: impl Iterator<Item = bool>) -> u128 {
    lines.take(MASKED).enumerate().fold(0, |mask, (line, is)| mask | u128::from(is) << line)
}
