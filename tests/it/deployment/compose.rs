//! What compose.yml says: by the specification's schema, by Traefik itself, and by what the services know.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::docker::{Docker, Is};
use super::examples::example;
use super::{Traefik, read, repository, target};
use crate::harness::*;

/// Each service, with its database and what that is called.
const SERVICES: [(&str, &str, &str, &str, u16); 3] = [
    ("store-api", "store-db", "storeuser", "store_db", 5432),
    ("warehouse-alpha", "warehouse-alpha-db", "warehouseuser", "warehouse_alpha_db", 5433),
    ("warehouse-beta", "warehouse-beta-db", "warehouseuser", "warehouse_beta_db", 5434),
];
/// What must not be known to everybody.
const SECRETS: [&str; 4] =
    ["SERVICE_SECRET", "STORE_DB_PASSWORD", "WAREHOUSE_ALPHA_DB_PASSWORD", "WAREHOUSE_BETA_DB_PASSWORD"];

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn compose() -> Value {
    yaml(&read("compose.yml"))
}

/// compose.yml with its third warehouse.
pub(super) fn with_gamma() -> String {
    let mut taken = false;
    let text = read("compose.yml");
    let lines = text.lines().map(|line| {
        let bare =
            line.strip_prefix("  # ").filter(|bare| bare.starts_with("warehouse-gamma") || bare.starts_with("  "));
        taken |= bare.is_some();
        bare.map_or(line.to_owned(), |bare| format!("  {bare}"))
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    assert!(taken, "there is no block for a third warehouse");
    text
}

/// The variables of a text: what is given where they are not set. `:?` is none at all.
fn variables(text: &str) -> BTreeMap<String, Option<String>> {
    let mut found = BTreeMap::new();
    for piece in text.replace("$$", "").split("${").skip(1) {
        let inner = &piece[..piece.find('}').unwrap()];
        let name: String = inner.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let default = match &inner[name.len()..] {
            rest if rest.starts_with(":-") => Some(rest[2..].to_owned()),
            rest if rest.starts_with(":?") && rest.len() > 2 => None,
            rest => panic!("${{{name}{rest}}}: neither a default nor a message"),
        };
        let before = found.insert(name.clone(), default.clone());
        assert!(before.is_none_or(|before| before == default), "{name} has two defaults");
    }
    found
}

/// As Compose puts variables in; secrets are what `make up` makes.
fn interpolated(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let mut text = text.clone();
            while let Some(start) = text.replace("$$", "  ").find("${") {
                let end = start + text[start..].find('}').unwrap();
                let (name, default) = variables(&text[start..=end]).pop_first().unwrap();
                // Each another one, and none that would be found to be well-known.
                let secret = || format!("6f1c0a9de7b24458 {name}");
                text.replace_range(start..=end, &default.unwrap_or_else(secret));
            }
            Value::String(text.replace("$$", "$"))
        }
        Value::Array(values) => values.iter().map(interpolated).collect(),
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), interpolated(value))).collect(),
        other => other.clone(),
    }
}

fn names(value: &Value) -> BTreeSet<&str> {
    match value {
        Value::Array(values) => values.iter().map(|value| value.as_str().unwrap()).collect(),
        Value::Object(members) => members.keys().map(String::as_str).collect(),
        other => panic!("neither a list nor a mapping: {other}"),
    }
}

