mod holds;
mod properties;
mod returns;

use std::time::Duration;

use contract::{ReservationStatus, StockRow, time};
use uuid::Uuid;

use super::*;

fn book(number: u128) -> BookId {
    BookId(Uuid::from_u128(number))
}

fn shipment_id(number: u128) -> ShipmentId {
    ShipmentId(Uuid::from_u128(1_000 + number))
}

fn database() -> DatabaseId {
    DatabaseId(Uuid::from_u128(77))
}

fn row(number: u128, quantity: i64, reserved: i64) -> Row {
    let isbn = format!("isbn-{number}");
    let updated_at = Timestamp::UNIX_EPOCH;
    Row { book_id: book(number), isbn, title: None, author: None, quantity, reserved, version: 3, updated_at }
}

fn ground(rows: impl IntoIterator<Item = Row>) -> Ground {
    Ground {
        warehouse_name: "alpha".to_owned(),
        database_id: database(),
        version: 10,
        now: Timestamp::UNIX_EPOCH,
        shelf: rows.into_iter().map(|row| (row.book_id, row)).collect(),
        known: BTreeMap::new(),
        holds: BTreeMap::new(),
        shipped: BTreeMap::new(),
        returns: BTreeMap::new(),
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The ground of the next batch, as the database would have it.
fn after(ground: &Ground, decision: &Decision) -> Ground {
    let mut next = ground.clone();
    next.version += 1;
    for row in decision.taken.iter().chain(&decision.entered) {
        next.shelf.insert(row.book_id, row.clone());
    }
    for record in &decision.records {
        let Record { shipment_id, order_id, items_hash, outcome } = record.clone();
        next.known.insert(shipment_id, Known { order_id, items_hash, outcome });
    }
    next.holds.extend(decision.holds.iter().cloned());
    next.returns.extend(decision.returns.iter().cloned());
    for departure in &decision.departures {
        let lines = departure.lines.iter().map(|line| (line.book_id, line.quantity)).collect();
        next.shipped.insert(departure.receipt.shipment_id, lines);
    }
    next
}

fn shipment(id: u128, lines: &[(u128, i64)]) -> Shipment {
    let order_id = OrderId(shipment_id(id).uuid());
    let lines = lines.iter().map(|&(number, quantity)| (book(number), quantity)).collect();
    Shipment { id: shipment_id(id), order_id, expected_database: None, lines }
}

fn ship(id: u128, lines: &[(u128, i64)]) -> Member {
    Member::Ship(shipment(id, lines))
}

fn named(id: u128) -> Named {
    Named { id: shipment_id(id), expected_database: None }
}

fn void(id: u128) -> Member {
    Member::Void(named(id))
}

fn total(number: u128, quantity: i64) -> Member {
    let change = Change::Total(quantity);
    Member::Adjust(Adjustment { book_id: book(number), change, made_by: "staff".to_owned(), reason: None })
}

fn enter(number: u128, quantity: i64) -> Member {
    let change = Change::Enter { isbn: "new".to_owned(), title: None, author: None, quantity };
    Member::Adjust(Adjustment { book_id: book(number), change, made_by: "staff".to_owned(), reason: None })
}

/// A word for each answer.
fn words(decision: &Decision) -> Vec<&'static str> {
    decision.answers.iter().map(word).collect()
}

fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Decided(Outcome::Shipped(_)) => "shipped",
        Answer::Decided(Outcome::Refused(_)) => "refused",
        Answer::Never(_) => "voided",
        Answer::Decided(Outcome::Voided) => panic!("voided is answered by what was set aside"),
        Answer::Held { reservation, is_new } => match (reservation.status, is_new) {
            (ReservationStatus::Held, true) => "held",
            (ReservationStatus::Held, false) => "still held",
            (ReservationStatus::Confirmed, false) => "confirmed",
            other => panic!("{other:?}"),
        },
        Answer::Voided(_) => "is void",
        Answer::Returned(_) => "returned",
        Answer::NotShipped(_) => "not shipped",
        Answer::Unknown => "unknown",
        Answer::Swept => "swept",
        Answer::Mismatch => "mismatch",
        Answer::OtherDatabase => "other database",
        Answer::AlreadyShipped(_) => "too late",
        Answer::Adjusted(_) => "adjusted",
        Answer::Refused(_) => "not adjusted",
    }
}

