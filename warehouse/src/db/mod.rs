//! All SQL of a warehouse, by aggregate. The schema is in the `migrations` crate.

pub mod entities;
mod ground;
pub mod inventory;
pub mod movements;
pub mod outbox;
pub mod reservations;
pub mod returns;
pub mod shipments;
pub mod state;
pub mod titles;
mod write;

pub use ground::ground;
pub use write::write;

/// As JSON travels to a column or a statement.
fn json(value: &impl serde::Serialize) -> Result<String, sea_orm::DbErr> {
    serde_json::to_string(value).map_err(|error| sea_orm::DbErr::Json(error.to_string()))
}
