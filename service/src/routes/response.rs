//! What a handler answers.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use warp::Reply as _;

use super::conditional;
use super::events::{self, Event};
use super::limits::Load;
use crate::problem::Problem;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// An answer: a status, headers, and a body of JSON, text or a stream.
pub struct Response {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
}

enum Body {
    Whole(Bytes),
    Stream(SyncStream),
    /// Yet to be given its place among the open streams.
    Events(BoxStream<'static, Event>),
}

impl Response {
    /// Any status with a JSON body.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(json) => Self::bytes(status, JSON, json),
            Err(error) => Problem::internal(error).into(),
        }
    }

    /// 200 with a JSON body.
    pub fn ok(body: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// 201 with a JSON body, and a `Location` where the new thing has an address. That is relative to the request, since
    /// a proxy may have stripped a prefix: `orders/<id>` for a POST to `/orders`.
    pub fn created(body: &impl Serialize, location: Option<&str>) -> Self {
        let response = Self::json(StatusCode::CREATED, body);
        match location {
            Some(location) => response.header(header::LOCATION, location),
            None => response,
        }
    }

    /// 202 with a JSON body, and where to look for how it went on; relative as in [`Response::created`].
    pub fn accepted(body: &impl Serialize, location: &str) -> Self {
        Self::json(StatusCode::ACCEPTED, body).header(header::LOCATION, location)
    }

    /// 204.
    pub fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: HeaderMap::new(), body: Body::Whole(Bytes::new()) }
    }

    /// A body of any type.
    pub fn bytes(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type)]);
        Self { status, headers, body: Body::Whole(body.into()) }
    }

    /// 200 with JSON that is made while it is sent. A failure on the way cuts the connection, so that nobody takes half
    /// for the whole.
    pub fn stream<E>(chunks: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let chunks = chunks.map(|chunk| chunk.map_err(|error| Box::new(error) as StreamError)).boxed();
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, JSON)]);
        Self { status: StatusCode::OK, headers, body: Body::Stream(SyncStream(Mutex::new(chunks))) }
    }

    /// 200 with server-sent events. What keeps the stream open and bounded is seen to: it ends with its events, or when the
    /// service stops.
    pub fn events(events: impl Stream<Item = Event> + Send + 'static) -> Self {
        let headers = HeaderMap::from_iter([
            (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            // Without this, nginx keeps events back until it has some kilobytes of them.
            (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        ]);
        Self { status: StatusCode::OK, headers, body: Body::Events(events.boxed()) }
    }

    /// Sets a header; a value that HTTP cannot carry is left out.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => {
                self.headers.insert(name, value);
            }
            Err(error) => tracing::warn!(%name, %error, "a header was left out"),
        }
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Gives a stream of events its place; any other answer stays as it is.
    ///
    /// # Errors
    /// 503 when too many are open.
    pub(super) fn opened(mut self, load: &Load, closing: CancellationToken) -> Result<Self, Problem> {
        if let Body::Events(events) = self.body {
            let bytes = events::bytes(events, closing, load.stream()?);
            self.body = Body::Stream(SyncStream(Mutex::new(bytes.map(|chunk| Ok(chunk?)).boxed())));
        }
        Ok(self)
    }

    /// Names a good answer's body, unless the handler did, and leaves it out where the client has the same already. What is
    /// streamed has only the name that its handler gave it.
    pub(super) fn revalidated(mut self, request: &HeaderMap) -> Self {
        if self.status != StatusCode::OK {
            return self;
        }
        if !self.headers.contains_key(header::ETAG) {
            let Body::Whole(bytes) = &self.body else { return self };
            let tag = conditional::tag_of(bytes);
            self = self.header(header::ETAG, &tag);
        }
        let tag = self.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
        if conditional::is_known(request, tag) {
            self.status = StatusCode::NOT_MODIFIED;
            self.headers.remove(header::CONTENT_TYPE);
            self.body = Body::Whole(Bytes::new());
        }
        self
    }

    pub(super) fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    pub(super) fn into_warp(self) -> warp::reply::Response {
        let mut response = match self.body {
            Body::Whole(bytes) => warp::reply::Response::new(bytes.into()),
            Body::Stream(stream) => warp::reply::stream(stream).into_response(),
            Body::Events(_) => warp::reply::Response::default(),
        };
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        let body = serde_json::to_vec(problem.body()).unwrap_or_default();
        let mut response = Self::bytes(problem.status(), PROBLEM_JSON, body);
        for (name, value) in problem.headers() {
            response.headers.append(name, value.clone());
        }
        response
    }
}

type StreamError = Box<dyn std::error::Error + Send + Sync>;

/// warp asks for streams that are `Sync`; a mutex that is never locked makes one of any.
struct SyncStream(Mutex<BoxStream<'static, Result<Bytes, StreamError>>>);

impl Stream for SyncStream {
    type Item = Result<Bytes, StreamError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().0.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll_next(context)
    }
}
