//! The image, by the steps of its Dockerfile (`.ci/image`, which `make test` runs): what it adds, how it is started, and that it needs to
//! write nothing. Each container is a sandbox whose file system is this machine's C library and the image's files, all read-only.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use kit::process::Spec;
use kit::{Database, Port, Process};
use rustix::process::geteuid;

use super::{read, target};
use crate::harness::client::SECRET;
use crate::harness::*;

/// How an image is started, as `.ci/image` read it from the Dockerfile.
fn settings(image: &str) -> Value {
    let file = target().join(format!("image/{image}.json"));
    let text = std::fs::read_to_string(&file);
    serde_json::from_str(&text.unwrap_or_else(|_| panic!("{} is missing: run `PROFILE=dev .ci/image`", file.display())))
        .unwrap()
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// A container that is yet to run something.
struct Container {
    image: &'static str,
    port: Port,
    environment: BTreeMap<String, String>,
    _database: Database,
}

impl Container {
    async fn new(image: &'static str, more: &[(&str, &str)]) -> Self {
        let (port, database) = (Port::reserve().unwrap(), Database::create(image).await.unwrap());
        let url = reqwest::Url::parse(&database.url()).unwrap();
        // In parts, as compose.yml gives them.
        let given = [
            ("PORT", port.number().to_string()),
            ("LISTEN_ADDRESS", "127.0.0.1".to_owned()),
            ("DB_HOST", url.host_str().unwrap().to_owned()),
            ("DB_PORT", url.port().unwrap_or(5432).to_string()),
            ("DB_USERNAME", url.username().to_owned()),
            ("DB_PASSWORD", url.password().unwrap_or_default().to_owned()),
            ("DB_DATABASE", url.path().trim_start_matches('/').to_owned()),
            ("SERVICE_SECRET", SECRET.to_owned()),
            ("SEED_DEMO", "true".to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
            ("RUST_LOG", String::new()),
            ("BCRYPT_COST", "4".to_owned()),
        ];
        let given = given.iter().map(|(name, value)| (*name, &**value)).chain(more.iter().copied());
        let environment = given.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { image, port, environment, _database: database }
    }

    /// The command line that runs one in it.
    fn command(&self, command: &[String]) -> Vec<String> {
        let settings = settings(self.image);
        let (user, group) = settings["user"].as_str().unwrap().split_once(':').unwrap();
        let added = target().join("image").join(self.image).join("usr/local/bin").display().to_string();
        let workdir = settings["workdir"].as_str().unwrap();
        let mut line = Vec::new();
        if geteuid().is_root() {
            line.extend(["setpriv", "--reuid", user, "--regid", group, "--clear-groups"]);
        }
        line.extend([
            "bwrap",
            "--unshare-user",
            "--uid",
            user,
            "--gid",
            group,
            "--cap-drop",
            "ALL",
            "--die-with-parent",
        ]);
        for library in ["/lib", "/lib64", "/usr/lib", "/usr/lib64"] {
            line.extend(["--ro-bind-try", library, library]);
        }
        line.extend(["--ro-bind", &added, "/usr/local/bin", "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/"]);
        line.extend(["--chdir", workdir, "--clearenv", "--setenv", "PATH", "/usr/local/bin"]);
        for (name, value) in &self.environment {
            line.extend(["--setenv", name, value]);
        }
        line.push("--");
        line.into_iter().map(str::to_owned).chain(command.iter().cloned()).collect()
    }

    /// What `docker compose exec` would.
    fn exec(&self, command: &[&str]) -> Output {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let line = self.command(&command);
        Command::new(&line[0]).args(&line[1..]).output().unwrap_or_else(|error| panic!("{}: {error}", line[0]))
    }

    /// What its health check says.
    fn is_healthy(&self) -> Result<(), String> {
        let check = words(&settings(self.image)["healthcheck"]);
        let output = self.exec(&check.iter().map(String::as_str).collect::<Vec<_>>());
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }

    fn start(&self, folder: &std::path::Path) -> Process {
        let line = self.command(&words(&settings(self.image)["entrypoint"]));
        let spec = Spec::new(self.image, &line[0], folder);
        line[1..].iter().fold(spec, |spec, word| spec.arg(word)).spawn().unwrap()
    }

    fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }
}

/// The process that serves: `process`, or the one that the sandbox started for it.
fn inner(process: &Process) -> u32 {
    let mut id = process.id();
    while let Ok(children) = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")) {
        let Some(child) = children.split_whitespace().next() else { break };
        id = child.parse().unwrap();
    }
    id
}

