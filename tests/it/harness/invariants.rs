//! What must hold between all databases once everything is quiet, as plain SQL that shares no code with the product.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use sea_orm::DbErr;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::Sql;

/// How long retries, sweeps and registrations may take until nothing is left to do.
const QUIET_WITHIN: Duration = Duration::from_secs(100);

/// What a scenario has brought about on purpose.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// Orders that the store cannot know, since its database was put back or the test posted their shipments itself: they
    /// may have shipped, and their confirmations be parked.
    pub unknown_orders: bool,
    /// Orders that a person has to look at, or that wait for stock.
    pub needs_attention: HashSet<Uuid>,
    /// Orders that shipped from a database that was put back or wiped since.
    pub forgotten: HashSet<Uuid>,
    /// Warehouses that are away or not believed, whose cached stock is old.
    pub away: HashSet<String>,
}

/// Waits until everything is quiet, then asserts everything. `told` are the orders whose acceptance a client was told.
pub async fn hold(store: &str, warehouses: &[(&str, String)], told: &[Uuid], allowed: &Allowed) {
    let world = kit::until("the databases can be read", super::SOON, async || {
        World::open(store, warehouses).await.map_err(|error| error.to_string())
    })
    .await;
    kit::until("everything is quiet", QUIET_WITHIN, async || match world.unrest(allowed).await {
        Ok(unrest) if unrest.is_empty() => Ok(()),
        Ok(unrest) => Err(shortened(&unrest)),
        Err(error) => Err(error.to_string()),
    })
    .await;
    let mut broken = Vec::new();
    for (what, query) in STORE.iter().chain(PAYMENTS) {
        broken.extend(world.store.rows::<Value>(query).await.unwrap().into_iter().map(|row| format!("{what}: {row}")));
    }
    for (name, warehouse) in &world.warehouses {
        for (what, query) in WAREHOUSE {
            let rows = warehouse.rows::<Value>(query).await.unwrap();
            broken.extend(rows.into_iter().map(|row| format!("{name}: {what}: {row}")));
        }
    }
    broken.extend(world.shipped_exactly_once(allowed).await.unwrap());
    broken.extend(world.none_is_missing(told).await.unwrap());
    assert!(broken.is_empty(), "{} invariants are broken: {}", broken.len(), shortened(&broken));
}

fn shortened(lines: &[String]) -> String {
    let shown: Vec<&str> = lines.iter().take(20).map(String::as_str).collect();
    format!("\n{}{}", shown.join("\n"), if lines.len() > shown.len() { "\n…" } else { "" })
}

