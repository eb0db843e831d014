//! A service's URL table as data, folded into one warp filter.
//!
//! A route says its method, its path, who may use it, who answers, and what it reads and answers. From the table come
//! 404, 405 with `Allow`, HEAD, authentication, the limits, entity tags, CORS, security headers, the request's id, trace
//! and span, and OpenAPI. Handlers parse, ask one actor, and answer.
//!
//! ```
//! use std::sync::Arc;
//! use service::problem::Problem;
//! use service::routes::{Access, HasAuth, Request, Response, Route, Routes, Settings};
//!
//! async fn hello<A>(request: Request<A>) -> Result<Response, Problem> {
//!     let name: String = request.param("name")?;
//!     Ok(Response::ok(&format!("hello {name}")))
//! }
//!
//! fn table<A: HasAuth>() -> Vec<Route<A>> {
//!     vec![Route::get("/hello/:name", Access::Anyone, hello).summary("Say hello").answers::<String>(200, "A greeting")]
//! }
//!
//! fn filter<A: HasAuth>(app: Arc<A>) -> Routes {
//!     Routes::mounted(Routes::new("greeter", app, table(), Settings::default()), "/greeter")
//! }
//! ```

mod auth;
mod body;
pub mod client;
mod conditional;
mod cors;
pub(crate) mod describe;
mod events;
mod limits;
mod request;
mod response;
mod security;
mod table;
mod trace;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::Method;
use ipnet::IpNet;
use tokio_util::sync::CancellationToken;
use warp::Filter as _;
use warp::filters::BoxedFilter;

pub use auth::{Access, HasAuth};
pub use body::BodyStream;
pub use events::Event;
pub use limits::Limits;
pub use request::{Caller, Page, Request};
pub use response::Response;
pub use trace::Trace;

use crate::problem::Problem;
use describe::Description;

type Handler<A> = Arc<dyn Fn(Request<A>) -> BoxFuture<'static, Result<Response, Problem>> + Send + Sync>;

/// One line of the URL table.
pub struct Route<A> {
    /// The method. GET answers HEAD too.
    pub method: Method,
    /// The path, with parameters as `/orders/:id`.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    pub(crate) description: Description,
    /// The most bytes of a body, where it is not the service's.
    body_limit: Option<usize>,
    streams_body: bool,
    handler: Handler<A>,
}

impl<A> Clone for Route<A> {
    fn clone(&self) -> Self {
        Self {
            method: self.method.clone(),
            path: self.path,
            access: self.access,
            description: self.description.clone(),
            body_limit: self.body_limit,
            streams_body: self.streams_body,
            handler: Arc::clone(&self.handler),
        }
    }
}

macro_rules! methods {
    ($($name:ident = $method:ident;)*) => {$(
        #[doc = concat!("A route for ", stringify!($method), ".")]
        pub fn $name<H, F>(path: &'static str, access: Access, handler: H) -> Self
        where
            H: Fn(Request<A>) -> F + Send + Sync + 'static,
            F: Future<Output = Result<Response, Problem>> + Send + 'static,
        {
            Self {
                method: Method::$method,
                path,
                access,
                description: Description::default(),
                body_limit: None,
                streams_body: false,
                handler: Arc::new(move |request| handler(request).boxed()),
            }
        }
    )*};
}

impl<A> Route<A> {
    methods! {
        get = GET;
        post = POST;
        put = PUT;
        patch = PATCH;
        delete = DELETE;
    }

    /// It takes bodies of so many bytes.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = Some(bytes);
        self
    }

    /// It takes the body as it arrives, see [`Request::take_body`], of one of these media types; any other is 415.
    #[must_use]
    pub fn streaming(mut self, media_types: &'static [&'static str]) -> Self {
        self.streams_body = true;
        self.media_body(media_types);
        self
    }
}

/// What a service's routes are served under.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The origins that browsers may call from; none listed is any.
    pub origins: Vec<String>,
    /// The proxies whose word on a client's address counts.
    pub trusted_proxies: Vec<IpNet>,
    /// The bounds of what is taken on at once.
    pub limits: Limits,
}

/// The connection that a request came by, as the server says of it.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// Who is at its other end.
    pub(crate) peer: IpAddr,
    /// Fires when the server is being stopped.
    pub(crate) closing: CancellationToken,
}

impl Default for Connection {
    fn default() -> Self {
        Self { peer: Ipv4Addr::UNSPECIFIED.into(), closing: CancellationToken::new() }
    }
}

/// A service's routes as one warp filter, which answers whatever reaches it.
#[derive(Clone)]
pub struct Routes(BoxedFilter<(warp::reply::Response,)>);

impl Routes {
    /// Folds a table for the service of this name.
    ///
    /// # Panics
    /// When two lines of the table contradict each other.
    pub fn new<A: HasAuth>(service: &str, app: Arc<A>, table: Vec<Route<A>>, settings: Settings) -> Self {
        let table = Arc::new(table::Table::new(service, app, table, settings));
        let query = warp::query::raw().or(warp::any().map(String::new)).unify();
        let filter = warp::method()
            .and(warp::path::tail())
            .and(query)
            .and(warp::header::headers_cloned())
            .and(warp::ext::optional::<Connection>())
            .and(warp::body::stream())
            .then(move |method, tail: warp::path::Tail, query, headers, connection: Option<Connection>, body| {
                let (table, connection) = (Arc::clone(&table), connection.unwrap_or_default());
                async move {
                    let head = table::Head { method, path: format!("/{}", tail.as_str()), query, headers, connection };
                    table.answer(head, body).await
                }
            });
        Self(filter.boxed())
    }

    /// A filter of its own making.
    pub(crate) fn from(filter: BoxedFilter<(warp::reply::Response,)>) -> Self {
        Self(filter)
    }

    /// The same under a prefix such as `/warehouses/alpha`; other paths are left to [`Routes::or`].
    pub fn mounted(self, prefix: &str) -> Self {
        let segments = prefix.split('/').filter(|segment| !segment.is_empty());
        segments.rev().fold(self, |routes, segment| Self(warp::path(segment.to_owned()).and(routes.0).boxed()))
    }

    /// What another filter answers where this one's prefix does not match.
    pub fn or(self, other: Routes) -> Self {
        Self(self.0.or(other.0).unify().boxed())
    }

    /// The filter itself.
    pub fn into_filter(self) -> BoxedFilter<(warp::reply::Response,)> {
        self.0
    }
}
