//! The store's configuration. `config.toml` explains the keys.

use std::time::Duration;

use serde::Deserialize;
use service::config::{BASE, Base, ConfigError, Secret, Source, blank_is_none, check_password};

use crate::actors::warehouses;
use crate::actors::warehouses::{dispatcher, monitor};
use crate::domain::sourcing::Strategy;
use crate::domain::{breaker, saga};

/// The defaults, those of every service apart.
pub const DEFAULTS: &str = include_str!("../config.toml");

/// How long one pull of an inventory may take: some 64 MB on a slow line.
const PULL_LIMIT: Duration = Duration::from_secs(60);
/// How long an on-demand reconciliation waits for one warehouse.
const RECONCILE_LIMIT: Duration = Duration::from_secs(15);
/// How long a health poll may take. Longer than a call to ship: a warehouse that is merely busy must not turn OFFLINE, and from one that
/// hangs the breaker keeps orders away much sooner.
const POLL_LIMIT: Duration = Duration::from_secs(5);
/// R21: a probe every second at first.
const FIRST_PROBE: Duration = Duration::from_secs(1);
const LONGEST_PROBE_WAIT: Duration = Duration::from_secs(10);
/// R24.
const RETRY_FAILED_WAREHOUSE: Duration = Duration::from_secs(5 * 60);

/// All of it.
#[derive(Clone, Debug)]
pub struct Config {
    /// What every service has.
    pub base: Base,
    /// What only the store has.
    pub store: Store,
}

/// What only the store has; `config.toml` explains the keys.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "config.toml explains each")]
pub struct Store {
    health_check_interval_seconds: u64,
    health_failures_to_offline: u32,
    inventory_reconciliation_interval_seconds: u64,
    order_wait_ms: u64,
    pub orders_per_minute_per_account: u32,
    dispatch_timeout_ms: u64,
    dispatch_concurrency: usize,
    breaker_failures: u32,
    saga_attention_after_seconds: u64,
    saga_stalled_after_seconds: u64,
    backorder_days: u32,
    reservation_hold_seconds: u32,
    pub allow_split: bool,
    pub sourcing_strategy: Strategy,
    payment_test_methods: bool,
    pub seed_demo: bool,
    #[serde(deserialize_with = "blank_is_none")]
    pub admin_email: Option<String>,
    pub admin_password: Secret,
}

impl Config {
    /// Defaults ← `CONFIG_FILE` ← environment.
    ///
    /// # Errors
    /// The first key that cannot work.
    pub fn read() -> Result<Self, ConfigError> {
        Self::from_source(&Source::read(&[BASE, DEFAULTS])?)
    }

    /// From layers that have [`BASE`] and [`DEFAULTS`] among them.
    ///
    /// # Errors
    /// The first key that cannot work.
    pub fn from_source(source: &Source) -> Result<Self, ConfigError> {
        let config = Self { base: source.extract()?, store: source.extract()? };
        config.base.validate(config.store.seed_demo)?;
        config.store.validate()?;
        Ok(config)
    }

    /// How warehouses are watched and called.
    pub fn warehouses(&self) -> warehouses::Policy {
        let store = &self.store;
        let timeout = Duration::from_millis(store.dispatch_timeout_ms);
        warehouses::Policy {
            monitor: monitor::Policy {
                interval: Duration::from_secs(store.health_check_interval_seconds),
                timeout: POLL_LIMIT.max(timeout),
                failures_to_offline: store.health_failures_to_offline,
            },
            dispatcher: dispatcher::Policy {
                concurrency: store.dispatch_concurrency,
                queue: self.base.mailbox_bound,
                timeout,
                breaker: breaker::Policy {
                    failures: store.breaker_failures,
                    first_probe: FIRST_PROBE,
                    longest_wait: LONGEST_PROBE_WAIT,
                },
            },
            pull_limit: PULL_LIMIT,
            retry_after: RETRY_FAILED_WAREHOUSE,
            mailbox_bound: self.base.mailbox_bound,
        }
    }
}

impl Store {
    /// From the end of one reconciliation to the next.
    pub fn reconcile_every(&self) -> Duration {
        Duration::from_secs(self.inventory_reconciliation_interval_seconds)
    }

    /// How long a reconciliation waits for one warehouse.
    pub fn reconcile_limit(&self) -> Duration {
        RECONCILE_LIMIT
    }

