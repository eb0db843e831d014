//! One warehouse in the registry, and what others see of it.

use ::actors::Address;
use contract::{Breaker, DatabaseId, Registration, Timestamp, WarehouseHealth, WarehouseId, WarehouseView};
use serde_json::json;
use service::database::Database;
use service::events::Feed;

use crate::actors::availability;
use crate::actors::warehouses::subtree::Subtree;
use crate::actors::warehouses::{dispatcher, sync};
use crate::db::warehouses::{self, DEFAULT_PRIORITY, Warehouse};

/// A registered warehouse, as sagas reach it.
#[derive(Clone, Debug)]
pub struct Known {
    /// The warehouse.
    pub id: WarehouseId,
    /// Its name.
    pub name: String,
    /// The identity of its database that was accepted.
    pub database_id: DatabaseId,
    /// Who calls it.
    pub dispatcher: Address<dispatcher::Msg>,
}

/// A registered warehouse, as the reconciler reaches it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Why it is not healthy, where it is not.
    pub offline: Option<String>,
    /// Who pulls its inventory.
    pub sync: Address<sync::Msg>,
}

/// Why a registration was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The name belongs to another database (R19).
    #[error("{name} is known with database {known}, not {given}: an admin must accept the new one")]
    Stranger {
        /// The name.
        name: String,
        /// The database that was accepted.
        known: DatabaseId,
        /// The one that asks.
        given: DatabaseId,
    },
    /// The database is away; nothing is known to have changed.
    #[error("the registration could not be saved: {0}")]
    Unavailable(String),
}

/// One warehouse: its row, and what is not in the table.
pub(super) struct Entry {
    pub(super) row: Warehouse,
    pub(super) breaker: Breaker,
    /// Why it is OFFLINE.
    pub(super) reason: Option<String>,
    pub(super) subtree: Subtree,
    pub(super) launching: bool,
    pub(super) launch_again: bool,
    /// Being deleted, or giving way to another database.
    pub(super) retiring: bool,
}

impl Entry {
    pub(super) fn new(row: Warehouse, subtree: Subtree) -> Self {
        Self {
            row,
            breaker: Breaker::Closed,
            reason: None,
            subtree,
            launching: false,
            launch_again: false,
            retiring: false,
        }
    }

    pub(super) fn is_sourceable(&self) -> bool {
        !self.retiring
            && self.row.enabled
            && self.row.status == WarehouseHealth::Healthy
            && self.breaker == Breaker::Closed
    }

    /// Tells availability whether orders may be sent there.
    pub(super) fn announce(&self, availability: &Address<availability::Msg>) {
        let (id, name, sourceable) = (self.row.id, self.row.name.clone(), self.is_sourceable());
        let priority = self.row.priority;
        // One that is being restarted asks when it has started.
        let _ = availability.tell(availability::Msg::SetWarehouse { id, name, sourceable, priority });
    }

    /// Tells operators what is not as it was.
    pub(super) fn publish(&self, health: WarehouseHealth, breaker: Breaker, notices: &Feed) {
        let warehouse = &self.row.name;
        if self.row.status != health {
            let (from, to, reason) = (health, self.row.status, &self.reason);
            notices.publish("health", json!({ "warehouse": warehouse, "from": from, "to": to, "reason": reason }));
        }
        if self.breaker != breaker {
            notices.publish("breaker", json!({ "warehouse": warehouse, "from": breaker, "to": self.breaker }));
        }
    }

    pub(super) fn known(&self) -> Known {
        let Warehouse { id, name, database_id, .. } = &self.row;
        Known { id: *id, name: name.clone(), database_id: *database_id, dispatcher: self.subtree.dispatcher.clone() }
    }

    pub(super) fn target(&self) -> Target {
        let healthy = self.row.status == WarehouseHealth::Healthy;
        let reason = || self.reason.clone().unwrap_or_else(|| "not seen yet".to_owned());
        Target { name: self.row.name.clone(), offline: (!healthy).then(reason), sync: self.subtree.sync.clone() }
    }

    pub(super) fn view(&self) -> WarehouseView {
        let row = self.row.clone();
        WarehouseView {
            id: row.id,
            name: row.name,
            url: row.url,
            internal_url: row.internal_url,
            database_id: row.database_id,
            status: row.status,
            status_reason: self.reason.clone(),
            last_seen: row.last_seen,
            last_registered: row.last_registered,
            last_pulled_at: row.last_pulled_at,
            breaker: self.breaker,
            enabled: row.enabled,
            priority: row.priority,
        }
    }
}

/// The row of a warehouse that nobody has seen yet.
pub(super) fn new_row(registration: Registration, now: Timestamp) -> Warehouse {
    Warehouse {
        id: WarehouseId::new(),
        name: registration.name,
        url: registration.url,
        internal_url: registration.internal_url,
        database_id: registration.database_id,
        status: WarehouseHealth::Offline,
        last_seen: None,
        last_registered: now,
        last_pulled_at: None,
        enabled: true,
        priority: DEFAULT_PRIORITY,
        created_at: now,
        updated_at: now,
    }
}

/// Writes one row.
pub(super) async fn save(database: &Database, row: &Warehouse) -> Result<(), String> {
    let db = database.ready().map_err(|failure| failure.reason().to_owned())?;
    warehouses::save(db, row).await.map_err(|error| error.to_string())
}

/// Writes the row of a warehouse that registers for the first time, or again after it was deleted.
pub(super) async fn save_new(database: &Database, row: Warehouse) -> Result<Warehouse, String> {
    let enter = database.transaction("register", async |txn| warehouses::enter(txn, row).await);
    enter.await.map_err(|error| failed(&error.into()))
}

pub(super) fn failed(error: &sea_orm::DbErr) -> String {
    error.to_string()
}

/// Writes the rows; those that could not be written are returned.
pub(super) async fn save_all(database: &Database, rows: Vec<Warehouse>) -> Vec<WarehouseId> {
    let mut unsaved = Vec::new();
    for row in rows {
        if let Err(error) = save(database, &row).await {
            tracing::debug!(warehouse = row.name, error, "not saved yet");
            unsaved.push(row.id);
        }
    }
    unsaved
}
