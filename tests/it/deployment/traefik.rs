//! The real Traefik, started as `make up-local` starts it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use kit::process::Spec;
use kit::{Port, Process};
use reqwest::redirect::Policy;
use tempfile::TempDir;

use super::docker::Docker;
use super::{read, repository};
use crate::harness::*;

/// The host of the routes.
pub const HOST: &str = "api.localhost";

pub struct Traefik {
    pub process: Process,
    web: Port,
    pub https: Port,
    dashboard: Port,
    _folder: TempDir,
}

impl Traefik {
    /// In front of a shop, with its routes.
    pub async fn before(shop: &Shop) -> Self {
        Self::before_as(shop, &[]).await
    }

    /// The same with other settings.
    pub async fn before_as(shop: &Shop, settings: &[(&str, &str)]) -> Self {
        let [store, alpha, beta] = [&shop.store, &shop.alpha.service, &shop.beta.service]
            .map(|service| format!("http://{}", service.address()));
        let urls = [("STORE_URL", &*store), ("WAREHOUSE_ALPHA_URL", &*alpha), ("WAREHOUSE_BETA_URL", &*beta)];
        let traefik = Self::start(&[&urls[..], settings].concat()).await;
        traefik.has_routes("file", 3).await;
        traefik
    }

    /// With an environment.
    pub async fn start(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [web, https, dashboard] = [(); 3].map(|()| Port::reserve().unwrap());
        let environment: BTreeMap<_, _> = environment.iter().copied().collect();
        let mut spec = Spec::new("traefik", repository("traefik/proxy-local"), folder.path())
            .env("WEB_PORT", web.number())
            .env("HTTPS_PORT", https.number())
            .env("DASHBOARD_PORT", dashboard.number())
            .env("CARGO_TARGET_DIR", super::target().display());
        for (name, value) in environment {
            spec = spec.env(name, value);
        }
        let mut process = spec.spawn().unwrap();
        process.answers(&format!("http://{}/ping", dashboard.address()), SOON).await.unwrap();
        Self { process, web, https, dashboard, _folder: folder }
    }

    /// As compose.yml starts it: traefik.yml, with ports of the test's, this Docker and a level of logs.
    pub async fn as_in_compose(docker: &Docker, level: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [web, https, dashboard] = [(); 3].map(|()| Port::reserve().unwrap());
        let file = |name: &str| folder.path().join(name);
        std::fs::create_dir(file("dynamic")).unwrap();
        for name in ["middlewares.yml", "tls.yml"] {
            std::fs::copy(repository("traefik/dynamic/common").join(name), file("dynamic").join(name)).unwrap();
        }
        let mut text = read("traefik/traefik.yml");
        for (from, to) in [
            ("\":80\"", format!("{}", web.address())),
            ("\":443\"", format!("{}", https.address())),
            ("\":8080\"", format!("{}", dashboard.address())),
            ("/etc/traefik/dynamic", file("dynamic").display().to_string()),
            ("  docker:", format!("  docker:\n    endpoint: tcp://{}", docker.address)),
            ("level: INFO", format!("level: {level}")),
        ] {
            assert_eq!(text.matches(from).count(), 1, "{from}");
            text = text.replace(from, &to);
        }
        std::fs::write(file("traefik.yml"), text).unwrap();
        let program = super::target().join("tools/traefik/bin/traefik");
        let spec = Spec::new("traefik", program, folder.path());
        let mut process = spec.arg(format!("--configFile={}", file("traefik.yml").display())).spawn().unwrap();
        process.answers(&format!("http://{}/ping", dashboard.address()), SOON).await.unwrap();
        Self { process, web, https, dashboard, _folder: folder }
    }

    /// Waits until so many routers have been taken from a provider, `home` apart: `/ping` answers before they are there.
    pub async fn has_routes(&self, provider: &str, count: usize) {
        kit::until(&format!("{count} routes"), SOON, async || {
            let routers = self.raw().await["routers"].clone();
            let of_provider = |name: &&String| {
                name.ends_with(&format!("@{provider}")) && !name.contains("home") && !name.starts_with("websecure-")
            };
            let found = routers.as_object().unwrap().keys().filter(of_provider).count();
            if found == count { Ok(()) } else { Err(format!("{routers:#}")) }
        })
        .await;
    }

    /// All that it has understood: `/api/rawdata`.
    pub async fn raw(&self) -> Value {
        self.api("rawdata").await
    }

    /// What it says of an entry point, but where that is.
    pub async fn entry_point(&self, name: &str) -> Value {
        let mut entry_point = self.api(&format!("entrypoints/{name}")).await;
        entry_point.as_object_mut().unwrap().remove("address");
        entry_point
    }

    async fn api(&self, what: &str) -> Value {
        let url = format!("http://{}/api/{what}", self.dashboard.address());
        let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    pub fn web(&self) -> SocketAddr {
        self.web.address()
    }

    /// An address behind it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{HOST}:{}{path}", self.web.number())
    }

    /// Somebody who talks to a service through it, each answer held against the service's OpenAPI.
    pub fn client(&self, prefix: &str) -> Client {
        Client::through(&self.url(prefix), HOST, self.web())
    }

    /// A client to which nothing is said of what it should get.
    pub fn http(&self) -> reqwest::Client {
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).timeout(Duration::from_secs(40));
        http.resolve(HOST, self.web()).build().unwrap()
    }

    /// What GET of a path answers: status and text.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.http().get(self.url(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}
