//! A client of a service over HTTP, as somebody.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use super::openapi;

/// The secret that the services under test share.
pub const SECRET: &str = "a secret of the tests";

#[derive(Clone)]
enum Who {
    Anyone,
    Account(String, String),
    Service,
}

/// Somebody who talks to one service.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    who: Who,
    headers: HeaderMap,
}

impl Client {
    pub fn new(base: &str) -> Self {
        Self::with(base, reqwest::Client::builder())
    }

    /// The same where `host`, of which the name service may know nothing, is at `address`.
    pub fn through(base: &str, host: &str, address: SocketAddr) -> Self {
        Self::with(base, reqwest::Client::builder().resolve(host, address))
    }

    fn with(base: &str, http: reqwest::ClientBuilder) -> Self {
        let http = http.no_proxy().redirect(reqwest::redirect::Policy::none());
        let http = http.timeout(Duration::from_secs(40)).build().unwrap();
        Self { http, base: base.to_owned(), who: Who::Anyone, headers: HeaderMap::new() }
    }

    /// The same connections, another person.
    pub fn who_is(&self, email: &str, password: &str) -> Self {
        Self { who: Who::Account(email.to_owned(), password.to_owned()), ..self.clone() }
    }

    /// The same connections, another service.
    pub fn service(&self) -> Self {
        Self { who: Who::Service, ..self.clone() }
    }

    /// The same, and each request carries this header.
    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let mut headers = self.headers.clone();
        headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        Self { headers, ..self.clone() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.try_send(Method::GET, path, None).await.unwrap()
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.try_send(Method::POST, path, Some(body)).await.unwrap()
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.try_send(Method::PATCH, path, Some(body)).await.unwrap()
    }

    /// Fails where no whole answer came.
    pub async fn try_send(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<Answer> {
        let body = body.map(|body| body.to_string().into_bytes());
        self.try_send_raw(method, path, body, Some("application/json")).await
    }

    /// Sends bytes as they are.
    pub async fn try_send_raw(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        content_type: Option<&str>,
    ) -> reqwest::Result<Answer> {
        let mut request =
            self.http.request(method.clone(), format!("{}{path}", self.base)).headers(self.headers.clone());
        match &self.who {
            Who::Anyone => {}
            Who::Account(email, password) => request = request.basic_auth(email, Some(password)),
            Who::Service => request = request.bearer_auth(SECRET),
        }
        if let (Some(_), Some(content_type)) = (&body, content_type) {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let sent = body.as_deref().map(passwords_in).unwrap_or_default();
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let answer = Answer { status, headers, text: answer.text().await? };
        self.keeps_secrets(&answer, sent);
        if let Some(document) = openapi::document(&self.http, &self.base).await {
            document.hold(&method, path, &answer);
        }
        Ok(answer)
    }
}

impl Client {
    /// No answer holds a password's hash, a secret, or a password that was sent.
    fn keeps_secrets(&self, answer: &Answer, mut sent: Vec<String>) {
        if let Who::Account(_, password) = &self.who {
            sent.extend(Some(password.clone()).filter(|password| password.len() >= 8));
        }
        sent.extend([SECRET, "$2a$", "$2b$", "$2x$", "$2y$"].map(str::to_owned));
        let headers = format!("{:?}", answer.headers);
        for secret in sent {
            assert!(!answer.text.contains(&secret), "an answer holds {secret:?}: {}", answer.text);
            assert!(!headers.contains(&secret), "a header holds {secret:?}: {headers}");
        }
    }
}

/// What a body calls a password, where it is long enough not to be found by chance, nor in a message about passwords.
fn passwords_in(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let password = body["password"].as_str().filter(|password| password.len() >= 8 && !"password".contains(password));
    password.map(str::to_owned).into_iter().collect()
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn code(&self) -> u16 {
        self.status.as_u16()
    }

    /// The body, after making sure of the status.
    #[track_caller]
    pub fn expect(&self, code: u16) -> Value {
        assert_eq!(self.code(), code, "{}", self.text);
        self.json()
    }

    /// The body; null where there is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        if self.text.is_empty() { Value::Null } else { serde_json::from_str(&self.text).expect(&self.text) }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The order that the answer is about: the body's `id`, or a problem's `orderId`.
    pub fn order(&self) -> Option<Uuid> {
        let body: Value = serde_json::from_str(&self.text).ok()?;
        let member = if self.status.is_success() { &body["id"] } else { &body["orderId"] };
        member.as_str()?.parse().ok()
    }

    /// The problem's type without its prefix, after making sure that it is a problem and of this status.
    #[track_caller]
    pub fn problem(&self, code: u16) -> String {
        let body = self.expect(code);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        for member in ["type", "title", "detail"] {
            assert!(body[member].is_string(), "{member} is missing: {}", self.text);
        }
        assert_eq!((&body["status"], &body["error"]["status"]), (&code.into(), &code.into()), "{}", self.text);
        assert!(body["error"]["message"].is_string(), "{}", self.text);
        body["type"].as_str().unwrap().trim_start_matches("urn:bookstore:problem:").to_owned()
    }

    /// The fields that a 422 names.
    #[track_caller]
    pub fn fields(&self) -> Vec<String> {
        self.problem(422);
        let named: Vec<String> = self.json()["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|error| error["field"].as_str().unwrap().to_owned())
            .collect();
        assert!(!named.is_empty(), "no field is named: {}", self.text);
        named
    }
}
