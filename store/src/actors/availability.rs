//! Stock by book and warehouse, the allocations of orders in flight, and the line of orders that wait for stock; sources orders. Child of
//! the store's root.
//!
//! A restart reads the cache, the registry and the open shipments again. What it loses: allocations of orders that are planned and not
//! journaled yet (`orders` asserts them after the commit), the line of orders that wait (each says so again from time to time), and what
//! was sent to it meanwhile (the next audit and pull make that good).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ::actors::{Actor, Address, Context, EffectError, Failure, Reply};
use chrono::TimeDelta;
use contract::{BookId, OrderId, Shortfall, StockRow, Timestamp, WarehouseHealth, WarehouseId};
use sea_orm::DbErr;
use service::clock;
use service::database::{self, Database};
use strum::IntoStaticStr;

use super::orders;
use super::warehouses::registry;
use crate::db;
use crate::domain::pull::Snapshot;
use crate::domain::stock::{BookStock, LONGEST_LINE, Site, Stock};

pub use crate::domain::sourcing::{Line, Part, Plan, Strategy, Wants};

/// How often allocations are compared with the open shipments, and how old one must be for that. An order that takes longer to be written
/// loses its allocation and asserts it again once it is.
pub const AUDIT_EVERY: Duration = Duration::from_secs(15);
const AUDIT_LIMIT: Duration = Duration::from_secs(30);
/// Orders in the line that are looked at before the next message is taken: a pull may bring what thousands wait for.
const TRIES_AT_ONCE: usize = 64;
/// How long to wait before orders are told again of stock that has come.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// What every start is given.
#[derive(Clone)]
pub struct Args {
    /// Where the cache is.
    pub database: Database,
    /// Whose warehouses these are; asked at start which of them can be sourced from.
    pub registry: Address<registry::Msg>,
    /// Told of stock that has come.
    pub orders: Address<orders::Msg>,
    /// Which warehouses are preferred.
    pub strategy: Strategy,
    /// [`AUDIT_EVERY`].
    pub audit_every: Duration,
}

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// Sources an order and allocates every part in the same step; replaces what the order held, also when it is refused. An order that
    /// gets its plan waits for stock no more.
    Plan {
        /// The order.
        order: OrderId,
        /// What it wants, and how.
        wants: Wants,
        /// The plan, or what is short.
        reply: Reply<Result<Plan, Vec<Shortfall>>>,
    },
    /// Makes sure that the order holds this, and nothing else.
    Assert {
        /// The order.
        order: OrderId,
        /// What, and where.
        parts: Vec<(WarehouseId, Vec<Line>)>,
    },
    /// After the journal's commit: the rows that a warehouse answered with, and the end of what the order held there.
    Settle {
        /// The order, where the rows are those of an order.
        order: Option<OrderId>,
        /// The warehouse.
        warehouse: WarehouseId,
        /// Its rows.
        rows: Vec<StockRow>,
    },
    /// The order needs nothing more: gives back everything it holds, and it waits for stock no more.
    Release {
        /// The order.
        order: OrderId,
    },
    /// The order waits for stock, in the place of what it waited for before. It gives back what it holds; once everything can be had that it
    /// waits for and no older order waits for the same books, that is allocated and `orders` is told. Where the line is full this does
    /// nothing: say it again later, as also for a restart, which forgets the line.
    AwaitStock {
        /// The order.
        order: OrderId,
        /// Since when: the oldest comes first.
        since: Timestamp,
        /// What for.
        wants: Wants,
    },
    /// Go on looking through the line, and tell again of stock that has come.
    Serve,
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
    args: Args,
    stock: Stock,
    /// Orders whose stock has come and who could not be told so yet.
    untold: Vec<OrderId>,
    /// Whether [`Msg::Serve`] is on its way.
    serving: bool,
}

/// The actor.
pub struct Availability;

