//! How the built-in gateway goes wrong where it is told to: by faults of a test, and by test methods of payment.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::actors::fault;

use super::{Charge, Operation};
use crate::domain::payment::TestMethod;

/// How late `test_slow` answers.
pub(super) const LATE: Duration = Duration::from_secs(2);
/// How often `test_unreachable` cannot be reached for a key.
const UNREACHABLE: u8 = 2;
/// The most keys whose calls are counted; beyond that counting begins anew.
const KEYS: usize = 10_000;

/// What goes wrong with a call, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It never gets there.
    NeverSent(String),
    /// It never gets there, and nobody knows.
    Unknown(String),
    /// It is refused, and the ledger keeps that.
    Declined(String),
    /// It happens, and nobody is told.
    AnswerLost(String),
    /// It happens, and the answer comes so much later.
    Late(Duration),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverSent(why) | Self::Unknown(why) | Self::Declined(why) | Self::AnswerLost(why) => f.write_str(why),
            Self::Late(by) => write!(f, "{by:?} late"),
        }
    }
}

/// What a test wants at `call:<operation>` and `answered:<operation>`: at the first the call does not happen, or is refused; at the
/// second it has happened.
pub(super) async fn told(when: &str, operation: Operation) -> Option<Trouble> {
    if !fault::ENABLED {
        return None;
    }
    let point = format!("{when}:{}", operation.name());
    let verdict = fault::verdict(&point).await?;
    let reason = format!("injected at {point}");
    Some(match (when, verdict.as_str()) {
        ("call", "refuse") => Trouble::Declined(reason),
        ("call", "never-sent") => Trouble::NeverSent(reason),
        (_, "unknown" | "lost") => Trouble::Unknown(reason),
        _ => panic!("{point}: no such verdict: {verdict}"),
    })
}

/// The test methods, with how often each key was called.
#[derive(Debug, Default)]
pub(super) struct TestMethods {
    calls: Mutex<HashMap<String, u8>>,
}

impl TestMethods {
    /// What goes wrong with this call.
    pub(super) fn trouble(&self, charge: &Charge) -> Option<Trouble> {
        let method = TestMethod::named(&charge.method)?;
        match method {
            TestMethod::Decline | TestMethod::DeclineCapture => {
                method.declines(charge.operation).then(|| Trouble::Declined("card declined".to_owned()))
            }
            TestMethod::Slow => Some(Trouble::Late(LATE)),
            TestMethod::Ambiguous => {
                (self.nth(&charge.key) == 1).then(|| Trouble::AnswerLost("test_ambiguous lost the answer".to_owned()))
            }
            TestMethod::Unreachable => (self.nth(&charge.key) <= UNREACHABLE)
                .then(|| Trouble::NeverSent("test_unreachable cannot be reached".to_owned())),
        }
    }

    /// The how manieth call with this key it is, from 1.
    fn nth(&self, key: &str) -> u8 {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() >= KEYS && !calls.contains_key(key) {
            calls.clear();
        }
        let nth = calls.entry(key.to_owned()).or_default();
        *nth = nth.saturating_add(1);
        *nth
    }
}

#[cfg(test)]
mod tests {
    use contract::{Money, OrderId};

    use super::*;

    fn charge(key: &str, operation: Operation, method: &str) -> Charge {
        Charge { key: key.to_owned(), order: OrderId::new(), operation, amount: Money(1), method: method.to_owned() }
    }

    #[test]
    fn each_test_method_goes_wrong_in_its_own_way() {
        let methods = TestMethods::default();
        let trouble = |key: &str, operation, method: &str| methods.trouble(&charge(key, operation, method));
        let (authorize, capture) = (Operation::Authorize, Operation::Capture);
        let declined = Some(Trouble::Declined("card declined".to_owned()));
        assert_eq!(trouble("a", authorize, "credit_card"), None);
        assert_eq!(trouble("a", authorize, "test_decline"), declined);
        assert_eq!(trouble("a", capture, "test_decline"), None);
        assert_eq!(trouble("a", capture, "test_decline_capture"), declined);
        assert_eq!(trouble("a", authorize, "test_decline_capture"), None);
        assert_eq!(trouble("a", authorize, "test_slow"), Some(Trouble::Late(LATE)));
        for key in ["b", "c"] {
            assert!(matches!(trouble(key, authorize, "test_ambiguous"), Some(Trouble::AnswerLost(_))));
            assert_eq!(trouble(key, authorize, "test_ambiguous"), None);
        }
        for key in ["d", "e"] {
            assert!(matches!(trouble(key, authorize, "test_unreachable"), Some(Trouble::NeverSent(_))));
            assert!(matches!(trouble(key, authorize, "test_unreachable"), Some(Trouble::NeverSent(_))));
            assert_eq!(trouble(key, authorize, "test_unreachable"), None);
        }
    }

    #[test]
    fn calls_are_counted_for_so_many_keys_only() {
        let methods = TestMethods::default();
        for key in 0..KEYS {
            assert_eq!(methods.nth(&key.to_string()), 1);
        }
        assert_eq!(methods.nth("0"), 2);
        assert_eq!(methods.nth("another"), 1);
        assert_eq!(methods.nth("0"), 1, "forgotten");
        for _ in 0..300 {
            methods.nth("0");
        }
        assert_eq!(methods.nth("0"), u8::MAX);
    }
}
