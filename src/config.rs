//! What the all-in-one reads of the environment: `BOOKSTORE_LISTEN` and `BOOKSTORE_DATA_DIR`; and what it makes of that
//! for each of its services.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use contract::demo;
use figment::Figment;
use figment::providers::{Env, Serialized};
use serde::{Deserialize, Serialize};
use service::config::{BASE, Source};
use uuid::Uuid;

/// Where to listen and where to keep what must last.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) data_dir: PathBuf,
    /// Where metrics are served; empty is nowhere.
    pub(crate) metrics_listen: String,
}

impl Config {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let defaults = Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            data_dir: PathBuf::from("./data"),
            metrics_listen: String::new(),
        };
        // The all-in-one has three keys; other BOOKSTORE_ variables are none of its business.
        let environment = Env::prefixed("BOOKSTORE_").only(&["listen", "data_dir", "metrics_listen"]);
        Figment::from(Serialized::defaults(defaults)).merge(environment).extract().context("BOOKSTORE_…")
    }

    /// The configuration of all its services.
    pub(crate) fn services(&self) -> anyhow::Result<(store::config::Config, Vec<warehouse::config::Config>)> {
        // Known to this process only: the services talk to each other through its own port.
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let store = self.source(store::config::DEFAULTS, "store", &secret)?;
        let warehouses = demo::WAREHOUSES.iter().map(|name| {
            let url = format!("{}{}", self.url(), prefix(name));
            let source = self
                .source(warehouse::config::DEFAULTS, name, &secret)?
                .with("warehouse_name", name)?
                .with("warehouse_url", &url)?
                .with("store_api_url", &format!("{}/store", self.url()))?
                // The server starts last, so the first try comes too early.
                .with("registration_retry_interval_seconds", "1")?;
            Ok(warehouse::config::Config::from_source(&source)?)
        });
        Ok((store::config::Config::from_source(&store)?, warehouses.collect::<anyhow::Result<_>>()?))
    }

    /// How this machine reaches it.
    pub(crate) fn url(&self) -> String {
        let any = self.listen.ip().is_unspecified();
        let ip = if any { Ipv4Addr::LOCALHOST.into() } else { self.listen.ip() };
        format!("http://{}", SocketAddr::new(ip, self.listen.port()))
    }

    fn source(&self, defaults: &str, database: &str, secret: &str) -> anyhow::Result<Source> {
        let source = Source::defaults(&[BASE, defaults])?
            .with("database_url", &sqlite(&self.data_dir.join(format!("{database}.db"))))?
            .with("service_secret", secret)?
            .with("metrics_listen", &self.metrics_listen)?
            .with("seed_demo", "true")?;
        Ok(source)
    }
}

/// Where a warehouse is mounted: as behind the proxy of a deployment.
pub(crate) fn prefix(warehouse: &str) -> String {
    format!("/warehouses/{}", warehouse.trim_start_matches("warehouse-"))
}

fn sqlite(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}
