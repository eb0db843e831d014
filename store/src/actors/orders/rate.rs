//! How often one account may place an order. Kept in memory: a restart of the process forgives, one of the actor does not.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use contract::UserId;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Beyond so many accounts, those who have not ordered lately are forgotten.
const ACCOUNTS: usize = 10_000;

/// The rate of orders of each account; clones share it.
#[derive(Clone)]
pub struct Rate(Option<Arc<DefaultKeyedRateLimiter<UserId>>>);

impl Rate {
    /// So many orders a minute, all of them at once if they like; 0 is any number.
    pub fn per_minute(orders: u32) -> Self {
        Self(NonZeroU32::new(orders).map(|orders| Arc::new(RateLimiter::keyed(Quota::per_minute(orders)))))
    }

    /// Takes one order of the account.
    ///
    /// # Errors
    /// How long until it may order again.
    pub(super) fn take(&self, account: UserId) -> Result<(), Duration> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        if limiter.len() > ACCOUNTS {
            limiter.retain_recent();
        }
        limiter.check_key(&account).map_err(|early| early.wait_time_from(DefaultClock::default().now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_orders_too_often_waits_and_no_other_does() {
        let (rate, one, other) = (Rate::per_minute(2), UserId::new(), UserId::new());
        assert!(rate.take(one).is_ok() && rate.take(one).is_ok());
        let wait = rate.clone().take(one).unwrap_err();
        assert!(wait > Duration::from_secs(20) && wait <= Duration::from_secs(30), "{wait:?}");
        rate.take(other).unwrap();
        let any = Rate::per_minute(0);
        assert!((0..1_000).all(|_| any.take(one).is_ok()));
    }
}
