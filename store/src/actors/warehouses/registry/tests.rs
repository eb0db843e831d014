use std::sync::{Arc, Mutex};

use ::actors::{ChildSpec, SupervisorAddress, System};
use contract::DatabaseId;
use tempfile::TempDir;
use uuid::Uuid;

use super::entry::new_row;
use super::*;
use crate::actors::testing::{Fake, Heard, database_id, healthy, never, now, recorder, system, to_ship};
use crate::actors::warehouses::dispatcher::Delivery;
use crate::actors::warehouses::monitor;
use crate::actors::warehouses::{Policy, Shared};
use crate::client::{Connect, WarehouseApi};
use crate::db::testing as shop;
use crate::domain::breaker;

const SECOND: Duration = Duration::from_secs(1);

pub(crate) const POLICY: Policy = Policy {
    monitor: monitor::Policy { interval: Duration::from_secs(60), timeout: SECOND, failures_to_offline: 1 },
    dispatcher: dispatcher::Policy {
        concurrency: 4,
        queue: 100,
        timeout: SECOND,
        breaker: breaker::Policy { failures: 3, first_probe: Duration::from_secs(60), longest_wait: SECOND },
    },
    pull_limit: SECOND,
    retry_after: Duration::from_secs(300),
    mailbox_bound: 100,
};

type Fakes = Arc<Mutex<Vec<(String, Arc<Fake>)>>>;

/// A client for every URL: at one that holds `hung` nobody answers a shipment.
pub(crate) fn connect() -> (Connect, Fakes) {
    let fakes = Fakes::default();
    let made = Arc::clone(&fakes);
    let connect = move |url: &str| -> Arc<dyn WarehouseApi> {
        let mut fake = Fake { health: Box::new(|_| now(healthy())), ..Fake::default() };
        if url.contains("hung") {
            fake.ship = Box::new(|_| never());
        }
        let (fake, api) = fake.api();
        made.lock().unwrap().push((url.to_owned(), fake));
        api
    };
    (Arc::new(connect), fakes)
}

struct Bench {
    registry: Address<Msg>,
    database: Database,
    availability: Heard<availability::Msg>,
    fakes: Fakes,
    system: System,
    _folder: TempDir,
}

async fn bench() -> Bench {
    let (database, folder) = shop::sqlite().await;
    start(database, folder).await
}

async fn start(database: Database, folder: TempDir) -> Bench {
    let (availability, availability_spec, heard) = recorder("availability");
    let (connect, fakes) = connect();
    let registry = Address::new(100);
    let shared = Shared {
        database: database.clone(),
        availability,
        registry: registry.clone(),
        notices: Default::default(),
        connect,
        policy: POLICY,
    };
    let system = system(vec![availability_spec, super::super::supervisor(shared)]).await;
    Bench { registry, database, availability: heard, fakes, system, _folder: folder }
}

fn registration(name: &str, internal_url: &str, database: DatabaseId) -> Registration {
    let url = format!("http://{name}");
    Registration { name: name.to_owned(), url, internal_url: internal_url.to_owned(), database_id: database }
}

impl Bench {
    async fn register(&self, name: &str, internal_url: &str) -> Result<Registered, RegisterError> {
        self.register_database(name, internal_url, database_id()).await
    }

    async fn register_database(&self, name: &str, url: &str, id: DatabaseId) -> Result<Registered, RegisterError> {
        let registration = registration(name, url, id);
        self.registry.ask(SECOND * 10, |reply| Msg::Register { registration, reply }).await.unwrap()
    }

    async fn list(&self) -> Vec<WarehouseView> {
        self.registry.ask(SECOND * 10, |reply| Msg::List { reply }).await.unwrap()
    }

    async fn stands(&self, name: &str, wanted: impl Fn(&WarehouseView) -> bool) -> WarehouseView {
        kit::until(&format!("{name} stands so"), SECOND * 20, async || {
            let ask =
                self.registry.ask(SECOND, |reply| Msg::List { reply }).await.map_err(|error| error.to_string())?;
            let view = ask.into_iter().find(|view| view.name == name).ok_or("not there")?;
            if wanted(&view) { Ok(view) } else { Err(format!("{view:?}")) }
        })
        .await
    }

    async fn rows(&self) -> Vec<Warehouse> {
        db::warehouses::all(self.database.ready().unwrap()).await.unwrap()
    }

    /// Waits until availability is told this of the warehouse.
    async fn sourceable(&mut self, warehouse: WarehouseId, wanted: bool) {
        let told = |msg| match msg {
            availability::Msg::SetWarehouse { id, sourceable, .. } if id == warehouse && sourceable == wanted => {
                Some(())
            }
            _ => None,
        };
        self.availability.until(told).await;
    }

    async fn ship(&self, warehouse: WarehouseId) -> Delivery {
        let known = self.registry.ask(SECOND, |reply| Msg::Find { id: warehouse, reply }).await.unwrap().unwrap();
        let ask = |reply| dispatcher::Msg::Call { call: to_ship(), trace: None, reply };
        known.dispatcher.ask(SECOND * 10, ask).await.unwrap()
    }
}

