//! A warehouse in this process, on either database, and the store that it talks to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actors::System;
use contract::{BookId, Confirmation, OrderId, Registered, Registration, ShipmentId, WarehouseHealth, WarehouseId};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use service::config::{BASE, DatabaseUrl, Source};
use service::database::{Database, Settings};
use tempfile::TempDir;
use uuid::Uuid;
use warehouse::actors::stock::{self, Answered, NotDone};
use warehouse::app::App;
use warehouse::client::{RegisterError, StoreApi};
use warehouse::config::{Config, DEFAULTS};
use warehouse::db::titles::Titled;
use warehouse::domain::adjustment::{Adjustment, Change};
use warehouse::domain::batch::{Answer, Named};
use warehouse::domain::delivery::Attempt;
use warehouse::domain::returned::Return;
use warehouse::domain::shipment::{Outcome, Shipment};

pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const SECRET: &str = "the secret of these tests";
pub(crate) const STAFF: (&str, &str) = ("staff@example.com", "correct horse");

/// An empty database of either kind, gone when this is dropped.
pub(crate) enum Scratch {
    Sqlite(TempDir),
    Postgres(kit::Database),
}

impl Scratch {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) async fn postgres() -> Self {
        Self::Postgres(kit::Database::create("warehouse").await.unwrap())
    }

    fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite://{}", folder.path().join("warehouse.db").display()),
            Self::Postgres(database) => database.url(),
        }
    }
}

/// Runs the check on a warehouse in SQLite, then on one in PostgreSQL.
pub(crate) async fn on_both(check: impl AsyncFn(&House)) {
    for scratch in [Scratch::sqlite(), Scratch::postgres().await] {
        let house = House::open(&scratch).await;
        check(&house).await;
        house.ledger_agrees().await;
        house.close().await;
    }
}

/// What the store does with a confirmation.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    Answer(Attempt),
    Hang,
}

/// A store of the test's making: takes every confirmation, unless told otherwise for an order.
#[derive(Default)]
pub(crate) struct Store {
    moods: Mutex<HashMap<OrderId, Mood>>,
    confirmed: Mutex<Vec<(OrderId, Confirmation)>>,
    catalogue: Mutex<HashMap<BookId, (String, String)>>,
    /// The books of each call for titles, in order.
    asked: Mutex<Vec<Vec<BookId>>>,
    away: AtomicBool,
}

impl Store {
    pub(crate) fn set(&self, order: OrderId, mood: Mood) {
        self.moods.lock().unwrap().insert(order, mood);
    }

    pub(crate) fn relent(&self) {
        self.moods.lock().unwrap().clear();
    }

    /// Puts a book into its catalogue.
    pub(crate) fn calls(&self, number: u128, title: &str, author: &str) {
        self.catalogue.lock().unwrap().insert(book(number), (title.to_owned(), author.to_owned()));
    }

    /// Whether it answers no calls for titles.
    pub(crate) fn is_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// The calls for titles since this was last asked.
    pub(crate) fn asked(&self) -> Vec<Vec<BookId>> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Every try, in order.
    pub(crate) fn confirmed(&self) -> Vec<(OrderId, Confirmation)> {
        self.confirmed.lock().unwrap().clone()
    }

    pub(crate) fn tries(&self, order: OrderId) -> usize {
        self.confirmed().iter().filter(|(confirmed, _)| *confirmed == order).count()
    }
}

/// As the warehouse holds it.
struct Held(Arc<Store>);

impl StoreApi for Held {
    fn register(&self, registration: Registration) -> BoxFuture<'static, Result<Registered, RegisterError>> {
        let registered =
            Registered { id: WarehouseId::new(), name: registration.name, status: WarehouseHealth::Offline };
        async { Ok(registered) }.boxed()
    }

    fn confirm(&self, order: OrderId, body: String) -> BoxFuture<'static, Attempt> {
        self.0.confirmed.lock().unwrap().push((order, serde_json::from_str(&body).unwrap()));
        let mood = self.0.moods.lock().unwrap().get(&order).cloned();
        async {
            match mood {
                None => Attempt::Taken,
                Some(Mood::Answer(attempt)) => attempt,
                Some(Mood::Hang) => std::future::pending().await,
            }
        }
        .boxed()
    }

    fn titles(&self, books: Vec<BookId>) -> BoxFuture<'static, Result<Vec<Titled>, String>> {
        let catalogue = self.0.catalogue.lock().unwrap();
        let titled = |book_id: &BookId| {
            let (title, author) = catalogue.get(book_id)?.clone();
            Some(Titled { book_id: *book_id, title, author })
        };
        let found = books.iter().filter_map(titled).collect();
        self.0.asked.lock().unwrap().push(books);
        let away = self.0.away.load(Ordering::SeqCst);
        async move { if away { Err("away".to_owned()) } else { Ok(found) } }.boxed()
    }

    fn address(&self) -> String {
        "http://store.example".to_owned()
    }
}

