//! The store as a process of its own.

use std::process::ExitCode;

use ::actors::System;
use anyhow::Context as _;
use service::command::{self, Command};
use store::app::App;
use store::config::Config;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let command = command::parse("store", "The store: catalogue, orders, and the warehouses behind them.");
    let config = Config::read()?;
    if command == Command::Health {
        return command::health(config.base.listen()).await.map(|()| ExitCode::SUCCESS);
    }
    Ok(service::serve(config.base.log_format, config.base.drain(), start(&config)).await)
}

async fn start(config: &Config) -> anyhow::Result<System> {
    let listen = config.base.listen();
    let listener = service::http::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    let mut store = App::build(config)?.with_http(listener, config);
    let measured = vec![("store".to_owned(), store.app.clone() as _)];
    store.children.extend(service::metrics::configured(&config.base, measured)?);
    let system = System::start_at("store", &store.root, store.children).await.map_err(anyhow::Error::msg)?;
    tracing::info!(%listen, "store started");
    Ok(system)
}
