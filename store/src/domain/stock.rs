//! What the store believes of every warehouse's stock, and what orders in flight have been promised of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use contract::{BookId, OrderId, Shortfall, StockRow, Timestamp, WarehouseId};

use crate::domain::pull::{self, Snapshot};
use crate::domain::sourcing::{self, Candidate, Demand};

/// A warehouse, as far as sourcing cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// Whether an order may be sent there now: healthy, enabled, its breaker closed.
    pub sourceable: bool,
    /// A lower one is preferred.
    pub priority: i32,
}

/// The warehouse that an order was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The warehouse.
    pub warehouse: WarehouseId,
    /// Its name.
    pub name: String,
}

/// One book in one warehouse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelf {
    /// The warehouse's name.
    pub warehouse_name: String,
    /// Copies free: what is available there, less what orders in flight were promised; never negative.
    pub quantity: i64,
    /// The later of the row's write and the warehouse's last full pull (R17).
    pub last_synced: Timestamp,
}

/// One book in all warehouses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BookStock {
    /// Copies free in warehouses that can be sourced from now.
    pub available: i64,
    /// Where copies are, by the warehouses' names; also those that cannot be sourced from now.
    pub shelves: Vec<Shelf>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    available: i64,
    version: i64,
    written_at: Timestamp,
}

/// One (book, warehouse). The row is absent where a promise outlived the row it was made on.
#[derive(Clone, Copy, Debug)]
struct Cell {
    warehouse: WarehouseId,
    row: Option<Row>,
    promised: i64,
}

impl Cell {
    fn free(&self) -> i64 {
        self.row.map_or(0, |row| row.available) - self.promised
    }
}

#[derive(Clone, Debug)]
struct Allocation {
    warehouse: WarehouseId,
    demand: Demand,
    since: Timestamp,
}

/// All stock and all allocations.
#[derive(Debug, Default)]
pub struct Stock {
    /// A book is in few warehouses: a list of them is searched faster than a map.
    cells: HashMap<BookId, Vec<Cell>>,
    sites: BTreeMap<WarehouseId, Site>,
    pulled_at: HashMap<WarehouseId, Timestamp>,
    allocations: HashMap<OrderId, Allocation>,
}

impl Stock {
    /// Enters or changes a warehouse.
    pub fn set_site(&mut self, warehouse: WarehouseId, site: Site) {
        self.sites.insert(warehouse, site);
    }

    /// Forgets a warehouse and its rows; what orders in flight hold there they give back themselves.
    pub fn remove_site(&mut self, warehouse: WarehouseId) {
        self.sites.remove(&warehouse);
        self.pulled_at.remove(&warehouse);
        for cells in self.cells.values_mut() {
            cells.iter_mut().filter(|cell| cell.warehouse == warehouse).for_each(|cell| cell.row = None);
            cells.retain(|cell| cell.row.is_some() || cell.promised != 0);
        }
        self.cells.retain(|_, cells| !cells.is_empty());
    }

    /// Notes a full pull that was made before this stock was there.
    pub fn set_pulled_at(&mut self, warehouse: WarehouseId, at: Timestamp) {
        self.pulled_at.insert(warehouse, at);
    }

    /// Sources an order and allocates in the same step, so that the next one sees what is left. Whatever the order had before is released.
    ///
    /// # Errors
    /// What is short, see [`sourcing::plan`].
    pub fn plan(
        &mut self,
        order: OrderId,
        demand: Demand,
        exclude: &[WarehouseId],
        now: Timestamp,
    ) -> Result<Choice, Vec<Shortfall>> {
        self.release(order);
        let candidates: Vec<_> = self
            .sites
            .iter()
            .filter(|(id, site)| site.sourceable && !exclude.contains(id))
            .map(|(&warehouse, site)| Candidate {
                warehouse,
                name: &site.name,
                priority: site.priority,
                free: demand.lines().iter().map(|line| self.free(warehouse, line.book)).collect(),
            })
            .collect();
        let warehouse = sourcing::plan(&demand, &candidates)?;
        let name = self.sites.get(&warehouse).map(|site| site.name.clone()).unwrap_or_default();
        self.allocate(order, warehouse, demand, now);
        Ok(Choice { warehouse, name })
    }

    /// Makes sure that the order holds exactly this.
    pub fn assert(&mut self, order: OrderId, warehouse: WarehouseId, demand: Demand, now: Timestamp) {
        let held = self.allocations.get(&order);
        if held.is_none_or(|held| held.warehouse != warehouse || held.demand != demand) {
            self.release(order);
            self.allocate(order, warehouse, demand, now);
        }
    }

