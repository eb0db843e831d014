//! The keys that every service has.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use super::{ConfigError, Secret, blank_is_none, secrets};
use crate::routes::{self, Limits, client};
use crate::{accounts, http};

/// Defaults of [`Base`], each with a comment: the first of the texts given to [`super::Source::read`].
pub const BASE: &str = include_str!("base.toml");

/// What every service has; `base.toml` explains the keys.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "base.toml explains each")]
pub struct Base {
    pub listen_address: IpAddr,
    pub port: u16,
    #[serde(deserialize_with = "blank_is_none")]
    database_url: Option<String>,
    #[serde(deserialize_with = "blank_is_none")]
    db_host: Option<String>,
    db_port: u16,
    db_username: String,
    db_password: Secret,
    db_database: String,
    pub database_writers: u32,
    pub database_readers: u32,
    pub statement_timeout_ms: u64,
    pub migrate: bool,
    pub service_secret: Secret,
    service_secret_previous: Secret,
    pub mailbox_bound: usize,
    drain_seconds: u64,
    pub bcrypt_cost: u32,
    login_failures_per_account: u32,
    login_failures_per_address: u32,
    login_wait_max_seconds: u64,
    cors_origins: String,
    trusted_proxies: String,
    pub log_format: LogFormat,
    #[serde(deserialize_with = "blank_is_none")]
    metrics_listen: Option<String>,
    max_connections: usize,
    max_requests: usize,
    max_event_streams: usize,
    max_body_kib: usize,
    max_body_memory_mib: usize,
    body_timeout_seconds: u64,
    idle_timeout_seconds: u64,
    write_timeout_seconds: u64,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Readable,
    /// For machines: one JSON object a line.
    Json,
}

impl Base {
    /// Checks what types cannot. `demo`: where anybody may know the secrets.
    ///
    /// # Errors
    /// The first value that cannot work.
    pub fn validate(&self, demo: bool) -> Result<(), ConfigError> {
        let check = |key, ok: bool, message: &str| if ok { Ok(()) } else { Err(ConfigError::invalid(key, message)) };
        check("bcrypt_cost", (4..=16).contains(&self.bcrypt_cost), "must be 4 to 16")?;
        secrets::check_secret("service_secret", &self.service_secret, demo)?;
        if let Some(previous) = self.previous_secret() {
            secrets::check_secret("service_secret_previous", previous, demo)?;
        }
        check("login_failures_per_account", self.login_failures_per_account > 0, "must be at least 1")?;
        check("login_failures_per_address", self.login_failures_per_address > 0, "must be at least 1")?;
        check("login_wait_max_seconds", (1..=86_400).contains(&self.login_wait_max_seconds), "must be 1 to 86400")?;
        check("mailbox_bound", self.mailbox_bound > 0, "must be at least 1")?;
        check("drain_seconds", (1..=3_600).contains(&self.drain_seconds), "must be 1 to 3600")?;
        check("database_writers", (1..=1_000).contains(&self.database_writers), "must be 1 to 1000")?;
        check("database_readers", (1..=1_000).contains(&self.database_readers), "must be 1 to 1000")?;
        check("statement_timeout_ms", self.statement_timeout_ms > 0, "must be at least 1")?;
        client::networks(&self.trusted_proxies).map_err(|error| ConfigError::invalid("trusted_proxies", error))?;
        self.metrics_listen()?;
        let count = |key, value: usize| check(key, (1..=1_000_000).contains(&value), "must be 1 to 1000000");
        count("max_connections", self.max_connections)?;
        count("max_requests", self.max_requests)?;
        count("max_event_streams", self.max_event_streams)?;
        count("max_body_kib", self.max_body_kib)?;
        count("max_body_memory_mib", self.max_body_memory_mib)?;
        let seconds = |key, value: u64| check(key, (1..=3_600).contains(&value), "must be 1 to 3600");
        seconds("body_timeout_seconds", self.body_timeout_seconds)?;
        seconds("idle_timeout_seconds", self.idle_timeout_seconds)?;
        seconds("write_timeout_seconds", self.write_timeout_seconds)?;
        self.database_url().map(|_| ())
    }

