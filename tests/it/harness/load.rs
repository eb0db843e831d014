//! Customers who go on ordering until they are told to stop, whatever happens, and remember what they were told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Book, Client, Random, Shop};

/// What became of one attempt to order.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub took: Duration,
    pub result: Outcome,
}

#[derive(Debug, Clone)]
#[expect(dead_code, reason = "what was said is shown when a test fails")]
pub enum Outcome {
    /// 201 or 202, with the order and where it goes from.
    Told { order: Uuid, code: u16, warehouse: Option<String> },
    /// Another answer.
    Refused { code: u16, text: String },
    /// No whole answer. `connected` is false when there was certainly no request.
    Failed { connected: bool, reason: String },
}

/// Customers at work.
pub struct Load {
    stop: watch::Sender<bool>,
    told: Arc<AtomicU64>,
    customers: JoinSet<Vec<Attempt>>,
}

impl Load {
    /// Starts `customers`, each ordering one to three copies of one or two of `books` and then resting for `pause`.
    pub fn start(shop: &Shop, customers: usize, books: &[Book], pause: Duration) -> Self {
        let (stop, stopped) = watch::channel(false);
        let told = Arc::new(AtomicU64::new(0));
        let mut all = JoinSet::new();
        for number in 0..customers {
            let client = if number % 2 == 0 { shop.alice() } else { shop.bob() };
            let (books, told, stopped) = (books.to_vec(), told.clone(), stopped.clone());
            all.spawn(async move {
                let mut random = Random(number as u64);
                let mut attempts = Vec::new();
                while !*stopped.borrow() {
                    let items = basket(&books, &mut random);
                    let at = Instant::now();
                    let result = attempt(&client, json!({ "items": items })).await;
                    if matches!(result, Outcome::Told { .. }) {
                        told.fetch_add(1, Ordering::Relaxed);
                    }
                    // A customer who was refused looks again in a moment.
                    let rest = if matches!(result, Outcome::Told { .. }) {
                        pause
                    } else {
                        pause.max(Duration::from_millis(50))
                    };
                    attempts.push(Attempt { took: at.elapsed(), result });
                    tokio::time::sleep(rest).await;
                }
                attempts
            });
        }
        Self { stop, told, customers: all }
    }

    /// Waits until this many more orders have been accepted.
    pub async fn accepted(&self, more: u64, within: Duration) {
        let goal = self.told.load(Ordering::Relaxed) + more;
        kit::until(&format!("{more} more orders are accepted"), within, async || {
            let left = goal.saturating_sub(self.told.load(Ordering::Relaxed));
            if left == 0 { Ok(()) } else { Err(format!("{left} to go")) }
        })
        .await;
    }

    /// Lets each customer finish the order in hand.
    pub async fn stop(self) -> Report {
        self.stop.send_replace(true);
        Report(self.customers.join_all().await.into_iter().flatten().collect())
    }
}

fn basket(books: &[Book], random: &mut Random) -> Vec<Value> {
    let count = 1 + random.below(2);
    let chosen = random.sample(books, count);
    chosen.iter().map(|book| json!({ "bookId": book.id, "quantity": 1 + random.below(3) })).collect()
}

/// One order.
pub async fn attempt(client: &Client, order: Value) -> Outcome {
    match client.try_send(Method::POST, "/orders", Some(order)).await {
        Ok(answer) if matches!(answer.code(), 201 | 202) => {
            let warehouse = answer.json()["fulfillmentWarehouse"].as_str().map(str::to_owned);
            Outcome::Told {
                order: answer.order().expect("an accepted order has an id"),
                code: answer.code(),
                warehouse,
            }
        }
        Ok(answer) => Outcome::Refused { code: answer.code(), text: answer.text },
        Err(error) => Outcome::Failed { connected: !error.is_connect(), reason: format!("{error:?}") },
    }
}

/// What all customers remember.
pub struct Report(pub Vec<Attempt>);

impl Report {
    /// The orders that were accepted.
    pub fn told(&self) -> Vec<Uuid> {
        let told =
            |attempt: &Attempt| if let Outcome::Told { order, .. } = attempt.result { Some(order) } else { None };
        self.0.iter().filter_map(told).collect()
    }

    /// How often each answer was given; 0 stands for none.
    pub fn codes(&self) -> BTreeMap<u16, usize> {
        let mut codes = BTreeMap::new();
        for attempt in &self.0 {
            let (Outcome::Told { code, .. } | Outcome::Refused { code, .. }) = attempt.result else {
                *codes.entry(0).or_default() += 1;
                continue;
            };
            *codes.entry(code).or_default() += 1;
        }
        codes
    }

    /// Answers that nothing excuses: a failure that is ours and says so as if it were nobody's fault.
    pub fn inexcusable(&self) -> Vec<&Attempt> {
        let excusable = |code| matches!(code, 201 | 202 | 409 | 503 | 504);
        let is = |attempt: &&Attempt| matches!(attempt.result, Outcome::Refused { code, .. } if !excusable(code));
        self.0.iter().filter(is).collect()
    }
}
