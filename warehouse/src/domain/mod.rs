//! Decisions of a warehouse, as pure functions: no I/O, no clock, no randomness.

pub mod adjustment;
pub mod batch;
pub mod delivery;
pub mod hold;
pub mod registration;
pub mod returned;
pub mod shelf;
pub mod shipment;
