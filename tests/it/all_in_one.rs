//! What a newcomer does first: starts the all-in-one, orders as its first lines say, stops it and starts it again.

use std::path::Path;

use kit::process::Spec;
use kit::{Port, Process};
use sea_orm::{ConnectionTrait as _, Database, Statement};

use crate::harness::*;

struct Shop {
    process: Process,
    url: String,
    data: tempfile::TempDir,
}

impl Shop {
    async fn open() -> Self {
        let (port, data) = (Port::reserve().unwrap(), tempfile::tempdir().unwrap());
        let process = spec(&port, data.path(), data.path()).spawn().unwrap();
        let mut shop = Self { process, url: format!("http://{}", port.address()), data };
        shop.process.printed("The bookstore is open", SOON).await.unwrap();
        shop
    }

    fn store(&self) -> Client {
        Client::new(&format!("{}/store", self.url))
    }

    fn warehouse(&self, name: &str) -> Client {
        let name = name.trim_start_matches("warehouse-");
        let staff = format!("staff@warehouse-{name}.com");
        Client::new(&format!("{}/warehouses/{name}", self.url)).who_is(&staff, "staff123")
    }

    async fn on_hand(&self, warehouse: &str, book: &str) -> i64 {
        self.warehouse(warehouse).get(&format!("/inventory/{book}")).await.expect(200)["quantity"].as_i64().unwrap()
    }

    /// What the store's cache says of a book in one warehouse.
    async fn cached(&self, warehouse: &str, book: &str) -> i64 {
        let rows = self.store().get(&format!("/inventory/books/{book}")).await.expect(200);
        let row = rows.as_array().unwrap().iter().find(|row| row["warehouseName"] == warehouse).unwrap();
        row["quantity"].as_i64().unwrap()
    }

    /// Books whose ledger does not sum to what is on hand, in a database file that may be in use.
    async fn wrong_ledgers(&self, warehouse: &str) -> i64 {
        let file = self.data.path().join(format!("{warehouse}.db"));
        let database = Database::connect(format!("sqlite://{}?mode=ro", file.display())).await.unwrap();
        let sql = "SELECT count(*) AS n FROM inventory i WHERE i.quantity <> \
                   (SELECT coalesce(sum(on_hand_delta), 0) FROM inventory_movements m WHERE m.book_id = i.book_id)";
        let row = database.query_one_raw(Statement::from_string(database.get_database_backend(), sql)).await.unwrap();
        row.unwrap().try_get("", "n").unwrap()
    }
}

fn spec(port: &Port, data: &Path, folder: &Path) -> Spec {
    Spec::new("bookstore", env!("CARGO_BIN_EXE_bookstore"), folder)
        .env("BOOKSTORE_LISTEN", port.address())
        .env("BOOKSTORE_DATA_DIR", data.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_orders_what_the_first_lines_say_and_finds_it_again_after_a_restart() {
    let mut shop = Shop::open().await;
    let log = shop.process.log();
    for line in ["alice@customer.com", "admin@bookstore.com", "staff@warehouse-beta.com", "curl -su alice"] {
        assert!(log.contains(line), "{line} is missing: {log}");
    }
    // The order that the printed line places: two of one book and one of another.
    let body = log.lines().find_map(|line| line.trim().strip_prefix("-d '")?.strip_suffix('\'')).unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    let books: Vec<&str> = [0, 1].map(|line| body["items"][line]["bookId"].as_str().unwrap()).to_vec();
    let listed = shop.store().get("/books?limit=100").await.expect(200);
    assert_eq!(listed.as_array().unwrap().len(), 20);
    let both = ["warehouse-alpha", "warehouse-beta"];
    let mut before = Vec::new();
    for warehouse in both {
        for book in &books {
            let here = shop.on_hand(warehouse, book).await;
            assert_eq!(shop.cached(warehouse, book).await, here);
            before.push(here);
        }
    }

    let alice = shop.store().who_is("alice@customer.com", "alice123");
    let placed = alice.post("/orders", body.clone()).await;
    let order = placed.expect(201);
    assert_eq!((&order["status"], &order["payment"]["status"]), (&json!("SHIPPED"), &json!("CAPTURED")));
    let price = |id: &str| {
        let book = listed.as_array().unwrap().iter().find(|book| book["id"] == id).unwrap();
        (book["price"].as_f64().unwrap() * 100.0).round() as i64
    };
    let total = 2 * price(books[0]) + price(books[1]);
    // The text, since a number may be close without being right.
    assert!(placed.text.contains(&format!("\"totalAmount\":{}.{:02},", total / 100, total % 100)), "{}", placed.text);

    let by = order["fulfillmentWarehouse"].as_str().unwrap();
    let mut expected = before.clone();
    let at = if by == both[0] { 0 } else { 2 };
    expected[at] -= 2;
    expected[at + 1] -= 1;
    let stock = async |shop: &Shop| {
        let mut now = Vec::new();
        for warehouse in both {
            for book in &books {
                let here = shop.on_hand(warehouse, book).await;
                assert_eq!(shop.cached(warehouse, book).await, here, "the cache of {warehouse}");
                now.push(here);
            }
        }
        now
    };
    assert_eq!(stock(&shop).await, expected, "down by what was bought, in one warehouse, once");
    let id = order["id"].as_str().unwrap();
    let shipped = shop.warehouse(by).get(&format!("/shipments?orderId={id}")).await.expect(200);
    let quantities: Vec<_> =
        shipped.as_array().unwrap().iter().map(|line| line["quantity"].as_i64().unwrap()).collect();
    assert_eq!(quantities.iter().sum::<i64>(), 3);
    for warehouse in both {
        assert_eq!(shop.wrong_ledgers(warehouse).await, 0);
    }

    shop.process.interrupt().unwrap();
    assert!(shop.process.ended(SOON).await.unwrap().success(), "{}", shop.process.log());
    shop.process.start_again().unwrap();
    let ready = format!("{}/store/ready", shop.url);
    shop.process.answers(&ready, SOON).await.unwrap();
    kit::until("the warehouses are back", SOON, async || {
        let stock = shop.store().get(&format!("/books/{}", books[0])).await.json();
        if stock["availableStock"].as_i64() > Some(0) { Ok(()) } else { Err(stock.to_string()) }
    })
    .await;
    assert_eq!(alice.get(&format!("/orders/{id}")).await.expect(200), order);
    assert_eq!(stock(&shop).await, expected);
    assert_eq!(alice.post("/orders", body).await.expect(201)["status"], "SHIPPED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_one_on_the_same_data_says_so_and_ends() {
    let shop = Shop::open().await;
    let (port, folder) = (Port::reserve().unwrap(), tempfile::tempdir().unwrap());
    let mut second = spec(&port, shop.data.path(), folder.path()).spawn().unwrap();
    assert!(!second.ended(SOON).await.unwrap().success());
    let log = second.log();
    assert!(log.contains("another bookstore is running") && log.contains("BOOKSTORE_DATA_DIR"), "{log}");
}

#[tokio::test]
async fn the_first_page_shows_the_books() {
    let shop = Shop::open().await;
    let page = crate::docs::read(&format!("{}/", shop.url)).await;
    for text in ["<td>Clean Code</td>", "Nothing ordered yet.", "store/docs"] {
        assert!(page.contains(text), "{text} is not on the page:\n{page}");
    }
}
