//! `make up-local`: everything in processes, behind Traefik, by one script; what is killed comes back, and nothing outlives it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kit::process::{Spec, built};
use kit::{Port, Process};

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

struct Local {
    process: Process,
    ports: Vec<Port>,
    data: tempfile::TempDir,
}

impl Local {
    async fn up() -> Self {
        use std::os::unix::fs::PermissionsExt;
        // Whoever PostgreSQL runs as must get to its folder.
        let data = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap();
        let ports: Vec<Port> = PORTS.iter().map(|_| Port::reserve().unwrap()).collect();
        let programs = built("store", env!("CARGO_BIN_EXE_bookstore"), "make test").unwrap();
        let mut spec = Spec::new("up-local", repository("traefik/up-local"), data.path())
            .env("LOCAL_DATA", data.path().join("local").display())
            .env("PROGRAMS", programs.parent().unwrap().display())
            .env("CARGO_TARGET_DIR", super::target().display());
        for (name, port) in PORTS.iter().zip(&ports) {
            spec = spec.env(*name, port.number());
        }
        let mut local = Self { process: spec.spawn().unwrap(), ports, data };
        local.process.printed(OPEN, SOON * 2).await.unwrap();
        local
    }

    fn client(&self, prefix: &str) -> Client {
        Client::through(&format!("http://{HOST}:{}{prefix}", self.ports[0].number()), HOST, self.ports[0].address())
    }

    /// The processes that have its folder or one of its programs' names and ports in their command line or environment.
    fn processes(&self) -> Vec<(u32, PathBuf)> {
        let ours = self.data.path().display().to_string();
        let entries =
            std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let belongs = |id: &u32| {
            let read = |file: &str| {
                String::from_utf8_lossy(&std::fs::read(format!("/proc/{id}/{file}")).unwrap_or_default()).into_owned()
            };
            let ports = format!("PORT={}", self.ports[3].number());
            read("cmdline").contains(&ours) || read("environ").contains(&ours) || read("environ").contains(&ports)
        };
        let program = |id: u32| Some((id, std::fs::read_link(format!("/proc/{id}/exe")).ok()?));
        entries.filter(|id| *id != std::process::id()).filter(belongs).filter_map(program).collect()
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
}

fn read_secrets(local: &Path) -> String {
    use std::os::unix::fs::PermissionsExt;
    let file = local.join("local/secrets");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0, "others can read the secrets");
    std::fs::read_to_string(file).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_comes_up_heals_stops_and_comes_up_again_with_its_data() {
    let mut local = Local::up().await;
    let greeting = local.process.log();
    for text in ["alice@customer.com", "/store/docs", "http://localhost:", "curl -su"] {
        assert!(greeting.contains(text), "{greeting}");
    }
    let secrets = read_secrets(local.data.path());
    let secret = secrets.lines().next().unwrap().split('=').nth(1).unwrap();
    assert!(secret.len() == 64 && !greeting.contains(secret));

    // The order that it tells people to place.
    let body = greeting.lines().find_map(|line| line.trim().strip_prefix("-d '")?.strip_suffix('\'')).unwrap();
    let alice = local.client("/store").who_is("alice@customer.com", "alice123");
    let order = alice.post("/orders", serde_json::from_str(body).unwrap()).await.expect(201);
    assert_eq!(order["status"], "SHIPPED");

    // A store that dies is started again, and Traefik bridges the time until then.
    let store = *local.running("store").first().expect("the store runs");
    rustix::process::kill_process(rustix::process::Pid::from_raw(store as i32).unwrap(), rustix::process::Signal::KILL)
        .unwrap();
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    local.process.printed("store has ended, and is started again", SOON).await.unwrap();
    assert_eq!(alice.get(&path).await.expect(200)["status"], "SHIPPED");
    assert!(!local.running("store").contains(&store));

    local.process.interrupt().unwrap();
    let status = local.process.ended(SOON * 2).await.unwrap();
    assert!(status.success(), "{status}: {}", local.process.log());
    local.nothing_is_left().await;

    local.process.start_again().unwrap();
    kit::until("it is open again", SOON * 2, async || {
        let times = local.process.log().matches(OPEN).count();
        if times == 2 { Ok(()) } else { Err(local.process.log()) }
    })
    .await;
    assert_eq!(alice.get(&path).await.expect(200)["id"], order["id"]);
    assert_eq!(read_secrets(local.data.path()), secrets);

    // However it ends, it takes everything with it.
    local.process.kill().unwrap();
    local.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let programs = built("store", env!("CARGO_BIN_EXE_bookstore"), "make test").unwrap();
    let spec = Spec::new("up-local", repository("traefik/up-local"), folder.path());
    let spec = spec
        .env("LOCAL_DATA", folder.path().join("local").display())
        .env("PROGRAMS", programs.parent().unwrap().display());
    let mut process = spec.env("WEB_PORT", taken.local_addr().unwrap().port()).spawn().unwrap();
    assert_eq!(process.ended(Duration::from_secs(20)).await.unwrap().code(), Some(1));
    assert!(process.log().contains("set WEB_PORT to another"), "{}", process.log());
}
