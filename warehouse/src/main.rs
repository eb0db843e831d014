//! A warehouse as a process of its own.

use std::process::ExitCode;

use actors::System;
use anyhow::Context as _;
use service::command::{self, Command};
use service::telemetry;
use warehouse::app::App;
use warehouse::config::Config;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let command = command::parse("warehouse", "A warehouse: its stock, and what leaves it.");
    let config = Config::load()?;
    if command == Command::Health {
        return command::health(config.base.listen()).await.map(|()| ExitCode::SUCCESS);
    }
    telemetry::init(config.base.log_format);
    let (address, policy) = (config.base.listen(), config.base.http());
    let listener = service::http::bind(address).with_context(|| format!("cannot listen at {address}"))?;
    tracing::info!(warehouse = config.warehouse.warehouse_name, %address, "starting");

    let (base, name) = (config.base.clone(), config.warehouse.warehouse_name.clone());
    let built = App::build(config)?;
    let metrics = service::metrics::configured(&base, vec![(name, built.app.clone())])?;
    let http = service::http::child(listener, built.routes.clone(), policy);
    let root = built.supervisor.clone();
    let children = built.children(Some(http)).into_iter().chain(metrics).collect();
    let system = System::start_at("warehouse", &root, children).await.map_err(anyhow::Error::msg)?;
    Ok(service::run(system, policy.drain).await?)
}
