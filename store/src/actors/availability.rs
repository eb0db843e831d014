//! Stock by book and warehouse, and the allocations of orders in flight; sources orders. Child of the store's root.
//!
//! A restart reads the cache, the registry and the open shipments again. What it loses: allocations of orders that are planned and not
//! journaled yet (`orders` asserts them after the commit), and what was sent to it meanwhile (the next audit and pull make that good).

use std::sync::Arc;
use std::time::Duration;

use ::actors::{Actor, Address, Context, EffectError, Failure, Reply};
use chrono::TimeDelta;
use contract::{BookId, OrderId, Shortfall, StockRow, Timestamp, WarehouseHealth, WarehouseId};
use sea_orm::DbErr;
use service::clock;
use service::database::{self, Database};
use strum::IntoStaticStr;

use super::warehouses::registry;
use crate::db;
use crate::domain::pull::Snapshot;
use crate::domain::sourcing::Demand;
use crate::domain::stock::{BookStock, Site, Stock};

pub use crate::domain::sourcing::Line;
pub use crate::domain::stock::Choice;

/// How often allocations are compared with the open shipments, and how old one must be for that. An order that takes longer to be written
/// loses its allocation and asserts it again once it is.
pub const AUDIT_EVERY: Duration = Duration::from_secs(15);
const AUDIT_LIMIT: Duration = Duration::from_secs(30);

/// What every start is given.
#[derive(Clone)]
pub struct Args {
    /// Where the cache is.
    pub database: Database,
    /// Whose warehouses these are; asked at start which of them can be sourced from.
    pub registry: Address<registry::Msg>,
    /// [`AUDIT_EVERY`].
    pub audit_every: Duration,
}

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// Sources an order from one warehouse and allocates there; replaces what the order held, also when it is refused.
    Plan {
        /// The order.
        order: OrderId,
        /// What it wants.
        demand: Vec<Line>,
        /// Warehouses that have refused it.
        exclude: Vec<WarehouseId>,
        /// The warehouse, or what is short at the one that comes nearest.
        reply: Reply<Result<Choice, Vec<Shortfall>>>,
    },
    /// Makes sure that the order holds this, and nothing else.
    Assert {
        /// The order.
        order: OrderId,
        /// Where.
        warehouse: WarehouseId,
        /// What.
        lines: Vec<Line>,
    },
    /// After the journal's commit: the rows that a warehouse answered with, and the end of the order's allocation.
    Settle {
        /// The order, where the rows are those of an order.
        order: Option<OrderId>,
        /// The warehouse.
        warehouse: WarehouseId,
        /// Its rows.
        rows: Vec<StockRow>,
    },
    /// The order ends without a shipment.
    Release {
        /// The order.
        order: OrderId,
    },
    /// A full pull has been committed.
    ApplyPull {
        /// The warehouse.
        warehouse: WarehouseId,
        /// Its rows, those of unknown books left out.
        snapshot: Arc<Snapshot>,
        /// Whether they replace whatever there is.
        wholesale: bool,
        /// When.
        at: Timestamp,
    },
    /// A warehouse is new or has changed.
    SetWarehouse {
        /// The warehouse.
        id: WarehouseId,
        /// Its name.
        name: String,
        /// Whether orders may be sent there now.
        sourceable: bool,
        /// A lower one is preferred.
        priority: i32,
    },
    /// A warehouse is no longer there.
    RemoveWarehouse {
        /// The warehouse.
        id: WarehouseId,
    },
    /// Copies free of each book, in warehouses that can be sourced from now.
    Available {
        /// The books.
        books: Vec<BookId>,
        /// In the same order.
        reply: Reply<Vec<i64>>,
    },
    /// One book in all warehouses.
    Stock {
        /// The book.
        book: BookId,
        /// Where copies are.
        reply: Reply<BookStock>,
    },
    /// Timer: compare old allocations with the open shipments.
    Audit,
    /// The audit has ended.
    Audited {
        /// What is over although nobody said so.
        over: Result<Vec<Over>, String>,
        /// Allocations that began later were not looked at.
        before: Timestamp,
    },
}

/// An allocation whose order has no open shipment.
#[derive(Debug)]
pub struct Over {
    order: OrderId,
    warehouse: WarehouseId,
    rows: Vec<StockRow>,
}

/// Stock, allocations and where the truth is.
pub struct State {
    stock: Stock,
    database: Database,
    audit_every: Duration,
}

/// The actor.
pub struct Availability;

