//! From a started tree to the exit code of its process.

use std::process::ExitCode;
use std::time::Duration;

use actors::System;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for SIGTERM or SIGINT, or for the tree to end by itself, and stops what is left within `drain`.
///
/// The code is zero only after a signal and a stop in time. A second signal ends the wait.
///
/// # Errors
/// When signals cannot be listened to.
pub async fn run(system: System, drain: Duration) -> std::io::Result<ExitCode> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        ended = system.ended() => {
            let reason = ended.err().unwrap_or_else(|| "it was stopped".to_owned());
            tracing::error!(reason, "the tree has ended, and the process with it");
            return Ok(ExitCode::FAILURE);
        }
        () = either(&mut terminate, &mut interrupt) => {}
    }
    tracing::info!(limit_seconds = drain.as_secs(), "stopping");
    tokio::select! {
        stopped = tokio::time::timeout(drain, system.stop()) => match stopped {
            Ok(Ok(())) => {
                tracing::info!("stopped");
                return Ok(ExitCode::SUCCESS);
            }
            Ok(Err(reason)) => tracing::error!(reason, "failed while stopping"),
            Err(_) => {
                let left: Vec<_> = system.snapshot().unwell.into_iter().map(|actor| actor.path).collect();
                tracing::error!(?left, "not stopped in time");
            }
        },
        () = either(&mut terminate, &mut interrupt) => tracing::warn!("told twice: not waiting for the stop"),
    }
    Ok(ExitCode::FAILURE)
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
