//! Stories of orders that between them take every step of a saga, told by HTTP as a customer would: what has no answer is asked again. A process
//! that dies in the course of one is started again, and both what had happened until then and how the story ends is reported.

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use reqwest::Method;
use store::domain::saga::Step;

use super::{Answer, Book, Client, Plan, SOON, Service, Shop, Uuid, Value, json};

mod happened;

pub use happened::Happened;
use happened::Sqls;

/// How long a story may take, a restart included.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
const SIGABRT: i32 = 6;

/// What becomes of an order. The first book is in alpha only, the second in beta only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tale {
    /// Alpha ships it by one call.
    Direct,
    /// Each of them ships a part.
    Split,
    /// The same, cancelled while it is being held.
    Cancelled,
    /// Direct, and all of it comes back.
    Returned,
}

impl Tale {
    pub const ALL: [Self; 4] = [Self::Direct, Self::Split, Self::Cancelled, Self::Returned];

    /// One that takes the step. A step that is added does not compile before it is part of one.
    pub fn of(step: Step) -> Self {
        match step {
            Step::Authorize | Step::Ship | Step::Capture => Self::Direct,
            Step::Reserve | Step::Confirm | Step::ShipHeld => Self::Split,
            Step::Void | Step::VoidPayment => Self::Cancelled,
            Step::Restock | Step::Refund => Self::Returned,
        }
    }

    /// The entries of its journal, from where faults are set.
    pub fn entries(self) -> &'static [&'static str] {
        match self {
            Self::Direct => &["accepted", "shipped"],
            Self::Split => &["accepted", "held", "part-shipped", "shipped"],
            Self::Cancelled => &["cancelling", "cancelled"],
            Self::Returned => &["returning", "returned"],
        }
    }

    /// What alpha does, from where faults are set; a commit each.
    pub fn alphas(self) -> &'static [Step] {
        match self {
            Self::Direct => &[Step::Ship],
            Self::Split => &[Step::Reserve, Step::Confirm, Step::ShipHeld],
            Self::Cancelled => &[Step::Reserve, Step::Void],
            Self::Returned => &[Step::Restock],
        }
    }
}

/// Whose process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Store,
    Alpha,
}

/// A fault, set where the part of the story begins that it is about.
#[derive(Debug, Clone)]
pub struct Fault {
    pub whose: Whose,
    pub line: String,
    pub until: Until,
}

/// When a fault is over. Each has to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Until {
    /// Its process has died of it.
    Death,
    /// The saga's last error says this, or its journal has an entry of this name.
    Said(String),
    /// The story rests. It stays set.
    Rest,
}

/// What is ordered: so many copies of the first book, and where it is split also of the second.
#[derive(Debug, Clone)]
pub struct Basket {
    pub books: [Book; 2],
    pub copies: u32,
}

/// How a story ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    pub status: Value,
    /// Its status, and what was captured and refunded.
    pub payment: [Value; 3],
    /// How many are not given up, by the store; how many have left, by the warehouses.
    pub shipments: [i64; 2],
    /// What each warehouse has of each book more than before, and what it has reserved.
    pub stock: Vec<[i64; 2]>,
}

/// A story at its end, or where a person must look.
#[derive(Debug)]
pub struct Told {
    pub order: Uuid,
    pub ending: Ending,
    /// The stock before it.
    pub before: Vec<[i64; 2]>,
    /// What had happened when the process died.
    pub died: Option<Happened>,
}

/// Tells a story to its end, or to where a person must look.
pub async fn tell(shop: &mut Shop, tale: Tale, basket: &Basket, fault: Option<Fault>) -> Told {
    calm(shop).await;
    let before = stock(shop, &basket.books).await;
    let sqls = Sqls::open(shop).await;
    let customer = shop.alice().with_header("idempotency-key", &Uuid::new_v4().to_string());
    let mut teller = Teller { shop, sqls, customer, fault, set_at: None, died: None };
    let order = teller.tell(tale, basket).await;
    let Teller { died, .. } = teller;
    Told { order, ending: ending(shop, order, &basket.books, &before).await, before, died }
}

/// Clears the faults of the store, asks something of a saga as an admin, and tells the story from there to its end.
pub async fn go_on(shop: &mut Shop, told: Told, ask: &str, basket: &Basket) -> Told {
    shop.store.faults("");
    let Told { order, before, .. } = told;
    let (sqls, customer) = (Sqls::open(shop).await, shop.admin());
    let mut teller = Teller { shop, sqls, customer, fault: None, set_at: None, died: None };
    teller.ask(&format!("/sagas/{order}/{ask}"), Value::Null).await;
    teller.rests(order, is_over).await;
    Told { order, ending: ending(shop, order, &basket.books, &before).await, before, died: None }
}

