//! Many rows by few statements, whose text is the same for any number of rows: they travel as one JSON parameter.
//!
//! A statement is prepared once, and a batch costs as many round trips as one row. On PostgreSQL several statements over
//! the same rows are even sent as one.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use serde::Serialize;

/// The type of a member, as the database must read it.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// A UUID.
    Uuid,
    /// A text.
    Text,
    /// A 64-bit integer.
    BigInt,
    /// A boolean.
    Bool,
    /// A time, RFC 3339 in UTC.
    Time,
    /// Any JSON.
    Json,
}

/// The members that the rows have and the columns of `u`, which statements read them from.
pub type Columns = [(&'static str, Type)];

/// Runs statements over the same rows in order. Where a statement says `{rows}`, the rows are, as `u`; an update of a
/// table by its key says so by `{by orders.id = order_id}`, the key's column first.
///
/// That condition is for PostgreSQL, which takes any JSON for a hundred rows and would rather read a table of 20,000 from
/// end to end for each batch than look up a hundred keys. Of an array it expects ten, and looks them up.
///
/// On PostgreSQL all see the database as it was before the first of them, and foreign keys are checked after the last.
///
/// # Errors
/// Those of the database.
pub async fn execute<R: Serialize>(
    db: &impl ConnectionTrait,
    columns: &Columns,
    rows: &[R],
    statements: &[&str],
) -> Result<(), DbErr> {
    together(db, &[Set::new(columns, rows, statements)?]).await
}

/// Rows, and the statements over them.
pub struct Set<'a> {
    columns: &'a Columns,
    statements: &'a [&'a str],
    /// As JSON; none where there are none.
    rows: Option<String>,
}

