use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actors::{SupervisorAddress, System};
use contract::{Money, Problem, Role};
use reqwest::header::{self, HeaderMap};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use service::accounts::{Accounts, Limits, NewAccount};
use service::config::Secret;
use service::database::Database;
use service::http::Policy;
use service::routes::{Access, Caller, HasAuth, Request, Response, Route, Routes, Settings};
use service::status::{HasStatus, actors_route, ready_route};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::support::{CHEAP, Scratch, store_schema};

struct App {
    accounts: Accounts,
    secret: Secret,
    previous: Secret,
    database: Database,
    supervisor: SupervisorAddress,
    /// `POST /slow` says that it has begun, and waits to be let go on.
    began: Notify,
    go_on: Notify,
}

impl HasAuth for App {
    fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    fn service_secret(&self) -> &Secret {
        &self.secret
    }

    fn previous_service_secret(&self) -> Option<&Secret> {
        Some(&self.previous)
    }
}

impl HasStatus for App {
    fn database(&self) -> &Database {
        &self.database
    }

    fn supervisor(&self) -> &SupervisorAddress {
        &self.supervisor
    }
}

fn draining(seconds: u64) -> Policy {
    Policy { drain: Duration::from_secs(seconds), ..Policy::default() }
}

type Answer = Result<Response, service::problem::Problem>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thing {
    name: String,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    quantity: u32,
    unit_price: Money,
}

#[derive(Deserialize)]
struct Filter {
    at_least: Option<u32>,
}

async fn who(request: Request<App>) -> Answer {
    Ok(Response::ok(&match &request.caller {
        Caller::Anonymous => "nobody".to_owned(),
        Caller::Account(account) => account.email.clone(),
        Caller::Service => "a service".to_owned(),
    }))
}

async fn get_thing(request: Request<App>) -> Answer {
    let id: uuid::Uuid = request.param("id")?;
    Ok(Response::ok(&json!({ "id": id })))
}

async fn make_thing(request: Request<App>) -> Answer {
    let thing: Thing = request.json()?;
    let total: i64 = thing.lines.iter().map(|line| i64::from(line.quantity) * line.unit_price.0).sum();
    Ok(Response::created(&json!({ "name": thing.name, "total": Money(total) }), Some("things/1")))
}

async fn list_things(request: Request<App>) -> Answer {
    let filter: Filter = request.query()?;
    let page = request.page::<u32>()?;
    let first = page.after.map_or(0, |after| after + 1).max(filter.at_least.unwrap_or(0));
    let things: Vec<u32> = (first..).take(usize::try_from(page.limit).unwrap()).collect();
    let link = request.next_page(things.last().unwrap());
    Ok(Response::ok(&things).header(header::LINK, &link))
}

async fn slow(request: Request<App>) -> Answer {
    request.app.began.notify_one();
    request.app.go_on.notified().await;
    Ok(Response::ok(&"done"))
}

async fn stream(_: Request<App>) -> Answer {
    let chunks = ["[1", ",2]"].map(|chunk| Ok::<_, io::Error>(bytes::Bytes::from_static(chunk.as_bytes())));
    Ok(Response::stream(futures_util::stream::iter(chunks)))
}

const ADMIN: &[Role] = &[Role::StoreAdmin];

fn table() -> Vec<Route<App>> {
    vec![
        Route::get("/", Access::Anyone, who),
        Route::get("/optional", Access::Optional, who),
        Route::get("/admin", Access::Roles(ADMIN), who),
        Route::get("/bearer", Access::Bearer, who),
        Route::get("/either", Access::BearerOr(ADMIN), who),
        Route::get("/things", Access::Anyone, list_things),
        Route::post("/things", Access::Anyone, make_thing),
        Route::get("/things/:id", Access::Anyone, get_thing),
        Route::delete("/things/:id", Access::Roles(ADMIN), |_| async { Ok(Response::no_content()) }),
        Route::get("/panic", Access::Anyone, |_| async { panic!("secret detail") }),
        Route::post("/slow", Access::Anyone, slow),
        Route::get("/stream", Access::Anyone, stream),
        ready_route(),
        actors_route(Access::Roles(ADMIN)),
    ]
}

