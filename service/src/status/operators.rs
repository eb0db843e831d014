//! What operators see and do: the tree of actors, a restart, and what happens meanwhile.

use std::sync::Arc;

use actors::{ActorView, Events, EventsError, RestartError, Snapshot};
use contract::RestartActor;
use contract::problem as kind;
use futures_util::stream;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use utoipa::IntoParams;

use super::HasStatus;
use crate::events::Notice;
use crate::problem::Problem;
use crate::routes::{Access, Event, Request, Response, Route};

/// What of the tree to show.
#[derive(Deserialize, IntoParams)]
struct Query {
    /// Only the actor at this path and what is below it, such as `store/warehouses`: also one that the whole tree has no
    /// room for.
    path: Option<String>,
}

/// `GET /actors`: the whole tree, or the part at `?path=`, live.
pub fn actors_route<A: HasStatus>(access: Access) -> Route<A> {
    Route::get("/actors", access, actors)
        .summary("The tree of actors, live")
        .query::<Query>()
        .answers::<Snapshot>(200, "The tree")
        .refuses(404, "There is no actor at this path")
}

/// Adds to the description of a service's own `GET /actors` that it takes `?path=`, see [`shown`].
pub fn takes_path<A>(route: Route<A>) -> Route<A> {
    route.query::<Query>().refuses(404, "There is no actor at this path")
}

/// What `?path=` asks for.
///
/// # Errors
/// 404 when there is no such actor.
pub fn shown<A: HasStatus>(request: &Request<A>) -> Result<Snapshot, Problem> {
    let tree = request.app.supervisor();
    match request.query::<Query>()?.path {
        None => Ok(tree.snapshot()),
        Some(path) => tree.snapshot_of(&path).ok_or_else(no_such_actor),
    }
}

async fn actors<A: HasStatus>(request: Request<A>) -> Result<Response, Problem> {
    Ok(Response::ok(&shown(&request)?))
}

/// `POST /actors/restart`.
pub fn restart_route<A: HasStatus>(access: Access) -> Route<A> {
    Route::post("/actors/restart", access, restart)
        .summary("Restart an actor, and everything below it")
        .details("At once and without using its restart budget; one that had failed for good begins with a full one.")
        .accepts::<RestartActor>()
        .answers::<ActorView>(202, "It is being restarted: how it stands just now")
        .refuses(404, "There is no actor at this path")
        .refuses(409, "The root, and what is never restarted")
}

async fn restart<A: HasStatus>(request: Request<A>) -> Result<Response, Problem> {
    let RestartActor { path } = request.json()?;
    let tree = request.app.supervisor();
    tree.restart(&path).await.map_err(refuse)?;
    // It may have left the tree since.
    let shown = tree.snapshot_of(&path).ok_or_else(no_such_actor)?;
    Ok(Response::json(StatusCode::ACCEPTED, &shown.tree))
}

fn refuse(error: RestartError) -> Problem {
    match error {
        RestartError::Unknown => no_such_actor(),
        RestartError::NotRestartable => {
            Problem::conflict(kind::CONFLICT, "Not restartable", "Nobody would start this actor again.")
        }
        RestartError::Refused => Problem::unavailable("Its supervisor is not running just now; nothing was done."),
        RestartError::Lost => actors::AskError::Timeout.into(),
    }
}

fn no_such_actor() -> Problem {
    Problem::not_found("There is no actor at this path.")
}

/// `GET /actors/events`.
pub fn events_route<A: HasStatus>(access: Access) -> Route<A> {
    Route::get("/actors/events", access, events)
        .summary("What happens to the actors, while it happens")
        .details("`actor`: a failure, a restart, or an actor given up. `health`, `breaker`: a warehouse's. `missed`: so many were lost to you.")
        .answers_events("From now on, until you leave")
}

async fn events<A: HasStatus>(request: Request<A>) -> Result<Response, Problem> {
    let app = Arc::clone(&request.app);
    let both = (app.supervisor().events(), app.notices().map(|feed| feed.listen()));
    Ok(Response::events(stream::unfold(both, |(mut lives, mut notices)| async move {
        let event = tokio::select! {
            event = of_actors(&mut lives) => event?,
            Some(event) = of_notices(&mut notices) => event,
        };
        Some((event, (lives, notices)))
    })))
}

async fn of_actors(events: &mut Events) -> Option<Event> {
    match events.next().await {
        Ok(event) => Some(named("actor", &event)),
        Err(EventsError::Missed(count)) => Some(missed(count)),
        Err(EventsError::Ended) => None,
    }
}

async fn of_notices(notices: &mut Option<Receiver<Notice>>) -> Option<Event> {
    match notices.as_mut()?.recv().await {
        Ok(notice) => Some(named(notice.event, &notice)),
        Err(RecvError::Lagged(count)) => Some(missed(count)),
        Err(RecvError::Closed) => None,
    }
}

fn missed(count: u64) -> Event {
    named("missed", &json!({ "count": count }))
}

fn named(event: &'static str, data: &impl Serialize) -> Event {
    Event { id: None, event: Some(event.into()), data: serde_json::to_string(data).unwrap_or_default() }
}
