//! An order's steps as Server-Sent Events, until it ends.

use std::collections::VecDeque;

use contract::OrderId;
use futures_util::stream::{self, Stream};
use service::problem::Problem;
use service::routes::{Event, Request, Response};

use crate::actors::queries::{History, Queries};
use crate::app::App;
use crate::domain::history::Entry;
use crate::events::Subscription;

/// `GET /orders/:id/events`. What there is already, then what comes; a client that comes back with `Last-Event-ID` gets
/// the rest, and 204, which tells a browser to stay away, where there is none.
pub(in crate::http) async fn events(request: Request<App>) -> Result<Response, Problem> {
    let order = super::visible(&request).await?.id;
    let seen = last_event_id(&request)?;
    // First wanted, then read, so that no step falls in between.
    let subscription = request.app.addresses.events.subscribe(order);
    let queries = request.app.queries.clone();
    let history = queries.history(order, seen).await?.ok_or_else(|| Problem::not_found("There is no such order."))?;
    if history.is_over && history.entries.is_empty() {
        return Ok(Response::no_content());
    }
    Ok(Response::events(follow(Listener { order, queries, subscription, seen: seen.unwrap_or(-1) }, history)))
}

struct Listener {
    order: OrderId,
    queries: Queries,
    subscription: Subscription,
    /// The latest step that was read.
    seen: i64,
}

fn follow(listener: Listener, first: History) -> impl Stream<Item = Event> {
    let begin = (listener, VecDeque::from(first.entries), first.is_over);
    stream::unfold(begin, async |(mut listener, mut waiting, mut is_over)| {
        loop {
            if let Some(entry) = waiting.pop_front() {
                listener.seen = entry.seq;
                return event(listener.order, entry).map(|event| (event, (listener, waiting, is_over)));
            }
            if is_over {
                return None;
            }
            listener.subscription.beyond(listener.seen).await;
            // Where it cannot be read the stream ends; the client comes back with what it has.
            let history = listener.queries.history(listener.order, Some(listener.seen)).await.ok().flatten()?;
            (waiting, is_over) = (history.entries.into(), history.is_over);
        }
    })
}

fn event(order: OrderId, entry: Entry) -> Option<Event> {
    let id = entry.seq.to_string();
    let shown = entry.show(order);
    let data = serde_json::to_string(&shown).ok()?;
    Some(Event { id: Some(id), event: Some(shown.event.into()), data })
}

fn last_event_id(request: &Request<App>) -> Result<Option<i64>, Problem> {
    let Some(given) = request.headers.get("last-event-id") else { return Ok(None) };
    let seq = given.to_str().ok().and_then(|text| text.parse().ok()).filter(|seq| *seq >= 0);
    seq.map(Some).ok_or_else(|| Problem::invalid_field("Last-Event-ID", "is not one that we gave"))
}
