//! Warehouses: their registration, and how they stand.

use std::time::Duration;

use contract::{FieldError, Registration, problem};
use service::problem::Problem;
use service::routes::{Request, Response};

use super::ASK_LIMIT;
use crate::actors::warehouses::registry::{self, RegisterError};
use crate::app::App;

/// Longer than the registry waits for its database.
const REGISTER_LIMIT: Duration = Duration::from_secs(20);
const NAME_LIMIT: usize = 64;
const URL_LIMIT: usize = 2_048;

pub(super) async fn list(request: Request<App>) -> Result<Response, Problem> {
    let ask = request.app.addresses.registry.ask(ASK_LIMIT, |reply| registry::Msg::List { reply });
    Ok(Response::ok(&ask.await?))
}

pub(super) async fn register(request: Request<App>) -> Result<Response, Problem> {
    let registration: Registration = request.json()?;
    validate(&registration)?;
    let registry = &request.app.addresses.registry;
    match registry.ask(REGISTER_LIMIT, |reply| registry::Msg::Register { registration, reply }).await? {
        Ok(registered) => Ok(Response::created(&registered, None)),
        Err(error @ RegisterError::Stranger { .. }) => {
            Err(Problem::conflict(problem::WAREHOUSE_IDENTITY, "Another database", error))
        }
        Err(error @ RegisterError::Unavailable(_)) => {
            tracing::warn!(%error, "a warehouse was not registered");
            Err(Problem::unavailable("The registration could not be saved."))
        }
    }
}

fn validate(registration: &Registration) -> Result<(), Problem> {
    let Registration { name, url, internal_url, .. } = registration;
    let mut errors = Vec::new();
    let mut wrong = |field: &str, message: String| errors.push(FieldError { field: field.to_owned(), message });
    // A name is part of an actor's path and, quoted, of a URL's.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > NAME_LIMIT || !name.bytes().all(plain) {
        wrong("name", format!("must be 1 to {NAME_LIMIT} letters, digits, hyphens, underscores and dots"));
    }
    for (field, url) in [("url", url), ("internalUrl", internal_url)] {
        if !is_http_url(url) {
            wrong(field, format!("must be an http or https URL of at most {URL_LIMIT} characters"));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::invalid(errors)) }
}

fn is_http_url(text: &str) -> bool {
    text.len() <= URL_LIMIT
        && reqwest::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}
