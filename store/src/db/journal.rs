//! What the journal writes: accepted orders, the steps of their sagas, and the panics of those.
//!
//! A flush is one transaction of a few statements, whatever its size.

use std::collections::HashSet;

use contract::{
    BookId, OrderId, OrderItemId, OrderStatus, PaymentStatus, ShipmentId, ShipmentStatus, StockRow, Timestamp, UserId,
    WarehouseId,
};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement};
use serde::Serialize;
use uuid::Uuid;

use super::bulk::{self, Columns, Set, Type};
use super::idempotency::Key;
use super::inventory_cache;

/// How many panics of one saga a person is called for (R24).
pub const PANICS_TO_ATTENTION: i32 = 3;

/// An order that is accepted, with its saga's first entry.
#[derive(Debug, Clone, Serialize)]
pub struct Accepted {
    /// The order.
    pub order_id: OrderId,
    /// Whose.
    pub user_id: UserId,
    /// Its price.
    pub total_cents: i64,
    /// How it is paid.
    pub method: String,
    /// The saga.
    pub state: serde_json::Value,
    /// Where that stands.
    pub stage: &'static str,
    /// What a reader of the journal wants to know of it.
    pub detail: serde_json::Value,
    /// When.
    pub at: Timestamp,
    /// Its first shipments, in a statement of their own.
    #[serde(skip)]
    pub shipments: Vec<Instructed>,
    /// Its lines, in a statement of their own.
    #[serde(skip)]
    pub lines: Vec<AcceptedLine>,
    /// The key that it was placed with, in a statement of its own.
    #[serde(skip)]
    pub key: Option<Key>,
}

/// A key as it is written.
#[derive(Serialize)]
struct KeyRow<'a> {
    #[serde(flatten)]
    key: &'a Key,
    order_id: OrderId,
    at: Timestamp,
}

/// A line of it.
#[derive(Debug, Clone, Serialize)]
pub struct AcceptedLine {
    /// The line.
    pub id: OrderItemId,
    /// The order.
    pub order_id: OrderId,
    /// The book.
    pub book_id: BookId,
    /// As it is called now.
    pub book_title: String,
    /// Its ISBN.
    pub isbn: String,
    /// Copies.
    pub quantity: u32,
    /// What one costs now.
    pub price_cents: i64,
}

/// One step of a saga.
#[derive(Debug, Clone, Serialize)]
pub struct Advanced {
    /// The order.
    pub order_id: OrderId,
    /// The entry before this one. Where that is not the latest any more, nothing is written (R4).
    pub seq: i64,
    /// The step's name.
    pub event: &'static str,
    /// What a reader of the journal wants to know of it.
    pub detail: serde_json::Value,
    /// The saga after it.
    pub state: serde_json::Value,
    /// Whether that was the last step.
    pub finished: bool,
    /// Whether a person must look.
    pub attention: bool,
    /// Where the saga stands after it.
    pub stage: &'static str,
    /// Where the order stands after it.
    pub order_status: OrderStatus,
    /// Why.
    pub reason: Option<String>,
    /// When all of it had left.
    #[serde(with = "contract::time::option")]
    pub shipped_at: Option<Timestamp>,
    /// Whether it is being cancelled.
    pub cancel_requested: bool,
    /// Where the payment stands after it; none leaves it as it is.
    pub payment_status: Option<PaymentStatus>,
    /// What was taken of it.
    pub captured_cents: i64,
    /// What was given back of that.
    pub refunded_cents: i64,
    /// When.
    pub at: Timestamp,
    /// Shipments that stand elsewhere now, in a statement of their own.
    #[serde(skip)]
    pub shipments: Vec<ShipmentNow>,
    /// Shipments that are new, in a statement of their own.
    #[serde(skip)]
    pub instructed: Vec<Instructed>,
    /// Copies of the order's books that are back, in a statement of their own.
    #[serde(skip)]
    pub returned: Vec<ReturnedNow>,
    /// Rows for the cache, in a statement of their own.
    #[serde(skip)]
    pub stock: Vec<(WarehouseId, StockRow)>,
}

