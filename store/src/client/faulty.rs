//! A warehouse whose calls a test can let fail, before they go out and after they were answered.

use std::sync::Arc;

use ::actors::fault;
use contract::WarehouseHealthReport;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use service::routes::Trace;

use super::{CallError, WarehouseApi};
use crate::domain::delivery::{Action, Call, Delivery};
use crate::domain::pull::Snapshot;

/// Around the real one, only in builds with faults. Its points are `call:<action>`, where `refuse`, `unknown` and `never-sent` keep the
/// call from going out, and `answered:<action>`, where with `unknown` the answer is lost.
pub(super) struct Faulty(pub(super) Arc<dyn WarehouseApi>);

impl WarehouseApi for Faulty {
    fn health(&self) -> BoxFuture<'static, Result<WarehouseHealthReport, CallError>> {
        let answer = self.0.health();
        async move {
            fault::point("call:health").await;
            answer.await
        }
        .boxed()
    }

    fn inventory(&self) -> BoxFuture<'static, Result<Snapshot, CallError>> {
        let answer = self.0.inventory();
        async move {
            fault::point("call:inventory").await;
            answer.await
        }
        .boxed()
    }

    fn call(&self, call: &Call, trace: Option<&Trace>) -> BoxFuture<'static, Delivery> {
        let (warehouse, call) = (Arc::clone(&self.0), call.clone());
        let answer = warehouse.call(&call, trace);
        async move {
            let point = format!("call:{}", call.action.name());
            let reason = format!("injected at {point}");
            match fault::verdict(&point).await.as_deref() {
                None => {}
                Some("refuse") => return refuse(&*warehouse, call).await,
                Some("never-sent") => return Delivery::NeverSent { reason },
                Some("unknown" | "lost") => return Delivery::Unknown { reason },
                Some(other) => panic!("{point}: no such verdict: {other}"),
            }
            let delivery = answer.await;
            let point = format!("answered:{}", call.action.name());
            match fault::verdict(&point).await.as_deref() {
                None => delivery,
                Some("unknown" | "lost") => Delivery::Unknown { reason: format!("injected at {point}") },
                Some(other) => panic!("{point}: no such verdict: {other}"),
            }
        }
        .boxed()
    }
}

/// What a warehouse that refuses this would answer. What is held is refused only once it is held no more, so that becomes true first;
/// a void cannot be refused without a shipment.
async fn refuse(warehouse: &dyn WarehouseApi, call: Call) -> Delivery {
    match call.action {
        Action::Ship { .. } | Action::Reserve { .. } | Action::Restock { .. } => {
            Delivery::Refused { shortfalls: Vec::new(), stock: Vec::new() }
        }
        Action::Confirm | Action::ShipHeld => warehouse.call(&Call { action: Action::Void, ..call }, None).await,
        Action::Void => Delivery::Unknown { reason: "a void cannot be refused".to_owned() },
    }
}
