//! The store as a warehouse sees it.

use std::time::Duration;

use contract::{BookId, OrderId, Problem, Registered, Registration};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Response, StatusCode, Url, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use service::config::{ConfigError, Secret};

use crate::db::titles::Titled;
use crate::domain::delivery::{self, Attempt};

/// How long a call may take. A store that is slower is asked again: both calls may be repeated.
pub const CALL_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// How much of an answer that is no problem goes into a message.
const EXCERPT: usize = 200;

/// Why there is no registration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The store knows this name with another database (R19): a person must accept it.
    #[error("the store knows this warehouse with another database: {0}")]
    OtherIdentity(String),
    /// The store refuses.
    #[error("the store refuses: {0}")]
    Refused(String),
    /// No answer.
    #[error("the store does not answer: {0}")]
    Unanswered(String),
}

/// What a warehouse asks of the store.
pub trait StoreApi: Send + Sync {
    /// Makes itself known.
    fn register(&self, registration: Registration) -> BoxFuture<'static, Result<Registered, RegisterError>>;
    /// Tells that a shipment of this order has left; `body` is a `contract::Confirmation`.
    fn confirm(&self, order: OrderId, body: String) -> BoxFuture<'static, Attempt>;
    /// What these books are called, at most a hundred; those that are not on sale are left out. Nobody needs credentials for that.
    fn titles(&self, books: Vec<BookId>) -> BoxFuture<'static, Result<Vec<Titled>, String>>;
    /// Where it is.
    fn address(&self) -> String;
}

/// The store over HTTP.
#[derive(Clone, Debug)]
pub struct StoreClient {
    http: reqwest::Client,
    base: Url,
    secret: Secret,
}

impl StoreClient {
    /// A client of the store at `store_url`, such as `http://store:3000` or `http://host/store`.
    ///
    /// # Errors
    /// When that is no HTTP URL.
    pub fn new(store_url: &str, secret: Secret) -> Result<Self, ConfigError> {
        let invalid = |message: String| ConfigError::invalid("store_api_url", message);
        let mut base = Url::parse(store_url).map_err(|error| invalid(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(invalid("expected http://…".to_owned()));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(CALL_WITHIN)
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        Ok(Self { http, base, secret })
    }

    async fn post(&self, path: &str, body: String) -> Result<Response, String> {
        let url = self.base.join(path).map_err(|error| error.to_string())?;
        let request = self.http.post(url).bearer_auth(self.secret.expose());
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body);
        request.send().await.map_err(|error| with_causes(&error))
    }
}

impl StoreApi for StoreClient {
    fn register(&self, registration: Registration) -> BoxFuture<'static, Result<Registered, RegisterError>> {
        let client = self.clone();
        async move {
            ::actors::fault::point("call:register").await;
            let body =
                serde_json::to_string(&registration).map_err(|error| RegisterError::Refused(error.to_string()))?;
            let response = client.post("warehouses/register", body).await.map_err(RegisterError::Unanswered)?;
            let status = response.status();
            if status.is_success() {
                return read(response).await.map_err(RegisterError::Unanswered);
            }
            let problem = problem(response).await;
            let told = format!("{status}: {}", problem.detail);
            Err(match status {
                StatusCode::CONFLICT if problem.kind == contract::problem::WAREHOUSE_IDENTITY => {
                    RegisterError::OtherIdentity(told)
                }
                _ if status.is_client_error() => RegisterError::Refused(told),
                _ => RegisterError::Unanswered(told),
            })
        }
        .boxed()
    }

    fn confirm(&self, order: OrderId, body: String) -> BoxFuture<'static, Attempt> {
        let client = self.clone();
        async move {
            ::actors::fault::point("call:confirm").await;
            match client.post(&format!("orders/{order}/status"), body).await {
                Ok(response) if response.status().is_success() => Attempt::Taken,
                Ok(response) => {
                    let status = response.status().as_u16();
                    delivery::judge(status, &problem(response).await.detail)
                }
                Err(reason) => Attempt::Unanswered(reason),
            }
        }
        .boxed()
    }

    fn titles(&self, books: Vec<BookId>) -> BoxFuture<'static, Result<Vec<Titled>, String>> {
        let client = self.clone();
        async move {
            ::actors::fault::point("call:titles").await;
            let ids: Vec<_> = books.iter().map(BookId::to_string).collect();
            let query = [("limit", books.len().max(1).to_string()), ("ids", ids.join(","))];
            let url = client.base.join("books").map_err(|error| error.to_string())?;
            let response = client.http.get(url).query(&query).send().await.map_err(|error| with_causes(&error))?;
            let status = response.status();
            if !status.is_success() {
                return Err(format!("{status}: {}", problem(response).await.detail));
            }
            let found: Vec<Found> = read(response).await?;
            let titled = |Found { id, title, author }| Titled { book_id: id, title, author };
            Ok(found.into_iter().map(titled).collect())
        }
        .boxed()
    }

    fn address(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }
}

/// A book of the store's, as far as a warehouse cares.
#[derive(Deserialize)]
struct Found {
    id: BookId,
    title: String,
    author: String,
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T, String> {
    let body = response.bytes().await.map_err(|error| with_causes(&error))?;
    serde_json::from_slice(&body).map_err(|error| format!("an answer that cannot be read: {error}"))
}

/// What the store says is wrong, or the beginning of what came instead.
async fn problem(response: Response) -> Problem {
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap_or_default();
    serde_json::from_slice(&body).unwrap_or_else(|_| {
        let excerpt: String = String::from_utf8_lossy(&body).chars().take(EXCERPT).collect();
        Problem::new("about:blank", "", status, excerpt)
    })
}

/// reqwest's own message says only that a request failed.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_in_the_address_is_kept() {
        for (url, expected) in [
            ("http://store:3000", "http://store:3000/orders/x"),
            ("http://store:3000/", "http://store:3000/orders/x"),
            ("http://127.0.0.1:8080/store", "http://127.0.0.1:8080/store/orders/x"),
        ] {
            let client = StoreClient::new(url, Secret::new("s")).unwrap();
            assert_eq!(client.base.join("orders/x").unwrap().as_str(), expected);
            assert_eq!(client.address(), url.trim_end_matches('/'));
        }
        for url in ["store:3000", "ftp://store", "", "http://"] {
            assert!(StoreClient::new(url, Secret::new("s")).is_err(), "{url}");
        }
    }
}