    /// The secret before the current one, while services are being moved to that.
    pub fn previous_secret(&self) -> Option<&Secret> {
        Some(&self.service_secret_previous).filter(|secret| !secret.is_empty())
    }

    /// How many wrong credentials are free, and the longest wait after more.
    pub fn login_limits(&self) -> accounts::Limits {
        accounts::Limits {
            per_account: self.login_failures_per_account,
            per_address: self.login_failures_per_address,
            longest: Duration::from_secs(self.login_wait_max_seconds),
        }
    }

    /// The proxies whose `X-Forwarded-For` is believed; [`Base::validate`] has found them to be well-formed.
    pub fn trusted_proxies(&self) -> Vec<IpNet> {
        client::networks(&self.trusted_proxies).unwrap_or_default()
    }

    /// Where to listen.
    pub fn listen(&self) -> SocketAddr {
        SocketAddr::new(self.listen_address, self.port)
    }

    /// How long a stop may take.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    /// Where to serve metrics, if anywhere.
    ///
    /// # Errors
    /// When that is no address.
    pub fn metrics_listen(&self) -> Result<Option<SocketAddr>, ConfigError> {
        let address = self.metrics_listen.as_deref().map(str::parse).transpose();
        address.map_err(|_| ConfigError::invalid("metrics_listen", "must be an address and a port, as in 0.0.0.0:9100"))
    }

    /// What the server allows its clients.
    pub fn http(&self) -> http::Policy {
        http::Policy {
            connections: self.max_connections,
            head_within: Duration::from_secs(self.idle_timeout_seconds),
            write_within: Duration::from_secs(self.write_timeout_seconds),
            drain: self.drain(),
        }
    }

    /// What the routes are served under.
    pub fn routes(&self) -> routes::Settings {
        let limits = Limits {
            in_flight: self.max_requests,
            event_streams: self.max_event_streams,
            body_memory: self.max_body_memory_mib * 1024 * 1024,
            body: self.max_body_kib * 1024,
            body_within: Duration::from_secs(self.body_timeout_seconds),
        };
        routes::Settings { origins: self.cors_origins(), trusted_proxies: self.trusted_proxies(), limits }
    }

    /// The origins that browsers may call from; none is any.
    pub fn cors_origins(&self) -> Vec<String> {
        let origins = self.cors_origins.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        let origins: Vec<_> = origins.map(|origin| origin.trim_end_matches('/').to_owned()).collect();
        if origins.iter().any(|origin| origin == "*") { Vec::new() } else { origins }
    }

    /// `DATABASE_URL`, or one put together from the `DB_` keys.
    ///
    /// # Errors
    /// When neither is set, or the scheme is of no database we speak.
    pub fn database_url(&self) -> Result<DatabaseUrl, ConfigError> {
        if let Some(url) = &self.database_url {
            return DatabaseUrl::parse(url);
        }
        let Some(host) = &self.db_host else {
            return Err(ConfigError::invalid("database_url", "must be set, or DB_HOST and its siblings"));
        };
        if self.db_database.is_empty() {
            return Err(ConfigError::invalid("db_database", "must be set beside DB_HOST"));
        }
        let (user, password) = (escape(&self.db_username), escape(self.db_password.expose()));
        let login = match (user.is_empty(), password.is_empty()) {
            (true, _) => String::new(),
            (false, true) => format!("{user}@"),
            (false, false) => format!("{user}:{password}@"),
        };
        let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.clone() };
        DatabaseUrl::parse(&format!("postgres://{login}{host}:{}/{}", self.db_port, escape(&self.db_database)))
    }
}

