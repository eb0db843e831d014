//! Sagas as operators see them, and what operators may ask of them.

use chrono::TimeDelta;
use contract::{OrderId, SagaEntry, SagaPart};
use serde::Deserialize;
use service::clock;
use service::problem::{Problem, Validation};
use service::routes::{Request, Response};
use strum::IntoEnumIterator as _;
use utoipa::IntoParams;

use super::orders::unasked;
use crate::actors::orders::{Msg, Unasked};
use crate::actors::queries::{Overview, SagaFilter};
use crate::actors::saga;
use crate::app::App;
use crate::domain::history::Entry;
use crate::domain::saga::{Saga, Stage};

/// How much longer than the promised wait an answer may take to come from the actors.
const GRACE: std::time::Duration = std::time::Duration::from_secs(3);
/// What is no stage, but asked for like one.
const NEEDS_ATTENTION: &str = "needs-attention";
/// The longest part of an error that is looked for, in bytes.
const ERROR_LIMIT: usize = 200;

/// The query of `GET /sagas`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only sagas in one of these states, separated by commas; `needs-attention` is those that a person must look at.
    /// Without it, those that are not over.
    state: Option<String>,
    /// Only sagas with this in their last error or in why a person must look; empty is any that has one.
    error: Option<String>,
}

/// `GET /sagas`: those of the oldest orders first.
pub(super) async fn list(request: Request<App>) -> Result<Response, Problem> {
    let (query, page) = (request.query::<ListQuery>()?, request.page::<OrderId>()?);
    let mut filter = query.filter()?;
    filter.after = page.after;
    let limit = page.limit;
    // One more than asked for tells whether there is a next page.
    let mut found = request.app.queries.sagas(filter, limit + 1).await?;
    let more = found.len() as u64 > limit;
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let last = found.last().map(|last| last.order.id);
    let views: Vec<_> = found.into_iter().map(|one| show(&request.app, one, Vec::new())).collect();
    let response = Response::ok(&views);
    Ok(match last.filter(|_| more) {
        Some(last) => response.header(::http::header::LINK, &request.next_page(last)),
        None => response,
    })
}

impl ListQuery {
    fn filter(&self) -> Result<SagaFilter, Problem> {
        let mut filter = SagaFilter::default();
        let mut validation = Validation::new();
        for name in self.state.iter().flat_map(|states| states.split(',')).map(str::trim) {
            match Stage::iter().find(|stage| stage.name() == name) {
                Some(stage) => filter.stages.push(stage.name()),
                None if name == NEEDS_ATTENTION => filter.attention = true,
                None => validation.push("state", format!("knows no state {name:?}")),
            }
        }
        let fits = self.error.as_ref().is_none_or(|error| error.len() <= ERROR_LIMIT && !error.contains('\0'));
        validation.check(fits, "error", format!("must be at most {ERROR_LIMIT} bytes of text"));
        validation.finish()?;
        filter.error = self.error.as_ref().map(|error| error.to_lowercase());
        Ok(filter)
    }
}

/// `GET /sagas/:id`.
pub(super) async fn get(request: Request<App>) -> Result<Response, Problem> {
    let id = request.param::<OrderId>("id")?;
    Ok(Response::ok(&one(&request.app, id).await?))
}

async fn one(app: &App, id: OrderId) -> Result<contract::Saga, Problem> {
    let (found, history) = app.queries.saga(id).await?.ok_or_else(|| Problem::not_found("There is no such order."))?;
    Ok(show(app, found, history.entries))
}

fn show(app: &App, found: Overview, journal: Vec<Entry>) -> contract::Saga {
    let Overview { order, saga, stage, effort, needs_attention, panics, updated_at } = found;
    let (saga, unreadable) = match saga {
        Ok(saga) => (Some(saga), None),
        Err(error) => (None, Some(format!("its state cannot be read: {error}"))),
    };
    let part = |part: &crate::domain::saga::Part| SagaPart {
        shipment_id: part.shipment,
        warehouse_name: part.name.clone(),
        state: part.state_name().to_owned(),
        items: crate::domain::order::contents(&order, &part.lines),
    };
    let entry = |entry: Entry| SagaEntry { seq: entry.seq, text: entry.sentence(), event: entry.event, at: entry.at };
    let patience = TimeDelta::from_std(app.stalled_after).unwrap_or(TimeDelta::MAX);
    let should_move = saga.as_ref().is_none_or(Saga::should_move);
    let attention = saga.as_ref().and_then(|saga| saga.attention.clone());
    contract::Saga {
        order_id: order.id,
        state: saga.as_ref().map_or(stage, |saga| saga.stage.name().to_owned()),
        steps: saga.iter().flat_map(Saga::steps).map(|step| step.name().to_owned()).collect(),
        order_status: order.status,
        payment_status: order.payment.status,
        waits_for: saga.as_ref().and_then(Saga::waits_for),
        since: updated_at,
        stalled: should_move && clock::now() - updated_at > patience,
        needs_attention: needs_attention || unreadable.is_some(),
        reason: unreadable.or(attention).or_else(|| order.status_reason.clone().filter(|_| needs_attention)),
        attempts: effort.attempts,
        first_attempt_at: effort.first_at,
        latest_attempt_at: effort.latest_at,
        next_retry_at: effort.next_at,
        last_error: effort.error,
        panics: u32::try_from(panics).unwrap_or(0),
        placed_at: order.created_at,
        parts: saga.iter().flat_map(|saga| &saga.parts).map(part).collect(),
        journal: journal.into_iter().map(entry).collect(),
    }
}

/// `POST /sagas/:id/retry`.
pub(super) async fn retry(request: Request<App>) -> Result<Response, Problem> {
    ask(&request, saga::Request::Retry).await
}

/// `POST /sagas/:id/resume`.
pub(super) async fn resume(request: Request<App>) -> Result<Response, Problem> {
    ask(&request, saga::Request::Resume).await
}

/// `POST /sagas/:id/cancel`.
pub(super) async fn cancel(request: Request<App>) -> Result<Response, Problem> {
    ask(&request, saga::Request::Cancel { operator: true, reason: "given up by an admin".to_owned() }).await
}

async fn ask(request: &Request<App>, what: saga::Request) -> Result<Response, Problem> {
    let (app, order) = (&request.app, request.param::<OrderId>("id")?);
    let question = |reply| Msg::Ask { order, request: what, reply };
    match app.addresses.orders.ask(app.order_wait + GRACE, question).await? {
        Ok(_) => Ok(Response::ok(&one(app, order).await?)),
        Err(Unasked::Open) => Ok(Response::accepted(&one(app, order).await?, &format!("../{order}"))),
        Err(error) => Err(unasked(error)),
    }
}