    /// Gives back what the order holds, if anything.
    pub fn release(&mut self, order: OrderId) {
        let Some(held) = self.allocations.remove(&order) else { return };
        for line in held.demand.lines() {
            self.cell(held.warehouse, line.book).promised -= i64::from(line.quantity);
            self.drop_if_empty(held.warehouse, line.book);
        }
    }

    /// Gives back what the order has held since before `limit`; false when it holds nothing as old as that.
    pub fn release_older(&mut self, order: OrderId, limit: Timestamp) -> bool {
        let older = self.allocations.get(&order).is_some_and(|held| held.since < limit);
        if older {
            self.release(order);
        }
        older
    }

    /// Sets rows that a warehouse answered with; an older version than the known one changes nothing (R14).
    pub fn set_rows(&mut self, warehouse: WarehouseId, rows: &[StockRow], at: Timestamp) {
        for row in rows {
            let cell = self.cell(warehouse, row.book_id);
            if cell.row.is_none_or(|known| known.version < row.version) {
                cell.row = Some(Row { available: row.available().max(0), version: row.version, written_at: at });
            }
        }
    }

    /// Takes in a full pull. Rows of books that the store does not know must have been left out.
    pub fn apply_pull(&mut self, warehouse: WarehouseId, snapshot: &Snapshot, wholesale: bool, at: Timestamp) {
        let pulled: HashSet<_> = snapshot.rows.iter().map(|row| row.book_id).collect();
        for row in &snapshot.rows {
            let cell = self.cell(warehouse, row.book_id);
            let same = |known: Row| known.version == row.version && known.available == row.available();
            if cell.row.is_none_or(|known| pull::replaces(wholesale, known.version, row.version) && !same(known)) {
                cell.row = Some(Row { available: row.available(), version: row.version, written_at: at });
            }
        }
        let gone = |cell: &Cell| {
            let replaced = |known: Row| pull::replaces(wholesale, known.version, snapshot.version);
            cell.warehouse == warehouse && cell.row.is_some_and(replaced)
        };
        for (book, cells) in &mut self.cells {
            if !pulled.contains(book) {
                cells.iter_mut().filter(|cell| gone(cell)).for_each(|cell| cell.row = None);
                cells.retain(|cell| cell.row.is_some() || cell.promised != 0);
            }
        }
        self.cells.retain(|_, cells| !cells.is_empty());
        self.pulled_at.insert(warehouse, at);
    }

    /// Where copies of the book are.
    pub fn of(&self, book: BookId) -> BookStock {
        let mut stock = BookStock::default();
        for cell in self.cells.get(&book).into_iter().flatten() {
            let (Some(row), Some(site)) = (cell.row, self.sites.get(&cell.warehouse)) else { continue };
            let quantity = cell.free().max(0);
            if site.sourceable {
                stock.available += quantity;
            }
            let pulled_at = self.pulled_at.get(&cell.warehouse).copied();
            let last_synced = pulled_at.map_or(row.written_at, |pulled_at| pulled_at.max(row.written_at));
            stock.shelves.push(Shelf { warehouse_name: site.name.clone(), quantity, last_synced });
        }
        stock.shelves.sort_unstable_by(|a, b| a.warehouse_name.cmp(&b.warehouse_name));
        stock
    }

    /// Copies of the book that are free in warehouses that can be sourced from now.
    pub fn available(&self, book: BookId) -> i64 {
        let cells = self.cells.get(&book).into_iter().flatten();
        let sourceable = cells.filter(|cell| self.sites.get(&cell.warehouse).is_some_and(|site| site.sourceable));
        sourceable.map(|cell| cell.free().max(0)).sum()
    }

    /// Orders that have held an allocation since before `limit`, with the warehouse and the books they hold.
    pub fn held_since_before(&self, limit: Timestamp) -> Vec<(OrderId, WarehouseId, Vec<BookId>)> {
        let old = self.allocations.iter().filter(|(_, held)| held.since < limit);
        old.map(|(order, held)| (*order, held.warehouse, held.demand.lines().iter().map(|line| line.book).collect()))
            .collect()
    }

    /// How many orders hold an allocation.
    pub fn allocations(&self) -> usize {
        self.allocations.len()
    }

    fn allocate(&mut self, order: OrderId, warehouse: WarehouseId, demand: Demand, since: Timestamp) {
        for line in demand.lines() {
            self.cell(warehouse, line.book).promised += i64::from(line.quantity);
        }
        self.allocations.insert(order, Allocation { warehouse, demand, since });
    }

