//! How long it takes to source an order from 100 warehouses, and how often the exact search meets its bound.
//!
//! `make bench-sourcing` builds and runs it. Stock is made anew for every order, from a seed, in shapes that differ in how many
//! warehouses an order needs. Beside it runs the usual heuristic, which takes the warehouse with most of what is missing, again and
//! again: how many shipments it makes of the same orders, and how long that takes.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use contract::{BookId, OrderId, StockRow, Timestamp, WarehouseId};
use store::domain::sourcing::{self, CUT_SHORT, Candidate, Demand, FEWEST, Line, Plan, Strategy, Wants};
use store::domain::stock::{Site, Stock};
use uuid::Uuid;

const WAREHOUSES: usize = 100;
const ORDERS: usize = 1_000;

/// What an order wants, and what there is of it.
struct Shape {
    name: &'static str,
    /// Books of an order, and copies of each, from and to.
    books: usize,
    wanted: (u64, u64),
    /// Of a hundred warehouses, how many have a book at all; and copies there, from and to.
    percent: u64,
    copies: (u64, u64),
    /// Whether one of the books is nowhere.
    impossible: bool,
}

const fn shape(name: &'static str, books: usize, wanted: (u64, u64), percent: u64, copies: (u64, u64)) -> Shape {
    Shape { name, books, wanted, percent, copies, impossible: false }
}

const SHAPES: &[Shape] = &[
    shape("everything everywhere", 100, (1, 3), 100, (5, 50)),
    shape("80 % of the books in each", 100, (1, 3), 80, (5, 50)),
    shape("60 %", 100, (1, 3), 60, (5, 50)),
    shape("45 %", 100, (1, 3), 45, (5, 50)),
    shape("30 %", 100, (1, 3), 30, (5, 50)),
    shape("20 %", 100, (1, 3), 20, (5, 50)),
    shape("5 %", 100, (1, 3), 5, (5, 50)),
    shape("80 %, few copies of each", 100, (1, 4), 80, (1, 4)),
    shape("50 %, few copies of each", 100, (1, 4), 50, (1, 4)),
    shape("80 %, no line whole anywhere", 100, (8, 12), 80, (1, 6)),
    Shape { impossible: true, ..shape("60 %, one book nowhere", 100, (1, 3), 60, (5, 50)) },
    shape("10 books, 60 %", 10, (1, 3), 60, (5, 50)),
    shape("10 books, 10 %", 10, (1, 3), 10, (5, 50)),
    shape("10 books, 20 %, few copies of each", 10, (1, 4), 20, (1, 4)),
];

fn main() {
    // `cargo test --all-targets` runs benches too, without this argument.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!(
        "{ORDERS} orders a line, of 100 books where nothing else is said, from {WAREHOUSES} warehouses; microseconds\n"
    );
    println!("{:<36}{:^24}{:^42}{:^18}", "", "one plan", "of these plans", "the heuristic");
    println!(
        "{:<36}{:>8}{:>8}{:>8}{:>10}{:>16}{:>16}{:>11}{:>7}",
        "stock", "median", "p99", "most", "shipments", "number proven", "wholly proven", "shipments", "x"
    );
    for strategy in [Strategy::FewestShipments, Strategy::Priority, Strategy::Balance] {
        println!("{strategy:?}");
        for shape in SHAPES {
            run(shape, strategy, true);
        }
    }
    println!("FewestShipments, allocated in the stock of all warehouses (availability's part of placing an order)");
    for shape in SHAPES {
        run(shape, Strategy::FewestShipments, false);
    }
}

fn run(shape: &Shape, strategy: Strategy, bare: bool) {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut measured = Measured::default();
    let names: Vec<_> = (0..WAREHOUSES).map(|n| format!("warehouse-{n:03}")).collect();
    for _ in 0..ORDERS {
        let demand = demand(shape, &mut random);
        let candidates = candidates(shape, &names, &mut random);
        let (time, plan) = if bare {
            timed(|| sourcing::plan(black_box(&demand), black_box(&candidates), true, strategy).ok())
        } else {
            let mut stock = stocked(&demand, &candidates, strategy);
            let wants = Wants { demand: demand.clone(), allow_split: true, exclude: Vec::new() };
            timed(|| stock.plan(OrderId(Uuid::nil()), black_box(&wants), Timestamp::UNIX_EPOCH).ok())
        };
        let (their_time, theirs) = timed(|| greedy(black_box(&demand), black_box(&candidates)));
        measured.add(time, plan, their_time, theirs);
    }
    measured.print(shape);
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let began = Instant::now();
    let done = black_box(work());
    (began.elapsed(), done)
}

