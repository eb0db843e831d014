//! Placing an order, once or again.

use std::time::Duration;

use ::actors::AskError;
use ::http::StatusCode;
use ::http::header::{HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use contract::problem as kind;
use contract::{Order, OrderId, OrderStatus, PaymentStatus, PlaceOrder, Shortfall, UserId};
use service::problem::Problem;
use service::routes::{Request, Response};

use crate::actors::orders::{Msg, Placed, Unplaced, Wish};
use crate::actors::queries::Key;
use crate::app::App;
use crate::domain::order;
use crate::domain::saga::Options;

/// How much longer than the promised wait an answer may take to come from the actors.
const GRACE: Duration = Duration::from_secs(3);
pub(super) const KEY: &str = "Idempotency-Key";
/// The longest key.
const KEY_LIMIT: usize = 255;
const RESPOND_ASYNC: &str = "respond-async";
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// `POST /orders` (R7). The answer is always that of the order as it stands, so that an order that is placed again by
/// its `Idempotency-Key` is answered like the first time, also after a restart.
pub(in crate::http) async fn place(request: Request<App>) -> Result<Response, Problem> {
    let user = request.account()?.id;
    let body: PlaceOrder = request.json()?;
    // Made here, so that whatever happens to the answer, the order can be looked for.
    let id = OrderId::new();
    let options = Options {
        allow_split: body.allow_split.unwrap_or(request.app.allow_split),
        allow_backorder: body.allow_backorder.unwrap_or(false),
    };
    let wanted = order::Request::new(id, user, &body.items, body.payment, options).map_err(Problem::invalid)?;
    let key = key(&request, user, &wanted)?;
    let respond_async = prefers_async(&request);
    let (app, trace) = (&request.app, request.trace.clone());
    let wish = Box::new(Wish { request: wanted, key: key.clone(), respond_async, trace });
    match app.addresses.orders.ask(app.order_wait + GRACE, |reply| Msg::Place { wish, reply }).await {
        Ok(Ok(Placed::Shipped(order))) => Ok(answer(*order, Vec::new())?),
        Ok(Ok(Placed::Rejected { order, shortfalls })) => answer(*order, shortfalls),
        Ok(Ok(Placed::Accepted(order))) if respond_async => {
            Ok(answer(*order, Vec::new())?.header(PREFERENCE_APPLIED, RESPOND_ASYNC))
        }
        Ok(Ok(Placed::Accepted(order))) => answer(*order, Vec::new()),
        Ok(Ok(Placed::Open(order)) | Err(Unplaced::Unknown { order, .. })) => look_up(app, order).await,
        Ok(Err(unplaced)) => Err(refusal(unplaced)),
        Err(AskError::Lost | AskError::Timeout) => match placed_by(app, key).await? {
            Some(order) => look_up(app, order).await,
            None => look_up(app, id).await,
        },
        Err(error @ AskError::Refused) => Err(error.into()),
    }
}

fn refusal(unplaced: Unplaced) -> Problem {
    match unplaced {
        Unplaced::Invalid(errors) => Problem::invalid(errors),
        Unplaced::Short(shortfalls) => short(shortfalls),
        Unplaced::Busy => Problem::unavailable("Orders cannot be taken just now; nothing was ordered."),
        Unplaced::Failed(reason) => Problem::internal(reason),
        Unplaced::Unknown { order, .. } => unknown(order),
        Unplaced::TooMany(wait) => {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            Problem::too_many_requests("This account orders too often; nothing was ordered.", seconds)
        }
        Unplaced::KeyReused => key_reused(),
        Unplaced::InProgress => {
            let detail = "The first request with this Idempotency-Key has no answer yet, and many wait for it.";
            Problem::conflict(kind::IN_PROGRESS, "In progress", detail).header(RETRY_AFTER, HeaderValue::from(1))
        }
    }
}

fn location(id: OrderId) -> String {
    format!("orders/{id}")
}

fn short(shortfalls: Vec<Shortfall>) -> Problem {
    Problem::conflict(kind::INSUFFICIENT_STOCK, "Insufficient stock", "The warehouses do not have everything.")
        .shortfalls(shortfalls)
}

fn unknown(id: OrderId) -> Problem {
    let detail = "It is not known whether the order was accepted. Look it up by its id before repeating it.";
    Problem::outcome_unknown(detail).with("orderId", id)
}

fn key_reused() -> Problem {
    let detail = "This Idempotency-Key was sent before with another body.";
    Problem::new(kind::IDEMPOTENCY_KEY_REUSED, StatusCode::UNPROCESSABLE_ENTITY, "Idempotency key reused", detail)
}

/// The answer that an order gives as it stands.
fn answer(order: Order, shortfalls: Vec<Shortfall>) -> Result<Response, Problem> {
    let location = location(order.id);
    match order.status {
        OrderStatus::Shipped | OrderStatus::Returned => Ok(Response::created(&order, Some(&location))),
        OrderStatus::Rejected if order.payment.status == PaymentStatus::Failed => {
            let detail = order.status_reason.clone().unwrap_or_default();
            let declined =
                Problem::new(kind::PAYMENT_DECLINED, StatusCode::PAYMENT_REQUIRED, "Payment declined", detail);
            Err(declined.with("orderId", order.id).header_text(LOCATION, &location))
        }
        OrderStatus::Rejected => Err(short(shortfalls).with("orderId", order.id).header_text(LOCATION, &location)),
        _ => Ok(Response::accepted(&order, &location)),
    }
}

/// The answer when the actors could not give it: what is durable.
async fn look_up(app: &App, id: OrderId) -> Result<Response, Problem> {
    match app.queries.outcome(id).await {
        Ok(Some((order, shortfalls))) => answer(order, shortfalls),
        Ok(None) | Err(_) => Err(unknown(id)),
    }
}

/// The order that was placed by a key, here or by whoever sent it first.
async fn placed_by(app: &App, key: Option<Key>) -> Result<Option<OrderId>, Problem> {
    let Some(key) = key else { return Ok(None) };
    match app.queries.kept(&key).await {
        Ok(Some(kept)) if kept.body_hash != key.body_hash => Err(key_reused()),
        Ok(Some(kept)) => Ok(Some(kept.order)),
        Ok(None) | Err(_) => Ok(None),
    }
}

fn key(request: &Request<App>, user: UserId, wanted: &order::Request) -> Result<Option<Key>, Problem> {
    let key = given_key(request)?;
    Ok(key.map(|key| Key { user_id: user, key, body_hash: wanted.fingerprint() }))
}

/// The `Idempotency-Key` of a request, if it has one.
pub(super) fn given_key(request: &Request<App>) -> Result<Option<String>, Problem> {
    let mut given = request.headers.get_all(KEY).iter();
    let Some(first) = given.next() else { return Ok(None) };
    let plain = |bytes: &[u8]| (1..=KEY_LIMIT).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    match std::str::from_utf8(first.as_bytes()) {
        Ok(key) if given.next().is_none() && plain(key.as_bytes()) => Ok(Some(key.to_owned())),
        _ => {
            let message = format!("must be one key of 1 to {KEY_LIMIT} visible ASCII characters");
            Err(Problem::invalid_field(KEY, message))
        }
    }
}

/// `Prefer: respond-async` (RFC 7240), among other preferences.
fn prefers_async(request: &Request<App>) -> bool {
    let values = request.headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split(','));
    preferences.any(|preference| {
        let name = preference.split([';', '=']).next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case(RESPOND_ASYNC)
    })
}
