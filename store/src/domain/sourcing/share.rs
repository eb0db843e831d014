//! Which of the chosen warehouses sends what.

use std::cmp::Reverse;

use super::{Demand, Line, Part, Ranked, Strategy};

/// A part for each of `chosen`. They have everything together and none is one too many, so each sends something.
pub(super) fn out(demand: &Demand, chosen: &[Ranked<'_>], strategy: Strategy) -> Vec<Part> {
    let mut parts: Vec<_> = chosen
        .iter()
        .map(|ranked| Part {
            warehouse: ranked.candidate.warehouse,
            name: ranked.candidate.name.to_owned(),
            lines: Vec::new(),
        })
        .collect();
    let mut order: Vec<usize> = (0..chosen.len()).collect();
    for (index, line) in demand.lines().iter().enumerate() {
        let free = |&site: &usize| chosen[site].candidate.free(index);
        order.sort_unstable();
        if strategy != Strategy::Priority {
            order.sort_by_key(|site| Reverse(free(site)));
        }
        let whole = order.iter().find(|site| free(site) >= i64::from(line.quantity)).copied();
        let mut wanted = line.quantity;
        for site in whole.into_iter().chain(order.iter().copied()) {
            let taken = u32::try_from(free(&site)).unwrap_or(u32::MAX).min(wanted);
            if taken > 0 {
                parts[site].lines.push(Line { book: line.book, quantity: taken });
                wanted -= taken;
            }
        }
    }
    parts
}
