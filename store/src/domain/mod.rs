//! Decisions, as pure functions: no I/O, no clock, no randomness.

pub mod breaker;
pub mod health;
pub mod pull;
pub mod sourcing;
pub mod stock;
