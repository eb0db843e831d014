//! From a started tree to the exit code of its process.

use std::process::ExitCode;
use std::time::Duration;

use actors::System;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::LogFormat;
use crate::telemetry;

/// A service from its start to the code of its end, see [`run`]. What keeps it from starting is logged like all that comes later.
pub async fn serve(
    format: LogFormat,
    drain: Duration,
    start: impl Future<Output = anyhow::Result<System>>,
) -> ExitCode {
    telemetry::init(format);
    let life = async { anyhow::Ok(run(start.await?, drain).await?) };
    life.await.unwrap_or_else(|error| {
        tracing::error!("cannot serve: {error:#}");
        ExitCode::FAILURE
    })
}

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

#[cfg(test)]
mod tests {
    use actors::{Actor, Address, ChildSpec, Context, Failure};
    use rustix::process::{Signal, getpid, kill_process};
    use strum::IntoStaticStr;

    use super::*;

    #[derive(IntoStaticStr)]
    enum Msg {
        Fail,
        Hang,
    }

    struct Fragile;

    impl Actor for Fragile {
        const KIND: &'static str = "fragile";
        type Msg = Msg;
        type Args = ();
        type State = ();

        async fn start(&self, (): (), _: &mut Context<Msg>) -> Result<(), Failure> {
            Ok(())
        }

        async fn handle(&self, msg: Msg, (): &mut (), _: &mut Context<Msg>) -> Result<(), Failure> {
            match msg {
                Msg::Fail => Err(Failure::broken("no more")),
                Msg::Hang => std::future::pending().await,
            }
        }
    }

    async fn tree() -> (System, Address<Msg>) {
        let address = Address::new(8);
        let child = ChildSpec::actor("fragile", &address, Fragile, ()).budget(0, Duration::from_secs(60));
        let system = System::start("test", vec![child.stop_within(Duration::from_secs(60))]).await.unwrap();
        system.started().await;
        (system, address)
    }

    /// One test, since signals are the process's.
    #[tokio::test]
    async fn the_code_is_zero_only_after_a_signal_and_a_stop_in_time() {
        let (system, address) = tree().await;
        address.tell(Msg::Fail).unwrap();
        assert_eq!(run(system, Duration::from_secs(5)).await.unwrap(), ExitCode::FAILURE, "the tree ended");

        for (hang, drain, code) in
            [(false, Duration::from_secs(5), ExitCode::SUCCESS), (true, Duration::from_millis(100), ExitCode::FAILURE)]
        {
            let (system, address) = tree().await;
            if hang {
                address.tell(Msg::Hang).unwrap();
            }
            let running = tokio::spawn(run(system.clone(), drain));
            // On this runtime of one thread it has listened by now.
            tokio::task::yield_now().await;
            kill_process(getpid(), Signal::TERM).unwrap();
            assert_eq!(running.await.unwrap().unwrap(), code, "hang: {hang}");
        }
    }
}
