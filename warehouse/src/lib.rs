//! A warehouse: its stock, its shipments, and their confirmation to the store.

pub mod actors;
pub mod app;
mod bootstrap;
pub mod client;
pub mod config;
pub mod db;
pub mod domain;
pub mod http;
