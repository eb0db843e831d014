//! The command line of a service: it serves, or asks the one that runs beside it how it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Shorter than a container's health check takes for its own.
const PROBE_WITHIN: Duration = Duration::from_secs(4);

/// What a service is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Serves, until it is told to stop. What it does without a command.
    Serve,
    /// Asks the service that runs with the same configuration whether it is ready; fails when it is not.
    Health,
}

#[derive(Parser)]
#[command(
    version,
    after_help = "Its configuration is read from the environment, and from the file that CONFIG_FILE names."
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

/// Reads the arguments of the process, and ends it where they are wrong or ask for help. `about` is a line on the service `name`.
pub fn parse(name: &'static str, about: &'static str) -> Command {
    let matches = Arguments::command().name(name).about(about).get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    arguments.command.unwrap_or(Command::Serve)
}

/// Asks the service that listens there whether it is ready.
///
/// # Errors
/// When it is not, with what it says, or cannot be asked.
pub async fn health(listen: SocketAddr) -> anyhow::Result<()> {
    let url = format!("http://{}/ready", here(listen));
    let client = reqwest::Client::builder().no_proxy().timeout(PROBE_WITHIN).build()?;
    let answer = client.get(&url).send().await.with_context(|| format!("{url} cannot be asked"))?;
    let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
    ensure!(status.is_success(), "{url} says {status}: {text}");
    Ok(())
}

/// Where this machine reaches what listens there.
fn here(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn what_listens_anywhere_is_reached_here() {
        for (listen, expected) in [
            ("0.0.0.0:3000", "127.0.0.1:3000"),
            ("[::]:3000", "[::1]:3000"),
            ("10.1.2.3:80", "10.1.2.3:80"),
            ("127.0.0.2:1", "127.0.0.2:1"),
        ] {
            assert_eq!(here(listen.parse().unwrap()).to_string(), expected);
        }
    }

    #[test]
    fn it_serves_unless_told_otherwise() {
        let read = |args: &[&str]| Arguments::try_parse_from(["store"].iter().chain(args)).map(|read| read.command);
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&["health"]).unwrap(), Some(Command::Health));
        assert_eq!(read(&["serve"]).unwrap(), Some(Command::Serve));
        assert!(read(&["helath"]).is_err() && read(&["--port", "1"]).is_err());
    }

    #[tokio::test]
    async fn only_who_says_200_is_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = tokio::spawn(async move {
            for head in ["200 OK", "503 Service Unavailable"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1_024];
                let read = stream.read(&mut request).await.unwrap();
                assert!(request[..read].starts_with(b"GET /ready HTTP/1.1\r\n"));
                let answer = format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: 4\r\n\r\nwhy?");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        health(address).await.unwrap();
        assert!(health(address).await.unwrap_err().to_string().ends_with("says 503 Service Unavailable: why?"));
        serve.await.unwrap();
        assert!(health(address).await.is_err(), "nobody listens");
    }
}