/// Everything that has a meaning in a URL, as `%XX`.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// Where the database is. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Reads `postgres://…`, `postgresql://…` or `sqlite:…`.
    ///
    /// # Errors
    /// For every other scheme; the message does not repeat the URL, which may hold a password.
    pub fn parse(url: &str) -> Result<Self, ConfigError> {
        if let Some(rest) = url.strip_prefix("postgresql://") {
            return Ok(Self(format!("postgres://{rest}")));
        }
        if url.starts_with("postgres://") || url.starts_with("sqlite:") {
            return Ok(Self(url.to_owned()));
        }
        Err(ConfigError::invalid("database_url", "expected postgres://… or sqlite://…"))
    }

    /// The URL with its password.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is an SQLite file or memory.
    pub fn is_sqlite(&self) -> bool {
        self.0.starts_with("sqlite:")
    }

    /// The file of an SQLite database; none for one in memory, or for PostgreSQL.
    pub fn file(&self) -> Option<std::path::PathBuf> {
        let path = self.0.strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        let path = path.split('?').next().unwrap_or_default();
        (!path.is_empty() && path != ":memory:").then(|| path.into())
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The last @ before the path ends the login, in which a careless @ may stand.
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        match rest.rsplit_once('@') {
            Some((_, place)) => write!(f, "{scheme}://…@{place}"),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    fn base(pairs: &[(&str, &str)]) -> Base {
        let source = Source::defaults(&[BASE]).unwrap();
        pairs.iter().fold(source, |source, (key, value)| source.with(key, value).unwrap()).extract().unwrap()
    }

    #[test]
    fn a_url_is_put_together_from_its_parts_and_escaped() {
        let parts = base(&[
            ("db_host", "db"),
            ("db_username", "store"),
            ("db_password", "p@ss:w/rd"),
            ("db_database", "store_db"),
        ]);
        let url = parts.database_url().unwrap();
        assert_eq!(url.expose(), "postgres://store:p%40ss%3Aw%2Frd@db:5432/store_db");
        assert_eq!(url.to_string(), "postgres://…@db:5432/store_db");
        assert!(!format!("{parts:?}").contains("p@ss"));
        let both = base(&[("db_host", "db"), ("database_url", "postgresql://a@b/c")]);
        assert_eq!(both.database_url().unwrap().expose(), "postgres://a@b/c");
    }

    #[test]
    fn what_cannot_work_is_named() {
        let complaint = |pairs: &[(&str, &str)]| base(pairs).validate(false).unwrap_err().name;
        let good = [("service_secret", "6f1c0a9de7b24458"), ("database_url", "sqlite::memory:")];
        base(&good).validate(false).unwrap();
        assert_eq!(complaint(&[]), "SERVICE_SECRET");
        assert_eq!(complaint(&good[..1]), "DATABASE_URL");
        for (key, value) in [
            ("bcrypt_cost", "3"),
            ("mailbox_bound", "0"),
            ("drain_seconds", "0"),
            ("database_url", "mysql://x"),
            ("trusted_proxies", "traefik"),
            ("service_secret", "short"),
            ("service_secret_previous", "short"),
            ("login_failures_per_account", "0"),
            ("login_failures_per_address", "0"),
            ("login_wait_max_seconds", "0"),
        ] {
            assert_eq!(complaint(&[good[0], good[1], (key, value)]), key.to_uppercase());
        }
    }

    #[test]
    fn knows_the_file_of_a_database() {
        let file = |url| DatabaseUrl::parse(url).unwrap().file().map(|path| path.display().to_string());
        assert_eq!(file("sqlite://./data/store.db?mode=rwc").as_deref(), Some("./data/store.db"));
        assert_eq!(file("sqlite:///tmp/a.db").as_deref(), Some("/tmp/a.db"));
        assert_eq!(file("sqlite::memory:"), None);
        assert_eq!(file("postgres://a@b/c"), None);
    }

    #[test]
    fn origins_are_any_or_a_list() {
        assert!(base(&[]).cors_origins().is_empty());
        let listed = base(&[("cors_origins", "https://a.example/, http://b.example")]).cors_origins();
        assert_eq!(listed, ["https://a.example", "http://b.example"]);
    }
}
