//! Puts a warehouse together: first the addresses, then who answers behind them, then the routes.
//!
//! Nothing here is global, so several warehouses may run in one process.

use std::sync::Arc;

use ::actors::{Address, ChildSpec, SupervisorAddress};
use contract::demo;
use service::accounts::Accounts;
use service::audit::{Audit, HasAudit};
use service::config::{ConfigError, Secret};
use service::database::{Database, Preparation, Settings};
use service::queries::Reader;
use service::routes::{HasAuth, Routes};
use service::status::HasStatus;

use crate::actors::queries::Queries;
use crate::actors::{registrar, relay, stock, sweeper, titles};
use crate::bootstrap::bootstrap;
use crate::client::{StoreApi, StoreClient};
use crate::config::Config;
use crate::http;

/// What the handlers reach: the addresses of the actors, and who this warehouse is.
pub struct App {
    /// Its name.
    pub name: String,
    /// Its address for people.
    pub url: String,
    /// Decides shipments, reservations, returns and adjustments.
    pub stock: Address<stock::Msg>,
    /// Knows whether the store knows this warehouse.
    pub registrar: Address<registrar::Msg>,
    /// Reads of the database.
    pub queries: Queries,
    accounts: Accounts,
    audit: Audit,
    service_secret: Secret,
    previous_secret: Option<Secret>,
    database: Database,
    supervisor: SupervisorAddress,
}

impl HasAuth for App {
    fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    fn service_secret(&self) -> &Secret {
        &self.service_secret
    }

    fn audit(&self) -> Option<&Audit> {
        Some(&self.audit)
    }

    fn previous_service_secret(&self) -> Option<&Secret> {
        self.previous_secret.as_ref()
    }
}

impl HasAudit for App {
    fn reader(&self) -> &Reader {
        &self.queries.0
    }
}

impl HasStatus for App {
    fn database(&self) -> &Database {
        &self.database
    }

    fn supervisor(&self) -> &SupervisorAddress {
        &self.supervisor
    }
}

/// A warehouse that is put together and not started.
pub struct Built {
    /// What its handlers reach.
    pub app: Arc<App>,
    /// Its URLs, without a prefix.
    pub routes: Routes,
    /// Its root: start [`Built::children`] below it, for that is the tree that `/ready` and `/actors` look at.
    pub supervisor: SupervisorAddress,
    before_http: Vec<ChildSpec>,
    after_http: Vec<ChildSpec>,
}

impl Built {
    /// The children of its root in their order of start, with its server in its place; none where somebody else serves
    /// its routes.
    pub fn children(self, http: Option<ChildSpec>) -> Vec<ChildSpec> {
        self.before_http.into_iter().chain(http).chain(self.after_http).collect()
    }
}

impl App {
    /// Puts a warehouse together. Nothing is opened and nothing runs yet.
    ///
    /// # Errors
    /// The key of a value that cannot work.
    pub fn build(config: Config) -> Result<Built, ConfigError> {
        let store: Arc<dyn StoreApi> =
            Arc::new(StoreClient::new(&config.warehouse.store_api_url, config.base.service_secret.clone())?);
        Self::build_with(config, store)
    }

    /// The same with a store of the caller's making.
    ///
    /// # Errors
    /// The key of a value that cannot work.
    pub fn build_with(config: Config, store: Arc<dyn StoreApi>) -> Result<Built, ConfigError> {
        let Config { base, warehouse } = config;
        let bound = base.mailbox_bound;
        let database = Database::new(Settings::new(&warehouse.warehouse_name, &base)?);
        let accounts = Accounts::new(bound, base.bcrypt_cost, base.login_limits());
        let demo_staff = demo::warehouse_staff(&warehouse.warehouse_name);
        let accounts = if warehouse.seed_demo { accounts } else { accounts.refusing([demo_staff]) };
        let audit = Audit::new(bound);
        let reader = Reader::new(bound);
        let (stock, relay, registrar) = (Address::new(bound), Address::new(bound), Address::new(bound));

        let name = warehouse.warehouse_name.clone();
        let stock_args = stock::Args {
            database: database.clone(),
            warehouse_name: name.as_str().into(),
            relay: relay.clone(),
            waiting_bound: bound,
        };
        let relay_args = relay::Args { database: database.clone(), store: Arc::clone(&store) };
        let sweeper_args = sweeper::Args { database: database.clone(), stock: stock.clone() };
        let titles_args = titles::Args {
            database: database.clone(),
            store: Arc::clone(&store),
            refresh_every: warehouse.titles_refresh(),
        };
        let registrar_args = registrar::Args {
            identity: Arc::new(database.clone()),
            store,
            name: name.clone(),
            url: warehouse.warehouse_url.clone(),
            internal_url: warehouse.internal_url().to_owned(),
            policy: warehouse.registration(),
        };
        let before_http = vec![
            database.child(preparation(base.migrate, &accounts, &warehouse)),
            ChildSpec::actor("stock", &stock, stock::Stock, stock_args),
            reader.child(&database),
            accounts.child(&database),
            audit.child(&database),
            ChildSpec::actor("relay", &relay, relay::Relay, relay_args),
            ChildSpec::actor("sweeper", &Address::new(bound), sweeper::Sweeper, sweeper_args),
        ];
        let after_http = vec![
            ChildSpec::actor("registrar", &registrar, registrar::Registrar, registrar_args),
            ChildSpec::actor("titles", &Address::new(bound), titles::Titles, titles_args),
        ];

        let supervisor = SupervisorAddress::new();
        let app = Arc::new(Self {
            name,
            url: warehouse.warehouse_url,
            stock,
            registrar,
            queries: Queries(reader),
            accounts,
            audit,
            service_secret: base.service_secret.clone(),
            previous_secret: base.previous_secret().cloned(),
            database,
            supervisor: supervisor.clone(),
        });
        let routes = Routes::new(&app.name, Arc::clone(&app), http::table(), base.routes());
        Ok(Built { app, routes, supervisor, before_http, after_http })
    }
}

fn preparation(migrate: bool, accounts: &Accounts, warehouse: &crate::config::Warehouse) -> Preparation {
    let (hasher, warehouse) = (accounts.hasher().clone(), warehouse.clone());
    Preparation::new()
        .migrate::<migrations::warehouse::Migrator>(migrate)
        .then("bootstrap", move |connection| bootstrap(connection, hasher.clone(), warehouse.clone()))
}
