//! Writing what a batch came to: on PostgreSQL all its shipments in one statement, however many there are.

use contract::{Confirmation, MovementKind, OrderStatus, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, EntityTrait as _, QueryFilter as _, Set, Statement,
    Value,
};
use uuid::Uuid;

use super::entities::{inventory as row, inventory_movements as movement, outbox, shipment_logs as log};
use super::{inventory, json, movements, reservations, returns, shipments};
use crate::domain::batch::{Decision, Departure, Record, STORE};
use crate::domain::shelf::Row;
use crate::domain::shipment::{Line, Outcome};

/// Writes a batch's net result. Every row that it changed carries `version`.
///
/// # Errors
/// Those of the database.
pub async fn write(txn: &DatabaseTransaction, decision: &Decision, version: i64, at: Timestamp) -> Result<(), DbErr> {
    // The ledger refers to rows, so they come first.
    inventory::upsert(txn, decision.entered.clone(), at).await?;
    movements::insert(txn, &decision.movements, version, at).await?;
    reservations::put(txn, &decision.holds, at).await?;
    returns::insert(txn, &decision.returns, at).await?;

    let is_voided = |record: &&Record| record.outcome == Outcome::Voided;
    let (voided, decided): (Vec<_>, Vec<_>) = decision.records.iter().partition(is_voided);
    shipments::void(txn, &voided, at).await?;
    if decision.taken.is_empty() && decision.departures.is_empty() && decided.is_empty() {
        return Ok(());
    }
    match txn.get_database_backend() {
        DbBackend::Postgres => write_at_once(txn, decision, &decided, version, at).await,
        _ => write_in_turn(txn, decision, decided, version, at).await,
    }
}

fn confirmation(departure: &Departure) -> Result<String, DbErr> {
    let receipt = &departure.receipt;
    let body = Confirmation {
        status: OrderStatus::Shipped,
        shipped_at: receipt.shipped_at,
        warehouse_name: Some(receipt.warehouse_name.clone()),
        shipment_id: Some(receipt.shipment_id),
        stock: Some(receipt.stock.clone()),
    };
    json(&body)
}

/// The data-modifying parts of one statement see the same snapshot, which is right here: they write to different tables.
const AT_ONCE: &str = "\
WITH taken AS (
    UPDATE inventory SET quantity = t.quantity, reserved = t.reserved, version = $1, updated_at = $2
    FROM UNNEST($4::uuid[], $5::bigint[], $6::bigint[]) AS t(book_id, quantity, reserved)
    WHERE inventory.book_id = t.book_id
), line AS (
    SELECT * FROM UNNEST($7::uuid[], $8::uuid[], $9::uuid[], $10::uuid[], $11::text[], $12::bigint[], $13::bigint[])
        AS l(id, order_id, shipment_id, book_id, isbn, quantity, held)
), moved AS (
    INSERT INTO inventory_movements
        (id, book_id, kind, on_hand_delta, reserved_delta, shipment_id, order_id, made_by, version, at)
    SELECT id, book_id, 'shipped', -quantity, -held, shipment_id, order_id, $3, $1, $2 FROM line
), logged AS (
    INSERT INTO shipment_logs (id, order_id, shipment_id, book_id, isbn, quantity, shipped_at)
    SELECT id, order_id, shipment_id, book_id, isbn, quantity, $2 FROM line
), due AS (
    INSERT INTO outbox (shipment_id, order_id, body, attempts, next_attempt_at, created_at)
    SELECT shipment_id, order_id, body, 0, $2, $2
    FROM UNNEST($14::uuid[], $15::uuid[], $16::text[]) AS o(shipment_id, order_id, body)
)
INSERT INTO shipments (shipment_id, order_id, items_hash, outcome, answer, at)
SELECT shipment_id, order_id, items_hash, outcome, answer, $2
FROM UNNEST($17::uuid[], $18::uuid[], $19::text[], $20::text[], $21::text[])
    AS r(shipment_id, order_id, items_hash, outcome, answer)";

