//! Decisions, as pure functions: no I/O, no clock, no randomness.

pub mod book;
pub mod breaker;
pub mod catalogue;
pub mod delivery;
pub mod health;
pub mod history;
pub mod import;
pub mod order;
pub mod payment;
pub mod pull;
pub mod registration;
pub mod saga;
pub mod sourcing;
pub mod stock;
