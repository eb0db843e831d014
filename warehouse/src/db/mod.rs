//! All SQL of a warehouse, by aggregate. The schema is in the `migrations` crate.

pub mod entities;
pub mod inventory;
pub mod movements;
pub mod outbox;
pub mod shipments;
pub mod state;
pub mod titles;
mod write;

pub use write::write;
