//! The store's tree, in order of start; stopped in reverse.
//!
//! ```text
//! store                       one_for_one; past its budget the process exits non-zero
//! ├── database                connects, locks, migrates, watches (service)
//! ├── journal                 all writes of orders and sagas, in batches
//! ├── queries                 all other reads (service)
//! ├── accounts                who may (service)
//! ├── audit                   what admins changed (service)
//! ├── catalog                 the books on sale
//! ├── availability            stock, allocations; sources orders
//! ├── warehouses
//! │   ├── registry            which there are
//! │   └── warehouse:<name>    one each; gives up alone
//! │       ├── monitor         health
//! │       ├── sync            inventory
//! │       └── dispatcher      shipments
//! ├── gateway                 the built-in payment gateway: its ledger, in batches
//! ├── fulfillment
//! │   ├── sagas
//! │   │   └── saga:<order>    one an open order
//! │   └── orders              the one door for orders
//! ├── reconciler              has inventories pulled
//! └── http                    serves (service; the all-in-one has it beside the tree)
//! ```

pub mod availability;
pub mod catalog;
pub mod gateway;
pub mod journal;
pub mod orders;
pub mod queries;
pub mod reconciler;
pub mod saga;
#[cfg(test)]
pub(crate) mod testing;
pub mod warehouses;

use std::sync::Arc;

use ::actors::{Address, ChildSpec, SupervisorAddress};
use service::accounts::Accounts;
use service::audit::Audit;
use service::database::{Database, Preparation};
use service::events::Feed;
use service::queries::Reader;

use crate::client::Connect;
use crate::config::Config;
use crate::events::Events;
use crate::payments;

/// Where the store's own actors are reached. Made before any of them is started, and good for as long as the process.
#[derive(Clone)]
pub struct Addresses {
    /// Writes of orders and sagas.
    pub journal: Address<journal::Msg>,
    /// The books on sale.
    pub catalog: Address<catalog::Msg>,
    /// Stock.
    pub availability: Address<availability::Msg>,
    /// Warehouses.
    pub registry: Address<warehouses::registry::Msg>,
    /// The built-in payment gateway: for `payments` alone.
    pub gateway: Address<gateway::Msg>,
    /// Orders.
    pub orders: Address<orders::Msg>,
    /// Pulls of every inventory.
    pub reconciler: Address<reconciler::Msg>,
    /// Who listens to which order.
    pub events: Events,
}

impl Addresses {
    /// Addresses of actors yet to be started, each for at most `bound` waiting messages.
    pub fn new(bound: usize) -> Self {
        Self {
            journal: Address::new(bound),
            catalog: Address::new(bound),
            availability: Address::new(bound),
            registry: Address::new(bound),
            gateway: Address::new(bound),
            orders: Address::new(bound),
            reconciler: Address::new(bound),
            events: Events::default(),
        }
    }
}

/// What the tree is made of.
pub struct Parts<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Where the actors are reached.
    pub addresses: &'a Addresses,
    /// The database.
    pub database: &'a Database,
    /// What must be done with it before it is used.
    pub preparation: Preparation,
    /// Reads.
    pub reader: &'a Reader,
    /// Accounts.
    pub accounts: &'a Accounts,
    /// What operators are told.
    pub notices: &'a Feed,
    /// Changes by admins.
    pub audit: &'a Audit,
    /// Makes the client of a warehouse.
    pub connect: Connect,
}

/// The children of the store's root, `http` apart.
pub fn children(parts: Parts<'_>) -> Vec<ChildSpec> {
    let Parts { config, addresses, database, preparation, reader, accounts, audit, notices, connect } = parts;
    let Addresses { journal, catalog, availability, registry, gateway, orders, reconciler, events } = addresses;
    let stock = availability::Args {
        database: database.clone(),
        registry: registry.clone(),
        orders: orders.clone(),
        strategy: config.store.sourcing_strategy,
        audit_every: availability::AUDIT_EVERY,
    };
    let warehouses = warehouses::Shared {
        database: database.clone(),
        availability: availability.clone(),
        registry: registry.clone(),
        notices: notices.clone(),
        connect,
        policy: config.warehouses(),
    };
    let reconcile = reconciler::Args {
        registry: registry.clone(),
        interval: config.store.reconcile_every(),
        limit: config.store.reconcile_limit(),
    };
    vec![
        database.child(preparation),
        ChildSpec::actor(
            "journal",
            journal,
            journal::Journal,
            journal::Args { database: database.clone(), events: events.clone() },
        ),
        reader.child(database),
        accounts.child(database),
        audit.child(database),
        ChildSpec::actor("catalog", catalog, catalog::Catalog, catalog::Args { database: database.clone() }),
        ChildSpec::actor("availability", availability, availability::Availability, stock),
        warehouses::supervisor(warehouses),
        ChildSpec::actor(
            "gateway",
            gateway,
            gateway::Gateway,
            gateway::Args { database: database.clone(), waiting_bound: config.base.mailbox_bound },
        ),
        fulfillment(config, addresses, reader),
        ChildSpec::actor("reconciler", reconciler, reconciler::Reconciler, reconcile),
    ]
}

fn fulfillment(config: &Config, addresses: &Addresses, reader: &Reader) -> ChildSpec {
    let sagas = SupervisorAddress::new();
    let peers = saga::Peers {
        journal: addresses.journal.clone(),
        availability: addresses.availability.clone(),
        registry: addresses.registry.clone(),
        orders: addresses.orders.clone(),
        events: addresses.events.clone(),
        reader: reader.clone(),
        gateway: payments::built_in(addresses.gateway.clone(), config.store.payment_test_methods()),
        policy: config.store.sagas(),
        stalled_after: config.store.stalled_after(),
    };
    let args = orders::Args {
        peers: Arc::new(peers),
        catalog: addresses.catalog.clone(),
        sagas: sagas.clone(),
        wait: config.store.order_wait(),
        rate: orders::Rate::per_minute(config.store.orders_per_minute_per_account),
        mailbox_bound: config.base.mailbox_bound,
    };
    let children = vec![
        // First, since orders sweeps for orphans as soon as it runs, and starts none any more once it is stopped.
        ChildSpec::supervisor("sagas", &sagas, Vec::new()),
        ChildSpec::actor("orders", &addresses.orders, orders::Orders, args),
    ];
    ChildSpec::supervisor("fulfillment", &SupervisorAddress::new(), children)
}
