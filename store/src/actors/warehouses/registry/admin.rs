//! What admins change of a warehouse.
//!
//! R19, and what it means to accept another database. Shipments that were asked of the old one are in three states:
//! answered, which is final; certainly never sent; and unknown. An unknown one may have left the old stock, and the new
//! database has never heard of it: asked again there it would leave twice. So a row of the registry is one database for
//! ever. Accepting another one retires the row, which keeps its shipments, and enters a new warehouse under its name.
//! A saga that asks for the retired one learns that it stands on another database: what was never sent goes wherever
//! there is stock, the new warehouse too, under a new key; what is unknown becomes NEEDS_ATTENTION at once and is never
//! asked of the new one. A confirmation, which says that it did leave, still ends it. And the cache cannot mix: versions
//! of two databases say nothing of each other, and the new warehouse has no rows until its first pull.
//! Should the old database come back and be accepted again, its row does too: the same calls find the same outcomes.
//!
//! A warehouse is deleted in the same way, but only while no shipment there is open. What is sourced there in the moment
//! before is no harm: its saga finds nobody, was never sent, and goes elsewhere. If it registers again it is back.

use ::actors::{Context, EffectError, Failure, Reply};
use contract::{PatchWarehouse, WarehouseHealth, WarehouseId, WarehouseView};
use sea_orm::DbErr;
use service::clock;
use service::database::{Database, TransactionError};

use super::entry::{failed, save};
use super::{Msg, State, WRITE_LIMIT};
use crate::actors::availability;
use crate::actors::warehouses::subtree::Subtrees;
use crate::db;
use crate::db::warehouses::Warehouse;

/// Why a warehouse was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// There is none of this name.
    #[error("there is no such warehouse")]
    Unknown,
    /// Shipments that it was asked for have no end yet.
    #[error("it has open shipments")]
    OpenShipments,
    /// The database is away, or its actors are just being started. Nothing is known to have changed.
    #[error("it could not be changed: {0}")]
    Unavailable(String),
}

/// Why a row was not retired.
#[derive(Debug)]
pub enum RetireError {
    /// It certainly was not.
    Not(AdminError),
    /// It may have been: this actor must read the table again.
    Unknown(String),
}

/// Answers a change.
pub type Answer<T> = Reply<Result<T, AdminError>>;

/// What becomes of a warehouse's row.
#[derive(Debug)]
pub enum Retired {
    /// It is gone.
    Deleted,
    /// Another database has its place.
    Replaced(Box<Warehouse>),
}

/// Who waits for that.
pub enum Waiting {
    /// The admin who deletes it.
    Delete(Answer<()>),
    /// The admin who accepts another database.
    Accept(Answer<WarehouseView>),
}

impl State {
    pub(super) fn amend(
        &mut self,
        name: &str,
        patch: PatchWarehouse,
        reply: Answer<WarehouseView>,
        ctx: &mut Context<Msg>,
    ) {
        let Some(entry) = self.entries.values_mut().find(|entry| entry.row.name == name) else {
            return reply.send(Err(AdminError::Unknown));
        };
        let row = Warehouse {
            enabled: patch.enabled.unwrap_or(entry.row.enabled),
            priority: patch.priority.unwrap_or(entry.row.priority),
            updated_at: clock::now(),
            ..entry.row.clone()
        };
        if let Some(database_id) = patch.accept_database_id.filter(|accepted| *accepted != row.database_id) {
            let next = Warehouse {
                id: WarehouseId::new(),
                database_id,
                status: WarehouseHealth::Offline,
                last_seen: None,
                last_pulled_at: None,
                ..row
            };
            return self.retire(name, Some(next), Waiting::Accept(reply), ctx);
        }
        self.writing = true;
        let database = self.args.database.clone();
        let write = async move { save(&database, &row).await.map(|()| row) };
        ctx.effect(WRITE_LIMIT, write, move |result| {
            let result = result.unwrap_or_else(|error: EffectError| Err(error.to_string()));
            Msg::Amended { result: result.map(Box::new), reply }
        });
    }

    pub(super) fn amended(&mut self, result: Result<Warehouse, String>, reply: Answer<WarehouseView>) {
        let row = match result {
            Ok(row) => row,
            Err(reason) => return reply.send(Err(AdminError::Unavailable(reason))),
        };
        let Some(entry) = self.entries.get_mut(&row.id) else { return reply.send(Err(AdminError::Unknown)) };
        // Polls may have changed the rest meanwhile.
        (entry.row.enabled, entry.row.priority, entry.row.updated_at) = (row.enabled, row.priority, row.updated_at);
        tracing::info!(warehouse = row.name, enabled = row.enabled, priority = row.priority, "warehouse changed");
        entry.announce(&self.args.availability);
        reply.send(Ok(entry.view()));
    }

