//! Registrations (R19, R20).

use ::actors::{Context, EffectError, Reply};
use contract::{Registered, Registration, WarehouseHealth};
use service::clock;

use super::entry::{RegisterError, new_row, save, save_new};
use super::{Msg, State, WRITE_LIMIT};
use crate::actors::warehouses::monitor;
use crate::db::warehouses::Warehouse;
use crate::domain::registration::{self, Verdict};

impl State {
    pub(super) fn register(
        &mut self,
        registration: Registration,
        reply: Reply<Result<Registered, RegisterError>>,
        ctx: &mut Context<Msg>,
    ) {
        let now = clock::now();
        let entry = self.entries.values().find(|entry| entry.row.name == registration.name);
        let known = entry.map(|entry| registration::Known {
            url: &entry.row.url,
            internal_url: &entry.row.internal_url,
            database_id: entry.row.database_id,
        });
        let verdict = registration::judge(known, &registration);
        let row = match (entry, verdict) {
            (Some(entry), Verdict::Stranger) => {
                // What answers at the known address may be the stranger by now: see at once.
                let _ = entry.subtree.monitor.tell(monitor::Msg::Poll);
                let (known, given) = (entry.row.database_id, registration.database_id);
                tracing::warn!(warehouse = registration.name, %known, %given, "refused a registration with another database");
                return reply.send(Err(RegisterError::Stranger { name: registration.name, known, given }));
            }
            (Some(entry), Verdict::Unchanged) => {
                if entry.row.status == WarehouseHealth::Offline {
                    // A sign of life; whether it is well is for the monitor to see.
                    let _ = entry.subtree.monitor.tell(monitor::Msg::Poll);
                }
                Warehouse { last_registered: now, ..entry.row.clone() }
            }
            (Some(entry), _) => Warehouse {
                url: registration.url,
                internal_url: registration.internal_url,
                last_registered: now,
                updated_at: now,
                ..entry.row.clone()
            },
            (None, _) => new_row(registration, now),
        };
        self.writing = true;
        let (database, saved) = (self.args.database.clone(), row.clone());
        let write = async move {
            match verdict {
                Verdict::New => save_new(&database, saved).await,
                _ => save(&database, &saved).await.map(|()| saved),
            }
        };
        ctx.effect(WRITE_LIMIT, write, move |result| {
            let result = result.unwrap_or_else(|error: EffectError| Err(error.to_string()));
            Msg::Registered { verdict, result: result.map(Box::new), reply }
        });
    }

    pub(super) fn registered(
        &mut self,
        verdict: Verdict,
        result: Result<Warehouse, String>,
        reply: Reply<Result<Registered, RegisterError>>,
        ctx: &mut Context<Msg>,
    ) {
        let row = match result {
            Ok(row) => row,
            Err(reason) => return reply.send(Err(RegisterError::Unavailable(reason))),
        };
        let id = row.id;
        let status = match self.entries.get_mut(&id) {
            // Polls may have changed the rest meanwhile.
            Some(entry) => {
                entry.row.url = row.url;
                entry.row.internal_url = row.internal_url;
                entry.row.last_registered = row.last_registered;
                entry.row.updated_at = row.updated_at;
                self.unsaved.insert(id);
                entry.row.status
            }
            None => {
                tracing::info!(warehouse = row.name, url = row.internal_url, "warehouse registered");
                let entry = self.enter(row.clone());
                let status = entry.row.status;
                self.announce();
                status
            }
        };
        if matches!(verdict, Verdict::New | Verdict::Moved) {
            self.launch(id, ctx);
        }
        let name = self.entries.get(&id).map(|entry| entry.row.name.clone()).unwrap_or_default();
        reply.send(Ok(Registered { id, name, status }));
    }
}
