use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use super::Operation::{Authorize, Capture, Refund, Void};
use super::*;

fn order(n: u128) -> OrderId {
    OrderId(Uuid::from_u128(n))
}

fn charge(key: &str, operation: Operation, cents: i64) -> Charge {
    Charge { key: key.to_owned(), order: order(1), operation, amount: Money(cents), method: "credit_card".to_owned() }
}

/// Settles these of one order in turn, each under a key of its own, and says which were done.
fn settle(charges: &[(Operation, i64)]) -> Vec<bool> {
    let mut ledger = Ledger::default();
    let mut done = Vec::new();
    for (nth, (operation, cents)) in charges.iter().enumerate() {
        let outcome = ledger.settle(&charge(&nth.to_string(), *operation, *cents), None);
        assert!(outcome.is_answer());
        done.push(outcome == Outcome::Done);
    }
    assert_eq!(ledger.added().len(), charges.len(), "each is a line, refused or not");
    done
}

/// What it shows, what is asked, and which of it is done.
type Case<'a> = (&'a str, &'a [(Operation, i64)], &'a [bool]);

#[test]
fn an_order_is_paid_by_the_rules() {
    let table: &[Case] = &[
        ("authorised, then captured", &[(Authorize, 100), (Capture, 100)], &[true, true]),
        ("nothing is authorised", &[(Capture, 100)], &[false]),
        ("a part is captured", &[(Authorize, 100), (Capture, 40)], &[true, true]),
        ("the rest lapses", &[(Authorize, 100), (Capture, 40), (Capture, 60)], &[true, true, false]),
        ("more than authorised", &[(Authorize, 100), (Capture, 101), (Capture, 100)], &[true, false, true]),
        ("authorised once", &[(Authorize, 100), (Authorize, 100)], &[true, false]),
        ("a void, then nothing", &[(Authorize, 100), (Void, 100), (Capture, 100)], &[true, true, false]),
        ("voided twice", &[(Authorize, 100), (Void, 100), (Void, 100)], &[true, true, true]),
        ("a tombstone", &[(Void, 100), (Authorize, 100), (Capture, 100)], &[true, false, false]),
        ("not after a capture", &[(Authorize, 100), (Capture, 100), (Void, 100)], &[true, true, false]),
        ("nothing to refund", &[(Authorize, 100), (Refund, 1)], &[true, false]),
        ("a refund", &[(Authorize, 100), (Capture, 90), (Refund, 90)], &[true, true, true]),
        (
            "refunds add up",
            &[(Authorize, 100), (Capture, 90), (Refund, 60), (Refund, 31), (Refund, 30), (Refund, 1)],
            &[true, true, true, false, true, false],
        ),
        (
            "a sum that no number holds",
            &[(Authorize, 9), (Capture, 9), (Refund, 9), (Refund, i64::MAX)],
            &[true, true, true, false],
        ),
        ("nothing costs nothing", &[(Authorize, 0), (Capture, 0), (Refund, 0)], &[true, true, true]),
    ];
    for (what, charges, expected) in table {
        assert_eq!(settle(charges), *expected, "{what}");
    }
}

#[test]
fn a_key_has_one_outcome() {
    let mut ledger = Ledger::default();
    let authorize = charge("a", Authorize, 100);
    assert_eq!(ledger.settle(&authorize, None), Outcome::Done);
    let refused = ledger.settle(&charge("c", Capture, 101), None);
    assert_eq!(refused, Outcome::Refused { reason: "more than is authorised".to_owned() });
    for declined in [None, Some("card declined")] {
        assert_eq!(ledger.settle(&authorize, declined), Outcome::Done, "whatever is said later");
        assert_eq!(ledger.settle(&charge("c", Capture, 101), declined), refused);
    }
    let others = [
        charge("a", Authorize, 99),
        charge("a", Capture, 100),
        Charge { order: order(2), ..authorize.clone() },
        charge("c", Capture, 100),
    ];
    for other in others {
        let outcome = ledger.settle(&other, None);
        assert_eq!(outcome, Outcome::Refused { reason: "this key stands for another charge".to_owned() }, "{other:?}");
    }
    assert_eq!(ledger.settle(&Charge { method: "other".to_owned(), ..authorize }, None), Outcome::Done);
    assert_eq!(ledger.added().len(), 2);
    assert_eq!(Ledger::of(ledger.added().to_vec()).settle(&charge("c", Capture, 101), None), refused, "as read back");
}

