//! `make up-local`: everything in processes, behind Traefik, by one script; what is killed comes back, and nothing outlives it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use kit::process::{Spec, built};
use kit::{Port, Process};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use super::repository;
use super::traefik::HOST;
use crate::harness::*;

const PORTS: [&str; 9] = [
    "WEB_PORT",
    "HTTPS_PORT",
    "DASHBOARD_PORT",
    "STORE_PORT",
    "ALPHA_PORT",
    "BETA_PORT",
    "STORE_DB_PORT",
    "ALPHA_DB_PORT",
    "BETA_DB_PORT",
];
/// The last of its first lines.
const OPEN: &str = "Ctrl-C stops it";

/// A place for it: a folder, and ports.
struct Place {
    ports: Vec<Port>,
    data: TempDir,
}

impl Place {
    fn new() -> Self {
        let ports = PORTS.iter().map(|_| Port::reserve().unwrap()).collect();
        // Whoever PostgreSQL runs as must get there.
        let everybody = std::fs::Permissions::from_mode(0o755);
        Self { ports, data: tempfile::Builder::new().permissions(everybody).tempdir().unwrap() }
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let programs = built("store", env!("CARGO_BIN_EXE_bookstore"), "make test").unwrap();
        let folders = [
            ("LOCAL_DATA", self.local().display().to_string()),
            ("PROGRAMS", programs.parent().unwrap().display().to_string()),
            ("CARGO_TARGET_DIR", super::target().display().to_string()),
        ];
        let ports = PORTS.iter().zip(&self.ports).map(|(name, port)| (*name, port.number().to_string()));
        folders.into_iter().chain(ports).collect()
    }

    fn local(&self) -> PathBuf {
        self.data.path().join("local")
    }

    /// Starts it, and waits until it is open.
    async fn up(&self) -> Process {
        let spec = Spec::new("up-local", repository("traefik/up-local"), self.data.path());
        let spec = self.environment().into_iter().fold(spec, |spec, (name, value)| spec.env(name, value));
        let mut process = spec.spawn().unwrap();
        process.printed(OPEN, SOON * 2).await.unwrap();
        process
    }

    fn client(&self, prefix: &str) -> Client {
        Client::through(&format!("http://{HOST}:{}{prefix}", self.ports[0].number()), HOST, self.ports[0].address())
    }

