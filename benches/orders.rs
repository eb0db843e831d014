//! Orders a second at 32 clients, as a ratio to the least that a correct order costs the same PostgreSQL, run in turn with it; and what
//! Traefik before the store makes of them, and of looks at the catalogue.
//!
//! `make bench` builds and runs it. The store and one warehouse are release builds, each with a database of its own on one
//! cluster with default durability; wrk sends orders of one copy of one of 1,000 books. The limit is `limit.sql`, by pgbench.
//! `LIMIT_SQL` names another script, and `LIMIT_SCHEMA` the schema that it needs.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kit::process::{Spec, built};
use kit::{Database, Port};
use sea_orm::ConnectionTrait as _;

const BUILD: &str = "cargo build --release --workspace --bins";
const CLIENTS: &str = "32";
const SECONDS: u64 = 10;
const ROUNDS: usize = 3;
/// Of Traefik's routes.
const HOST: &str = "api.localhost";
const SECRET: &str = "the secret of a benchmark, thirty-two bytes";
const LIMIT_SCHEMA: &str = "
    CREATE TABLE limit_orders (id BIGSERIAL PRIMARY KEY, status TEXT NOT NULL, cents BIGINT NOT NULL, shipped_at TIMESTAMPTZ);
    CREATE TABLE limit_items (id BIGSERIAL PRIMARY KEY, order_id BIGINT NOT NULL REFERENCES limit_orders, book INT NOT NULL,
        quantity INT NOT NULL, cents BIGINT NOT NULL);
    CREATE TABLE limit_payments (id BIGSERIAL PRIMARY KEY, order_id BIGINT NOT NULL REFERENCES limit_orders, cents BIGINT NOT NULL);
    CREATE TABLE limit_inventory (book INT PRIMARY KEY, quantity BIGINT NOT NULL CHECK (quantity >= 0));
    CREATE TABLE limit_shipments (id BIGSERIAL PRIMARY KEY, order_id BIGINT NOT NULL, book INT NOT NULL, quantity INT NOT NULL);
    CREATE TABLE limit_cache (book INT PRIMARY KEY, quantity BIGINT NOT NULL);
    CREATE INDEX ON limit_items (order_id); CREATE INDEX ON limit_payments (order_id); CREATE INDEX ON limit_shipments (order_id);
    INSERT INTO limit_inventory SELECT n, 1000000000 FROM generate_series(1, 1000) n;
    INSERT INTO limit_cache SELECT n, 1000000000 FROM generate_series(1, 1000) n;";

/// A thousand books, numbered, with the same number as the last part of their id.
const BOOKS: &str = "
    INSERT INTO books (id, isbn, title, author, price_cents, is_active, created_at, updated_at)
    SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'bench-' || n, 'Title ' || n, 'Somebody', 1000,
        true, now(), now() FROM generate_series(1, 1000) n";
const STOCK: &str = "
    WITH i AS (INSERT INTO inventory (book_id, isbn, quantity, reserved, version, updated_at)
        SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'bench-' || n, 1000000, 0, 1, now()
        FROM generate_series(1, 1000) n)
    UPDATE warehouse_state SET version = 1";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // `cargo test --all-targets` runs benches too, without this argument.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let limit = Database::create("bench_limit").await?;
    let schema = match std::env::var_os("LIMIT_SCHEMA") {
        Some(file) => std::fs::read_to_string(file)?,
        None => LIMIT_SCHEMA.to_owned(),
    };
    run_sql(&limit, &schema).await?;
    let (store, warehouse) = (Database::create("bench_store").await?, Database::create("bench_warehouse").await?);
    let shop = Shop::open(folder.path(), &store, &warehouse).await?;

    let (traefik, _process) = traefik(folder.path(), &shop.url).await?;
    println!("{CLIENTS} clients, {SECONDS} s a run, {ROUNDS} rounds; orders a second");
    let mut ratios = Vec::new();
    for round in 0..=ROUNDS {
        let least = pgbench(&limit)?;
        let ours = wrk("orders", &shop.url)?;
        let behind = wrk("orders", &traefik)?;
        let (looks, looks_behind) = (wrk("looks", &shop.url)?, wrk("looks", &traefik)?);
        // The first round warms both up.
        if round > 0 {
            let ratio = ours.per_second / least;
            println!(
                "round {round}: limit {least:.0}, ours {:.0} (p50 {:.1} ms, p99 {:.1} ms, {} not 201), ratio {ratio:.2}",
                ours.per_second, ours.p50_ms, ours.p99_ms, ours.failed
            );
            ratios.push(ratio);
            for (what, direct, behind) in [("orders", &ours, &behind), ("looks", &looks, &looks_behind)] {
                println!(
                    "    {what} {:.0} a second, behind Traefik {:.0} (p50 {:.1} ms, {} failed), ratio {:.2}",
                    direct.per_second,
                    behind.per_second,
                    behind.p50_ms,
                    behind.failed,
                    behind.per_second / direct.per_second
                );
            }
        }
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", ratios[ratios.len() / 2]);
    Ok(())
}

