//! A catalogue of ten thousand books: imported in one request, searched, walked through while others write, and kept by several admins.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;

use crate::harness::*;

const BOOKS: u64 = 10_000;

/// The ISBN-13 with this serial: twelve digits and their check digit.
fn isbn(serial: u64) -> String {
    let digits = format!("978{serial:09}");
    let weights = [1, 3].into_iter().cycle();
    let sum: u32 = digits.bytes().zip(weights).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

/// Books whose serials begin at `first`, each with a word of its own.
fn csv(first: u64, count: u64) -> String {
    let mut file = "isbn,title,author,publisher,price,description,genre,publishedYear\n".to_owned();
    for n in first..first + count {
        let (price, genre, year) = (n % 90, ["Fiction", "Poetry", "Travel"][(n % 3) as usize], 1_900 + n % 120);
        file.push_str(&format!(
            "{},\"Volume {}, numbered n{n}x\",Author {},House,{price}.{:02},About it,{genre},{year}\n",
            isbn(n),
            n % 700,
            n % 50,
            n % 100
        ));
    }
    file
}

async fn import(admin: &Client, file: String) -> Value {
    let sent = admin.try_send_raw(Method::POST, "/books/import", Some(file.into_bytes()), Some("text/csv"));
    sent.await.unwrap().expect(200)
}

fn counts(report: &Value) -> [u64; 4] {
    ["created", "updated", "unchanged", "failed"].map(|name| report[name].as_u64().unwrap())
}

/// Every page of a list, in order.
async fn walk(client: &Client, query: &str) -> Vec<Value> {
    let (mut path, mut all) = (format!("/books?{query}"), Vec::new());
    loop {
        let page = client.get(&path).await;
        all.extend(page.expect(200).as_array().unwrap().iter().cloned());
        let link = page.header("link");
        let Some(next) = link.strip_prefix('<').and_then(|link| link.split('>').next()) else { return all };
        path = format!("/books{next}");
    }
}

fn times_seen(books: &[Value]) -> HashMap<&str, usize> {
    let mut seen = HashMap::new();
    for book in books {
        *seen.entry(book["isbn"].as_str().unwrap()).or_default() += 1;
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_books_are_imported_found_and_walked_through_while_books_are_added() {
    let shop = Shop::open().await;
    let (admin, anyone) = (shop.admin(), shop.anyone());
    let file = csv(1, BOOKS);
    let began = std::time::Instant::now();
    let report = import(&admin, format!("{file}9780000000000,Bad,A,,x,,,\n")).await;
    println!("imported in {:?}", began.elapsed());
    assert_eq!(counts(&report), [BOOKS, 0, 0, 1], "{report}");
    assert_eq!(report["errors"][0]["row"], BOOKS + 1);
    assert_eq!(counts(&import(&admin, file.clone()).await), [0, 0, BOOKS, 0]);

    for n in [1, 4_711, BOOKS] {
        for query in [isbn(n), format!("{}-{}", &isbn(n)[..3], &isbn(n)[3..]), format!("N{n}X+volume")] {
            let found = anyone.get(&format!("/books?query={query}")).await.expect(200);
            assert_eq!((found.as_array().unwrap().len(), &found[0]["isbn"]), (1, &Value::from(isbn(n))), "{query}");
        }
    }

    // Others add, change and withdraw books all the while.
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write_until(admin.clone(), Arc::clone(&done)));
    for sort in ["id", "-id", "title", "-price", "publishedYear", "-createdAt", "author"] {
        let books = walk(&anyone, &format!("sort={sort}&limit=1000")).await;
        // Of those that stay as they are: one whose price or title changes may be met at both places.
        let seen = times_seen(&books);
        let not_once: Vec<_> = (1..=BOOKS).map(isbn).filter(|isbn| seen.get(isbn.as_str()) != Some(&1)).collect();
        assert!(not_once.is_empty(), "{sort}: {not_once:?}");
    }
    let poetry = walk(&anyone, "genre=poetry&query=volume&limit=500&sort=-title").await;
    let expected = (1..=BOOKS).filter(|n| n % 3 == 1).count();
    assert_eq!(times_seen(&poetry).len(), expected);
    assert_eq!(poetry.len(), expected);
    done.store(true, Ordering::Relaxed);
    assert!(writer.await.unwrap() > 10, "something was written meanwhile");
    assert_eq!(counts(&import(&admin, file).await), [0, 0, BOOKS, 0]);

    let book = &poetry[0];
    let order = json!({ "items": [{ "bookId": book["id"], "quantity": 1 }] });
    assert_eq!(shop.alice().post("/orders", order).await.code(), 409, "on sale, and nowhere in stock");
    shop.invariants_hold(&[]).await;
}

/// Adds books, changes each and takes every other off sale again. How many.
async fn write_until(admin: Client, done: Arc<AtomicBool>) -> usize {
    let mut written = 0;
    for n in 500_000.. {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let new = json!({ "isbn": isbn(n), "title": format!("Added {n}"), "author": "Another", "price": n % 100 });
        let book = admin.post("/books", new).await.expect(201);
        let path = format!("/books/{}", book["id"].as_str().unwrap());
        admin.patch(&path, json!({ "price": 7, "title": format!("Changed {n}") })).await.expect(200);
        if n % 2 == 0 {
            admin.try_send(Method::DELETE, &path, None).await.unwrap().expect(204);
        }
        written += 1;
    }
    written
}

#[tokio::test]
async fn of_two_admins_the_second_does_not_overwrite_the_first() {
    let shop = Shop::open().await;
    let admin = shop.admin();
    let path = format!("/books/{}", shop.books[0].id);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let patch = async |tag: &str, title: &str| {
        let request = http.patch(format!("http://{}{path}", shop.store.address()));
        let request = request.basic_auth("admin@bookstore.com", Some("admin123")).header("if-match", tag);
        request.json(&json!({ "title": title })).send().await.unwrap()
    };
    let seen = admin.get(&path).await.header("etag").to_owned();
    let first = patch(&seen, "First").await;
    assert_eq!(first.status(), 200);
    let next = first.headers()["etag"].to_str().unwrap().to_owned();
    let second = patch(&seen, "Second").await;
    assert_eq!(second.status(), 412);
    assert_eq!(second.json::<Value>().await.unwrap()["type"], "urn:bookstore:problem:precondition-failed");
    assert_eq!(admin.get(&path).await.expect(200)["title"], "First");
    assert_eq!(patch(&next, "Third").await.status(), 200);
    // An order takes the price that was written last, from before a kill -9.
    admin.patch(&path, json!({ "price": 1.23 })).await.expect(200);
    let mut shop = shop;
    shop.store.kill();
    shop.store.start();
    shop.store.ready().await;
    shop.in_step().await;
    let order =
        shop.order(&[shop.books.iter().find(|book| path.ends_with(&book.id.to_string())).unwrap().line(2)]).await;
    assert_eq!(order.expect(201)["totalAmount"], json!(2.46));
    shop.invariants_hold(&[]).await;
}
