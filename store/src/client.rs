//! The store's client of a warehouse. The only place that speaks HTTP to one.

use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ::actors::fault;
use contract::{
    INVENTORY_VERSION_HEADER, MAX_HOLD_SECONDS, Problem, ReservationRequest, ReturnRequest, ShipmentCall,
    ShipmentRequest, StockRow, WarehouseHealthReport,
};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::{Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use service::config::Secret;
use service::routes::Trace;

use self::faulty::Faulty;
use crate::domain::delivery::{self, Action, Call, Delivery};
use crate::domain::pull::Snapshot;

mod faulty;

/// The largest inventory that is read: some 200,000 books.
const INVENTORY_LIMIT: usize = 64 * 1024 * 1024;

/// The largest of all other answers.
const ANSWER_LIMIT: usize = 1024 * 1024;

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection, or it broke.
    #[error("{0}")]
    Unreachable(String),
    /// An answer that is none.
    #[error("answered {status}{detail}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The problem's detail behind a colon, where there was one.
        detail: String,
    },
    /// An answer that cannot be read.
    #[error("unreadable answer: {0}")]
    Malformed(String),
    /// An answer over the limit.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// A warehouse, as its actors call it. None of these has a time limit beyond that of connecting: the caller's effect has.
pub trait WarehouseApi: Send + Sync + 'static {
    /// `GET /health`.
    fn health(&self) -> BoxFuture<'static, Result<WarehouseHealthReport, CallError>>;
    /// `GET /inventory`: all of it at one version.
    fn inventory(&self) -> BoxFuture<'static, Result<Snapshot, CallError>>;
    /// Asks about a shipment, for the sake of a client's request where it is known.
    fn call(&self, call: &Call, trace: Option<&Trace>) -> BoxFuture<'static, Delivery>;
}

/// Makes the client of the warehouse at an internal URL.
pub type Connect = Arc<dyn Fn(&str) -> Arc<dyn WarehouseApi> + Send + Sync>;

/// One connection pool for all warehouses: no proxies of the environment, no redirects, at most `idle` idle connections each.
///
/// # Errors
/// When the platform's resolver cannot be set up.
pub fn connector(secret: Secret, connect_timeout: Duration, idle: usize) -> Result<Connect, reqwest::Error> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect_timeout)
        .pool_max_idle_per_host(idle)
        .pool_idle_timeout(Duration::from_secs(30))
        .build()?;
    Ok(Arc::new(move |url| {
        let base = url.trim_end_matches('/').to_owned();
        let warehouse = Arc::new(HttpWarehouse { client: client.clone(), base, secret: secret.clone() });
        if fault::ENABLED { Arc::new(Faulty(warehouse)) } else { warehouse }
    }))
}

struct HttpWarehouse {
    client: reqwest::Client,
    base: String,
    secret: Secret,
}

impl HttpWarehouse {
    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(format!("{}{path}", self.base)).bearer_auth(self.secret.expose())
    }

    fn post(&self, path: &str, body: &impl Serialize) -> reqwest::RequestBuilder {
        self.client.post(format!("{}{path}", self.base)).bearer_auth(self.secret.expose()).json(body)
    }

    fn request(&self, call: &Call) -> reqwest::RequestBuilder {
        let (order_id, shipment_id, database_id) = (call.order, call.shipment, Some(call.database_id));
        let meant = ShipmentCall { database_id };
        match &call.action {
            Action::Ship { lines } => {
                let (shipment_id, items) = (Some(shipment_id), lines.clone());
                self.post("/shipments", &ShipmentRequest { order_id, shipment_id, database_id, items })
            }
            Action::Reserve { lines, hold } => {
                let expires_in_seconds = hold_seconds(*hold);
                let items = lines.clone();
                let body = ReservationRequest { order_id, shipment_id, database_id, items, expires_in_seconds };
                self.post("/reservations", &body)
            }
            Action::Confirm => self.post(&format!("/reservations/{shipment_id}/confirm"), &meant),
            Action::ShipHeld => self.post(&format!("/reservations/{shipment_id}/ship"), &meant),
            Action::Void => self.post(&format!("/shipments/{shipment_id}/void"), &meant),
            Action::Restock { return_id, lines } => {
                let (return_id, items) = (*return_id, lines.clone());
                let body = ReturnRequest { return_id, order_id, shipment_id, database_id, items, reason: None };
                self.post("/returns", &body)
            }
        }
    }
}

