use std::sync::atomic::Ordering;

use ::actors::{AskError, ChildSpec, System};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::*;
use crate::actors::testing::{Fake, Heard, away, database_id, healthy, never, now, recorder, system};
use crate::client::CallError;
use crate::db::testing::{self as shop, book_id, row, warehouse_id};
use contract::WarehouseHealthReport;

const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    fake: Arc<Fake>,
    sync: Address<Msg>,
    database: Database,
    availability: Heard<availability::Msg>,
    registry: Heard<registry::Msg>,
    _system: System,
    _folder: TempDir,
}

/// Books 1 to 3 are known.
async fn bench(fake: Fake) -> Bench {
    let (database, folder) = shop::sqlite().await;
    shop::enter_books(&database, 3).await;
    shop::enter_warehouse(&database, 1, "alpha").await;
    let (fake, api) = fake.api();
    let (availability, availability_spec, pulls) = recorder("availability");
    let (registry, registry_spec, heard) = recorder("registry");
    let sync = Address::new(100);
    let args = Args {
        id: warehouse_id(1),
        name: "alpha".to_owned(),
        database_id: database_id(),
        api,
        limit: SECOND * 2,
        database: database.clone(),
        availability,
        registry,
    };
    let spec = ChildSpec::actor("sync", &sync, Sync, args);
    let system = system(vec![availability_spec, registry_spec, spec]).await;
    Bench { fake, sync, database, availability: pulls, registry: heard, _system: system, _folder: folder }
}

impl Bench {
    async fn pull(&self) -> Result<Summary, String> {
        self.sync.ask(SECOND * 30, |reply| Msg::Pull { reply }).await.expect("an outcome").result
    }

    async fn applied(&mut self) -> (Arc<Snapshot>, bool) {
        let pull = |msg| match msg {
            availability::Msg::ApplyPull { snapshot, wholesale, .. } => Some((snapshot, wholesale)),
            _ => None,
        };
        self.availability.until(pull).await
    }

    async fn cached(&self) -> Vec<(i64, i64)> {
        let rows = db::inventory_cache::of_warehouse(self.database.ready().unwrap(), warehouse_id(1)).await.unwrap();
        rows.into_values().map(|row| (row.available, row.version)).collect()
    }
}

fn scripted(pulls: Vec<Result<Snapshot, CallError>>) -> Fake {
    Fake { inventory: Box::new(move |nth| now(pulls[nth.min(pulls.len() - 1)].clone())), ..Fake::default() }
}

#[tokio::test]
async fn r20_pulls_at_start_then_on_demand_and_tells_availability_of_each() {
    let first = Snapshot::new(5, [row(1, 9, 4), row(2, 3, 5), row(8, 1, 1)]);
    let second = Snapshot::new(7, [row(1, 8, 6), row(2, 4, 5), row(8, 1, 1)]);
    let mut bench = bench(scripted(vec![Ok(first.clone()), Ok(second)])).await;
    let (snapshot, wholesale) = bench.applied().await;
    assert_eq!((&snapshot.rows[..], wholesale), (&first.rows[..2], false), "without the book that nobody knows");
    assert_eq!(bench.cached().await, [(9, 4), (3, 5)]);
    assert!(matches!(bench.registry.next().await, registry::Msg::Pulled { .. }));

    let expected = Summary { items: 3, changed: 2, drift: 1, unknown: 1, senseless: 0, wholesale: false };
    assert_eq!(bench.pull().await, Ok(expected));
    assert_eq!(bench.cached().await, [(8, 6), (4, 5)]);
    assert_eq!(bench.pull().await.map(|summary| summary.changed), Ok(0));
}

#[tokio::test]
async fn r15_a_database_that_went_back_is_taken_wholesale() {
    let before = Snapshot::new(90, [row(1, 2, 90), row(2, 2, 80), row(3, 2, 70)]);
    let restored = Snapshot::new(50, [row(1, 7, 50), row(2, 9, 10)]);
    let mut bench = bench(scripted(vec![Ok(before), Ok(restored)])).await;
    bench.applied().await;
    let summary = bench.pull().await.unwrap();
    assert_eq!((summary.wholesale, summary.changed), (true, 3));
    assert_eq!(bench.cached().await, [(7, 50), (9, 10)]);
    assert!(bench.applied().await.1);
}

#[tokio::test]
async fn a_failed_pull_changes_nothing_and_says_why() {
    let kept = Snapshot::new(5, [row(1, 9, 4)]);
    let mut bench = bench(scripted(vec![Ok(kept), Err(CallError::TooLarge(9)), away()])).await;
    bench.applied().await;
    assert_eq!(bench.pull().await, Err("the answer is larger than 9 bytes".to_owned()));
    assert_eq!(bench.pull().await, Err("refused".to_owned()));
    assert_eq!(bench.cached().await, [(9, 4)]);
    assert!(bench.availability.so_far().is_empty());
}

