//! Warehouses: how they register, report their health, and look from the store.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::{self, Timestamp};
use crate::{Breaker, DatabaseId, WarehouseHealth, WarehouseId};

/// Body of `POST /warehouses/register` at the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// The warehouse's name.
    pub name: String,
    /// Its address for people.
    pub url: String,
    /// Its address for the store.
    pub internal_url: String,
    /// The identity of its database.
    pub database_id: DatabaseId,
}

/// Answer of `POST /warehouses/register`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    /// The warehouse.
    pub id: WarehouseId,
    /// Its name.
    pub name: String,
    /// What the monitor says of it now.
    pub status: WarehouseHealth,
}

/// Answer of a warehouse's `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WarehouseHealthReport {
    /// `healthy`.
    pub status: String,
    /// The warehouse's clock.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// The identity of its database.
    pub database_id: DatabaseId,
}

/// Answer of a warehouse's `GET /info`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WarehouseInfo {
    /// Its name.
    pub name: String,
    /// Its address for people.
    pub url: String,
    /// `active` once the store has registered it, else `inactive`.
    pub status: String,
    /// The store that has registered it.
    pub registered_with: Option<String>,
    /// Copies on hand, all books together.
    pub total_items: i64,
    /// Books with a row.
    pub total_books: i64,
}

/// A warehouse as the store's `GET /warehouses` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WarehouseView {
    /// The warehouse.
    pub id: WarehouseId,
    /// Its name.
    pub name: String,
    /// Its address for people.
    pub url: String,
    /// Its address for the store.
    pub internal_url: String,
    /// The identity of its database that was accepted.
    pub database_id: DatabaseId,
    /// What the monitor says of it.
    pub status: WarehouseHealth,
    /// Why the last poll failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// When a probe last succeeded.
    #[serde(with = "time::option", default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen: Option<Timestamp>,
    /// When it last registered.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub last_registered: Timestamp,
    /// When its whole inventory was last pulled.
    #[serde(with = "time::option", default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_pulled_at: Option<Timestamp>,
    /// The circuit breaker before it.
    pub breaker: Breaker,
    /// Whether orders may be sourced from it.
    pub enabled: bool,
    /// A lower one is asked first.
    pub priority: i32,
}

/// Body of `PATCH /warehouses/:name`. What is absent stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PatchWarehouse {
    /// Whether orders may be sourced from it. One that is disabled is watched and pulled, and open shipments go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// A lower one is asked first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// The database that it is believed to have from now on. With another one it is another warehouse, with another id:
    /// shipments of unknown outcome stay with the former one, for a person to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_database_id: Option<DatabaseId>,
}

/// Answer of `POST /inventory/reconcile`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReconcileReport {
    /// A summary.
    pub message: String,
    /// One result a warehouse.
    pub warehouses: Vec<ReconcileResult>,
}

/// What one warehouse's pull came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReconcileResult {
    /// The warehouse.
    pub name: String,
    /// `ok`, `failed`, `skipped` or `timeout`.
    pub outcome: String,
    /// Rows pulled.
    pub items: u64,
    /// Rows that differed from the cache.
    pub changed: u64,
    /// How long it took.
    pub duration_ms: u64,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Answer of the store's `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// Which service it is.
    pub service: String,
}

/// Body of `POST /actors/restart`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestartActor {
    /// The actor's place in the tree, as `GET /actors` shows it.
    pub path: String,
}

/// Answer of `GET /ready`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// `ready` or `unavailable`.
    pub status: String,
    /// By name of the check, `ok` or what is wrong.
    pub checks: BTreeMap<String, String>,
}
