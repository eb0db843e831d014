//! When a warehouse is HEALTHY and when OFFLINE.

use contract::WarehouseHealth;

/// What the polls so far say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracker {
    /// The verdict.
    pub health: WarehouseHealth,
    failures: u32,
}

impl Tracker {
    /// Starts from what was known before.
    pub const fn new(health: WarehouseHealth) -> Self {
        Self { health, failures: 0 }
    }

    /// Takes in one poll: one that succeeds is enough for HEALTHY, `failures_to_offline` in a row make it OFFLINE.
    #[must_use]
    pub const fn observe(self, healthy: bool, failures_to_offline: u32) -> Self {
        if healthy {
            return Self::new(WarehouseHealth::Healthy);
        }
        let failures = self.failures.saturating_add(1);
        let health = if failures >= failures_to_offline { WarehouseHealth::Offline } else { self.health };
        Self { health, failures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use WarehouseHealth::{Healthy, Offline};

    #[test]
    fn goes_offline_after_failures_in_a_row_and_back_at_the_first_success() {
        let table = [
            (Offline, 1, "", Offline),
            (Offline, 1, "+", Healthy),
            (Healthy, 1, "-", Offline),
            (Healthy, 1, "-+", Healthy),
            (Healthy, 3, "--", Healthy),
            (Healthy, 3, "---", Offline),
            (Healthy, 3, "--+--", Healthy),
            (Offline, 3, "-", Offline),
            (Offline, 3, "+--", Healthy),
        ];
        for (before, limit, polls, expected) in table {
            let tracker = polls.chars().fold(Tracker::new(before), |tracker, poll| tracker.observe(poll == '+', limit));
            assert_eq!(tracker.health, expected, "{before} {limit} {polls}");
        }
    }
}
