//! As much of Docker's interface as Traefik asks of it, for containers that are only said to be there: no Docker runs where these tests do.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::harness::*;

/// How a container is.
#[derive(Debug, Clone, Copy)]
pub enum Is {
    Starting,
    Healthy,
    Unhealthy,
    Exited,
}

/// A container: its labels, how it is, and whether it was removed.
#[derive(Debug, Clone)]
struct Container {
    labels: Value,
    is: Is,
    removed: bool,
}

/// By name.
type Containers = BTreeMap<String, Container>;

pub struct Docker {
    pub address: SocketAddr,
    containers: Arc<Mutex<Containers>>,
    changed: watch::Sender<()>,
    task: AbortHandle,
}

impl Docker {
    /// With a container for each service that has labels, all healthy.
    pub async fn start(labels: &BTreeMap<String, Value>) -> Self {
        let new = |labels: &Value| Container { labels: labels.clone(), is: Is::Healthy, removed: false };
        let containers = labels.iter().map(|(name, labels)| (name.clone(), new(labels))).collect();
        let (containers, changed) = (Arc::new(Mutex::new(containers)), watch::Sender::new(()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shared, changes) = (Arc::clone(&containers), changed.subscribe());
        let serve = async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&shared), changes.clone()));
            }
        };
        Self { address, containers, changed, task: tokio::spawn(serve).abort_handle() }
    }

    /// Has something happen to a container, and says so to who listens.
    pub fn set(&self, name: &str, is: Is) {
        self.containers.lock().unwrap().get_mut(name).unwrap().is = is;
        self.changed.send_replace(());
    }

    /// Removes a container, or has it back.
    pub fn remove(&self, name: &str, removed: bool) {
        self.containers.lock().unwrap().get_mut(name).unwrap().removed = removed;
        self.changed.send_replace(());
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(stream: TcpStream, containers: Arc<Mutex<Containers>>, mut changes: watch::Receiver<()>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while stream.read_line(&mut line).await.ok()? > 2 {
        head.push_str(&line);
        line.clear();
    }
    let (method, path) = (head.split(' ').next()?, head.split([' ', '?']).nth(1)?);
    // Without the version that it begins with.
    let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && !part.starts_with("v1.")).collect();
    let body = {
        let containers = containers.lock().unwrap();
        match path[..] {
            ["_ping"] => json!("OK"),
            ["version"] => json!({ "Version": "28.0.0", "ApiVersion": "1.48", "MinAPIVersion": "1.24" }),
            ["containers", "json"] => {
                containers.iter().filter(|(_, it)| !it.removed).map(|(name, it)| shown(name, it, false)).collect()
            }
            ["containers", name, "json"] => shown(name, &containers[name], true),
            ["events"] => Value::Null,
            _ => panic!("Traefik asks Docker for {path:?}"),
        }
    };
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nApi-Version: 1.48\r\nConnection: close\r\n";
    if body.is_null() {
        stream.write_all(format!("{head}\r\n").as_bytes()).await.ok()?;
        changes.mark_unchanged();
        while changes.changed().await.is_ok() {
            let event = json!({ "Type": "container", "Action": "die", "Actor": { "ID": "any" } });
            stream.write_all(format!("{event}\n").as_bytes()).await.ok()?;
        }
        return None;
    }
    let text = body.to_string();
    let sent = if method == "HEAD" { "" } else { &text };
    stream.write_all(format!("{head}Content-Length: {}\r\n\r\n{sent}", text.len()).as_bytes()).await.ok()
}

/// A container as it is listed, or inspected.
fn shown(name: &str, container: &Container, inspected: bool) -> Value {
    let labels = &container.labels;
    let (status, health) = match container.is {
        Is::Starting => ("running", "starting"),
        Is::Healthy => ("running", "healthy"),
        Is::Unhealthy => ("running", "unhealthy"),
        Is::Exited => ("exited", "unhealthy"),
    };
    let networks = json!({ "Networks": { "bookstore_edge": { "IPAddress": "10.203.80.9" } }, "Ports": {} });
    let host = json!({ "NetworkMode": "bookstore_edge" });
    if inspected {
        let state = json!({ "Status": status, "Running": status == "running", "Health": { "Status": health } });
        return json!({ "Id": name, "Name": format!("/{name}"), "State": state, "Config": { "Labels": labels }, "NetworkSettings": networks, "HostConfig": host });
    }
    json!({ "Id": name, "Names": [format!("/{name}")], "Labels": labels, "State": status, "NetworkSettings": networks, "HostConfig": host })
}
