//! What every service says of itself: whether it is ready, and its tree of actors.

mod operators;

use std::collections::BTreeMap;

use actors::{Snapshot, State, SupervisorAddress};
use contract::Readiness;
use http::StatusCode;

use crate::database::{self, Database};
use crate::events::Feed;
use crate::metrics::Measuring;
use crate::routes::{Access, HasAuth, Request, Response, Route};

pub use operators::{actors_route, events_route, restart_route, shown, takes_path};

/// What this needs of a service.
pub trait HasStatus: HasAuth {
    /// The service's database.
    fn database(&self) -> &Database;
    /// The root of the service's tree.
    fn supervisor(&self) -> &SupervisorAddress;
    /// What operators are told beside what happens to actors, if anything.
    fn notices(&self) -> Option<&Feed> {
        None
    }
    /// Sets the metrics of the service's own that have a value at any time.
    fn measure(&self) -> Measuring<'_> {
        Box::pin(async {})
    }
    /// Checks of the service's own, by name: what is wrong, or nothing.
    fn checks(&self) -> Vec<(&'static str, Option<String>)> {
        Vec::new()
    }
}

/// `GET /ready`, for anybody: 200 when the database can be used and every actor right below the root is running, else 503.
pub fn ready_route<A: HasStatus>() -> Route<A> {
    Route::get("/ready", Access::Anyone, |request: Request<A>| async move { Ok(ready(&*request.app)) })
        .summary("Whether this service can be used")
        .answers::<Readiness>(200, "Ready")
        .answers::<Readiness>(503, "Not ready: the checks say what is missing")
}

fn ready(app: &impl HasStatus) -> Response {
    // Who holds it, where it is and what it said are for the log: anybody may ask here.
    let database = match app.database().state() {
        database::State::Ready => None,
        database::State::Locked(_) => Some("another process uses it: the log says who".to_owned()),
        database::State::Away(_) => Some("cannot be used now: the log says why".to_owned()),
    };
    let mut checks = vec![("database", database), ("supervisor", ailing(&app.supervisor().snapshot()))];
    checks.extend(app.checks());
    let is_ready = checks.iter().all(|(_, wrong)| wrong.is_none());
    let checks: BTreeMap<_, _> =
        checks.into_iter().map(|(name, wrong)| (name.to_owned(), wrong.unwrap_or_else(|| "ok".to_owned()))).collect();
    let (status, word) =
        if is_ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "unavailable") };
    Response::json(status, &Readiness { status: word.to_owned(), checks })
}

/// What is not running right below the root. Further down an actor may be away without the service being so: a warehouse
/// that is offline, a saga that waits.
fn ailing(snapshot: &Snapshot) -> Option<String> {
    let root = &snapshot.tree;
    let ailing: Vec<&str> = std::iter::once(root)
        .chain(&root.children)
        .filter(|actor| actor.state != State::Running)
        .map(|actor| actor.path.as_str())
        .collect();
    (!ailing.is_empty()).then(|| format!("not running: {}", ailing.join(", ")))
}
