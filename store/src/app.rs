//! Puts the store together: addresses first, then the children's specs, then the routes. Nothing is global, so that one process can
//! hold several services.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use ::actors::{ChildSpec, SupervisorAddress};
use contract::{Breaker, WarehouseHealth, WarehouseView, demo};
use metrics::gauge;
use migrations::store::Migrator;
use service::accounts::Accounts;
use service::audit::{Audit, HasAudit};
use service::config::Secret;
use service::database::{Database, Preparation, Settings};
use service::events::Feed;
use service::metrics::Measuring;
use service::queries::Reader;
use service::routes::{HasAuth, Routes};
use service::status::HasStatus;

use crate::actors::queries::Queries;
use crate::actors::saga::stages;
use crate::actors::warehouses::registry;
use crate::actors::{Addresses, Parts};
use crate::client::Connect;
use crate::config::Config;
use crate::{actors, bootstrap, client, http};

/// How long a scrape of the metrics waits for the registry.
const MEASURE_WITHIN: Duration = Duration::from_secs(1);

/// What handlers reach.
pub struct App {
    /// The store's own actors.
    pub addresses: Addresses,
    /// Accounts.
    pub accounts: Accounts,
    /// Reads of the database.
    pub queries: Queries,
    /// How long `POST /orders` waits for the order's end.
    pub order_wait: Duration,
    /// How long a saga may stand where it is before operators are told.
    pub stalled_after: Duration,
    /// Whether several warehouses may share an order that does not say.
    pub allow_split: bool,
    audit: Audit,
    notices: Feed,
    database: Database,
    root: SupervisorAddress,
    secret: Secret,
    previous_secret: Option<Secret>,
}

/// A store yet to be started.
pub struct Built {
    /// What its handlers reach.
    pub app: Arc<App>,
    /// The root of its tree: give it to `System::start_at` or `ChildSpec::supervisor`.
    pub root: SupervisorAddress,
    /// The root's children, `http` apart.
    pub children: Vec<ChildSpec>,
    /// Everything it answers, without a prefix.
    pub routes: Routes,
}

impl App {
    /// Puts a store together. Nothing is opened or started yet.
    ///
    /// # Errors
    /// When the configuration names no database, or the HTTP client cannot be set up.
    pub fn build(config: &Config) -> anyhow::Result<Built> {
        let store = &config.store;
        let connect = client::connector(
            config.base.service_secret.clone(),
            store.connect_timeout(),
            store.dispatch_concurrency(),
        )?;
        Self::build_with(config, connect)
    }

    /// The same with another way to reach warehouses.
    ///
    /// # Errors
    /// When the configuration names no database.
    pub fn build_with(config: &Config, connect: Connect) -> anyhow::Result<Built> {
        let bound = config.base.mailbox_bound;
        let database = Database::new(Settings::new("bookstore store", &config.base)?);
        let accounts = Accounts::new(bound, config.base.bcrypt_cost, config.base.login_limits());
        let app = Self {
            addresses: Addresses::new(bound),
            accounts: if config.store.seed_demo { accounts } else { accounts.refusing(demo::store_accounts()) },
            queries: Queries(Reader::new(bound)),
            order_wait: config.store.order_wait(),
            stalled_after: config.store.stalled_after(),
            allow_split: config.store.allow_split,
            audit: Audit::new(bound),
            notices: Feed::default(),
            database,
            root: SupervisorAddress::new(),
            secret: config.base.service_secret.clone(),
            previous_secret: config.base.previous_secret().cloned(),
        };
        let children = actors::children(Parts {
            config,
            addresses: &app.addresses,
            database: &app.database,
            preparation: preparation(config, &app.accounts),
            reader: &app.queries.0,
            accounts: &app.accounts,
            audit: &app.audit,
            notices: &app.notices,
            connect,
        });
        let root = app.root.clone();
        let app = Arc::new(app);
        let routes = Routes::new("store", Arc::clone(&app), http::table(), config.base.routes());
        Ok(Built { app, root, children, routes })
    }
}

impl Built {
    /// Adds the server as the last child.
    #[must_use]
    pub fn with_http(mut self, listener: TcpListener, config: &Config) -> Self {
        self.children.push(service::http::child(listener, self.routes.clone(), config.base.http()));
        self
    }
}

fn preparation(config: &Config, accounts: &Accounts) -> Preparation {
    let (hasher, store) = (accounts.hasher().clone(), Arc::new(config.store.clone()));
    Preparation::new().migrate::<Migrator>(config.base.migrate).then("bootstrap", move |db| {
        let (hasher, store) = (hasher.clone(), Arc::clone(&store));
        async move { bootstrap::ensure(&db, &hasher, &store).await }
    })
}

fn measure(warehouse: &WarehouseView) {
    let name = || warehouse.name.clone();
    let is = |yes: bool| if yes { 1.0 } else { 0.0 };
    let healthy = warehouse.status == WarehouseHealth::Healthy;
    gauge!("bookstore_warehouse_healthy", "warehouse" => name()).set(is(healthy));
    gauge!("bookstore_warehouse_breaker_open", "warehouse" => name()).set(is(warehouse.breaker == Breaker::Open));
    gauge!("bookstore_warehouse_enabled", "warehouse" => name()).set(is(warehouse.enabled));
}

impl HasAuth for App {
    fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    fn service_secret(&self) -> &Secret {
        &self.secret
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
        &self.root
    }

    fn notices(&self) -> Option<&Feed> {
        Some(&self.notices)
    }

    fn measure(&self) -> Measuring<'_> {
        stages::measure();
        Box::pin(async {
            let list = self.addresses.registry.ask(MEASURE_WITHIN, |reply| registry::Msg::List { reply });
            // A registry that is being restarted shows no warehouse until the next time.
            list.await.unwrap_or_default().iter().for_each(measure)
        })
    }
}
