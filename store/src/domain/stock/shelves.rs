//! How many copies of each book each warehouse has, and how many of them are promised.

use std::collections::{HashMap, HashSet};

use contract::{BookId, StockRow, Timestamp, WarehouseId};

use super::{BookStock, Shelf, Site};
use crate::domain::pull::{self, Snapshot};
use crate::domain::sourcing::{Candidate, Wants};

/// All rows of all warehouses.
#[derive(Debug, Default)]
pub(super) struct Shelves {
    /// A book is in few warehouses: a list of them is searched faster than a map.
    cells: HashMap<BookId, Vec<Cell>>,
    /// Every warehouse that was ever spoken of, by its number: a cell has the number, so that a plan need not look ids up.
    places: Vec<Place>,
    numbers: HashMap<WarehouseId, usize>,
}

/// A warehouse. It has no site before it is entered, and after it is removed.
#[derive(Debug)]
struct Place {
    warehouse: WarehouseId,
    site: Option<Site>,
    pulled_at: Option<Timestamp>,
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
    place: usize,
    row: Option<Row>,
    promised: i64,
}

impl Cell {
    fn free(&self) -> i64 {
        self.row.map_or(0, |row| row.available) - self.promised
    }

    /// Whether this leaves more to be had than there was.
    fn set(&mut self, row: Row) -> bool {
        let before = self.free().max(0);
        self.row = Some(row);
        self.free() > before
    }

    fn is_empty(&self) -> bool {
        self.row.is_none() && self.promised == 0
    }
}

impl Shelves {
    /// Enters or changes a warehouse; true when it can be sourced from and could not before.
    pub(super) fn set_site(&mut self, warehouse: WarehouseId, site: Site) -> bool {
        let place = self.place(warehouse);
        let sourceable = site.sourceable;
        let before = place.site.replace(site);
        sourceable && before.is_none_or(|before| !before.sourceable)
    }

    /// Forgets a warehouse and its rows.
    pub(super) fn remove_site(&mut self, warehouse: WarehouseId) {
        let Some(&number) = self.numbers.get(&warehouse) else { return };
        let place = &mut self.places[number];
        (place.site, place.pulled_at) = (None, None);
        for cells in self.cells.values_mut() {
            cells.iter_mut().filter(|cell| cell.place == number).for_each(|cell| cell.row = None);
            cells.retain(|cell| !cell.is_empty());
        }
        self.cells.retain(|_, cells| !cells.is_empty());
    }

    pub(super) fn set_pulled_at(&mut self, warehouse: WarehouseId, at: Timestamp) {
        self.place(warehouse).pulled_at = Some(at);
    }

    /// Sets a row unless a newer one is known; true when there is more to be had now.
    pub(super) fn set_row(&mut self, warehouse: WarehouseId, row: &StockRow, at: Timestamp) -> bool {
        let cell = self.cell(warehouse, row.book_id);
        let is_newer = cell.row.is_none_or(|known| known.version < row.version);
        is_newer && cell.set(Row { available: row.available().max(0), version: row.version, written_at: at })
    }

    /// Takes in a full pull; returns the books of which there is more to be had now.
    pub(super) fn apply_pull(
        &mut self,
        warehouse: WarehouseId,
        snapshot: &Snapshot,
        wholesale: bool,
        at: Timestamp,
    ) -> Vec<BookId> {
        let (mut pulled, mut risen) = (HashSet::with_capacity(snapshot.rows.len()), Vec::new());
        for row in &snapshot.rows {
            pulled.insert(row.book_id);
            let cell = self.cell(warehouse, row.book_id);
            let same = |known: Row| known.version == row.version && known.available == row.available();
            if cell.row.is_none_or(|known| pull::replaces(wholesale, known.version, row.version) && !same(known))
                && cell.set(Row { available: row.available(), version: row.version, written_at: at })
            {
                risen.push(row.book_id);
            }
        }
        let number = self.number(warehouse);
        let replaced = |known: Row| pull::replaces(wholesale, known.version, snapshot.version);
        for (book, cells) in &mut self.cells {
            if !pulled.contains(book) {
                let gone = cells.iter_mut().filter(|cell| cell.place == number && cell.row.is_some_and(replaced));
                gone.for_each(|cell| cell.row = None);
                cells.retain(|cell| !cell.is_empty());
            }
        }
        self.cells.retain(|_, cells| !cells.is_empty());
        self.places[number].pulled_at = Some(at);
        risen
    }

