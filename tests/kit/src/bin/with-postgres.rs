//! Runs a command with a private PostgreSQL: `with-postgres COMMAND [ARGS]`. The command finds its URL in `TEST_POSTGRES_URL`. The server is
//! stopped and its data removed when the command ends or is interrupted, and also when this program is killed.

use std::process::ExitCode;

use anyhow::{Context, Result};
use kit::Cluster;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let mut args = std::env::args_os().skip(1).skip_while(|arg| arg == "--");
    let program = args.next().context("usage: with-postgres COMMAND [ARGS]")?;
    // Taken before anything is started: from here on a signal ends the command, and the command's end ends us.
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let cluster = Cluster::start().await?;
    let mut command = Command::new(program);
    command.args(args).env(kit::postgres::URL_VARIABLE, cluster.url()).env("REQUIRE_POSTGRES", "1").kill_on_drop(true);
    let mut child = command.spawn().context("starting the command")?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            _ = interrupted.recv() => {} // a terminal sends it to the command too
            _ = terminated.recv() => child.start_kill()?,
        }
    };
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
