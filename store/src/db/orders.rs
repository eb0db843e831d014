//! Orders as they are read: a page costs four statements, whatever its size.

#![allow(missing_docs, reason = "the columns are those of the migration")]

use std::collections::HashMap;

use contract::{
    BookId, Money, Order, OrderId, OrderItem, OrderItemId, OrderStatus, Payment, Shipment, ShipmentId, Shortfall,
    Timestamp, UserId,
};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait as _, Query, SimpleExpr};
use sea_orm::{DbErr, QueryOrder as _, QuerySelect as _};

use super::{history, shipments};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "orders")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Uuid,
    pub status: String,
    pub total_cents: i64,
    pub status_reason: Option<String>,
    pub cancel_requested: bool,
    pub shipped_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

pub mod items {
    //! Lines of orders.

    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "order_items")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub order_id: Uuid,
        pub book_id: Uuid,
        pub book_title: String,
        pub isbn: String,
        pub quantity: i64,
        pub price_cents: i64,
        pub returned: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod payments {
    //! Payments of orders.

    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "payments")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub order_id: Uuid,
        pub method: String,
        pub amount_cents: i64,
        pub status: String,
        pub captured_cents: i64,
        pub refunded_cents: i64,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Whose orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Customer {
    /// Of this account.
    Id(UserId),
    /// Of the account with this address, in lower case.
    Email(String),
}

/// Where a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// When its last order was accepted.
    pub created_at: Timestamp,
    /// That order.
    pub id: OrderId,
}

/// Which orders.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this customer's.
    pub customer: Option<Customer>,
    /// Only in one of these statuses; none is any.
    pub statuses: Vec<OrderStatus>,
    /// Only accepted then or later.
    pub from: Option<Timestamp>,
    /// Only accepted earlier.
    pub to: Option<Timestamp>,
    /// Only older ones than this.
    pub before: Option<Cursor>,
}

/// One order.
///
/// # Errors
/// Those of the database.
pub async fn find(db: &impl ConnectionTrait, id: OrderId) -> Result<Option<Order>, DbErr> {
    let rows = Entity::find_by_id(id.uuid()).all(db).await?;
    Ok(assemble(db, rows).await?.pop())
}

/// These orders, in any order.
///
/// # Errors
/// Those of the database.
pub(super) async fn find_all(db: &impl ConnectionTrait, ids: &[OrderId]) -> Result<Vec<Order>, DbErr> {
    let rows = Entity::find().filter(COLUMN.id.is_in(ids.iter().map(|id| id.uuid()))).all(db).await?;
    assemble(db, rows).await
}

/// One order with what it was short of, if it was rejected for that.
///
/// # Errors
/// Those of the database.
pub async fn outcome(db: &impl ConnectionTrait, id: OrderId) -> Result<Option<(Order, Vec<Shortfall>)>, DbErr> {
    let Some(order) = find(db, id).await? else { return Ok(None) };
    let is_rejected = order.status == OrderStatus::Rejected;
    let shortfalls = if is_rejected { history::shortfalls(db, id).await? } else { Vec::new() };
    Ok(Some((order, shortfalls)))
}

/// Orders, newest first, at most `limit`.
///
/// # Errors
/// Those of the database.
pub async fn list(db: &impl ConnectionTrait, filter: &Filter, limit: u64) -> Result<Vec<Order>, DbErr> {
    let rows = query(filter, limit).all(db).await?;
    assemble(db, rows).await
}

