//! Any interleaving of anything.

use proptest::prelude::*;

use super::*;

fn any_member() -> impl Strategy<Value = Member> {
    let lines = || prop::collection::btree_map(1..4_u128, 1..6_i64, 1..4).prop_map(|lines| lines.into_iter().collect());
    let id = || 0..8_u128;
    let asked = move || (id(), lines()).prop_map(|(id, lines): (_, Vec<_>)| shipment(id, &lines));
    // Few sorts of lines for an id, so that the same is asked for again.
    let usual = move || id().prop_map(|id| shipment(id, &[(1 + id % 3, 1 + id as i64 % 4), (1 + (id + 1) % 3, 2)]));
    prop_oneof![
        4 => asked().prop_map(Member::Ship),
        2 => usual().prop_map(Member::Ship),
        2 => (asked(), 1..5_u64).prop_map(|(shipment, hold)| Member::Reserve(shipment, seconds(hold))),
        4 => (usual(), 1..5_u64).prop_map(|(shipment, hold)| Member::Reserve(shipment, seconds(hold))),
        2 => id().prop_map(|id| Member::Confirm(named(id))),
        3 => id().prop_map(|id| Member::ShipHeld(named(id))),
        2 => id().prop_map(|id| Member::Expire(shipment_id(id))),
        1 => id().prop_map(void),
        2 => (0..6_u128, id(), lines()).prop_map(|(id, shipment, lines): (_, _, Vec<_>)| Member::Return(returns::returned(id, shipment, &lines))),
        1 => (1..4_u128, -1..20_i64).prop_map(|(number, quantity)| total(number, quantity)),
        1 => (1..4_u128, 0..20_i64).prop_map(|(number, quantity)| enter(number, quantity)),
    ]
}

/// Batches, each some seconds after the one before.
fn any_batches() -> impl Strategy<Value = Vec<(u64, Vec<Member>)>> {
    prop::collection::vec((0..4_u64, prop::collection::vec(any_member(), 1..20)), 1..8)
}

fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    let rows = (1..4_u128).map(|number| {
        prop::option::weighted(0.8, (0..20_i64, 0..5_i64))
            .prop_map(move |stock| stock.map(|(free, reserved)| row(number, free + reserved, reserved)))
    });
    rows.collect::<Vec<_>>().prop_map(|rows| rows.into_iter().flatten().collect())
}

/// Copies on hand and set aside.
type Columns = BTreeMap<BookId, (i64, i64)>;

fn columns(ground: &Ground) -> Columns {
    ground.shelf.values().map(|row| (row.book_id, (row.quantity, row.reserved))).collect()
}

/// Adds what the ledger would say.
fn book_keeping(columns: &mut Columns, decision: &Decision) {
    let mut add = |book_id: BookId, on_hand: i64, reserved: i64| {
        let row = columns.entry(book_id).or_default();
        *row = (row.0 + on_hand, row.1 + reserved);
    };
    for movement in &decision.movements {
        add(movement.book_id, movement.on_hand_delta, movement.reserved_delta);
    }
    for departure in &decision.departures {
        for line in &departure.lines {
            add(line.book_id, -line.quantity, if departure.was_held { -line.quantity } else { 0 });
        }
    }
}

/// What live reservations set aside beyond what was from the start.
fn set_aside(ground: &Ground) -> BTreeMap<BookId, i64> {
    let mut sums = BTreeMap::new();
    for line in ground.holds.values().filter(|hold| hold.is_live()).flat_map(|hold| &hold.lines) {
        *sums.entry(line.book_id).or_insert(0) += line.quantity;
    }
    sums
}