/// What of its file system a process could write to.
fn writable(id: u32) -> Vec<String> {
    let mounts = std::fs::read_to_string(format!("/proc/{id}/mountinfo")).unwrap();
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let places = fields.filter(|fields| fields[5].split(',').any(|option| option == "rw"));
    places.map(|fields| fields[4].to_owned()).filter(|place| place != "/proc" && !place.starts_with("/dev")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_images_serve_as_somebody_who_can_write_nothing() {
    let store = Container::new("store", &[]).await;
    let unhealthy = store.is_healthy().unwrap_err();
    assert!(unhealthy.contains("cannot be asked"), "{unhealthy}");
    let warehouse_url = |port: &Port| format!("http://{}", port.address());
    let mut warehouse = Container::new("warehouse", &[("STORE_API_URL", &store.url())]).await;
    for (name, value) in
        [("WAREHOUSE_NAME", "warehouse-alpha".to_owned()), ("WAREHOUSE_URL", warehouse_url(&warehouse.port))]
    {
        warehouse.environment.insert(name.to_owned(), value);
    }
    warehouse.environment.insert("REGISTRATION_RETRY_INTERVAL_SECONDS".to_owned(), "1".to_owned());

    let folder = tempfile::tempdir().unwrap();
    let (mut store_process, mut warehouse_process) = (store.start(folder.path()), warehouse.start(folder.path()));
    for (container, process) in [(&store, &mut store_process), (&warehouse, &mut warehouse_process)] {
        kit::until("it is healthy", SOON, async || {
            assert!(process.is_running(), "{}", process.log());
            container.is_healthy()
        })
        .await;
        let id = inner(process);
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let of = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        assert_ne!(of("Uid:").split_whitespace().next(), Some("0"));
        assert_eq!(of("CapEff:").trim_start_matches('0'), "", "it has a capability");
        assert_eq!(writable(id), Vec::<String>::new());

        let migrations = container.exec(&["migrate", container.image, "status"]);
        let said = String::from_utf8_lossy(&migrations.stdout);
        assert!(said.contains("applied") && !said.contains("pending"), "{migrations:?}");
        let down = container.exec(&["migrate", container.image, "down"]);
        assert!(!down.status.success() && String::from_utf8_lossy(&down.stderr).contains("stop it first"), "{down:?}");
        let version = container.exec(&[container.image, "--version"]);
        assert!(String::from_utf8_lossy(&version.stdout).starts_with(container.image), "{version:?}");
    }

    let book = "0175bdea-725b-5e58-b14d-0dd9e2a720f4";
    let anyone = Client::new(&store.url());
    kit::until("there is stock", SOON, async || {
        let known = anyone.get(&format!("/inventory/books/{book}")).await;
        if known.text.contains("warehouse-alpha") { Ok(()) } else { Err(known.text) }
    })
    .await;
    let alice = anyone.who_is("alice@customer.com", "alice123");
    let placed = alice.post("/orders", json!({ "items": [{ "bookId": book, "quantity": 1 }] })).await;
    assert_eq!(placed.expect(201)["status"], "SHIPPED");

    // A stop finishes what has been begun, here a body that is still on its way.
    assert_eq!(settings("store")["stopsignal"], "SIGTERM");
    for (container, process) in [(&store, &mut store_process), (&warehouse, &mut warehouse_process)] {
        let slow = slow_login(container.port.address()).await;
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(inner(process) as i32).unwrap(),
            rustix::process::Signal::TERM,
        )
        .unwrap();
        process.printed("\"stopping\"", SOON).await.unwrap();
        let answer = finish(slow).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        let status = process.ended(SOON).await.unwrap();
        assert!(status.success(), "{status}: {}", process.log());
        assert!(process.log().lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{}", process.log());
    }
}

/// What keeps a service from starting is in its log, as JSON like the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_logged() {
    let (store, folder) = (Container::new("store", &[]).await, tempfile::tempdir().unwrap());
    let _taken = std::net::TcpListener::bind(store.port.address()).unwrap();
    let mut process = store.start(folder.path());
    assert!(!process.ended(SOON).await.unwrap().success());
    let last: Value = serde_json::from_str(process.log().lines().last().unwrap()).unwrap();
    let message = last["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("cannot serve: cannot listen on {}", store.port.address())), "{message}");
}

const LOGIN: &str = r#"{"email":"nobody@example.com","password":"a wrong one"}"#;

/// A request of which half the body has been sent.
async fn slow_login(address: std::net::SocketAddr) -> tokio::net::TcpStream {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = "POST /auth/login HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n";
    let head = format!("{head}Content-Length: {}\r\n\r\n", LOGIN.len());
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
    // It asks for the body: so it has begun.
    let mut go_on = [0; 25];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut go_on).await.unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100 Continue"));
    stream
}

async fn finish(mut stream: tokio::net::TcpStream) -> String {
    tokio::io::AsyncWriteExt::write_all(&mut stream, LOGIN.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.unwrap();
    answer
}

/// What the build is given holds no secret, nothing that was built, and no history.
#[test]
fn the_build_is_given_sources_only() {
    let patterns = read(".dockerignore");
    for wanted in ["**/.env", "**/.env.*", ".git", "data", "target", "traefik"] {
        assert!(patterns.lines().any(|line| line == wanted), "{wanted} is not left out");
    }
    let given = target().join("image/build/build");
    let given: Vec<_> = std::fs::read_dir(&given)
        .unwrap_or_else(|error| panic!("{}: {error}: run `PROFILE=dev .ci/image`", given.display()))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(given.iter().any(|name| name == "Cargo.lock"), "{given:?}");
    let too_much = [".git", ".env", ".env.example", "data", "traefik", "compose.yml", "README.md"];
    assert!(given.iter().all(|name| !too_much.contains(&&**name)), "{given:?}");
    assert!(
        std::fs::symlink_metadata(target().join("image/build/build/target")).unwrap().is_symlink(),
        "kept beside it"
    );
}

#[test]
fn an_image_adds_its_service_and_the_migrations_and_runs_as_nobody() {
    for image in ["store", "warehouse"] {
        let folder = target().join("image").join(image);
        let mut files = Vec::new();
        let mut folders = vec![folder.clone()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())) {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path)
                } else {
                    files.push(path.strip_prefix(&folder).unwrap().to_owned())
                }
            }
        }
        files.sort();
        assert_eq!(files, ["migrate", image].map(|name| std::path::Path::new("usr/local/bin").join(name)));
        let settings = settings(image);
        assert_eq!(settings["user"], "65532:65532");
        let program = format!("/usr/local/bin/{image}");
        assert_eq!(
            (&settings["entrypoint"], &settings["healthcheck"]),
            (&json!([program]), &json!([program, "health"]))
        );
        assert!(read("compose.yml").contains(&format!("target: {image}\n")));
    }
}