impl Actor for Availability {
    const KIND: &'static str = "availability";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, ctx: &mut Context<Msg>) -> Result<State, Failure> {
        let stock = load(&args.database).await?;
        tracing::info!(allocations = stock.allocations(), "stock read");
        // Refused while the registry has not started: it announces every warehouse when it does.
        let _ = args.registry.tell(registry::Msg::Announce);
        ctx.send_after(args.audit_every, Msg::Audit);
        Ok(State { stock, database: args.database, audit_every: args.audit_every })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        let stock = &mut state.stock;
        match msg {
            Msg::Plan { order, demand, exclude, reply } => {
                let planned = stock.plan(order, Demand::new(&demand), &exclude, clock::now());
                if reply.is_abandoned() {
                    // Nobody knows of this plan, so nobody would ever give it back.
                    stock.release(order);
                } else {
                    reply.send(planned);
                }
            }
            Msg::Assert { order, warehouse, lines } => {
                stock.assert(order, warehouse, Demand::new(&lines), clock::now());
            }
            Msg::Settle { order, warehouse, rows } => {
                stock.set_rows(warehouse, &rows, clock::now());
                if let Some(order) = order {
                    stock.release(order);
                }
            }
            Msg::Release { order } => stock.release(order),
            Msg::ApplyPull { warehouse, snapshot, wholesale, at } => {
                stock.apply_pull(warehouse, &snapshot, wholesale, at);
            }
            Msg::SetWarehouse { id, name, sourceable, priority } => {
                stock.set_site(id, Site { name, sourceable, priority });
            }
            Msg::RemoveWarehouse { id } => stock.remove_site(id),
            Msg::Available { books, reply } => {
                reply.send(books.into_iter().map(|book| stock.available(book)).collect());
            }
            Msg::Stock { book, reply } => reply.send(stock.of(book)),
            Msg::Audit => state.audit(ctx),
            Msg::Audited { over, before } => {
                state.settle(over, before);
                ctx.send_after(state.audit_every, Msg::Audit);
            }
        }
        Ok(())
    }
}

impl State {
    fn audit(&self, ctx: &mut Context<Msg>) {
        let before = clock::now() - TimeDelta::from_std(self.audit_every).unwrap_or_default();
        let held = self.stock.held_since_before(before);
        if held.is_empty() {
            ctx.send_after(self.audit_every, Msg::Audit);
            return;
        }
        let database = self.database.clone();
        ctx.effect(AUDIT_LIMIT, async move { find_over(&database, held).await }, move |result| Msg::Audited {
            over: result.unwrap_or_else(|error: EffectError| Err(error.to_string())),
            before,
        });
    }

    fn settle(&mut self, over: Result<Vec<Over>, String>, before: Timestamp) {
        match over {
            Ok(over) => {
                for Over { order, warehouse, rows } in over {
                    if self.stock.release_older(order, before) {
                        tracing::warn!(%order, %warehouse, "an allocation had outlived its shipment");
                        self.stock.set_rows(warehouse, &rows, clock::now());
                    }
                }
            }
            Err(error) => tracing::debug!(error, "allocations were not audited"),
        }
    }
}

async fn load(database: &Database) -> Result<Stock, Failure> {
    let db = database.ready()?;
    let failed = |error: DbErr| database::failure(&error);
    let (now, mut stock) = (clock::now(), Stock::default());
    for row in db::warehouses::all(db).await.map_err(failed)? {
        let sourceable = row.enabled && row.status == WarehouseHealth::Healthy;
        stock.set_site(row.id, Site { name: row.name, sourceable, priority: row.priority });
        if let Some(at) = row.last_pulled_at {
            stock.set_pulled_at(row.id, at);
        }
    }
    // The open shipments first: one that ends in between has then its rows in the cache, and its allocation is found by the audit. The other
    // way round its rows would be missing.
    let open = db::shipments::open(db).await.map_err(failed)?;
    for row in db::inventory_cache::all(db).await.map_err(failed)? {
        let (warehouse, book_id) = (WarehouseId(row.warehouse_id), BookId(row.book_id));
        let stock_row = StockRow { book_id, quantity: row.quantity, reserved: 0, version: row.version };
        stock.set_rows(warehouse, &[stock_row], row.updated_at);
    }
    for shipment in open {
        let lines = shipment.items.iter().map(|item| Line { book: item.book_id, quantity: item.quantity });
        stock.assert(shipment.order, shipment.warehouse, Demand::new(&lines.collect::<Vec<_>>()), now);
    }
    Ok(stock)
}

type Held = (OrderId, WarehouseId, Vec<BookId>);

async fn find_over(database: &Database, held: Vec<Held>) -> Result<Vec<Over>, String> {
    let db = database.ready().map_err(|failure| failure.reason().to_owned())?;
    let orders: Vec<_> = held.iter().map(|(order, ..)| *order).collect();
    let open = db::shipments::open_of(db, &orders).await.map_err(|error| error.to_string())?;
    let mut over = Vec::new();
    for (order, warehouse, books) in held.into_iter().filter(|(order, ..)| !open.contains(order)) {
        let rows = db::inventory_cache::rows_of(db, warehouse, &books).await.map_err(|error| error.to_string())?;
        over.push(Over { order, warehouse, rows });
    }
    Ok(over)
}

#[cfg(test)]
mod tests;