/// A running warehouse.
pub(crate) struct House {
    pub(crate) app: Arc<App>,
    pub(crate) store: Arc<Store>,
    pub(crate) url: String,
    pub(crate) sql: DatabaseConnection,
    system: System,
}

impl House {
    pub(crate) async fn open(scratch: &Scratch) -> Self {
        Self::open_with(scratch, &[]).await
    }

    pub(crate) async fn open_with(scratch: &Scratch, keys: &[(&str, &str)]) -> Self {
        let database_url = scratch.url();
        let own = [
            ("database_url", database_url.as_str()),
            ("service_secret", SECRET),
            ("warehouse_name", "alpha"),
            ("bcrypt_cost", "4"),
            ("admin_email", STAFF.0),
            ("admin_password", STAFF.1),
            ("drain_seconds", "2"),
        ];
        let source = Source::defaults(&[BASE, DEFAULTS]).unwrap();
        let source = own.iter().chain(keys).fold(source, |source, (key, value)| source.with(key, value).unwrap());
        let config = Config::from_source(&source).unwrap();

        let listener = service::http::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (policy, store) = (config.base.http(), Arc::new(Store::default()));
        let built = App::build_with(config, Arc::new(Held(Arc::clone(&store)))).unwrap();
        let http = service::http::child(listener, built.routes.clone(), policy);
        let (app, root) = (Arc::clone(&built.app), built.supervisor.clone());
        let system = System::start_at("warehouse", &root, built.children(Some(http))).await.unwrap();
        assert!(system.started().await, "{:?}", system.ended().await);

        let settings = Settings::small(DatabaseUrl::parse(&database_url).unwrap());
        let sql = Database::connect(settings).await.unwrap().ready().unwrap().clone();
        Self { app, store, url, sql, system }
    }

    pub(crate) async fn close(self) {
        self.system.stop().await.unwrap();
        self.sql.close().await.unwrap();
    }

    /// Enters book number `number` with so many copies.
    pub(crate) async fn enter(&self, number: u128, quantity: i64) -> Answer {
        let isbn = contract::isbn::synthetic(u64::try_from(number).unwrap());
        let change = Change::Enter { isbn, title: None, author: None, quantity };
        self.adjust(number, change).await
    }

    pub(crate) async fn adjust(&self, number: u128, change: Change) -> Answer {
        let made_by = "tester".to_owned();
        let adjustment = Adjustment { book_id: book(number), change, made_by, reason: None };
        self.told(self.app.stock.ask(SOON, |reply| stock::Msg::Adjust { adjustment, reply }).await)
    }

    pub(crate) async fn ship(&self, shipment: Shipment) -> Answer {
        self.told(self.app.stock.ask(SOON, |reply| stock::Msg::Ship { shipment, reply }).await)
    }

    pub(crate) async fn void(&self, id: ShipmentId) -> Answer {
        let shipment = named(id);
        self.told(self.app.stock.ask(SOON, |reply| stock::Msg::Void { shipment, reply }).await)
    }

    pub(crate) async fn reserve(&self, shipment: Shipment, hold: Duration) -> Answer {
        self.told(self.app.stock.ask(SOON, |reply| stock::Msg::Reserve { shipment, hold, reply }).await)
    }

    pub(crate) async fn confirm(&self, id: ShipmentId) -> Answer {
        let shipment = named(id);
        self.told(self.app.stock.ask(SOON, |reply| stock::Msg::Confirm { shipment, reply }).await)
    }

    pub(crate) async fn ship_held(&self, id: ShipmentId) -> Answer {
        let shipment = named(id);
        self.told(self.app.stock.ask(SOON, |reply| stock::Msg::ShipHeld { shipment, reply }).await)
    }

    pub(crate) async fn take_back(&self, returned: Return) -> Answer {
        self.told(self.app.stock.ask(SOON, |reply| stock::Msg::Return { returned, reply }).await)
    }

