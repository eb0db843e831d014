//! When a warehouse registers with the store.

use std::time::Duration;

/// The longest pause between two tries, and the pause after one that succeeded (R20): a store that has lost its registry
/// knows the warehouse again within it.
pub const LONGEST: Duration = Duration::from_secs(60);

/// How registration is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The pause between the first tries.
    pub interval: Duration,
    /// How many tries there are at that pace, before it slows down.
    pub quick_tries: u32,
}

impl Policy {
    /// The pause after `failures` failed tries in a row; after none it is that of success. It never ends.
    pub fn pause(&self, failures: u32) -> Duration {
        match failures {
            0 => LONGEST,
            quick if quick < self.quick_tries => self.interval,
            slow => {
                let doublings = (slow - self.quick_tries + 1).min(16);
                self.interval.saturating_mul(1 << doublings).min(LONGEST.max(self.interval))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_tries_at_five_seconds_then_slower_up_to_a_minute_for_ever() {
        let policy = Policy { interval: Duration::from_secs(5), quick_tries: 10 };
        let pauses: Vec<u64> = (0..16).map(|failures| policy.pause(failures).as_secs()).collect();
        assert_eq!(pauses, [60, 5, 5, 5, 5, 5, 5, 5, 5, 5, 10, 20, 40, 60, 60, 60]);
        assert_eq!(policy.pause(u32::MAX).as_secs(), 60);
    }

    #[test]
    fn an_interval_above_a_minute_is_kept() {
        let policy = Policy { interval: Duration::from_secs(90), quick_tries: 1 };
        assert_eq!(policy.pause(5).as_secs(), 90);
    }
}