#[test]
fn members_are_decided_in_order_and_see_what_is_left() {
    let table: &Table<'_> = &[
        // Ten copies: the third takes what the second could not.
        (
            &[row(1, 10, 0)],
            &[ship(1, &[(1, 7)]), ship(2, &[(1, 4)]), ship(3, &[(1, 3)])],
            &["shipped", "refused", "shipped"],
        ),
        // All lines or none: the second book is short, so the first is left for the next.
        (&[row(1, 1, 0), row(2, 0, 0)], &[ship(1, &[(1, 1), (2, 1)]), ship(2, &[(1, 1)])], &["refused", "shipped"]),
        // What is reserved is not free.
        (&[row(1, 5, 3)], &[ship(1, &[(1, 3)]), ship(2, &[(1, 2)])], &["refused", "shipped"]),
        // A book without a row.
        (&[], &[ship(1, &[(1, 1)])], &["refused"]),
        // Restocked between two: the first stays refused (R2).
        (
            &[row(1, 0, 0)],
            &[ship(1, &[(1, 1)]), total(1, 5), ship(1, &[(1, 1)]), ship(2, &[(1, 1)])],
            &["refused", "adjusted", "refused", "shipped"],
        ),
        // Entered and shipped at once.
        (&[], &[enter(1, 2), ship(1, &[(1, 2)]), ship(2, &[(1, 1)])], &["adjusted", "shipped", "refused"]),
        // The same id with other items, or for another order.
        (
            &[row(1, 9, 0)],
            &[ship(1, &[(1, 1)]), ship(1, &[(1, 2)]), ship(1, &[(1, 1)])],
            &["shipped", "mismatch", "shipped"],
        ),
        (&[row(1, 0, 0)], &[ship(1, &[(1, 1)]), ship(1, &[(1, 2)])], &["refused", "mismatch"]),
        // Void (R3): unknown, refused, shipped, again.
        (&[row(1, 9, 0)], &[void(1), ship(1, &[(1, 1)]), void(1)], &["is void", "voided", "is void"]),
        (
            &[row(1, 0, 0)],
            &[ship(1, &[(1, 1)]), void(1), ship(1, &[(1, 1)]), ship(1, &[(1, 2)])],
            &["refused", "is void", "voided", "mismatch"],
        ),
        (&[row(1, 9, 0)], &[ship(1, &[(1, 1)]), void(1), ship(1, &[(1, 1)])], &["shipped", "too late", "shipped"]),
        // Never below zero, never below what is set aside.
        (&[row(1, 5, 2)], &[total(1, 1), total(1, 2), ship(1, &[(1, 1)])], &["not adjusted", "adjusted", "refused"]),
        (&[], &[total(1, 1)], &["not adjusted"]),
    ];
    check(table);
}

/// Rows, what is asked, and a word for each answer: in one batch, and in a batch each.
type Table<'a> = [(&'a [Row], &'a [Member], &'a [&'a str])];

fn check(table: &Table<'_>) {
    for (rows, members, expected) in table {
        let start = ground(rows.iter().cloned());
        assert_eq!(words(&decide(start.clone(), members)), *expected, "in one batch: {members:?}");

        let mut ground = start;
        let one_by_one = members.iter().map(|member| {
            let decision = decide(ground.clone(), std::slice::from_ref(member));
            ground = after(&ground, &decision);
            words(&decision)[0]
        });
        assert_eq!(one_by_one.collect::<Vec<_>>(), *expected, "one by one: {members:?}");
    }
}

#[test]
fn r13_twenty_equal_ids_in_a_batch_are_one_shipment_and_twenty_answers() {
    let members: Vec<Member> = (0..20).map(|_| ship(1, &[(1, 2), (2, 1)])).collect();
    let decision = decide(ground([row(1, 10, 0), row(2, 10, 0)]), &members);
    assert_eq!(decision.departures.len(), 1);
    assert_eq!(decision.records.len(), 1);
    assert_eq!(decision.answers.len(), 20);
    assert!(decision.answers.iter().all(|answer| *answer == decision.answers[0]));
    let quantities: Vec<i64> = decision.taken.iter().map(|row| row.quantity).collect();
    assert_eq!(quantities, [8, 9]);
}

#[test]
fn r14_answers_carry_rows_as_the_commit_leaves_them() {
    let decision = decide(
        ground([row(1, 10, 1), row(2, 5, 0)]),
        &[ship(1, &[(1, 2)]), ship(2, &[(1, 20), (2, 1), (3, 1)]), ship(3, &[(1, 3)])],
    );
    let one = StockRow { book_id: book(1), quantity: 5, reserved: 1, version: 10 };
    let [Answer::Decided(Outcome::Shipped(first)), Answer::Decided(Outcome::Refused(second)), _] =
        &decision.answers[..]
    else {
        panic!("{:?}", decision.answers)
    };
    assert_eq!(first.stock, [one], "what the third member took is seen too");
    assert_eq!((first.database_id, first.warehouse_name.as_str()), (database(), "alpha"));
    let untouched = StockRow { book_id: book(2), quantity: 5, reserved: 0, version: 3 };
    let unknown = StockRow { book_id: book(3), quantity: 0, reserved: 0, version: 10 };
    assert_eq!(second.stock, [one, untouched, unknown]);
    let shortfalls: Vec<_> =
        second.shortfalls.iter().map(|line| (line.book_id, line.requested, line.available)).collect();
    assert_eq!(shortfalls, [(book(1), 20, 7), (book(3), 1, 0)], "as it was when the second was decided");
}

#[test]
fn r19_a_caller_that_means_another_database_changes_nothing() {
    let Member::Ship(mut shipment) = ship(1, &[(1, 1)]) else { unreachable!() };
    shipment.expected_database = Some(DatabaseId(Uuid::from_u128(78)));
    let start = ground([row(1, 10, 0)]);
    let decision = decide(start.clone(), &[Member::Ship(shipment.clone())]);
    assert_eq!(decision, Decision { answers: vec![Answer::OtherDatabase], ..Decision::default() });
    shipment.expected_database = Some(database());
    assert_eq!(words(&decide(start, &[Member::Ship(shipment)])), ["shipped"]);
}

#[test]
fn an_adjustment_that_changes_nothing_writes_nothing() {
    let decision = decide(ground([row(1, 10, 0)]), &[total(1, 10)]);
    assert_eq!(words(&decision), ["adjusted"]);
    assert!(decision.taken.is_empty() && decision.entered.is_empty() && decision.movements.is_empty());
}