/// A shop whose customers are not kept waiting, and so many different baskets with more of each book than all stories take.
pub async fn open(baskets: usize) -> (Shop, Vec<Basket>) {
    const PLENTY: u32 = 10_000;
    let shop = Shop::open_as(Plan { store: vec![("ORDER_WAIT_MS", "300".into())], ..Plan::default() }).await;
    let mut all = Vec::new();
    for (pair, copies) in shop.books.chunks_exact(2).take(baskets).zip(2..) {
        let books = [pair[0].clone(), pair[1].clone()];
        shop.alpha.stock(&books[0], PLENTY).await;
        shop.beta.stock(&books[0], 0).await;
        shop.alpha.stock(&books[1], 0).await;
        shop.beta.stock(&books[1], PLENTY).await;
        all.push(Basket { books, copies });
    }
    shop.reconcile().await;
    assert_eq!(all.len(), baskets, "the demo has as many books");
    (shop, all)
}

/// Waits until both warehouses are well and their breakers closed, so that one story has no part in the next.
async fn calm(shop: &Shop) {
    for name in [shop.alpha.name, shop.beta.name] {
        kit::until(&format!("{name} is well"), SOON, async || {
            let warehouse = shop.warehouse(name).await.ok_or("unknown")?;
            let is = |member: &str, value: &str| warehouse[member].to_string().to_uppercase().contains(value);
            if is("status", "HEALTHY") && is("breaker", "CLOSED") { Ok(()) } else { Err(warehouse.to_string()) }
        })
        .await;
    }
}

/// On hand and reserved of each book in each warehouse.
async fn stock(shop: &Shop, books: &[Book; 2]) -> Vec<[i64; 2]> {
    let mut all = Vec::new();
    for warehouse in [&shop.alpha, &shop.beta] {
        let sql = warehouse.service.sql().await;
        for book in books {
            let number = |column| format!("SELECT {column} FROM inventory WHERE book_id = '{}'", book.id);
            all.push([sql.number(&number("quantity")).await.unwrap(), sql.number(&number("reserved")).await.unwrap()]);
        }
    }
    all
}

/// How it stands now, with the stock as it was before.
async fn ending(shop: &Shop, order: Uuid, books: &[Book; 2], before: &[[i64; 2]]) -> Ending {
    let shown = shop.look_up(order).await;
    let mut left = 0;
    for warehouse in [&shop.alpha, &shop.beta] {
        let shipped = format!("SELECT count(*) FROM shipments WHERE order_id = '{order}' AND outcome = 'shipped'");
        left += warehouse.service.sql().await.number(&shipped).await.unwrap();
    }
    let alive = |shipment: &&Value| !matches!(shipment["status"].as_str(), Some("REFUSED" | "VOIDED"));
    let alive = shown["shipments"].as_array().unwrap().iter().filter(alive).count() as i64;
    let now = stock(shop, books).await;
    Ending {
        status: shown["status"].clone(),
        payment: ["status", "captured", "refunded"].map(|member| shown["payment"][member].clone()),
        shipments: [alive, left],
        stock: now.iter().zip(before).map(|(now, before)| [now[0] - before[0], now[1]]).collect(),
    }
}

/// What is under way, from the beginning of a story to its end.
struct Teller<'a> {
    shop: &'a mut Shop,
    sqls: Sqls,
    customer: Client,
    fault: Option<Fault>,
    /// What had happened when the fault was set.
    set_at: Option<Happened>,
    died: Option<Happened>,
}

