//! All SQL of the store. One set of entities and queries serves PostgreSQL and SQLite; where they must differ, one function here does.

pub use service::database::bulk;

pub mod books;
pub mod gateway_ledger;
pub mod history;
pub mod idempotency;
pub mod inventory_cache;
pub mod journal;
pub mod orders;
pub mod sagas;
pub mod shipments;
#[cfg(test)]
pub mod testing;
pub mod warehouses;