    /// What the store answers Alice, or Traefik in its place.
    async fn get(&self, path: &str) -> (u16, String) {
        let http = reqwest::Client::builder().no_proxy().resolve(HOST, self.ports[0].address()).build().unwrap();
        let request = http.get(format!("http://{HOST}:{}/store{path}", self.ports[0].number()));
        let answer = request.basic_auth("alice@customer.com", Some("alice123")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The processes that have its folder, or its store's port, in their command line or environment.
    fn processes(&self) -> Vec<(u32, PathBuf)> {
        let marks = [self.data.path().display().to_string(), format!("PORT={}", self.ports[3].number())];
        let belongs = |id: &u32| {
            ["cmdline", "environ"].iter().any(|file| {
                let text = std::fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                marks.iter().any(|mark| text.contains(mark))
            })
        };
        let entries = std::fs::read_dir("/proc").unwrap();
        let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let program = |id: u32| Some((id, std::fs::read_link(format!("/proc/{id}/exe")).ok()?));
        ids.filter(|id| *id != std::process::id()).filter(belongs).filter_map(program).collect()
    }

    fn running(&self, program: &str) -> Vec<u32> {
        let is = |(id, path): (u32, PathBuf)| (path.file_name()? == program).then_some(id);
        self.processes().into_iter().filter_map(is).collect()
    }

    async fn nothing_is_left(&self) {
        kit::until("nothing of it runs", SOON, async || {
            let left = self.processes();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.local().join("logs").join(name)).unwrap_or_default()
    }

    fn secrets(&self) -> String {
        let file = self.local().join("secrets");
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "others can read the secrets");
        std::fs::read_to_string(file).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_comes_up_heals_stops_and_comes_up_again_with_its_data() {
    let place = Place::new();
    let mut local = place.up().await;
    let greeting = local.log();
    for text in ["alice@customer.com", "/store/docs", "http://localhost:", "curl -sSu"] {
        assert!(greeting.contains(text), "{greeting}");
    }
    let secrets = place.secrets();
    let secret = secrets.lines().next().unwrap().split('=').nth(1).unwrap();
    assert!(secret.len() == 64 && !greeting.contains(secret));

    // The order that it tells people to place.
    let body = greeting.lines().find_map(|line| line.trim().strip_prefix("-d '")?.strip_suffix('\'')).unwrap();
    let alice = place.client("/store").who_is("alice@customer.com", "alice123");
    let order = alice.post("/orders", serde_json::from_str(body).unwrap()).await.expect(201);
    assert_eq!(order["status"], "SHIPPED");

    // A store that dies is started again, and Traefik bridges the time until then. Only a request that it puts on a connection to the dead
    // store, before it hears that this is broken, is lost: who asks again is answered.
    let store = *place.running("store").first().expect("the store runs");
    kill_process(Pid::from_raw(store as i32).unwrap(), Signal::KILL).unwrap();
    local.printed("store has ended, and is started again", SOON).await.unwrap();
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    let mut answer = place.get(&path).await;
    if answer.0 == 502 {
        answer = place.get(&path).await;
    }
    assert!(answer.0 == 200 && answer.1.contains(r#""status":"SHIPPED""#), "{answer:?}");
    assert!(!place.running("store").contains(&store));

    local.interrupt().unwrap();
    let status = local.ended(SOON * 2).await.unwrap();
    assert!(status.success(), "{status}: {}", local.log());
    place.nothing_is_left().await;

    local.start_again().unwrap();
    kit::until("it is open again", SOON * 2, async || {
        let times = local.log().matches(OPEN).count();
        if times == 2 { Ok(()) } else { Err(local.log()) }
    })
    .await;
    assert_eq!(alice.get(&path).await.expect(200)["id"], order["id"]);
    assert_eq!(place.secrets(), secrets);

    // However it ends, it takes everything with it.
    local.kill().unwrap();
    place.nothing_is_left().await;
}

/// Ctrl-C at a terminal, whatever the script is at: it ends, takes everything with it, and what it had not finished making is made the next time.
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_is_heard_at_any_time() {
    let place = Place::new();
    for (file, text) in [
        ("store-db.log", "creating"),
        ("store-db.log", "ready to accept connections"),
        ("warehouse-alpha-db.log", "ready to accept connections"),
        ("store.log", "the database is ready"),
    ] {
        interrupt_when(&place, file, text, Duration::ZERO).await;
    }
    let mut local = place.up().await;
    local.terminate().unwrap();
    assert!(local.ended(SOON * 2).await.unwrap().success());
    place.nothing_is_left().await;

    // Between making a server and making its database, when other programs have the terminal.
    let mut random = Random(seed());
    for _ in 0..3 {
        let after = Duration::from_millis(random.below(200) as u64);
        let place = Place::new();
        interrupt_when(&place, "store-db.log", "ready to accept connections", after).await;
        assert!(place.log("store.log").is_empty(), "it went on, {after:?} after the first database was ready");
    }
}

/// Starts it at a terminal, and presses Ctrl-C so long after a log says something once more.
async fn interrupt_when(place: &Place, file: &str, text: &str, after: Duration) {
    let before = place.log(file).matches(text).count();
    let mut terminal = tokio::process::Command::new("script");
    terminal.args(["-qefc", &repository("traefik/up-local").display().to_string(), "/dev/null"]);
    terminal.envs(place.environment()).stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true);
    let mut terminal = terminal.spawn().unwrap();
    kit::until(&format!("{file} says {text:?}"), SOON, async || {
        let log = place.log(file);
        if log.matches(text).count() > before { Ok(()) } else { Err(log) }
    })
    .await;
    tokio::time::sleep(after).await;
    terminal.stdin.as_mut().unwrap().write_all(b"\x03").await.unwrap();
    let ended = tokio::time::timeout(SOON, terminal.wait()).await;
    ended.unwrap_or_else(|_| panic!("Ctrl-C was not heard {after:?} after {file} said {text:?}")).unwrap();
    place.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind(place.ports[0].address()).unwrap();
    let spec = Spec::new("up-local", repository("traefik/up-local"), place.data.path());
    let spec = place.environment().into_iter().fold(spec, |spec, (name, value)| spec.env(name, value));
    let mut process = spec.spawn().unwrap();
    assert_eq!(process.ended(Duration::from_secs(20)).await.unwrap().code(), Some(1));
    assert!(process.log().contains("set WEB_PORT to another"), "{}", process.log());
    drop(taken);
}
