use ::actors::{ChildSpec, SupervisorAddress, System};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::actors::testing::{Heard, recorder, system};
use crate::db::testing::{self as shop, at, book_id, row, warehouse_id};
use crate::domain::sourcing::Demand;

const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    address: Address<Msg>,
    database: Database,
    registry: Heard<registry::Msg>,
    orders: Heard<orders::Msg>,
    /// Starts `orders`, which hears nothing before.
    start_orders: Option<(SupervisorAddress, ChildSpec)>,
    _system: System,
    _folder: TempDir,
}

/// alpha has ten copies of book 1 and four of book 2; order 1 has an open shipment of three copies of book 1 there, order 2 a closed one.
async fn bench(audit_every: Duration) -> Bench {
    let mut bench = deaf_bench(audit_every).await;
    bench.start_orders().await;
    bench
}

async fn deaf_bench(audit_every: Duration) -> Bench {
    let (database, folder) = shop::sqlite().await;
    shop::enter_books(&database, 2).await;
    let alpha = shop::enter_warehouse(&database, 1, "alpha").await;
    let rows = [(alpha.id, row(1, 10, 5)), (alpha.id, row(2, 4, 5))];
    db::inventory_cache::upsert_newer(database.ready().unwrap(), &rows, at(7)).await.unwrap();
    shop::enter_order(&database, 1, &alpha, 3, "PENDING").await;
    shop::enter_order(&database, 2, &alpha, 3, "SHIPPED").await;
    let (registry, spec, heard) = recorder("registry");
    let (orders, orders_spec, told) = recorder("orders");
    let (address, later) = (Address::new(1_000), SupervisorAddress::new());
    let args = Args { database: database.clone(), registry, orders, strategy: Strategy::default(), audit_every };
    let actor = ChildSpec::actor("availability", &address, Availability, args);
    let system = system(vec![spec, ChildSpec::supervisor("later", &later, vec![]), actor]).await;
    let start_orders = Some((later, orders_spec));
    Bench { address, database, registry: heard, orders: told, start_orders, _system: system, _folder: folder }
}

impl Bench {
    async fn start_orders(&mut self) {
        let (later, spec) = self.start_orders.take().unwrap();
        later.start_child(spec).await.unwrap();
    }

    async fn plan(&self, n: u128, quantity: u32, exclude: &[WarehouseId]) -> Result<Plan, Vec<Shortfall>> {
        let (order, wants) = (order(n), Wants { exclude: exclude.to_vec(), ..wants(quantity) });
        let ask = self.address.ask(SECOND * 10, |reply| Msg::Plan { order, wants, reply });
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

/// Copies of book 1.
fn wants(quantity: u32) -> Wants {
    let demand = Demand::new(&[Line { book: book_id(1), quantity }]);
    Wants { demand, allow_split: true, exclude: vec![] }
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
    assert_eq!(bench.plan(10, 5, &[]).await.unwrap().parts[0].warehouse, warehouse_id(1));
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
    bench.tell(Msg::Plan { order: order(10), wants: wants(7), reply });
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
        bench.tell(Msg::Assert { order: order(10), parts: vec![(warehouse_id(1), lines.clone())] });
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
    let (orders, address) = (Address::new(10), Address::new(10));
    let args = Args { database, registry, orders, strategy: Strategy::default(), audit_every: SECOND };
    let system = system(vec![spec, ChildSpec::actor("availability", &address, Availability, args)]).await;
    let books = vec![book_id(1)];
    let refused = address.ask(SECOND, |reply| Msg::Available { books, reply }).await;
    assert_eq!(refused, Err(::actors::AskError::Refused));
    let snapshot = system.snapshot();
    assert_eq!(snapshot.find("test/availability").unwrap().budget_left, 5, "that it is away is not counted");
}

#[tokio::test]
async fn who_waits_is_told_when_it_has_its_stock_and_can_plan_it() {
    let mut bench = bench(SECOND * 60).await;
    for (n, since) in [(11, 20), (10, 10)] {
        bench.tell(Msg::AwaitStock { order: order(n), since: at(since), wants: wants(8) });
    }
    bench.plan(12, 3, &[]).await.expect("a new order is not held back");
    bench.tell(Msg::Settle { order: None, warehouse: warehouse_id(1), rows: vec![row(1, 14, 6)] });
    let orders::Msg::StockCame { order: came } = bench.orders.next().await else { panic!("not told") };
    assert_eq!((came, bench.available().await[0]), (order(10), 0), "the older one");
    assert_eq!(bench.plan(10, 8, &[]).await.unwrap().parts[0].lines[0].quantity, 8);
    bench.tell(Msg::Release { order: order(10) });
    let orders::Msg::StockCame { order: came } = bench.orders.next().await else { panic!("not told") };
    assert_eq!(came, order(11));
    bench.tell(Msg::Release { order: order(11) });
    assert_eq!(bench.available().await[0], 8);
    assert!(bench.orders.so_far().is_empty());
}

#[tokio::test]
async fn a_long_line_is_looked_through_though_no_message_comes() {
    let mut bench = bench(SECOND * 3_600).await;
    let count = TRIES_AT_ONCE as u128 * 3;
    for n in 0..count {
        bench.tell(Msg::AwaitStock { order: order(1_000 + n), since: at(1), wants: wants(10) });
    }
    bench.tell(Msg::Settle { order: None, warehouse: warehouse_id(1), rows: vec![row(1, 100_000, 6)] });
    for n in 0..count {
        let told = tokio::time::timeout(SECOND * 20, bench.orders.next()).await;
        let Ok(orders::Msg::StockCame { order: came }) = told else { panic!("not told") };
        assert_eq!(came, order(1_000 + n));
    }
}

#[tokio::test]
async fn who_could_not_be_told_is_told_later() {
    let mut bench = deaf_bench(SECOND * 60).await;
    bench.tell(Msg::AwaitStock { order: order(10), since: at(1), wants: wants(5) });
    assert_eq!(bench.available().await[0], 2, "it has come");
    bench.start_orders().await;
    assert!(matches!(bench.orders.next().await, orders::Msg::StockCame { order: came } if came == order(10)));
}

#[tokio::test]
async fn the_parts_of_an_order_are_asserted_at_start_and_audited_each_for_itself() {
    let bench = bench(SECOND / 5).await;
    let db = bench.database.ready().unwrap();
    let beta = shop::enter_warehouse(&bench.database, 2, "beta").await;
    use sea_orm::ConnectionTrait as _;
    db::inventory_cache::upsert_newer(db, &[(beta.id, row(1, 50, 1))], at(9)).await.unwrap();
    shop::enter_part(&bench.database, 1, &beta, 20, "PENDING").await;
    bench.address.kill();
    let is = async |expected: i64| {
        kit::until("the stock is this", SECOND * 10, async || {
            let books = vec![book_id(1)];
            match bench.address.ask(SECOND, |reply| Msg::Available { books, reply }).await {
                Ok(available) if available == [expected] => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    };
    is(7 + 30).await;
    db.execute_unprepared("UPDATE shipments SET status = 'SHIPPED' WHERE warehouse_name = 'beta'").await.unwrap();
    is(7 + 50).await;
    db.execute_unprepared("UPDATE shipments SET status = 'VOIDED'").await.unwrap();
    is(10 + 50).await;
}
