//! The warehouses: a registry, and for each a subtree of its own that fails alone.

pub mod dispatcher;
pub mod monitor;
pub mod registry;
mod subtree;
pub mod sync;

use std::time::Duration;

use ::actors::{Address, ChildSpec, SupervisorAddress};
use service::database::Database;
use service::events::Feed;

use super::availability;
use crate::client::Connect;

pub use subtree::Subtrees;

/// How warehouses are watched and called.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The monitor's.
    pub monitor: monitor::Policy,
    /// The dispatcher's.
    pub dispatcher: dispatcher::Policy,
    /// How long one pull of an inventory may take.
    pub pull_limit: Duration,
    /// After how long a warehouse whose actors have failed too often is tried again (R24).
    pub retry_after: Duration,
    /// The most messages that may wait for one actor.
    pub mailbox_bound: usize,
}

/// What all of them share.
#[derive(Clone)]
pub struct Shared {
    /// Where registry and cache are.
    pub database: Database,
    /// Told what changes.
    pub availability: Address<availability::Msg>,
    /// The registry.
    pub registry: Address<registry::Msg>,
    /// Where operators are told of changes.
    pub notices: Feed,
    /// Makes the client of a warehouse.
    pub connect: Connect,
    /// How they are watched and called.
    pub policy: Policy,
}

/// The supervisor of the registry and of every warehouse's subtree.
pub fn supervisor(shared: Shared) -> ChildSpec {
    let address = SupervisorAddress::new();
    let registry = shared.registry.clone();
    let args = registry::Args {
        database: shared.database.clone(),
        availability: shared.availability.clone(),
        notices: shared.notices.clone(),
        subtrees: Subtrees::new(address.clone(), shared),
    };
    ChildSpec::supervisor(
        "warehouses",
        &address,
        vec![ChildSpec::actor("registry", &registry, registry::Registry, args)],
    )
}
