//! Restarts of the store while customers order and look around, through Traefik. Each asks once more where it got no answer or a failure,
//! orders by the same Idempotency-Key; nobody fails after that, and nothing is lost or placed twice.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Traefik;
use crate::harness::*;

const CUSTOMERS: usize = 8;
const BROWSERS: usize = 4;
const PAUSE: Duration = Duration::from_millis(20);
/// How long the store is away at least.
const AWAY: Duration = Duration::from_secs(2);
/// A request that took longer waited for a store that was away, or for its order.
const BRIDGED: Duration = Duration::from_millis(500);
/// Before it asks once more, a client waits so long, or as it was told.
const BEFORE_RETRY: Duration = Duration::from_secs(1);
const GOES_ON_WITHIN: Duration = Duration::from_secs(60);

/// What the clients counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    orders: usize,
    looks: usize,
    /// Answered well at the first try, but only after a while.
    bridged: usize,
    /// Asked once more, by what the first try brought: a status, or 0 for no answer.
    again: BTreeMap<u16, usize>,
    /// Failed twice.
    failed: Vec<String>,
    pub(super) told: Vec<Uuid>,
    slowest: Duration,
}

impl Counts {
    pub(super) fn add(mut self, other: Self) -> Self {
        self.orders += other.orders;
        self.looks += other.looks;
        self.bridged += other.bridged;
        for (status, count) in other.again {
            *self.again.entry(status).or_default() += count;
        }
        self.failed.extend(other.failed);
        self.told.extend(other.told);
        self.slowest = self.slowest.max(other.slowest);
        self
    }

    /// That nobody failed twice, and that there are as many orders as were placed.
    pub(super) fn are_well(&self, orders: i64) {
        assert!(self.failed.is_empty(), "{:#?}", self.failed);
        let (there, told) = (orders as usize, self.told.len());
        assert_eq!((there, told), (self.orders, self.orders), "none is lost, none was placed twice");
    }
}

impl Display for Counts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { orders, looks, bridged, again, slowest, .. } = self;
        let failed = self.failed.len();
        write!(
            f,
            "{orders} orders and {looks} looks, of which {bridged} waited, {again:?} asked once more (by status), {failed} failed; \
             the slowest took {slowest:?}"
        )
    }
}

/// Sends a request, and once more if that failed; the answer to either.
async fn ask(request: RequestBuilder, counts: &mut Counts, again_now: &AtomicU64) -> Option<Value> {
    let began = Instant::now();
    let again = request.try_clone().unwrap();
    let (code, text, wait) = send(request).await;
    let answer = if matches!(code, 200..=202) {
        counts.bridged += usize::from(began.elapsed() > BRIDGED);
        Some(text)
    } else {
        *counts.again.entry(code).or_default() += 1;
        again_now.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(wait).await;
        let (second, later, _) = send(again).await;
        again_now.fetch_sub(1, Ordering::Relaxed);
        if matches!(second, 200..=202) {
            Some(later)
        } else {
            counts.failed.push(format!("{code} {text}, then {second} {later}"));
            None
        }
    };
    counts.slowest = counts.slowest.max(began.elapsed());
    answer.map(|text| serde_json::from_str(&text).unwrap())
}

/// Status and text, 0 and the reason where there was none; and how long to wait before the next try.
async fn send(request: RequestBuilder) -> (u16, String, Duration) {
    match request.send().await {
        Ok(answer) => {
            let told = answer.headers().get("retry-after").and_then(|wait| wait.to_str().ok()?.parse().ok());
            let wait = told.map_or(BEFORE_RETRY, Duration::from_secs);
            let code = answer.status().as_u16();
            match answer.text().await {
                Ok(text) => (code, text, wait),
                Err(error) => (0, error.to_string(), BEFORE_RETRY),
            }
        }
        Err(error) => (0, format!("{error:?}"), BEFORE_RETRY),
    }
}

/// Customers and people who look around, until they are told to stop.
pub(super) struct Load {
    stop: watch::Sender<bool>,
    placed: Arc<AtomicU64>,
    /// How many of them wait for an answer.
    waiting: Arc<AtomicU64>,
    /// How many have failed once, and are at it again.
    again: Arc<AtomicU64>,
    clients: JoinSet<Counts>,
}