/// Where a shipment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ShipmentNow {
    /// Which.
    pub id: ShipmentId,
    /// Where it stands.
    pub status: ShipmentStatus,
    /// When it left.
    #[serde(with = "contract::time::option")]
    pub shipped_at: Option<Timestamp>,
    /// When it came to stand there.
    pub at: Timestamp,
}

/// A shipment that a warehouse is to be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Instructed {
    /// Its id.
    pub id: ShipmentId,
    /// Of which order.
    pub order_id: OrderId,
    /// Where.
    pub warehouse_id: WarehouseId,
    /// By name.
    pub warehouse_name: String,
    /// Where it stands.
    pub status: ShipmentStatus,
    /// What is in it, as JSON text.
    pub contents: String,
    /// When.
    pub at: Timestamp,
}

/// How many copies of a book of an order are back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReturnedNow {
    /// The line.
    pub id: OrderItemId,
    /// Copies, in all.
    pub copies: u32,
}

/// What a saga has tried in vain since it last moved.
#[derive(Debug, Clone, Serialize)]
pub struct Tried {
    /// The order.
    pub order_id: OrderId,
    /// The entry that it stands at. Where that is not the latest any more, nothing is written.
    pub seq: i64,
    /// How often, when and in vain why: a [`crate::domain::saga::Effort`].
    pub effort: serde_json::Value,
}

const ACCEPTED: &Columns = &[
    ("order_id", Type::Uuid),
    ("user_id", Type::Uuid),
    ("total_cents", Type::BigInt),
    ("method", Type::Text),
    ("state", Type::Json),
    ("stage", Type::Text),
    ("detail", Type::Json),
    ("at", Type::Time),
];

const KEYS: &Columns = &[
    ("user_id", Type::Uuid),
    ("key", Type::Text),
    ("body_hash", Type::Text),
    ("order_id", Type::Uuid),
    ("at", Type::Time),
];

const LINES: &Columns = &[
    ("id", Type::Uuid),
    ("order_id", Type::Uuid),
    ("book_id", Type::Uuid),
    ("book_title", Type::Text),
    ("isbn", Type::Text),
    ("quantity", Type::BigInt),
    ("price_cents", Type::BigInt),
];

const ADVANCED: &Columns = &[
    ("order_id", Type::Uuid),
    ("seq", Type::BigInt),
    ("event", Type::Text),
    ("detail", Type::Json),
    ("state", Type::Json),
    ("finished", Type::Bool),
    ("attention", Type::Bool),
    ("stage", Type::Text),
    ("order_status", Type::Text),
    ("reason", Type::Text),
    ("shipped_at", Type::Time),
    ("cancel_requested", Type::Bool),
    ("payment_status", Type::Text),
    ("captured_cents", Type::BigInt),
    ("refunded_cents", Type::BigInt),
    ("at", Type::Time),
];

const SHIPMENTS_NOW: &Columns =
    &[("id", Type::Uuid), ("status", Type::Text), ("shipped_at", Type::Time), ("at", Type::Time)];

const INSTRUCTED: &Columns = &[
    ("id", Type::Uuid),
    ("order_id", Type::Uuid),
    ("warehouse_id", Type::Uuid),
    ("warehouse_name", Type::Text),
    ("status", Type::Text),
    ("contents", Type::Text),
    ("at", Type::Time),
];

const RETURNED_NOW: &Columns = &[("id", Type::Uuid), ("copies", Type::BigInt)];

const TRIED: &Columns = &[("order_id", Type::Uuid), ("seq", Type::BigInt), ("effort", Type::Json)];

