//! The time of day, read in one place. A decision takes `now` as an argument instead.

use chrono::{DateTime, SubsecRound as _, Utc};

/// Now, cut to the microseconds that PostgreSQL keeps: a time is then the same before and after it was stored.
#[allow(clippy::disallowed_methods, reason = "this is the place")]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

#[cfg(test)]
mod tests {
    #[test]
    fn is_cut_to_microseconds() {
        assert!((0..100).all(|_| super::now().timestamp_subsec_nanos().is_multiple_of(1_000)));
    }
}
