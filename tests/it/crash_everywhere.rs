//! Crash at every boundary: before and after each entry of a saga's journal is committed, each effect of it happens, and each commit of a warehouse.
//! What was asked is asked again, and ends as it would have.

use std::collections::BTreeSet;

use store::domain::saga::Step;
use strum::IntoEnumIterator as _;

use crate::harness::story::{self, Basket, Ending, Fault, Happened, Tale, Told, Until, Whose, tell};
use crate::harness::*;

/// A shop, and how each story ends where nobody dies.
struct Stage {
    shop: Shop,
    basket: Basket,
    smooth: Vec<Ending>,
    orders: Vec<Uuid>,
}

impl Stage {
    async fn set() -> Self {
        let (shop, mut baskets) = story::open(1).await;
        let mut stage = Self { shop, basket: baskets.remove(0), smooth: Vec::new(), orders: Vec::new() };
        for tale in Tale::ALL {
            let Told { order, ending, .. } = tell(&mut stage.shop, tale, &stage.basket, None).await;
            let expected = match tale {
                Tale::Direct | Tale::Split => ["SHIPPED", "CAPTURED"],
                Tale::Cancelled => ["CANCELLED", "VOIDED"],
                Tale::Returned => ["RETURNED", "REFUNDED"],
            };
            assert_eq!([&ending.status, &ending.payment[0]], expected, "{tale:?}");
            let saga = stage.shop.admin().get(&format!("/sagas/{order}")).await.expect(200);
            let journal: Vec<_> =
                saga["journal"].as_array().unwrap().iter().map(|entry| entry["event"].clone()).collect();
            let before: &[&str] = match tale {
                Tale::Direct | Tale::Split => &[],
                Tale::Cancelled => &["accepted"],
                Tale::Returned => Tale::Direct.entries(),
            };
            assert_eq!(journal, [before, tale.entries()].concat(), "{tale:?}: no entry is without a case");
            stage.orders.push(order);
            stage.smooth.push(ending);
        }
        stage
    }

    /// Tells it with a death in it. What had happened by then.
    async fn dies(&mut self, tale: Tale, whose: Whose, line: String) -> Happened {
        println!("{tale:?}: {line} in {whose:?}");
        let began = std::time::Instant::now();
        let fault = Fault { whose, line: line.clone(), until: Until::Death };
        let told = tell(&mut self.shop, tale, &self.basket, Some(fault)).await;
        assert_eq!(told.ending, self.smooth[tale as usize], "{tale:?}: {line}");
        self.orders.push(told.order);
        println!("  {:?}", began.elapsed());
        told.died.unwrap_or_else(|| panic!("{tale:?}: {line}: it has not died"))
    }

    async fn ends(self) {
        self.shop.invariants_hold(&self.orders).await;
    }
}

/// Dies when it passes the point for the `nth` time.
fn nth(point: &str, nth: usize) -> String {
    let passes = if nth > 1 { format!("{}*off->", nth - 1) } else { String::new() };
    format!("{point}={passes}return(abort)")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_dies_before_and_after_each_entry_of_a_journal() {
    let mut stage = Stage::set().await;
    for tale in Tale::ALL {
        for (index, name) in tale.entries().iter().enumerate() {
            let written = index as i64;
            let died = stage.dies(tale, Whose::Store, nth("commit:journal", index + 1)).await;
            assert_eq!(died.entries, written, "{tale:?}: it dies before {name}");
            let died = stage.dies(tale, Whose::Store, nth("committed:journal", index + 1)).await;
            assert_eq!(died.entries, written + 1, "{tale:?}: it dies after {name}");
        }
    }
    stage.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_dies_before_and_after_each_effect_of_a_saga() {
    let mut stage = Stage::set().await;
    for step in Step::iter() {
        let (tale, name) = (Tale::of(step), step.name());
        let died = stage.dies(tale, Whose::Store, nth(&format!("call:{name}"), 1)).await;
        assert_eq!(died.steps[&step], 0, "it dies before {name}");
        let died = stage.dies(tale, Whose::Store, nth(&format!("answered:{name}"), 1)).await;
        assert!(died.steps[&step] > 0, "it dies after {name}");
    }
    stage.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_dies_before_and_after_each_of_its_commits() {
    let mut stage = Stage::set().await;
    let (mut met, mut all) = (BTreeSet::new(), BTreeSet::new());
    for tale in Tale::ALL {
        for (index, step) in tale.alphas().iter().enumerate() {
            let died = stage.dies(tale, Whose::Alpha, nth("commit:stock", index + 1)).await;
            assert_eq!(died.alphas[step], 0, "{tale:?}: it dies before {}", step.name());
            let died = stage.dies(tale, Whose::Alpha, nth("committed:stock", index + 1)).await;
            assert_eq!(died.alphas[step], 1, "{tale:?}: it dies after {}", step.name());
            met.insert(*step);
            all.extend(died.alphas.into_keys());
        }
    }
    assert_eq!(met, all, "every step of a warehouse is met");
    stage.ends().await;
}
