//! A service's URL table as data, folded into one warp filter.
//!
//! A route says its method, its path, who may use it and who answers. From the table come 404, 405 with `Allow`, HEAD,
//! authentication, the body limit, CORS, the request's id and its span. Handlers parse, ask one actor, and answer.
//!
//! ```
//! use std::sync::Arc;
//! use service::problem::Problem;
//! use service::routes::{Access, HasAuth, Request, Response, Route, Routes};
//!
//! async fn hello<A>(request: Request<A>) -> Result<Response, Problem> {
//!     let name: String = request.param("name")?;
//!     Ok(Response::ok(&format!("hello {name}")))
//! }
//!
//! fn table<A: HasAuth>() -> Vec<Route<A>> {
//!     vec![Route::get("/hello/:name", Access::Anyone, hello)]
//! }
//!
//! fn filter<A: HasAuth>(app: Arc<A>) -> Routes {
//!     Routes::mounted(Routes::new("greeter", app, table()), "/greeter")
//! }
//! ```

mod auth;
mod body;
pub mod client;
mod cors;
mod request;
mod response;
mod table;

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::Method;
use warp::Filter as _;
use warp::filters::BoxedFilter;

pub use auth::{Access, HasAuth};
pub use request::{Caller, Page, Request};
pub use response::Response;

use crate::problem::Problem;

type Handler<A> = Arc<dyn Fn(Request<A>) -> BoxFuture<'static, Result<Response, Problem>> + Send + Sync>;

/// One line of the URL table.
pub struct Route<A> {
    /// The method. GET answers HEAD too.
    pub method: Method,
    /// The path, with parameters as `/orders/:id`.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    handler: Handler<A>,
}

impl<A> Clone for Route<A> {
    fn clone(&self) -> Self {
        Self { method: self.method.clone(), path: self.path, access: self.access, handler: Arc::clone(&self.handler) }
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
            Self { method: Method::$method, path, access, handler: Arc::new(move |request| handler(request).boxed()) }
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
}

/// A service's routes as one warp filter, which answers whatever reaches it.
#[derive(Clone)]
pub struct Routes(BoxedFilter<(warp::reply::Response,)>);

impl Routes {
    /// Folds a table for the service of this name, open to browsers of any origin.
    ///
    /// # Panics
    /// When two lines of the table contradict each other.
    pub fn new<A: HasAuth>(service: &'static str, app: Arc<A>, table: Vec<Route<A>>) -> Self {
        Self::with_origins(service, app, table, Vec::new())
    }

    /// As [`Routes::new`], for browsers of the listed origins; none listed is any.
    ///
    /// # Panics
    /// When two lines of the table contradict each other.
    pub fn with_origins<A: HasAuth>(
        service: &'static str,
        app: Arc<A>,
        table: Vec<Route<A>>,
        origins: Vec<String>,
    ) -> Self {
        let table = Arc::new(table::Table::new(service, app, table, cors::Cors(origins)));
        let query = warp::query::raw().or(warp::any().map(String::new)).unify();
        let filter = warp::method()
            .and(warp::path::tail())
            .and(query)
            .and(warp::header::headers_cloned())
            .and(warp::body::stream())
            .then(move |method, tail: warp::path::Tail, query, headers, body| {
                let table = Arc::clone(&table);
                async move { table.answer(method, tail.as_str(), query, headers, body).await }
            });
        Self(filter.boxed())
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
