//! Which warehouses there are, and how each stands. Child of `warehouses`; the only one that writes `warehouse_registry`.
//!
//! It keeps a subtree running for every warehouse, and tells availability which of them can be sourced from: healthy, enabled, breaker
//! closed. A restart reads the table again, finds the subtrees still running and asks their breakers. What it loses: polls that were not
//! saved yet (the next one comes), and registrations not answered yet (warehouses repeat them).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ::actors::{Actor, Address, Context, EffectError, Failure, Reply};
use contract::{
    Breaker, PatchWarehouse, Registered, Registration, Timestamp, WarehouseHealth, WarehouseId, WarehouseView,
};
use service::database::{self, Database};
use service::events::Feed;
use strum::IntoStaticStr;

use super::dispatcher;
use super::subtree::Subtrees;
use crate::actors::availability;
use crate::db;
use crate::db::warehouses::Warehouse;
use crate::domain::registration::Verdict;

mod admin;
mod entry;
mod launch;
mod register;

pub use admin::{AdminError, Answer, RetireError, Retired, Waiting};
pub use entry::{Known, RegisterError, Target};

use entry::{Entry, save_all};

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
    /// An admin changes a warehouse.
    Amend {
        /// Its name.
        name: String,
        /// What changes.
        patch: PatchWarehouse,
        /// The warehouse, once that is durable.
        reply: Answer<WarehouseView>,
    },
    /// An admin deletes a warehouse.
    Delete {
        /// Its name.
        name: String,
        /// Once that is durable.
        reply: Answer<()>,
    },
    /// The write of a change has ended.
    Amended {
        /// The row as written, or why it was not.
        result: Result<Box<Warehouse>, String>,
        /// For whom.
        reply: Answer<WarehouseView>,
    },
    /// A row has been retired, or not.
    Retired {
        /// The warehouse.
        id: WarehouseId,
        /// What came of it.
        result: Result<Retired, RetireError>,
        /// For whom.
        waiting: Waiting,
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
        /// What the registration was.
        verdict: Verdict,
        /// The row as written, or why it was not.
        result: Result<Box<Warehouse>, String>,
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
    changes: VecDeque<Change>,
    unsaved: BTreeSet<WarehouseId>,
}

/// What waits for the write before it.
enum Change {
    Register(Registration, Reply<Result<Registered, RegisterError>>),
    Amend(String, PatchWarehouse, Answer<WarehouseView>),
    Delete(String, Answer<()>),
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
            changes: VecDeque::new(),
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
            Msg::Register { registration, reply } => state.changes.push_back(Change::Register(registration, reply)),
            Msg::Amend { name, patch, reply } => state.changes.push_back(Change::Amend(name, patch, reply)),
            Msg::Delete { name, reply } => state.changes.push_back(Change::Delete(name, reply)),
            Msg::Amended { result, reply } => {
                state.writing = false;
                state.amended(result.map(|row| *row), reply);
            }
            Msg::Retired { id, result, waiting } => {
                state.writing = false;
                state.retired(id, result, waiting, ctx)?;
            }
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
            Msg::Registered { verdict, result, reply } => {
                state.writing = false;
                state.registered(verdict, result.map(|row| *row), reply, ctx);
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
            && let Some(change) = self.changes.pop_front()
        {
            match change {
                Change::Register(registration, reply) => self.register(registration, reply, ctx),
                Change::Amend(name, patch, reply) => self.amend(&name, patch, reply, ctx),
                Change::Delete(name, reply) => self.retire(&name, None, Waiting::Delete(reply), ctx),
            }
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
}

#[cfg(test)]
mod tests;