#[tokio::test]
async fn r20_a_new_warehouse_is_probed_pulled_and_sourced_from_at_once() {
    let mut bench = bench().await;
    let registered = bench.register("alpha", "http://a:1").await.unwrap();
    assert_eq!((&registered.name[..], registered.status), ("alpha", WarehouseHealth::Offline));
    bench.sourceable(registered.id, true).await;
    let view = bench.stands("alpha", |view| view.last_pulled_at.is_some()).await;
    assert_eq!((view.status, view.breaker, view.enabled), (WarehouseHealth::Healthy, Breaker::Closed, true));
    assert!(view.last_seen.is_some());
    assert!(matches!(bench.ship(registered.id).await, Delivery::Shipped(_)));
    kit::until("it is all in the table", SECOND * 10, async || match &bench.rows().await[..] {
        [row] if row.status == WarehouseHealth::Healthy && row.last_pulled_at.is_some() => Ok(()),
        rows => Err(format!("{rows:?}")),
    })
    .await;
    let stranger = bench.registry.ask(SECOND, |reply| Msg::Find { id: WarehouseId::new(), reply }).await.unwrap();
    assert!(stranger.is_none());
}

#[tokio::test]
async fn r20_an_unchanged_registration_changes_only_when_it_was() {
    let bench = bench().await;
    let first = bench.register("alpha", "http://a:1").await.unwrap();
    let before = bench.stands("alpha", |view| view.last_pulled_at.is_some()).await;
    let again = bench.register("alpha", "http://a:1").await.unwrap();
    assert_eq!((again.id, again.status), (first.id, WarehouseHealth::Healthy));
    let after = bench.list().await.remove(0);
    assert!(after.last_registered > before.last_registered);
    assert_eq!(WarehouseView { last_registered: before.last_registered, ..after }, before);
    assert_eq!(bench.fakes.lock().unwrap().len(), 1, "its actors went on");
}

