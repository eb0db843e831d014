//! A project of Compose's on a Docker engine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use kit::Port;
use tempfile::TempDir;

use super::traefik::HOST;
use super::{repository, target};
use crate::harness::client::SECRET;
use crate::harness::*;

pub(super) const SERVICES: [&str; 3] = ["store-api", "warehouse-alpha", "warehouse-beta"];
const DEMO_BOOK: &str = "0175bdea-725b-5e58-b14d-0dd9e2a720f4";
/// Apart from that of a bookstore that runs beside the tests, which run one at a time (`.config/nextest.toml`).
const EDGE: &str = "EDGE_SUBNET=10.203.81.0/24\nEDGE_RANGE=10.203.81.128/25\nTRAEFIK_ADDRESS=10.203.81.2\n";
const PORTS: [&str; 7] = [
    "HTTP_PORT",
    "HTTPS_PORT",
    "DASHBOARD_PORT",
    "STORE_DB_PORT",
    "WAREHOUSE_ALPHA_DB_PORT",
    "WAREHOUSE_BETA_DB_PORT",
    "WAREHOUSE_GAMMA_DB_PORT",
];

/// What a command of Docker's prints where it succeeds.
pub(super) async fn said(args: &[&str]) -> String {
    let output = tokio::process::Command::new("docker").args(args).output().await;
    let output = output.unwrap_or_else(|error| panic!("docker: {error}"));
    assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A project of Compose's: containers, networks and volumes, gone when this is dropped.
pub(super) struct Project {
    pub(super) ports: BTreeMap<&'static str, Port>,
    line: Vec<String>,
    _folder: TempDir,
}

impl Project {
    /// Of compose.yml, or a text in its place, with files on top of it. Not started.
    pub(super) fn new(compose: Option<&str>, more: &[PathBuf]) -> Self {
        let ports: BTreeMap<_, _> = PORTS.iter().map(|name| (*name, Port::reserve().unwrap())).collect();
        // Where Docker may mount from.
        let folder = tempfile::tempdir_in(target()).unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let mut settings = format!("{EDGE}SEED_DEMO=true\nSERVICE_SECRET={SECRET}\n");
        for name in ["STORE", "WAREHOUSE_ALPHA", "WAREHOUSE_BETA", "WAREHOUSE_GAMMA"] {
            writeln!(settings, "{name}_DB_PASSWORD=secret-of-{name}").unwrap();
        }
        for (name, port) in &ports {
            writeln!(settings, "{name}={}", port.number()).unwrap();
        }
        let settings = file("settings", &settings);
        // The images are those of `docker compose build`, whatever this project is called.
        let mut images = "services:\n".to_owned();
        for service in SERVICES {
            writeln!(images, "  {service}: {{ image: bookstore-{service} }}").unwrap();
        }
        if compose.is_some() {
            images.push_str("  warehouse-gamma: { image: bookstore-warehouse-alpha }\n");
        }
        let images = file("images.yml", &images);
        let compose = compose.map_or_else(|| repository("compose.yml"), |text| file("compose.yml", text));

        let project = format!("bookstore-test-{}", std::process::id());
        let mut line = vec!["compose".to_owned(), "--project-name".to_owned(), project];
        let project_folder = repository("");
        let options = [("--project-directory", &project_folder), ("--env-file", &settings)];
        let files = std::iter::once(&compose).chain([&images]).chain(more).map(|path| ("--file", path));
        for (option, path) in options.into_iter().chain(files) {
            line.extend([option.to_owned(), path.display().to_string()]);
        }
        Self { ports, line, _folder: folder }
    }

    pub(super) fn line<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        self.line.iter().map(String::as_str).chain(args.iter().copied()).collect()
    }

    /// `docker compose …`, which must succeed.
    pub(super) async fn compose(&self, args: &[&str]) -> String {
        said(&self.line(args)).await
    }

    /// Started, healthy, and with the stock of so many warehouses known to the store.
    pub(super) async fn up(&self, warehouses: usize) {
        self.compose(&["up", "--detach", "--no-build", "--wait"]).await;
        let anyone = self.client("/store");
        kit::until("the stock of all warehouses is known", SOON, async || {
            let known = anyone.get(&format!("/inventory/books/{DEMO_BOOK}")).await;
            let count = if known.code() == 200 { known.json().as_array().unwrap().len() } else { 0 };
            if count == warehouses { Ok(()) } else { Err(known.text) }
        })
        .await;
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{HOST}:{}{path}", self.ports["HTTP_PORT"].number())
    }

    pub(super) fn client(&self, prefix: &str) -> Client {
        Client::through(&self.url(prefix), HOST, self.ports["HTTP_PORT"].address())
    }

    pub(super) fn alice(&self) -> Client {
        self.client("/store").who_is("alice@customer.com", "alice123")
    }

    pub(super) async fn order(&self) -> Value {
        let lines = json!([{ "bookId": DEMO_BOOK, "quantity": 1 }]);
        self.alice().post("/orders", json!({ "items": lines })).await.expect(201)
    }

    /// What Docker knows of each container, by its service's name.
    pub(super) async fn containers(&self) -> BTreeMap<String, Value> {
        let ids = self.compose(&["ps", "--all", "--quiet"]).await;
        let known = said(&[&["inspect"], &*ids.lines().collect::<Vec<_>>()].concat()).await;
        let known: Vec<Value> = serde_json::from_str(&known).unwrap();
        let name = |container: &Value| container["Config"]["Labels"]["com.docker.compose.service"].clone();
        known.into_iter().map(|container| (name(&container).as_str().unwrap().to_owned(), container)).collect()
    }

    /// As a client on this machine reaches a database.
    pub(super) fn database(&self, name: &str) -> String {
        let (user, database) = match name {
            "STORE" => ("storeuser", "store_db".to_owned()),
            other => ("warehouseuser", format!("{}_db", other.to_lowercase())),
        };
        let port = self.ports[&*format!("{name}_DB_PORT")].number();
        format!("postgres://{user}:secret-of-{name}@127.0.0.1:{port}/{database}")
    }

    /// That every database agrees, with each other and with the orders that customers were told of.
    pub(super) async fn invariants_hold(&self, told: &[Uuid]) {
        let warehouses = [("warehouse-alpha", "WAREHOUSE_ALPHA"), ("warehouse-beta", "WAREHOUSE_BETA")]
            .map(|(name, variables)| (name, self.database(variables)));
        invariants::hold(&self.database("STORE"), &warehouses, told, &Allowed::default()).await;
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let run = |args: &[&str]| std::process::Command::new("docker").args(self.line(args)).output();
        if std::thread::panicking()
            && let Ok(logs) = run(&["logs", "--no-color", "--tail", "25"])
        {
            println!("{}", String::from_utf8_lossy(&logs.stdout));
        }
        if !run(&["down", "--volumes", "--timeout", "1"]).is_ok_and(|output| output.status.success()) {
            println!("containers of the test are left: `docker ps`");
        }
    }
}
