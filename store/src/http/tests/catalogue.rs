//! Searching, entering, changing and importing books.

use contract::isbn::synthetic;

use super::*;

const CSV: &[(&str, &str)] = &[("content-type", "text/csv; charset=utf-8")];
const NDJSON: &[(&str, &str)] = &[("content-type", "application/x-ndjson")];

fn new_book(serial: u64) -> Value {
    json!({ "isbn": synthetic(serial), "title": format!("Book {serial}"), "author": "Ann Author", "price": 12.5 })
}

impl Shop {
    async fn create(&self, book: &Value) -> Answer {
        self.send(ADMIN, Method::POST, "/books", Some(&book.to_string())).await
    }

    /// What `method` on the book answers, upon this tag.
    async fn write(&self, method: Method, book: &Value, tag: Option<&str>, body: Option<Value>) -> Answer {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(tag.map(|tag| ("if-match", tag)));
        let body = body.map(|body| body.to_string().into());
        self.send_with(ADMIN, method, &path(book), &headers, body).await
    }

    async fn import(&self, headers: &[(&str, &str)], file: impl Into<reqwest::Body>) -> Answer {
        self.send_with(ADMIN, Method::POST, "/books/import", headers, Some(file.into())).await
    }

    /// The titles of a search.
    async fn titles(&self, query: &str) -> Vec<String> {
        let found = self.get(&format!("/books?{query}")).await.expect(200);
        found.as_array().unwrap().iter().map(|book| book["title"].as_str().unwrap().to_owned()).collect()
    }
}

fn path(book: &Value) -> String {
    format!("/books/{}", book["id"].as_str().unwrap())
}

#[tokio::test]
async fn books_are_searched_filtered_and_sorted() {
    let shop = Shop::open().await;
    assert_eq!(shop.titles("query=CODE+clean").await, ["Clean Code"]);
    assert_eq!(shop.titles("query=978-0-13-235088-4").await, ["Clean Code"]);
    assert_eq!(shop.titles("query=martin&author=robert&genre=computing").await, ["Clean Code"]);
    assert_eq!(shop.titles("query=no+such+book").await, [] as [&str; 0]);
    let all = shop.get("/books?sort=-price&limit=3").await.expect(200);
    let prices: Vec<_> = all.as_array().unwrap().iter().map(|book| book["price"].as_f64().unwrap()).collect();
    assert!(prices.is_sorted_by(|a, b| a >= b) && prices.len() == 3, "{prices:?}");
    let (first, last) = (&demo::BOOKS[0], &demo::BOOKS[19]);
    let ids = format!("ids={},{},{}&sort=title", first.id(), last.id(), BookId::new());
    let mut titles = [first.title, last.title];
    titles.sort_by_key(|title| title.to_lowercase());
    assert_eq!(shop.titles(&ids).await, titles);
    let link = shop.get("/books?sort=title&limit=1").await.header("link").to_owned();
    let next = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    let other = next.replace("sort=title", "sort=price");
    assert_eq!(shop.get(&format!("/books{other}")).await.problem(422).1, ["cursor"]);
}

#[tokio::test]
async fn a_book_is_entered_changed_withdrawn_and_brought_back() {
    let shop = Shop::open().await;
    let entered = shop.create(&new_book(1)).await;
    let (location, tag) = (entered.header("location").to_owned(), entered.header("etag").to_owned());
    let book = entered.expect(201);
    assert_eq!((format!("/{location}"), &book["isActive"], &book["price"]), (path(&book), &json!(true), &json!(12.5)));
    let read = shop.get(&path(&book)).await;
    assert_eq!((read.header("etag"), &read.body), (tag.as_str(), &book));

    let patched = shop.write(Method::PATCH, &book, Some(&tag), Some(json!({ "genre": "New", "price": 0 }))).await;
    let second = patched.header("etag").to_owned();
    assert_ne!(second, tag);
    let patched = patched.expect(200);
    assert_eq!((&patched["genre"], &patched["price"], &patched["title"]), (&json!("New"), &json!(0.0), &book["title"]));
    let cleared = shop.write(Method::PATCH, &book, None, Some(json!({ "genre": null }))).await.expect(200);
    assert!(cleared.get("genre").is_none(), "{cleared}");
    for body in [json!({ "title": "Stale" }), new_book(1)] {
        let method = if body.get("isbn").is_some() { Method::PUT } else { Method::PATCH };
        let refused = shop.write(method, &book, Some(&second), Some(body)).await;
        assert_eq!(refused.problem(412).0, "precondition-failed");
    }
    assert_eq!(
        shop.write(Method::DELETE, &book, Some("\"nonsense\""), None).await.problem(412).0,
        "precondition-failed"
    );

    let whole = json!({ "isbn": synthetic(1), "title": "Replaced", "author": "B", "price": 1, "publishedYear": 1999 });
    let replaced = shop.write(Method::PUT, &book, Some("*"), Some(whole)).await.expect(200);
    assert_eq!(
        (&replaced["title"], &replaced["publishedYear"], &replaced["createdAt"]),
        (&json!("Replaced"), &json!(1999), &book["createdAt"])
    );

    let gone = shop.write(Method::DELETE, &book, None, None).await;
    let tag = gone.header("etag").to_owned();
    gone.expect(204);
    shop.write(Method::DELETE, &book, Some(&tag), None).await.expect(204);
    assert_eq!(shop.get(&path(&book)).await.problem(404).0, "not-found");
    assert_eq!(shop.titles("query=replaced").await, [] as [&str; 0]);
    let order = json!({ "items": [{ "bookId": book["id"], "quantity": 1 }] }).to_string();
    shop.send(ALICE, Method::POST, "/orders", Some(&order)).await.problem(422);
    let back = shop.write(Method::PATCH, &book, Some(&tag), Some(json!({ "isActive": true }))).await.expect(200);
    assert_eq!(back["isActive"], true);
    assert_eq!(shop.titles("query=replaced").await, ["Replaced"]);
}

