//! Reservations.

use super::*;

fn reserve(id: u128, lines: &[(u128, i64)]) -> Member {
    Member::Reserve(shipment(id, lines), seconds(60))
}

fn confirm(id: u128) -> Member {
    Member::Confirm(named(id))
}

fn ship_held(id: u128) -> Member {
    Member::ShipHeld(named(id))
}

#[test]
fn what_is_set_aside_is_free_for_nobody_until_it_is_released() {
    check(&[
        // Ten copies, seven set aside.
        (
            &[row(1, 10, 0)],
            &[reserve(1, &[(1, 7)]), ship(2, &[(1, 4)]), reserve(3, &[(1, 4)]), ship(4, &[(1, 3)])],
            &["held", "refused", "refused", "shipped"],
        ),
        // All lines or none.
        (&[row(1, 5, 0), row(2, 0, 0)], &[reserve(1, &[(1, 5), (2, 1)]), reserve(2, &[(1, 5)])], &["refused", "held"]),
        // Released by either name: at once free again, and never to be shipped.
        (
            &[row(1, 5, 0)],
            &[reserve(1, &[(1, 5)]), void(1), ship(2, &[(1, 5)]), ship_held(1), reserve(1, &[(1, 5)]), void(1)],
            &["held", "is void", "shipped", "voided", "voided", "is void"],
        ),
        // People may not take what is set aside.
        (
            &[row(1, 5, 0)],
            &[reserve(1, &[(1, 3)]), total(1, 2), total(1, 3), enter(1, 2), enter(1, 4)],
            &["held", "not adjusted", "adjusted", "not adjusted", "adjusted"],
        ),
        // A book without a row.
        (&[], &[reserve(1, &[(1, 1)])], &["refused"]),
    ]);
}

#[test]
fn each_step_may_be_repeated_and_the_first_end_is_final() {
    check(&[
        (
            &[row(1, 5, 0)],
            &[
                reserve(1, &[(1, 2)]),
                reserve(1, &[(1, 2)]),
                confirm(1),
                confirm(1),
                reserve(1, &[(1, 2)]),
                ship_held(1),
                ship_held(1),
                confirm(1),
                reserve(1, &[(1, 2)]),
                void(1),
                ship(1, &[(1, 2)]),
            ],
            &[
                "held",
                "still held",
                "confirmed",
                "confirmed",
                "confirmed",
                "shipped",
                "shipped",
                "too late",
                "too late",
                "too late",
                "shipped",
            ],
        ),
        // Held is enough to be shipped, and under its id a shipment takes what is set aside for it.
        (&[row(1, 5, 0)], &[reserve(1, &[(1, 5)]), ship_held(1)], &["held", "shipped"]),
        (&[row(1, 5, 0)], &[reserve(1, &[(1, 5)]), ship(1, &[(1, 5)]), void(1)], &["held", "shipped", "too late"]),
        // The same id with other items.
        (
            &[row(1, 5, 0)],
            &[reserve(1, &[(1, 2)]), reserve(1, &[(1, 3)]), ship(1, &[(1, 3)]), ship_held(1), reserve(1, &[(1, 1)])],
            &["held", "mismatch", "mismatch", "shipped", "mismatch"],
        ),
        // Nothing is made of an id that nobody asked under.
        (&[row(1, 5, 0)], &[confirm(1), ship_held(1), reserve(1, &[(1, 2)])], &["unknown", "unknown", "held"]),
        // Voided first: a late reservation comes to nothing.
        (
            &[row(1, 5, 0)],
            &[void(1), reserve(1, &[(1, 2)]), confirm(1), ship_held(1)],
            &["is void", "voided", "voided", "voided"],
        ),
        // Refused stays refused, and can only be voided.
        (
            &[row(1, 1, 0)],
            &[
                reserve(1, &[(1, 2)]),
                total(1, 5),
                reserve(1, &[(1, 2)]),
                confirm(1),
                ship_held(1),
                void(1),
                reserve(1, &[(1, 2)]),
            ],
            &["refused", "adjusted", "refused", "voided", "voided", "is void", "voided"],
        ),
    ]);
}

/// The ground `later` seconds after the epoch, on which `id` was set aside for a minute.
fn held_ground(later: u64) -> Ground {
    let start = ground([row(1, 5, 0)]);
    let mut next = after(&start, &decide(start.clone(), &[reserve(1, &[(1, 2)])]));
    next.now += seconds(later);
    next
}

