//! A store and two warehouses, alpha and beta, each a process with a database of its own, with a proxy in each direction between the store and
//! each warehouse.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kit::process::{Spec, built};
use kit::{Cluster, Database, Port, Process, Proxy};
use tempfile::TempDir;

use super::client::SECRET;
use super::{Allowed, Answer, Client, SOON, Sql, Uuid, Value, invariants, json};

const BUILD: &str = "cargo build --workspace --bins --tests --features failpoints";
/// How long a process that runs may take to read its faults; it looks every 20 ms.
const FAULTS_WITHIN: Duration = Duration::from_millis(500);
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// A book of the catalogue.
#[derive(Debug, Clone)]
pub struct Book {
    pub id: Uuid,
    pub isbn: String,
    pub price_cents: i64,
}

impl Book {
    /// As the store shows it.
    pub fn of(book: &Value) -> Self {
        Self {
            id: serde_json::from_value(book["id"].clone()).unwrap(),
            isbn: book["isbn"].as_str().unwrap().to_owned(),
            price_cents: (book["price"].as_f64().unwrap() * 100.0).round() as i64,
        }
    }

    /// A line of an order.
    pub fn line(&self, quantity: u32) -> Value {
        json!({ "bookId": self.id, "quantity": quantity })
    }

    /// A line of a shipment.
    pub fn shipment_line(&self, quantity: u32) -> Value {
        json!({ "bookId": self.id, "isbn": self.isbn, "quantity": quantity })
    }
}

/// One service: its process, and what outlives it.
pub struct Service {
    spec: Spec,
    process: Option<Process>,
    port: Port,
    pub database: Database,
    faults: PathBuf,
}

impl Service {
    async fn prepare(program: &str, name: &str, folder: &Path, cluster: Option<&Cluster>) -> Self {
        let prefix = name.replace('-', "_");
        let database = match cluster {
            Some(cluster) => cluster.database(&prefix).await.unwrap(),
            None => Database::create(&prefix).await.unwrap(),
        };
        let port = Port::reserve().unwrap();
        let faults = folder.join(format!("{name}.faults"));
        let spec = Spec::new(name, built(program, env!("CARGO_BIN_EXE_bookstore"), BUILD).unwrap(), folder)
            .env("LISTEN_ADDRESS", "127.0.0.1")
            .env("PORT", port.number())
            .env("DATABASE_URL", database.url())
            .env("SERVICE_SECRET", SECRET)
            .env("SEED_DEMO", true)
            .env("BCRYPT_COST", 4)
            .env("DRAIN_SECONDS", 15)
            .env("FAULTS_FILE", faults.display());
        Self { spec, process: None, port, database, faults }
    }

    fn env(&mut self, name: &str, value: impl ToString) {
        self.spec = self.spec.clone().env(name, value);
    }

    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Somebody without credentials who talks to it directly, past every proxy.
    pub fn anyone(&self) -> Client {
        Client::new(&format!("http://{}", self.address()))
    }

    pub async fn sql(&self) -> Sql {
        Sql::open(&self.database.url()).await.unwrap()
    }

    /// Starts the process, or starts it again, and does not wait.
    pub fn start(&mut self) {
        match &mut self.process {
            Some(process) => process.start_again().unwrap(),
            None => self.process = Some(self.spec.clone().spawn().unwrap()),
        }
    }

    /// Starts it again after its death, without faults.
    pub fn start_well(&mut self) {
        fs::write(&self.faults, "").unwrap();
        self.start();
    }