#[derive(Default)]
struct Measured {
    times: Vec<Duration>,
    their_times: Vec<Duration>,
    planned: usize,
    shipments: usize,
    their_shipments: usize,
    number_proven: usize,
    wholly_proven: usize,
}

impl Measured {
    fn add(&mut self, time: Duration, plan: Option<Plan>, their_time: Duration, theirs: Option<usize>) {
        self.times.push(time);
        self.their_times.push(their_time);
        let (Some(plan), Some(theirs)) = (plan, theirs) else { return };
        self.planned += 1;
        self.shipments += plan.parts.len();
        self.their_shipments += theirs;
        self.number_proven += usize::from(plan.parts.len() == 1 || plan.reason.contains(FEWEST));
        self.wholly_proven += usize::from(!plan.reason.contains(CUT_SHORT));
    }

    fn print(mut self, shape: &Shape) {
        self.times.sort_unstable();
        self.their_times.sort_unstable();
        let at = |times: &[Duration], percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6;
        let (median, p99, most) = (at(&self.times, 50), at(&self.times, 99), at(&self.times, 100));
        print!("{:<36}{median:>8.0}{p99:>8.0}{most:>8.0}", shape.name);
        if self.planned > 0 {
            let each = |count: usize| count as f64 / self.planned as f64;
            let percent = |count: usize| format!("{:.1} %", each(count) * 100.0);
            print!("{:>10.2}", each(self.shipments));
            print!("{:>16}{:>16}", percent(self.number_proven), percent(self.wholly_proven));
            print!("{:>11.2}", each(self.their_shipments));
        } else {
            print!("{:>53}", "");
        }
        println!("{:>7.1}", median / at(&self.their_times, 50));
    }
}

/// Warehouses that the usual heuristic takes; none where they do not have everything together.
fn greedy(demand: &Demand, candidates: &[Candidate<'_>]) -> Option<usize> {
    let mut missing: Vec<_> = demand.lines().iter().map(|line| i64::from(line.quantity)).collect();
    let mut taken = 0;
    while missing.iter().any(|missing| *missing > 0) {
        let gain = |candidate: &&Candidate<'_>| {
            candidate.free.iter().zip(&missing).map(|(free, missing)| *free.min(missing)).sum::<i64>()
        };
        let most = candidates.iter().max_by_key(gain).filter(|most| gain(most) > 0)?;
        missing.iter_mut().zip(&most.free).for_each(|(missing, free)| *missing -= *free.min(missing));
        taken += 1;
    }
    Some(taken)
}

fn demand(shape: &Shape, random: &mut Random) -> Demand {
    let line = |n: usize| {
        let quantity = u32::try_from(random.between(shape.wanted)).unwrap_or(1);
        Line { book: BookId(Uuid::from_u128(n as u128)), quantity }
    };
    Demand::new(&(0..shape.books).map(line).collect::<Vec<_>>())
}

fn candidates<'a>(shape: &Shape, names: &'a [String], random: &mut Random) -> Vec<Candidate<'a>> {
    let mut all = Vec::with_capacity(names.len());
    for (n, name) in names.iter().enumerate() {
        let free = (0..shape.books).map(|book| {
            let has = random.between((1, 100)) <= shape.percent && !(shape.impossible && book == 0);
            let copies = i64::try_from(random.between(shape.copies)).unwrap_or_default();
            if has { copies } else { 0 }
        });
        let free = free.collect();
        let priority = i32::try_from(random.between((1, 5))).unwrap_or_default();
        all.push(Candidate { warehouse: WarehouseId(Uuid::from_u128(n as u128)), name, priority, free });
    }
    all
}

/// A stock in which this is free.
fn stocked(demand: &Demand, candidates: &[Candidate<'_>], strategy: Strategy) -> Stock {
    let mut stock = Stock::new(strategy);
    for Candidate { warehouse, name, priority, free } in candidates {
        stock.set_site(*warehouse, Site { name: (*name).to_owned(), sourceable: true, priority: *priority });
        let rows = demand.lines().iter().zip(free);
        let rows = rows.map(|(line, free)| StockRow { book_id: line.book, quantity: *free, reserved: 0, version: 1 });
        stock.set_rows(*warehouse, &rows.collect::<Vec<_>>(), Timestamp::UNIX_EPOCH);
    }
    stock
}

/// The same numbers in every run: xorshift64*, by S. Vigna.
struct Random(u64);

impl Random {
    fn between(&mut self, (from, to): (u64, u64)) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        from + (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % (to - from + 1)
    }
}
