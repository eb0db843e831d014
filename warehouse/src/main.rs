//! A warehouse as a process of its own.

use std::process::ExitCode;

use actors::System;
use anyhow::Context as _;
use service::command::{self, Command};
use warehouse::app::App;
use warehouse::config::Config;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let command = command::parse("warehouse", "A warehouse: its stock, and what leaves it.");
    let config = Config::load()?;
    if command == Command::Health {
        return command::health(config.base.listen()).await.map(|()| ExitCode::SUCCESS);
    }
    let (format, drain) = (config.base.log_format, config.base.drain());
    Ok(service::serve(format, drain, start(config)).await)
}

async fn start(config: Config) -> anyhow::Result<System> {
    let (listen, policy) = (config.base.listen(), config.base.http());
    let listener = service::http::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    let (base, name) = (config.base.clone(), config.warehouse.warehouse_name.clone());
    let built = App::build(config)?;
    let metrics = service::metrics::configured(&base, vec![(name.clone(), built.app.clone())])?;
    let http = service::http::child(listener, built.routes.clone(), policy);
    let root = built.supervisor.clone();
    let children = built.children(Some(http)).into_iter().chain(metrics).collect();
    let system = System::start_at("warehouse", &root, children).await.map_err(anyhow::Error::msg)?;
    tracing::info!(warehouse = name, %listen, "warehouse started");
    Ok(system)
}
