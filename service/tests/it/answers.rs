//! What every answer gets, whatever its handler: tags, caching, security headers, compression, and an end for clients that take none of it.

use std::sync::Arc;
use std::time::Duration;

use actors::System;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use reqwest::Client;
use serde_json::json;
use service::accounts::{Accounts, Limits};
use service::config::Secret;
use service::http::Policy;
use service::routes::{Access, Event, HasAuth, Request, Response, Route, Routes, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

struct App {
    accounts: Accounts,
    secret: Secret,
    /// Fires when the endless answer has been given up.
    given_up: Arc<Notify>,
}

impl HasAuth for App {
    fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    fn service_secret(&self) -> &Secret {
        &self.secret
    }
}

struct Tell(Arc<Notify>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

fn table() -> Vec<Route<App>> {
    vec![
        Route::get("/numbers", Access::Anyone, |request: Request<App>| async move {
            let page = request.page::<u32>()?;
            Ok(Response::ok(&(0..page.limit).collect::<Vec<_>>()))
        }),
        Route::post("/numbers", Access::Anyone, |_| async { Ok(Response::ok(&json!({}))) }),
        Route::get("/secret", Access::Bearer, |_| async { Ok(Response::ok(&json!({}))) }),
        Route::get("/endless", Access::Anyone, |request: Request<App>| async move {
            let tell = Tell(Arc::clone(&request.app.given_up));
            Ok(Response::stream(stream::repeat(Bytes::from(vec![b'0'; 65_536])).map(move |piece| {
                let _ = &tell;
                Ok::<_, std::io::Error>(piece)
            })))
        }),
        Route::get("/events", Access::Anyone, |_| async {
            let first = Event { id: None, event: None, data: "first".to_owned() };
            Ok(Response::events(stream::iter([first]).chain(stream::pending())))
        }),
    ]
}

async fn start() -> (System, String, Arc<App>) {
    let (accounts, secret) = (Accounts::new(1, 4, Limits::default()), Secret::new("s"));
    let app = Arc::new(App { accounts, secret, given_up: Arc::default() });
    let listener = service::http::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let policy = Policy { write_within: Duration::from_millis(200), ..Policy::default() };
    let routes = Routes::new("test", Arc::clone(&app), table(), Settings::default());
    let system = System::start("test", vec![service::http::child(listener, routes, policy)]).await.unwrap();
    assert!(system.started().await);
    (system, url, app)
}

fn client() -> Client {
    Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap()
}

#[tokio::test]
async fn a_read_that_has_not_changed_is_304() {
    let (system, url, _) = start().await;
    let get = async |query: &str, known: &str| {
        client().get(format!("{url}/numbers{query}")).header("if-none-match", known).send().await.unwrap()
    };
    let first = get("?limit=2", "").await;
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!((first.status().as_u16(), &first.headers()["cache-control"]), (200, &"no-cache".parse().unwrap()));
    let again = get("?limit=2", &format!("\"other\", W/{tag}")).await;
    assert_eq!((again.status().as_u16(), again.headers()["etag"].to_str().unwrap()), (304, &*tag));
    assert!(!again.headers().contains_key("content-type") && again.bytes().await.unwrap().is_empty());
    assert_eq!(get("?limit=3", &tag).await.status(), 200, "it is another");
    assert_eq!(get("?limit=0", "*").await.status(), 422, "a refusal is no version of anything");

    let written = client().post(format!("{url}/numbers")).header("if-none-match", "*").send().await.unwrap();
    assert_eq!((written.status().as_u16(), &written.headers()["cache-control"]), (200, &"no-store".parse().unwrap()));
    assert!(!written.headers().contains_key("etag"));
    let own = client().get(format!("{url}/secret")).bearer_auth("s").send().await.unwrap();
    assert_eq!(own.headers()["cache-control"], "private, no-cache");
    system.stop().await.unwrap();
}

#[tokio::test]
async fn every_answer_tells_browsers_what_not_to_do() {
    let (system, url, _) = start().await;
    for path in ["/numbers", "/nothing", "/secret"] {
        let answer = client().get(format!("{url}{path}")).send().await.unwrap();
        for (name, value) in
            [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "no-referrer")]
        {
            assert_eq!(answer.headers()[name], value, "{path}");
        }
        assert!(answer.headers().contains_key("content-security-policy"), "{path}");
    }
    system.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_worth_it_is_compressed_for_whoever_takes_it() {
    let (system, url, _) = start().await;
    let encoding = async |limit: u32, takes: &str| {
        let request = client().get(format!("{url}/numbers?limit={limit}")).header("accept-encoding", takes);
        let answer = request.send().await.unwrap();
        let encoding = answer.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
        (encoding, answer.bytes().await.unwrap().len())
    };
    let (whole, gzipped) = (encoding(1_000, "identity").await, encoding(1_000, "gzip").await);
    assert_eq!((whole.0, gzipped.0.as_deref()), (None, Some("gzip")));
    assert!(gzipped.1 < whole.1, "{} of {}", gzipped.1, whole.1);
    assert_eq!(encoding(3, "gzip").await.0, None);
    system.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_cut_off() {
    let (system, url, app) = start().await;
    let mut connection = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    connection.write_all(b"GET /endless HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), app.given_up.notified()).await.unwrap();
    drop(connection);
    system.stop().await.unwrap();
}

#[tokio::test]
async fn a_stream_of_events_ends_when_the_service_stops() {
    let (system, url, _) = start().await;
    let mut connection = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    connection.write_all(b"GET /events HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    let (mut said, mut piece) = (String::new(), [0; 1_024]);
    while !said.contains("data: first\n\n") {
        let read = connection.read(&mut piece).await.unwrap();
        said.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    assert!(said.contains("content-type: text/event-stream\r\n"), "{said}");
    // The limit of requests that do not end by themselves is 20 s.
    tokio::time::timeout(Duration::from_secs(10), system.stop()).await.unwrap().unwrap();
    connection.read_to_string(&mut said).await.unwrap();
    assert!(said.ends_with("0\r\n\r\n"), "it was ended, not cut: {said}");
}
