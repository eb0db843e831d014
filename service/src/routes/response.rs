//! What a handler answers.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::BoxStream;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use warp::Reply as _;

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
        use futures_util::StreamExt as _;
        let chunks = chunks.map(|chunk| chunk.map_err(|error| Box::new(error) as StreamError)).boxed();
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, JSON)]);
        Self { status: StatusCode::OK, headers, body: Body::Stream(SyncStream(Mutex::new(chunks))) }
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

    pub(super) fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    pub(super) fn into_warp(self) -> warp::reply::Response {
        let mut response = match self.body {
            Body::Whole(bytes) => warp::reply::Response::new(bytes.into()),
            Body::Stream(stream) => warp::reply::stream(stream).into_response(),
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