fn environment(service: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    service["environment"].as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

#[test]
fn it_is_valid_by_the_specification() {
    let folder = tempfile::tempdir().unwrap();
    let gamma = folder.path().join("compose.yml");
    std::fs::write(&gamma, with_gamma()).unwrap();
    let check = || {
        let program = target().join("tools/check-jsonschema/bin/check-jsonschema");
        assert!(
            program.exists(),
            "check-jsonschema is missing: run `.ci/need check_jsonschema`, which `make test` does"
        );
        let mut command = Command::new(program);
        command.args(["--builtin-schema", "vendor.compose-spec"]);
        command
    };
    let files = [repository("compose.yml"), repository("traefik/compose.tls.yml"), gamma.clone()];
    let output = check().args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    // What is wrong is seen.
    std::fs::write(&gamma, read("compose.yml").replace("stop_grace_period", "stop_grace_time")).unwrap();
    assert!(!check().arg(gamma).status().unwrap().success());
}

#[test]
fn each_service_has_the_database_that_it_is_told_of_to_itself() {
    let compose = interpolated(&compose());
    let services = &compose["services"];
    let expected = SERVICES.iter().flat_map(|(service, database, ..)| [*service, *database]).chain(["traefik"]);
    assert_eq!(names(services), expected.collect());
    for (name, database_name, user, database, port) in SERVICES {
        let (service, server) = (&services[name], &services[database_name]);
        let (told, made) = (environment(service), environment(server));
        assert!(server["image"].as_str().unwrap().starts_with("postgres:16"));
        assert_eq!((&*made["POSTGRES_USER"], &*made["POSTGRES_DB"]), (user, database));
        assert_eq!((&*told["DB_HOST"], &*told["DB_USERNAME"], &*told["DB_DATABASE"]), (database_name, user, database));
        assert_eq!(told["DB_PASSWORD"], made["POSTGRES_PASSWORD"], "{name}");
        assert_eq!(server["ports"], json!([format!("127.0.0.1:{port}:5432")]), "on the loopback interface");
        let data = format!("{database_name}:/var/lib/postgresql/data");
        assert_eq!(server["volumes"], json!([data]));
        assert!(compose["volumes"].as_object().unwrap().contains_key(database_name));
        assert_eq!(service["depends_on"][database_name]["condition"], "service_healthy");

        // Nobody else is on the database's network, and it is on no other.
        assert_eq!(names(&server["networks"]), BTreeSet::from([database_name]));
        let all = services.as_object().unwrap();
        let there = all.iter().filter(|(_, service)| names(&service["networks"]).contains(database_name));
        assert_eq!(there.map(|(name, _)| &**name).collect::<BTreeSet<_>>(), BTreeSet::from([name, database_name]));
        assert!(service["ports"].is_null(), "{name} is reached through Traefik");
    }
}

#[test]
fn whatever_runs_is_watched_restarted_and_bounded() {
    let compose = interpolated(&compose());
    for (name, service) in compose["services"].as_object().unwrap() {
        assert_eq!(service["restart"], "unless-stopped", "{name}");
        let limits = &service["deploy"]["resources"]["limits"];
        assert!(["cpus", "memory", "pids"].iter().all(|limit| !limits[limit].is_null()), "{name}: {limits}");
        assert!(!service["stop_grace_period"].is_null() && !service["logging"].is_null(), "{name}");
        let is_ours = !service["build"].is_null();
        // Ours have theirs in the image, where image.rs looks at it.
        assert!(is_ours || !service["healthcheck"]["test"].is_null(), "{name}");
        assert!(is_ours || service["image"].as_str().unwrap().contains(':'), "{name} is of any version");
        if is_ours {
            let seconds = service["stop_grace_period"].as_str().unwrap().trim_end_matches('s').parse::<u64>().unwrap();
            assert!(seconds > config_of(name, service).drain().as_secs(), "{name} would be killed while it finishes");
            assert_eq!((&service["read_only"], &service["cap_drop"]), (&json!(true), &json!(["ALL"])), "{name}");
        }
    }
    // Two services that were built in parallel could not be exported as one image.
    let images = compose["services"].as_object().unwrap().values();
    let shared = images.filter(|service| !service["build"].is_null() && !service["image"].is_null()).count();
    assert_eq!(shared, 0, "what is built has a name of its own, which Compose gives it");
    let traefik = &compose["services"]["traefik"];
    assert_eq!(traefik["ports"], json!(["80:80", "127.0.0.1:8080:8080"]));
}

/// The configuration that a service has in its container, which is none if any of it is wrong.
fn config_of(name: &str, service: &Value) -> service::config::Base {
    let own = if name == "store-api" { store::config::DEFAULTS } else { warehouse::config::DEFAULTS };
    let defaults = service::config::Source::defaults(&[service::config::BASE, own]).unwrap();
    let variables = environment(service).into_iter().map(|(name, value)| (name.into(), value.into()));
    let source = defaults.with_environment(variables).unwrap();
    if name == "store-api" {
        store::config::Config::from_source(&source).unwrap().base
    } else {
        warehouse::config::Config::from_source(&source).unwrap().base
    }
}

#[test]
fn the_services_know_every_key_that_they_are_given() {
    let compose = interpolated(&yaml(&with_gamma()));
    for (name, service) in
        compose["services"].as_object().unwrap().iter().filter(|(_, service)| !service["build"].is_null())
    {
        let file = if name == "store-api" { "store/.env.example" } else { "warehouse/.env.example" };
        let known = example(file);
        let unknown: Vec<_> = environment(service).into_keys().filter(|key| !known.contains_key(key)).collect();
        assert!(unknown.is_empty(), "{name}: nothing reads {unknown:?}");
        let env_file = file.trim_end_matches(".example");
        assert_eq!(service["env_file"], json!([{ "path": env_file, "required": false }]));

        let base = config_of(name, service);
        let url = base.database_url().unwrap();
        assert!(url.expose().contains(&format!("@{}:5432/", environment(service)["DB_HOST"])), "{url}");
        assert_eq!(base.listen().to_string(), "0.0.0.0:3000");
        let traefik = &compose["services"]["traefik"]["networks"]["edge"]["ipv4_address"];
        assert_eq!(base.trusted_proxies()[0].addr().to_string(), traefik.as_str().unwrap());
        // An address on the network that nobody else is given.
        let edge = &compose["networks"]["edge"]["ipam"]["config"][0];
        let is_in = |network: &Value| {
            let network = service::routes::client::networks(network.as_str().unwrap()).unwrap()[0];
            network.contains(&base.trusted_proxies()[0].addr())
        };
        assert!(is_in(&edge["subnet"]) && !is_in(&edge["ip_range"]), "{edge}");
        // Nor in what Docker gives to the other networks, where it would sooner or later be taken.
        assert!(["172.16.0.0/12", "192.168.0.0/16"].iter().all(|pool| !is_in(&json!(pool))), "{edge}");
        assert_eq!(
            service["labels"]
                [format!("traefik.http.services.{}.loadbalancer.server.url", name.trim_end_matches("-api"))],
            format!("http://{name}:3000")
        );
    }
}

#[test]
fn no_secret_has_a_default_and_the_example_has_every_variable() {
    let texts = [read("compose.yml"), read("traefik/compose.tls.yml")].concat();
    let variables = variables(&texts);
    let needed: BTreeSet<_> =
        variables.iter().filter(|(_, default)| default.is_none()).map(|(name, _)| &**name).collect();
    let gamma = "WAREHOUSE_GAMMA_DB_PASSWORD";
    assert_eq!(needed, SECRETS.into_iter().chain([gamma]).collect());
    for (name, service) in compose()["services"].as_object().unwrap() {
        for (key, value) in
            environment(service).iter().filter(|(key, _)| key.contains("PASSWORD") || key.contains("SECRET"))
        {
            assert!(value.starts_with("${"), "{name}: {key} is written down");
        }
    }

    let example = example(".env.example");
    let documented: BTreeSet<_> = example.keys().map(String::as_str).filter(|key| *key != "COMPOSE_FILE").collect();
    assert_eq!(documented, variables.keys().map(String::as_str).collect());
    for (name, default) in &variables {
        let entry = &example[name];
        assert_eq!(entry.value, default.clone().unwrap_or_default(), "{name}");
        assert_eq!(entry.commented, !SECRETS.contains(&&**name), "{name}");
    }
    for file in example["COMPOSE_FILE"].value.split(':') {
        assert!(repository(file).exists(), "{file}");
    }
}

/// What the templates of Traefik's routes ask the environment for is given to its container.
#[test]
fn traefik_is_given_what_its_templates_read() {
    let mut given: BTreeSet<String> = environment(&compose()["services"]["traefik"]).into_keys().collect();
    given.extend(environment(&yaml(&read("traefik/compose.tls.yml"))["services"]["traefik"]).into_keys());
    let mut asked = BTreeSet::new();
    for file in ["middlewares", "tls"] {
        let text = read(&format!("traefik/dynamic/common/{file}.yml"));
        for piece in text.split("env \"").skip(1) {
            asked.insert(piece[..piece.find('"').unwrap()].to_owned());
        }
    }
    assert_eq!(asked, given);
}

/// The labels of each service that has some.
fn labels(compose: &Value) -> BTreeMap<String, Value> {
    let services = compose["services"].as_object().unwrap().iter();
    let labelled = services.filter(|(_, service)| !service["labels"].is_null());
    labelled.map(|(name, service)| (name.clone(), service["labels"].clone())).collect()
}

/// The routers, middlewares and services that Traefik has understood, by name, without which provider they are from.
fn understood(raw: &Value, provider: &str) -> Value {
    let mut all = BTreeMap::new();
    for kind in ["routers", "middlewares", "services"] {
        for (name, value) in raw[kind].as_object().unwrap() {
            let Some(bare) = name.strip_suffix(&format!("@{provider}")) else { continue };
            let text = value.to_string().replace("@docker", "").replace("@file", "");
            let mut value: Value = serde_json::from_str(&text).unwrap();
            assert!(
                value["error"].is_null() && (value["status"].is_null() || value["status"] == "enabled"),
                "{name}: {value}"
            );
            // Where it is, and which routers use it.
            for place in ["usedBy", "serverStatus"] {
                value.as_object_mut().unwrap().remove(place);
            }
            if let Some(servers) = value.pointer_mut("/loadBalancer/servers") {
                assert_eq!(servers.as_array().unwrap().len(), 1, "{name}");
                *servers = json!("one");
            }
            all.insert(format!("{kind} {bare}"), value);
        }
    }
    json!(all)
}

/// Traefik reads the labels by its own Docker provider, and the file by the other one: it understands the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_labels_and_the_file_are_the_same_routes_to_traefik() {
    let docker = Docker::start(&labels(&interpolated(&compose()))).await;
    let by_labels = Traefik::as_in_compose(&docker, "INFO").await;
    by_labels.has_routes("docker", 3).await;
    let nowhere = "http://127.0.0.1:9";
    let urls = [("STORE_URL", nowhere), ("WAREHOUSE_ALPHA_URL", nowhere), ("WAREHOUSE_BETA_URL", nowhere)];
    let by_file = Traefik::start(&urls).await;
    by_file.has_routes("file", 3).await;

    let labelled = by_labels.raw().await;
    let mut expected = understood(&labelled, "file");
    expected.as_object_mut().unwrap().extend(understood(&labelled, "docker").as_object().unwrap().clone());
    let filed = understood(&by_file.raw().await, "file");
    // In containers there is a second entry point, which the TLS variant publishes.
    let on_web = |all: &Value| -> BTreeMap<String, Value> {
        let all = all.as_object().unwrap().iter().filter(|(name, _)| !name.contains("websecure-"));
        all.map(|(name, value)| (name.replace("routers web-", "routers "), value.clone())).collect()
    };
    assert_eq!(on_web(&expected), on_web(&filed));
    assert!(on_web(&filed).len() > 10, "{filed:#}");

    // What proxy-local says of the entry points is what traefik.yml says.
    let (theirs, ours) = (by_labels.entry_point("web").await, by_file.entry_point("web").await);
    assert_eq!(theirs, ours);
    assert_eq!(theirs["http"]["aliasHeadersStrategy"], "delete", "{theirs}");
}