/// Each query finds what breaks the rule of its name.
const STORE: &[(&str, &str)] = &[
    (
        "an order without items, payment or saga",
        "SELECT id FROM orders o WHERE NOT EXISTS (SELECT FROM order_items WHERE order_id = o.id)
             OR NOT EXISTS (SELECT FROM payments WHERE order_id = o.id) OR NOT EXISTS (SELECT FROM sagas WHERE order_id = o.id)",
    ),
    (
        "a total that is not the sum of its items",
        "SELECT o.id, o.total_cents, sum(i.quantity * i.price_cents) AS items FROM orders o JOIN order_items i ON i.order_id = o.id
         GROUP BY o.id HAVING o.total_cents <> sum(i.quantity * i.price_cents)",
    ),
    (
        "a payment that does not agree with its order",
        "SELECT o.id, o.status, o.total_cents, p.status AS payment, p.amount_cents, p.captured_cents, p.refunded_cents
         FROM orders o JOIN payments p ON p.order_id = o.id JOIN sagas s ON s.order_id = o.id
         WHERE p.amount_cents <> o.total_cents OR NOT CASE
             WHEN o.status = 'SHIPPED' THEN p.status = 'CAPTURED' OR p.status IN ('AUTHORIZED', 'FAILED') AND NOT s.finished
                 OR p.status = 'FAILED' AND EXISTS (SELECT FROM saga_journal WHERE order_id = o.id AND event = 'written-off')
             WHEN o.status = 'RETURNED' THEN p.status IN ('REFUNDED', 'FAILED')
             WHEN o.status = 'REJECTED' THEN p.status = 'VOIDED' OR p.status = 'FAILED' AND o.status_reason LIKE 'the payment was declined%'
             WHEN o.status = 'CANCELLED' THEN p.status = 'VOIDED'
             ELSE p.status IN ('PENDING', 'AUTHORIZED') END",
    ),
    (
        "a charge for what has not left, or none for what has",
        "SELECT p.order_id, p.status, p.captured_cents, p.refunded_cents, s.* FROM payments p JOIN (
             SELECT o.id, coalesce(sum((line ->> 'quantity')::bigint * i.price_cents), 0) AS left_cents
             FROM orders o LEFT JOIN shipments s ON s.order_id = o.id AND s.status = 'SHIPPED'
             LEFT JOIN LATERAL jsonb_array_elements(s.items::jsonb) line ON true
             LEFT JOIN order_items i ON i.order_id = o.id AND i.book_id = (line ->> 'bookId')::uuid GROUP BY o.id) s ON s.id = p.order_id
         WHERE p.refunded_cents > p.captured_cents
             OR p.captured_cents <> CASE WHEN p.status IN ('CAPTURED', 'REFUNDED') THEN left_cents ELSE 0 END",
    ),
    (
        "a refund that is not for what came back",
        "SELECT p.order_id, p.refunded_cents, i.back_cents FROM payments p JOIN (
             SELECT order_id, sum(returned * price_cents) AS back_cents, max(returned - quantity) AS over FROM order_items GROUP BY 1) i USING (order_id)
         WHERE over > 0 OR p.status IN ('CAPTURED', 'REFUNDED') AND p.refunded_cents <> back_cents",
    ),
    (
        "a saga that does not agree with its order",
        "SELECT o.id, o.status, s.finished, s.needs_attention, s.stage FROM orders o JOIN sagas s ON s.order_id = o.id
         WHERE (o.status = 'NEEDS_ATTENTION' AND NOT s.needs_attention) OR NOT CASE
             WHEN o.status = 'SHIPPED' THEN s.finished OR s.stage IN ('capturing', 'returning', 'refunding')
             ELSE s.finished = (o.status IN ('REJECTED', 'CANCELLED', 'RETURNED')) END",
    ),
    (
        "an order that shipped without a time, or has one without",
        "SELECT id, status, shipped_at FROM orders WHERE (status IN ('SHIPPED', 'RETURNED')) <> (shipped_at IS NOT NULL)",
    ),
    (
        "an order with shipments that its status does not say",
        "SELECT o.id, o.status, count(s.id) AS shipped FROM orders o LEFT JOIN shipments s ON s.order_id = o.id AND s.status = 'SHIPPED'
         WHERE o.status <> 'NEEDS_ATTENTION'
         GROUP BY o.id HAVING (count(s.id) > 0) <> (o.status IN ('SHIPPED', 'PARTIALLY_SHIPPED', 'RETURNED'))",
    ),
    (
        "an open shipment of an order that has ended",
        "SELECT o.id, o.status, s.id AS shipment FROM orders o JOIN shipments s ON s.order_id = o.id
         WHERE s.status = 'PENDING' AND o.status IN ('SHIPPED', 'REJECTED', 'CANCELLED', 'RETURNED')",
    ),
    (
        "shipments of other items than their order's; fewer only where a person has given up the rest",
        "SELECT order_id, book_id, i.quantity AS ordered, s.quantity AS shipped FROM order_items i FULL JOIN (
             SELECT order_id, (line ->> 'bookId')::uuid AS book_id, sum((line ->> 'quantity')::bigint) AS quantity
             FROM shipments, jsonb_array_elements(items::jsonb) line WHERE status = 'SHIPPED' GROUP BY 1, 2) s USING (order_id, book_id)
         JOIN orders o ON o.id = order_id JOIN sagas g USING (order_id)
         WHERE coalesce(s.quantity, 0) > coalesce(i.quantity, 0) OR (coalesce(s.quantity, 0) < i.quantity
             AND o.status IN ('SHIPPED', 'RETURNED') AND NOT coalesce((g.state ->> 'short')::boolean, false))",
    ),
    (
        "a journal with a gap",
        "SELECT order_id, max(j.seq) AS last, count(*) AS entries, s.seq FROM saga_journal j JOIN sagas s USING (order_id)
         GROUP BY order_id, s.seq HAVING count(*) <> max(j.seq) - min(j.seq) + 1 OR max(j.seq) <> s.seq",
    ),
];

