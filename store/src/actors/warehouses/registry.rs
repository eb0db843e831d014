//! Which warehouses there are, and how each stands. Child of `warehouses`; the only one that writes `warehouse_registry`.
//!
//! It keeps a subtree running for every warehouse, and tells availability which of them can be sourced from: healthy, enabled, breaker
//! closed. A restart reads the table again, finds the subtrees still running and asks their breakers. What it loses: polls that were not
//! saved yet (the next one comes), and registrations not answered yet (warehouses repeat them).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ::actors::{Actor, Address, Context, EffectError, Failure, Reply};
use contract::{Breaker, Registered, Registration, Timestamp, WarehouseHealth, WarehouseId, WarehouseView};
use service::clock;
use service::database::{self, Database};
use service::events::Feed;
use strum::IntoStaticStr;

use super::subtree::Subtrees;
use super::{dispatcher, monitor};
use crate::actors::availability;
use crate::db;
use crate::db::warehouses::Warehouse;
use crate::domain::registration::{self, Verdict};

mod entry;

pub use entry::{Known, RegisterError, Target};

use entry::{Entry, new_row, save, save_all};

const WRITE_LIMIT: Duration = Duration::from_secs(15);
const LAUNCH_LIMIT: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(1);

/// What every start is given.
#[derive(Clone)]
pub struct Args {
    /// Where the table is.
    pub database: Database,
    /// Told which warehouses can be sourced from.
    pub availability: Address<availability::Msg>,
    /// Where operators are told of changes.
    pub notices: Feed,
    /// The warehouses' actors.
    pub subtrees: Subtrees,
}

/// What it can be told.
#[derive(IntoStaticStr)]
pub enum Msg {
    /// A warehouse registers.
    Register {
        /// What it says of itself; valid.
        registration: Registration,
        /// What was made of it, once that is durable.
        reply: Reply<Result<Registered, RegisterError>>,
    },
    /// How to reach one warehouse.
    Find {
        /// The warehouse.
        id: WarehouseId,
        /// None where it is not registered.
        reply: Reply<Option<Known>>,
    },
    /// All of them, by name.
    List {
        /// As admins see them.
        reply: Reply<Vec<WarehouseView>>,
    },
    /// All of them, by name, as the reconciler needs them.
    Syncs {
        /// Whom to ask for a pull.
        reply: Reply<Vec<Target>>,
    },
    /// The monitor has polled.
    Observed {
        /// The warehouse.
        id: WarehouseId,
        /// Its verdict.
        health: WarehouseHealth,
        /// When the poll succeeded, if it did.
        seen: Option<Timestamp>,
        /// Why not.
        reason: Option<String>,
    },
    /// The dispatcher's breaker has opened or closed.
    BreakerChanged {
        /// The warehouse.
        id: WarehouseId,
        /// How it stands.
        breaker: Breaker,
    },
    /// The whole inventory has been pulled.
    Pulled {
        /// The warehouse.
        id: WarehouseId,
        /// When.
        at: Timestamp,
    },
    /// The warehouse's actors have failed too often.
    SubtreeFailed {
        /// The warehouse.
        id: WarehouseId,
        /// Why, at last.
        reason: String,
    },
    /// Availability has started and wants to be told of every warehouse.
    Announce,
    /// The write of a registration has ended.
    Registered {
        /// The row as written.
        row: Box<Warehouse>,
        /// What the registration was.
        verdict: Verdict,
        /// Whether it was written.
        result: Result<(), String>,
        /// For whom.
        reply: Reply<Result<Registered, RegisterError>>,
    },
    /// The write of what changed has ended.
    Saved {
        /// Which rows could not be written.
        unsaved: Vec<WarehouseId>,
    },
    /// The warehouse's actors have been launched, or not.
    Launched {
        /// The warehouse.
        id: WarehouseId,
        /// Whether they were.
        result: Result<(), String>,
    },
    /// Timer: launch again what could not be.
    Launch {
        /// The warehouse.
        id: WarehouseId,
    },
    /// Timer: write again what could not be.
    Save,
}

/// The table in memory, and what has yet to be written.
pub struct State {
    args: Args,
    entries: BTreeMap<WarehouseId, Entry>,
    /// One write at a time, so that the later one is also written later.
    writing: bool,
    registrations: VecDeque<(Registration, Reply<Result<Registered, RegisterError>>)>,
    unsaved: BTreeSet<WarehouseId>,
}

/// The actor.
pub struct Registry;

