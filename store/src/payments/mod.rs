//! The store's way to whoever moves the money. The only place that calls a payment gateway, as `client` is for warehouses.

use std::sync::Arc;

use ::actors::Address;
use futures_util::future::BoxFuture;

use crate::actors::gateway;

pub use crate::domain::payment::{Charge, Operation, Outcome};

mod ledger;
mod trouble;

/// A payment gateway. A call has no time limit of its own: the caller's effect has.
pub trait PaymentGateway: Send + Sync + 'static {
    /// Asks for a charge. Asking again under the same key is harmless and gives the same answer.
    fn call(&self, charge: &Charge) -> BoxFuture<'static, Outcome>;
}

/// The gateway that is built in, which settles by a ledger of its own; `test_methods` are those of
/// [`TestMethod`](crate::domain::payment::TestMethod).
pub fn built_in(gateway: Address<gateway::Msg>, test_methods: bool) -> Arc<dyn PaymentGateway> {
    Arc::new(ledger::LedgerGateway::new(gateway, test_methods))
}
