//! Serves a service's routes. Child of the root, or of the all-in-one's.
//!
//! Owns nothing: the listener is bound before the tree, and both it and the connections outlive a restart, so a crash
//! here cuts nobody off. A stop ends them in steps, so that no request is cut either:
//!
//! 1. New requests are still answered, but each answer says `Connection: close`. A client that is busy moves on by
//!    itself; closing its connection instead would meet a request already on its way.
//! 2. The listener is closed, then every connection that has been quiet for a while, and the others after their answer.
//! 3. What is left at the limit is dropped.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actors::{Actor, Address, ChildSpec, Closing, Context, EffectError, Failure};
use http::header::{self, HeaderValue};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use strum::IntoStaticStr;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Layer as _;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate as _, SizeAbove};

use crate::routes::{Connection, Routes};

/// The most headers of a request, and the bytes beyond which no more of its head is read.
const HEADERS: usize = 100;
const HEAD_BYTES: usize = 64 * 1024;
/// Answers below this are sent as they are: compressing them would cost more than it saves.
const COMPRESS_FROM: u16 = 1_024;
/// How long busy clients have to notice that their connection closes.
const NOTICE: Duration = Duration::from_millis(500);
/// How long a connection must have been quiet to be closed in a stop: a new one that has brought no request yet is about
/// to, and so is one that was answered just now.
const QUIET: Duration = Duration::from_secs(1);
/// How long a stop looks at a connection before it takes it to be quiet.
const LOOK: Duration = Duration::from_millis(20);
/// Pause after a failed accept, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A server serves until it is stopped.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Binds before the tree is started, so that a taken port is known at once.
///
/// # Errors
/// When the address cannot be had.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    raise_open_files();
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// A connection takes a file descriptor, and many systems let a process have only 1,024 unless it asks for more.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}

/// What the server allows its clients.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Connections at once. What comes beyond waits in the listener's backlog.
    pub connections: usize,
    /// How long a client may take for a request's head, and how long a connection may be idle. Longer than the 90 s for
    /// which proxies keep theirs, so that it is the proxy that closes it.
    pub head_within: Duration,
    /// How long a client may take nothing of an answer that waits for it.
    pub write_within: Duration,
    /// The limit for the whole service's stop, of which requests get four fifths.
    pub drain: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            connections: 4_096,
            head_within: Duration::from_secs(120),
            write_within: Duration::from_secs(30),
            drain: Duration::from_secs(25),
        }
    }
}

/// The server as the child `http`.
pub fn child(listener: TcpListener, routes: Routes, policy: Policy) -> ChildSpec {
    child_as("http", listener, routes, policy)
}

/// The same under another id.
pub(crate) fn child_as(id: &str, listener: TcpListener, routes: Routes, policy: Policy) -> ChildSpec {
    spec(id, &Address::new(MAILBOX), listener, routes, policy)
}

fn spec(id: &str, address: &Address<Msg>, listener: TcpListener, routes: Routes, policy: Policy) -> ChildSpec {
    let limit = policy.drain * 4 / 5;
    let args = Args {
        listener: Arc::new(Mutex::new(Some(listener))),
        routes,
        limit,
        policy,
        connections: Connections {
            open: TaskTracker::new(),
            slots: Arc::new(Semaphore::new(policy.connections)),
            closing: CancellationToken::new(),
            finish: CancellationToken::new(),
            abort: CancellationToken::new(),
        },
    };
    ChildSpec::actor(id, address, Http, args).stop_within(limit + Duration::from_secs(2))
}

/// Nobody but itself sends it anything.
const MAILBOX: usize = 8;

#[derive(Clone)]
struct Args {
    /// Gone once the server was stopped.
    listener: Arc<Mutex<Option<TcpListener>>>,
    routes: Routes,
    limit: Duration,
    policy: Policy,
    connections: Connections,
}

#[derive(Clone)]
struct Connections {
    open: TaskTracker,
    slots: Arc<Semaphore>,
    closing: CancellationToken,
    finish: CancellationToken,
    abort: CancellationToken,
}

#[derive(IntoStaticStr)]
enum Msg {
    Ended { outcome: Result<(), EffectError> },
}

struct Http;

impl Actor for Http {
    const KIND: &'static str = "http";
    type Msg = Msg;
    type Args = Args;
    type State = Closing;

    async fn start(&self, args: Args, ctx: &mut Context<Msg>) -> Result<Closing, Failure> {
        let listener = {
            let listener = args.listener.lock().unwrap_or_else(PoisonError::into_inner);
            listener.as_ref().ok_or_else(|| Failure::broken("the listener was closed by a stop"))?.try_clone()?
        };
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let closing = ctx.closing();
        ctx.effect(FOREVER, serve(args, listener, closing.clone()), |outcome| Msg::Ended { outcome });
        Ok(closing)
    }

    async fn handle(&self, msg: Msg, closing: &mut Closing, _ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Ended { outcome: Ok(()) } if closing.is_closed() => Ok(()),
            Msg::Ended { outcome } => Err(match outcome {
                Ok(()) => Failure::broken("the server ended"),
                Err(error) => error.into(),
            }),
        }
    }
}

async fn serve(args: Args, listener: tokio::net::TcpListener, closing: Closing) {
    let Connections { open, closing: closed, finish, abort, .. } = &args.connections;
    accept_until(&listener, &args, closing.closed()).await;

    let deadline = Instant::now() + args.limit;
    closed.cancel();
    open.close();
    let notice = async {
        let _ = tokio::time::timeout(NOTICE.min(args.limit), open.wait()).await;
    };
    accept_until(&listener, &args, notice).await;

    close(listener, &args);
    finish.cancel();
    if tokio::time::timeout_at(deadline.into(), open.wait()).await.is_err() {
        tracing::warn!(connections = open.len(), "requests are dropped: they took longer than the stop may");
        abort.cancel();
        open.wait().await;
    }
}