impl Actor for Registry {
    const KIND: &'static str = "registry";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, ctx: &mut Context<Msg>) -> Result<State, Failure> {
        let rows = db::warehouses::all(args.database.ready()?).await.map_err(|error| database::failure(&error))?;
        let mut state = State {
            args,
            entries: BTreeMap::new(),
            writing: false,
            registrations: VecDeque::new(),
            unsaved: BTreeSet::new(),
        };
        for row in rows {
            let id = row.id;
            let entry = state.enter(row);
            let _ = entry.subtree.dispatcher.tell(dispatcher::Msg::Announce);
            ctx.notify(Msg::Launch { id });
        }
        state.announce();
        Ok(state)
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Register { registration, reply } => state.registrations.push_back((registration, reply)),
            Msg::Find { id, reply } => reply.send(state.entries.get(&id).map(Entry::known)),
            Msg::List { reply } => reply.send(state.by_name().map(Entry::view).collect()),
            Msg::Syncs { reply } => reply.send(state.by_name().map(Entry::target).collect()),
            Msg::Observed { id, health, seen, reason } => state.observe(id, health, seen, reason),
            Msg::BreakerChanged { id, breaker } => state.change(id, |entry| entry.breaker = breaker),
            Msg::Pulled { id, at } => {
                state.change(id, |entry| entry.row.last_pulled_at = Some(at));
                state.unsaved.insert(id);
            }
            Msg::SubtreeFailed { id, reason } => {
                let reason = Some(format!("its actors have failed: {reason}"));
                state.observe(id, WarehouseHealth::Offline, None, reason);
            }
            Msg::Announce => state.announce(),
            Msg::Registered { row, verdict, result, reply } => {
                state.writing = false;
                state.registered(*row, verdict, result, reply, ctx);
            }
            Msg::Saved { unsaved } => {
                state.writing = false;
                if !unsaved.is_empty() {
                    state.unsaved.extend(unsaved);
                    ctx.send_after(RETRY, Msg::Save);
                    return Ok(());
                }
            }
            Msg::Launched { id, result } => state.launched(id, result, ctx),
            Msg::Launch { id } => state.launch(id, ctx),
            Msg::Save => {}
        }
        state.write_next(ctx);
        Ok(())
    }
}

impl State {
    fn enter(&mut self, row: Warehouse) -> &mut Entry {
        let subtree = self.args.subtrees.of(row.id);
        let entry = Entry::new(row, subtree);
        self.entries.entry(entry.row.id).insert_entry(entry).into_mut()
    }

    fn by_name(&self) -> impl Iterator<Item = &Entry> {
        let mut entries: Vec<_> = self.entries.values().collect();
        entries.sort_unstable_by(|a, b| a.row.name.cmp(&b.row.name));
        entries.into_iter()
    }

    fn observe(&mut self, id: WarehouseId, health: WarehouseHealth, seen: Option<Timestamp>, reason: Option<String>) {
        self.change(id, |entry| {
            if entry.row.status != health {
                let (warehouse, before) = (&entry.row.name, entry.row.status);
                tracing::info!(warehouse, %before, now = %health, reason, "warehouse health changed");
            }
            entry.row.status = health;
            entry.row.last_seen = seen.or(entry.row.last_seen);
            entry.reason = reason;
        });
        self.unsaved.insert(id);
    }

    /// Changes an entry, and tells availability when that changes whether orders may be sent there.
    fn change(&mut self, id: WarehouseId, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let (before, health, breaker) = (entry.is_sourceable(), entry.row.status, entry.breaker);
        change(entry);
        entry.publish(health, breaker, &self.args.notices);
        if entry.is_sourceable() != before {
            entry.announce(&self.args.availability);
        }
    }

    fn announce(&self) {
        self.entries.values().for_each(|entry| entry.announce(&self.args.availability));
    }

    fn write_next(&mut self, ctx: &mut Context<Msg>) {
        while !self.writing
            && let Some((registration, reply)) = self.registrations.pop_front()
        {
            self.register(registration, reply, ctx);
        }
        if self.writing || self.unsaved.is_empty() {
            return;
        }
        self.writing = true;
        let unsaved = std::mem::take(&mut self.unsaved);
        let entries = unsaved.iter().filter_map(|id| self.entries.get(id));
        let rows: Vec<_> = entries.map(|entry| entry.row.clone()).collect();
        let database = self.args.database.clone();
        ctx.effect(WRITE_LIMIT, async move { save_all(&database, rows).await }, move |result| {
            let everything = |_: EffectError| unsaved.into_iter().collect();
            Msg::Saved { unsaved: result.unwrap_or_else(everything) }
        });
    }

    fn register(
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
        ctx.effect(WRITE_LIMIT, async move { save(&database, &saved).await }, move |result| {
            let result = result.unwrap_or_else(|error: EffectError| Err(error.to_string()));
            Msg::Registered { row: Box::new(row), verdict, result, reply }
        });
    }

    fn registered(
        &mut self,
        row: Warehouse,
        verdict: Verdict,
        result: Result<(), String>,
        reply: Reply<Result<Registered, RegisterError>>,
        ctx: &mut Context<Msg>,
    ) {
        if let Err(reason) = result {
            return reply.send(Err(RegisterError::Unavailable(reason)));
        }
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

    fn launch(&mut self, id: WarehouseId, ctx: &mut Context<Msg>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.launching {
            entry.launch_again = true;
            return;
        }
        entry.launching = true;
        let (subtrees, row) = (self.args.subtrees.clone(), entry.row.clone());
        ctx.effect(LAUNCH_LIMIT, async move { subtrees.launch(&row).await }, move |result| {
            let result = match result {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            Msg::Launched { id, result }
        });
    }

    fn launched(&mut self, id: WarehouseId, result: Result<(), String>, ctx: &mut Context<Msg>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.launching = false;
        let again = std::mem::take(&mut entry.launch_again);
        if let Err(reason) = result {
            tracing::warn!(warehouse = entry.row.name, reason, "its actors could not be launched");
            ctx.send_after(RETRY, Msg::Launch { id });
        } else if again {
            self.launch(id, ctx);
        }
    }
}

#[cfg(test)]
mod tests;
