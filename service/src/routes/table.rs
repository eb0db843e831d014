//! The folded table: finds the route, lets the caller in, reads the body, runs the handler, and finishes every answer.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use contract::problem as kind;
use futures_util::{FutureExt as _, Stream};
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use ipnet::IpNet;
use tracing::Instrument as _;
use warp::Buf;

use super::body::Whole;
use super::cors::Cors;
use super::limits::Load;
use super::trace::REQUEST_ID;
use super::{Connection, HasAuth, Request, Response, Route, Settings, Trace, auth, body, client, security};
use crate::audit;
use crate::metrics;
use crate::problem::Problem;

pub(super) struct Table<A> {
    service: Arc<str>,
    app: Arc<A>,
    paths: matchit::Router<Vec<Route<A>>>,
    cors: Cors,
    trusted_proxies: Vec<IpNet>,
    load: Load,
}

/// All of a request but its body.
pub(super) struct Head {
    pub(super) method: Method,
    /// Below the mount.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) connection: Connection,
}

impl<A: HasAuth> Table<A> {
    pub(super) fn new(service: &str, app: Arc<A>, routes: Vec<Route<A>>, settings: Settings) -> Self {
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
        let Settings { origins, trusted_proxies, limits } = settings;
        Self { service: service.into(), app, paths, cors: Cors(origins), trusted_proxies, load: Load::new(limits) }
    }

    /// Answers one request.
    pub(super) async fn answer<B: Buf + Send + 'static, E: Send + 'static>(
        &self,
        head: Head,
        body: impl Stream<Item = Result<B, E>> + Send + 'static,
    ) -> warp::reply::Response {
        let began = Instant::now();
        let found = self.paths.at(&head.path).ok();
        let route = found.as_ref().and_then(|found| found.value.first()).map_or("", |route| route.path);
        let trace = Trace::of(&head.headers);
        let span = tracing::info_span!(
            "request",
            service = &*self.service,
            id = trace.request_id(),
            trace = trace.trace_id(),
            method = %head.method,
            route,
            status = tracing::field::Empty,
            duration_ms = tracing::field::Empty,
        );
        let mut response = async {
            let answer = match &found {
                Some(found) => self.dispatch(found, &head, &trace, body).await,
                None => {
                    body::discard(&head.headers, body).await;
                    Err(Problem::not_found("There is nothing here."))
                }
            };
            let response = answer.unwrap_or_else(Response::from);
            let (status, took) = (response.status(), began.elapsed());
            metrics::answered(&self.service, &head.method, route, status.as_u16(), took);
            let span = tracing::Span::current();
            span.record("status", status.as_u16()).record("duration_ms", took.as_secs_f64() * 1e3);
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
        self.cors.apply(&head.headers, &mut response);
        security::apply(&head, &mut response);
        if let Ok(id) = HeaderValue::from_str(trace.request_id()) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response.into_warp()
    }

    async fn dispatch<B: Buf + Send + 'static, E: Send + 'static>(
        &self,
        found: &matchit::Match<'_, '_, &Vec<Route<A>>>,
        head: &Head,
        trace: &Trace,
        body: impl Stream<Item = Result<B, E>> + Send + 'static,
    ) -> Result<Response, Problem> {
        let Head { method, headers, connection, .. } = head;
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        let Some(route) = found.value.iter().find(|route| route.method == *wanted) else {
            body::discard(headers, body).await;
            return other_method(found.value, method, headers);
        };
        let client = client::client(connection.peer, headers, &self.trusted_proxies);
        let caller = match auth::authorize(&*self.app, route.access, client, headers).await {
            Ok(caller) => caller,
            Err(problem) => {
                body::discard(headers, body).await;
                return Err(problem);
            }
        };
        let limit = route.body_limit.unwrap_or(self.load.limits.body);
        let mut request = Request {
            app: Arc::clone(&self.app),
            caller,
            method: wanted.clone(),
            headers: headers.clone(),
            trace: trace.clone(),
            client,
            params: found.params.iter().map(|(name, value)| (name.to_owned(), decode(value))).collect(),
            query: head.query.clone(),
            body: Whole::default(),
            stream: Mutex::default(),
        };
        if route.streams_body {
            if let Err(problem) = route.expect_media_type(&request) {
                body::discard(headers, body).await;
                return Err(problem);
            }
            request.stream = Mutex::new(Some(body::stream(headers, limit, &self.load.limits, body)?));
        } else {
            request.body = body::read(headers, limit, &self.load.limits, self.load.memory(), body).await?;
        }
        // Not before the body is here: who sends slowly must not take the place of who is to be answered.
        let _place = self.load.enter()?;
        let noted = audit::requested(self.app.audit(), route.path, &head.path, &request).await?;
        let answer = handle(route, request).await;
        if let Some(noted) = noted {
            noted.answered(answer.as_ref().map_or_else(Problem::status, Response::status)).await;
        }
        let answer = answer?.opened(&self.load, connection.closing.clone())?;
        Ok(if route.is_safe() { answer.revalidated(headers) } else { answer })
    }
}

/// Runs a handler; its panic is an answer like another.
async fn handle<A>(route: &Route<A>, request: Request<A>) -> Result<Response, Problem> {
    AssertUnwindSafe(async { (route.handler)(request).await }).catch_unwind().await.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Problem::internal(format!("a handler panicked: {text}")))
    })
}

impl<A> Route<A> {
    fn expect_media_type(&self, request: &Request<A>) -> Result<(), Problem> {
        let said = request.media_type();
        let mut taken = self.description.body.iter().map(|(media_type, _)| *media_type);
        if taken.any(|media_type| media_type == said) {
            return Ok(());
        }
        let taken: Vec<_> = self.description.body.iter().map(|(media_type, _)| *media_type).collect();
        Err(Problem::unsupported_media_type(taken.join(" or ")))
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
