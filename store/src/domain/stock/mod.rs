//! What the store believes of every warehouse's stock, what orders in flight have been promised of it, and who waits for more.

use std::collections::{BTreeMap, HashMap};

use contract::{BookId, OrderId, Shortfall, StockRow, Timestamp, WarehouseId};

use crate::domain::pull::Snapshot;
use crate::domain::sourcing::{self, Demand, Line, Plan, Strategy, Wants};

mod backorders;
mod shelves;

pub use backorders::LONGEST_LINE;

use backorders::Backorders;
use shelves::Shelves;

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

/// What an order holds.
#[derive(Clone, Debug)]
struct Allocation {
    parts: BTreeMap<WarehouseId, Demand>,
    since: Timestamp,
}

/// All stock, all allocations, and the line of orders that wait for stock.
///
/// Whatever leaves more of a book to be had notes who waits for it; [`Stock::serve`] then sees what they can be given.
#[derive(Debug, Default)]
pub struct Stock {
    strategy: Strategy,
    shelves: Shelves,
    allocations: HashMap<OrderId, Allocation>,
    backorders: Backorders,
}

impl Stock {
    /// Nothing yet, to be sourced like this.
    pub fn new(strategy: Strategy) -> Self {
        Self { strategy, ..Self::default() }
    }

    /// Enters or changes a warehouse.
    pub fn set_site(&mut self, warehouse: WarehouseId, site: Site) {
        if self.shelves.set_site(warehouse, site) {
            let there = |book: &BookId| self.shelves.free(warehouse, *book) > 0;
            let books: Vec<_> = self.backorders.books().filter(there).collect();
            books.into_iter().for_each(|book| self.backorders.rose(book));
        }
    }

    /// Forgets a warehouse and its rows; what orders in flight hold there they give back themselves.
    pub fn remove_site(&mut self, warehouse: WarehouseId) {
        self.shelves.remove_site(warehouse);
    }

    /// Notes a full pull that was made before this stock was there.
    pub fn set_pulled_at(&mut self, warehouse: WarehouseId, at: Timestamp) {
        self.shelves.set_pulled_at(warehouse, at);
    }

    /// Sources an order and allocates in the same step, so that the next one sees what is left. Whatever the order had before is released,
    /// and where it gets what it wants it waits no more.
    ///
    /// An order that can be sourced at once is not held back by those that wait: one of them that wants more copies than there are would
    /// keep the book from being sold at all. What comes is theirs first, all the same ([`Stock::serve`]).
    ///
    /// # Errors
    /// What is short, see [`sourcing::plan`].
    pub fn plan(&mut self, order: OrderId, wants: &Wants, now: Timestamp) -> Result<Plan, Vec<Shortfall>> {
        self.release(order);
        let plan = self.source(wants)?;
        self.backorders.leave(order);
        self.allocate(order, &plan, now);
        Ok(plan)
    }

    /// Makes sure that the order holds exactly this.
    pub fn assert(&mut self, order: OrderId, parts: &[(WarehouseId, Vec<Line>)], now: Timestamp) {
        let mut wanted = BTreeMap::<WarehouseId, Vec<Line>>::new();
        for (warehouse, lines) in parts {
            wanted.entry(*warehouse).or_default().extend(lines);
        }
        let parts: BTreeMap<_, _> = wanted.into_iter().map(|(at, lines)| (at, Demand::new(&lines))).collect();
        if self.allocations.get(&order).map(|held| &held.parts) != Some(&parts) {
            self.release(order);
            self.hold(order, parts, now);
        }
    }

    /// Lets an order wait for stock, in the place of what it waited for before; false where the line is too long already. Meanwhile it holds
    /// nothing.
    pub fn wait(&mut self, order: OrderId, since: Timestamp, wants: Wants) -> bool {
        self.release(order);
        self.backorders.enter(order, since, wants)
    }

    /// Gives back what the order holds, if anything.
    pub fn release(&mut self, order: OrderId) {
        let Some(held) = self.allocations.remove(&order) else { return };
        for (warehouse, demand) in held.parts {
            self.give_back(warehouse, &demand);
        }
    }

    /// The same, and it waits no more.
    pub fn forget(&mut self, order: OrderId) {
        self.release(order);
        self.backorders.leave(order);
    }

    /// Gives back what the order has held there since before `limit`; false when it holds nothing there as old as that.
    pub fn release_older(&mut self, order: OrderId, warehouse: WarehouseId, limit: Timestamp) -> bool {
        let older = self.allocations.get(&order).is_some_and(|held| held.since < limit);
        older && self.take(order, warehouse).map(|demand| self.give_back(warehouse, &demand)).is_some()
    }

    /// Sets rows that a warehouse answered with; an older version than the known one changes nothing (R14).
    pub fn set_rows(&mut self, warehouse: WarehouseId, rows: &[StockRow], at: Timestamp) {
        for row in rows {
            if self.shelves.set_row(warehouse, row, at) {
                self.backorders.rose(row.book_id);
            }
        }
    }

