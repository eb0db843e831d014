//! The fourteen defects that were seen in runs of the system this one replaces. Ours has none of them.

use std::time::{Duration, Instant};

use kit::Mode;
use reqwest::Method;

use crate::harness::load::Outcome;
use crate::harness::*;

/// What the test posts itself, the store never heard of.
fn posted() -> Allowed {
    Allowed { unknown_orders: true, ..Allowed::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_01_a_hundred_shipments_at_once_of_ten_copies_oversold() {
    let shop = Shop::open().await;
    let book = shop.books[0].clone();
    shop.stock(&book, 10, 0).await;
    let client = shop.alpha.service.anyone().service();
    let mut shipments = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (client, body) = (
            client.clone(),
            json!({ "orderId": Uuid::now_v7(), "shipmentId": Uuid::now_v7(), "items": [book.shipment_line(1)] }),
        );
        shipments.spawn(async move { client.post("/shipments", body).await });
    }
    let answers = shipments.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.code() == 200).count(), 10);
    assert_eq!(answers.iter().filter(|answer| answer.code() == 409).count(), 90);
    assert_eq!((shop.alpha.on_hand(&book).await, shop.alpha.shipped(&book).await), (0, 10));
    shop.reconcile().await;
    shop.invariants_hold_but(&[], &posted()).await;
}

