//! A warehouse's configuration; `config.toml` explains the keys.

use std::time::Duration;

use serde::Deserialize;
use service::config::{BASE, Base, ConfigError, Secret, Source, blank_is_none, check_password};

use crate::domain::registration::Policy;

/// The defaults, each with a comment, to be given to [`Source`] after [`BASE`].
pub const DEFAULTS: &str = include_str!("config.toml");

/// The configuration of one warehouse.
#[derive(Clone, Debug)]
pub struct Config {
    /// What every service has.
    pub base: Base,
    /// What only a warehouse has.
    pub warehouse: Warehouse,
}

/// The keys of `config.toml`.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "config.toml explains each")]
pub struct Warehouse {
    pub warehouse_name: String,
    pub warehouse_url: String,
    #[serde(deserialize_with = "blank_is_none")]
    warehouse_internal_url: Option<String>,
    pub store_api_url: String,
    registration_retry_interval_seconds: u64,
    registration_max_retries: u32,
    titles_refresh_interval_seconds: u64,
    pub seed_demo: bool,
    #[serde(deserialize_with = "blank_is_none")]
    admin_email: Option<String>,
    admin_password: Secret,
}

impl Config {
    /// From defaults, file and environment.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn load() -> Result<Self, ConfigError> {
        Self::from_source(&Source::read(&[BASE, DEFAULTS])?)
    }

    /// From layers put together by somebody else, who runs several services in one process.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn from_source(source: &Source) -> Result<Self, ConfigError> {
        let config = Self { base: source.extract()?, warehouse: source.extract()? };
        config.base.validate(config.warehouse.seed_demo)?;
        config.warehouse.validate()?;
        Ok(config)
    }
}

impl Warehouse {
    fn validate(&self) -> Result<(), ConfigError> {
        let check = |key, ok: bool, message: &str| if ok { Ok(()) } else { Err(ConfigError::invalid(key, message)) };
        let name = &self.warehouse_name;
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        check(
            "warehouse_name",
            is_plain && (1..=64).contains(&name.len()),
            "must be 1 to 64 letters, digits, - and _",
        )?;
        let is_http = |url: &str| url.starts_with("http://") || url.starts_with("https://");
        check("warehouse_url", is_http(&self.warehouse_url), "expected http://…")?;
        check("warehouse_internal_url", is_http(self.internal_url()), "expected http://…")?;
        let interval = self.registration_retry_interval_seconds;
        check("registration_retry_interval_seconds", (1..=3_600).contains(&interval), "must be 1 to 3600")?;
        let titles = self.titles_refresh_interval_seconds;
        check("titles_refresh_interval_seconds", (1..=86_400).contains(&titles), "must be 1 to 86400")?;
        check(
            "admin_password",
            self.admin_email.is_some() != self.admin_password.is_empty(),
            "must be set where ADMIN_EMAIL is, and only there",
        )?;
        check_password("admin_password", &self.admin_password, self.seed_demo)
    }

    /// Its address for the store.
    pub fn internal_url(&self) -> &str {
        self.warehouse_internal_url.as_deref().unwrap_or(&self.warehouse_url)
    }

    /// When to register.
    pub fn registration(&self) -> Policy {
        Policy {
            interval: Duration::from_secs(self.registration_retry_interval_seconds),
            quick_tries: self.registration_max_retries,
        }
    }

    /// How often every title is asked for anew.
    pub fn titles_refresh(&self) -> Duration {
        Duration::from_secs(self.titles_refresh_interval_seconds)
    }

    /// The first staff account: address and password.
    pub fn staff(&self) -> Option<(&str, &str)> {
        self.admin_email.as_deref().map(|email| (email, self.admin_password.expose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let good =
            [("service_secret", "6f1c0a9de7b24458"), ("database_url", "sqlite::memory:"), ("warehouse_name", "alpha")];
        let source = Source::defaults(&[BASE, DEFAULTS]).unwrap();
        let source = good.iter().chain(pairs).fold(source, |source, (key, value)| source.with(key, value).unwrap());
        Config::from_source(&source)
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let config = load(&[]).unwrap().warehouse;
        let policy = config.registration();
        assert_eq!((policy.interval, policy.quick_tries), (Duration::from_secs(5), 10));
        assert_eq!((config.internal_url(), config.seed_demo), ("http://localhost:3000", false));
        assert!(config.staff().is_none());
    }

    #[test]
    fn what_cannot_work_is_named() {
        for (key, value) in [
            ("warehouse_name", ""),
            ("warehouse_name", "a b"),
            ("warehouse_url", "localhost"),
            ("warehouse_internal_url", "ftp://x"),
            ("registration_retry_interval_seconds", "0"),
            ("titles_refresh_interval_seconds", "0"),
            ("admin_password", "secret"),
        ] {
            assert_eq!(load(&[(key, value)]).unwrap_err().name, key.to_uppercase());
        }
        assert_eq!(load(&[("admin_email", "a@b.c")]).unwrap_err().name, "ADMIN_PASSWORD");
        let staff = load(&[("admin_email", "a@b.c"), ("admin_password", "tr0ub4dor&3")]).unwrap();
        assert_eq!(staff.warehouse.staff(), Some(("a@b.c", "tr0ub4dor&3")));
        assert!(!format!("{staff:?}").contains("tr0ub4dor"));
        let named = load(&[("admin_email", "a@b.c"), ("admin_password", "staff123")]).unwrap_err().name;
        assert_eq!(named, "ADMIN_PASSWORD", "the demo's");
        assert_eq!(load(&[("service_secret", "changeme")]).unwrap_err().name, "SERVICE_SECRET");
    }
}