async fn write_at_once(
    txn: &DatabaseTransaction,
    decision: &Decision,
    decided: &[&Record],
    version: i64,
    at: Timestamp,
) -> Result<(), DbErr> {
    let mut values: Vec<Value> = vec![version.into(), at.into(), STORE.into()];
    let taken = &decision.taken;
    let books: Vec<Uuid> = taken.iter().map(|row| row.book_id.uuid()).collect();
    let (quantities, reserved): (Vec<i64>, Vec<i64>) = taken.iter().map(|row| (row.quantity, row.reserved)).unzip();
    values.extend([books.into(), quantities.into(), reserved.into()]);

    let mut lines = Lines::default();
    let (mut shipment_ids, mut order_ids, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
    for departure in &decision.departures {
        lines.extend(departure);
        shipment_ids.push(departure.receipt.shipment_id.uuid());
        order_ids.push(departure.receipt.order_id.uuid());
        bodies.push(confirmation(departure)?);
    }
    values.extend(lines.into_values());
    values.extend([shipment_ids.into(), order_ids.into(), bodies.into()]);

    let (mut ids, mut orders) = (Vec::<Uuid>::new(), Vec::<Uuid>::new());
    let (mut hashes, mut outcomes, mut answers) = (Vec::<String>::new(), Vec::<String>::new(), Vec::<String>::new());
    for record in decided {
        let (name, answer) = shipments::to_columns(&record.outcome)?;
        ids.push(record.shipment_id.uuid());
        orders.extend(record.order_id.map(contract::OrderId::uuid));
        hashes.extend(record.items_hash.clone());
        outcomes.push(name.to_owned());
        answers.extend(answer);
    }
    values.extend([ids.into(), orders.into(), hashes.into(), outcomes.into(), answers.into()]);
    txn.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, AT_ONCE, values)).await?;
    Ok(())
}

/// The lines of all departures, a column each. A line of the log and its movement share their id.
#[derive(Default)]
struct Lines {
    ids: Vec<Uuid>,
    orders: Vec<Uuid>,
    shipments: Vec<Uuid>,
    books: Vec<Uuid>,
    isbns: Vec<String>,
    quantities: Vec<i64>,
    held: Vec<i64>,
}

impl Lines {
    fn extend(&mut self, departure: &Departure) {
        for Line { book_id, isbn, quantity } in &departure.lines {
            self.ids.push(Uuid::now_v7());
            self.orders.push(departure.receipt.order_id.uuid());
            self.shipments.push(departure.receipt.shipment_id.uuid());
            self.books.push(book_id.uuid());
            self.isbns.push(isbn.clone());
            self.quantities.push(*quantity);
            self.held.push(if departure.was_held { *quantity } else { 0 });
        }
    }

    fn into_values(self) -> [Value; 7] {
        [
            self.ids.into(),
            self.orders.into(),
            self.shipments.into(),
            self.books.into(),
            self.isbns.into(),
            self.quantities.into(),
            self.held.into(),
        ]
    }
}

async fn write_in_turn(
    txn: &DatabaseTransaction,
    decision: &Decision,
    decided: Vec<&Record>,
    version: i64,
    at: Timestamp,
) -> Result<(), DbErr> {
    for Row { book_id, quantity, reserved, .. } in &decision.taken {
        row::Entity::update_many()
            .col_expr(row::Column::Quantity, Expr::value(*quantity))
            .col_expr(row::Column::Reserved, Expr::value(*reserved))
            .col_expr(row::Column::Version, Expr::value(version))
            .col_expr(row::Column::UpdatedAt, Expr::value(at))
            .filter(row::COLUMN.book_id.eq(book_id.uuid()))
            .exec(txn)
            .await?;
    }
    let (mut moved, mut logged, mut due) = (Vec::new(), Vec::new(), Vec::new());
    for departure in &decision.departures {
        let (order_id, shipment_id) = (departure.receipt.order_id.uuid(), departure.receipt.shipment_id.uuid());
        for Line { book_id, isbn, quantity } in &departure.lines {
            let id = Uuid::now_v7();
            moved.push(movement::ActiveModel {
                id: Set(id),
                book_id: Set(book_id.uuid()),
                kind: Set(MovementKind::Shipped.as_str().to_owned()),
                on_hand_delta: Set(-quantity),
                reserved_delta: Set(if departure.was_held { -quantity } else { 0 }),
                shipment_id: Set(Some(shipment_id)),
                order_id: Set(Some(order_id)),
                made_by: Set(STORE.to_owned()),
                reason: Set(None),
                version: Set(version),
                at: Set(at),
            });
            logged.push(log::ActiveModel {
                id: Set(id),
                order_id: Set(order_id),
                shipment_id: Set(shipment_id),
                book_id: Set(book_id.uuid()),
                isbn: Set(isbn.clone()),
                quantity: Set(*quantity),
                shipped_at: Set(at),
            });
        }
        due.push(outbox::ActiveModel {
            shipment_id: Set(shipment_id),
            order_id: Set(order_id),
            body: Set(confirmation(departure)?),
            attempts: Set(0),
            next_attempt_at: Set(at),
            parked_reason: Set(None),
            created_at: Set(at),
        });
    }
    movements::insert_all(txn, moved).await?;
    for chunk in logged.chunks(500) {
        log::Entity::insert_many(chunk.to_vec()).exec_without_returning(txn).await?;
    }
    for chunk in due.chunks(500) {
        outbox::Entity::insert_many(chunk.to_vec()).exec_without_returning(txn).await?;
    }
    shipments::put(txn, decided, at).await
}