    pub async fn ready(&mut self) {
        let url = format!("http://{}/ready", self.address());
        self.process().answers(&url, STARTS_WITHIN).await.unwrap();
    }

    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it was started")
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.process().kill().unwrap();
    }

    /// Asks it to end, and makes sure that it ends well.
    pub async fn terminate(&mut self) {
        self.process().terminate().unwrap();
        let status = self.process().ended(SOON).await.unwrap();
        assert!(status.success(), "it ended with {status}:\n{}", self.process().log());
    }

    /// Sets the faults of its process, replacing former ones: lines of `point=action`. Nothing for none. They are set when this
    /// returns, where the process runs; one that hangs or is gone is given a moment.
    #[allow(clippy::disallowed_methods, reason = "a few milliseconds, in which nothing else of the test happens")]
    pub fn faults(&self, lines: &str) {
        let beside = self.faults.with_extension("new");
        fs::write(&beside, lines).unwrap();
        fs::rename(beside, &self.faults).unwrap();
        let seen = PathBuf::from(format!("{}.seen", self.faults.display()));
        let began = Instant::now();
        let is_seen = || fs::read_to_string(&seen).is_ok_and(|seen| seen == lines);
        while self.process.is_some() && !is_seen() && began.elapsed() < FAULTS_WITHIN {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A warehouse and its connections with the store.
pub struct Warehouse {
    pub name: &'static str,
    pub service: Service,
    /// From the store to the warehouse.
    pub to: Proxy,
    /// From the warehouse to the store.
    pub back: Proxy,
}

impl Warehouse {
    async fn prepare(name: &'static str, folder: &Path, plan: &Plan<'_>, store: &Service) -> Self {
        let mut service = Service::prepare("warehouse", name, folder, plan.cluster).await;
        let to = Proxy::start(service.address()).await.unwrap();
        let back = Proxy::start(store.address()).await.unwrap();
        service.env("WAREHOUSE_NAME", name);
        service.env("WAREHOUSE_URL", format!("http://{}", service.address()));
        service.env("WAREHOUSE_INTERNAL_URL", to.url());
        service.env("STORE_API_URL", back.url());
        service.env("REGISTRATION_RETRY_INTERVAL_SECONDS", 1);
        for (name, value) in &plan.warehouses {
            service.env(name, value);
        }
        Self { name, service, to, back }
    }

    /// One more, beside those of a shop; not started.
    pub async fn beside(name: &'static str, shop: &Shop) -> Self {
        Self::prepare(name, shop.folder.path(), &Plan::default(), &shop.store).await
    }

    pub fn staff(&self) -> Client {
        self.service.anyone().who_is(&format!("staff@{}.com", self.name), "staff123")
    }

    /// Sets what it has of a book, as its staff does.
    pub async fn stock(&self, book: &Book, quantity: u32) {
        self.staff().patch(&format!("/inventory/{}", book.id), json!({ "quantity": quantity })).await.expect(200);
    }

    /// What it has of a book.
    pub async fn on_hand(&self, book: &Book) -> i64 {
        let query = format!("SELECT quantity FROM inventory WHERE book_id = '{}'", book.id);
        self.service.sql().await.number(&query).await.unwrap()
    }

    /// How many copies of a book it has shipped.
    pub async fn shipped(&self, book: &Book) -> i64 {
        let query = format!("SELECT sum(quantity) FROM shipment_logs WHERE book_id = '{}'", book.id);
        self.service.sql().await.number(&query).await.unwrap()
    }

    /// How many shipments it has made.
    pub async fn shipments(&self) -> i64 {
        self.service.sql().await.number("SELECT count(*) FROM shipments WHERE outcome = 'shipped'").await.unwrap()
    }

    /// Posts a shipment as the store does.
    pub async fn ship(&self, order: Uuid, shipment: Uuid, lines: &[Value]) -> Answer {
        let body = json!({ "orderId": order, "shipmentId": shipment, "items": lines });
        self.service.anyone().service().post("/shipments", body).await
    }
}

/// How a shop is set up, where it differs.
#[derive(Default)]
pub struct Plan<'a> {
    pub cluster: Option<&'a Cluster>,
    pub store: Vec<(&'static str, String)>,
    pub warehouses: Vec<(&'static str, String)>,
}

/// The whole, with the demo data: every book is in both warehouses.
pub struct Shop {
    pub store: Service,
    pub alpha: Warehouse,
    pub beta: Warehouse,
    pub books: Vec<Book>,
    folder: TempDir,
}

impl Shop {
    /// Started, registered and in step.
    pub async fn open() -> Self {
        Self::open_as(Plan::default()).await
    }

    pub async fn open_as(plan: Plan<'_>) -> Self {
        let mut shop = Self::prepare(plan).await;
        shop.start().await;
        shop
    }

    /// With databases and proxies, but nothing started.
    pub async fn prepare(plan: Plan<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Service::prepare("store", "store", folder.path(), plan.cluster).await;
        store.env("HEALTH_CHECK_INTERVAL_SECONDS", 1);
        for (name, value) in &plan.store {
            store.env(name, value);
        }
        let alpha = Warehouse::prepare("warehouse-alpha", folder.path(), &plan, &store).await;
        let beta = Warehouse::prepare("warehouse-beta", folder.path(), &plan, &store).await;
        Self { store, alpha, beta, books: Vec::new(), folder }
    }

    /// Starts all three and waits until the store knows the stock of both warehouses.
    pub async fn start(&mut self) {
        for service in [&mut self.store, &mut self.alpha.service, &mut self.beta.service] {
            service.start();
        }
        for service in [&mut self.store, &mut self.alpha.service, &mut self.beta.service] {
            service.ready().await;
        }
        self.in_step().await;
    }

    /// Waits until both warehouses are HEALTHY and their stock is known.
    pub async fn in_step(&mut self) {
        for name in [self.alpha.name, self.beta.name] {
            self.warehouse_is(name, "HEALTHY").await;
        }
        self.learn_books().await;
        let last = self.books.last().unwrap().id;
        kit::until("the stock of both warehouses is known", SOON, async || {
            let known = self.store.anyone().get(&format!("/inventory/books/{last}")).await;
            if known.code() == 200 && known.json().as_array().unwrap().len() == 2 { Ok(()) } else { Err(known.text) }
        })
        .await;
    }

    /// Reads the catalogue.
    pub async fn learn_books(&mut self) {
        let books = self.store.anyone().get("/books?limit=1000").await.expect(200);
        self.books = books.as_array().unwrap().iter().map(Book::of).collect();
    }

    pub fn anyone(&self) -> Client {
        self.store.anyone()
    }

    pub fn alice(&self) -> Client {
        self.anyone().who_is("alice@customer.com", "alice123")
    }

    pub fn bob(&self) -> Client {
        self.anyone().who_is("bob@customer.com", "bob123")
    }

    pub fn admin(&self) -> Client {
        self.anyone().who_is("admin@bookstore.com", "admin123")
    }

    /// Places an order as alice.
    pub async fn order(&self, lines: &[Value]) -> Answer {
        self.alice().post("/orders", json!({ "items": lines })).await
    }

    /// An order as its customer alice sees it.
    pub async fn look_up(&self, order: Uuid) -> Value {
        self.alice().get(&format!("/orders/{order}")).await.expect(200)
    }

    /// Waits until an order, whoever placed it, has a status.
    pub async fn order_is(&self, order: Uuid, status: &str, within: Duration) -> Value {
        kit::until(&format!("order {order} is {status}"), within, async || {
            let answer = self.admin().get(&format!("/orders/{order}")).await;
            let is = answer.code() == 200 && answer.json()["status"] == status;
            if is { Ok(answer.json()) } else { Err(answer.text) }
        })
        .await
    }

    /// What the store shows of a warehouse.
    pub async fn warehouse(&self, name: &str) -> Option<Value> {
        let all = self.admin().get("/warehouses").await.expect(200);
        all.as_array().unwrap().iter().find(|warehouse| warehouse["name"] == name).cloned()
    }

    pub async fn warehouse_is(&self, name: &str, status: &str) {
        kit::until(&format!("{name} is {status}"), SOON, async || match self.warehouse(name).await {
            Some(warehouse) if warehouse["status"] == status => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }

    /// Sets the stock of a book in both warehouses, and has the store learn it.
    pub async fn stock(&self, book: &Book, alpha: u32, beta: u32) {
        self.alpha.stock(book, alpha).await;
        self.beta.stock(book, beta).await;
        self.reconcile().await;
    }

    /// So much of the first `books` books that no load runs out.
    pub async fn plenty(&self, books: usize) -> Vec<Book> {
        let books = self.books[..books].to_vec();
        for book in &books {
            self.alpha.stock(book, 100_000).await;
            self.beta.stock(book, 100_000).await;
        }
        self.reconcile().await;
        books
    }

    /// Has the store pull the stock of both warehouses. One that could not be reached just now is passed over until it is known to be back.
    pub async fn reconcile(&self) {
        kit::until("the stock of all is pulled", SOON, async || {
            let report = self.admin().post("/inventory/reconcile", json!({})).await.expect(200);
            let pulled = report["warehouses"].as_array().unwrap().iter().all(|warehouse| warehouse["error"].is_null());
            if pulled { Ok(()) } else { Err(report.to_string()) }
        })
        .await;
    }

    /// What the store believes that each warehouse has free of a book, by name.
    pub async fn cached(&self, book: &Book) -> Vec<(String, i64)> {
        let query = format!(
            "SELECT w.name, c.quantity FROM inventory_cache c JOIN warehouse_registry w ON w.id = c.warehouse_id WHERE book_id = '{}' ORDER BY w.name",
            book.id
        );
        let rows: Vec<Value> = self.store.sql().await.rows(&query).await.unwrap();
        rows.iter().map(|row| (row["name"].as_str().unwrap().to_owned(), row["quantity"].as_i64().unwrap())).collect()
    }

    /// All actors of a service, from `GET /actors` as one who may see it. What it answered instead where it cannot just now.
    pub async fn actors(&self, who: &Client) -> Result<Vec<Value>, String> {
        fn collect(actor: &Value, all: &mut Vec<Value>) {
            all.push(actor.clone());
            for child in actor["children"].as_array().into_iter().flatten() {
                collect(child, all);
            }
        }
        let answer = who.get("/actors").await;
        if answer.code() != 200 {
            return Err(answer.text);
        }
        let mut all = Vec::new();
        collect(&answer.json()["tree"], &mut all);
        Ok(all)
    }

    /// The invariants, once everything is quiet. `told` are the orders that a client was told are accepted.
    pub async fn invariants_hold(&self, told: &[Uuid]) {
        self.invariants_hold_but(told, &Allowed::default()).await;
    }

    pub async fn invariants_hold_but(&self, told: &[Uuid], allowed: &Allowed) {
        let warehouses = [&self.alpha, &self.beta].map(|warehouse| (warehouse.name, warehouse.service.database.url()));
        invariants::hold(&self.store.database.url(), &warehouses, told, allowed).await;
        self.no_allocation_is_left(allowed).await;
    }

    /// What the store offers is all that its warehouses have free: nothing is held for an order that has ended.
    async fn no_allocation_is_left(&self, allowed: &Allowed) {
        let mut free: HashMap<Uuid, i64> = HashMap::new();
        for warehouse in
            [&self.alpha, &self.beta].into_iter().filter(|warehouse| !allowed.away.contains(warehouse.name))
        {
            let rows = "SELECT book_id, quantity - reserved AS free FROM inventory";
            for row in warehouse.service.sql().await.rows::<Value>(rows).await.unwrap() {
                let book = serde_json::from_value(row["book_id"].clone()).unwrap();
                *free.entry(book).or_default() += row["free"].as_i64().unwrap();
            }
        }
        kit::until("no allocation is left", Duration::from_secs(60), async || {
            let books = self.anyone().get("/books?limit=1000").await;
            if books.code() != 200 {
                return Err(books.text);
            }
            let held = |book: &&Value| {
                let id: Uuid = serde_json::from_value(book["id"].clone()).unwrap();
                book["availableStock"].as_i64() != Some(free.get(&id).copied().unwrap_or_default())
            };
            let books = books.json();
            let wrong: Vec<&Value> = books.as_array().unwrap().iter().filter(held).collect();
            if wrong.is_empty() { Ok(()) } else { Err(format!("other stock is offered than there is: {wrong:?}")) }
        })
        .await;
    }
}