impl Load {
    /// On the store whose address is given.
    pub(super) fn start(http: &reqwest::Client, store: &str, books: &[Book]) -> Self {
        let (stop, stopped) = watch::channel(false);
        let [placed, waiting, again] = [(); 3].map(|()| Arc::new(AtomicU64::new(0)));
        let mut clients = JoinSet::new();
        for number in 0..CUSTOMERS + BROWSERS {
            let (http, orders, looks) = (http.clone(), format!("{store}/orders"), format!("{store}/books?limit=20"));
            let (books, stopped) = (books.to_vec(), stopped.clone());
            let [placed, waiting, again] = [&placed, &waiting, &again].map(Arc::clone);
            clients.spawn(async move {
                let (mut random, mut counts) = (Random(number as u64), Counts::default());
                while !*stopped.borrow() {
                    waiting.fetch_add(1, Ordering::Relaxed);
                    if number < CUSTOMERS {
                        let line = books[random.below(books.len())].line(1 + random.below(2) as u32);
                        let request = http.post(&orders).basic_auth("alice@customer.com", Some("alice123"));
                        let request = request.header("idempotency-key", Uuid::new_v4().to_string());
                        counts.orders += 1;
                        if let Some(order) = ask(request.json(&json!({ "items": [line] })), &mut counts, &again).await {
                            counts.told.push(serde_json::from_value(order["id"].clone()).unwrap());
                            placed.fetch_add(1, Ordering::Relaxed);
                        }
                    } else {
                        counts.looks += 1;
                        ask(http.get(&looks), &mut counts, &again).await;
                    }
                    waiting.fetch_sub(1, Ordering::Relaxed);
                    tokio::time::sleep(PAUSE).await;
                }
                counts
            });
        }
        Self { stop, placed, waiting, again, clients }
    }

    /// Waits for orders, and for whoever has failed once: to ask once more is to outlast one restart, not two.
    pub(super) async fn goes_on(&self) {
        let goal = self.placed.load(Ordering::Relaxed) + 30;
        kit::until("customers order again", GOES_ON_WITHIN, async || {
            let left = goal.saturating_sub(self.placed.load(Ordering::Relaxed));
            let again = self.again.load(Ordering::Relaxed);
            if (left, again) == (0, 0) { Ok(()) } else { Err(format!("{left} to go, {again} ask once more")) }
        })
        .await;
    }

    /// Returns once everybody has been held up for as long as a container takes to be started.
    async fn is_held_up(&self) {
        let mut since = None;
        kit::until("everybody waits", GOES_ON_WITHIN, async || {
            let waiting = self.waiting.load(Ordering::Relaxed);
            if (waiting as usize) < CUSTOMERS + BROWSERS {
                since = None;
                return Err(format!("{waiting} wait"));
            }
            let held = since.get_or_insert_with(Instant::now).elapsed();
            if held >= AWAY { Ok(()) } else { Err(format!("for {held:?}")) }
        })
        .await;
    }

    pub(super) async fn stop(self) -> Counts {
        self.stop.send_replace(true);
        self.clients.join_all().await.into_iter().fold(Counts::default(), Counts::add)
    }
}

/// Restarts the store again and again under load.
async fn restarted(times: usize, how: &str, end: impl AsyncFn(&mut Service)) {
    let mut shop = Shop::open().await;
    let books = shop.plenty(5).await;
    let unlimited = [("RATE_LIMIT_PER_SECOND", "100000"), ("RATE_LIMIT_BURST", "100000"), ("ACCESS_LOG", "false")];
    let traefik = Traefik::before_as(&shop, &unlimited).await;
    let load = Load::start(&traefik.http(), &traefik.url("/store"), &books);
    let mut away = Vec::new();
    for _ in 0..times {
        load.goes_on().await;
        let at = Instant::now();
        end(&mut shop.store).await;
        load.is_held_up().await;
        shop.store.start();
        shop.store.ready().await;
        away.push(at.elapsed());
    }
    load.goes_on().await;
    let counts = load.stop().await;
    let (quickest, slowest) = (away.iter().min().unwrap(), away.iter().max().unwrap());
    println!("{times} restarts ({how}), each {quickest:?} to {slowest:?}: {counts}");
    counts.are_well(shop.store.sql().await.number("SELECT count(*) FROM orders").await.unwrap());
    shop.invariants_hold(&counts.told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_restarts_under_load_fail_nobody() {
    restarted(10, "asked to end", async |store| store.terminate().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_crashes_under_load_lose_no_order_and_place_none_twice() {
    restarted(5, "killed", async |store| store.kill()).await;
}