proptest! {
    #[test]
    fn stock_is_never_made_nor_lost_nor_promised_twice(rows in any_rows(), batches in any_batches()) {
        let start = ground(rows);
        let (mut ledger, mut ground) = (columns(&start), start.clone());
        for (pause, members) in &batches {
            ground.now += seconds(*pause);
            let decision = decide(ground.clone(), members);
            prop_assert_eq!(decision.answers.len(), members.len());
            book_keeping(&mut ledger, &decision);
            let next = after(&ground, &decision);
            let aside = set_aside(&next);
            for row in next.shelf.values() {
                prop_assert!(0 <= row.reserved && row.reserved <= row.quantity, "{row:?}");
                let (quantity, reserved) = ledger.get(&row.book_id).copied().unwrap_or_default();
                prop_assert_eq!((quantity, reserved), (row.quantity, row.reserved), "{}", row.book_id);
                let from_the_start = start.shelf.get(&row.book_id).map_or(0, |row| row.reserved);
                let live = aside.get(&row.book_id).copied().unwrap_or(0);
                prop_assert_eq!(row.reserved - from_the_start, live, "{}", row.book_id);
                let is_changed = ground.shelf.get(&row.book_id) != Some(row);
                prop_assert!(!is_changed || row.version == ground.version);
            }
            ground = next;
        }
    }

    #[test]
    fn each_id_ends_once(rows in any_rows(), batches in any_batches()) {
        let mut ground = ground(rows);
        let mut departed: BTreeMap<ShipmentId, BTreeMap<BookId, i64>> = BTreeMap::new();
        for (pause, members) in &batches {
            ground.now += seconds(*pause);
            let decision = decide(ground.clone(), members);
            for departure in &decision.departures {
                let id = departure.receipt.shipment_id;
                let lines = departure.lines.iter().map(|line| (line.book_id, line.quantity)).collect();
                prop_assert!(departed.insert(id, lines).is_none(), "departs twice");
            }
            let next = after(&ground, &decision);
            for (id, known) in &ground.known {
                let later = &next.known[id].outcome;
                let voided = matches!(known.outcome, Outcome::Refused(_)) && *later == Outcome::Voided;
                prop_assert!(*later == known.outcome || voided, "{id}: {:?} then {later:?}", known.outcome);
            }
            for (id, hold) in &next.holds {
                let outcome = next.known.get(id).map(|known| &known.outcome);
                let agrees = match hold.status {
                    ReservationStatus::Held | ReservationStatus::Confirmed => outcome.is_none(),
                    ReservationStatus::Shipped => matches!(outcome, Some(Outcome::Shipped(_))),
                    ReservationStatus::Released | ReservationStatus::Expired => outcome == Some(&Outcome::Voided),
                };
                prop_assert!(agrees, "{id}: {hold:?} and {outcome:?}");
                let before = ground.holds.get(id).filter(|before| !before.is_live());
                prop_assert!(before.is_none_or(|before| before == hold), "{id} changes after its end");
                if hold.status == ReservationStatus::Shipped {
                    let lines: BTreeMap<_, _> = hold.lines.iter().map(|line| (line.book_id, line.quantity)).collect();
                    prop_assert_eq!(departed.get(id), Some(&lines));
                }
            }
            for (member, answer) in members.iter().zip(&decision.answers) {
                if let (Some(id), Answer::Decided(Outcome::Shipped(_)) | Answer::AlreadyShipped(_)) = (member.shipment(), answer) {
                    prop_assert!(departed.contains_key(&id));
                }
            }
            ground = next;
        }
        // No more comes back than has left.
        let mut back: BTreeMap<(ShipmentId, BookId), i64> = BTreeMap::new();
        for returned in ground.returns.values() {
            for (book_id, quantity) in &returned.lines {
                *back.entry((returned.receipt.shipment_id, *book_id)).or_insert(0) += quantity;
            }
        }
        for ((id, book_id), quantity) in back {
            prop_assert!(quantity <= departed[&id][&book_id], "{id} {book_id}: {quantity}");
        }
    }

    #[test]
    fn a_batch_is_its_members_one_by_one(rows in any_rows(), batches in any_batches(), cut in 0..20_usize) {
        let (mut whole, mut apart) = (ground(rows.clone()), ground(rows));
        for (pause, members) in &batches {
            whole.now += seconds(*pause);
            apart.now += seconds(*pause);
            let together = decide(whole.clone(), members);
            whole = after(&whole, &together);
            let (first, second) = members.split_at(cut.min(members.len()));
            let mut said = Vec::new();
            for part in [first, second] {
                let decision = decide(apart.clone(), part);
                said.extend(words(&decision));
                apart = after(&apart, &decision);
            }
            prop_assert_eq!(words(&together), said);
            prop_assert_eq!(columns(&whole), columns(&apart));
            prop_assert_eq!(&whole.holds, &apart.holds);
        }
    }
}