#[test]
fn what_is_declined_is_refused_for_ever_but_only_under_its_key() {
    let mut ledger = Ledger::default();
    let declined = Outcome::Refused { reason: "card declined".to_owned() };
    assert_eq!(ledger.settle(&charge("a", Authorize, 100), Some("card declined")), declined);
    assert_eq!(ledger.settle(&charge("a", Authorize, 100), None), declined);
    assert_eq!(ledger.settle(&charge("b", Authorize, 100), None), Outcome::Done);
}

#[test]
fn an_amount_below_zero_is_refused_and_leaves_no_line() {
    let mut ledger = Ledger::default();
    for operation in Operation::ALL {
        assert_eq!(ledger.settle(&charge("a", operation, -1), None).name(), "refused");
    }
    assert!(ledger.added().is_empty());
}

#[test]
fn lines_are_counted_by_order_on_top_of_those_known() {
    let known = |key: &str, order, line| Entry {
        key: key.to_owned(),
        order,
        line,
        operation: Authorize,
        amount: Money(100),
        refusal: Some("card declined".to_owned()),
    };
    let mut ledger = Ledger::of([known("x", order(1), 0), known("y", order(1), 1)]);
    ledger.settle(&charge("a", Authorize, 100), None);
    ledger.settle(&Charge { order: order(2), ..charge("b", Authorize, 100) }, None);
    ledger.settle(&charge("c", Capture, 100), None);
    let lines: Vec<_> = ledger.added().iter().map(|entry| (entry.order, entry.line)).collect();
    assert_eq!(lines, [(order(1), 2), (order(2), 0), (order(1), 3)]);
}

#[test]
fn names_lead_back() {
    for operation in Operation::ALL {
        assert_eq!(Operation::named(operation.name()), Some(operation));
    }
    assert_eq!(Operation::named("void"), None);
    assert_eq!(TestMethod::named("credit_card"), None);
    for method in ["test_decline", "test_decline_capture", "test_slow", "test_ambiguous", "test_unreachable"] {
        let declined = TestMethod::named(method).map(|method| Operation::ALL.map(|what| method.declines(what)));
        let [authorize, capture] = [method == "test_decline", method == "test_decline_capture"];
        assert_eq!(declined, Some([authorize, capture, false, false]), "{method}");
    }
}

fn any_charge() -> impl Strategy<Value = (Charge, bool)> {
    let operation = prop::sample::select(&Operation::ALL);
    (0_u8..12, 1_u128..3, operation, 0_i64..4, prop::bool::weighted(0.1)).prop_map(
        |(key, of, operation, cents, declined)| {
            (Charge { order: order(of), ..charge(&key.to_string(), operation, cents) }, declined)
        },
    )
}

proptest! {
    /// Also when it is read back in the middle, as each batch does.
    #[test]
    fn whatever_is_asked_in_whatever_order(charges in vec(any_charge(), 0..40), cut in 0_usize..40) {
        let mut ledger = Ledger::default();
        let mut first: HashMap<String, (Charge, Outcome)> = HashMap::new();
        let mut lines = Vec::new();
        for (nth, (charge, declined)) in charges.iter().enumerate() {
            if nth == cut {
                lines.extend_from_slice(ledger.added());
                ledger = Ledger::of(lines.clone());
            }
            let outcome = ledger.settle(charge, declined.then_some("card declined"));
            match first.get(&charge.key) {
                Some((same, before)) if same == charge => prop_assert_eq!(&outcome, before),
                Some(_) => prop_assert_eq!(outcome.name(), "refused"),
                None => { first.insert(charge.key.clone(), (charge.clone(), outcome)); }
            }
        }
        lines.extend_from_slice(ledger.added());
        prop_assert_eq!(lines.len(), first.len(), "one line a key");
        for of in [order(1), order(2)] {
            let sum = |operation| -> (usize, i64) {
                let done = lines.iter().filter(|line| line.order == of && line.operation == operation && line.refusal.is_none());
                done.fold((0, 0), |(count, sum), line| (count + 1, sum + line.amount.cents()))
            };
            let ((authorizations, authorized), (captures, captured)) = (sum(Authorize), sum(Capture));
            prop_assert!(authorizations <= 1 && captures <= 1);
            prop_assert!(captured <= authorized && sum(Refund).1 <= captured);
            prop_assert!(captures == 0 || sum(Void).0 == 0, "captured and voided");
            let numbers: Vec<i64> = lines.iter().filter(|line| line.order == of).map(|line| line.line).collect();
            prop_assert_eq!(numbers.iter().zip(0..).find(|(line, nth)| *line != nth), None);
        }
    }
}
