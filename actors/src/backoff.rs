//! Delays that grow with jitter. The only module that names the `backoff` crate.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// A sequence of growing delays, each spread by up to a half in both directions so that many waiters do not come back
/// in step.
#[derive(Debug, Clone)]
pub struct Backoff(ExponentialBackoff);

impl Backoff {
    /// Starts at `first` and doubles up to `most`; both before jitter. It never gives up.
    pub fn new(first: Duration, most: Duration) -> Self {
        let mut inner = ExponentialBackoff {
            initial_interval: first,
            current_interval: first,
            max_interval: most,
            multiplier: 2.0,
            randomization_factor: 0.5,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        inner.reset();
        Self(inner)
    }

    /// The next delay.
    pub fn next_delay(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(self.0.max_interval)
    }

    /// Begins again with the first delay.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_within_their_jitter_up_to_the_most_and_start_over_when_reset() {
        let (first, most) = (Duration::from_millis(100), Duration::from_millis(400));
        let mut backoff = Backoff::new(first, most);
        for expected_ms in [100, 200, 400, 400, 400] {
            let ms = backoff.next_delay().as_millis();
            assert!((expected_ms / 2..=expected_ms * 3 / 2).contains(&ms), "{ms} around {expected_ms}");
        }
        backoff.reset();
        assert!(backoff.next_delay() <= first * 3 / 2);
    }
}
