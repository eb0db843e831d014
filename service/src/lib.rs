//! What every service stands on: configuration, telemetry, database, accounts, routes, problems.

pub mod accounts;
pub mod clock;
pub mod config;
pub mod database;
pub mod problem;
pub mod queries;
pub mod routes;