/// What the payment gateway's ledger did is what the store says of the payment.
const PAYMENTS: &[(&str, &str)] = &[
    (
        "a payment that the gateway's ledger does not bear out",
        "SELECT p.order_id, p.status, p.amount_cents, l.* FROM payments p CROSS JOIN LATERAL (
             SELECT count(*) FILTER (WHERE operation = 'authorize') AS authorizations, count(*) FILTER (WHERE operation = 'capture') AS captures,
                 count(*) FILTER (WHERE operation = 'void-payment') AS voids, coalesce(sum(amount_cents) FILTER (WHERE operation = 'capture'), 0) AS captured,
                 coalesce(sum(amount_cents) FILTER (WHERE operation = 'refund'), 0) AS refunded
             FROM gateway_ledger WHERE outcome = 'done' AND order_id = p.order_id) l
         WHERE p.captured_cents <> captured OR p.refunded_cents <> refunded OR NOT CASE p.status
             WHEN 'CAPTURED' THEN captures = 1 AND captured <= p.amount_cents
             WHEN 'REFUNDED' THEN captures = 1 AND refunded = captured
             WHEN 'AUTHORIZED' THEN authorizations = 1 AND captures = 0
             WHEN 'VOIDED' THEN captures = 0 AND (authorizations = 0 OR voids > 0)
             ELSE captures = 0 END",
    ),
    (
        "a ledger that took more than it was allowed, or gave back more than it took",
        "SELECT order_id, authorizations, authorized, captures, captured, refunded, voids FROM (
             SELECT order_id, count(*) FILTER (WHERE operation = 'authorize') AS authorizations, count(*) FILTER (WHERE operation = 'capture') AS captures,
                 count(*) FILTER (WHERE operation = 'void-payment') AS voids, coalesce(sum(amount_cents) FILTER (WHERE operation = 'authorize'), 0) AS authorized,
                 coalesce(sum(amount_cents) FILTER (WHERE operation = 'capture'), 0) AS captured,
                 coalesce(sum(amount_cents) FILTER (WHERE operation = 'refund'), 0) AS refunded
             FROM gateway_ledger WHERE outcome = 'done' GROUP BY order_id) l
         WHERE authorizations > 1 OR captures > 1 OR captured > authorized OR refunded > captured OR (captures > 0 AND voids > 0)",
    ),
];

