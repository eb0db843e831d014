//! A warehouse that sets copies aside, ships or releases them and takes them back, while it dies at every boundary, loses answers and is
//! killed under load: whatever is asked again is done once, and what a caller was told is so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::harness::*;

/// The orders here are the tests' own, so the store refuses their confirmations.
fn unknown() -> Allowed {
    Allowed { unknown_orders: true, ..Allowed::default() }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Reserve,
    Confirm,
    Ship,
    Release,
    Return,
    /// Shipped without a reservation.
    Direct,
}

/// One part of an order, as the store asks for it.
#[derive(Clone)]
struct Part {
    client: Client,
    order: Uuid,
    shipment: Uuid,
    comes_back: Uuid,
    lines: Vec<Value>,
    expires_in_seconds: u32,
}

impl Part {
    fn new(shop: &Shop, lines: Vec<Value>) -> Self {
        let client = shop.alpha.service.anyone().service();
        let [order, shipment, comes_back] = [(); 3].map(|()| Uuid::new_v4());
        Self { client, order, shipment, comes_back, lines, expires_in_seconds: 600 }
    }

    async fn try_step(&self, step: Step) -> reqwest::Result<Answer> {
        let Self { order, shipment, comes_back, lines, expires_in_seconds, .. } = self;
        let about = format!("/reservations/{shipment}");
        let (method, path, body) = match step {
            Step::Reserve => {
                let body = json!({ "orderId": order, "shipmentId": shipment, "items": lines, "expiresInSeconds": expires_in_seconds });
                (Method::POST, "/reservations".to_owned(), Some(body))
            }
            Step::Direct => {
                let body = json!({ "orderId": order, "shipmentId": shipment, "items": lines });
                (Method::POST, "/shipments".to_owned(), Some(body))
            }
            Step::Confirm => (Method::POST, format!("{about}/confirm"), None),
            Step::Ship => (Method::POST, format!("{about}/ship"), None),
            Step::Release => (Method::DELETE, about, None),
            Step::Return => {
                let body = json!({ "returnId": comes_back, "orderId": order, "shipmentId": shipment, "items": lines });
                (Method::POST, "/returns".to_owned(), Some(body))
            }
        };
        self.client.try_send(method, &path, body).await
    }

