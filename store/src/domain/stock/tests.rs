use chrono::{DateTime, TimeDelta};
use proptest::prelude::{Just, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generated;
use uuid::Uuid;

use super::*;

fn book(n: u128) -> BookId {
    BookId(Uuid::from_u128(n))
}

fn warehouse(n: u128) -> WarehouseId {
    WarehouseId(Uuid::from_u128(n))
}

fn order(n: u128) -> OrderId {
    OrderId(Uuid::from_u128(n))
}

fn at(seconds: i64) -> Timestamp {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn row(n: u128, quantity: i64, version: i64) -> StockRow {
    StockRow { book_id: book(n), quantity, reserved: 0, version }
}

fn line(n: u128, quantity: u32) -> Line {
    Line { book: book(n), quantity }
}

fn want(n: u128, quantity: u32) -> Wants {
    Wants { demand: Demand::new(&[line(n, quantity)]), ..Wants::default() }
}

fn split(lines: &[Line]) -> Wants {
    Wants { demand: Demand::new(lines), allow_split: true, exclude: vec![] }
}

/// The only warehouse of an order's plan.
fn place(planned: Result<Plan, Vec<Shortfall>>) -> String {
    let [part] = &planned.unwrap().parts[..] else { panic!("one warehouse") };
    part.name.clone()
}

fn site(name: &str) -> Site {
    Site { name: name.to_owned(), sourceable: true, priority: 0 }
}

/// Warehouse 1 has ten copies of book 1, warehouse 2 four, both at version 5.
fn two_warehouses() -> Stock {
    let mut stock = Stock::default();
    stock.set_site(warehouse(1), site("alpha"));
    stock.set_site(warehouse(2), site("beta"));
    stock.set_rows(warehouse(1), &[row(1, 10, 5)], at(0));
    stock.set_rows(warehouse(2), &[row(1, 4, 5)], at(0));
    stock
}

#[test]
fn r09_a_hundred_buyers_of_ten_copies_get_ten_plans() {
    let mut stock = Stock::default();
    stock.set_site(warehouse(1), site("alpha"));
    stock.set_rows(warehouse(1), &[row(1, 10, 5)], at(0));
    let planned = (0..100).filter(|&n| stock.plan(order(n), &want(1, 1), at(0)).is_ok()).count();
    assert_eq!(planned, 10);
    assert_eq!(stock.available(book(1)), 0);
}

#[test]
fn settling_sets_the_row_by_version_and_frees_the_promise() {
    let mut stock = two_warehouses();
    assert_eq!(place(stock.plan(order(1), &want(1, 3), at(0))), "alpha");
    assert_eq!(stock.available(book(1)), 11);
    stock.set_rows(warehouse(1), &[row(1, 7, 6)], at(1));
    stock.release(order(1));
    assert_eq!(stock.available(book(1)), 11);
    for _ in 0..2 {
        stock.set_rows(warehouse(1), &[row(1, 10, 5)], at(2));
        stock.release(order(1));
    }
    assert_eq!(stock.available(book(1)), 11, "an older version and a second release change nothing");
    stock.set_rows(warehouse(1), &[row(1, 9, 6)], at(3));
    assert_eq!(stock.available(book(1)), 11, "only a pull is right at the same version");
}

#[test]
fn planning_again_replaces_and_asserting_again_does_nothing() {
    let mut stock = two_warehouses();
    stock.plan(order(1), &want(1, 4), at(0)).unwrap();
    assert_eq!(place(stock.plan(order(1), &Wants { exclude: vec![warehouse(1)], ..want(1, 4) }, at(0))), "beta");
    for _ in 0..2 {
        stock.assert(order(1), &[(warehouse(2), vec![line(1, 4)])], at(0));
        assert_eq!(stock.available(book(1)), 10);
    }
    stock.assert(order(1), &[(warehouse(1), vec![line(1, 4)])], at(0));
    let shelves: Vec<_> = stock.of(book(1)).shelves.into_iter().map(|shelf| shelf.quantity).collect();
    assert_eq!(shelves, [6, 4]);
    assert_eq!(stock.plan(order(1), &want(1, 99), at(0)).unwrap_err().len(), 1);
    assert_eq!((stock.allocations(), stock.available(book(1))), (0, 14), "a plan that fails holds nothing");
}

#[test]
fn a_warehouse_that_cannot_be_sourced_is_listed_but_not_counted() {
    let mut stock = two_warehouses();
    stock.set_site(warehouse(1), Site { sourceable: false, ..site("alpha") });
    let of = stock.of(book(1));
    assert_eq!((of.available, of.shelves.len()), (4, 2));
    assert_eq!(place(stock.plan(order(1), &want(1, 2), at(0))), "beta");
    assert_eq!(stock.plan(order(2), &want(1, 3), at(0)).unwrap_err()[0].available, 2);
}

#[test]
fn a_warehouse_that_is_gone_is_sourced_no_more_and_what_it_held_can_still_be_given_back() {
    let mut stock = two_warehouses();
    assert_eq!(place(stock.plan(order(1), &want(1, 3), at(0))), "alpha");
    stock.remove_site(warehouse(1));
    assert_eq!((stock.available(book(1)), stock.of(book(1)).shelves.len()), (4, 1));
    assert!(stock.plan(order(2), &want(1, 5), at(0)).is_err());
    assert!(!stock.shelves.is_sound(), "promised, and not there");
    stock.release(order(1));
    assert!(stock.shelves.is_sound());
    stock.set_site(warehouse(1), site("alpha"));
    assert_eq!(stock.available(book(1)), 4, "it comes back without its rows");
}

#[test]
fn r17_last_synced_is_the_later_of_write_and_pull() {
    let mut stock = two_warehouses();
    let synced = |stock: &Stock| stock.of(book(1)).shelves[0].last_synced;
    stock.set_rows(warehouse(1), &[row(1, 9, 6)], at(20));
    assert_eq!(synced(&stock), at(20));
    stock.apply_pull(warehouse(1), &Snapshot::new(6, [row(1, 9, 6)]), false, at(30));
    assert_eq!(synced(&stock), at(30));
    stock.set_rows(warehouse(1), &[row(1, 8, 7)], at(40));
    assert_eq!(synced(&stock), at(40));
}

#[test]
fn a_pull_sets_by_version_removes_what_is_gone_and_keeps_what_is_newer() {
    let mut stock = two_warehouses();
    stock.set_rows(warehouse(1), &[row(2, 3, 4), row(3, 3, 9)], at(0));
    stock.apply_pull(warehouse(1), &Snapshot::new(8, [row(1, 12, 5)]), false, at(1));
    let left: Vec<_> = (1..=3).map(|n| stock.of(book(n)).shelves.first().map_or(0, |shelf| shelf.quantity)).collect();
    assert_eq!(left, [12, 0, 3]);
    stock.apply_pull(warehouse(1), &Snapshot::new(2, [row(1, 1, 2)]), true, at(2));
    assert_eq!((stock.of(book(1)).shelves[0].quantity, stock.of(book(3)).shelves.len()), (1, 0));
}

/// A line of one book that waits since then, whatever stock there is.
fn waits(stock: &mut Stock, n: u128, since: i64, lines: &[Line]) {
    assert!(stock.wait(order(n), at(since), split(lines)));
    assert_eq!(stock.serve(usize::MAX, at(100)), [], "order {n} is to wait");
}

fn served(stock: &mut Stock) -> Vec<u128> {
    let served = stock.serve(usize::MAX, at(100));
    assert!(!stock.is_serving());
    served.into_iter().map(|order| order.uuid().as_u128()).collect()
}

/// Warehouse 1 with nothing of book 1.
fn sold_out() -> Stock {
    let mut stock = Stock::default();
    stock.set_site(warehouse(1), site("alpha"));
    stock.set_rows(warehouse(1), &[row(1, 0, 1)], at(0));
    stock
}

#[test]
fn a_hundred_buyers_share_two_warehouses_and_nothing_is_promised_twice() {
    let mut stock = two_warehouses();
    // Fourteen copies: nine buyers of one and two of two get theirs, one of them from both warehouses.
    let wanted = |n: u128| if n % 4 == 1 { 2 } else { 1 };
    let planned = (0..100).filter(|&n| stock.plan(order(n), &split(&[line(1, wanted(n))]), at(0)).is_ok());
    let planned: Vec<_> = planned.collect();
    assert_eq!(planned.iter().map(|&n| wanted(n)).sum::<u32>(), 14);
    assert_eq!(stock.available(book(1)), 0);
    assert!(stock.shelves.is_sound());
}

#[test]
fn the_parts_of_an_order_settle_one_by_one() {
    let mut stock = two_warehouses();
    let plan = stock.plan(order(1), &split(&[line(1, 13)]), at(0)).unwrap();
    assert_eq!(plan.parts.iter().map(|part| part.lines[0].quantity).collect::<Vec<_>>(), [10, 3]);
    assert_eq!((stock.available(book(1)), stock.held_since_before(at(1)).len()), (1, 2));
    stock.settle(order(1), warehouse(2), &[row(1, 1, 6)], at(1));
    assert_eq!((stock.available(book(1)), stock.held_since_before(at(1)).len()), (1, 1), "alpha's ten are still held");
    stock.settle(order(1), warehouse(2), &[row(1, 1, 6)], at(1));
    stock.settle(order(1), warehouse(1), &[row(1, 0, 6)], at(1));
    assert_eq!((stock.available(book(1)), stock.allocations()), (1, 0));
}

#[test]
fn exactly_what_is_asserted_is_held() {
    let mut stock = two_warehouses();
    stock.plan(order(1), &split(&[line(1, 13)]), at(0)).unwrap();
    stock.assert(order(1), &[(warehouse(2), vec![line(1, 1), line(1, 2)])], at(5));
    assert_eq!(stock.available(book(1)), 11);
    assert_eq!(stock.held_since_before(at(5)), [], "since then");
    stock.assert(order(1), &[(warehouse(2), vec![line(1, 3)])], at(9));
    assert_eq!(
        stock.held_since_before(at(6)),
        [(order(1), warehouse(2), vec![book(1)])],
        "the same, so since then still"
    );
    stock.assert(order(1), &[], at(5));
    assert_eq!((stock.available(book(1)), stock.allocations()), (14, 0));
}

#[test]
fn only_what_is_old_at_one_warehouse_is_released() {
    let mut stock = two_warehouses();
    stock.plan(order(1), &split(&[line(1, 13)]), at(7)).unwrap();
    assert!(!stock.release_older(order(1), warehouse(1), at(7)));
    assert!(!stock.release_older(order(2), warehouse(1), at(8)));
    assert!(stock.release_older(order(1), warehouse(1), at(8)));
    assert!(!stock.release_older(order(1), warehouse(1), at(8)));
    assert_eq!(stock.held_since_before(at(8)), [(order(1), warehouse(2), vec![book(1)])]);
}

#[test]
fn stock_that_comes_goes_to_the_oldest_who_waits() {
    let mut stock = sold_out();
    waits(&mut stock, 3, 30, &[line(1, 1)]);
    waits(&mut stock, 1, 20, &[line(1, 2)]);
    waits(&mut stock, 2, 20, &[line(1, 1)]);
    stock.set_rows(warehouse(1), &[row(1, 1, 2)], at(40));
    assert_eq!(served(&mut stock), [0_u128; 0], "one is not enough for the oldest, and nobody overtakes");
    stock.set_rows(warehouse(1), &[row(1, 3, 3)], at(41));
    assert_eq!(served(&mut stock), [1, 2], "of the same age by their ids");
    assert_eq!((stock.available(book(1)), stock.allocations(), stock.waiting()), (0, 2, 1));
    for version in [3, 4] {
        stock.set_rows(warehouse(1), &[row(1, 3, version)], at(42));
        assert!(!stock.is_serving(), "nothing rose");
    }
}

#[test]
fn nobody_overtakes_who_waits_for_one_of_the_same_books() {
    let mut stock = sold_out();
    waits(&mut stock, 1, 1, &[line(1, 1), line(2, 1)]);
    waits(&mut stock, 2, 2, &[line(2, 1), line(3, 1)]);
    waits(&mut stock, 3, 3, &[line(3, 1)]);
    waits(&mut stock, 4, 4, &[line(4, 1)]);
    stock.set_rows(warehouse(1), &[row(2, 9, 2), row(3, 1, 2), row(4, 1, 2)], at(5));
    assert_eq!(served(&mut stock), [4], "the first lacks book 1, the others are behind it");
    stock.set_rows(warehouse(1), &[row(1, 1, 3)], at(6));
    assert_eq!(served(&mut stock), [1, 2], "the first out of the way, the second takes the only copy of book 3");
    stock.set_rows(warehouse(1), &[row(3, 2, 4)], at(7));
    assert_eq!(served(&mut stock), [3]);
}

#[test]
fn a_new_order_is_not_held_back_by_those_who_wait() {
    let mut stock = sold_out();
    waits(&mut stock, 1, 1, &[line(1, 50)]);
    stock.set_rows(warehouse(1), &[row(1, 10, 2)], at(2));
    assert!(stock.plan(order(2), &want(1, 3), at(2)).is_ok());
    assert_eq!(served(&mut stock), [0_u128; 0]);
}

#[test]
fn what_is_given_back_by_any_way_is_served() {
    type Way = fn(&mut Stock);
    let ways: [(&str, Way); 6] = [
        ("released", |stock| stock.release(order(1))),
        ("forgotten", |stock| stock.forget(order(1))),
        ("planned elsewhere", |stock| drop(stock.plan(order(1), &split(&[line(2, 1)]), at(5)))),
        ("held elsewhere", |stock| stock.assert(order(1), &[(warehouse(2), vec![line(1, 1)])], at(5))),
        ("too old", |stock| assert!(stock.release_older(order(1), warehouse(1), at(5)))),
        ("refused with more rows", |stock| stock.settle(order(1), warehouse(1), &[row(1, 5, 6)], at(5))),
    ];
    for (way, give_back) in ways {
        let mut stock = sold_out();
        stock.set_rows(warehouse(1), &[row(1, 5, 5)], at(0));
        stock.plan(order(1), &want(1, 5), at(1)).unwrap();
        waits(&mut stock, 2, 2, &[line(1, 1)]);
        give_back(&mut stock);
        assert_eq!(served(&mut stock), [2], "{way}");
    }
}

#[test]
fn what_is_shipped_has_not_come_back() {
    let mut stock = sold_out();
    stock.set_rows(warehouse(1), &[row(1, 5, 5)], at(0));
    stock.plan(order(1), &want(1, 4), at(1)).unwrap();
    waits(&mut stock, 2, 2, &[line(1, 2)]);
    stock.settle(order(1), warehouse(1), &[row(1, 1, 6)], at(3));
    assert!(!stock.is_serving(), "not even looked at");
    assert_eq!(stock.available(book(1)), 1);
}

#[test]
fn a_warehouse_that_comes_back_and_a_pull_are_stock_that_comes() {
    let mut stock = two_warehouses();
    stock.set_site(warehouse(1), Site { sourceable: false, ..site("alpha") });
    waits(&mut stock, 1, 1, &[line(1, 12)]);
    waits(&mut stock, 2, 2, &[line(2, 1)]);
    stock.set_site(warehouse(1), site("alpha"));
    assert_eq!(served(&mut stock), [1]);
    waits(&mut stock, 3, 3, &[line(1, 90)]);
    stock.set_site(warehouse(2), Site { priority: 3, ..site("beta") });
    assert!(!stock.is_serving(), "it was there already");
    stock.apply_pull(warehouse(2), &Snapshot::new(8, [row(2, 1, 8), row(1, 4, 5)]), false, at(3));
    assert_eq!(served(&mut stock), [2]);
    assert_eq!(stock.waiting(), 1);
}

#[test]
fn an_order_gets_again_what_the_line_gave_it() {
    let mut stock = sold_out();
    waits(&mut stock, 1, 1, &[line(1, 2)]);
    waits(&mut stock, 2, 2, &[line(1, 2)]);
    stock.set_rows(warehouse(1), &[row(1, 2, 2)], at(3));
    assert_eq!(served(&mut stock), [1]);
    assert!(stock.plan(order(1), &split(&[line(1, 2)]), at(4)).is_ok(), "though another waits");
    assert_eq!(served(&mut stock), [0_u128; 0]);
    assert_eq!((stock.available(book(1)), stock.waiting()), (0, 1));
}

#[test]
fn who_waits_holds_nothing_and_waits_for_one_thing_at_a_time() {
    let mut stock = two_warehouses();
    stock.plan(order(1), &want(1, 10), at(0)).unwrap();
    waits(&mut stock, 1, 1, &[line(1, 90)]);
    waits(&mut stock, 1, 1, &[line(1, 90)]);
    assert_eq!((stock.available(book(1)), stock.allocations(), stock.waiting()), (14, 0, 1));
    waits(&mut stock, 2, 2, &[line(2, 1)]);
    // There is enough of book 1 already: stock may come while the message is on its way.
    assert!(stock.wait(order(1), at(3), split(&[line(1, 11), line(2, 1)])));
    assert_eq!(served(&mut stock), [0_u128; 0], "not in its old place any more");
    assert!(stock.wait(order(2), at(2), split(&[line(1, 1)])));
    assert_eq!(served(&mut stock), [2]);
    assert!(stock.plan(order(1), &split(&[line(1, 1)]), at(4)).is_ok());
    assert_eq!(stock.waiting(), 0, "it has what it wants");
}

#[test]
fn who_says_again_that_it_waits_loses_nothing_to_a_younger_one() {
    let mut stock = sold_out();
    waits(&mut stock, 1, 1, &[line(1, 2)]);
    waits(&mut stock, 2, 2, &[line(1, 2)]);
    stock.set_rows(warehouse(1), &[row(1, 2, 2)], at(3));
    assert_eq!(served(&mut stock), [1]);
    // It was not told, or has not heard.
    assert!(stock.wait(order(1), at(1), split(&[line(1, 2)])));
    assert_eq!(served(&mut stock), [1]);
    assert_eq!((stock.available(book(1)), stock.waiting()), (0, 1));
}

#[test]
fn who_leaves_the_line_makes_room_for_those_behind() {
    let mut stock = two_warehouses();
    waits(&mut stock, 1, 1, &[line(1, 90), line(2, 1)]);
    waits(&mut stock, 2, 2, &[line(1, 3)]);
    stock.forget(order(1));
    assert_eq!(served(&mut stock), [2]);
    assert_eq!((stock.waiting(), stock.allocations()), (0, 1));
    stock.forget(order(2));
    assert_eq!((stock.waiting(), stock.available(book(1))), (0, 14));
}

#[test]
fn what_an_order_holds_elsewhere_it_keeps_when_the_rest_comes() {
    let mut stock = two_warehouses();
    waits(&mut stock, 1, 1, &[line(2, 1)]);
    stock.assert(order(1), &[(warehouse(2), vec![line(1, 3)])], at(2));
    stock.set_rows(warehouse(2), &[row(2, 1, 6)], at(3));
    assert_eq!(served(&mut stock), [1]);
    assert_eq!(stock.held_since_before(at(200)), [(order(1), warehouse(2), vec![book(1), book(2)])]);
    assert_eq!((stock.available(book(1)), stock.available(book(2))), (11, 0));
}

#[test]
fn the_line_is_looked_through_in_small_steps() {
    let mut stock = sold_out();
    for n in 1..=5 {
        waits(&mut stock, n, 1, &[line(1, 1)]);
    }
    stock.set_rows(warehouse(1), &[row(1, 5, 2)], at(3));
    let steps: Vec<_> = (0..3).map(|_| (stock.serve(2, at(4)).len(), stock.is_serving())).collect();
    assert_eq!(steps, [(2, true), (2, true), (1, false)]);
}

#[test]
fn the_line_has_an_end() {
    let mut stock = sold_out();
    for n in 0..LONGEST_LINE as u128 {
        assert!(stock.wait(order(n), at(1), want(1, 1)));
    }
    assert!(stock.wait(order(7), at(2), want(1, 1)), "it is in the line");
    assert!(!stock.wait(order(LONGEST_LINE as u128), at(0), want(1, 1)));
    stock.forget(order(9));
    assert!(stock.wait(order(LONGEST_LINE as u128), at(0), want(1, 1)));
    assert_eq!(stock.waiting(), LONGEST_LINE);
}

/// What a sequence of messages may do to an order.
#[derive(Clone, Debug)]
enum Step {
    Plan(Vec<Line>),
    Wait(Vec<Line>),
    Settle(u128),
    Forget,
    /// So many more of a book at a warehouse.
    Receive(u128, u128, i64),
    Toggle(u128, bool),
}

fn steps() -> impl Generated<Value = Vec<(u128, Step)>> {
    let lines = || prop::collection::vec((1..4_u128, 1..5_u32).prop_map(|(n, quantity)| line(n, quantity)), 1..3);
    let step = prop_oneof![
        lines().prop_map(Step::Plan),
        lines().prop_map(Step::Wait),
        (1..3_u128).prop_map(Step::Settle),
        Just(Step::Forget),
        (1..3_u128, 1..4_u128, 1..5_i64).prop_map(|(at, of, more)| Step::Receive(at, of, more)),
        (1..3_u128, any::<bool>()).prop_map(|(at, sourceable)| Step::Toggle(at, sourceable)),
    ];
    prop::collection::vec((0..8_u128, step), 1..60)
}

proptest! {
    #[test]
    fn nothing_is_promised_twice_and_nobody_waits_for_what_is_there(steps in steps()) {
        let mut stock = two_warehouses();
        let mut on_hand = BTreeMap::from([((1, 1), 10), ((2, 1), 4)]);
        for (version, (n, step)) in (10_i64..).zip(steps) {
            match step {
                Step::Plan(lines) => drop(stock.plan(order(n), &split(&lines), at(version))),
                Step::Wait(lines) => assert!(stock.wait(order(n), at(version), split(&lines))),
                Step::Forget => stock.forget(order(n)),
                Step::Receive(place, of, more) => {
                    let copies = on_hand.entry((place, of)).or_default();
                    *copies += more;
                    stock.set_rows(warehouse(place), &[row(of, *copies, version)], at(version));
                }
                Step::Settle(place) => {
                    let held = stock.allocations.get(&order(n)).and_then(|held| held.parts.get(&warehouse(place)));
                    let rows = held.into_iter().flat_map(Demand::lines).map(|line| {
                        let copies = on_hand.entry((place, line.book.uuid().as_u128())).or_default();
                        *copies -= i64::from(line.quantity);
                        row(line.book.uuid().as_u128(), *copies, version)
                    });
                    let rows: Vec<_> = rows.collect();
                    stock.settle(order(n), warehouse(place), &rows, at(version));
                }
                Step::Toggle(place, sourceable) => stock.set_site(warehouse(place), Site { sourceable, ..site("any") }),
            }
            stock.serve(usize::MAX, at(version));
            prop_assert!(stock.shelves.is_sound());
            // Looked at from scratch: the first who waits for all of its books cannot be given them.
            let waiting: Vec<_> = (0..8).map(order).filter(|order| stock.backorders.wants(*order).is_some()).collect();
            for order in waiting {
                let wants = stock.backorders.wants(order).unwrap().clone();
                let head = wants.demand.lines().iter().all(|line| stock.backorders.is_first(order, line.book));
                prop_assert!(!head || stock.source(&wants).is_err(), "{order} waits for {wants:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn never_over_allocates_and_ends_as_it_began(
        steps in prop::collection::vec((0..8u128, 1..3u128, 1..5u32, 0..4u8), 1..60),
    ) {
        let mut stock = two_warehouses();
        stock.set_rows(warehouse(1), &[row(2, 6, 5)], at(0));
        let before = (stock.available(book(1)), stock.available(book(2)));
        for (n, of, quantity, action) in steps {
            match action {
                0 => stock.release(order(n)),
                _ => {
                    let _ = stock.plan(order(n), &want(of, quantity), at(0));
                }
            }
            prop_assert!(stock.shelves.is_sound());
        }
        for n in 0..8 {
            stock.release(order(n));
        }
        prop_assert_eq!((stock.available(book(1)), stock.available(book(2))), before);
    }
}