const WAREHOUSE: &[(&str, &str)] = &[
    ("stock out of bounds", "SELECT book_id, quantity, reserved FROM inventory WHERE NOT (0 <= reserved AND reserved <= quantity)"),
    (
        "stock that is not the sum of its movements",
        "SELECT i.book_id, i.quantity, i.reserved, sum(m.on_hand_delta) AS on_hand, sum(m.reserved_delta) AS reserved_sum
         FROM inventory i LEFT JOIN inventory_movements m USING (book_id) GROUP BY i.book_id
         HAVING i.quantity <> coalesce(sum(m.on_hand_delta), 0) OR i.reserved <> coalesce(sum(m.reserved_delta), 0)",
    ),
    (
        "a shipment whose movements are not what its log says",
        "SELECT * FROM (SELECT shipment_id, book_id, sum(quantity) AS logged FROM shipment_logs GROUP BY 1, 2) l
         FULL JOIN (SELECT shipment_id, book_id, -sum(on_hand_delta) AS moved FROM inventory_movements WHERE kind = 'shipped' GROUP BY 1, 2) m
         USING (shipment_id, book_id) WHERE logged IS DISTINCT FROM moved",
    ),
    (
        "a log without an outcome that says so, or the other way round",
        "SELECT shipment_id, outcome, l.order_id FROM shipments s FULL JOIN (SELECT DISTINCT shipment_id, order_id FROM shipment_logs) l USING (shipment_id)
         WHERE (l.order_id IS NOT NULL) <> coalesce(s.outcome = 'shipped', false) OR (l.order_id IS NOT NULL AND l.order_id <> s.order_id)",
    ),
    (
        "copies set aside that are not those of the live reservations",
        "SELECT book_id, i.reserved, r.held FROM inventory i FULL JOIN (
             SELECT (line ->> 'bookId')::uuid AS book_id, sum((line ->> 'quantity')::bigint) AS held
             FROM reservations, jsonb_array_elements(items::jsonb) line WHERE status IN ('held', 'confirmed') GROUP BY 1) r USING (book_id)
         WHERE coalesce(i.reserved, 0) <> coalesce(r.held, 0)",
    ),
    (
        "a reservation whose end is not its shipment's outcome",
        "SELECT r.shipment_id, r.status, s.outcome FROM reservations r LEFT JOIN shipments s USING (shipment_id)
         WHERE s.outcome IS DISTINCT FROM CASE WHEN r.status IN ('held', 'confirmed') THEN NULL WHEN r.status = 'shipped' THEN 'shipped' ELSE 'voided' END
             OR (s.outcome IS NOT NULL AND (s.order_id <> r.order_id OR s.items_hash <> r.items_hash))",
    ),
    (
        "a reservation whose movements are not what it set aside, took or gave back",
        "SELECT * FROM (
             SELECT shipment_id, (line ->> 'bookId')::uuid AS book_id, sum((line ->> 'quantity')::bigint) AS asked, max(status) AS status
             FROM reservations, jsonb_array_elements(items::jsonb) line GROUP BY 1, 2) r
         FULL JOIN (
             SELECT shipment_id, book_id, sum(reserved_delta) FILTER (WHERE kind = 'reserved') AS reserved,
                 -sum(reserved_delta) FILTER (WHERE kind = 'released') AS released, -sum(reserved_delta) FILTER (WHERE kind = 'shipped') AS taken
             FROM inventory_movements WHERE reserved_delta <> 0 GROUP BY 1, 2) m USING (shipment_id, book_id)
         WHERE reserved IS DISTINCT FROM asked
             OR released IS DISTINCT FROM CASE WHEN status IN ('released', 'expired') THEN asked END
             OR taken IS DISTINCT FROM CASE WHEN status = 'shipped' THEN asked END",
    ),
    (
        "a reservation that is held long after its time",
        "SELECT shipment_id, expires_at FROM reservations WHERE status = 'held' AND expires_at < now() - interval '30 seconds'",
    ),
    (
        "returns that are not what their movements say",
        "SELECT * FROM (
             SELECT shipment_id, order_id, book::uuid AS book_id, sum(quantity::bigint) AS said
             FROM returns, jsonb_each_text(items::jsonb) AS line(book, quantity) GROUP BY 1, 2, 3) r
         FULL JOIN (
             SELECT shipment_id, order_id, book_id, sum(on_hand_delta) AS moved FROM inventory_movements WHERE kind = 'returned' GROUP BY 1, 2, 3) m
         USING (shipment_id, order_id, book_id) WHERE said IS DISTINCT FROM moved",
    ),
    (
        "more copies back than a shipment took",
        "SELECT shipment_id, book_id, logged, back FROM (
             SELECT shipment_id, book_id, sum(on_hand_delta) AS back FROM inventory_movements WHERE kind = 'returned' GROUP BY 1, 2) m
         LEFT JOIN (SELECT shipment_id, book_id, sum(quantity) AS logged FROM shipment_logs GROUP BY 1, 2) l USING (shipment_id, book_id)
         WHERE back > coalesce(logged, 0)",
    ),
    (
        "a version that the counter has not reached",
        "SELECT book_id, i.version, s.version AS counter FROM inventory i, warehouse_state s WHERE i.version > s.version",
    ),
];