    /// Asks until it is told.
    async fn step(&self, step: Step) -> Answer {
        let began = Instant::now();
        loop {
            let told = self.try_step(step).await;
            match told {
                Ok(answer) if matches!(answer.code(), 200 | 201 | 409) => return answer,
                _ => assert!(began.elapsed() < Duration::from_secs(60), "{step:?} is not answered but {told:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// On hand, set aside, and where the reservation stands.
async fn stands(shop: &Shop, book: &Book, part: &Part) -> (i64, i64, String) {
    let query = format!(
        "SELECT quantity, reserved, (SELECT status FROM reservations WHERE shipment_id = '{}') AS status FROM inventory WHERE book_id = '{}'",
        part.shipment, book.id
    );
    let row = shop.alpha.service.sql().await.rows::<Value>(&query).await.unwrap().remove(0);
    let status = row["status"].as_str().unwrap_or("none").to_owned();
    (row["quantity"].as_i64().unwrap(), row["reserved"].as_i64().unwrap(), status)
}

#[tokio::test]
async fn killed_before_and_after_each_commit_a_warehouse_does_each_step_once() {
    let mut shop = Shop::open().await;
    let book = shop.books[0].clone();
    // The steps before, the step that fails, and what it comes to of ten copies.
    type Case<'a> = (&'a [Step], Step, (i64, i64, &'a str));
    let steps: [Case<'_>; 5] = [
        (&[], Step::Reserve, (10, 3, "held")),
        (&[Step::Reserve], Step::Confirm, (10, 3, "confirmed")),
        (&[Step::Reserve, Step::Confirm], Step::Ship, (7, 0, "shipped")),
        (&[Step::Reserve, Step::Confirm], Step::Release, (10, 0, "released")),
        (&[Step::Reserve, Step::Ship], Step::Return, (10, 0, "shipped")),
    ];
    for (fault, is_done) in [("commit:stock", false), ("committed:stock", true)] {
        for (before, step, (on_hand, reserved, status)) in &steps {
            let part = Part::new(&shop, vec![book.shipment_line(3)]);
            shop.alpha.stock(&book, 10).await;
            for step in *before {
                part.step(*step).await;
            }
            let untouched = stands(&shop, &book, &part).await;
            let expected = (*on_hand, *reserved, (*status).to_owned());
            shop.alpha.service.faults(&format!("{fault}=return(abort)"));
            part.try_step(*step).await.expect_err("it died");
            shop.alpha.service.process().ended(SOON).await.unwrap();
            let left = stands(&shop, &book, &part).await;
            assert_eq!(left, if is_done { expected.clone() } else { untouched }, "{fault} at {step:?}");
            shop.alpha.service.faults("");
            shop.alpha.service.start();
            shop.alpha.service.ready().await;
            let first = part.step(*step).await;
            assert!(first.status.is_success(), "{fault} at {step:?}: {}", first.text);
            assert_eq!(part.step(*step).await.json(), first.json(), "{fault} at {step:?}");
            assert_eq!(stands(&shop, &book, &part).await, expected, "{fault} at {step:?}");
            // What is still set aside is of no use to the next.
            part.step(Step::Release).await;
        }
    }
    shop.reconcile().await;
    shop.invariants_hold_but(&[], &unknown()).await;
}

/// What a customer was told of one shipment, last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Shipped,
    Voided,
    Refused,
    /// Nothing final: it was left to expire.
    Held,
}

fn told(answer: &Answer) -> Told {
    match (answer.code(), answer.json()) {
        (201, _) => Told::Held,
        (200, body) if body["shipped"] == true || body["returnId"].is_string() => Told::Shipped,
        (200, body) if body["voided"] == true => Told::Voided,
        (200, body) if body["status"].is_string() => Told::Held,
        (409, body) if body["type"].as_str().unwrap().ends_with(":voided") => Told::Voided,
        (409, body) if body["type"].as_str().unwrap().ends_with(":insufficient-stock") => Told::Refused,
        (409, body) if body["type"].as_str().unwrap().ends_with(":already-shipped") => Told::Shipped,
        _ => panic!("{}", answer.text),
    }
}

async fn goes_through(part: &Part, path: &[Step]) -> Told {
    let mut last = Told::Held;
    for step in path.iter().copied() {
        last = told(&part.step(step).await);
        if matches!(last, Told::Voided | Told::Refused) {
            break;
        }
    }
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_what_is_told_is_so_though_the_warehouse_is_killed_and_commits_lose_their_answers() {
    const PATHS: [&[Step]; 6] = [
        &[Step::Reserve, Step::Ship],
        &[Step::Reserve, Step::Confirm, Step::Ship, Step::Return],
        &[Step::Reserve, Step::Release],
        &[Step::Reserve],
        &[Step::Direct],
        &[Step::Reserve, Step::Confirm, Step::Release, Step::Ship],
    ];
    let seed = seed();
    let mut shop = Shop::open().await;
    let books = shop.books[..4].to_vec();
    for book in &books {
        shop.alpha.stock(book, 300).await;
    }
    let faults = format!("commit:stock=return(lost:30:{seed})\ncommitted:stock=return(lost:60:{seed})");
    shop.alpha.service.faults(&faults);
    let (stop, stopped) = watch::channel(false);
    let count = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for number in 0..8 {
        let lines = |random: &mut Random| random.sample(&books, 2).iter().map(|book| book.shipment_line(1)).collect();
        let mut random = Random(seed.wrapping_add(number));
        let parts: Vec<(Part, Vec<Step>)> = (0..2_000)
            .map(|_| {
                let mut part = Part::new(&shop, lines(&mut random));
                part.expires_in_seconds = 1 + random.below(2) as u32;
                (part, PATHS[random.below(PATHS.len())].to_vec())
            })
            .collect();
        let (stopped, count) = (stopped.clone(), count.clone());
        workers.spawn(async move {
            let mut all = Vec::new();
            for (part, path) in parts {
                if *stopped.borrow() {
                    break;
                }
                all.push((part.shipment, goes_through(&part, &path).await));
                count.fetch_add(1, Ordering::Relaxed);
            }
            all
        });
    }
    let more = async |more: u64| {
        let goal = count.load(Ordering::Relaxed) + more;
        kit::until("more are told", Duration::from_secs(60), async || match count.load(Ordering::Relaxed) {
            now if now >= goal => Ok(()),
            now => Err(format!("{now} of {goal}")),
        })
        .await;
    };
    for _ in 0..3 {
        more(60).await;
        shop.alpha.service.kill();
        shop.alpha.service.start();
        shop.alpha.service.ready().await;
    }
    more(60).await;
    stop.send(true).unwrap();
    let all: Vec<(Uuid, Told)> = workers.join_all().await.into_iter().flatten().collect();
    shop.alpha.service.faults("");

    let sql = shop.alpha.service.sql().await;
    kit::until("what was left has expired", SOON, async || {
        match sql.number("SELECT count(*) FROM reservations WHERE status = 'held'").await.unwrap() {
            0 => Ok(()),
            left => Err(format!("{left} are held")),
        }
    })
    .await;
    for said in [Told::Shipped, Told::Voided, Told::Refused, Told::Held] {
        let of = |outcome: &str| match said {
            Told::Shipped => outcome == "shipped",
            Told::Voided | Told::Held => outcome == "voided",
            Told::Refused => outcome == "refused",
        };
        let ids: Vec<_> = all.iter().filter(|(_, told)| *told == said).map(|(id, _)| format!("'{id}'")).collect();
        assert!(!ids.is_empty() || said == Told::Refused, "nobody was told {said:?}");
        let query =
            format!("SELECT outcome FROM shipments WHERE shipment_id = ANY (ARRAY[{}]::uuid[])", ids.join(", "));
        let outcomes: Vec<Value> = sql.rows(&query).await.unwrap();
        assert_eq!(outcomes.len(), ids.len(), "{said:?}");
        assert!(outcomes.iter().all(|row| of(row["outcome"].as_str().unwrap())), "{said:?}: {outcomes:?}");
    }
    shop.reconcile().await;
    shop.invariants_hold_but(&[], &unknown()).await;
}