struct Server {
    address: SocketAddr,
    app: Arc<App>,
    system: System,
    client: reqwest::Client,
    _scratch: Scratch,
}

impl Server {
    async fn start() -> Self {
        Self::start_as(|routes| routes).await
    }

    async fn start_as(mount: impl FnOnce(Routes) -> Routes) -> Self {
        let scratch = Scratch::sqlite();
        let app = Arc::new(App {
            accounts: Accounts::new(1_000, CHEAP, Limits::default()),
            secret: Secret::new("the secret"),
            previous: Secret::new("the last secret"),
            database: Database::new(scratch.settings()),
            supervisor: SupervisorAddress::new(),
            began: Notify::new(),
            go_on: Notify::new(),
        });
        let listener = service::http::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let routes = mount(Routes::new("test", Arc::clone(&app), table(), Settings::default()));
        let children = vec![
            app.database.child(store_schema()),
            app.accounts.child(&app.database),
            service::http::child(listener, routes, draining(10)),
        ];
        let system = System::start_at("test", &app.supervisor, children).await.unwrap();
        assert!(system.started().await);
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self { address, app, system, client, _scratch: scratch }
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.client.request(Method::from_bytes(method.as_bytes()).unwrap(), format!("http://{}{path}", self.address))
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.request("GET", path).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
        let request = self.request("POST", path).header("content-type", "application/json; charset=utf-8");
        request.body(body).send().await.unwrap()
    }

    async fn register(&self, email: &str, role: Role) {
        let (email, password) = (email.to_owned(), Secret::new("pass:word"));
        let new = NewAccount { email, password, first_name: None, last_name: None, role };
        self.app.accounts.register(new).await.unwrap();
    }

    async fn stop(self) {
        self.system.stop().await.unwrap();
    }
}