#[derive(Deserialize)]
struct Id {
    id: Uuid,
}

#[derive(Deserialize)]
struct Order {
    id: Uuid,
    status: String,
}

#[derive(Deserialize)]
struct Line {
    order_id: Uuid,
    book_id: Uuid,
    quantity: i64,
}

#[derive(Deserialize)]
struct Shipment {
    id: Uuid,
    order_id: Uuid,
    warehouse_name: String,
}

#[derive(Deserialize)]
struct Log {
    shipment_id: Uuid,
    order_id: Uuid,
    book_id: Uuid,
    quantity: i64,
}

#[derive(Deserialize, PartialEq, Eq, Debug, Clone, Copy)]
struct Stock {
    book_id: Uuid,
    available: i64,
    version: i64,
}

fn is_shipped(status: &HashMap<Uuid, &str>, order: Uuid) -> bool {
    matches!(status.get(&order), Some(&("SHIPPED" | "RETURNED")))
}

struct World {
    store: Sql,
    warehouses: BTreeMap<String, Sql>,
}

impl World {
    async fn open(store: &str, warehouses: &[(&str, String)]) -> Result<Self, DbErr> {
        let mut opened = BTreeMap::new();
        for (name, url) in warehouses {
            opened.insert((*name).to_owned(), Sql::open(url).await?);
        }
        Ok(Self { store: Sql::open(store).await?, warehouses: opened })
    }

    /// What is still going on, or never will.
    async fn unrest(&self, allowed: &Allowed) -> Result<Vec<String>, DbErr> {
        let unfinished =
            "SELECT order_id AS id, o.status FROM sagas s JOIN orders o ON o.id = s.order_id WHERE NOT finished";
        let unfinished: Vec<Order> = self.store.rows(unfinished).await?;
        let expected = |order: &&Order| !(allowed.needs_attention.contains(&order.id) && order.status != "PENDING");
        let mut unrest: Vec<String> = unfinished
            .iter()
            .filter(expected)
            .map(|order| format!("an open order: {} {}", order.id, order.status))
            .collect();
        let known: HashSet<Uuid> =
            self.store.rows::<Id>("SELECT id FROM orders").await?.into_iter().map(|row| row.id).collect();
        for (name, warehouse) in &self.warehouses {
            for row in warehouse.rows::<Value>("SELECT order_id, attempts, parked_reason FROM outbox").await? {
                let order: Uuid = serde_json::from_value(row["order_id"].clone()).unwrap();
                if !(allowed.unknown_orders && !known.contains(&order) && row["parked_reason"].is_string()) {
                    unrest.push(format!("{name}: a confirmation is left: {row}"));
                }
            }
            if !allowed.away.contains(name) {
                unrest.extend(self.cache_is_truth(name, warehouse).await?);
            }
        }
        Ok(unrest)
    }

    async fn cache_is_truth(&self, name: &str, warehouse: &Sql) -> Result<Vec<String>, DbErr> {
        let truth: Vec<Stock> =
            warehouse.rows("SELECT book_id, quantity - reserved AS available, version FROM inventory").await?;
        let cached = format!(
            "SELECT book_id, quantity AS available, c.version FROM inventory_cache c JOIN warehouse_registry w ON w.id = c.warehouse_id WHERE w.name = '{name}'"
        );
        let mut cached: HashMap<Uuid, Stock> =
            self.store.rows::<Stock>(&cached).await?.into_iter().map(|row| (row.book_id, row)).collect();
        let books: HashSet<Uuid> =
            self.store.rows::<Id>("SELECT id FROM books").await?.into_iter().map(|row| row.id).collect();
        let mut differences = Vec::new();
        for row in truth.into_iter().filter(|row| books.contains(&row.book_id)) {
            let cached = cached.remove(&row.book_id);
            if !cached.is_some_and(|cached| cached.available == row.available && cached.version <= row.version) {
                differences.push(format!("{name}: the cache has {cached:?}, the truth is {row:?}"));
            }
        }
        let ghosts = cached.into_values().filter(|row| row.available > 0);
        differences.extend(ghosts.map(|row| format!("{name}: the cache has {row:?}, the warehouse nothing")));
        Ok(differences)
    }

