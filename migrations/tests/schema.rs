//! Both schemas go up, come down without a trace and go up again, on every database that the product runs on, and hold what they promise.
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail by panicking, like the test")]

use std::future::Future;

use migrations::{MigratorTrait, store, warehouse};
use sea_orm_migration::sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use uuid::Uuid;

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|sqlite| sqlite.create_if_missing(true).foreign_keys(true));
    Database::connect(options).await.unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"))
}

/// Runs the check on a database of its own in SQLite, then on one in PostgreSQL.
async fn on_every_database<F: Future<Output = ()>>(check: impl Fn(DatabaseConnection) -> F) {
    let folder = tempfile::tempdir().unwrap();
    check(connect(&format!("sqlite://{}", folder.path().join("test.db").display())).await).await;
    let postgres = kit::Database::create("schema").await.unwrap();
    check(connect(&postgres.url()).await).await;
}

/// Every table, index and constraint, with its definition.
async fn schema_of(db: &DatabaseConnection) -> Vec<String> {
    let sql = match db.get_database_backend() {
        DbBackend::Sqlite => {
            "SELECT name || ': ' || coalesce(sql, '') AS line FROM sqlite_master
             WHERE name NOT LIKE 'sqlite_%' AND tbl_name <> 'seaql_migrations' ORDER BY 1"
        }
        _ => {
            "SELECT line FROM (
                SELECT table_name || '.' || column_name || ': ' || data_type || is_nullable AS line
                    FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'seaql_migrations'
                UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'seaql_migrations'
                UNION ALL SELECT conrelid::regclass || pg_get_constraintdef(oid) FROM pg_constraint
                    WHERE connamespace = 'public'::regnamespace AND conrelid <> 'seaql_migrations'::regclass
            ) lines ORDER BY 1"
        }
    };
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get("", "line").unwrap()).collect()
}

async fn up_down_up<M: MigratorTrait>(db: &DatabaseConnection, tables: &[&str]) {
    M::up(db, None).await.unwrap();
    let first = schema_of(db).await;
    for table in tables {
        db.execute_unprepared(&format!("SELECT * FROM {table}"))
            .await
            .unwrap_or_else(|error| panic!("{table}: {error}"));
    }
    M::up(db, None).await.unwrap();
    assert_eq!(schema_of(db).await, first, "a second up changes nothing");

    for _ in M::migrations() {
        M::down(db, Some(1)).await.unwrap();
    }
    assert_eq!(schema_of(db).await, Vec::<String>::new(), "down leaves nothing behind");
    M::up(db, None).await.unwrap();
    assert_eq!(schema_of(db).await, first, "up again is the same");
    M::fresh(db).await.unwrap();
    assert_eq!(schema_of(db).await, first, "fresh is the same");
}

#[tokio::test]
async fn the_store_goes_up_and_down() {
    on_every_database(async |db| {
        let tables = [
            "users",
            "books",
            "warehouse_registry",
            "inventory_cache",
            "orders",
            "order_items",
            "payments",
            "shipments",
            "sagas",
            "saga_journal",
            "idempotency_keys",
            "audit_log",
            "gateway_ledger",
        ];
        up_down_up::<store::Migrator>(&db, &tables).await;
    })
    .await;
}

#[tokio::test]
async fn a_warehouse_goes_up_and_down() {
    on_every_database(async |db| {
        let tables = [
            "users",
            "inventory",
            "shipment_logs",
            "shipments",
            "inventory_movements",
            "outbox",
            "warehouse_state",
            "audit_log",
            "reservations",
            "returns",
        ];
        up_down_up::<warehouse::Migrator>(&db, &tables).await;
    })
    .await;
}

/// Statements run one by one; each either must pass or must be refused.
async fn expect(db: &DatabaseConnection, cases: &[(bool, &str)]) {
    for (allowed, sql) in cases {
        let done = db.execute_unprepared(sql).await;
        assert_eq!(done.is_ok(), *allowed, "{:?}: {sql}: {done:?}", db.get_database_backend());
    }
}

const ID: &str = "'00000000-0000-4000-8000-000000000001'";
const TIME: &str = "'2026-11-22T10:00:00+00:00'";