#[test]
fn a_reservation_ends_at_the_very_instant_that_it_expires_and_for_whoever_comes_first() {
    let members: [(Member, &str, &str); 6] = [
        (reserve(1, &[(1, 2)]), "still held", "voided"),
        (confirm(1), "confirmed", "voided"),
        (ship_held(1), "shipped", "voided"),
        (ship(1, &[(1, 2)]), "shipped", "voided"),
        (void(1), "is void", "is void"),
        (Member::Expire(shipment_id(1)), "swept", "swept"),
    ];
    for (member, before, from_then_on) in members {
        assert_eq!(words(&decide(held_ground(59), std::slice::from_ref(&member))), [before], "{member:?}");
        for later in [60, 61, 100_000] {
            let ground = held_ground(later);
            let decision = decide(ground.clone(), std::slice::from_ref(&member));
            assert_eq!(words(&decision), [from_then_on], "{later} {member:?}");
            let end = after(&ground, &decision);
            assert_eq!(end.shelf[&book(1)].reserved, 0, "{later} {member:?}");
            assert_eq!(end.holds[&shipment_id(1)].status, ReservationStatus::Expired);
            assert_eq!(end.known[&shipment_id(1)].outcome, Outcome::Voided);
        }
    }
    // Not by a sweep before its time, and never once it is confirmed.
    let sweep = Member::Expire(shipment_id(1));
    assert_eq!(
        decide(held_ground(59), std::slice::from_ref(&sweep)),
        Decision { answers: vec![Answer::Swept], ..Decision::default() }
    );
    let mut kept = held_ground(59);
    kept = after(&kept, &decide(kept.clone(), &[confirm(1)]));
    kept.now += seconds(100_000);
    assert_eq!(words(&decide(kept, &[sweep, ship_held(1)])), ["swept", "shipped"]);
}

#[test]
fn what_expires_is_free_for_the_next_of_the_batch() {
    let ground = held_ground(60);
    let members = [reserve(2, &[(1, 4)]), Member::Expire(shipment_id(1)), reserve(3, &[(1, 4)])];
    assert_eq!(words(&decide(ground, &members)), ["refused", "swept", "held"]);
}

#[test]
fn a_reservation_moves_the_copies_set_aside_and_its_shipment_both() {
    let start = ground([row(1, 10, 1), row(2, 4, 0)]);
    let decision = decide(start.clone(), &[reserve(1, &[(1, 2), (2, 4)]), reserve(2, &[(1, 3)])]);
    let Answer::Held { reservation, .. } = &decision.answers[0] else { panic!("{:?}", decision.answers) };
    let stock: Vec<_> = reservation.stock.iter().map(|row| (row.quantity, row.reserved, row.version)).collect();
    assert_eq!(stock, [(10, 6, 10), (4, 4, 10)], "as the commit leaves them");
    assert_eq!(reservation.expires_at, time::parse("1970-01-01T00:01:00Z"));
    let moved = |decision: &Decision| {
        let of = |movement: &Movement| (movement.kind, movement.on_hand_delta, movement.reserved_delta);
        decision.movements.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(
        moved(&decision),
        [(MovementKind::Reserved, 0, 2), (MovementKind::Reserved, 0, 4), (MovementKind::Reserved, 0, 3)]
    );
    let next = after(&start, &decision);
    let decision = decide(next.clone(), &[ship_held(1), void(2)]);
    let departed: Vec<_> =
        decision.departures[0].lines.iter().map(|line| (line.isbn.as_str(), line.quantity)).collect();
    assert_eq!((departed, decision.departures[0].was_held), (vec![("isbn-1", 2), ("isbn-2", 4)], true));
    assert_eq!(moved(&decision), [(MovementKind::Released, 0, -3)]);
    let left = StockRow { book_id: book(1), quantity: 8, reserved: 1, version: 11 };
    assert_eq!(decision.answers[1], Answer::Voided(vec![left]));
    let again = decide(after(&next, &decision), &[void(2), void(3)]);
    assert_eq!(again.answers, [Answer::Voided(vec![left]), Answer::Voided(vec![])], "also when it is repeated");
    let late = decide(after(&next, &decision), &[confirm(2), ship_held(2), reserve(2, &[(1, 3)])]);
    assert_eq!(late.answers, vec![Answer::Never(vec![left]); 3], "and to whoever comes too late");
}

#[test]
fn r13_twenty_equal_reservations_in_a_batch_set_aside_once() {
    let members: Vec<Member> = (0..20).map(|_| reserve(1, &[(1, 3)])).collect();
    let decision = decide(ground([row(1, 10, 0)]), &members);
    assert_eq!(words(&decision)[0], "held");
    assert!(words(&decision)[1..].iter().all(|word| *word == "still held"));
    assert_eq!((decision.holds.len(), decision.movements.len(), decision.taken[0].reserved), (1, 1, 3));
}

#[test]
fn r19_a_caller_that_means_another_database_touches_no_reservation() {
    let elsewhere = Some(DatabaseId(Uuid::from_u128(78)));
    let other = Named { id: shipment_id(1), expected_database: elsewhere };
    let made = Shipment { expected_database: elsewhere, ..shipment(2, &[(1, 1)]) };
    let members =
        [Member::Confirm(other), Member::ShipHeld(other), Member::Void(other), Member::Reserve(made, seconds(60))];
    let decision = decide(held_ground(100), &members);
    assert_eq!(decision, Decision { answers: vec![Answer::OtherDatabase; 4], ..Decision::default() });
}
