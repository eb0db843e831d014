//! A TCP proxy on the loopback interface whose behaviour can be changed while connections are open.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::Port;

/// What the proxy does with connections and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything on.
    Pass,
    /// Passes everything on, each piece this much later.
    Delay(Duration),
    /// Accepts, and lets nothing through in either direction: a hung peer.
    Hang,
    /// Lets requests through and swallows the answers, connections staying open.
    Swallow,
    /// Lets requests through and cuts the connection when the answer begins.
    Lose,
    /// Cuts every connection, and each new one after it was accepted.
    Cut,
    /// Cuts every connection and does not listen: new ones are refused.
    Refuse,
}

/// A proxy to one address. Dropping it cuts its connections and frees its port.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    modes: mpsc::Sender<(Mode, oneshot::Sender<()>)>,
    accepted: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Proxy {
    /// Starts a proxy to `target`, which need not listen yet, on the current tokio runtime, in [`Mode::Pass`].
    pub async fn start(target: SocketAddr) -> Result<Self> {
        let port = Port::reserve()?;
        let listener = TcpListener::bind(port.address()).await?;
        let (modes, changes) = mpsc::channel(1);
        let accepted = Arc::new(AtomicU64::new(0));
        let run = run(port.address(), target, listener, changes, accepted.clone());
        let task = tokio::spawn(run).abort_handle();
        Ok(Self { port, modes, accepted, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Its address as the beginning of a URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Changes the mode. On return the new one holds for new connections, and open ones have been told.
    pub async fn set(&self, mode: Mode) -> Result<()> {
        let (done, told) = oneshot::channel();
        self.modes.send((mode, done)).await.context("the proxy has ended")?;
        told.await.context("the proxy could not change its mode")
    }

    /// How many connections it has accepted.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    here: SocketAddr,
    target: SocketAddr,
    listener: TcpListener,
    mut changes: mpsc::Receiver<(Mode, oneshot::Sender<()>)>,
    accepted: Arc<AtomicU64>,
) -> io::Result<()> {
    let mut listener = Some(listener);
    let mode = watch::Sender::new(Mode::Pass);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            change = changes.recv() => {
                let Some((next, done)) = change else { return Ok(()) };
                mode.send_replace(next);
                if matches!(next, Mode::Cut | Mode::Refuse) {
                    connections.shutdown().await;
                }
                if next == Mode::Refuse {
                    listener = None;
                } else if listener.is_none() {
                    listener = Some(TcpListener::bind(here).await?);
                }
                let _ = done.send(());
            }
            client = accept(listener.as_ref()) => {
                let client = client?;
                accepted.fetch_add(1, Ordering::Relaxed);
                if *mode.borrow() != Mode::Cut {
                    connections.spawn(carry(client, target, mode.subscribe()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}

/// Carries bytes between a client and the target until either ends. A connection that lost bytes is useless once bytes pass again, and ends then.
async fn carry(mut client: TcpStream, target: SocketAddr, mut mode: watch::Receiver<Mode>) -> io::Result<()> {
    let mut server = loop {
        if *mode.borrow_and_update() != Mode::Hang {
            break TcpStream::connect(target).await?;
        }
        if mode.changed().await.is_err() {
            return Ok(());
        }
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut request, mut answer) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    let (mut lost, mut server_open) = (false, true);
    loop {
        let now = *mode.borrow_and_update();
        if lost && matches!(now, Mode::Pass | Mode::Delay(_)) {
            return Ok(());
        }
        tokio::select! {
            changed = mode.changed() => if changed.is_err() { return Ok(()) },
            read = client.read(&mut request) => {
                let length = read?;
                if length == 0 {
                    return Ok(());
                }
                match now {
                    Mode::Hang => lost = true,
                    Mode::Delay(time) => { tokio::time::sleep(time).await; server.write_all(&request[..length]).await?; }
                    _ => server.write_all(&request[..length]).await?,
                }
            }
            read = server.read(&mut answer), if server_open => {
                let length = read.unwrap_or(0);
                match now {
                    Mode::Hang | Mode::Swallow => (lost, server_open) = (true, length > 0),
                    Mode::Lose => return Ok(()),
                    _ if length == 0 => return Ok(()),
                    Mode::Delay(time) => { tokio::time::sleep(time).await; client.write_all(&answer[..length]).await?; }
                    _ => client.write_all(&answer[..length]).await?,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);
    const NEVER: Duration = Duration::from_millis(200);

    /// A server that answers each byte with its successor, and counts what it got.
    async fn successor() -> (SocketAddr, Arc<AtomicU64>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::new(AtomicU64::new(0));
        let count = got.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let count = count.clone();
                tokio::spawn(async move {
                    while let Ok(byte) = stream.read_u8().await {
                        count.fetch_add(1, Ordering::Relaxed);
                        stream.write_u8(byte + 1).await.unwrap();
                    }
                });
            }
        });
        (address, got)
    }

    async fn ask(stream: &mut TcpStream, byte: u8) -> io::Result<u8> {
        stream.write_u8(byte).await?;
        stream.read_u8().await
    }

    #[tokio::test]
    async fn passes_and_delays() {
        let (target, _) = successor().await;
        let proxy = Proxy::start(target).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut stream, 1).await.unwrap(), 2);
        proxy.set(Mode::Delay(Duration::from_millis(60))).await.unwrap();
        let started = Instant::now();
        assert_eq!(ask(&mut stream, 7).await.unwrap(), 8);
        assert!(started.elapsed() >= Duration::from_millis(120), "both ways");
        assert_eq!(proxy.accepted(), 1);
    }

    #[tokio::test]
    async fn a_hung_peer_gets_nothing_and_says_nothing() {
        let (target, got) = successor().await;
        let proxy = Proxy::start(target).await.unwrap();
        let mut open = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut open, 1).await.unwrap(), 2);
        proxy.set(Mode::Hang).await.unwrap();
        let mut new = TcpStream::connect(proxy.address()).await.unwrap();
        for stream in [&mut open, &mut new] {
            assert!(tokio::time::timeout(NEVER, ask(stream, 1)).await.is_err());
        }
        assert_eq!(got.load(Ordering::Relaxed), 1);
        proxy.set(Mode::Pass).await.unwrap();
        assert!(open.read_u8().await.is_err(), "bytes were lost: the connection ends");
        assert_eq!(new.read_u8().await.unwrap(), 2, "nothing was read of this one yet");
    }

    #[tokio::test]
    async fn swallowed_and_lost_answers_were_given() {
        let (target, got) = successor().await;
        let proxy = Proxy::start(target).await.unwrap();
        proxy.set(Mode::Swallow).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(tokio::time::timeout(NEVER, ask(&mut stream, 1)).await.is_err());
        assert_eq!(got.load(Ordering::Relaxed), 1);
        proxy.set(Mode::Lose).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(tokio::time::timeout(SOON, ask(&mut stream, 1)).await.unwrap().is_err());
        assert_eq!(got.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn cuts_and_refuses_and_recovers() {
        let (target, _) = successor().await;
        let proxy = Proxy::start(target).await.unwrap();
        let mut open = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut open, 1).await.unwrap(), 2);
        proxy.set(Mode::Cut).await.unwrap();
        assert!(ask(&mut open, 1).await.is_err());
        let mut cut = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(ask(&mut cut, 1).await.is_err());
        proxy.set(Mode::Refuse).await.unwrap();
        let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        proxy.set(Mode::Pass).await.unwrap();
        let mut again = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut again, 1).await.unwrap(), 2);
    }
}