    /// How long a connection to a warehouse may take: well within a call, so that what could not be connected is known to be that.
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.dispatch_timeout_ms) / 2
    }

    /// Calls that go to one warehouse at once.
    pub fn dispatch_concurrency(&self) -> usize {
        self.dispatch_concurrency
    }

    /// How long `POST /orders` waits for the order's end.
    pub fn order_wait(&self) -> Duration {
        Duration::from_millis(self.order_wait_ms)
    }

    /// How sagas try.
    pub fn sagas(&self) -> saga::Policy {
        saga::Policy {
            attention_after: Duration::from_secs(self.saga_attention_after_seconds),
            backorder_for: Duration::from_secs(86_400 * u64::from(self.backorder_days)),
            hold: Duration::from_secs(self.reservation_hold_seconds.into()),
            ..saga::Policy::default()
        }
    }

    /// How long a saga may stand where it is before operators are told.
    pub fn stalled_after(&self) -> Duration {
        Duration::from_secs(self.saga_stalled_after_seconds)
    }

    /// Whether methods of payment that go wrong on purpose do.
    pub fn payment_test_methods(&self) -> bool {
        self.payment_test_methods || self.seed_demo
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let check = |key, ok: bool, message: &str| if ok { Ok(()) } else { Err(ConfigError::invalid(key, message)) };
        const YEAR: u64 = 366 * 86_400;
        let seconds = |key, value: u64| check(key, (1..=YEAR).contains(&value), "must be 1 second to a year");
        seconds("health_check_interval_seconds", self.health_check_interval_seconds)?;
        seconds("inventory_reconciliation_interval_seconds", self.inventory_reconciliation_interval_seconds)?;
        seconds("saga_attention_after_seconds", self.saga_attention_after_seconds)?;
        seconds("saga_stalled_after_seconds", self.saga_stalled_after_seconds)?;
        check("backorder_days", (1..=3_660).contains(&self.backorder_days), "must be 1 day to ten years")?;
        let hold = 1..=contract::MAX_HOLD_SECONDS;
        check("reservation_hold_seconds", hold.contains(&self.reservation_hold_seconds), "must be 1 second to a day")?;
        check("health_failures_to_offline", self.health_failures_to_offline > 0, "must be at least 1")?;
        check("order_wait_ms", self.order_wait_ms <= 600_000, "must be at most 10 minutes")?;
        check(
            "dispatch_timeout_ms",
            (10..=600_000).contains(&self.dispatch_timeout_ms),
            "must be 10 ms to 10 minutes",
        )?;
        check("dispatch_concurrency", (1..=10_000).contains(&self.dispatch_concurrency), "must be 1 to 10000")?;
        check("breaker_failures", self.breaker_failures > 0, "must be at least 1")?;
        let (email, password) = (self.admin_email.is_some(), !self.admin_password.is_empty());
        check("admin_password", email == password, "must be set together with ADMIN_EMAIL")?;
        check_password("admin_password", &self.admin_password, self.seed_demo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let source = Source::defaults(&[BASE, DEFAULTS]).unwrap();
        let needed = [("service_secret", "6f1c0a9de7b24458"), ("database_url", "sqlite::memory:")];
        let pairs = needed.iter().chain(pairs);
        Config::from_source(&pairs.fold(source, |source, (key, value)| source.with(key, value).unwrap()))
    }

    #[test]
    fn the_defaults_are_those_promised() {
        let config = config(&[]).unwrap();
        let policy = config.warehouses();
        assert_eq!(policy.monitor.interval.as_secs(), 60);
        assert_eq!((policy.monitor.failures_to_offline, policy.dispatcher.breaker.failures), (1, 3));
        assert_eq!((policy.dispatcher.timeout.as_millis(), policy.dispatcher.concurrency), (2_000, 32));
        assert_eq!(config.store.reconcile_every().as_secs(), 300);
        assert_eq!((config.store.order_wait().as_secs(), config.store.sagas().attention_after.as_secs()), (5, 86_400));
        assert_eq!((config.base.mailbox_bound, config.store.seed_demo), (10_000, false));
        assert_eq!((config.store.allow_split, config.store.sourcing_strategy), (true, Strategy::FewestShipments));
    }

    #[test]
    fn payments_go_wrong_on_purpose_only_where_that_is_wanted_or_in_the_demo() {
        for (pairs, expected) in [
            (&[][..], false),
            (&[("payment_test_methods", "true")], true),
            (&[("seed_demo", "true")], true),
            (&[("payment_test_methods", "false"), ("seed_demo", "false")], false),
        ] {
            assert_eq!(config(pairs).unwrap().store.payment_test_methods(), expected, "{pairs:?}");
        }
    }

    #[test]
    fn what_cannot_work_is_named() {
        let table = [
            ("health_check_interval_seconds", "0"),
            ("inventory_reconciliation_interval_seconds", "0"),
            ("saga_attention_after_seconds", "99999999999"),
            ("saga_stalled_after_seconds", "0"),
            ("backorder_days", "0"),
            ("reservation_hold_seconds", "0"),
            ("reservation_hold_seconds", "86401"),
            ("health_failures_to_offline", "0"),
            ("order_wait_ms", "600001"),
            ("dispatch_timeout_ms", "0"),
            ("dispatch_concurrency", "0"),
            ("breaker_failures", "0"),
            ("admin_password", "without an address"),
        ];
        for (key, value) in table {
            assert_eq!(config(&[(key, value)]).unwrap_err().name, key.to_uppercase());
        }
        for (value, expected) in [("priority", Strategy::Priority), ("balance", Strategy::Balance)] {
            assert_eq!(config(&[("sourcing_strategy", value)]).unwrap().store.sourcing_strategy, expected);
        }
        let wrong = config(&[("sourcing_strategy", "cheapest")]).unwrap_err();
        assert!(wrong.name == "sourcing_strategy" && wrong.message.contains("fewest-shipments"), "{wrong:?}");
        let named = config(&[("admin_email", "a@b"), ("admin_password", "admin123")]).unwrap_err().name;
        assert_eq!(named, "ADMIN_PASSWORD", "the demo's");
        assert_eq!(config(&[("service_secret", "changeme")]).unwrap_err().name, "SERVICE_SECRET");
        assert!(config(&[("service_secret", "changeme"), ("seed_demo", "true")]).is_ok());
        assert!(
            !format!("{:?}", config(&[("admin_email", "a@b"), ("admin_password", "s3cret-of-us")])).contains("s3cret")
        );
    }
}
