use std::sync::atomic::Ordering;

use ::actors::{ChildSpec, System};
use WarehouseHealth::{Healthy, Offline};
use tokio::time::Instant;
use uuid::Uuid;

use super::*;
use crate::actors::testing::{Fake, Heard, Script, away, database_id, healthy, never, now, recorder, system};
use crate::db::testing::warehouse_id;

const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    fake: Arc<Fake>,
    monitor: Address<Msg>,
    registry: Heard<registry::Msg>,
    sync: Heard<sync::Msg>,
    _system: System,
}

async fn bench(health: Script<Result<WarehouseHealthReport, CallError>>, failures_to_offline: u32) -> Bench {
    let (fake, api) = Fake { health, ..Fake::default() }.api();
    let (registry, registry_spec, heard) = recorder("registry");
    let (sync, sync_spec, nudges) = recorder("sync");
    let monitor = Address::new(100);
    let policy = Policy { interval: SECOND * 60, timeout: SECOND * 2, failures_to_offline };
    let id = warehouse_id(1);
    let args = Args { id, database_id: database_id(), status: Offline, api, policy, registry, sync };
    let spec = ChildSpec::actor("monitor", &monitor, Monitor, args);
    let system = system(vec![registry_spec, sync_spec, spec]).await;
    Bench { fake, monitor, registry: heard, sync: nudges, _system: system }
}

impl Bench {
    async fn observed(&mut self) -> (WarehouseHealth, bool, Option<String>) {
        match self.registry.next().await {
            registry::Msg::Observed { health, seen, reason, .. } => (health, seen.is_some(), reason),
            _ => panic!("something else"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r21_polls_at_start_and_every_minute_and_one_failure_is_offline() {
    let mut bench = bench(Box::new(|nth| now(if nth == 1 { away() } else { healthy() })), 1).await;
    let began = Instant::now();
    assert_eq!(bench.observed().await, (Healthy, true, None));
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(bench.observed().await, (Offline, false, Some("refused".to_owned())));
    assert_eq!(began.elapsed(), SECOND * 60);
    assert_eq!(bench.observed().await, (Healthy, true, None));
    assert_eq!(bench.observed().await, (Healthy, true, None));
    assert_eq!(began.elapsed(), SECOND * 180);
    let nudges = bench.sync.so_far();
    assert!(nudges.iter().all(|msg| matches!(msg, sync::Msg::Nudge)));
    assert_eq!(nudges.len(), 2, "each time that it came back");
}

#[tokio::test(start_paused = true)]
async fn only_as_many_failures_as_configured_make_it_offline() {
    let mut bench = bench(Box::new(|nth| now(if nth == 0 { healthy() } else { away() })), 3).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(bench.observed().await.0);
    }
    assert_eq!(seen, [Healthy, Healthy, Healthy, Offline]);
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_or_panics_is_offline_and_polled_again() {
    let script: Script<_> = Box::new(|nth| match nth {
        0 => never(),
        1 => Box::pin(async { panic!("a bug") }),
        _ => now(healthy()),
    });
    let mut bench = bench(script, 1).await;
    let began = Instant::now();
    assert_eq!(bench.observed().await, (Offline, false, Some("timed out".to_owned())));
    assert_eq!(began.elapsed(), SECOND * 2);
    assert_eq!(bench.observed().await, (Offline, false, Some("panicked: a bug".to_owned())));
    assert_eq!(bench.observed().await.0, Healthy);
}

#[tokio::test(start_paused = true)]
async fn r19_another_database_is_offline_with_the_reason() {
    let script: Script<_> = Box::new(|nth| {
        let other = DatabaseId(Uuid::from_u128(2));
        now(match nth {
            0 => healthy().map(|report| WarehouseHealthReport { database_id: other, ..report }),
            _ => healthy().map(|report| WarehouseHealthReport { status: "ill".to_owned(), ..report }),
        })
    });
    let mut bench = bench(script, 1).await;
    let (health, seen, reason) = bench.observed().await;
    assert_eq!((health, seen), (Offline, false));
    assert!(reason.unwrap().contains("00000002, accepted was"));
    assert_eq!(bench.observed().await, (Offline, false, Some("says that it is ill".to_owned())));
    assert!(bench.sync.so_far().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_poll_on_demand_comes_at_once_and_replaces_the_next_one() {
    let mut bench = bench(Box::new(|_| now(healthy())), 1).await;
    bench.observed().await;
    tokio::time::sleep(SECOND * 30).await;
    let asked = Instant::now();
    bench.monitor.tell(Msg::Poll).unwrap();
    bench.observed().await;
    assert_eq!(asked.elapsed(), Duration::ZERO);
    bench.observed().await;
    assert_eq!(asked.elapsed(), SECOND * 60);
    assert_eq!(bench.fake.polls.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_restart_polls_at_once() {
    let mut bench = bench(Box::new(|_| now(healthy())), 1).await;
    bench.observed().await;
    tokio::time::sleep(SECOND * 10).await;
    let killed = Instant::now();
    bench.monitor.kill();
    assert_eq!(bench.observed().await.0, Healthy);
    assert!(killed.elapsed() < SECOND);
}
