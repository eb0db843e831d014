//! Sagas: where each order's fulfillment stands, for operators.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::{self, Timestamp};
use crate::{OrderId, OrderStatus, PaymentStatus, ShipmentId, ShipmentLine};

/// A saga, in `GET /sagas`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Saga {
    /// Whose fulfillment it is.
    pub order_id: OrderId,
    /// Where it stands: `authorizing`, `sourcing`, `awaiting-stock`, `reserving`, `confirming`, `shipping`, `capturing`,
    /// `undoing`, `voiding-payment`, `returning`, `refunding`; at last `shipped`, `rejected` or `cancelled`.
    pub state: String,
    /// What it is doing there: `authorize`, `ship`, `reserve`, `confirm`, `ship-held`, `capture`, `void`, `void-payment`,
    /// `restock`, `refund`.
    pub steps: Vec<String>,
    /// Where the order stands.
    pub order_status: OrderStatus,
    /// Where the payment stands.
    pub payment_status: PaymentStatus,
    /// What it waits for, unless it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Since when: its latest entry.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Whether it has waited for longer than the store is configured to think well of.
    pub stalled: bool,
    /// Whether a person must look.
    pub needs_attention: bool,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Calls without an answer since its latest entry or restart.
    pub attempts: u32,
    /// When the first of them ended.
    #[serde(with = "time::option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub first_attempt_at: Option<Timestamp>,
    /// When the latest ended.
    #[serde(with = "time::option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub latest_attempt_at: Option<Timestamp>,
    /// When the next begins.
    #[serde(with = "time::option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_retry_at: Option<Timestamp>,
    /// Why the latest had no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// How often its actor has panicked.
    pub panics: u32,
    /// When the order was accepted.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub placed_at: Timestamp,
    /// Its shipments that are asked for or have left.
    pub parts: Vec<SagaPart>,
    /// Its journal, oldest first; only where one saga is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub journal: Vec<SagaEntry>,
}

/// A shipment of a saga.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SagaPart {
    /// The shipment.
    pub shipment_id: ShipmentId,
    /// Who is asked.
    pub warehouse_name: String,
    /// `planned`, `held`, `confirmed` or `shipped`.
    pub state: String,
    /// What is in it.
    pub items: Vec<ShipmentLine>,
}

/// An entry of a saga's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SagaEntry {
    /// Its number, from 0.
    pub seq: i64,
    /// The step's name.
    pub event: String,
    /// What happened, in a sentence.
    pub text: String,
    /// When.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}
