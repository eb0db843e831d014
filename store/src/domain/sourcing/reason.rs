//! Why a plan is what it is, in a sentence for the saga's journal.

use super::search::Proof;
use super::{Demand, Ranked, Strategy};

/// In the reason of every plan whose search was ended by its bound.
pub const CUT_SHORT: &str = "the search was cut short";

/// In the reason of every plan of several warehouses that is proven to have no more than needed.
pub const FEWEST: &str = "are the fewest that do";

/// Names told before the rest are counted.
const NAMED: usize = 6;

/// Of a warehouse that ships everything, beside `others` that could.
pub(super) fn of_one(demand: &Demand, best: &Ranked<'_>, others: usize, strategy: Strategy) -> String {
    let (name, left) = (best.candidate.name, best.copies - demand.copies());
    match (others, strategy) {
        (0, Strategy::FewestShipments) => format!("{name} alone has everything"),
        (0, Strategy::Priority) => {
            format!("{name} (priority {}) has everything, and no preferred one has it", best.candidate.priority)
        }
        (0, Strategy::Balance) => format!("{name} has everything, and no richer one has it"),
        (_, Strategy::Priority) => {
            format!("of {} that have everything {name} is preferred (priority {})", others + 1, best.candidate.priority)
        }
        (..) => format!("of {} that have everything {name} keeps most ({})", others + 1, copies(left)),
    }
}

/// Of warehouses that ship it together.
pub(super) fn of_several(demand: &Demand, chosen: &[Ranked<'_>], strategy: Strategy, proof: Proof) -> String {
    let names = names(chosen);
    let left = chosen.iter().map(|ranked| ranked.copies).sum::<i64>() - demand.copies();
    let among = match strategy {
        Strategy::FewestShipments => "no warehouse alone has everything".to_owned(),
        Strategy::Priority => {
            let worst = chosen.iter().map(|ranked| ranked.candidate.priority).max().unwrap_or_default();
            format!("it takes warehouses down to priority {worst} to have everything")
        }
        Strategy::Balance => {
            let poorest = chosen.iter().map(|ranked| ranked.copies).min().unwrap_or_default();
            format!("it takes warehouses with down to {} of these books to have everything", copies(poorest))
        }
    };
    let preferred = match strategy {
        Strategy::Priority => "are preferred".to_owned(),
        Strategy::FewestShipments | Strategy::Balance => format!("keep most ({})", copies(left)),
    };
    let count = chosen.len();
    match proof {
        Proof::Whole => {
            format!("{among}: {names} {FEWEST}, and of all such sets of {count} they {preferred}")
        }
        Proof::Fewest => format!(
            "{among}: {names} {FEWEST}; {CUT_SHORT} before all such sets of {count} were compared, of which they {preferred}"
        ),
        Proof::None => format!("{among}: {names} do; {CUT_SHORT}, so fewer than these {count} might"),
    }
}

fn copies(count: i64) -> String {
    if count == 1 { "1 copy".to_owned() } else { format!("{count} copies") }
}

fn names(chosen: &[Ranked<'_>]) -> String {
    let names: Vec<_> = chosen.iter().map(|ranked| ranked.candidate.name).collect();
    match &names[..] {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] if names.len() <= NAMED => format!("{} and {last}", most.join(", ")),
        all => format!("{} and {} others", all[..NAMED].join(", "), all.len() - NAMED),
    }
}
