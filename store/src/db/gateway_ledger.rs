//! The ledger of the built-in payment gateway, which is only ever added to.

use contract::{Money, OrderId, Timestamp};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement};
use serde::Serialize;
use uuid::Uuid;

use super::bulk::{self, Columns, Type};
use crate::domain::payment::{Charge, Entry, Ledger, Operation};

const DONE: &str = "done";
const REFUSED: &str = "refused";

#[derive(Serialize)]
struct Wanted<'a> {
    order_id: OrderId,
    key: &'a str,
}

const WANTED: &Columns = &[("order_id", Type::Uuid), ("key", Type::Text)];

const LINES: &Columns = &[
    ("key", Type::Text),
    ("order_id", Type::Uuid),
    ("line", Type::BigInt),
    ("operation", Type::Text),
    ("amount_cents", Type::BigInt),
    ("outcome", Type::Text),
    ("reason", Type::Text),
    ("at", Type::Time),
];

#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    order_id: OrderId,
    line: i64,
    operation: &'static str,
    amount_cents: i64,
    outcome: &'static str,
    reason: Option<&'a str>,
    at: Timestamp,
}

/// What the ledger holds of the orders and the keys of these charges.
///
/// # Errors
/// Those of the database.
pub async fn read<'a>(
    db: &impl ConnectionTrait,
    charges: impl IntoIterator<Item = &'a Charge>,
) -> Result<Ledger, DbErr> {
    const SQL: &str = "\
        SELECT l.key, l.order_id, l.line, l.operation, l.amount_cents, l.outcome, l.reason FROM gateway_ledger l, {rows} \
        WHERE l.order_id = u.order_id AND {by l.order_id = order_id} \
        UNION \
        SELECT l.key, l.order_id, l.line, l.operation, l.amount_cents, l.outcome, l.reason FROM gateway_ledger l, {rows} \
        WHERE l.key = u.key AND {by l.key = key}";
    let wanted: Vec<_> =
        charges.into_iter().map(|charge| Wanted { order_id: charge.order, key: &charge.key }).collect();
    let rows = bulk::query(db, WANTED, &wanted, SQL).await?;
    Ok(Ledger::of(rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?))
}

fn entry(row: &QueryResult) -> Result<Entry, DbErr> {
    let wrong = |column: &str, value: &str| DbErr::Type(format!("gateway_ledger.{column}: {value}"));
    let operation: String = row.try_get("", "operation")?;
    let refused = match row.try_get::<String>("", "outcome")?.as_str() {
        DONE => false,
        REFUSED => true,
        other => return Err(wrong("outcome", other)),
    };
    let reason: Option<String> = row.try_get("", "reason")?;
    Ok(Entry {
        key: row.try_get("", "key")?,
        order: OrderId(row.try_get::<Uuid>("", "order_id")?),
        line: row.try_get("", "line")?,
        operation: Operation::named(&operation).ok_or_else(|| wrong("operation", &operation))?,
        amount: Money(row.try_get("", "amount_cents")?),
        refusal: if refused { Some(reason.unwrap_or_default()) } else { None },
    })
}

/// Adds lines. A key that is there already, or a line number that its order has already, fails all of them: somebody else has decided
/// meanwhile.
///
/// # Errors
/// Those of the database.
pub async fn append(db: &impl ConnectionTrait, entries: &[Entry], at: Timestamp) -> Result<(), DbErr> {
    const SQL: &str = "\
        INSERT INTO gateway_ledger (key, order_id, line, operation, amount_cents, outcome, reason, at) \
        SELECT key, order_id, line, operation, amount_cents, outcome, reason, at FROM {rows}";
    let lines: Vec<_> = entries
        .iter()
        .map(|entry| Line {
            key: &entry.key,
            order_id: entry.order,
            line: entry.line,
            operation: entry.operation.name(),
            amount_cents: entry.amount.cents(),
            outcome: if entry.refusal.is_none() { DONE } else { REFUSED },
            reason: entry.refusal.as_deref(),
            at,
        })
        .collect();
    bulk::execute(db, LINES, &lines, &[SQL]).await
}

/// Whether there is a line with this key.
///
/// # Errors
/// Those of the database.
pub async fn has(db: &impl ConnectionTrait, key: &str) -> Result<bool, DbErr> {
    let sql = "SELECT 1 AS one FROM gateway_ledger WHERE key = $1";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [key.into()]);
    Ok(db.query_one_raw(statement).await?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::{at, on_both};

    fn order(n: u128) -> OrderId {
        OrderId(Uuid::from_u128(n))
    }

    fn charge(key: &str, of: u128, operation: Operation) -> Charge {
        let method = "credit_card".to_owned();
        Charge { key: key.to_owned(), order: order(of), operation, amount: Money(1_499), method }
    }

    #[tokio::test]
    async fn what_is_added_is_read_by_order_and_by_key() {
        on_both(async |database| {
            let db = database.ready().unwrap();
            let charges = [
                charge("a", 1, Operation::Authorize),
                charge("b", 2, Operation::Authorize),
                charge("c", 1, Operation::Capture),
                charge("d", 2, Operation::Refund),
                charge("e", 3, Operation::Void),
            ];
            let mut ledger = read(db, &charges).await.unwrap();
            for charge in &charges {
                ledger.settle(charge, None);
            }
            let all = ledger.added().to_vec();
            assert_eq!(all.iter().filter(|entry| entry.refusal.is_some()).count(), 1, "nothing to refund");
            append(db, &all, at(5)).await.unwrap();
            append(db, &[], at(5)).await.unwrap();
            assert!(has(db, "a").await.unwrap() && !has(db, "z").await.unwrap());

            let known =
                |of: &[&str]| Ledger::of(all.iter().filter(|entry| of.contains(&entry.key.as_str())).cloned()).sorted();
            let of_order = read(db, &[charge("z", 1, Operation::Void)]).await.unwrap();
            assert_eq!(of_order.sorted(), known(&["a", "c"]));
            let of_key = read(db, &[charge("e", 99, Operation::Void)]).await.unwrap();
            assert_eq!(of_key.sorted(), known(&["e"]));
            let of_both = read(db, &[charge("a", 2, Operation::Void), charge("a", 1, Operation::Void)]).await.unwrap();
            assert_eq!(of_both.sorted(), known(&["a", "b", "c", "d"]));
            assert_eq!(read(db, &[charge("z", 99, Operation::Void)]).await.unwrap().sorted(), known(&[]));
        })
        .await;
    }

    #[tokio::test]
    async fn two_decisions_upon_the_same_state_cannot_both_be_written() {
        on_both(async |database| {
            let db = database.ready().unwrap();
            let decide = async |key: &str, operation| {
                let charge = charge(key, 1, operation);
                let mut ledger = read(db, [&charge]).await.unwrap();
                ledger.settle(&charge, None);
                ledger.added().to_vec()
            };
            append(db, &decide("a", Operation::Authorize).await, at(1)).await.unwrap();
            let (capture, void) = (decide("c", Operation::Capture).await, decide("v", Operation::Void).await);
            append(db, &capture, at(2)).await.unwrap();
            assert!(service::database::is_unique_violation(&append(db, &void, at(2)).await.unwrap_err()));
            assert!(service::database::is_unique_violation(&append(db, &capture, at(2)).await.unwrap_err()));
            let again = decide("v", Operation::Void).await;
            assert!(again[0].refusal.is_some(), "it is captured");
        })
        .await;
    }
}