#[tokio::test]
async fn r19_another_database_is_not_pulled() {
    let stranger = |report: WarehouseHealthReport| WarehouseHealthReport {
        database_id: DatabaseId(uuid::Uuid::from_u128(2)),
        ..report
    };
    let fake = Fake { health: Box::new(move |_| now(healthy().map(stranger))), ..Fake::default() };
    let bench = bench(fake).await;
    assert!(bench.pull().await.unwrap_err().contains("accepted was"));
    assert_eq!(bench.fake.pulls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn one_that_hangs_ends_at_the_limit() {
    let bench = bench(Fake { inventory: Box::new(|_| never()), ..Fake::default() }).await;
    assert_eq!(bench.pull().await, Err("timed out".to_owned()));
}

#[tokio::test]
async fn one_pull_at_a_time_and_who_asks_meanwhile_gets_the_next() {
    let gate = Arc::new(Semaphore::new(0));
    let script = {
        let gate = Arc::clone(&gate);
        move |nth: usize| -> futures_util::future::BoxFuture<'static, _> {
            let gate = Arc::clone(&gate);
            Box::pin(async move {
                gate.acquire().await.unwrap().forget();
                Ok(Snapshot::new(nth as i64 + 1, [row(1, nth as i64, nth as i64 + 1)]))
            })
        }
    };
    let bench = bench(Fake { inventory: Box::new(script), ..Fake::default() }).await;
    kit::until("the first pull is under way", SECOND * 10, async || {
        let pulls = bench.fake.pulls.load(Ordering::Relaxed);
        if pulls == 1 { Ok(()) } else { Err(format!("{pulls} pulls")) }
    })
    .await;
    // A nudge is satisfied with the pull under way; the two who ask are not, and share one.
    bench.sync.tell(Msg::Nudge).unwrap();
    let ask = async || bench.pull().await.map(|summary| summary.items);
    let both = async { tokio::join!(ask(), ask()) };
    let opened = async {
        tokio::time::sleep(SECOND / 5).await;
        assert_eq!(bench.fake.pulls.load(Ordering::Relaxed), 1);
        gate.add_permits(10);
    };
    let (outcomes, ()) = tokio::join!(both, opened);
    assert_eq!(outcomes, (Ok(1), Ok(1)));
    assert_eq!(bench.cached().await, [(1, 2)]);
    assert_eq!(bench.fake.pulls.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_restart_tells_who_waits_and_pulls_again() {
    let script = |nth| if nth == 0 { never() } else { now(Ok(Snapshot::new(3, [row(1, 6, 3)]))) };
    let mut bench = bench(Fake { inventory: Box::new(script), ..Fake::default() }).await;
    let sync = bench.sync.clone();
    let ask = tokio::spawn(async move { sync.ask(SECOND * 30, |reply| Msg::Pull { reply }).await });
    kit::until("the pull is under way", SECOND * 10, async || {
        if bench.fake.pulls.load(Ordering::Relaxed) == 1 { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    bench.sync.kill();
    assert_eq!(ask.await.unwrap(), Err(AskError::Lost));
    assert_eq!(bench.applied().await.0.rows[0].book_id, book_id(1));
    assert_eq!(bench.cached().await, [(6, 3)]);
}

#[tokio::test]
async fn availability_is_told_again_until_it_listens() {
    let (database, _folder) = shop::sqlite().await;
    shop::enter_books(&database, 1).await;
    shop::enter_warehouse(&database, 1, "alpha").await;
    let (fake, api) = scripted(vec![Ok(Snapshot::new(3, [row(1, 6, 3)]))]).api();
    let (availability, availability_spec, mut pulls) = recorder("availability");
    let (registry, registry_spec, _heard) = recorder("registry");
    let sync = Address::new(100);
    let (name, limit, id) = ("alpha".to_owned(), SECOND * 2, warehouse_id(1));
    let args = Args { id, name, database_id: database_id(), api, limit, database, availability, registry };
    let spec = ChildSpec::actor("sync", &sync, Sync, args);
    let _alone = system(vec![registry_spec, spec]).await;
    sync.ask(SECOND * 30, |reply| Msg::Pull { reply }).await.unwrap().result.unwrap();
    let _late = system(vec![availability_spec]).await;
    assert!(matches!(pulls.next().await, availability::Msg::ApplyPull { .. }));
    assert!(fake.pulls.load(Ordering::Relaxed) <= 2);
}