#[tokio::test]
async fn defect_02_the_cache_was_decremented_twice_a_shipment() {
    let shop = Shop::open().await;
    let book = shop.books[0].clone();
    shop.stock(&book, 20, 0).await;
    let placed = shop.order(&[book.line(3)]).await;
    placed.expect(201);
    shop.invariants_hold(&[placed.order().unwrap()]).await; // by now the confirmation has come too
    assert_eq!(shop.cached(&book).await[0].1, 17);
    let shown = shop.anyone().get(&format!("/books/{}", book.id)).await.expect(200);
    assert_eq!(shown["availableStock"], 17, "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_03_a_killed_store_left_orders_pending_and_a_killed_warehouse_failed_them() {
    let mut shop = Shop::open().await;
    let books = shop.plenty(4).await;
    let load = Load::start(&shop, 8, &books, Duration::ZERO);
    load.accepted(40, SOON * 2).await;
    shop.store.kill();
    shop.store.start();
    shop.store.ready().await;
    load.accepted(20, SOON * 2).await;
    let mut told = load.stop().await.told();
    shop.invariants_hold(&told).await;

    shop.alpha.service.kill();
    for _ in 0..150 {
        let answer = load::attempt(&shop.alice(), json!({ "items": [books[0].line(1)] })).await;
        let Outcome::Told { order, .. } = answer else { panic!("the other warehouse has everything: {answer:?}") };
        told.push(order);
    }
    shop.alpha.service.start();
    shop.alpha.service.ready().await;
    shop.invariants_hold(&told).await;
}

#[tokio::test]
async fn defect_04_a_hung_warehouse_was_a_500_and_the_order_shipped_all_the_same() {
    let shop = Shop::open_as(Plan {
        store: vec![("ORDER_WAIT_MS", "1500".into()), ("DISPATCH_TIMEOUT_MS", "500".into())],
        ..Plan::default()
    })
    .await;
    let book = shop.books[0].clone();
    shop.stock(&book, 20, 0).await;
    shop.alpha.to.set(Mode::Hang).await.unwrap();
    let asked = Instant::now();
    let placed = shop.order(&[book.line(1)]).await;
    assert!(asked.elapsed() < Duration::from_secs(4), "kept for {:?}", asked.elapsed());
    assert_eq!(placed.code(), 202, "{}", placed.text);
    assert_eq!(placed.json()["status"], "PENDING");
    shop.alpha.to.set(Mode::Pass).await.unwrap();
    shop.order_is(placed.order().unwrap(), "SHIPPED", SOON * 2).await;
    shop.invariants_hold(&[placed.order().unwrap()]).await;
}

#[tokio::test]
async fn defect_05_a_repeated_shipment_decremented_twice_and_any_status_was_taken() {
    let shop = Shop::open().await;
    let book = shop.books[0].clone();
    shop.stock(&book, 20, 0).await;
    let placed = shop.order(&[book.line(2)]).await;
    let (order, shipped) = (placed.order().unwrap(), placed.expect(201));
    let shipment = serde_json::from_value(shipped["shipments"][0]["id"].clone()).unwrap();
    let answer = shop.alpha.ship(order, shipment, &[book.shipment_line(2)]).await;
    assert_eq!(answer.expect(200)["shipped"], true);
    assert_eq!(shop.alpha.on_hand(&book).await, 18);

    let store = shop.anyone().service();
    for status in ["PENDING", "CANCELLED", "REJECTED", "NEEDS_ATTENTION"] {
        let body = json!({ "status": status, "shippedAt": "2026-11-22T10:00:00Z", "warehouseName": "warehouse-alpha", "shipmentId": shipment });
        let answer = store.post(&format!("/orders/{order}/status"), body).await;
        assert!(matches!(answer.code(), 409 | 422), "{status}: {}", answer.text);
    }
    assert_eq!(shop.look_up(order).await["status"], "SHIPPED");
    let body = json!({ "status": "SHIPPED", "shippedAt": "2026-11-22T10:00:00Z", "warehouseName": "warehouse-alpha", "shipmentId": shipment });
    assert_eq!(store.post(&format!("/orders/{}/status", Uuid::now_v7()), body).await.problem(409), "unknown-order");
    shop.invariants_hold(&[order]).await;
}

#[tokio::test]
async fn defect_06_two_lines_of_one_book_shipped_in_part() {
    let shop = Shop::open().await;
    let book = shop.books[0].clone();
    shop.stock(&book, 10, 0).await;
    let refused = shop.order(&[book.line(6), book.line(6)]).await;
    assert_eq!(refused.problem(409), "insufficient-stock");
    assert_eq!(refused.json()["shortfalls"], json!([{ "bookId": book.id, "requested": 12, "available": 10 }]));
    let refused =
        shop.alpha.ship(Uuid::now_v7(), Uuid::now_v7(), &[book.shipment_line(6), book.shipment_line(6)]).await;
    assert_eq!(refused.problem(409), "insufficient-stock");
    assert_eq!((shop.alpha.on_hand(&book).await, shop.alpha.shipped(&book).await), (10, 0));
    let placed = shop.order(&[book.line(6), book.line(4)]).await;
    let items = placed.expect(201)["items"].clone();
    assert_eq!((items.as_array().unwrap().len(), &items[0]["quantity"]), (1, &json!(10)));
    shop.invariants_hold(&[placed.order().unwrap()]).await;
}

#[tokio::test]
async fn defect_07_anyone_could_register_as_admin_or_staff() {
    let shop = Shop::open().await;
    let body = |role: &str| json!({ "email": "mallory@customer.com", "password": "long enough", "role": role });
    for client in [shop.anyone(), shop.alice()] {
        for role in ["STORE_ADMIN", "WAREHOUSE_STAFF"] {
            let answer = client.post("/auth/register", body(role)).await;
            assert!(matches!(answer.code(), 403 | 422), "{role}: {}", answer.text);
        }
    }
    assert_eq!(shop.anyone().post("/auth/register", body("STORE_ADMIN")).await.problem(403), "forbidden");
    let house = shop.alpha.service.anyone();
    let staff = json!({ "email": "mallory@customer.com", "password": "long enough" });
    assert_eq!(house.post("/auth/register", staff.clone()).await.code(), 401);
    assert!(matches!(house.service().post("/auth/register", staff.clone()).await.code(), 401 | 403));
    assert_eq!(house.who_is("mallory@customer.com", "long enough").get("/inventory").await.code(), 401);

    let registered = shop.admin().post("/auth/register", body("STORE_ADMIN")).await.expect(201);
    assert_eq!(registered["role"], "STORE_ADMIN");
    assert_eq!(shop.alpha.staff().post("/auth/register", staff).await.expect(201)["role"], "WAREHOUSE_STAFF");
    shop.invariants_hold(&[]).await;
}

#[tokio::test]
async fn defect_08_passwords_leaked_were_cut_or_skipped_and_unknown_users_showed_by_the_time() {
    let shop = Shop::open_as(Plan {
        store: vec![("BCRYPT_COST", "10".into()), ("LOGIN_FAILURES_PER_ACCOUNT", "100".into())],
        ..Plan::default()
    })
    .await;
    let anyone = shop.anyone();
    let placed = shop.order(&[shop.books[0].line(1)]).await;
    placed.expect(201);
    for path in ["/orders", &format!("/orders/{}", placed.order().unwrap())] {
        let text = shop.admin().get(path).await.text.to_lowercase();
        assert!(!text.contains("password") && !text.contains("$2b$"), "{text}");
    }

    assert_eq!(anyone.post("/auth/login", json!({ "password": "admin123" })).await.fields(), ["email"]);
    assert!(matches!(
        anyone.post("/auth/login", json!({ "email": "", "password": "admin123" })).await.code(),
        401 | 422
    ));

    let register = async |email: &str, password: &str| {
        anyone.post("/auth/register", json!({ "email": email, "password": password })).await
    };
    register("colon@customer.com", "a:long:one:").await.expect(201);
    anyone.who_is("colon@customer.com", "a:long:one:").get("/orders").await.expect(200);
    let (most, over) = ("x".repeat(71), "x".repeat(72));
    register("most@customer.com", &most).await.expect(201);
    anyone.who_is("most@customer.com", &most).get("/orders").await.expect(200);
    assert_eq!(anyone.who_is("most@customer.com", &most[..70]).get("/orders").await.code(), 401);
    assert_eq!(anyone.who_is("most@customer.com", &over).get("/orders").await.code(), 401);
    assert_eq!(register("over@customer.com", &over).await.fields(), ["password"]);

    // In turn, and the quickest of each: whatever else the machine does only adds to it.
    let (mut known, mut unknown) = (Duration::MAX, Duration::MAX);
    for number in 0..9 {
        let somebody = format!("nobody{number}@customer.com");
        for (email, quickest) in [("most@customer.com", &mut known), (&*somebody, &mut unknown)] {
            let wrong = json!({ "email": email, "password": format!("wrong {number}") });
            let asked = Instant::now();
            assert_eq!(anyone.post("/auth/login", wrong).await.code(), 401);
            *quickest = asked.elapsed().min(*quickest);
        }
    }
    assert!(unknown > known / 2 && known > unknown / 2, "known {known:?}, unknown {unknown:?}");
    shop.invariants_hold(&[placed.order().unwrap()]).await;
}

#[tokio::test]
async fn defect_09_a_registration_without_a_name_overwrote_another_warehouse() {
    let shop = Shop::open().await;
    let addresses = async || {
        ["warehouse-alpha", "warehouse-beta"]
            .map(async |name| shop.warehouse(name).await.unwrap()["internalUrl"].clone())
    };
    let [alpha, beta] = addresses().await;
    let (alpha, beta) = (alpha.await, beta.await);
    for name in [json!(null), json!(""), json!("  ")] {
        let body =
            json!({ "name": name, "url": "http://evil", "internalUrl": "http://evil", "databaseId": Uuid::new_v4() });
        assert_eq!(shop.anyone().service().post("/warehouses/register", body).await.fields(), ["name"]);
    }
    let body = json!({ "url": "http://evil", "internalUrl": "http://evil", "databaseId": Uuid::new_v4() });
    assert_eq!(shop.anyone().service().post("/warehouses/register", body).await.fields(), ["name"]);
    let body = json!({ "name": "warehouse-alpha", "url": "http://evil", "internalUrl": "http://evil", "databaseId": Uuid::new_v4() });
    assert_eq!(shop.anyone().service().post("/warehouses/register", body).await.problem(409), "warehouse-identity");
    let [alpha_now, beta_now] = addresses().await;
    assert_eq!((alpha_now.await, beta_now.await), (alpha, beta));
    assert_eq!(shop.admin().get("/warehouses").await.json().as_array().unwrap().len(), 2);
    shop.invariants_hold(&[]).await;
}

#[tokio::test]
async fn defect_10_quantities_prices_and_payments_were_not_checked() {
    let mut shop = Shop::open().await;
    let (first, second) = (shop.books[0].clone(), shop.books[1].clone());
    shop.stock(&first, 20, 0).await;
    shop.stock(&second, 20, 0).await;
    for quantity in ["-5", "0", "1.5", "\"3\"", "null"] {
        let body = format!("{{\"items\":[{{\"bookId\":\"{}\",\"quantity\":{quantity}}}]}}", first.id);
        let answer = shop
            .alice()
            .try_send_raw(Method::POST, "/orders", Some(body.into_bytes()), Some("application/json"))
            .await
            .unwrap();
        assert_eq!(answer.fields(), ["items[0].quantity"], "{quantity}");
    }
    assert!(shop.order(&[]).await.fields()[0].contains("items"));
    let total = 3 * first.price_cents + 2 * second.price_cents;
    let order = |amount: &str| {
        format!(
            "{{\"items\":[{},{}],\"payment\":{{\"method\":\"paypal\",\"amount\":{amount}}}}}",
            first.line(3),
            second.line(2)
        )
    };
    let decimals = |cents: i64| format!("{}.{:02}", cents / 100, cents % 100);
    let place = async |body: String| {
        shop.alice()
            .try_send_raw(Method::POST, "/orders", Some(body.into_bytes()), Some("application/json"))
            .await
            .unwrap()
    };
    for amount in [decimals(total - 1), decimals(total + 1), "0".into(), format!("-{}", decimals(total))] {
        assert!(place(order(&amount)).await.fields()[0].contains("amount"), "{amount}");
    }
    assert_eq!(shop.store.sql().await.number("SELECT count(*) FROM orders").await.unwrap(), 0, "not half an order");
    let placed = place(order(&decimals(total))).await;
    placed.expect(201);
    assert!(
        placed.text.contains(&format!("\"totalAmount\":{},", decimals(total)))
            || placed.text.contains(&format!("\"totalAmount\":{}}}", decimals(total))),
        "two decimals, exactly: {}",
        placed.text
    );
    assert_eq!(placed.json()["payment"]["method"], "paypal");

    let inactive = shop.books[2].clone();
    shop.store
        .sql()
        .await
        .execute(&format!("UPDATE books SET is_active = false WHERE id = '{}'", inactive.id))
        .await
        .unwrap();
    shop.store.terminate().await; // the catalogue is read at start
    shop.store.start();
    shop.store.ready().await;
    assert!(matches!(shop.order(&[inactive.line(1)]).await.code(), 409 | 422));
    shop.invariants_hold(&[placed.order().unwrap()]).await;
}

#[tokio::test]
async fn defect_11_every_five_minutes_was_every_minute_and_runs_overlapped() {
    let shop = Shop::open_as(Plan {
        store: vec![("INVENTORY_RECONCILIATION_INTERVAL_SECONDS", "4".into())],
        ..Plan::default()
    })
    .await;
    let sql = shop.store.sql().await;
    let pulled = async || {
        let last = "SELECT (extract(epoch FROM last_pulled_at) * 1000)::bigint FROM warehouse_registry WHERE name = 'warehouse-alpha'";
        sql.number(last).await.unwrap()
    };
    let mut times = vec![pulled().await];
    for _ in 0..4 {
        let last = *times.last().unwrap();
        let next = kit::until("the next pull", SOON, async || match pulled().await {
            now if now > last => Ok(now),
            now => Err(now.to_string()),
        });
        times.push(next.await);
    }
    let gaps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[1..].iter().all(|gap| (3_000..8_000).contains(gap)), "every 4 s: {gaps:?}");

    // Ten that ask at once while a pull takes its time: they are answered together, by few pulls one after the other.
    shop.alpha.to.set(Mode::Delay(Duration::from_millis(400))).await.unwrap();
    let admin = shop.admin();
    let mut asks = tokio::task::JoinSet::new();
    let asked = Instant::now();
    for _ in 0..10 {
        let admin = admin.clone();
        asks.spawn(async move { admin.post("/inventory/reconcile", json!({})).await });
    }
    for answer in asks.join_all().await {
        answer.expect(200);
    }
    assert!(asked.elapsed() < Duration::from_secs(6), "ten pulls after each other took {:?}", asked.elapsed());
    shop.alpha.to.set(Mode::Pass).await.unwrap();
    shop.invariants_hold(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_12_one_anonymous_listing_of_a_thousand_books_froze_the_store() {
    let mut shop = Shop::open().await;
    let books = "INSERT INTO books (id, isbn, title, author, price_cents, is_active, created_at, updated_at)
         SELECT gen_random_uuid(), 'isbn-' || n, 'Book ' || n, 'Author', 999, true, now(), now() FROM generate_series(1, 1000) n";
    shop.store.sql().await.execute(books).await.unwrap();
    shop.store.terminate().await; // the catalogue is read at start
    shop.store.start();
    shop.store.ready().await;
    assert_eq!(
        shop.alpha.service.anyone().get("/inventory").await.code(),
        401,
        "nobody lists a warehouse without credentials"
    );
    let first = shop.anyone().get("/books").await;
    assert_eq!(first.expect(200).as_array().unwrap().len(), 100, "a page, not everything");
    assert!(first.header("link").contains("rel=\"next\""), "{}", first.header("link"));

    let client = shop.anyone();
    let mut lists = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = client.clone();
        lists.spawn(async move {
            let asked = Instant::now();
            assert_eq!(client.get("/books?limit=1000").await.expect(200).as_array().unwrap().len(), 1_000);
            asked.elapsed()
        });
    }
    let asked = Instant::now();
    shop.anyone().get("/health").await.expect(200);
    assert!(asked.elapsed() < Duration::from_secs(2), "frozen for {:?}", asked.elapsed());
    let slowest = lists.join_all().await.into_iter().max().unwrap();
    assert!(slowest < Duration::from_secs(8), "{slowest:?} for a list of a thousand");
    shop.invariants_hold(&[]).await;
}

#[tokio::test]
async fn defect_13_a_warehouse_that_started_first_gave_up_and_exited() {
    let mut shop =
        Shop::prepare(Plan { warehouses: vec![("REGISTRATION_MAX_RETRIES", "2".into())], ..Plan::default() }).await;
    shop.alpha.back.set(Mode::Refuse).await.unwrap();
    shop.alpha.service.start();
    shop.alpha.service.ready().await;
    tokio::time::sleep(Duration::from_secs(8)).await; // longer than its tries take
    assert!(shop.alpha.service.process().is_running());
    shop.alpha.back.set(Mode::Pass).await.unwrap();
    shop.store.start();
    shop.beta.service.start();
    shop.store.ready().await;
    shop.in_step().await;
    assert_eq!(shop.alpha.service.anyone().get("/info").await.expect(200)["name"], "warehouse-alpha");
    shop.invariants_hold(&[]).await;
}

#[tokio::test]
async fn defect_14_errors_that_a_client_causes_were_500() {
    let shop = Shop::open().await;
    let (anyone, alice, staff) = (shop.anyone(), shop.alice(), shop.alpha.staff());
    let raw = async |client: &Client, method: Method, path: &str, body: &str| {
        client.try_send_raw(method, path, Some(body.as_bytes().to_vec()), Some("application/json")).await.unwrap()
    };
    let taken = json!({ "email": "alice@customer.com", "password": "long enough" }).to_string();
    for (expected, answer) in [
        (400, raw(&alice, Method::POST, "/orders", "{").await),
        (400, raw(&anyone, Method::POST, "/auth/login", "").await),
        (404, anyone.get("/books/not-an-id").await),
        (404, alice.get("/orders/not-an-id").await),
        (404, staff.get("/inventory/not-an-id").await),
        (404, staff.patch(&format!("/inventory/{}", Uuid::now_v7()), json!({ "quantity": 1 })).await),
        (409, raw(&anyone, Method::POST, "/auth/register", &taken).await),
        (422, raw(&alice, Method::POST, "/orders", "{\"items\":null}").await),
        (422, raw(&staff, Method::POST, "/inventory", "{\"bookId\":1}").await),
    ] {
        answer.problem(expected);
    }
    shop.invariants_hold(&[]).await;
}
