use ::actors::{ChildSpec, System};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::actors::testing::{Heard, recorder, system};
use crate::db::testing::{self as shop, at, book_id, row, warehouse_id};

const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    address: Address<Msg>,
    database: Database,
    registry: Heard<registry::Msg>,
    _system: System,
    _folder: TempDir,
}

/// alpha has ten copies of book 1 and four of book 2; order 1 has an open shipment of three copies of book 1 there, order 2 a closed one.
async fn bench(audit_every: Duration) -> Bench {
    let (database, folder) = shop::sqlite().await;
    shop::enter_books(&database, 2).await;
    let alpha = shop::enter_warehouse(&database, 1, "alpha").await;
    let rows = [(alpha.id, row(1, 10, 5)), (alpha.id, row(2, 4, 5))];
    db::inventory_cache::upsert_newer(database.ready().unwrap(), &rows, at(7)).await.unwrap();
    shop::enter_order(&database, 1, &alpha, 3, "PENDING").await;
    shop::enter_order(&database, 2, &alpha, 3, "SHIPPED").await;
    let (registry, spec, heard) = recorder("registry");
    let address = Address::new(1_000);
    let args = Args { database: database.clone(), registry, audit_every };
    let system = system(vec![spec, ChildSpec::actor("availability", &address, Availability, args)]).await;
    Bench { address, database, registry: heard, _system: system, _folder: folder }
}

impl Bench {
    async fn plan(&self, n: u128, quantity: u32, exclude: &[WarehouseId]) -> Result<Choice, Vec<Shortfall>> {
        let (order, demand, exclude) = (order(n), vec![Line { book: book_id(1), quantity }], exclude.to_vec());
        let ask = self.address.ask(SECOND * 10, |reply| Msg::Plan { order, demand, exclude, reply });
        ask.await.unwrap()
    }

    async fn available(&self) -> Vec<i64> {
        let books = vec![book_id(1), book_id(2), book_id(9)];
        self.address.ask(SECOND * 10, |reply| Msg::Available { books, reply }).await.unwrap()
    }

    fn tell(&self, msg: Msg) {
        self.address.tell(msg).unwrap();
    }

    fn set_sourceable(&self, sourceable: bool) {
        self.tell(Msg::SetWarehouse { id: warehouse_id(1), name: "alpha".to_owned(), sourceable, priority: 0 });
    }
}

fn order(n: u128) -> OrderId {
    OrderId(Uuid::from_u128(n))
}

#[tokio::test]
async fn knows_at_start_what_is_cached_and_what_open_shipments_hold() {
    let mut bench = bench(SECOND * 60).await;
    assert_eq!(bench.available().await, [7, 4, 0]);
    let stock = bench.address.ask(SECOND, |reply| Msg::Stock { book: book_id(1), reply }).await.unwrap();
    assert_eq!(
        (stock.available, &stock.shelves[0].warehouse_name[..], stock.shelves[0].last_synced),
        (7, "alpha", at(7))
    );
    assert!(matches!(bench.registry.next().await, registry::Msg::Announce), "so that it learns of open breakers");
}

#[tokio::test]
async fn plans_allocate_and_settling_is_one_step() {
    let bench = bench(SECOND * 60).await;
    assert_eq!(bench.plan(10, 5, &[]).await.unwrap().warehouse, warehouse_id(1));
    let short = bench.plan(11, 3, &[]).await.unwrap_err();
    assert_eq!(short, [Shortfall { book_id: book_id(1), requested: 3, available: 2 }]);
    assert!(bench.plan(11, 1, &[warehouse_id(1)]).await.is_err(), "it has refused already");
    bench.tell(Msg::Settle { order: Some(order(10)), warehouse: warehouse_id(1), rows: vec![row(1, 5, 6)] });
    assert_eq!(bench.available().await[0], 2, "the copies left with the allocation");
    bench.tell(Msg::Release { order: order(1) });
    assert_eq!(bench.available().await[0], 5);
    bench.set_sourceable(false);
    assert_eq!(bench.available().await[0], 0);
    assert_eq!(bench.plan(12, 1, &[]).await.unwrap_err()[0].available, 0);
}

#[tokio::test]
async fn a_plan_that_nobody_waits_for_holds_nothing() {
    let bench = bench(SECOND * 60).await;
    let (reply, receiver) = Reply::channel();
    drop(receiver);
    let demand = vec![Line { book: book_id(1), quantity: 7 }];
    bench.tell(Msg::Plan { order: order(10), demand, exclude: vec![], reply });
    assert_eq!(bench.available().await[0], 7);
}

#[tokio::test]
async fn a_restart_reads_again_and_what_was_only_planned_is_asserted_after() {
    let bench = bench(SECOND * 60).await;
    bench.plan(10, 5, &[]).await.unwrap();
    assert_eq!(bench.available().await[0], 2);
    bench.address.kill();
    kit::until("it is back", SECOND * 10, async || {
        let books = vec![book_id(1)];
        let available = bench.address.ask(SECOND, |reply| Msg::Available { books, reply }).await;
        match available {
            Ok(available) if available == [7] => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let lines = vec![Line { book: book_id(1), quantity: 5 }];
    for _ in 0..2 {
        bench.tell(Msg::Assert { order: order(10), warehouse: warehouse_id(1), lines: lines.clone() });
        assert_eq!(bench.available().await[0], 2);
    }
}

#[tokio::test]
async fn an_allocation_that_outlived_its_shipment_is_found_and_its_rows_are_read_again() {
    let bench = bench(SECOND / 5).await;
    // The shipment has ended, but whoever should have said so was not heard.
    let db = bench.database.ready().unwrap();
    use sea_orm::ConnectionTrait as _;
    db.execute_unprepared("UPDATE shipments SET status = 'SHIPPED'").await.unwrap();
    db::inventory_cache::upsert_newer(db, &[(warehouse_id(1), row(1, 6, 9))], at(9)).await.unwrap();
    kit::until("the allocation is gone", SECOND * 10, async || match bench.available().await[0] {
        6 => Ok(()),
        other => Err(other.to_string()),
    })
    .await;
}

#[tokio::test]
async fn waits_for_a_database_that_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("none.db").display());
    let url = service::config::DatabaseUrl::parse(&url).unwrap();
    let database = Database::new(service::database::Settings::small(url));
    let (registry, spec, _heard) = recorder("registry");
    let address = Address::new(10);
    let args = Args { database, registry, audit_every: SECOND };
    let system = system(vec![spec, ChildSpec::actor("availability", &address, Availability, args)]).await;
    let books = vec![book_id(1)];
    let refused = address.ask(SECOND, |reply| Msg::Available { books, reply }).await;
    assert_eq!(refused, Err(::actors::AskError::Refused));
    let snapshot = system.snapshot();
    assert_eq!(snapshot.find("test/availability").unwrap().budget_left, 5, "that it is away is not counted");
}