/// What comes next on a connection; nothing when it was closed.
async fn read_some(connection: &mut TcpStream) -> String {
    let mut buffer = vec![0; 4_096];
    let length = connection.read(&mut buffer).await.unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// The problem of an answer, which must be one in form.
async fn problem(response: reqwest::Response) -> (StatusCode, HeaderMap, Problem) {
    let (status, headers) = (response.status(), response.headers().clone());
    assert_eq!(headers["content-type"], "application/problem+json");
    let problem: Problem = response.json().await.unwrap();
    assert_eq!(problem.status, status.as_u16());
    assert_eq!((&problem.error.message, problem.error.status), (&problem.detail, problem.status));
    assert!(problem.kind.starts_with("urn:bookstore:problem:"));
    (status, headers, problem)
}

#[tokio::test]
async fn unknown_paths_are_404_and_known_ones_say_which_methods_they_have() {
    let server = Server::start().await;
    for path in ["/nothing", "/things/1/2", "/things/", "//", "/%ff"] {
        assert_eq!(problem(server.get(path).await).await.0, 404, "{path}");
    }
    let (status, headers, _) = problem(server.request("PUT", "/things").send().await.unwrap()).await;
    assert_eq!(
        (status, headers["allow"].to_str().unwrap()),
        (StatusCode::METHOD_NOT_ALLOWED, "GET, POST, HEAD, OPTIONS")
    );
    let (_, headers, _) = problem(server.request("PATCH", "/slow").body("{}").send().await.unwrap()).await;
    assert_eq!(headers["allow"], "POST, OPTIONS");
    assert_eq!(problem(server.get("/things/not-an-id").await).await.0, 404);
    assert_eq!(server.get(&format!("/things/{}", uuid::Uuid::nil())).await.status(), 200);
    server.stop().await;
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = Server::start().await;
    let get = server.get("/things").await;
    let head = server.request("HEAD", "/things").send().await.unwrap();
    assert_eq!((head.status(), &head.headers()["content-length"]), (get.status(), &get.headers()["content-length"]));
    assert_eq!(head.headers()["content-type"], "application/json");
    assert_eq!(head.text().await.unwrap(), "");
    assert_eq!(server.request("HEAD", "/nothing").send().await.unwrap().status(), 404);
    assert_eq!(server.request("HEAD", "/slow").send().await.unwrap().status(), 405);
    server.stop().await;
}

#[tokio::test]
async fn credentials_are_asked_for_and_roles_are_kept_apart() {
    let server = Server::start().await;
    server.register("admin@x.com", Role::StoreAdmin).await;
    server.register("alice@x.com", Role::Customer).await;
    let ask = async |path: &str, authorization: Option<&str>| {
        let request = server.request("GET", path);
        let request = authorization.iter().fold(request, |request, value| request.header("authorization", *value));
        let response = request.send().await.unwrap();
        let challenges = response.headers().get_all("www-authenticate").iter();
        let challenges: Vec<_> =
            challenges.map(|value| value.to_str().unwrap().split(' ').next().unwrap().to_owned()).collect();
        (response.status().as_u16(), challenges.join(" "), response.text().await.unwrap())
    };
    let basic = |credentials: &str| {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(credentials))
    };
    let (admin, alice) = (basic("ADMIN@x.com:pass:word"), basic("alice@x.com:pass:word"));
    let wrong = basic("admin@x.com:pass");
    let (service, lowercase) = ("Bearer the secret", admin.replace("Basic", "basic"));
    for (path, authorization, status, challenge) in [
        ("/", Some("Basic !"), 200, ""),
        ("/optional", None, 200, ""),
        ("/optional", Some(&*wrong), 401, "Basic Bearer"),
        ("/optional", Some(&*alice), 200, ""),
        ("/admin", None, 401, "Basic"),
        ("/admin", Some(&*wrong), 401, "Basic"),
        ("/admin", Some("Basic !"), 401, "Basic"),
        ("/admin", Some("Basic"), 401, "Basic"),
        ("/admin", Some(service), 401, "Basic"),
        ("/admin", Some(&*alice), 403, ""),
        ("/admin", Some(&*admin), 200, ""),
        ("/admin", Some(&*lowercase), 200, ""),
        ("/bearer", None, 401, "Bearer"),
        ("/bearer", Some("Bearer the secre"), 401, "Bearer"),
        ("/bearer", Some("Bearer the last secret"), 200, ""),
        ("/bearer", Some("Bearer the last secre"), 401, "Bearer"),
        ("/bearer", Some("Bearer"), 401, "Bearer"),
        ("/bearer", Some(&*admin), 401, "Bearer"),
        ("/bearer", Some(service), 200, ""),
        ("/either", None, 401, "Basic Bearer"),
        ("/either", Some(&*alice), 403, ""),
        ("/either", Some(&*admin), 200, ""),
        ("/either", Some(service), 200, ""),
    ] {
        let answer = ask(path, authorization).await;
        assert_eq!((answer.0, &*answer.1), (status, challenge), "{path} {authorization:?}: {}", answer.2);
    }
    assert_eq!(ask("/", Some(&*admin)).await.2, "\"nobody\"");
    assert_eq!(ask("/optional", Some(&*alice)).await.2, "\"alice@x.com\"");
    assert_eq!(ask("/either", Some(service)).await.2, "\"a service\"");
    server.stop().await;
}

#[tokio::test]
async fn wrong_credentials_are_made_to_wait_and_a_verified_one_passes_all_the_same() {
    let server = Server::start().await;
    server.register("admin@x.com", Role::StoreAdmin).await;
    let ask = async |password: &str| {
        let request = server.request("GET", "/admin").basic_auth("admin@x.com", Some(password));
        let answer = request.send().await.unwrap();
        let wait = answer.headers().get("retry-after").map(|wait| wait.to_str().unwrap().parse::<u64>().unwrap());
        (answer.status().as_u16(), wait)
    };
    assert_eq!(ask("pass:word").await, (200, None));
    for guess in 0..5 {
        assert_eq!(ask(&format!("guess {guess}")).await, (401, None));
    }
    assert_eq!(ask("guess").await, (429, Some(1)));
    assert_eq!(ask("pass:word").await, (200, None));

    let token =
        async |token: &str| server.request("GET", "/bearer").bearer_auth(token).send().await.unwrap().status().as_u16();
    for _ in 0..100 {
        assert_eq!(token("wrong").await, 401);
    }
    assert_eq!((token("wrong").await, token("the secret").await), (429, 200));
    server.stop().await;
}

