//! Databases with the store's schema, for tests.

use contract::{BookId, DatabaseId, Money, StockRow, Timestamp, WarehouseHealth, WarehouseId};
use migrations::MigratorTrait as _;
use migrations::store::Migrator;
use sea_orm::ConnectionTrait as _;
use service::config::DatabaseUrl;
use service::database::{Database, Settings};
use uuid::Uuid;

use super::warehouses::{self, Warehouse};
use super::{books, shipments};
use crate::domain::book::Book;

async fn open(url: &str) -> Database {
    let url = DatabaseUrl::parse(url).expect("a URL");
    let database = Database::connect(Settings::small(url)).await.expect("a database");
    Migrator::up(database.ready().expect("connected"), None).await.expect("migrated");
    database
}

/// One in SQLite, with the folder that must outlive it.
pub async fn sqlite() -> (Database, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("store.db").display());
    (open(&url).await, folder)
}

/// Runs the check on SQLite, then on PostgreSQL.
pub async fn on_both(check: impl AsyncFn(&Database)) {
    let (database, _folder) = sqlite().await;
    check(&database).await;
    let server = kit::Database::create("store_db").await.expect("a PostgreSQL for tests");
    let database = open(&server.url()).await;
    check(&database).await;
    database.ready().expect("connected").clone().close().await.expect("closed");
}

/// Book number `n`: 10.00 + n cents.
pub fn book(n: u128) -> Book {
    Book {
        id: book_id(n),
        isbn: format!("{n:013}"),
        title: format!("Title {n}"),
        author: "Somebody".to_owned(),
        publisher: None,
        price: Money(1_000 + i64::try_from(n).unwrap_or_default()),
        description: None,
        genre: None,
        published_year: Some(2_000),
        is_active: true,
        version: 1,
        created_at: at(1),
        updated_at: at(2),
    }
}

/// Enters books 1 to `count`.
pub async fn enter_books(database: &Database, count: u128) {
    let books: Vec<_> = (1..=count).map(book).collect();
    books::enter_missing(database.ready().expect("ready"), &books).await.expect("entered");
}

/// Warehouse number `n`, healthy; entered.
pub async fn enter_warehouse(database: &Database, n: u128, name: &str) -> Warehouse {
    let warehouse = Warehouse {
        id: warehouse_id(n),
        name: name.to_owned(),
        url: format!("http://{name}"),
        internal_url: format!("http://{name}:3000"),
        database_id: DatabaseId(Uuid::from_u128(n)),
        status: WarehouseHealth::Healthy,
        last_seen: Some(at(3)),
        last_registered: at(2),
        last_pulled_at: None,
        enabled: true,
        priority: 100,
        created_at: at(1),
        updated_at: at(1),
    };
    warehouses::save(database.ready().expect("ready"), &warehouse).await.expect("saved");
    warehouse
}

/// An order of `quantity` copies of book 1, with a shipment at `warehouse` in this status.
pub async fn enter_order(database: &Database, n: u128, warehouse: &Warehouse, quantity: u32, status: &str) {
    let db = database.ready().expect("ready");
    let (user, order) = (Uuid::from_u128(0xAA), Uuid::from_u128(n));
    let quote = |id: Uuid| match db.get_database_backend() {
        sea_orm::DbBackend::Sqlite => format!("X'{}'", id.simple()),
        _ => format!("'{id}'"),
    };
    let (user, id) = (quote(user), quote(order));
    db.execute_unprepared(&format!(
        "INSERT INTO users (id, email, password_hash, password_version, role, created_at, updated_at)
         VALUES ({user}, 'a@b.example', '', 1, 'CUSTOMER', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP) ON CONFLICT DO NOTHING"
    ))
    .await
    .expect("a user");
    db.execute_unprepared(&format!(
        "INSERT INTO orders (id, user_id, status, total_cents, created_at, updated_at)
         VALUES ({id}, {user}, 'PENDING', 0, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
    ))
    .await
    .expect("an order");
    enter_part(database, n, warehouse, quantity, status).await;
}

/// A shipment of order `n`, which there must be: so many copies of book 1, at `warehouse`.
pub async fn enter_part(database: &Database, n: u128, warehouse: &Warehouse, quantity: u32, status: &str) {
    use sea_orm::{ActiveModelTrait as _, Set};
    let (db, order) = (database.ready().expect("ready"), Uuid::from_u128(n));
    let items = serde_json::json!([{ "bookId": book_id(1), "isbn": "x", "quantity": quantity }]);
    let shipment = shipments::ActiveModel {
        id: Set(Uuid::from_u128(n + 0x1000 * warehouse.id.uuid().as_u128())),
        order_id: Set(order),
        warehouse_id: Set(warehouse.id.uuid()),
        warehouse_name: Set(warehouse.name.clone()),
        status: Set(status.to_owned()),
        items: Set(items.to_string()),
        shipped_at: Set(None),
        created_at: Set(at(1)),
        updated_at: Set(at(1)),
    };
    shipment.insert(db).await.expect("a shipment");
}

/// The id of book number `n`.
pub fn book_id(n: u128) -> BookId {
    BookId(Uuid::from_u128(n))
}

/// The id of warehouse number `n`.
pub fn warehouse_id(n: u128) -> WarehouseId {
    WarehouseId(Uuid::from_u128(n))
}

/// A row with nothing reserved.
pub fn row(n: u128, quantity: i64, version: i64) -> StockRow {
    StockRow { book_id: book_id(n), quantity, reserved: 0, version }
}

/// So many seconds after the beginning of time.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds)
}
