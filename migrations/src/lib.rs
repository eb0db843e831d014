//! The schema of both services, as migrations that run forwards and back on PostgreSQL and on SQLite.
//!
//! Tables are named as text and statuses spelled out: a migration says what was true when it was written, so it imports nothing that may
//! change after it. Money is cents in `bigint`, ids are `uuid`, times `timestamptz`.

mod audit;
pub mod lock;
pub mod store;
mod table;
pub mod warehouse;

pub use sea_orm_migration::MigratorTrait;
