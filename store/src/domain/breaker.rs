//! The circuit breaker before a warehouse (R21): opens after failures in a row, closes only on a health probe.

use std::time::Duration;

/// When a breaker opens and how it probes.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Failures in a row that open it.
    pub failures: u32,
    /// The wait before the first probe.
    pub first_probe: Duration,
    /// The longest wait between probes; each failed one doubles it up to here.
    pub longest_wait: Duration,
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// Calls pass.
    Closed {
        /// Failures since the last answer.
        failures: u32,
    },
    /// No call is tried.
    Open {
        /// Probes that failed since it opened.
        probes: u32,
    },
}

impl Breaker {
    /// A breaker that has seen nothing.
    pub const fn new() -> Self {
        Self::Closed { failures: 0 }
    }

    /// Whether no call is tried.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// A call was answered. That does not close an open breaker: a call from before it opened says nothing of now.
    #[must_use]
    pub const fn answered(self) -> Self {
        match self {
            Self::Closed { .. } => Self::new(),
            open @ Self::Open { .. } => open,
        }
    }

    /// A call was not answered.
    #[must_use]
    pub const fn failed(self, policy: &Policy) -> Self {
        match self {
            Self::Closed { failures } if failures + 1 >= policy.failures => Self::Open { probes: 0 },
            Self::Closed { failures } => Self::Closed { failures: failures + 1 },
            open @ Self::Open { .. } => open,
        }
    }

    /// A health probe came back.
    #[must_use]
    pub const fn probed(self, healthy: bool) -> Self {
        match self {
            Self::Open { .. } if healthy => Self::new(),
            Self::Open { probes } => Self::Open { probes: probes.saturating_add(1) },
            closed @ Self::Closed { .. } => closed,
        }
    }

    /// How long to wait before the next probe; none is due while closed.
    pub fn next_probe(self, policy: &Policy) -> Option<Duration> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { probes } => {
                Some(policy.first_probe.saturating_mul(1 << probes.min(16)).min(policy.longest_wait))
            }
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy =
        Policy { failures: 3, first_probe: Duration::from_secs(1), longest_wait: Duration::from_secs(10) };

    #[test]
    fn r21_opens_after_failures_in_a_row_and_closes_only_on_a_good_probe() {
        // f failed, a answered, - failed probe, + good probe
        let table = [
            ("", false),
            ("ff", false),
            ("fff", true),
            ("ffaff", false),
            ("ffafff", true),
            ("fffa", true),
            ("fffaaaa", true),
            ("fff-", true),
            ("fff--+", false),
            ("fff+ff", false),
            ("fff+fff", true),
            ("-", false),
        ];
        for (events, open) in table {
            let breaker = events.chars().fold(Breaker::new(), |breaker, event| match event {
                'f' => breaker.failed(&POLICY),
                'a' => breaker.answered(),
                probe => breaker.probed(probe == '+'),
            });
            assert_eq!(breaker.is_open(), open, "{events}");
        }
    }

    #[test]
    fn probes_back_off_up_to_the_longest_wait() {
        let mut breaker = Breaker::Open { probes: 0 };
        let mut waits = Vec::new();
        for _ in 0..6 {
            waits.push(breaker.next_probe(&POLICY).unwrap().as_secs());
            breaker = breaker.probed(false);
        }
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        assert_eq!(Breaker::Open { probes: u32::MAX }.next_probe(&POLICY), Some(POLICY.longest_wait));
        assert_eq!(Breaker::new().next_probe(&POLICY), None);
    }
}