#[tokio::test]
async fn r20_a_warehouse_that_moved_gets_new_actors_at_the_same_addresses() {
    let bench = bench().await;
    let alpha = bench.register("alpha", "http://hung:1").await.unwrap().id;
    assert!(matches!(bench.ship(alpha).await, Delivery::Unknown { .. }));
    assert_eq!(bench.register("alpha", "http://a:2").await.unwrap().id, alpha);
    kit::until("it ships from there", SECOND * 20, async || {
        let known = bench.registry.ask(SECOND, |reply| Msg::Find { id: alpha, reply }).await.unwrap().unwrap();
        let call = to_ship();
        let ask = known.dispatcher.ask(SECOND * 5, |reply| dispatcher::Msg::Call { call, trace: None, reply });
        match ask.await {
            Ok(Delivery::Shipped(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(bench.rows().await[0].internal_url, "http://a:2");
}

#[tokio::test]
async fn r19_another_database_under_a_known_name_is_refused_and_changes_nothing() {
    let bench = bench().await;
    bench.register("alpha", "http://a:1").await.unwrap();
    let before = bench.stands("alpha", |view| view.last_pulled_at.is_some()).await;
    let other = DatabaseId(Uuid::from_u128(2));
    let refused = bench.register_database("alpha", "http://evil:1", other).await.unwrap_err();
    let name = "alpha".to_owned();
    assert_eq!(refused, RegisterError::Stranger { name, known: database_id(), given: other });
    let after = bench.list().await.remove(0);
    assert_eq!((after.internal_url, after.last_registered), (before.internal_url, before.last_registered));
    assert!(bench.register_database("beta", "http://b:1", other).await.is_ok(), "its own name is free");
}

#[tokio::test]
async fn one_that_is_offline_is_probed_at_once_when_it_registers_again() {
    let bench = bench().await;
    let alpha = bench.register("alpha", "http://a:1").await.unwrap().id;
    bench.stands("alpha", |view| view.status == WarehouseHealth::Healthy).await;
    bench.registry.tell(Msg::SubtreeFailed { id: alpha, reason: "a bug".to_owned() }).unwrap();
    // Registered means that it has been OFFLINE; the probe may be back before the answer is.
    bench.register("alpha", "http://a:1").await.unwrap();
    bench.stands("alpha", |view| view.status == WarehouseHealth::Healthy && view.status_reason.is_none()).await;
}

#[tokio::test]
async fn many_who_register_at_once_are_one_warehouse_each() {
    let bench = bench().await;
    let names = ["alpha", "beta", "alpha", "gamma", "alpha", "beta"];
    let all = futures_util::future::join_all(names.map(|name| bench.register(name, "http://a:1"))).await;
    let ids: BTreeSet<_> = all.into_iter().map(|registered| registered.unwrap().id).collect();
    assert_eq!((ids.len(), bench.rows().await.len()), (3, 3));
}

#[tokio::test]
async fn r21_availability_is_told_when_a_breaker_opens() {
    let mut bench = bench().await;
    let alpha = bench.register("alpha", "http://hung:1").await.unwrap().id;
    bench.sourceable(alpha, true).await;
    for _ in 0..3 {
        assert!(matches!(bench.ship(alpha).await, Delivery::Unknown { .. }));
    }
    bench.sourceable(alpha, false).await;
    assert_eq!(bench.list().await[0].breaker, Breaker::Open);
    bench.registry.tell(Msg::Announce).unwrap();
    bench.sourceable(alpha, false).await;
}

#[tokio::test]
async fn a_restart_finds_the_table_the_running_actors_and_their_breakers() {
    let mut bench = bench().await;
    let alpha = bench.register("alpha", "http://hung:1").await.unwrap().id;
    bench.register("beta", "http://b:1").await.unwrap();
    bench.stands("beta", |view| view.last_pulled_at.is_some()).await;
    for _ in 0..3 {
        bench.ship(alpha).await;
    }
    bench.sourceable(alpha, false).await;
    kit::until("polls are saved", SECOND * 10, async || {
        let healthy = bench.rows().await.iter().all(|row| row.status == WarehouseHealth::Healthy);
        if healthy { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    bench.registry.kill();
    bench.stands("alpha", |view| view.breaker == Breaker::Open && view.status == WarehouseHealth::Healthy).await;
    bench.stands("beta", |view| view.breaker == Breaker::Closed).await;
    let beta = bench.list().await[1].id;
    assert!(matches!(bench.ship(beta).await, Delivery::Shipped(_)));
    let restarts = |path: &str| bench.system.snapshot().find(path).map(|actor| actor.restarts);
    assert_eq!(restarts("test/warehouses/registry"), Some(1));
    assert_eq!(restarts("test/warehouses/warehouse:beta/dispatcher"), Some(0));
}

#[tokio::test]
async fn a_new_process_starts_the_warehouses_of_the_table() {
    let (database, folder) = shop::sqlite().await;
    let known = shop::enter_warehouse(&database, 1, "alpha").await;
    let mut bench = start(database, folder).await;
    bench.sourceable(known.id, true).await;
    bench.stands("alpha", |view| view.last_pulled_at.is_some()).await;
    assert_eq!(bench.fakes.lock().unwrap()[0].0, known.internal_url);
}

#[tokio::test]
async fn r24_a_warehouse_whose_actors_failed_too_often_is_offline() {
    let mut bench = bench().await;
    let alpha = bench.register("alpha", "http://a:1").await.unwrap().id;
    bench.sourceable(alpha, true).await;
    bench.registry.tell(Msg::SubtreeFailed { id: alpha, reason: "a bug".to_owned() }).unwrap();
    bench.sourceable(alpha, false).await;
    let view = bench.list().await.remove(0);
    assert_eq!(view.status, WarehouseHealth::Offline);
    assert_eq!(view.status_reason.as_deref(), Some("its actors have failed: a bug"));
}

/// Time is paused: nothing here touches the database.
#[tokio::test(start_paused = true)]
async fn r24_a_warehouse_that_fails_for_good_fails_alone_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("none.db").display());
    let url = service::config::DatabaseUrl::parse(&url).unwrap();
    let database = Database::new(service::database::Settings::small(url));
    let (availability, availability_spec, _told) = recorder("availability");
    let (registry, registry_spec, mut heard) = recorder("registry");
    let (connect, _fakes) = connect();
    let warehouses = SupervisorAddress::new();
    let shared = Shared { database, availability, registry, notices: Default::default(), connect, policy: POLICY };
    let subtrees = Subtrees::new(warehouses.clone(), shared);
    let warehouses = ChildSpec::supervisor("warehouses", &warehouses, vec![]);
    let system = system(vec![availability_spec, registry_spec, warehouses]).await;

    let row = |name: &str| Warehouse {
        database_id: database_id(),
        ..new_row(registration(name, "http://x", database_id()), shop::at(0))
    };
    let (alpha, beta) = (row("alpha"), row("beta"));
    subtrees.launch(&alpha).await.unwrap();
    subtrees.launch(&beta).await.unwrap();
    let monitor = subtrees.of(alpha.id).monitor;
    let failed = loop {
        monitor.kill();
        tokio::time::sleep(SECOND / 100).await;
        let failed = heard.so_far().into_iter().find_map(|msg| match msg {
            Msg::SubtreeFailed { id, .. } => Some(id),
            _ => None,
        });
        if let Some(failed) = failed {
            break failed;
        }
    };
    assert_eq!(failed, alpha.id);
    let state = |path: &str| system.snapshot().find(path).map(|actor| actor.state);
    assert_eq!(state("test/warehouses/warehouse:alpha"), Some(::actors::State::Failed));
    assert!(!monitor.is_open());
    for path in ["warehouses", "warehouses/warehouse:beta", "warehouses/warehouse:beta/monitor"] {
        let beta = system.snapshot().find(&format!("test/{path}")).map(|actor| (actor.state, actor.restarts));
        assert_eq!(beta, Some((::actors::State::Running, 0)), "{path}");
    }
    tokio::time::sleep(POLICY.retry_after + SECOND).await;
    assert!(monitor.is_open());
}
