//! What every service stands on: configuration, telemetry, database, accounts, routes, problems.

pub mod accounts;
pub mod audit;
pub mod clock;
pub mod command;
pub mod config;
pub mod database;
pub mod events;
pub mod http;
pub mod metrics;
pub mod openapi;
pub mod problem;
pub mod queries;
pub mod routes;
mod run;
pub mod status;
pub mod telemetry;

pub use run::{run, serve};
