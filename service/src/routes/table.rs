//! The folded table: finds the route, lets the caller in, reads the body, runs the handler, and finishes every answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use contract::problem as kind;
use futures_util::{FutureExt as _, Stream};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use tracing::Instrument as _;
use warp::Buf;

use super::cors::Cors;
use super::{HasAuth, Request, Response, Route, auth, body};
use crate::problem::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(super) struct Table<A> {
    service: &'static str,
    app: Arc<A>,
    paths: matchit::Router<Vec<Route<A>>>,
    cors: Cors,
}

impl<A: HasAuth> Table<A> {
    pub(super) fn new(service: &'static str, app: Arc<A>, routes: Vec<Route<A>>, cors: Cors) -> Self {
        let mut by_path: Vec<(&'static str, Vec<Route<A>>)> = Vec::new();
        for route in routes {
            match by_path.iter_mut().find(|(path, _)| *path == route.path) {
                Some((path, same)) => {
                    let double = same.iter().any(|other| other.method == route.method);
                    assert!(!double, "the route table has {} {path} twice", route.method);
                    same.push(route);
                }
                None => by_path.push((route.path, vec![route])),
            }
        }
        let mut paths = matchit::Router::new();
        for (path, routes) in by_path {
            if let Err(error) = paths.insert(pattern(path), routes) {
                panic!("the route table cannot have {path}: {error}");
            }
        }
        Self { service, app, paths, cors }
    }

    /// Answers one request; `tail` is its path below the mount, without a slash before it.
    pub(super) async fn answer<B: Buf, E>(
        &self,
        method: Method,
        tail: &str,
        query: String,
        headers: HeaderMap,
        body: impl Stream<Item = Result<B, E>> + Send,
    ) -> warp::reply::Response {
        let began = Instant::now();
        let path = format!("/{tail}");
        let found = self.paths.at(&path).ok();
        let route = found.as_ref().and_then(|found| found.value.first()).map_or("", |route| route.path);
        let id = request_id(&headers);
        let span = tracing::info_span!(
            "request",
            service = self.service,
            id,
            %method,
            route,
            status = tracing::field::Empty,
            duration_ms = tracing::field::Empty,
        );
        let mut response = async {
            let answer = match &found {
                Some(found) => self.dispatch(found, &method, query, &headers, &id, body).await,
                None => {
                    body::discard(&headers, body).await;
                    Err(Problem::not_found("There is nothing here."))
                }
            };
            let response = answer.unwrap_or_else(Response::from);
            let (status, duration_ms) = (response.status(), began.elapsed().as_secs_f64() * 1e3);
            let span = tracing::Span::current();
            span.record("status", status.as_u16()).record("duration_ms", duration_ms);
            // A line for each good answer would cost more than many of the answers: `RUST_LOG=service=debug` has them.
            if status.is_server_error() {
                tracing::warn!("answered");
            } else {
                tracing::debug!("answered");
            }
            response
        }
        .instrument(span)
        .await;
        self.cors.apply(&headers, &mut response);
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response.into_warp()
    }

    async fn dispatch<B: Buf, E>(
        &self,
        found: &matchit::Match<'_, '_, &Vec<Route<A>>>,
        method: &Method,
        query: String,
        headers: &HeaderMap,
        id: &str,
        body: impl Stream<Item = Result<B, E>> + Send,
    ) -> Result<Response, Problem> {
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        let Some(route) = found.value.iter().find(|route| route.method == *wanted) else {
            body::discard(headers, body).await;
            return other_method(found.value, method, headers);
        };
        let caller = match auth::authorize(&*self.app, route.access, headers).await {
            Ok(caller) => caller,
            Err(problem) => {
                body::discard(headers, body).await;
                return Err(problem);
            }
        };
        let body = body::read(headers, body).await?;
        let params = found.params.iter().map(|(name, value)| (name.to_owned(), decode(value))).collect();
        let request = Request {
            app: Arc::clone(&self.app),
            caller,
            method: wanted.clone(),
            headers: headers.clone(),
            id: id.to_owned(),
            params,
            query,
            body,
        };
        match AssertUnwindSafe(async { (route.handler)(request).await }).catch_unwind().await {
            Ok(answer) => answer,
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
                Err(Problem::internal(format!("a handler panicked: {text}")))
            }
        }
    }
}

/// `/orders/:id` as matchit writes it.
fn pattern(path: &str) -> String {
    let segments = path.split('/').map(|segment| match segment.strip_prefix(':') {
        Some(name) => format!("{{{name}}}"),
        None => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// The bytes behind `%XX`. What is not UTF-8 then names nothing, and stays as it is.
fn decode(segment: &str) -> String {
    if !segment.contains('%') {
        return segment.to_owned();
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%').then(|| tail.get(..2)).flatten();
        let escaped = escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).unwrap_or_else(|| segment.to_owned())
}

/// The path is there, but not for this method: a preflight, a question about methods, or a mistake.
fn other_method<A>(routes: &[Route<A>], method: &Method, headers: &HeaderMap) -> Result<Response, Problem> {
    let mut methods: Vec<&str> = routes.iter().map(|route| route.method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    let allow = HeaderValue::from_str(&methods.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"));
    if method != Method::OPTIONS {
        let detail = format!("{method} is not for this address.");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let problem = Problem::new(kind::METHOD_NOT_ALLOWED, status, "Method not allowed", detail);
        return Err(problem.header(header::ALLOW, allow));
    }
    let mut response = Response::no_content();
    if headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        Cors::preflight(&allow, &mut response);
    }
    response.headers_mut().insert(header::ALLOW, allow);
    Ok(response)
}

/// The caller's id for the request where it is short and plain, so that a chain of services can be followed by one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let plain = |id: &&str| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    given.filter(plain).map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned)
}