/// Writes accepted orders.
///
/// # Errors
/// Those of the database; a unique violation for an order that is there already, or a key that has another order.
pub async fn accept(db: &impl ConnectionTrait, orders: &[&Accepted]) -> Result<(), DbErr> {
    let statements = [
        "INSERT INTO orders (id, user_id, status, total_cents, created_at, updated_at) \
         SELECT order_id, user_id, 'PENDING', total_cents, at, at FROM {rows}",
        "INSERT INTO payments (id, order_id, method, amount_cents, status, created_at, updated_at) \
         SELECT order_id, order_id, method, total_cents, 'PENDING', at, at FROM {rows}",
        "INSERT INTO sagas (order_id, seq, state, stage, finished, needs_attention, panics, created_at, updated_at) \
         SELECT order_id, 0, state, stage, false, false, 0, at, at FROM {rows}",
        "INSERT INTO saga_journal (order_id, seq, event, detail, at) \
         SELECT order_id, 0, 'accepted', detail, at FROM {rows}",
    ];
    let shipments: Vec<_> = orders.iter().flat_map(|order| &order.shipments).collect();
    let lines: Vec<_> = orders.iter().flat_map(|order| &order.lines).collect();
    let item = ["INSERT INTO order_items (id, order_id, book_id, book_title, isbn, quantity, price_cents) \
                 SELECT id, order_id, book_id, book_title, isbn, quantity, price_cents FROM {rows}"];
    let keyed = orders.iter().filter_map(|order| Some((order, order.key.as_ref()?)));
    let keys: Vec<_> = keyed.map(|(order, key)| KeyRow { key, order_id: order.order_id, at: order.at }).collect();
    let key = ["INSERT INTO idempotency_keys (user_id, key, body_hash, order_id, created_at) \
                SELECT user_id, key, body_hash, order_id, at FROM {rows}"];
    let sets = [
        Set::new(ACCEPTED, orders, &statements)?,
        Set::new(INSTRUCTED, &shipments, &[INSTRUCT])?,
        Set::new(LINES, &lines, &item)?,
        Set::new(KEYS, &keys, &key)?,
    ];
    bulk::together(db, &sets).await
}

const INSTRUCT: &str = "INSERT INTO shipments (id, order_id, warehouse_id, warehouse_name, status, items, created_at, \
                        updated_at) SELECT id, order_id, warehouse_id, warehouse_name, status, contents, at, at FROM {rows}";

/// Writes steps of sagas, at most one for each saga, and says for each whether it was still the next one.
///
/// # Errors
/// Those of the database.
pub async fn advance(db: &impl ConnectionTrait, steps: &[&Advanced]) -> Result<Vec<bool>, DbErr> {
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    let update = "UPDATE sagas SET seq = sagas.seq + 1, state = u.state, stage = u.stage, \
                  finished = u.finished, needs_attention = u.attention, effort = NULL, updated_at = u.at \
                  FROM {rows} WHERE sagas.order_id = u.order_id AND sagas.seq = u.seq AND {by sagas.order_id = order_id} \
                  RETURNING sagas.order_id AS id";
    let mut current = HashSet::new();
    for row in bulk::query(db, ADVANCED, steps, update).await? {
        current.insert(OrderId(row.try_get::<Uuid>("", "id")?));
    }
    let steps_now: Vec<&Advanced> = steps.iter().copied().filter(|step| current.contains(&step.order_id)).collect();
    let statements = [
        "INSERT INTO saga_journal (order_id, seq, event, detail, at) \
         SELECT order_id, seq + 1, event, detail, at FROM {rows}",
        "UPDATE orders SET status = u.order_status, status_reason = u.reason, shipped_at = u.shipped_at, \
         cancel_requested = u.cancel_requested, updated_at = u.at \
         FROM {rows} WHERE orders.id = u.order_id AND {by orders.id = order_id}",
        "UPDATE payments SET status = u.payment_status, captured_cents = u.captured_cents, \
         refunded_cents = u.refunded_cents, updated_at = u.at \
         FROM {rows} WHERE payments.order_id = u.order_id AND u.payment_status IS NOT NULL \
         AND {by payments.order_id = order_id}",
    ];
    let shipments: Vec<_> = steps_now.iter().flat_map(|step| &step.shipments).collect();
    let ship = ["UPDATE shipments SET status = u.status, shipped_at = u.shipped_at, updated_at = u.at \
                FROM {rows} WHERE shipments.id = u.id AND {by shipments.id = id}"];
    let instructed: Vec<_> = steps_now.iter().flat_map(|step| &step.instructed).collect();
    let returned: Vec<_> = steps_now.iter().flat_map(|step| &step.returned).collect();
    let take_back = ["UPDATE order_items SET returned = u.copies \
                     FROM {rows} WHERE order_items.id = u.id AND {by order_items.id = id}"];
    let sets = [
        Set::new(ADVANCED, &steps_now, &statements)?,
        Set::new(SHIPMENTS_NOW, &shipments, &ship)?,
        Set::new(INSTRUCTED, &instructed, &[INSTRUCT])?,
        Set::new(RETURNED_NOW, &returned, &take_back)?,
    ];
    bulk::together(db, &sets).await?;
    let stock: Vec<_> = steps_now.iter().flat_map(|step| step.stock.iter().copied()).collect();
    if let Some(step) = steps_now.first() {
        inventory_cache::upsert_newer(db, &stock, step.at).await?;
    }
    Ok(steps.iter().map(|step| current.contains(&step.order_id)).collect())
}