/// A container that is being restarted keeps its route, at the name by which it will be there again; one that is not ready yet answers itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_route_outlasts_the_restart_of_its_container() {
    let docker = Docker::start(&labels(&interpolated(&compose()))).await;
    let mut traefik = Traefik::as_in_compose(&docker, "DEBUG").await;
    traefik.has_routes("docker", 3).await;
    let routes = async |traefik: &Traefik| {
        let raw = traefik.raw().await;
        (raw["routers"].clone(), raw["services"]["store@docker"]["loadBalancer"]["servers"].clone())
    };
    let before = routes(&traefik).await;
    assert_eq!(before.1, json!([{ "url": "http://store-api:3000" }]));
    // Beta goes with each change of the store's: that Traefik has taken the change is seen by it.
    for (is, beta) in [(Is::Exited, 2), (Is::Starting, 3), (Is::Unhealthy, 2), (Is::Healthy, 3)] {
        docker.set("store-api", is);
        docker.remove("warehouse-beta", beta == 2);
        traefik.has_routes("docker", beta).await;
        let now = routes(&traefik).await;
        assert_eq!(now.1, before.1, "{is:?}");
        let store =
            |routers: &Value| routers.as_object().unwrap().keys().filter(|name| name.contains("store@")).count();
        assert_eq!(store(&now.0), store(&before.0), "{is:?}");
    }

    // Docker knows no address of a container that does not run. Traefik tries again then, too.
    let http = traefik.http().get(traefik.url("/store/health")).timeout(SOON);
    let asked = tokio::spawn(http.send());
    traefik.process.printed("New attempt 3 for request", SOON).await.unwrap();
    asked.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_warehouse_is_one_block() {
    let compose = interpolated(&yaml(&with_gamma()));
    let docker = Docker::start(&labels(&compose)).await;
    let traefik = Traefik::as_in_compose(&docker, "INFO").await;
    traefik.has_routes("docker", 4).await;
    let gamma = &traefik.raw().await["services"]["warehouse-gamma@docker"]["loadBalancer"]["servers"];
    assert_eq!(gamma, &json!([{ "url": "http://warehouse-gamma:3000" }]));
    let database = "warehouse-gamma-db";
    for kind in ["networks", "volumes"] {
        assert!(compose[kind].as_object().unwrap().contains_key(database), "{kind}");
    }
    assert_eq!(compose["services"]["warehouse-gamma"]["depends_on"][database]["condition"], "service_healthy");
}
