//! Copies that come back.

use contract::MAX_STOCK;

use super::*;

pub(super) fn returned(id: u128, shipment: u128, lines: &[(u128, i64)]) -> Return {
    Return {
        id: ReturnId(Uuid::from_u128(5_000 + id)),
        order_id: OrderId(shipment_id(shipment).uuid()),
        shipment_id: shipment_id(shipment),
        expected_database: None,
        lines: lines.iter().map(|&(number, quantity)| (book(number), quantity)).collect(),
        reason: Some("damaged".to_owned()),
    }
}

fn take_back(id: u128, shipment: u128, lines: &[(u128, i64)]) -> Member {
    Member::Return(returned(id, shipment, lines))
}

#[test]
fn what_was_shipped_comes_back_once_and_nothing_else_does() {
    let stranger = Return { order_id: OrderId(Uuid::from_u128(4)), ..returned(1, 1, &[(1, 1)]) };
    check(&[
        // In parts, up to what was shipped; under a key that is known nothing more happens.
        (
            &[row(1, 5, 0), row(2, 5, 0)],
            &[
                ship(1, &[(1, 3), (2, 1)]),
                take_back(1, 1, &[(1, 2)]),
                take_back(1, 1, &[(1, 2)]),
                take_back(2, 1, &[(1, 2)]),
                take_back(3, 1, &[(1, 1), (2, 1)]),
                take_back(4, 1, &[(2, 1)]),
                take_back(1, 1, &[(1, 1)]),
            ],
            &["shipped", "returned", "returned", "not shipped", "returned", "not shipped", "mismatch"],
        ),
        // Not before it is shipped, not what another shipment took, and for its own order only.
        (
            &[row(1, 5, 0), row(2, 5, 0)],
            &[
                take_back(1, 1, &[(1, 1)]),
                Member::Reserve(shipment(1, &[(1, 1)]), seconds(60)),
                take_back(1, 1, &[(1, 1)]),
                Member::ShipHeld(named(1)),
                take_back(1, 1, &[(2, 1)]),
                Member::Return(stranger),
                take_back(1, 1, &[(1, 1)]),
            ],
            &["not shipped", "held", "not shipped", "shipped", "not shipped", "mismatch", "returned"],
        ),
        // What is back may be sold again.
        (
            &[row(1, 1, 0)],
            &[ship(1, &[(1, 1)]), ship(2, &[(1, 1)]), take_back(1, 1, &[(1, 1)]), ship(3, &[(1, 1)])],
            &["shipped", "refused", "returned", "shipped"],
        ),
        // No more than can be held.
        (
            &[row(1, MAX_STOCK, 0)],
            &[ship(1, &[(1, 1)]), total(1, MAX_STOCK), take_back(1, 1, &[(1, 1)])],
            &["shipped", "adjusted", "not adjusted"],
        ),
        (&[row(1, 1, 0)], &[void(1), take_back(1, 1, &[(1, 1)])], &["is void", "not shipped"]),
    ]);
}

#[test]
fn a_return_says_what_is_missing_and_moves_what_is_there() {
    let start = ground([row(1, 5, 1), row(2, 5, 0)]);
    let members = [ship(1, &[(1, 3)]), take_back(1, 1, &[(1, 2)]), take_back(2, 1, &[(1, 2), (2, 1)])];
    let decision = decide(start, &members);
    let short = |number, requested, available| Shortfall { book_id: book(number), requested, available };
    assert_eq!(decision.answers[2], Answer::NotShipped(vec![short(1, 2, 1), short(2, 1, 0)]));
    let Answer::Returned(receipt) = &decision.answers[1] else { panic!("{:?}", decision.answers) };
    assert_eq!(receipt.stock, [StockRow { book_id: book(1), quantity: 4, reserved: 1, version: 10 }]);
    let [movement] = &decision.movements[..] else { panic!("{:?}", decision.movements) };
    assert_eq!((movement.kind, movement.on_hand_delta, movement.reserved_delta), (MovementKind::Returned, 2, 0));
    assert_eq!((movement.reason.as_deref(), movement.shipment_id), (Some("damaged"), Some(shipment_id(1))));
    assert_eq!(decision.returns.len(), 1);
}