/// Their rows.
pub(super) fn query(filter: &Filter, limit: u64) -> Select<Entity> {
    let mut query = Entity::find().order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit);
    match &filter.customer {
        Some(Customer::Id(user)) => query = query.filter(COLUMN.user_id.eq(user.uuid())),
        Some(Customer::Email(email)) => {
            let user = Query::select().column("id").from("users").and_where(Expr::col("email").eq(email)).to_owned();
            // As a single value, so that the order of the index is of use.
            query =
                query.filter(Expr::col((Entity, Column::UserId)).eq(SimpleExpr::SubQuery(None, Box::new(user.into()))));
        }
        None => {}
    }
    match &filter.statuses[..] {
        [] => {}
        [status] => query = query.filter(COLUMN.status.eq(status.as_str())),
        several => query = query.filter(COLUMN.status.is_in(several.iter().map(|status| status.as_str()))),
    }
    if let Some(from) = filter.from {
        query = query.filter(COLUMN.created_at.gte(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(COLUMN.created_at.lt(to));
    }
    if let Some(Cursor { created_at, id }) = filter.before {
        let place = Expr::tuple([Expr::col(Column::CreatedAt), Expr::col(Column::Id)]);
        query = query.filter(place.lt(Expr::tuple([Expr::val(created_at), Expr::val(id.uuid())])));
    }
    query
}

async fn assemble(db: &impl ConnectionTrait, rows: Vec<Model>) -> Result<Vec<Order>, DbErr> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let lines = items::Entity::find().filter(items::COLUMN.order_id.is_in(ids.clone()));
    let mut lines = grouped(lines.order_by_asc(items::Column::Id).all(db).await?, |line| line.order_id);
    let paid = payments::Entity::find().filter(payments::COLUMN.order_id.is_in(ids.clone())).all(db).await?;
    let mut paid: HashMap<Uuid, payments::Model> = paid.into_iter().map(|row| (row.order_id, row)).collect();
    let sent = shipments::Entity::find().filter(shipments::COLUMN.order_id.is_in(ids));
    let mut sent = grouped(sent.order_by_asc(shipments::Column::Id).all(db).await?, |row| row.order_id);
    let order = |row: Model| {
        let payment = paid.remove(&row.id).ok_or_else(|| DbErr::RecordNotFound(format!("payment of {}", row.id)))?;
        let (lines, sent) = (lines.remove(&row.id).unwrap_or_default(), sent.remove(&row.id).unwrap_or_default());
        view(row, lines, payment, sent)
    };
    rows.into_iter().map(order).collect()
}

fn grouped<R>(rows: Vec<R>, key: impl Fn(&R) -> Uuid) -> HashMap<Uuid, Vec<R>> {
    let mut groups = HashMap::<Uuid, Vec<R>>::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}

fn view(
    row: Model,
    lines: Vec<items::Model>,
    payment: payments::Model,
    sent: Vec<shipments::Model>,
) -> Result<Order, DbErr> {
    let shipments = sent.into_iter().map(shipment).collect::<Result<Vec<_>, _>>()?;
    Ok(Order {
        id: OrderId(row.id),
        user_id: UserId(row.user_id),
        status: known(&row.status)?,
        total_amount: Money(row.total_cents),
        items: lines.into_iter().map(item).collect::<Result<_, _>>()?,
        payment: Payment {
            method: payment.method,
            amount: Money(payment.amount_cents),
            status: known(&payment.status)?,
            captured: Money(payment.captured_cents),
            refunded: Money(payment.refunded_cents),
        },
        fulfillment_warehouse: crate::domain::order::fulfillment_warehouse(&shipments),
        shipments,
        created_at: row.created_at,
        shipped_at: row.shipped_at,
        status_reason: row.status_reason,
        cancel_requested: row.cancel_requested,
    })
}

fn item(row: items::Model) -> Result<OrderItem, DbErr> {
    Ok(OrderItem {
        id: OrderItemId(row.id),
        book_id: BookId(row.book_id),
        book_title: row.book_title,
        isbn: row.isbn,
        quantity: u32::try_from(row.quantity).map_err(|error| DbErr::Type(error.to_string()))?,
        price_at_purchase: Money(row.price_cents),
        returned: u32::try_from(row.returned).map_err(|error| DbErr::Type(error.to_string()))?,
    })
}

fn shipment(row: shipments::Model) -> Result<Shipment, DbErr> {
    Ok(Shipment {
        id: ShipmentId(row.id),
        warehouse_name: row.warehouse_name,
        status: known(&row.status)?,
        items: serde_json::from_str(&row.items).map_err(|error| DbErr::Json(error.to_string()))?,
        shipped_at: row.shipped_at,
    })
}

fn known<T: std::str::FromStr>(name: &str) -> Result<T, DbErr> {
    name.parse().map_err(|_| DbErr::Type(format!("a status that is not known: {name}")))
}