#[tokio::test]
async fn only_admins_see_and_write_what_is_not_on_sale() {
    let shop = Shop::open().await;
    let book = shop.create(&new_book(1)).await.expect(201);
    shop.write(Method::DELETE, &book, None, None).await.expect(204);
    let (all, one) = ("/books?inactive=true".to_owned(), format!("{}?inactive=true", path(&book)));
    for path in [&all, &one] {
        for who in [Who::Anyone, ALICE, Who::Bearer(SECRET)] {
            assert_eq!(shop.send(who, Method::GET, path, None).await.problem(403).0, "forbidden");
        }
        let wrong = Who::Account("admin@bookstore.com", "wrong");
        assert_eq!(shop.send(wrong, Method::GET, path, None).await.problem(401).0, "unauthorized");
    }
    let listed = shop.send(ADMIN, Method::GET, &all, None).await.expect(200);
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["isActive"]), (1, &json!(false)));
    assert_eq!(shop.send(ADMIN, Method::GET, &one, None).await.expect(200)["id"], book["id"]);
    for (who, status) in [(Who::Anyone, 401), (Who::Bearer(SECRET), 401), (ALICE, 403)] {
        for (method, path) in [
            (Method::POST, "/books".to_owned()),
            (Method::PUT, path(&book)),
            (Method::PATCH, path(&book)),
            (Method::DELETE, path(&book)),
            (Method::POST, "/books/import".to_owned()),
        ] {
            let body = new_book(2).to_string();
            assert_eq!(shop.send(who, method.clone(), &path, Some(&body)).await.status, status, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn books_that_cannot_be_are_refused() {
    let shop = Shop::open().await;
    let first = shop.create(&new_book(1)).await.expect(201);
    let gone = shop.create(&new_book(2)).await.expect(201);
    shop.write(Method::DELETE, &gone, None, None).await.expect(204);
    for (serial, by) in [(1, &first), (2, &gone)] {
        let refused = shop.create(&new_book(serial)).await;
        assert_eq!(refused.body["bookId"], by["id"]);
        assert_eq!(refused.problem(409).0, "isbn-taken");
    }
    let third = shop.create(&new_book(3)).await.expect(201);
    let taken = json!({ "isbn": synthetic(1) });
    assert_eq!(shop.write(Method::PATCH, &third, None, Some(taken)).await.problem(409).0, "isbn-taken");
    assert_eq!(shop.write(Method::PUT, &third, None, Some(new_book(2))).await.problem(409).0, "isbn-taken");

    let with = |member: &str, value: Value| {
        let mut book = new_book(9);
        book[member] = value;
        book
    };
    for (member, value) in [
        ("isbn", json!("9780132350885")),
        ("isbn", Value::Null),
        ("title", json!(" ")),
        ("title", json!("a\u{0}b")),
        ("title", json!(["x"])),
        ("author", json!("x".repeat(301))),
        ("price", json!(-1)),
        ("price", json!("1.00")),
        ("price", json!(1.001)),
        ("price", json!(1_000_000.01)),
        ("price", json!(1e30)),
        ("publishedYear", json!(2_101)),
        ("publishedYear", json!(1e10)),
        ("description", json!("x".repeat(5_001))),
        ("genre", json!("x".repeat(101))),
        ("isActive", json!("yes")),
    ] {
        let body = with(member, value);
        assert_eq!(shop.create(&body).await.problem(422).1, [member], "{body}");
        let put = shop.write(Method::PUT, &third, None, Some(body.clone())).await;
        assert_eq!(put.problem(422).1, [member], "{body}");
        let patch = shop.write(Method::PATCH, &third, None, Some(json!({ member: body[member] }))).await;
        assert_eq!(patch.problem(422).1, [member], "{body}");
    }
    let several = json!({ "isbn": "", "title": "", "author": "", "price": -1 });
    assert_eq!(shop.create(&several).await.problem(422).1, ["isbn", "title", "author", "price"]);
    let nowhere = json!({ "id": BookId::new() });
    for (method, body) in [(Method::PUT, Some(new_book(9))), (Method::PATCH, Some(json!({}))), (Method::DELETE, None)] {
        shop.write(method, &nowhere, None, body).await.problem(404);
    }
    let untouched = shop.get(&path(&third)).await;
    assert_eq!(untouched.header("etag").split('-').next(), Some("\"1"));
}

#[tokio::test]
async fn the_tag_changes_with_the_stock_and_a_write_looks_at_the_version_alone() {
    let shop = Shop::open().await;
    let book = json!({ "id": demo::BOOKS[0].id() });
    let before = shop.get(&path(&book)).await.header("etag").to_owned();
    shop.with_warehouse("alpha").await;
    let after = shop.get(&path(&book)).await.header("etag").to_owned();
    assert_ne!(before, after);
    assert_eq!(before.split('-').next(), after.split('-').next());
    let same = shop.send_with(Who::Anyone, Method::GET, &path(&book), &[("if-none-match", &after)], None).await;
    assert_eq!((same.status, same.header("etag")), (304, after.as_str()));
    shop.write(Method::PATCH, &book, Some(&before), Some(json!({ "genre": "Other" }))).await.expect(200);
}

#[tokio::test]
async fn an_import_keeps_good_rows_tells_bad_ones_and_is_idempotent() {
    let shop = Shop::open().await;
    let mut file = "isbn,title,author,publisher,price,description,genre,publishedYear\n".to_owned();
    for serial in 1..=1_200 {
        file.push_str(&format!("{},\"Title, {serial}\",A,,{serial}.50,,,2000\n", synthetic(serial)));
    }
    file.push_str("9780132350885,Bad,A,,1,,,\n");
    let report = shop.import(CSV, file.clone()).await.expect(200);
    let counts = |report: &Value| json!([report["created"], report["updated"], report["unchanged"], report["failed"]]);
    assert_eq!(counts(&report), json!([1_200, 0, 0, 1]));
    assert_eq!((&report["errors"][0]["row"], &report["errors"][0]["isbn"]), (&json!(1_201), &json!("9780132350885")));
    let again = shop.import(CSV, file.replace("Title, 7\"", "Title, seven\"")).await.expect(200);
    assert_eq!(counts(&again), json!([0, 1, 1_199, 1]));
    assert_eq!(shop.titles("query=title+seven").await, ["Title, seven"]);

    let lines = format!("{}\n{{\n{}\n", new_book(7), new_book(5_000));
    let report = shop.import(NDJSON, lines).await.expect(200);
    assert_eq!((counts(&report), &report["errors"][0]["row"]), (json!([1, 1, 0, 1]), &json!(2)));
    let report = shop.import(NDJSON, "").await.expect(200);
    assert_eq!(counts(&report), json!([0, 0, 0, 0]));
}

#[tokio::test]
async fn files_that_cannot_be_read_are_refused_and_say_what_was_written() {
    let shop = Shop::open().await;
    shop.import(&[("content-type", "application/json")], "{}").await.problem(415);
    shop.import(&[], "x").await.problem(415);
    for file in [&b""[..], b"title\n", b"\xff\xfe,\n", b"\"isbn"] {
        assert_eq!(shop.import(CSV, file.to_vec()).await.problem(422).1, ["header"], "{file:?}");
    }
    let rows: Vec<_> = (1..=600).map(|serial| format!("{}\n", new_book(serial))).collect();
    let rest = std::iter::repeat_n("x\n".to_owned(), 100_000);
    let chunks = rows.into_iter().chain(rest).map(Ok::<_, std::io::Error>);
    let file = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks.collect::<Vec<_>>()));
    let refused = shop.import(NDJSON, file).await;
    assert_eq!(
        (&refused.body["imported"]["created"], &refused.body["imported"]["failed"]),
        (&json!(500), &json!(99_400))
    );
    assert_eq!(refused.body["imported"]["errors"].as_array().unwrap().len(), 1_000);
    assert_eq!(refused.problem(413).0, "body-too-large");
    let broken = b"{\"isbn\": \"\xff\"}\n\"".to_vec();
    let report = shop.import(NDJSON, broken).await.expect(200);
    assert_eq!(report["failed"], 2);
}