impl WarehouseApi for HttpWarehouse {
    fn health(&self) -> BoxFuture<'static, Result<WarehouseHealthReport, CallError>> {
        let request = self.get("/health");
        async move {
            let response = request.send().await.map_err(unreachable)?;
            parse(&expect_ok(response).await?.1)
        }
        .boxed()
    }

    fn inventory(&self) -> BoxFuture<'static, Result<Snapshot, CallError>> {
        let request = self.get("/inventory");
        async move {
            let response = request.send().await.map_err(unreachable)?;
            let (version, body) = expect_ok(response).await?;
            let version = version.ok_or_else(|| CallError::Malformed(format!("no {INVENTORY_VERSION_HEADER}")))?;
            let rows = tokio::task::spawn_blocking(move || parse::<Vec<StockRow>>(&body));
            let rows = rows.await.map_err(|error| CallError::Malformed(error.to_string()))??;
            Ok(Snapshot::new(version, rows))
        }
        .boxed()
    }

    fn call(&self, call: &Call, trace: Option<&Trace>) -> BoxFuture<'static, Delivery> {
        let mut request = self.request(call);
        if let Some(trace) = trace {
            request = request.headers(trace.headers());
        }
        let call = call.clone();
        async move { send(request, &call).await }.boxed()
    }
}

/// Whole seconds, rounded up, within what a warehouse takes.
fn hold_seconds(hold: Duration) -> u32 {
    let seconds = hold.as_secs().saturating_add(u64::from(hold.subsec_nanos() > 0));
    u32::try_from(seconds).unwrap_or(MAX_HOLD_SECONDS).clamp(1, MAX_HOLD_SECONDS)
}

async fn send(request: reqwest::RequestBuilder, call: &Call) -> Delivery {
    let response = match request.send().await {
        Ok(response) => response,
        // Certain only where there never was a connection to write to, or nothing to write (R1).
        Err(error) if error.is_connect() || error.is_builder() => {
            return Delivery::NeverSent { reason: causes(&error) };
        }
        Err(error) => return Delivery::Unknown { reason: causes(&error) },
    };
    let status = response.status().as_u16();
    match read(response, ANSWER_LIMIT).await {
        Ok(body) => delivery::classify(call, status, &body),
        Err(error) => Delivery::Unknown { reason: error.to_string() },
    }
}

/// The version header and the body of a 200.
async fn expect_ok(response: Response) -> Result<(Option<i64>, Vec<u8>), CallError> {
    let status = response.status();
    if status != StatusCode::OK {
        let body = read(response, ANSWER_LIMIT).await.unwrap_or_default();
        let problem = serde_json::from_slice::<Problem>(&body).ok();
        let detail = problem.map(|problem| format!(": {}", problem.detail)).unwrap_or_default();
        return Err(CallError::Status { status: status.as_u16(), detail });
    }
    let version =
        response.headers().get(INVENTORY_VERSION_HEADER).and_then(|version| version.to_str().ok()?.parse().ok());
    Ok((version, read(response, INVENTORY_LIMIT).await?))
}

async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > limit {
            return Err(CallError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, CallError> {
    serde_json::from_slice(body).map_err(|error| CallError::Malformed(error.to_string()))
}

fn unreachable(error: reqwest::Error) -> CallError {
    CallError::Unreachable(causes(&error))
}

/// The error with what is behind it, which its own text leaves out: "connection refused" says more than "error sending request".
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
