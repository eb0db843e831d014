//! The all-in-one: the store and two warehouses in one process, behind one port, each with an SQLite database of its own.

mod config;
mod welcome;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::process::ExitCode;

use actors::{ChildSpec, System};
use anyhow::{Context as _, bail};
use config::Config;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    service::telemetry::init(service::config::LogFormat::Readable);
    let config = Config::read()?;
    let _lock = lock(&config.data_dir)?;
    let listener = service::http::bind(config.listen)
        .with_context(|| format!("cannot listen on {}: set BOOKSTORE_LISTEN to another address", config.listen))?;
    let (store_config, warehouse_configs) = config.services()?;

    let store = store::app::App::build(&store_config)?;
    let mut routes = store.routes.mounted("/store");
    let mut measured: Vec<service::metrics::Measured> = vec![("store".to_owned(), store.app.clone())];
    let mut children = vec![ChildSpec::supervisor("store", &store.root, store.children)];
    for warehouse_config in warehouse_configs {
        let name = warehouse_config.warehouse.warehouse_name.clone();
        let warehouse = warehouse::app::App::build(warehouse_config)?;
        routes = routes.or(warehouse.routes.clone().mounted(&config::prefix(&name)));
        measured.push((name.clone(), warehouse.app.clone()));
        let root = warehouse.supervisor.clone();
        children.push(ChildSpec::supervisor(name, &root, warehouse.children(None)));
    }
    let metrics = service::metrics::configured(&store_config.base, measured)?;
    let policy = store_config.base.http();
    children.push(service::http::child(listener, routes.or(welcome::routes(&store.app)), policy));
    children.extend(metrics);

    let system = System::start("bookstore", children).await.map_err(anyhow::Error::msg)?;
    let greeting = tokio::spawn(welcome::greet(system.clone(), config.url(), config.data_dir, store.app));
    let code = service::run(system, policy.drain).await?;
    greeting.abort();
    Ok(code)
}

/// Keeps a second process away from the databases.
fn lock(data_dir: &Path) -> anyhow::Result<File> {
    let at = data_dir.display();
    std::fs::create_dir_all(data_dir).with_context(|| format!("cannot make {at}: set BOOKSTORE_DATA_DIR"))?;
    let lock = File::create(data_dir.join("lock")).with_context(|| format!("cannot write to {at}"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            bail!("another bookstore is running on {at}: stop it, or set BOOKSTORE_DATA_DIR to another folder")
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {at}")),
    }
}