impl<'a> Set<'a> {
    /// As [`execute`] takes them.
    ///
    /// # Errors
    /// When a row is no JSON.
    pub fn new<R: Serialize>(columns: &'a Columns, rows: &[R], statements: &'a [&'a str]) -> Result<Self, DbErr> {
        let rows = if rows.is_empty() { None } else { Some(json(rows)?) };
        Ok(Self { columns, statements, rows })
    }
}

/// Runs the statements of several sets as [`execute`] does those of one: on PostgreSQL in a single round trip. A set
/// without rows is left out.
///
/// # Errors
/// Those of the database.
pub async fn together(db: &impl ConnectionTrait, sets: &[Set<'_>]) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    let sets: Vec<_> = sets.iter().filter_map(|set| Some((set, set.rows.as_ref()?))).collect();
    if backend == DbBackend::Postgres {
        if sets.is_empty() {
            return Ok(());
        }
        let parts: Vec<_> = sets.iter().map(|(set, _)| (set.columns, set.statements)).collect();
        let values: Vec<sea_orm::Value> = sets.iter().map(|(_, rows)| (*rows).clone().into()).collect();
        db.execute_raw(Statement::from_sql_and_values(backend, at_once(&parts), values)).await?;
        return Ok(());
    }
    for (set, rows) in sets {
        for sql in in_turn(set.columns, set.statements) {
            db.execute_raw(Statement::from_sql_and_values(backend, sql, [rows.clone().into()])).await?;
        }
    }
    Ok(())
}

/// Runs a statement that returns rows, as [`execute`] does.
///
/// # Errors
/// Those of the database.
pub async fn query<R: Serialize>(
    db: &impl ConnectionTrait,
    columns: &Columns,
    rows: &[R],
    statement: &str,
) -> Result<Vec<sea_orm::QueryResult>, DbErr> {
    let (backend, rows) = (db.get_database_backend(), json(rows)?);
    let sql = match backend {
        DbBackend::Postgres => at_once(&[(columns, &[statement])]),
        _ => in_turn(columns, &[statement]).remove(0),
    };
    db.query_all_raw(Statement::from_sql_and_values(backend, sql, [rows.into()])).await
}

fn json<R: Serialize>(rows: &[R]) -> Result<String, DbErr> {
    serde_json::to_string(rows).map_err(|error| DbErr::Json(error.to_string()))
}

fn in_turn(columns: &Columns, statements: &[&str]) -> Vec<String> {
    let source = source(DbBackend::Sqlite, columns, 1);
    statements.iter().map(|sql| keyed(sql, |_, _| "true".to_owned()).replace("{rows}", &source)).collect()
}

/// One statement of all, the last of them its main part.
fn at_once(sets: &[(&Columns, &[&str])]) -> String {
    let numbered = || (1..).zip(sets);
    let sources = numbered()
        .map(|(n, (columns, _))| format!("u{n} AS (SELECT * FROM {})", source(DbBackend::Postgres, columns, n)));
    let statements = numbered().flat_map(|(n, (_, statements))| {
        let in_rows = move |key: &str, column: &str| format!("{key} = ANY (ARRAY (SELECT {column} FROM u{n}))");
        statements.iter().map(move |sql| keyed(sql, in_rows).replace("{rows}", &format!("u{n} AS u")))
    });
    let mut statements: Vec<_> = statements.collect();
    let last = statements.pop().unwrap_or_default();
    let others = statements.iter().enumerate().map(|(index, sql)| format!("s{index} AS ({sql})"));
    let parts: Vec<_> = sources.chain(others).collect();
    format!("WITH {} {last}", parts.join(", "))
}

/// The statement with each `{by key = column}` in it replaced by what `condition` makes of key and column.
fn keyed(sql: &str, condition: impl Fn(&str, &str) -> String) -> String {
    let mut text = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once("{by ")
        && let Some((by, after)) = after.split_once('}')
        && let Some((key, column)) = by.split_once(" = ")
    {
        text.push_str(before);
        text.push_str(&condition(key, column));
        rest = after;
    }
    text + rest
}

fn source(backend: DbBackend, columns: &Columns, parameter: usize) -> String {
    if backend == DbBackend::Postgres {
        let columns: Vec<_> = columns.iter().map(|(name, kind)| format!("{name} {}", postgres(*kind))).collect();
        return format!("jsonb_to_recordset(${parameter}::jsonb) AS r({})", columns.join(", "));
    }
    let columns: Vec<_> = columns.iter().map(|(name, kind)| format!("{} AS {name}", sqlite(name, *kind))).collect();
    format!("(SELECT {} FROM json_each(?1)) AS u", columns.join(", "))
}

const fn postgres(kind: Type) -> &'static str {
    match kind {
        Type::Uuid => "uuid",
        Type::Text => "text",
        Type::BigInt => "bigint",
        Type::Bool => "boolean",
        Type::Time => "timestamptz",
        Type::Json => "jsonb",
    }
}

/// As sqlx writes the type: UUIDs as 16 bytes, times with a numeric offset.
fn sqlite(name: &str, kind: Type) -> String {
    match kind {
        Type::Uuid => format!("unhex(value ->> '{name}', '-')"),
        Type::Time => format!("replace(value ->> '{name}', 'Z', '+00:00')"),
        Type::Text | Type::BigInt | Type::Bool | Type::Json => format!("value ->> '{name}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_over_the_same_rows_are_one_on_postgresql_and_look_keys_up() {
        let columns = [("order_id", Type::Uuid)];
        let statements = [
            "INSERT INTO a SELECT order_id FROM {rows}",
            "UPDATE b FROM {rows} WHERE b.id = u.order_id AND {by b.id = order_id}",
        ];
        let one = at_once(&[(&columns, &statements), (&columns, &statements[..1])]);
        assert!(one.contains("($1::jsonb)") && one.contains("($2::jsonb)") && one.ends_with("FROM u2 AS u"), "{one}");
        let one = at_once(&[(&columns, &statements)]);
        assert!(one.ends_with("b.id = u.order_id AND b.id = ANY (ARRAY (SELECT order_id FROM u1))"), "{one}");
        let union = "SELECT 1 FROM a, {rows} WHERE {by a.id = order_id} UNION SELECT 2 FROM a, {rows} WHERE {by a.n = order_id}";
        let text = at_once(&[(&columns, &[union])]);
        assert!(
            text.contains("FROM a, u1 AS u WHERE a.id = ANY")
                && text.ends_with("a.n = ANY (ARRAY (SELECT order_id FROM u1))"),
            "{text}"
        );
        let [insert, update] = &in_turn(&columns, &statements)[..] else { panic!("not two") };
        assert!(insert.contains("json_each(?1)) AS u") && update.ends_with("b.id = u.order_id AND true"), "{update}");
    }
}
