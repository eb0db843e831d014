use proptest::prelude::*;
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
    }
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
    next
}

fn ship(id: u128, lines: &[(u128, i64)]) -> Member {
    let order_id = OrderId(shipment_id(id).uuid());
    let lines = lines.iter().map(|&(number, quantity)| (book(number), quantity)).collect();
    Member::Ship(Shipment { id: shipment_id(id), order_id, expected_database: None, lines })
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
        Answer::Decided(Outcome::Voided) => "voided",
        Answer::Mismatch => "mismatch",
        Answer::OtherDatabase => "other database",
        Answer::AlreadyShipped(_) => "too late",
        Answer::Adjusted(_) => "adjusted",
        Answer::Refused(_) => "not adjusted",
    }
}

#[test]
fn members_are_decided_in_order_and_see_what_is_left() {
    let table: &[(&[Row], &[Member], &[&str])] = &[
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
        (
            &[row(1, 9, 0)],
            &[Member::Void(shipment_id(1)), ship(1, &[(1, 1)]), Member::Void(shipment_id(1))],
            &["voided", "voided", "voided"],
        ),
        (
            &[row(1, 0, 0)],
            &[ship(1, &[(1, 1)]), Member::Void(shipment_id(1)), ship(1, &[(1, 1)]), ship(1, &[(1, 2)])],
            &["refused", "voided", "voided", "mismatch"],
        ),
        (
            &[row(1, 9, 0)],
            &[ship(1, &[(1, 1)]), Member::Void(shipment_id(1)), ship(1, &[(1, 1)])],
            &["shipped", "too late", "shipped"],
        ),
        // Never below zero, never below what is set aside.
        (&[row(1, 5, 2)], &[total(1, 1), total(1, 2), ship(1, &[(1, 1)])], &["not adjusted", "adjusted", "refused"]),
        (&[], &[total(1, 1)], &["not adjusted"]),
    ];
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

fn any_member() -> impl Strategy<Value = Member> {
    let lines = prop::collection::btree_map(1..4_u128, 1..6_i64, 1..4);
    prop_oneof![
        6 => (0..8_u128, lines).prop_map(|(id, lines)| ship(id, &lines.into_iter().collect::<Vec<_>>())),
        1 => (0..8_u128).prop_map(|id| Member::Void(shipment_id(id))),
        1 => (1..4_u128, -1..20_i64).prop_map(|(number, quantity)| total(number, quantity)),
        1 => (1..4_u128, 0..20_i64).prop_map(|(number, quantity)| enter(number, quantity)),
    ]
}

fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    let rows = (1..4_u128).map(|number| {
        prop::option::weighted(0.8, (0..20_i64, 0..5_i64))
            .prop_map(move |stock| stock.map(|(free, reserved)| row(number, free + reserved, reserved)))
    });
    rows.collect::<Vec<_>>().prop_map(|rows| rows.into_iter().flatten().collect())
}

proptest! {
    #[test]
    fn stock_is_never_made_nor_lost(rows in any_rows(), members in prop::collection::vec(any_member(), 1..40)) {
        let start = ground(rows);
        let decision = decide(start.clone(), &members);
        prop_assert_eq!(decision.answers.len(), members.len());

        let mut ledger: BTreeMap<BookId, i64> = start.shelf.values().map(|row| (row.book_id, row.quantity)).collect();
        for movement in &decision.movements {
            *ledger.entry(movement.book_id).or_insert(0) += movement.on_hand_delta;
        }
        for departure in &decision.departures {
            for (book_id, _, quantity) in &departure.lines {
                *ledger.entry(*book_id).or_insert(0) -= quantity;
            }
        }
        let end = after(&start, &decision);
        for row in end.shelf.values() {
            prop_assert!(row.reserved >= 0 && row.reserved <= row.quantity, "{row:?}");
            prop_assert_eq!(ledger.get(&row.book_id).copied().unwrap_or(0), row.quantity);
            let version = if start.shelf.get(&row.book_id).is_some_and(|before| before == row) { 3 } else { 10 };
            prop_assert_eq!(row.version, version);
        }

        // All lines of a shipment or none, and none twice.
        let mut departed = BTreeSet::new();
        for departure in &decision.departures {
            let id = departure.receipt.shipment_id;
            prop_assert!(departed.insert(id), "departs twice");
            let lines: BTreeMap<_, _> = departure.lines.iter().map(|(book_id, _, quantity)| (*book_id, *quantity)).collect();
            prop_assert!(members.iter().any(|member| matches!(member, Member::Ship(asked) if asked.id == id && asked.lines == lines)));
        }
        for (member, answer) in members.iter().zip(&decision.answers) {
            if let (Some(id), Answer::Decided(Outcome::Shipped(_))) = (member.shipment(), answer) {
                prop_assert!(departed.contains(&id));
            }
        }
    }

    #[test]
    fn a_batch_is_its_members_one_by_one(
        rows in any_rows(),
        members in prop::collection::vec(any_member(), 1..30),
        cut in 0..30_usize,
    ) {
        let start = ground(rows);
        let whole = decide(start.clone(), &members);
        let (first, second) = members.split_at(cut.min(members.len()));
        let first = decide(start.clone(), first);
        let middle = after(&start, &first);
        let second = decide(middle.clone(), second);

        let apart: Vec<_> = words(&first).into_iter().chain(words(&second)).collect();
        prop_assert_eq!(words(&whole), apart);
        let quantities = |ground: &Ground| ground.shelf.values().map(|row| (row.book_id, row.quantity)).collect::<Vec<_>>();
        prop_assert_eq!(quantities(&after(&start, &whole)), quantities(&after(&middle, &second)));
    }

    #[test]
    fn the_first_outcome_is_final(rows in any_rows(), members in prop::collection::vec(any_member(), 1..20), again in prop::collection::vec(any_member(), 1..20)) {
        let start = ground(rows);
        let first = decide(start.clone(), &members);
        let mut ground = after(&start, &first);
        let decided = ground.known.clone();
        let second = decide(ground.clone(), &again);
        ground = after(&ground, &second);
        for (id, known) in decided {
            let later = &ground.known[&id];
            let voided = matches!(known.outcome, Outcome::Refused(_)) && later.outcome == Outcome::Voided;
            prop_assert!(later.outcome == known.outcome || voided);
        }
        let departed: BTreeSet<_> = first.departures.iter().map(|departure| departure.receipt.shipment_id).collect();
        prop_assert!(second.departures.iter().all(|departure| !departed.contains(&departure.receipt.shipment_id)));
    }
}