#[tokio::test]
async fn r16_stock_stays_within_its_bounds_and_the_state_is_one_row() {
    on_every_database(async |db| {
        warehouse::Migrator::up(&db, None).await.unwrap();
        let insert = |quantity: i64, reserved: i64| {
            format!(
                "INSERT INTO inventory (book_id, isbn, quantity, reserved, version, updated_at)
                 VALUES ({ID}, 'x', {quantity}, {reserved}, 1, {TIME})"
            )
        };
        expect(
            &db,
            &[
                (false, &insert(-1, 0)),
                (false, &insert(1, 2)),
                (false, &insert(1, -1)),
                (true, &insert(2, 2)),
                (false, "UPDATE inventory SET quantity = 1"),
                (false, "UPDATE inventory SET reserved = 3"),
                (true, "UPDATE warehouse_state SET version = version + 1"),
                (false, &format!("INSERT INTO warehouse_state (id, database_id, version) VALUES (2, {ID}, 0)")),
            ],
        )
        .await;
        let sql = "SELECT version FROM warehouse_state";
        let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.try_get("", "version").unwrap()).collect::<Vec<i64>>(), [1]);
    })
    .await;
}

#[tokio::test]
async fn a_reservation_has_a_status_that_there_is_and_expires_only_while_it_is_held() {
    on_every_database(async |db| {
        warehouse::Migrator::up(&db, None).await.unwrap();
        let insert = |status: &str, expires: &str| {
            format!(
                "INSERT INTO reservations (shipment_id, order_id, items_hash, items, status, expires_at, created_at, updated_at)
                 VALUES ({ID}, {ID}, 'x', '[]', '{status}', {expires}, {TIME}, {TIME})"
            )
        };
        expect(
            &db,
            &[
                (false, &insert("kept", TIME)),
                (false, &insert("held", "NULL")),
                (false, &insert("confirmed", TIME)),
                (true, &insert("held", TIME)),
                (false, &insert("held", TIME)),
                (false, "UPDATE reservations SET status = 'confirmed'"),
                (true, "UPDATE reservations SET status = 'confirmed', expires_at = NULL"),
                (false, "UPDATE reservations SET status = 'held'"),
                (true, "UPDATE reservations SET status = 'shipped'"),
                (true, "UPDATE reservations SET status = 'released'"),
                (true, &format!("UPDATE reservations SET status = 'expired', expires_at = {TIME}")),
            ],
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn every_status_of_an_order_is_known_from_the_start_and_no_other() {
    on_every_database(async |db| {
        store::Migrator::up(&db, None).await.unwrap();
        let user = |email: &str, role: &str| {
            format!(
                "INSERT INTO users (id, email, password_hash, password_version, role, created_at, updated_at)
                 VALUES ({ID}, '{email}', 'x', 1, '{role}', {TIME}, {TIME})"
            )
        };
        let order = format!(
            "INSERT INTO orders (id, user_id, status, total_cents, created_at, updated_at)
             VALUES ({ID}, {ID}, 'PENDING', 1499, {TIME}, {TIME})"
        );
        expect(
            &db,
            &[
                (false, &order), // no such user
                (false, &user("a@example.com", "OWNER")),
                (false, &user("A@example.com", "CUSTOMER")),
                (true, &user("a@example.com", "CUSTOMER")),
                (false, &user("a@example.com", "CUSTOMER")),
                (true, &order),
                (false, "UPDATE orders SET status = 'LOST'"),
                (false, "UPDATE orders SET total_cents = -1"),
            ],
        )
        .await;
        for status in [
            "PENDING",
            "SHIPPED",
            "CANCELLED",
            "REJECTED",
            "NEEDS_ATTENTION",
            "BACKORDERED",
            "PARTIALLY_SHIPPED",
            "RETURNED",
        ] {
            expect(&db, &[(true, &format!("UPDATE orders SET status = '{status}'"))]).await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_gateways_ledger_is_only_added_to_and_begins_with_what_was_captured_before_it() {
    on_every_database(async |db| {
        store::Migrator::up(&db, Some(7)).await.unwrap();
        let id = |n: u8| match db.get_database_backend() {
            DbBackend::Sqlite => format!("X'{}'", Uuid::from_u128(n.into()).simple()),
            _ => format!("'{}'", Uuid::from_u128(n.into())),
        };
        let user = id(9);
        let mut before = vec![format!(
            "INSERT INTO users (id, email, password_hash, password_version, role, created_at, updated_at)
             VALUES ({user}, 'a@example.com', 'x', 1, 'CUSTOMER', {TIME}, {TIME})"
        )];
        for (n, status) in [(1, "PENDING"), (2, "CAPTURED"), (3, "VOIDED"), (4, "CAPTURED")] {
            let id = id(n);
            before.push(format!(
                "INSERT INTO orders (id, user_id, status, total_cents, created_at, updated_at)
                 VALUES ({id}, {user}, 'PENDING', {n}00, {TIME}, {TIME})"
            ));
            before.push(format!(
                "INSERT INTO payments (id, order_id, method, amount_cents, status, created_at, updated_at)
                 VALUES ({id}, {id}, 'credit_card', {n}00, '{status}', {TIME}, {TIME})"
            ));
        }
        let before: Vec<_> = before.iter().map(|sql| (true, sql.as_str())).collect();
        expect(&db, &before).await;
        store::Migrator::up(&db, None).await.unwrap();
        let sql =
            "SELECT operation || amount_cents || outcome || line AS entry FROM gateway_ledger ORDER BY order_id, line";
        let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
        let entries: Vec<String> = rows.iter().map(|row| row.try_get("", "entry").unwrap()).collect();
        assert_eq!(entries, ["authorize200done0", "capture200done1", "authorize400done0", "capture400done1"]);
        let insert = |key: &str, line: i8, operation: &str, cents: i8, outcome: &str, reason: &str| {
            format!(
                "INSERT INTO gateway_ledger (key, order_id, line, operation, amount_cents, outcome, reason, at)
                 VALUES ('{key}', {ID}, {line}, '{operation}', {cents}, '{outcome}', {reason}, {TIME})"
            )
        };
        expect(
            &db,
            &[
                (true, &insert("a", 0, "authorize", 1, "done", "NULL")), // of an order that nobody knows
                (false, &insert("a", 1, "capture", 1, "done", "NULL")),
                (false, &insert("b", 0, "capture", 1, "done", "NULL")),
                (false, &insert("b", -1, "capture", 1, "done", "NULL")),
                (false, &insert("b", 1, "charge", 1, "done", "NULL")),
                (false, &insert("b", 1, "capture", -1, "done", "NULL")),
                (false, &insert("b", 1, "capture", 1, "perhaps", "NULL")),
                (false, &insert("b", 1, "capture", 1, "refused", "NULL")),
                (false, &insert("b", 1, "capture", 1, "done", "'why'")),
                (true, &insert("b", 1, "void-payment", 0, "refused", "'why'")),
                (false, "UPDATE gateway_ledger SET amount_cents = 0"),
                (false, "DELETE FROM gateway_ledger"),
            ],
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn another_database_has_another_identity() {
    let mut identities = Vec::new();
    for _ in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        let db = connect(&format!("sqlite://{}", folder.path().join("test.db").display())).await;
        warehouse::Migrator::up(&db, None).await.unwrap();
        let sql = "SELECT database_id FROM warehouse_state";
        let row = db.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap().unwrap();
        identities.push(row.try_get::<Uuid>("", "database_id").unwrap());
    }
    assert_ne!(identities[0], identities[1]);
}

#[tokio::test]
async fn the_audit_log_takes_entries_and_gives_none_back() {
    on_every_database(async |db| {
        store::Migrator::up(&db, None).await.unwrap();
        let entry = |phase: &str| {
            format!(
                "INSERT INTO audit_log (id, request_id, at, phase, account_id, email, role, client, method, route, path)
                 VALUES ({ID}, 'r', {TIME}, '{phase}', {ID}, 'a@example.com', 'STORE_ADMIN', '::1', 'POST', '/x', '/x')"
            )
        };
        expect(
            &db,
            &[
                (false, &entry("done")),
                (true, &entry("requested")),
                (false, &entry("requested")),
                (false, "UPDATE audit_log SET email = 'b@example.com'"),
                (false, "DELETE FROM audit_log"),
            ],
        )
        .await;
        if db.get_database_backend() == DbBackend::Postgres {
            expect(&db, &[(false, "TRUNCATE audit_log")]).await;
        }
        let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), "SELECT email FROM audit_log"));
        assert_eq!(rows.await.unwrap().len(), 1);
    })
    .await;
}