    fn free(&self, warehouse: WarehouseId, book: BookId) -> i64 {
        let cells = self.cells.get(&book).into_iter().flatten();
        cells.filter(|cell| cell.warehouse == warehouse).map(Cell::free).sum()
    }

    fn cell(&mut self, warehouse: WarehouseId, book: BookId) -> &mut Cell {
        let cells = self.cells.entry(book).or_default();
        let index = cells.iter().position(|cell| cell.warehouse == warehouse).unwrap_or_else(|| {
            cells.push(Cell { warehouse, row: None, promised: 0 });
            cells.len() - 1
        });
        &mut cells[index]
    }

    fn drop_if_empty(&mut self, warehouse: WarehouseId, book: BookId) {
        if let Some(cells) = self.cells.get_mut(&book) {
            cells.retain(|cell| cell.warehouse != warehouse || cell.row.is_some() || cell.promised != 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::sourcing::Line;

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

    fn want(n: u128, quantity: u32) -> Demand {
        Demand::new(&[Line { book: book(n), quantity }])
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
        let planned = (0..100).filter(|&n| stock.plan(order(n), want(1, 1), &[], at(0)).is_ok()).count();
        assert_eq!(planned, 10);
        assert_eq!(stock.available(book(1)), 0);
    }

    #[test]
    fn settling_sets_the_row_by_version_and_frees_the_promise() {
        let mut stock = two_warehouses();
        assert_eq!(stock.plan(order(1), want(1, 3), &[], at(0)).unwrap().name, "alpha");
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
        stock.plan(order(1), want(1, 4), &[], at(0)).unwrap();
        assert_eq!(stock.plan(order(1), want(1, 4), &[warehouse(1)], at(0)).unwrap().name, "beta");
        for _ in 0..2 {
            stock.assert(order(1), warehouse(2), want(1, 4), at(0));
            assert_eq!(stock.available(book(1)), 10);
        }
        stock.assert(order(1), warehouse(1), want(1, 4), at(0));
        let shelves: Vec<_> = stock.of(book(1)).shelves.into_iter().map(|shelf| shelf.quantity).collect();
        assert_eq!(shelves, [6, 4]);
        assert_eq!(stock.plan(order(1), want(1, 99), &[], at(0)).unwrap_err().len(), 1);
        assert_eq!((stock.allocations(), stock.available(book(1))), (0, 14), "a plan that fails holds nothing");
    }

    #[test]
    fn a_warehouse_that_cannot_be_sourced_is_listed_but_not_counted() {
        let mut stock = two_warehouses();
        stock.set_site(warehouse(1), Site { sourceable: false, ..site("alpha") });
        let of = stock.of(book(1));
        assert_eq!((of.available, of.shelves.len()), (4, 2));
        assert_eq!(stock.plan(order(1), want(1, 2), &[], at(0)).unwrap().name, "beta");
        assert_eq!(stock.plan(order(2), want(1, 3), &[], at(0)).unwrap_err()[0].available, 2);
    }

    #[test]
    fn a_warehouse_that_is_gone_is_sourced_no_more_and_what_it_held_can_still_be_given_back() {
        let mut stock = two_warehouses();
        assert_eq!(stock.plan(order(1), want(1, 3), &[], at(0)).unwrap().name, "alpha");
        stock.remove_site(warehouse(1));
        assert_eq!((stock.available(book(1)), stock.of(book(1)).shelves.len()), (4, 1));
        assert!(stock.plan(order(2), want(1, 5), &[], at(0)).is_err());
        stock.release(order(1));
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
        let left: Vec<_> =
            (1..=3).map(|n| stock.of(book(n)).shelves.first().map_or(0, |shelf| shelf.quantity)).collect();
        assert_eq!(left, [12, 0, 3]);
        stock.apply_pull(warehouse(1), &Snapshot::new(2, [row(1, 1, 2)]), true, at(2));
        assert_eq!((stock.of(book(1)).shelves[0].quantity, stock.of(book(3)).shelves.len()), (1, 0));
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
                        let _ = stock.plan(order(n), want(of, quantity), &[], at(0));
                    }
                }
                for cell in stock.cells.values().flatten() {
                    prop_assert!(cell.free() >= 0 && cell.promised >= 0);
                }
            }
            for n in 0..8 {
                stock.release(order(n));
            }
            prop_assert_eq!((stock.available(book(1)), stock.available(book(2))), before);
        }
    }
}
