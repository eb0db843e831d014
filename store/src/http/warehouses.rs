//! Warehouses: their registration, and how they stand.

use std::time::Duration;

use contract::{FieldError, PatchWarehouse, Registration, problem};
use service::problem::Problem;
use service::routes::{Request, Response};

use super::ASK_LIMIT;
use crate::actors::warehouses::registry::{self, AdminError, RegisterError};
use crate::app::App;

/// Longer than the registry waits for its database.
const REGISTER_LIMIT: Duration = Duration::from_secs(20);
/// Longer than the registry waits for the warehouse's actors and its database.
const ADMIN_LIMIT: Duration = Duration::from_secs(50);
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

pub(super) async fn amend(request: Request<App>) -> Result<Response, Problem> {
    let (name, patch) = (request.param("name")?, request.json::<PatchWarehouse>()?);
    let ask = request.app.addresses.registry.ask(ADMIN_LIMIT, |reply| registry::Msg::Amend { name, patch, reply });
    ask.await?.map(|view| Response::ok(&view)).map_err(refusal)
}

pub(super) async fn delete(request: Request<App>) -> Result<Response, Problem> {
    let name = request.param("name")?;
    let ask = request.app.addresses.registry.ask(ADMIN_LIMIT, |reply| registry::Msg::Delete { name, reply });
    ask.await?.map(|()| Response::no_content()).map_err(refusal)
}

fn refusal(error: AdminError) -> Problem {
    match error {
        AdminError::Unknown => Problem::not_found("There is no such warehouse."),
        AdminError::OpenShipments => {
            let detail = "It has open shipments: disable it, and delete it when they have ended.";
            Problem::conflict(problem::CONFLICT, "Open shipments", detail)
        }
        AdminError::Unavailable(reason) => {
            tracing::warn!(reason, "a warehouse was not changed");
            Problem::unavailable("The warehouse could not be changed just now.")
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
