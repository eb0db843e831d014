//! When a confirmation is tried again (R12).

use std::time::Duration;

/// The longest pause between two tries of a confirmation that the store did not answer.
const LONGEST: Duration = Duration::from_secs(60);

/// How long a confirmation that the store refused is left alone.
const PARKED_FOR: Duration = Duration::from_secs(3_600);

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The store has it.
    Taken,
    /// No answer, or one that says to come back.
    Unanswered(String),
    /// The store says that it is wrong, which the same again will not change.
    Refused(String),
}

/// What is to be done then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Forget it.
    Forget,
    /// Try again after this long.
    Retry(Duration),
    /// Set it aside for a person to see, and try again after this long.
    Park(Duration, String),
}

/// Decides after a try; `attempts` were made before it. Pauses double from one second to a minute.
pub fn next(attempts: u32, attempt: Attempt) -> Next {
    match attempt {
        Attempt::Taken => Next::Forget,
        Attempt::Unanswered(_) => Next::Retry(Duration::from_secs(1 << attempts.min(6)).min(LONGEST)),
        Attempt::Refused(reason) => Next::Park(PARKED_FOR, reason),
    }
}

/// What an HTTP status says of a try.
pub fn judge(status: u16, detail: &str) -> Attempt {
    match status {
        200..=299 => Attempt::Taken,
        408 | 429 => Attempt::Unanswered(format!("{status}: {detail}")),
        400..=499 => Attempt::Refused(format!("{status}: {detail}")),
        _ => Attempt::Unanswered(format!("{status}: {detail}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r12_refusals_park_and_everything_else_is_tried_again() {
        for (status, refused) in [(400, true), (401, true), (404, true), (408, false), (409, true), (422, true)] {
            assert_eq!(matches!(judge(status, ""), Attempt::Refused(_)), refused, "{status}");
        }
        for status in [301, 429, 500, 502, 503, 504] {
            assert!(matches!(judge(status, ""), Attempt::Unanswered(_)), "{status}");
        }
        assert_eq!(judge(200, ""), Attempt::Taken);
        assert_eq!(next(3, Attempt::Refused("409".into())), Next::Park(PARKED_FOR, "409".into()));
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let pause = |attempts| next(attempts, Attempt::Unanswered(String::new()));
        for (attempts, seconds) in [(0, 1), (1, 2), (5, 32), (6, 60), (7, 60), (u32::MAX, 60)] {
            assert_eq!(pause(attempts), Next::Retry(Duration::from_secs(seconds)), "{attempts}");
        }
    }
}
