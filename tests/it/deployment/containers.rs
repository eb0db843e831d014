//! compose.yml on a Docker engine, with the images that `make test-docker` has built: what only Docker shows. Addresses and names of containers
//! that stop and start, networks that keep databases apart, file systems to which nobody writes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::compose::with_gamma;
use super::project::{Project, SERVICES, said};
use super::restarts::Load;
use super::tls::curl;
use super::traefik::HOST;
use super::{repository, target};
use crate::harness::client::SECRET;
use crate::harness::*;

/// The image of the databases, for what is run beside a container: it has a shell.
const TOOLS: &str = "postgres:16-bookworm";

/// Which of some addresses take connections to PostgreSQL from where a container is.
async fn reached(container: &Value, addresses: &[&str]) -> BTreeSet<String> {
    let network = format!("container:{}", container["Id"].as_str().unwrap());
    let script = r#"for address; do pg_isready --quiet --host="$address" --timeout=2 && echo "$address"; done; true"#;
    let line = ["run", "--rm", "--network", &network, "--entrypoint", "bash", TOOLS, "-c", script, "-"];
    said(&[&line, addresses].concat()).await.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_keeps_its_walls_stops_well_and_keeps_its_data() {
    let project = Project::new(None, &[]);
    project.up(2).await;
    for (path, name) in [
        ("/store/health", "store"),
        ("/warehouses/alpha/info", "warehouse-alpha"),
        ("/warehouses/beta/info", "warehouse-beta"),
    ] {
        let answer = project.client("").get(path).await;
        assert!(answer.expect(200).to_string().contains(name), "{path}");
    }
    let order = project.order().await;
    assert_eq!(order["status"], "SHIPPED");

    let containers = project.containers().await;
    let names: BTreeSet<_> = containers.keys().map(String::as_str).collect();
    let databases: BTreeMap<_, _> =
        SERVICES.map(|service| (service, format!("{}-db", service.trim_end_matches("-api")))).into();
    assert_eq!(names, SERVICES.into_iter().chain(databases.values().map(String::as_str)).chain(["traefik"]).collect());
    for (name, container) in &containers {
        let host = &container["HostConfig"];
        assert_eq!(container["State"]["Health"]["Status"], "healthy", "{name}");
        assert_eq!(host["RestartPolicy"]["Name"], "unless-stopped", "{name}");
        assert!(host["Memory"].as_u64() > Some(0) && host["PidsLimit"].as_u64() > Some(0), "{name} has no limit");
        if !name.ends_with("-db") {
            assert_eq!((&host["ReadonlyRootfs"], &host["CapDrop"]), (&json!(true), &json!(["ALL"])), "{name}");
        }
        if SERVICES.contains(&name.as_str()) {
            assert_eq!(container["Config"]["User"], "65532:65532", "{name}");
            assert_eq!(container["Mounts"], json!([]), "{name} has somewhere to write");
        }
        // Open to other machines: Traefik's port alone.
        for (port, places) in host["PortBindings"].as_object().unwrap() {
            let open = places[0]["HostIp"] != "127.0.0.1";
            assert_eq!(open, name == "traefik" && port == "80/tcp", "{name} {port}");
        }
    }

    // Whoever knows an address gets there only from the service whose database it is.
    let address = |database: &str| {
        let networks = containers[database]["NetworkSettings"]["Networks"].as_object().unwrap();
        assert_eq!(networks.len(), 1, "{database}");
        networks.values().next().unwrap()["IPAddress"].as_str().unwrap().to_owned()
    };
    let addresses: Vec<String> = databases.values().map(|database| address(database)).collect();
    let targets: Vec<&str> =
        databases.values().map(String::as_str).chain(addresses.iter().map(String::as_str)).collect();
    for name in SERVICES.into_iter().chain(["traefik"]) {
        let own = databases.get(name).map(|database| [database.clone(), address(database)]);
        let own: BTreeSet<_> = own.into_iter().flatten().collect();
        assert_eq!(reached(&containers[name], &targets).await, own, "from {name}");
    }

    let logs = project.compose(&["logs", "--no-color"]).await;
    assert!(logs.contains("store-api") && !logs.contains(SECRET) && !logs.contains("secret-of-"));

    // The migrations are in the image, told where the database is.
    let state = project.compose(&["exec", "--no-TTY", "store-api", "migrate", "store", "status"]).await;
    assert!(state.contains("applied") && !state.contains("pending"), "{state}");

    project.compose(&["stop"]).await;
    for (name, container) in project.containers().await {
        assert_eq!(
            (&container["State"]["ExitCode"], &container["State"]["OOMKilled"]),
            (&json!(0), &json!(false)),
            "{name}"
        );
    }
    project.compose(&["down"]).await;
    project.up(2).await;
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    assert_eq!(project.alice().get(&path).await.expect(200)["status"], "SHIPPED");
    project.invariants_hold(&[serde_json::from_value(order["id"].clone()).unwrap()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_and_crashes_of_the_store_under_load_fail_nobody() {
    let project = Project::new(None, &[]);
    project.up(2).await;
    let books = project.client("/store").get("/books?limit=5").await.expect(200);
    let books: Vec<Book> = books.as_array().unwrap().iter().map(Book::of).collect();
    for (name, prefix) in [("alpha", "/warehouses/alpha"), ("beta", "/warehouses/beta")] {
        let staff = project.client(prefix).who_is(&format!("staff@warehouse-{name}.com"), "staff123");
        for book in &books {
            staff.patch(&format!("/inventory/{}", book.id), json!({ "quantity": 100_000 })).await.expect(200);
        }
    }
    let admin = project.client("/store").who_is("admin@bookstore.com", "admin123");
    admin.post("/inventory/reconcile", json!({})).await.expect(200);

    let http = reqwest::Client::builder().no_proxy().timeout(SOON * 2);
    let http = http.resolve(HOST, project.ports["HTTP_PORT"].address()).build().unwrap();
    let load = Load::start(&http, &project.url("/store"), &books);
    for _ in 0..10 {
        load.goes_on().await;
        project.compose(&["restart", "store-api"]).await;
    }
    load.goes_on().await;
    let restarts = load.stop().await;
    let load = Load::start(&http, &project.url("/store"), &books);
    for _ in 0..3 {
        load.goes_on().await;
        let store = &project.containers().await["store-api"];
        // From outside its namespace, where nobody is safe from it. Docker starts it again.
        let kill = format!("kill -9 {}", store["State"]["Pid"]);
        let line = ["run", "--rm", "--pid", "host", "--privileged", "--entrypoint", "bash", TOOLS, "-c"];
        said(&[&line[..], &[&kill]].concat()).await;
    }
    load.goes_on().await;
    let crashes = load.stop().await;
    println!("a container's ten restarts: {restarts}\nits three crashes: {crashes}");
    assert_eq!(project.containers().await["store-api"]["RestartCount"], 3);
    let counts = restarts.add(crashes);
    let orders = Sql::open(&project.database("STORE")).await.unwrap().number("SELECT count(*) FROM orders").await;
    counts.are_well(orders.unwrap());
    project.invariants_hold(&counts.told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_warehouse_may_lose_its_database_and_the_other_sells_on() {
    let project = Project::new(None, &[]);
    project.up(2).await;
    let admin = project.client("/store").who_is("admin@bookstore.com", "admin123");
    let alpha_is = async |wanted: &str| {
        kit::until(&format!("alpha is {wanted}"), SOON * 3, async || {
            let all = admin.get("/warehouses").await.expect(200);
            let alpha = all.as_array().unwrap().iter().find(|warehouse| warehouse["name"] == "warehouse-alpha");
            let status = alpha.unwrap()["status"].clone();
            if status == wanted { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    };
    project.compose(&["stop", "warehouse-alpha-db"]).await;
    alpha_is("OFFLINE").await;
    let order = project.order().await;
    assert_eq!((&order["status"], &order["fulfillmentWarehouse"]), (&json!("SHIPPED"), &json!("warehouse-beta")));
    project.compose(&["start", "warehouse-alpha-db"]).await;
    alpha_is("HEALTHY").await;
    let crashes = project.containers().await["warehouse-alpha"]["RestartCount"].clone();
    assert_eq!(crashes, 0, "it waited for its database");
    project.invariants_hold(&[serde_json::from_value(order["id"].clone()).unwrap()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_a_container_that_is_gone_is_told_so_in_time() {
    let project = Project::new(None, &[]);
    project.up(2).await;
    project.compose(&["stop", "warehouse-beta"]).await;
    // Its name is gone, too; whatever name servers this machine has, nobody waits for them.
    let beta = project.client("/warehouses/beta");
    let calls = (0..50).map(|_| async {
        let began = Instant::now();
        (beta.get("/info").await.code(), began.elapsed())
    });
    for (code, took) in futures_util::future::join_all(calls).await {
        assert!(code == 502 && took < Duration::from_secs(15), "{code} after {took:?}");
    }
    kit::until("nobody waits for it any more", SOON, async || {
        let began = Instant::now();
        let code = beta.get("/info").await.code();
        if code == 503 && began.elapsed() < Duration::from_secs(1) { Ok(()) } else { Err(code.to_string()) }
    })
    .await;
    assert_eq!(project.order().await["fulfillmentWarehouse"], "warehouse-alpha");
    project.compose(&["start", "warehouse-beta"]).await;
    kit::until("it is called again", SOON, async || match beta.get("/info").await.code() {
        200 => Ok(()),
        code => Err(code.to_string()),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn traefik_without_its_middlewares_is_not_healthy() {
    let project = Project::new(None, &[]);
    let line = project.line(&["up", "--detach", "--no-build", "--wait", "traefik"]);
    let wrong = tokio::process::Command::new("docker").args(&line).env("RATE_LIMIT_PER_SECOND", "many").output().await;
    assert!(!wrong.unwrap().status.success());
    said(&line).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_warehouse_is_one_block_more() {
    let project = Project::new(Some(&with_gamma()), &[]);
    project.up(3).await;
    let gamma = project.client("/warehouses/gamma").get("/info").await;
    assert!(gamma.expect(200).to_string().contains("warehouse-gamma"));
    let admin = project.client("/store").who_is("admin@bookstore.com", "admin123");
    for name in ["warehouse-alpha", "warehouse-beta"] {
        admin.patch(&format!("/warehouses/{name}"), json!({ "enabled": false })).await.expect(200);
    }
    assert_eq!(project.order().await["fulfillmentWarehouse"], "warehouse-gamma");
}

#[tokio::test(flavor = "multi_thread")]
async fn https_has_the_certificate_and_everybody_is_led_to_it() {
    let certificates = tempfile::tempdir_in(target()).unwrap();
    let made =
        std::process::Command::new(repository("traefik/certificate")).env("FOLDER", certificates.path()).output();
    assert!(made.unwrap().status.success());
    let mount = json!({ "services": { "traefik": { "volumes": [{
        "type": "bind", "source": certificates.path(), "target": "/etc/traefik/certificates", "read_only": true
    }] } } });
    let here = certificates.path().join("mount.yml");
    std::fs::write(&here, mount.to_string()).unwrap();
    let project = Project::new(None, &[repository("traefik/compose.tls.yml"), here]);
    project.compose(&["up", "--detach", "--no-build", "--wait"]).await;

    let authority = certificates.path().join("authority.crt").display().to_string();
    let (http, https) = (project.ports["HTTP_PORT"].number(), project.ports["HTTPS_PORT"].number());
    let secure = format!("https://{HOST}:{https}/store/health");
    let answer = curl(http, https, &["--cacert", &authority, &secure]);
    assert_eq!(String::from_utf8_lossy(&answer.stdout), r#"{"status":"ok","service":"store"}"#, "{answer:?}");
    let led =
        curl(http, https, &["-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", &project.url("/store/health")]);
    assert_eq!(String::from_utf8_lossy(&led.stdout), format!("301 {secure}"), "{led:?}");
}