    /// Promises so many copies more, or takes a promise back.
    pub(super) fn promise(&mut self, warehouse: WarehouseId, book: BookId, copies: i64) {
        let cell = self.cell(warehouse, book);
        cell.promised += copies;
        if cell.is_empty() {
            let place = cell.place;
            if let Some(cells) = self.cells.get_mut(&book) {
                cells.retain(|cell| cell.place != place);
            }
        }
    }

    /// Copies of a book that one warehouse has and has not promised. Below zero where it turned out to have fewer than that.
    pub(super) fn free(&self, warehouse: WarehouseId, book: BookId) -> i64 {
        let Some(number) = self.numbers.get(&warehouse) else { return 0 };
        let cells = self.cells.get(&book).into_iter().flatten();
        cells.filter(|cell| cell.place == *number).map(Cell::free).sum()
    }

    pub(super) fn available(&self, book: BookId) -> i64 {
        let cells = self.cells.get(&book).into_iter().flatten();
        let sourceable = cells.filter(|cell| self.site(cell).is_some_and(|site| site.sourceable));
        sourceable.map(|cell| cell.free().max(0)).sum()
    }

    pub(super) fn of(&self, book: BookId) -> BookStock {
        let mut stock = BookStock::default();
        for cell in self.cells.get(&book).into_iter().flatten() {
            let (Some(row), Some(site)) = (cell.row, self.site(cell)) else { continue };
            let quantity = cell.free().max(0);
            if site.sourceable {
                stock.available += quantity;
            }
            let pulled_at = self.places[cell.place].pulled_at;
            let last_synced = pulled_at.map_or(row.written_at, |pulled_at| pulled_at.max(row.written_at));
            stock.shelves.push(Shelf { warehouse_name: site.name.clone(), quantity, last_synced });
        }
        stock.shelves.sort_unstable_by(|a, b| a.warehouse_name.cmp(&b.warehouse_name));
        stock
    }

    /// The warehouses that may be asked, with what is free there of each line.
    pub(super) fn candidates(&self, wants: &Wants) -> Vec<Candidate<'_>> {
        let lines = wants.demand.lines();
        let mut candidates = Vec::new();
        let mut positions = vec![None; self.places.len()];
        for (place, position) in self.places.iter().zip(&mut positions) {
            let Some(site) = place.site.as_ref().filter(|site| site.sourceable) else { continue };
            if !wants.exclude.contains(&place.warehouse) {
                *position = Some(candidates.len());
                let (warehouse, free) = (place.warehouse, vec![0; lines.len()]);
                candidates.push(Candidate { warehouse, name: &site.name, priority: site.priority, free });
            }
        }
        // A book's cells lie together, so book by book; the other way round, each would be searched for each warehouse.
        for (line, wanted) in lines.iter().enumerate() {
            for cell in self.cells.get(&wanted.book).into_iter().flatten() {
                if let Some(position) = positions[cell.place] {
                    candidates[position].free[line] = cell.free();
                }
            }
        }
        candidates
    }

    fn site(&self, cell: &Cell) -> Option<&Site> {
        self.places[cell.place].site.as_ref()
    }

    fn number(&mut self, warehouse: WarehouseId) -> usize {
        let Self { places, numbers, .. } = self;
        *numbers.entry(warehouse).or_insert_with(|| {
            places.push(Place { warehouse, site: None, pulled_at: None });
            places.len() - 1
        })
    }

    fn place(&mut self, warehouse: WarehouseId) -> &mut Place {
        let number = self.number(warehouse);
        &mut self.places[number]
    }

    fn cell(&mut self, warehouse: WarehouseId, book: BookId) -> &mut Cell {
        let place = self.number(warehouse);
        let cells = self.cells.entry(book).or_default();
        let index = cells.iter().position(|cell| cell.place == place).unwrap_or_else(|| {
            cells.push(Cell { place, row: None, promised: 0 });
            cells.len() - 1
        });
        &mut cells[index]
    }

    /// Whether nothing is promised that is not there, and nothing is kept that says nothing.
    #[cfg(test)]
    pub(super) fn is_sound(&self) -> bool {
        self.cells.values().flatten().all(|cell| cell.free() >= 0 && cell.promised >= 0 && !cell.is_empty())
    }
}