/// Closes the listener. Who is in its backlog, without our having been told yet, has connected all the same: taken in first.
fn close(listener: tokio::net::TcpListener, args: &Args) {
    let Some(backlog) = args.listener.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    drop(listener);
    while let Ok((stream, _)) = backlog.accept() {
        if let Ok(stream) = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
            admit(stream, None, args);
        }
    }
}

async fn accept_until(listener: &tokio::net::TcpListener, args: &Args, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    loop {
        let accept = async {
            // The semaphore is never closed, so there is always a slot in the end.
            let slot = Arc::clone(&args.connections.slots).acquire_owned().await.ok();
            (listener.accept().await, slot)
        };
        // A flood of connections must not put off the stop.
        let (accepted, slot) = tokio::select! {
            biased;
            () = &mut stop => return,
            accepted = accept => accepted,
        };
        match accepted {
            Ok((stream, _)) => admit(stream, slot, args),
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves a connection in a task of its own.
fn admit(stream: TcpStream, slot: Option<OwnedSemaphorePermit>, args: &Args) {
    // An answer is one write: there is nothing that a delay could collect.
    let _ = stream.set_nodelay(true);
    let peer = stream.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let big = DefaultPredicate::new().and(SizeAbove::new(COMPRESS_FROM));
    let routes = warp::service(args.routes.clone().into_filter());
    let service = TowerToHyperService::new(CompressionLayer::new().compress_when(big).layer(routes));
    let (closing, activity) = (args.connections.closing.clone(), Arc::new(Activity::now()));
    let seen = Arc::clone(&activity);
    let answer = service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(Connection { peer, closing: closing.clone() });
        let (answer, closing, seen) = (service.call(request), closing.clone(), Arc::clone(&seen));
        seen.touch();
        async move {
            let mut response = answer.await?;
            seen.touch();
            if closing.is_cancelled() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(args.policy.write_within));
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(args.policy.head_within)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), answer);
    args.connections.open.spawn(hold(http, slot, activity, args.connections.clone()));
}

/// When a connection was made, last asked or last answered.
struct Activity(Mutex<Instant>);

impl Activity {
    fn now() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    fn touch(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Returns once it has been quiet long enough.
    async fn quiet(&self) {
        loop {
            let last = self.last();
            // A process that got no time has not read what has long arrived: it sleeps once before it looks, since the
            // runtime asks the sockets before it ends a sleep.
            tokio::time::sleep_until((last + QUIET).max(Instant::now() + LOOK).into()).await;
            if self.last() == last {
                return;
            }
        }
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Io = TokioIo<Pin<Box<TimeoutStream<TcpStream>>>>;

/// Serves one connection to its end.
async fn hold<S>(
    http: http1::Connection<Io, S>,
    slot: Option<OwnedSemaphorePermit>,
    activity: Arc<Activity>,
    connections: Connections,
) where
    S: hyper::service::HttpService<Incoming, ResBody: 'static>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    <S::ResBody as hyper::body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let _slot = slot;
    let mut http = std::pin::pin!(http);
    let finish = async {
        connections.finish.cancelled().await;
        activity.quiet().await;
    };
    let ended = tokio::select! {
        biased;
        ended = http.as_mut() => ended,
        () = connections.abort.cancelled() => return,
        () = finish => {
            http.as_mut().graceful_shutdown();
            tokio::select! {
                ended = http => ended,
                () = connections.abort.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use actors::System;
    use tokio::sync::Notify;

    use super::*;
    use crate::accounts::Accounts;
    use crate::config::Secret;
    use crate::routes::{Access, HasAuth, Request, Response, Route, Settings};

    struct App {
        accounts: Accounts,
        secret: Secret,
        began: Notify,
        go_on: Notify,
    }

    impl HasAuth for App {
        fn accounts(&self) -> &Accounts {
            &self.accounts
        }

        fn service_secret(&self) -> &Secret {
            &self.secret
        }
    }

    #[tokio::test]
    async fn a_kill_closes_neither_the_listener_nor_a_connection() {
        let (accounts, secret) = (Accounts::new(1, 4, Default::default()), Secret::new("s"));
        let app = Arc::new(App { accounts, secret, began: Notify::new(), go_on: Notify::new() });
        let slow = |request: Request<App>| async move {
            request.app.began.notify_one();
            request.app.go_on.notified().await;
            Ok(Response::ok(&"done"))
        };
        let table = vec![
            Route::get("/", Access::Anyone, |_| async { Ok(Response::no_content()) }),
            Route::get("/slow", Access::Anyone, slow),
        ];
        let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let address = Address::new(MAILBOX);
        let routes = Routes::new("test", Arc::clone(&app), table, Settings::default());
        let http =
            spec("http", &address, listener, routes, Policy { drain: Duration::from_secs(5), ..Policy::default() });
        let system = System::start("test", vec![http]).await.unwrap();
        system.started().await;

        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let slow = tokio::spawn(client.get(format!("{url}/slow")).send());
        app.began.notified().await;
        address.kill();
        kit::until("it is started again", Duration::from_secs(5), async || match system.snapshot().totals.restarts {
            0 => Err("not yet".to_owned()),
            _ => Ok(()),
        })
        .await;
        assert_eq!(client.get(&url).send().await.unwrap().status(), 204);
        app.go_on.notify_one();
        assert_eq!(slow.await.unwrap().unwrap().text().await.unwrap(), "\"done\"");
        system.stop().await.unwrap();
        assert!(client.get(&url).send().await.unwrap_err().is_connect());
    }
}