impl Actor for Availability {
    const KIND: &'static str = "availability";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, ctx: &mut Context<Msg>) -> Result<State, Failure> {
        let stock = load(&args).await?;
        tracing::info!(allocations = stock.allocations(), "stock read");
        // Refused while the registry has not started: it announces every warehouse when it does.
        let _ = args.registry.tell(registry::Msg::Announce);
        ctx.send_after(args.audit_every, Msg::Audit);
        Ok(State { args, stock, untold: Vec::new(), serving: false })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        let stock = &mut state.stock;
        match msg {
            Msg::Plan { order, wants, reply } => {
                let planned = stock.plan(order, &wants, clock::now());
                if reply.is_abandoned() {
                    // Nobody knows of this plan, so nobody would ever give it back.
                    stock.release(order);
                } else {
                    reply.send(planned);
                }
            }
            Msg::Assert { order, parts } => stock.assert(order, &parts, clock::now()),
            Msg::Settle { order: Some(order), warehouse, rows } => {
                stock.settle(order, warehouse, &rows, clock::now());
            }
            Msg::Settle { order: None, warehouse, rows } => stock.set_rows(warehouse, &rows, clock::now()),
            Msg::Release { order } => stock.forget(order),
            Msg::AwaitStock { order, since, wants } => {
                if !stock.wait(order, since, wants) {
                    tracing::warn!(%order, longest = LONGEST_LINE, "too many orders wait for stock");
                }
            }
            Msg::Serve => state.serving = false,
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
                ctx.send_after(state.args.audit_every, Msg::Audit);
            }
        }
        state.serve(ctx);
        Ok(())
    }
}

impl State {
    /// Whatever the message was, some of a book may have come that somebody waits for.
    fn serve(&mut self, ctx: &mut Context<Msg>) {
        if self.stock.is_serving() {
            let came = self.stock.serve(TRIES_AT_ONCE, clock::now());
            self.untold.extend(came);
        }
        let orders = &self.args.orders;
        self.untold.retain(|order| orders.tell(orders::Msg::StockCame { order: *order }).is_err());
        if self.serving {
            return;
        }
        if self.stock.is_serving() {
            self.serving = true;
            ctx.notify(Msg::Serve);
        } else if !self.untold.is_empty() {
            self.serving = true;
            ctx.send_after(TELL_AGAIN, Msg::Serve);
        }
    }

    fn audit(&self, ctx: &mut Context<Msg>) {
        let before = clock::now() - TimeDelta::from_std(self.args.audit_every).unwrap_or_default();
        let held = self.stock.held_since_before(before);
        if held.is_empty() {
            ctx.send_after(self.args.audit_every, Msg::Audit);
            return;
        }
        let database = self.args.database.clone();
        ctx.effect(AUDIT_LIMIT, async move { find_over(&database, held).await }, move |result| Msg::Audited {
            over: result.unwrap_or_else(|error: EffectError| Err(error.to_string())),
            before,
        });
    }

    fn settle(&mut self, over: Result<Vec<Over>, String>, before: Timestamp) {
        match over {
            Ok(over) => {
                for Over { order, warehouse, rows } in over {
                    if self.stock.release_older(order, warehouse, before) {
                        tracing::warn!(%order, %warehouse, "an allocation had outlived its shipment");
                        self.stock.set_rows(warehouse, &rows, clock::now());
                    }
                }
            }
            Err(error) => tracing::debug!(error, "allocations were not audited"),
        }
    }
}

async fn load(args: &Args) -> Result<Stock, Failure> {
    let db = args.database.ready()?;
    let failed = |error: DbErr| database::failure(&error);
    let mut stock = Stock::new(args.strategy);
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
    let mut held = HashMap::<_, Vec<_>>::new();
    for shipment in open {
        let lines = shipment.items.iter().map(|item| Line { book: item.book_id, quantity: item.quantity });
        held.entry(shipment.order).or_default().push((shipment.warehouse, lines.collect()));
    }
    let now = clock::now();
    held.iter().for_each(|(order, parts)| stock.assert(*order, parts, now));
    Ok(stock)
}

type Held = (OrderId, WarehouseId, Vec<BookId>);

async fn find_over(database: &Database, held: Vec<Held>) -> Result<Vec<Over>, String> {
    let db = database.ready().map_err(|failure| failure.reason().to_owned())?;
    let orders: Vec<_> = held.iter().map(|(order, ..)| *order).collect();
    let open = db::shipments::open_of(db, &orders).await.map_err(|error| error.to_string())?;
    let mut over = Vec::new();
    let over_there = held.into_iter().filter(|(order, warehouse, _)| !open.contains(&(*order, *warehouse)));
    for (order, warehouse, books) in over_there {
        let rows = db::inventory_cache::rows_of(db, warehouse, &books).await.map_err(|error| error.to_string())?;
        over.push(Over { order, warehouse, rows });
    }
    Ok(over)
}

#[cfg(test)]
mod tests;