/// Notes what sagas have tried in vain. Whatever has moved meanwhile is left alone.
///
/// # Errors
/// Those of the database.
pub async fn note_tries(db: &impl ConnectionTrait, tries: &[&Tried]) -> Result<(), DbErr> {
    let update = "UPDATE sagas SET effort = u.effort \
                  FROM {rows} WHERE sagas.order_id = u.order_id AND sagas.seq = u.seq AND {by sagas.order_id = order_id}";
    bulk::execute(db, TRIED, tries, &[update]).await
}

/// Lets a saga start again that has panicked too often.
///
/// # Errors
/// Those of the database.
pub async fn forget_panics(db: &impl ConnectionTrait, order: OrderId) -> Result<(), DbErr> {
    let forget = "UPDATE sagas SET panics = 0 WHERE order_id = $1";
    let values = [order.uuid().into()];
    db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), forget, values)).await?;
    Ok(())
}

/// Counts a panic of an order's saga and answers how many there were. The third calls a person.
///
/// # Errors
/// Those of the database.
pub async fn count_panic(db: &impl ConnectionTrait, order: OrderId, reason: &str, at: Timestamp) -> Result<i32, DbErr> {
    #[derive(FromQueryResult)]
    struct Panics {
        panics: i32,
    }
    let backend = db.get_database_backend();
    let count = "UPDATE sagas SET panics = panics + 1, updated_at = $1, \
                 needs_attention = needs_attention OR panics + 1 >= $2 \
                 WHERE order_id = $3 AND NOT finished RETURNING panics";
    let values = [at.into(), PANICS_TO_ATTENTION.into(), order.uuid().into()];
    let counted = Panics::find_by_statement(Statement::from_sql_and_values(backend, count, values)).one(db).await?;
    let panics = counted.map_or(0, |counted| counted.panics);
    if panics >= PANICS_TO_ATTENTION {
        let flag = "UPDATE orders SET status = 'NEEDS_ATTENTION', status_reason = $1, updated_at = $2 \
                    WHERE id = $3 AND status = 'PENDING'";
        let values = [reason.into(), at.into(), order.uuid().into()];
        db.execute_raw(Statement::from_sql_and_values(backend, flag, values)).await?;
    }
    Ok(panics)
}

/// Whether an entry is there: what a commit whose answer was lost is asked by.
///
/// # Errors
/// Those of the database.
pub async fn has_entry(db: &impl ConnectionTrait, order: OrderId, seq: i64) -> Result<bool, DbErr> {
    let sql = "SELECT 1 AS found FROM saga_journal WHERE order_id = $1 AND seq = $2";
    let values = [order.uuid().into(), seq.into()];
    let found = db.query_one_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await?;
    Ok(found.is_some())
}

/// Every entry of an order's journal, oldest first: `(seq, event)`.
///
/// # Errors
/// Those of the database.
pub async fn entries(db: &impl ConnectionTrait, order: OrderId) -> Result<Vec<(i64, String)>, DbErr> {
    let sql = "SELECT seq, event FROM saga_journal WHERE order_id = $1 ORDER BY seq";
    let rows = db.query_all_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, [order.uuid().into()]));
    rows.await?.iter().map(|row| Ok((row.try_get("", "seq")?, row.try_get("", "event")?))).collect()
}

#[cfg(test)]
mod tests;
