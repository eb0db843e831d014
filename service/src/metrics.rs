//! Prometheus metrics, on a port of their own: `GET /metrics`. Without that port nothing is measured.
//!
//! Counters and histograms are kept as things happen (`metrics::counter!`); what has a value at any time, such as the depth of a
//! mailbox, is read when it is asked for. Metrics are the process's: several services in one tell apart by the label `service`.

use std::future::Future;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actors::{Actor, ActorView, Address, ChildSpec, Context, Failure, KindView, Processing};
use anyhow::Context as _;
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;
use strum::IntoStaticStr;
use warp::Filter as _;

use crate::config::Base;
use crate::http::{self, Policy};
use crate::routes::Routes;
use crate::status::HasStatus;

/// Upper bounds of the histograms' buckets, in seconds: from a read out of memory to the longest wait that a client is promised.
const BUCKETS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// How long a gauge is shown that nobody has set, such as those of a warehouse that is gone.
const FORGET: Duration = Duration::from_secs(600);
/// How often what histograms have taken in is put into buckets, also when nobody asks.
const TIDY_EVERY: Duration = Duration::from_secs(5);
const REQUESTS: &str = "bookstore_http_request_duration_seconds";

/// A service that is measured, by its name.
pub type Measured = (String, Arc<dyn HasStatus>);

/// The children for services of this configuration; none where it names no address.
///
/// # Errors
/// When the address cannot be had, or the process measures already.
pub fn configured(base: &Base, services: Vec<Measured>) -> anyhow::Result<Vec<ChildSpec>> {
    let Some(address) = base.metrics_listen()? else { return Ok(Vec::new()) };
    let listener = http::bind(address).with_context(|| format!("METRICS_LISTEN: cannot listen at {address}"))?;
    Ok(children(listener, services)?)
}

/// Begins to measure, and answers the children that serve it. To be called before anything is measured.
///
/// # Errors
/// When the process measures already.
fn children(listener: TcpListener, services: Vec<Measured>) -> Result<Vec<ChildSpec>, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
        .idle_timeout(MetricKindMask::GAUGE, Some(FORGET))
        .install_recorder()?;
    let (services, shown): (Arc<[Measured]>, _) = (services.into(), handle.clone());
    let render = move || {
        let (services, handle) = (Arc::clone(&services), shown.clone());
        async move {
            for (name, service) in services.iter() {
                observe(name, &**service);
                service.measure().await;
            }
            let text = handle.render();
            warp::http::Response::builder().header("content-type", "text/plain; version=0.0.4").body(text)
        }
    };
    let filter = warp::path!("metrics").and(warp::get()).then(render).map(warp::reply::Reply::into_response);
    Ok(vec![
        ChildSpec::actor("metrics", &Address::new(1), Tidier, handle),
        http::child_as("metrics-http", listener, Routes::from(filter.boxed()), Policy::default()),
    ])
}

/// One answer to a request; `route` is the pattern, so that ids make no labels.
pub(crate) fn answered(service: &Arc<str>, method: &::http::Method, route: &'static str, status: u16, took: Duration) {
    // Methods that nobody knows are made up by clients, who could make labels without end.
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let method = known.into_iter().find(|known| *known == method.as_str()).unwrap_or("other");
    let (service, status) = (Arc::clone(service), status.to_string());
    histogram!(REQUESTS, "service" => service, "method" => method, "route" => route, "status" => status).record(took);
}

/// A boxed future, since services of several types are measured together.
pub type Measuring<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

fn observe(name: &str, service: &dyn HasStatus) {
    let snapshot = service.supervisor().snapshot();
    let label = || name.to_owned();
    gauge!("bookstore_actors", "service" => label()).set(count(snapshot.totals.actors));
    gauge!("bookstore_actors_unwell", "service" => label()).set(count(snapshot.totals.unwell));
    show(name, &snapshot.tree);
    if let Some((size, idle)) = service.database().pool() {
        gauge!("bookstore_database_connections", "service" => label(), "state" => "idle").set(count(idle));
        gauge!("bookstore_database_connections", "service" => label(), "state" => "used")
            .set(count(size - idle.min(size)));
    }
}

fn show(name: &str, actor: &ActorView) {
    // Those that come and go are shown summed by kind: their paths would make labels without end.
    let dynamic: Vec<&str> = actor.kinds.iter().map(|kind| kind.kind).collect();
    for KindView { kind, processing } in &actor.kinds {
        let path = format!("{}/{kind}", actor.path);
        times(name, &path, processing);
        gauge!("bookstore_actor_children", "service" => name.to_owned(), "actor" => path)
            .set(count(actor.children.iter().filter(|child| child.kind == *kind).count() + actor.children_omitted));
    }
    let labels = [("service", name.to_owned()), ("actor", actor.path.clone())];
    counter!("bookstore_actor_restarts_total", &labels).absolute(actor.restarts);
    counter!("bookstore_actor_messages_total", &labels).absolute(actor.handled);
    if let Some(mailbox) = &actor.mailbox {
        gauge!("bookstore_actor_mailbox_depth", &labels).set(count(mailbox.depth));
    }
    if let Some(processing) = &actor.processing {
        times(name, &actor.path, processing);
    }
    for child in actor.children.iter().filter(|child| child.kind == "supervisor" || !dynamic.contains(&child.kind)) {
        show(name, child);
    }
}

fn times(name: &str, path: &str, processing: &Processing) {
    for (quantile, us) in [("0.5", processing.p50_us), ("0.99", processing.p99_us)] {
        let labels = [("service", name.to_owned()), ("actor", path.to_owned()), ("quantile", quantile.to_owned())];
        gauge!("bookstore_actor_processing_seconds", &labels).set(us.unwrap_or_default() / 1e6);
    }
}

#[allow(clippy::cast_precision_loss, reason = "no such count comes near 2^52")]
fn count(count: usize) -> f64 {
    count as f64
}

/// Tidies the histograms, which would otherwise keep every value until somebody asks. Owns nothing.
struct Tidier;

#[derive(IntoStaticStr)]
enum Msg {
    Tidy,
}

impl Actor for Tidier {
    const KIND: &'static str = "metrics";
    type Msg = Msg;
    type Args = PrometheusHandle;
    type State = PrometheusHandle;

    async fn start(&self, handle: PrometheusHandle, ctx: &mut Context<Msg>) -> Result<PrometheusHandle, Failure> {
        ctx.notify(Msg::Tidy);
        Ok(handle)
    }

    async fn handle(
        &self,
        Msg::Tidy: Msg,
        handle: &mut PrometheusHandle,
        ctx: &mut Context<Msg>,
    ) -> Result<(), Failure> {
        handle.run_upkeep();
        ctx.send_after(TIDY_EVERY, Msg::Tidy);
        Ok(())
    }
}