    /// Stops a warehouse's actors and retires its row, for `next` if there is one, or leaves all as it was.
    pub(super) fn retire(&mut self, name: &str, next: Option<Warehouse>, waiting: Waiting, ctx: &mut Context<Msg>) {
        let found = self.entries.values_mut().find(|entry| entry.row.name == name);
        let entry = match found {
            None => return waiting.refuse(AdminError::Unknown),
            Some(entry) if entry.launching => {
                return waiting.refuse(AdminError::Unavailable("its actors are being started".to_owned()));
            }
            Some(entry) => entry,
        };
        // Launches wait for the end of this, and nothing is sourced from it any more.
        (entry.launching, entry.retiring) = (true, true);
        entry.announce(&self.args.availability);
        self.writing = true;
        let (row, id) = (entry.row.clone(), entry.row.id);
        let (database, subtrees) = (self.args.database.clone(), self.args.subtrees.clone());
        ctx.effect(WRITE_LIMIT * 2, async move { retire(&database, &subtrees, &row, next).await }, move |result| {
            let result = result.unwrap_or_else(|error: EffectError| Err(RetireError::Unknown(error.to_string())));
            Msg::Retired { id, result, waiting }
        });
    }

    pub(super) fn retired(
        &mut self,
        id: WarehouseId,
        result: Result<Retired, RetireError>,
        waiting: Waiting,
        ctx: &mut Context<Msg>,
    ) -> Result<(), Failure> {
        let retired = match result {
            Ok(retired) => retired,
            Err(RetireError::Unknown(reason)) => return Err(Failure::unavailable(reason)),
            Err(RetireError::Not(error)) => {
                if let Some(entry) = self.entries.get_mut(&id) {
                    (entry.launching, entry.retiring) = (false, false);
                    entry.announce(&self.args.availability);
                }
                self.launch(id, ctx);
                waiting.refuse(error);
                return Ok(());
            }
        };
        if let Some(entry) = self.entries.remove(&id) {
            tracing::info!(warehouse = entry.row.name, ?retired, "warehouse retired");
        }
        self.args.subtrees.forget(id);
        let _ = self.args.availability.tell(availability::Msg::RemoveWarehouse { id });
        let view = match retired {
            Retired::Deleted => None,
            Retired::Replaced(next) => {
                let next_id = next.id;
                let view = self.enter(*next).view();
                self.announce();
                self.launch(next_id, ctx);
                Some(view)
            }
        };
        match (waiting, view) {
            (Waiting::Accept(reply), Some(view)) => reply.send(Ok(view)),
            (Waiting::Delete(reply), _) => reply.send(Ok(())),
            (Waiting::Accept(reply), None) => reply.send(Err(AdminError::Unknown)),
        }
        Ok(())
    }
}

impl Waiting {
    fn refuse(self, error: AdminError) {
        match self {
            Self::Delete(reply) => reply.send(Err(error)),
            Self::Accept(reply) => reply.send(Err(error)),
        }
    }
}

/// Its actors are stopped first, so that no pull of theirs writes into the cache behind this.
async fn retire(
    database: &Database,
    subtrees: &Subtrees,
    row: &Warehouse,
    next: Option<Warehouse>,
) -> Result<Retired, RetireError> {
    let away = |reason: String| RetireError::Not(AdminError::Unavailable(reason));
    let db = database.ready().map_err(|failure| away(failure.reason().to_owned()))?;
    let is_open = db::shipments::is_any_open(db, row.id).await.map_err(|error| away(failed(&error)))?;
    if next.is_none() && is_open {
        return Err(RetireError::Not(AdminError::OpenShipments));
    }
    subtrees.stop(row).await;
    let (id, name) = (row.id, row.name.as_str());
    let written = database.transaction("retire", async |txn| {
        db::warehouses::retire(txn, id, name, clock::now()).await?;
        // Again, now that the row is locked: an order may have been accepted meanwhile.
        if next.is_none() && db::shipments::is_any_open(txn, id).await? {
            return Err(DbErr::RecordNotUpdated);
        }
        match next {
            Some(next) => Ok(Retired::Replaced(Box::new(db::warehouses::enter(txn, next).await?))),
            None => Ok(Retired::Deleted),
        }
    });
    written.await.map_err(|error| match error {
        error if error.is_uncertain() => RetireError::Unknown(failed(&error.into())),
        TransactionError::Work(DbErr::RecordNotUpdated) => RetireError::Not(AdminError::OpenShipments),
        error => away(failed(&error.into())),
    })
}
