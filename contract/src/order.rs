//! Orders: what a customer asks for and what the store shows of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::{self, Timestamp};
use crate::{
    BookId, Money, OrderId, OrderItemId, OrderStatus, PaymentStatus, ShipmentId, ShipmentLine, ShipmentStatus,
    Shortfall, StockRow, UserId,
};

/// Body of `POST /orders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlaceOrder {
    /// What to buy; lines of the same book are added up.
    pub items: Vec<OrderLine>,
    /// How to pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentRequest>,
    /// Whether several warehouses may share the order; as the store is configured where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_split: Option<bool>,
    /// Whether it may wait for stock, rather than be refused for lack of it; no where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_backorder: Option<bool>,
}

/// Body of `POST /orders/:id/return`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReturnOrder {
    /// What comes back; lines of the same book are added up.
    pub items: Vec<OrderLine>,
}

/// One line of an order as the customer asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderLine {
    /// The book.
    pub book_id: BookId,
    /// Copies.
    pub quantity: u32,
}

/// How a customer wants to pay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequest {
    /// The means; `credit_card` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// What the customer believes the total to be; another total refuses the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// The order.
    pub id: OrderId,
    /// Whose it is.
    pub user_id: UserId,
    /// Where it stands.
    pub status: OrderStatus,
    /// What it costs.
    pub total_amount: Money,
    /// What was bought.
    pub items: Vec<OrderItem>,
    /// Its payment.
    pub payment: Payment,
    /// Its shipments, oldest first.
    pub shipments: Vec<Shipment>,
    /// The warehouse that shipped it, or is to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fulfillment_warehouse: Option<String>,
    /// When it was accepted.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it left.
    #[serde(with = "time::option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub shipped_at: Option<Timestamp>,
    /// Why it stands where it does, where that needs a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// Whether it is being cancelled, which has not come to its end.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cancel_requested: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_none(copies: &u32) -> bool {
    *copies == 0
}

/// One line of an order, with what the book was called and cost then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderItem {
    /// The line.
    pub id: OrderItemId,
    /// The book.
    pub book_id: BookId,
    /// Its title then.
    pub book_title: String,
    /// Its ISBN.
    pub isbn: String,
    /// Copies.
    pub quantity: u32,
    /// Price of one copy then.
    pub price_at_purchase: Money,
    /// Copies that came back.
    #[serde(default, skip_serializing_if = "is_none")]
    pub returned: u32,
}

/// The payment of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// The means.
    pub method: String,
    /// What is paid.
    pub amount: Money,
    /// Where it stands.
    pub status: PaymentStatus,
    /// What was taken: nothing before everything has left.
    #[serde(default)]
    pub captured: Money,
    /// What was given back of it.
    #[serde(default)]
    pub refunded: Money,
}

/// One shipment of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shipment {
    /// The shipment.
    pub id: ShipmentId,
    /// The warehouse asked.
    pub warehouse_name: String,
    /// Where it stands.
    pub status: ShipmentStatus,
    /// What is in it.
    pub items: Vec<ShipmentLine>,
    /// When it left.
    #[serde(with = "time::option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub shipped_at: Option<Timestamp>,
}

/// The data of one event of `GET /orders/:id/events`: a step of the order that is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderEvent {
    /// The order.
    pub order_id: OrderId,
    /// The number of the step, from 0; the event's id.
    pub seq: i64,
    /// What happened: `accepted`, `sourced`, `moved`, `backordered`, `held`, `part-shipped`, `shipped`, `captured`,
    /// `declined`, `rejecting`, `rejected`, `cancelling`, `cancelled`, `returning`, `returned`, `needs-attention`,
    /// `retried`, `resumed`, `written-off`; the event's name.
    pub event: String,
    /// Where the order stands after it.
    pub status: OrderStatus,
    /// When it happened.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The shipment that is asked for after it, or was last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipment_id: Option<ShipmentId>,
    /// Of which warehouse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse_name: Option<String>,
    /// When it left.
    #[serde(with = "time::option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub shipped_at: Option<Timestamp>,
    /// Why, where that needs a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a rejected order was short of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortfalls: Vec<Shortfall>,
}

/// Body of `POST /orders/:id/status`: a warehouse tells the store that a shipment has left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Confirmation {
    /// Only `SHIPPED` is taken.
    pub status: OrderStatus,
    /// When it left.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub shipped_at: Timestamp,
    /// The warehouse it left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse_name: Option<String>,
    /// The shipment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipment_id: Option<ShipmentId>,
    /// The books' rows as the commit left them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<Vec<StockRow>>,
}

/// Answer of `POST /orders/:id/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Confirmed {
    /// The order.
    pub id: OrderId,
    /// `SHIPPED`.
    pub status: OrderStatus,
}
