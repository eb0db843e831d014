//! One warehouse's actors as a subtree `warehouse:<name>`, and the list of those that there are.
//!
//! The list outlives the registry's restarts: an address must go on meaning the same warehouse.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::actors::{Address, ChildSpec, Exhausted, StartChildError, SupervisorAddress};
use contract::{DatabaseId, WarehouseId};

use super::{Shared, dispatcher, monitor, registry, sync};
use crate::db::warehouses::Warehouse;

/// Where one warehouse's actors are reached.
#[derive(Clone, Debug)]
pub struct Subtree {
    /// Health.
    pub monitor: Address<monitor::Msg>,
    /// Pulls.
    pub sync: Address<sync::Msg>,
    /// Shipments.
    pub dispatcher: Address<dispatcher::Msg>,
}

/// What a subtree is built on: another address or database needs another subtree.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Endpoint {
    url: String,
    database_id: DatabaseId,
}

#[derive(Clone)]
struct Entry {
    subtree: Subtree,
    launched: Option<Endpoint>,
}

/// Every warehouse's subtree.
#[derive(Clone)]
pub struct Subtrees {
    supervisor: SupervisorAddress,
    shared: Shared,
    entries: Arc<Mutex<HashMap<WarehouseId, Entry>>>,
}

impl Subtrees {
    /// None yet; they become children of `supervisor`.
    pub fn new(supervisor: SupervisorAddress, shared: Shared) -> Self {
        Self { supervisor, shared, entries: Arc::default() }
    }

    /// Where the warehouse's actors are reached, now or once they are launched.
    pub fn of(&self, id: WarehouseId) -> Subtree {
        let bound = self.shared.policy.mailbox_bound;
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(id).or_insert_with(|| Entry {
            subtree: Subtree {
                monitor: Address::new(bound),
                sync: Address::new(bound),
                dispatcher: Address::new(bound),
            },
            launched: None,
        });
        entry.subtree.clone()
    }

    /// Makes sure that the warehouse's actors run against the address and database that the row names. Calls for one warehouse must not
    /// overlap.
    ///
    /// # Errors
    /// When the supervisor is not there to take them: try again.
    pub async fn launch(&self, row: &Warehouse) -> Result<(), StartChildError> {
        let subtree = self.of(row.id);
        let wanted = Endpoint { url: row.internal_url.clone(), database_id: row.database_id };
        let child = format!("warehouse:{}", row.name);
        // What runs under the name may also be the actors of the warehouse that had it before.
        if self.launched(row.id).is_none_or(|launched| launched != wanted) {
            self.supervisor.stop_child(&child).await;
        }
        match self.supervisor.start_child(self.spec(child, row, &subtree)).await {
            Ok(()) | Err(StartChildError::InUse) => {
                let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(entry) = entries.get_mut(&row.id) {
                    entry.launched = Some(wanted);
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Stops the warehouse's actors; its addresses stay, for a launch that follows.
    pub async fn stop(&self, row: &Warehouse) {
        self.supervisor.stop_child(&format!("warehouse:{}", row.name)).await;
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get_mut(&row.id) {
            entry.launched = None;
        }
    }

    /// Lets go of the addresses of a warehouse whose actors are stopped.
    pub fn forget(&self, id: WarehouseId) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    fn launched(&self, id: WarehouseId) -> Option<Endpoint> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).get(&id)?.launched.clone()
    }

    fn spec(&self, child: String, row: &Warehouse, subtree: &Subtree) -> ChildSpec {
        let Shared { database, availability, registry, connect, policy, .. } = self.shared.clone();
        let (id, name, database_id) = (row.id, row.name.clone(), row.database_id);
        let api = connect(&row.internal_url);
        let monitor = monitor::Args {
            id,
            database_id,
            status: row.status,
            api: Arc::clone(&api),
            policy: policy.monitor,
            registry: registry.clone(),
            sync: subtree.sync.clone(),
        };
        let sync = sync::Args {
            id,
            name: name.clone(),
            database_id,
            api: Arc::clone(&api),
            limit: policy.pull_limit,
            database,
            availability,
            registry: registry.clone(),
        };
        let dispatcher =
            dispatcher::Args { id, name, database_id, api, policy: policy.dispatcher, registry: registry.clone() };
        let children = vec![
            ChildSpec::actor("monitor", &subtree.monitor, monitor::Monitor, monitor),
            ChildSpec::actor("sync", &subtree.sync, sync::Sync, sync),
            // Calls under way are answered or time out before it ends.
            ChildSpec::actor("dispatcher", &subtree.dispatcher, dispatcher::Dispatcher, dispatcher)
                .stop_within(policy.dispatcher.timeout + Duration::from_secs(1)),
        ];
        ChildSpec::supervisor(child, &SupervisorAddress::new(), children)
            .on_exhausted(Exhausted::GiveUp { retry_after: Some(policy.retry_after) })
            .on_failure(move |report| {
                if report.gave_up {
                    let _ = registry.tell(registry::Msg::SubtreeFailed { id, reason: report.reason.clone() });
                }
            })
    }
}