    /// The same, and what the order holds there is in these rows already.
    pub fn settle(&mut self, order: OrderId, warehouse: WarehouseId, rows: &[StockRow], at: Timestamp) {
        let Some(held) = self.take(order, warehouse) else { return self.set_rows(warehouse, rows, at) };
        // Looked at together: a book that was shipped has not risen because its promise ended.
        let books = held.lines().iter().map(|line| line.book).chain(rows.iter().map(|row| row.book_id));
        let before: Vec<_> = books.map(|book| (book, self.shelves.free(warehouse, book).max(0))).collect();
        for line in held.lines() {
            self.shelves.promise(warehouse, line.book, -i64::from(line.quantity));
        }
        for row in rows {
            self.shelves.set_row(warehouse, row, at);
        }
        for (book, free) in before {
            if self.shelves.free(warehouse, book) > free {
                self.backorders.rose(book);
            }
        }
    }

    /// Takes in a full pull. Rows of books that the store does not know must have been left out.
    pub fn apply_pull(&mut self, warehouse: WarehouseId, snapshot: &Snapshot, wholesale: bool, at: Timestamp) {
        let risen = self.shelves.apply_pull(warehouse, snapshot, wholesale, at);
        risen.into_iter().for_each(|book| self.backorders.rose(book));
    }

    /// Gives what has come to those who wait, oldest first; returns who got what they wanted, and so wait no more. At most `tries` are
    /// looked at: where [`Stock::is_serving`] says so, there are more.
    ///
    /// Nobody is given anything while an older one waits for any of the same books, whatever it is that the older one lacks.
    pub fn serve(&mut self, tries: usize, now: Timestamp) -> Vec<OrderId> {
        let mut came = Vec::new();
        for _ in 0..tries {
            let Some(order) = self.backorders.next() else { break };
            let Some(Ok(plan)) = self.backorders.wants(order).map(|wants| self.source(wants)) else { continue };
            self.backorders.leave(order);
            self.allocate(order, &plan, now);
            came.push(order);
        }
        came
    }

    /// Whether somebody who waits is still to be looked at.
    pub fn is_serving(&self) -> bool {
        self.backorders.is_any_due()
    }

    /// Where copies of the book are.
    pub fn of(&self, book: BookId) -> BookStock {
        self.shelves.of(book)
    }

    /// Copies of the book that are free in warehouses that can be sourced from now.
    pub fn available(&self, book: BookId) -> i64 {
        self.shelves.available(book)
    }

    /// What has been held since before `limit`: by which order, at which warehouse, of which books.
    pub fn held_since_before(&self, limit: Timestamp) -> Vec<(OrderId, WarehouseId, Vec<BookId>)> {
        let old = self.allocations.iter().filter(|(_, held)| held.since < limit);
        let books = |demand: &Demand| demand.lines().iter().map(|line| line.book).collect();
        old.flat_map(|(order, held)| held.parts.iter().map(move |(at, demand)| (*order, *at, books(demand)))).collect()
    }

    /// How many orders hold an allocation.
    pub fn allocations(&self) -> usize {
        self.allocations.len()
    }

    /// How many orders wait for stock.
    pub fn waiting(&self) -> usize {
        self.backorders.len()
    }

    fn source(&self, wants: &Wants) -> Result<Plan, Vec<Shortfall>> {
        sourcing::plan(&wants.demand, &self.shelves.candidates(wants), wants.allow_split, self.strategy)
    }

    /// Adds a plan to what the order holds.
    fn allocate(&mut self, order: OrderId, plan: &Plan, now: Timestamp) {
        let held = self.allocations.get(&order).into_iter().flat_map(|held| &held.parts);
        let held = held.map(|(warehouse, demand)| (*warehouse, demand.lines().to_vec()));
        let planned = plan.parts.iter().map(|part| (part.warehouse, part.lines.clone()));
        let parts: Vec<_> = held.chain(planned).collect();
        self.assert(order, &parts, now);
    }

    fn hold(&mut self, order: OrderId, parts: BTreeMap<WarehouseId, Demand>, since: Timestamp) {
        if parts.is_empty() {
            return;
        }
        for (warehouse, demand) in &parts {
            for line in demand.lines() {
                self.shelves.promise(*warehouse, line.book, i64::from(line.quantity));
            }
        }
        self.allocations.insert(order, Allocation { parts, since });
    }

    /// Takes from an order what it holds at a warehouse. The promise is still to be ended.
    fn take(&mut self, order: OrderId, warehouse: WarehouseId) -> Option<Demand> {
        let held = self.allocations.get_mut(&order)?;
        let demand = held.parts.remove(&warehouse);
        if held.parts.is_empty() {
            self.allocations.remove(&order);
        }
        demand
    }

    fn give_back(&mut self, warehouse: WarehouseId, demand: &Demand) {
        for line in demand.lines() {
            self.shelves.promise(warehouse, line.book, -i64::from(line.quantity));
            self.backorders.rose(line.book);
        }
    }
}

#[cfg(test)]
mod tests;