    /// Each order that is SHIPPED, or RETURNED since, has exactly its quantities in the logs, once, under the shipment that the store knows; no other order has any.
    async fn shipped_exactly_once(&self, allowed: &Allowed) -> Result<Vec<String>, DbErr> {
        let orders: Vec<Order> = self.store.rows("SELECT id, status FROM orders").await?;
        let status: HashMap<Uuid, &str> = orders.iter().map(|order| (order.id, &*order.status)).collect();
        let short = "SELECT order_id AS id FROM sagas WHERE coalesce((state ->> 'short')::boolean, false)";
        let short: HashSet<Uuid> = self.store.rows::<Id>(short).await?.into_iter().map(|row| row.id).collect();
        let shipments = "SELECT id, order_id, warehouse_name FROM shipments WHERE status = 'SHIPPED'";
        let shipments: HashMap<Uuid, Shipment> =
            self.store.rows::<Shipment>(shipments).await?.into_iter().map(|row| (row.id, row)).collect();
        let lines: Vec<Line> = self.store.rows("SELECT order_id, book_id, quantity FROM order_items").await?;
        let mut left: BTreeMap<(Uuid, Uuid), i64> = lines
            .into_iter()
            .filter(|line| {
                is_shipped(&status, line.order_id)
                    && !short.contains(&line.order_id)
                    && !allowed.forgotten.contains(&line.order_id)
            })
            .map(|line| ((line.order_id, line.book_id), line.quantity))
            .collect();
        let mut broken = Vec::new();
        for (name, warehouse) in &self.warehouses {
            for log in
                warehouse.rows::<Log>("SELECT shipment_id, order_id, book_id, quantity FROM shipment_logs").await?
            {
                let here = format!("{name} shipped {} of {} for order {}", log.quantity, log.book_id, log.order_id);
                let attention = allowed.needs_attention.contains(&log.order_id);
                match status.get(&log.order_id) {
                    None if allowed.unknown_orders => {}
                    None => broken.push(format!("{here}, which the store does not know")),
                    Some(_) if short.contains(&log.order_id) => {}
                    Some(&("SHIPPED" | "RETURNED")) => {
                        *left.entry((log.order_id, log.book_id)).or_default() -= log.quantity;
                    }
                    Some(_) if attention => {}
                    Some(status) => broken.push(format!("{here}, which is {status}")),
                }
                let known = shipments.get(&log.shipment_id);
                let agrees = known.is_some_and(|known| known.order_id == log.order_id && known.warehouse_name == *name);
                if is_shipped(&status, log.order_id) && !agrees {
                    broken
                        .push(format!("{here} as shipment {}, which the store does not know as that", log.shipment_id));
                }
            }
        }
        let off =
            left.into_iter().filter(|((order, _), quantity)| *quantity != 0 && !allowed.forgotten.contains(order));
        broken.extend(
            off.map(|((order, book), quantity)| format!("order {order}: {quantity} copies of {book} too few shipped")),
        );
        Ok(broken)
    }

    async fn none_is_missing(&self, told: &[Uuid]) -> Result<Vec<String>, DbErr> {
        let known: HashSet<Uuid> =
            self.store.rows::<Id>("SELECT id FROM orders").await?.into_iter().map(|row| row.id).collect();
        Ok(told
            .iter()
            .filter(|order| !known.contains(order))
            .map(|order| format!("order {order} was accepted and is gone"))
            .collect())
    }
}