struct Shop {
    url: String,
    _processes: Vec<kit::Process>,
}

impl Shop {
    async fn open(folder: &Path, store: &Database, warehouse: &Database) -> anyhow::Result<Self> {
        let here = std::env::current_exe()?;
        // Benches lie one folder below the programs.
        let program = |name: &str| built(name, here.parent().unwrap_or(&here), BUILD);
        for (service, database, rows) in [("store", store, BOOKS), ("warehouse", warehouse, STOCK)] {
            let mut migrate = Command::new(program("migrate")?);
            let status = migrate.args([service, "up"]).env("DATABASE_URL", database.url()).status()?;
            anyhow::ensure!(status.success(), "cannot migrate {service}");
            run_sql(database, rows).await?;
        }
        let (store_port, warehouse_port) = (Port::reserve()?, Port::reserve()?);
        let url = format!("http://{}", store_port.address());
        let spec = |name: &str, port: &Port, database: &Database| -> anyhow::Result<Spec> {
            Ok(Spec::new(name, program(name)?, folder)
                .env("LISTEN_ADDRESS", "127.0.0.1")
                .env("PORT", port.number())
                .env("DATABASE_URL", database.url())
                .env("SERVICE_SECRET", SECRET)
                .env("RUST_LOG", "warn"))
        };
        let mut ours = spec("store", &store_port, store)?.env("SEED_DEMO", true).spawn()?;
        ours.answers(&format!("{url}/ready"), Duration::from_secs(60)).await.map_err(anyhow::Error::msg)?;
        let theirs = spec("warehouse", &warehouse_port, warehouse)?
            .env("WAREHOUSE_NAME", "warehouse-bench")
            .env("WAREHOUSE_URL", format!("http://{}", warehouse_port.address()))
            .env("STORE_API_URL", &url)
            .spawn()?;
        let book = format!("{url}/inventory/books/00000000-0000-4000-8000-000000000001");
        kit::until("the store has stock", Duration::from_secs(60), async || {
            let answer = reqwest::get(&book).await.map_err(|error| error.to_string())?;
            let text = answer.text().await.map_err(|error| error.to_string())?;
            if text.contains("warehouse-bench") { Ok(()) } else { Err(text) }
        })
        .await;
        Ok(Self { url, _processes: vec![ours, theirs] })
    }
}

/// Traefik as `make up-local` starts it, but for its limits: the store's address behind it.
async fn traefik(folder: &Path, store: &str) -> anyhow::Result<(String, kit::Process)> {
    let [web, https, dashboard] = [Port::reserve()?, Port::reserve()?, Port::reserve()?];
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("traefik/proxy-local");
    let spec = Spec::new("traefik", script, folder)
        .env("WEB_PORT", web.number())
        .env("HTTPS_PORT", https.number())
        .env("DASHBOARD_PORT", dashboard.number())
        .env("RATE_LIMIT_PER_SECOND", 1_000_000)
        .env("RATE_LIMIT_BURST", 1_000_000);
    let urls = ["STORE_URL", "WAREHOUSE_ALPHA_URL", "WAREHOUSE_BETA_URL"];
    let mut process = urls.into_iter().fold(spec, |spec, name| spec.env(name, store)).spawn()?;
    let ping = format!("http://{}/ping", dashboard.address());
    process.answers(&ping, Duration::from_secs(60)).await.map_err(anyhow::Error::msg)?;
    Ok((format!("http://{}/store", web.address()), process))
}

async fn run_sql(database: &Database, sql: &str) -> anyhow::Result<()> {
    let connection = sea_orm::Database::connect(database.url()).await?;
    connection.execute_unprepared(sql).await?;
    Ok(connection.close().await?)
}

/// Transactions a second, each of which is an order.
fn pgbench(database: &Database) -> anyhow::Result<f64> {
    let script = std::env::var_os("LIMIT_SQL").map_or_else(|| here("limit.sql"), PathBuf::from);
    let output = Command::new(kit::postgres::program("pgbench")?)
        .args(["-n", "-M", "prepared", "-c", CLIENTS, "-j", "2", "-T", &SECONDS.to_string(), "-f"])
        .arg(script)
        .arg(database.url())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.ok_or_else(|| anyhow::anyhow!("pgbench: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

struct Run {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    failed: u64,
}

fn wrk(what: &str, url: &str) -> anyhow::Result<Run> {
    let seconds = format!("{SECONDS}s");
    let output = Command::new("wrk")
        .args(["-t2", "-c", CLIENTS, "-d", &seconds, "-s"])
        .arg(here("load.lua"))
        .args([url, "--", what, HOST])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let fields = text
        .lines()
        .find_map(|line| line.strip_prefix("RESULT "))
        .map(|line| line.split(' ').filter_map(|field| field.parse::<f64>().ok()).collect::<Vec<_>>());
    match fields.as_deref() {
        Some(&[good, duration, p50_ms, p99_ms, failed]) => {
            Ok(Run { per_second: good / duration, p50_ms, p99_ms, failed: failed as u64 })
        }
        _ => anyhow::bail!("wrk: {text}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(file)
}