#[tokio::test]
async fn bodies_are_checked_from_the_outside_in() {
    let server = Server::start().await;
    let good = r#"{"name": "x", "lines": [{"quantity": 3, "unitPrice": 14.99}], "more": [null]}"#;
    let made = server.post("/things", good).await;
    assert_eq!((made.status(), made.headers()["location"].to_str().unwrap()), (StatusCode::CREATED, "things/1"));
    assert_eq!(made.text().await.unwrap(), r#"{"name":"x","total":44.97}"#);

    let untyped = server.request("POST", "/things").body(good).send().await.unwrap();
    assert_eq!(problem(untyped).await.0, 415);
    let form = server.request("POST", "/things").header("content-type", "text/plain").body(good).send().await.unwrap();
    assert_eq!(problem(form).await.0, 415);

    for body in ["", "{", "nonsense", "{\"name\": \"x\"} y", "{\"name\": 1,", "\u{feff}{}"] {
        assert_eq!(problem(server.post("/things", body).await).await.0, 400, "{body}");
    }
    assert_eq!(problem(server.post("/things", b"{\"name\": \"\xff\"}".to_vec()).await).await.0, 400);
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert_eq!(problem(server.post("/things", deep).await).await.0, 422);

    let line = |quantity: &str, price: &str| {
        format!(
            r#"{{"name": "x", "lines": [{{"quantity": 1, "unitPrice": 1}}, {{"quantity": {quantity}, "unitPrice": {price}}}]}}"#
        )
    };
    for (body, field) in [
        ("[]".to_owned(), "."),
        (r#" ["x", [], []]"#.to_owned(), "."),
        ("{}".to_owned(), "name"),
        (r#"{"name": null, "lines": []}"#.to_owned(), "name"),
        (r#"{"name": "x", "lines": {}}"#.to_owned(), "lines"),
        (r#"{"name": "x", "lines": [{"quantity": 1}]}"#.to_owned(), "lines[0].unitPrice"),
        (line("-5", "1"), "lines[1].quantity"),
        (line("1.5", "1"), "lines[1].quantity"),
        (line("\"3\"", "1"), "lines[1].quantity"),
        (line("null", "1"), "lines[1].quantity"),
        (line("1e18", "1"), "lines[1].quantity"),
        (line("1e999", "1"), "lines[1].quantity"),
        (line("1", "\"14.99\""), "lines[1].unitPrice"),
        (line("1", "14.999"), "lines[1].unitPrice"),
        (r#"{"name": "a\u0000b", "lines": []}"#.to_owned(), "name"),
        (r#"{"name": "a", "lines": [], "name": "b"}"#.to_owned(), "name"),
    ] {
        let (status, _, problem) = problem(server.post("/things", body.clone()).await).await;
        let fields: Vec<_> = problem.errors.iter().map(|error| &*error.field).collect();
        assert_eq!((status.as_u16(), &*fields), (422, &[field][..]), "{body}: {problem:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_chunked_or_not() {
    let server = Server::start().await;
    const LIMIT: usize = 1024 * 1024;
    let padded = |length: usize| {
        let body = r#"{"name": "x", "lines": []}"#;
        body.to_owned() + &" ".repeat(length - body.len())
    };
    let chunked = |length: usize| {
        let chunks: Vec<_> =
            padded(length).into_bytes().chunks(65_536).map(|chunk| Ok::<_, io::Error>(chunk.to_vec())).collect();
        reqwest::Body::wrap_stream(futures_util::stream::iter(chunks))
    };
    assert_eq!(server.post("/things", padded(LIMIT)).await.status(), 201);
    assert_eq!(server.post("/things", chunked(LIMIT)).await.status(), 201);
    for body in [padded(LIMIT + 1).into(), chunked(LIMIT + 1), padded(10 * LIMIT).into(), chunked(10 * LIMIT)] {
        assert_eq!(problem(server.post("/things", body).await).await.0, 413);
    }
    // An answer that does not need the body reaches whoever is still sending it.
    assert_eq!(problem(server.post("/nothing", padded(4 * LIMIT)).await).await.0, 404);
    server.stop().await;
}

#[tokio::test]
async fn queries_name_what_is_wrong_and_lists_lead_on() {
    let server = Server::start().await;
    for (query, field) in [
        ("at_least=x", "at_least"),
        ("at_least=-1", "at_least"),
        ("at_least=1&at_least=2", "at_least"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=many", "limit"),
        ("cursor=%25", "cursor"),
        ("cursor=bm90IGEgbnVtYmVy", "cursor"),
        ("at_least=%00", "at_least"),
    ] {
        let (status, _, problem) = problem(server.get(&format!("/things?{query}")).await).await;
        assert_eq!((status.as_u16(), &*problem.errors[0].field), (422, field), "{query}: {problem:?}");
    }
    let mut path = "/things?limit=2&at_least=5&other=%C3%A9".to_owned();
    for expected in [[5, 6], [7, 8]] {
        let response = server.get(&path).await;
        let link = response.headers()["link"].to_str().unwrap().to_owned();
        assert_eq!(response.json::<Vec<u32>>().await.unwrap(), expected);
        let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
        assert!(next.starts_with("?limit=2&at_least=5&other=%C3%A9&cursor="), "{next}");
        path = format!("/things{next}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_panic_is_a_500_without_detail_and_the_server_lives_on() {
    let server = Server::start().await;
    let (status, headers, problem) = problem(server.get("/panic").await).await;
    assert_eq!(status, 500);
    assert!(headers.contains_key("x-request-id"));
    assert!(!format!("{problem:?}").contains("secret detail"));
    assert_eq!(server.get("/").await.status(), 200);
    server.stop().await;
}

#[tokio::test]
async fn every_answer_has_a_request_id_the_callers_own_if_it_is_plain() {
    let server = Server::start().await;
    let id = async |given: Option<&str>| {
        let request = server.request("GET", "/nothing");
        let request = given.iter().fold(request, |request, id| request.header("x-request-id", *id));
        request.send().await.unwrap().headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(id(Some("trace-1")).await, "trace-1");
    let (first, second) = (id(None).await, id(None).await);
    assert!(first.len() == 36 && first != second);
    assert_ne!(id(Some("two words")).await, "two words");
    assert_ne!(id(Some(&"x".repeat(129))).await.len(), 129);
    server.stop().await;
}

#[tokio::test]
async fn browsers_of_any_origin_may_call_and_ask_first() {
    let server = Server::start().await;
    let get = server.request("GET", "/things").header("origin", "https://shop.example").send().await.unwrap();
    assert_eq!(get.headers()["access-control-allow-origin"], "*");
    assert!(get.headers()["access-control-expose-headers"].to_str().unwrap().contains("Inventory-Version"));
    assert!(!get.headers().contains_key("access-control-allow-credentials"));
    let preflight = server
        .request("OPTIONS", "/things")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization")
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.status(), 204);
    let header = |name: &str| preflight.headers()[name].to_str().unwrap().to_ascii_lowercase();
    assert_eq!(header("access-control-allow-origin"), "*");
    assert_eq!(header("access-control-allow-methods"), "get, post, head, options");
    assert!(header("access-control-allow-headers").contains("authorization"));
    let refused = server.request("GET", "/admin").header("origin", "https://shop.example").send().await.unwrap();
    assert_eq!(refused.headers()["access-control-allow-origin"], "*", "a script can read why");
    assert_eq!(server.request("OPTIONS", "/nothing").send().await.unwrap().status(), 404);
    server.stop().await;
}

#[tokio::test]
async fn several_services_share_one_server_under_their_prefixes() {
    let server = Server::start_as(|routes| {
        let under = |prefix: &str| routes.clone().mounted(prefix);
        under("/store").or(under("/warehouses/alpha")).or(under("/warehouses/beta")).or(routes.clone())
    })
    .await;
    for path in
        ["/", "/store", "/store/", "/warehouses/alpha/", "/warehouses/beta/things?limit=1", "/store/things?limit=1"]
    {
        assert_eq!(server.get(path).await.status(), 200, "{path}");
    }
    for path in ["/warehouses", "/warehouses/gamma/things", "/stores/things", "/store/nothing"] {
        assert_eq!(problem(server.get(path).await).await.0, 404, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_stream_arrives_whole() {
    let server = Server::start().await;
    let response = server.get("/stream").await;
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.json::<Vec<u32>>().await.unwrap(), [1, 2]);
    server.stop().await;
}

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let server = Server::start().await;
    let ready = server.get("/ready").await;
    assert_eq!(ready.status(), 200);
    assert_eq!(
        ready.json::<Value>().await.unwrap(),
        json!({ "status": "ready", "checks": { "database": "ok", "supervisor": "ok" } })
    );
    server.register("admin@x.com", Role::StoreAdmin).await;
    let tree = server.request("GET", "/actors").basic_auth("admin@x.com", Some("pass:word")).send().await.unwrap();
    let tree: Value = tree.json().await.unwrap();
    let children: Vec<_> = tree["tree"]["children"].as_array().unwrap().iter().map(|child| &child["path"]).collect();
    assert_eq!(children, ["test/database", "test/accounts", "test/http"]);
    server.stop().await;
}

#[tokio::test]
async fn a_stop_answers_what_was_asked_and_closes_what_is_idle() {
    let server = Server::start().await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(read_some(&mut idle).await.starts_with("HTTP/1.1 200"));

    let slow = tokio::spawn(server.request("POST", "/slow").send());
    server.app.began.notified().await;
    let stop = tokio::spawn({
        let system = server.system.clone();
        async move { system.stop().await }
    });

    // Whoever is busy on a connection is told that it closes, and is answered.
    let mut late = server.get("/").await;
    while !late.headers().contains_key("connection") {
        late = server.get("/").await;
    }
    assert_eq!((late.status(), &late.headers()["connection"]), (StatusCode::OK, &"close".parse().unwrap()));

    assert_eq!(read_some(&mut idle).await, "", "closed");
    assert!(!stop.is_finished(), "one request is still being answered");
    server.app.go_on.notify_one();
    assert_eq!(slow.await.unwrap().unwrap().text().await.unwrap(), "\"done\"");
    stop.await.unwrap().unwrap();
    assert_eq!(TcpStream::connect(server.address).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_cut_by_a_stop_under_load() {
    let server = Server::start().await;
    let answered = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..32)
        .map(|_| {
            let answered = Arc::clone(&answered);
            let (client, url) = (server.client.clone(), format!("http://{}/things?limit=1", server.address));
            tokio::spawn(async move {
                loop {
                    match client.get(&url).send().await {
                        Ok(response) => {
                            assert_eq!(response.status(), 200);
                            response.bytes().await.unwrap();
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        // Never sent: nothing was cut.
                        Err(error) if error.is_connect() => return Ok(()),
                        Err(error) => return Err(format!("{error:?}")),
                    }
                }
            })
        })
        .collect();
    while answered.load(Ordering::Relaxed) < 320 {
        tokio::task::yield_now().await;
    }
    server.system.stop().await.unwrap();
    for client in clients {
        client.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_request_that_takes_longer_than_the_stop_may_is_dropped() {
    let scratch = Scratch::sqlite();
    let app = Arc::new(App {
        accounts: Accounts::new(1_000, CHEAP, Limits::default()),
        secret: Secret::new("the secret"),
        previous: Secret::new("the last secret"),
        database: Database::new(scratch.settings()),
        supervisor: SupervisorAddress::new(),
        began: Notify::new(),
        go_on: Notify::new(),
    });
    let listener = service::http::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/slow", listener.local_addr().unwrap());
    let routes = Routes::new("test", Arc::clone(&app), table(), Settings::default());
    let http = service::http::child(listener, routes, draining(1));
    let system = System::start("test", vec![http]).await.unwrap();
    let slow = tokio::spawn(reqwest::Client::builder().no_proxy().build().unwrap().post(url).send());
    app.began.notified().await;
    tokio::time::timeout(Duration::from_secs(3), system.stop()).await.unwrap().unwrap();
    assert!(slow.await.unwrap().is_err());
}