    fn told(&self, told: Result<stock::Told, actors::AskError>) -> Answer {
        match told.unwrap().unwrap() {
            Ok(Answered { answer, .. }) => answer,
            Err(NotDone) => panic!("not done"),
        }
    }

    pub(crate) async fn sql_run(&self, statement: &str) {
        self.sql.execute_unprepared(statement).await.unwrap();
    }

    /// The one number of a query.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        let query = format!("SELECT CAST(coalesce(({query}), 0) AS bigint) AS number");
        let statement = Statement::from_string(self.sql.get_database_backend(), query);
        self.sql.query_one_raw(statement).await.unwrap().unwrap().try_get("", "number").unwrap()
    }

    pub(crate) async fn on_hand(&self, number: u128) -> i64 {
        let item = warehouse::db::inventory::one(&self.sql, book(number)).await.unwrap();
        item.unwrap().quantity
    }

    /// Waits until the outbox is empty.
    pub(crate) async fn delivered(&self) {
        kit::until("the outbox is empty", SOON, async || match self.number("SELECT count(*) FROM outbox").await {
            0 => Ok(()),
            left => Err(format!("{left} left")),
        })
        .await;
    }

    /// The invariants that a warehouse has by itself.
    pub(crate) async fn ledger_agrees(&self) {
        for wrong in [
            "SELECT count(*) FROM inventory i WHERE quantity <>
                (SELECT coalesce(sum(on_hand_delta), 0) FROM inventory_movements m WHERE m.book_id = i.book_id)",
            "SELECT count(*) FROM inventory i WHERE reserved <>
                (SELECT coalesce(sum(reserved_delta), 0) FROM inventory_movements m WHERE m.book_id = i.book_id)",
            "SELECT count(*) FROM inventory WHERE version > (SELECT version FROM warehouse_state)",
            "SELECT count(*) FROM shipment_logs l WHERE NOT EXISTS (SELECT 1 FROM inventory_movements m
                WHERE m.shipment_id = l.shipment_id AND m.book_id = l.book_id AND m.on_hand_delta = -l.quantity)",
            "SELECT count(*) FROM shipment_logs l WHERE NOT EXISTS
                (SELECT 1 FROM shipments s WHERE s.shipment_id = l.shipment_id AND s.outcome = 'shipped')",
            "SELECT count(*) FROM shipments s WHERE s.outcome = 'shipped' AND NOT EXISTS
                (SELECT 1 FROM shipment_logs l WHERE s.shipment_id = l.shipment_id)",
            // A reservation's end is its shipment's outcome, and until then there is none.
            "SELECT count(*) FROM reservations r LEFT JOIN shipments s ON s.shipment_id = r.shipment_id
                WHERE coalesce(s.outcome, 'none') <> CASE WHEN r.status IN ('held', 'confirmed') THEN 'none'
                    WHEN r.status = 'shipped' THEN 'shipped' ELSE 'voided' END",
            // What it moved of the copies set aside is all still there while it is live, and nothing after.
            "SELECT count(*) FROM reservations r WHERE (r.status IN ('held', 'confirmed')) <>
                ((SELECT sum(reserved_delta) FROM inventory_movements m WHERE m.shipment_id = r.shipment_id) > 0)",
            "SELECT count(*) FROM (SELECT shipment_id, book_id FROM inventory_movements WHERE kind = 'returned'
                GROUP BY shipment_id, book_id HAVING sum(on_hand_delta) > coalesce((SELECT l.quantity FROM shipment_logs l
                    WHERE l.shipment_id = inventory_movements.shipment_id AND l.book_id = inventory_movements.book_id), 0)) t",
        ] {
            assert_eq!(self.number(wrong).await, 0, "{wrong}");
        }
    }
}

pub(crate) fn book(number: u128) -> BookId {
    BookId(Uuid::from_u128(number))
}

/// A shipment with a new key, for an order of its own.
pub(crate) fn shipment(lines: &[(u128, i64)]) -> Shipment {
    let lines = lines.iter().map(|&(number, quantity)| (book(number), quantity)).collect();
    Shipment { id: ShipmentId::new(), order_id: OrderId::new(), expected_database: None, lines }
}

fn named(id: ShipmentId) -> Named {
    Named { id, expected_database: None }
}

pub(crate) fn is_shipped(answer: &Answer) -> bool {
    matches!(answer, Answer::Decided(Outcome::Shipped(_)))
}

pub(crate) fn is_refused(answer: &Answer) -> bool {
    matches!(answer, Answer::Decided(Outcome::Refused(_)))
}