impl Teller<'_> {
    async fn tell(&mut self, tale: Tale, Basket { books, copies }: &Basket) -> Uuid {
        let copies = *copies;
        let lines = [books[0].line(copies), books[1].line(copies)];
        let split = json!({ "items": lines });
        let direct = json!({ "items": lines[..1] });
        match tale {
            Tale::Direct | Tale::Split => {
                self.set().await;
                let order = self.place(if tale == Tale::Direct { direct } else { split }).await;
                self.rests(order, |saga| is_over(saga) || waits_for_a_person(saga)).await;
                order
            }
            Tale::Cancelled => {
                let alpha = self.shop.alpha.service.sql().await;
                let one = format!("SELECT FROM inventory WHERE book_id = '{}' FOR UPDATE", books[0].id);
                alpha.execute(&format!("BEGIN; {one}")).await.unwrap();
                let order = self.place(split).await;
                self.is_held_up(order).await;
                self.set().await;
                self.ask(&format!("/orders/{order}/cancel"), Value::Null).await;
                alpha.execute("ROLLBACK").await.unwrap();
                self.rests(order, |saga| is_over(saga) || waits_for_a_person(saga)).await;
                order
            }
            Tale::Returned => {
                let order = self.place(direct.clone()).await;
                self.rests(order, |saga| is_over(saga) || waits_for_a_person(saga)).await;
                self.set().await;
                self.ask(&format!("/orders/{order}/return"), direct).await;
                // The return may be yet to begin.
                let is_back = |saga: &Value| saga["orderStatus"] == "RETURNED" && is_over(saga);
                self.rests(order, |saga| is_back(saga) || waits_for_a_person(saga)).await;
                order
            }
        }
    }

    /// Sets the fault.
    async fn set(&mut self) {
        self.set_at = Some(self.sqls.happened().await);
        if let Some(Fault { line, .. }) = self.fault.clone() {
            self.service().faults(&line);
        }
    }

    fn service(&mut self) -> &mut Service {
        match self.fault.as_ref().map(|fault| fault.whose) {
            Some(Whose::Alpha) => &mut self.shop.alpha.service,
            Some(Whose::Store) | None => &mut self.shop.store,
        }
    }

    async fn place(&mut self, order: Value) -> Uuid {
        self.ask("/orders", order).await.order().unwrap()
    }

    /// Asks until it is answered, as a customer does.
    async fn ask(&mut self, path: &str, body: Value) -> Answer {
        let began = Instant::now();
        loop {
            let (client, body) = (self.customer.clone(), Some(body.clone()).filter(|body| !body.is_null()));
            let mut asked = std::pin::pin!(client.try_send(Method::POST, path, body));
            let answer = loop {
                if let Ok(answer) = tokio::time::timeout(Duration::from_millis(50), &mut asked).await {
                    break answer;
                }
                self.look_after().await;
            };
            match answer {
                Ok(answer) if answer.status.is_success() => return answer,
                // Accepted and rejected.
                Ok(answer) if matches!(answer.code(), 402 | 409) && answer.order().is_some() => return answer,
                Ok(answer) if !matches!(answer.code(), 503 | 504) => {
                    panic!("{path}: {} {}", answer.code(), answer.text)
                }
                other => assert!(began.elapsed() < ENDS_WITHIN, "{path}: {other:?}"),
            }
            self.look_after().await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Beta holds its part, and alpha is busy with its own.
    async fn is_held_up(&self, order: Uuid) {
        let held = format!("SELECT count(*) FROM reservations WHERE order_id = '{order}' AND status = 'held'");
        let waits =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let [alpha, beta] = &self.sqls.warehouses;
        kit::until("beta holds its part and alpha is about to", SOON, async || {
            match (beta.number(&held).await.unwrap(), alpha.number(waits).await.unwrap()) {
                (1, 1..) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// Waits until the saga rests.
    async fn rests(&mut self, order: Uuid, at: impl Fn(&Value) -> bool) {
        let began = Instant::now();
        let admin = self.shop.admin();
        let mut seen;
        loop {
            self.look_after().await;
            seen = admin.try_send(Method::GET, &format!("/sagas/{order}"), None).await;
            if let Ok(answer) = &seen
                && answer.code() == 200
                && self.is_said(&answer.json())
                && at(&answer.json())
                && self.has_died().await
            {
                return;
            }
            assert!(began.elapsed() < ENDS_WITHIN, "{order} comes to no rest: {seen:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether the saga has said what it is to say of the fault, which then is over.
    fn is_said(&mut self, saga: &Value) -> bool {
        let Some(Fault { until: Until::Said(what), .. }) = &self.fault else { return true };
        if self.set_at.is_none() {
            return true;
        }
        let has_failed = saga["lastError"].as_str().is_some_and(|error| error.contains(what.as_str()));
        let journal = saga["journal"].as_array().unwrap();
        if !has_failed && !journal.iter().any(|entry| entry["event"] == what.as_str()) {
            return false;
        }
        self.service().faults("");
        self.fault = None;
        true
    }

    /// Whether the death that is to come has.
    async fn has_died(&mut self) -> bool {
        let Some(Fault { until: Until::Death, line, .. }) = self.fault.clone() else { return true };
        if self.died.is_some() || self.set_at.is_none() {
            return true;
        }
        self.service().process().ended(SOON).await.unwrap_or_else(|error| panic!("{line} is never reached: {error}"));
        false
    }

    /// Where the process has died, starts it again, well.
    async fn look_after(&mut self) {
        if self.service().process().is_running() {
            return;
        }
        let status = self.service().process().ended(SOON).await.unwrap();
        assert_eq!(status.signal(), Some(SIGABRT), "it died of something else");
        assert!(self.died.is_none(), "it died twice");
        let set_at = self.set_at.as_ref().expect("it dies of the fault");
        self.died = Some(self.sqls.happened().await.since(set_at));
        self.service().start_well();
        self.service().ready().await;
        if self.fault.as_ref().is_some_and(|fault| fault.whose == Whose::Store) {
            calm(self.shop).await; // what is ordered meanwhile finds no warehouse
        }
    }
}

fn is_over(saga: &Value) -> bool {
    ["shipped", "rejected", "cancelled"].iter().any(|state| saga["state"] == *state)
}

fn waits_for_a_person(saga: &Value) -> bool {
    saga["needsAttention"] == true || saga["orderStatus"] == "BACKORDERED"
}
