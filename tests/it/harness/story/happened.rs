//! What has happened outside of a saga, counted in the databases.

use std::collections::BTreeMap;

use store::domain::saga::Step;
use strum::IntoEnumIterator as _;

use crate::harness::{Shop, Sql};

/// What happened outside: journal entries, and how often each step did, since the fault was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    pub entries: i64,
    /// In alpha and beta, and in the gateway's ledger.
    pub steps: BTreeMap<Step, i64>,
    /// In alpha alone.
    pub alphas: BTreeMap<Step, i64>,
}

impl Happened {
    /// What has happened since then.
    pub fn since(mut self, before: &Self) -> Self {
        self.entries -= before.entries;
        self.steps.iter_mut().for_each(|(step, count)| *count -= before.steps[step]);
        self.alphas.iter_mut().for_each(|(step, count)| *count -= before.alphas[step]);
        self
    }
}

/// The databases.
pub struct Sqls {
    store: Sql,
    pub warehouses: [Sql; 2],
}

impl Sqls {
    pub async fn open(shop: &Shop) -> Self {
        Self {
            store: shop.store.sql().await,
            warehouses: [shop.alpha.service.sql().await, shop.beta.service.sql().await],
        }
    }

    pub async fn happened(&self) -> Happened {
        let entries = self.store.number("SELECT count(*) FROM saga_journal").await.unwrap();
        let (mut steps, mut alphas) = (BTreeMap::new(), BTreeMap::new());
        for step in Step::iter() {
            let query = evidence(step);
            if query.contains("gateway_ledger") {
                steps.insert(step, self.store.number(&query).await.unwrap());
                continue;
            }
            let alpha = self.warehouses[0].number(&query).await.unwrap();
            steps.insert(step, alpha + self.warehouses[1].number(&query).await.unwrap());
            alphas.insert(step, alpha);
        }
        Happened { entries, steps, alphas }
    }
}

/// How often a step has happened, by the database of whoever does it.
fn evidence(step: Step) -> String {
    let reservations = |which: &str| format!("SELECT count(*) FROM reservations {which}");
    match step {
        Step::Authorize | Step::Capture | Step::VoidPayment | Step::Refund => {
            format!("SELECT count(*) FROM gateway_ledger WHERE operation = '{}'", step.name())
        }
        Step::Ship => "SELECT count(*) FROM shipments WHERE outcome = 'shipped'
            AND NOT EXISTS (SELECT FROM reservations r WHERE r.shipment_id = shipments.shipment_id)"
            .to_owned(),
        Step::Reserve => reservations(""),
        Step::Confirm => reservations("WHERE status IN ('confirmed', 'shipped')"),
        Step::ShipHeld => reservations("WHERE status = 'shipped'"),
        Step::Void => "SELECT count(*) FROM shipments WHERE outcome = 'voided'".to_owned(),
        Step::Restock => "SELECT count(*) FROM returns".to_owned(),
    }
}
