//! Answers that say what went wrong, and the errors of this crate turned into them.

use std::fmt;

use actors::{AskError, BatchError, Failure, Refused};
use contract::problem as kind;
use contract::{FieldError, Shortfall, StockRow};
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use sea_orm::DbErr;
use serde::Serialize;

use crate::database;

/// Seconds after which a client that was turned away may come back.
const RETRY_AFTER_SECONDS: u32 = 1;

/// A refusal or failure as problem details (RFC 9457), with the headers that go with it.
#[derive(Debug, Clone)]
pub struct Problem {
    body: Box<contract::Problem>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of a kind of its own; `kind` is a constant of [`contract::problem`], `title` the same for all of the kind.
    pub fn new(kind: &str, status: StatusCode, title: &str, detail: impl fmt::Display) -> Self {
        let body = contract::Problem::new(kind, title, status.as_u16(), detail.to_string());
        Self { body: Box::new(body), headers: Vec::new() }
    }

    /// 400: the body is no JSON.
    pub fn malformed(detail: impl fmt::Display) -> Self {
        Self::new(kind::MALFORMED_BODY, StatusCode::BAD_REQUEST, "Malformed body", detail)
    }

    /// 401. The route table adds `WWW-Authenticate`.
    pub fn unauthorized(detail: impl fmt::Display) -> Self {
        Self::new(kind::UNAUTHORIZED, StatusCode::UNAUTHORIZED, "Unauthorized", detail)
    }

    /// 403.
    pub fn forbidden(detail: impl fmt::Display) -> Self {
        Self::new(kind::FORBIDDEN, StatusCode::FORBIDDEN, "Forbidden", detail)
    }

    /// 404.
    pub fn not_found(detail: impl fmt::Display) -> Self {
        Self::new(kind::NOT_FOUND, StatusCode::NOT_FOUND, "Not found", detail)
    }

    /// 409 of the given kind.
    pub fn conflict(kind: &str, title: &str, detail: impl fmt::Display) -> Self {
        Self::new(kind, StatusCode::CONFLICT, title, detail)
    }

    /// 412: the thing is no longer what the client saw.
    pub fn precondition_failed(detail: impl fmt::Display) -> Self {
        Self::new(kind::PRECONDITION_FAILED, StatusCode::PRECONDITION_FAILED, "Precondition failed", detail)
    }

    /// 415, naming what the body may be.
    pub fn unsupported_media_type(expected: impl fmt::Display) -> Self {
        let detail = format!("The body must be {expected}.");
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(kind::UNSUPPORTED_MEDIA_TYPE, status, "Unsupported media type", detail)
    }

    /// 429 with `Retry-After`.
    pub fn too_many_requests(detail: impl fmt::Display, retry_after_seconds: u64) -> Self {
        Self::new(kind::TOO_MANY_REQUESTS, StatusCode::TOO_MANY_REQUESTS, "Too many requests", detail)
            .header(header::RETRY_AFTER, HeaderValue::from(retry_after_seconds.max(1)))
    }

    /// 422, naming every wrong member.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect::<Vec<_>>();
        let mut problem =
            Self::new(kind::INVALID, StatusCode::UNPROCESSABLE_ENTITY, "Invalid request", detail.join("; "));
        problem.body.errors = errors;
        problem
    }

    /// 422 for a single member.
    pub fn invalid_field(field: impl Into<String>, message: impl fmt::Display) -> Self {
        Self::invalid(vec![FieldError { field: field.into(), message: message.to_string() }])
    }

    /// 500 without any detail: that belongs in the log, where `cause` goes.
    pub fn internal(cause: impl fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        Self::new(
            kind::INTERNAL,
            StatusCode::INTERNAL_SERVER_ERROR,
            "Internal error",
            "Something went wrong here. The log has it under the x-request-id of this answer.",
        )
    }

    /// 503 with `Retry-After`: nothing was done.
    pub fn unavailable(detail: impl fmt::Display) -> Self {
        Self::new(kind::UNAVAILABLE, StatusCode::SERVICE_UNAVAILABLE, "Unavailable", detail)
            .header(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))
    }

    /// 504: it may have happened.
    pub fn outcome_unknown(detail: impl fmt::Display) -> Self {
        Self::new(kind::OUTCOME_UNKNOWN, StatusCode::GATEWAY_TIMEOUT, "Outcome unknown", detail)
    }

    /// Adds a member of the kind's own.
    pub fn with(mut self, member: &str, value: impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => {
                self.body.extra.insert(member.to_owned(), value);
            }
            Err(error) => tracing::error!(member, %error, "a member of a problem has no JSON"),
        }
        self
    }

    /// Adds what there is too little of.
    pub fn shortfalls(mut self, shortfalls: Vec<Shortfall>) -> Self {
        self.body.shortfalls = shortfalls;
        self
    }

    /// Adds the rows of the books asked for.
    pub fn stock(mut self, stock: Vec<StockRow>) -> Self {
        self.body.stock = stock;
        self
    }

    /// Adds the database that answers.
    pub fn database_id(mut self, id: contract::DatabaseId) -> Self {
        self.body.database_id = Some(id);
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds a header whose value is made here; one that HTTP cannot carry is left out.
    pub fn header_text(self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => self.header(name, value),
            Err(_) => self,
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.body.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What goes on the wire.
    pub fn body(&self) -> &contract::Problem {
        &self.body
    }

    /// The headers that go with it.
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }
}

impl From<Refused> for Problem {
    fn from(_: Refused) -> Self {
        Self::unavailable("Starting, stopping or busy; nothing was done.")
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Refused => Refused.into(),
            AskError::Lost | AskError::Timeout => {
                Self::outcome_unknown("No answer in time. It may have happened: look before you repeat it.")
            }
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        if failure.is_unavailable() {
            Self::unavailable("Something that this needs is away; nothing was done.")
        } else {
            Self::internal(failure.reason())
        }
    }
}

impl From<BatchError> for Problem {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Failed(cause) => Self::internal(cause),
            BatchError::Unavailable(_) => AskError::Timeout.into(),
        }
    }
}

impl From<DbErr> for Problem {
    fn from(error: DbErr) -> Self {
        if database::is_unavailable(&error) {
            Self::unavailable("The database is away.")
        } else {
            Self::internal(error)
        }
    }
}

/// Collects what is wrong with a request, so that all of it is told at once.
#[derive(Debug, Default)]
pub struct Validation(Vec<FieldError>);

impl Validation {
    /// Nothing wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes `message` about `field` unless `ok`.
    pub fn check(&mut self, ok: bool, field: impl Into<String>, message: impl fmt::Display) -> &mut Self {
        if !ok {
            self.push(field, message);
        }
        self
    }

    /// Notes `message` about `field`.
    pub fn push(&mut self, field: impl Into<String>, message: impl fmt::Display) {
        self.0.push(FieldError { field: field.into(), message: message.to_string() });
    }

    /// # Errors
    /// 422 with everything that was noted.
    pub fn finish(&mut self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::invalid(std::mem::take(&mut self.0))) }
    }
}
