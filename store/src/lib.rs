//! The store: catalogue, orders, fulfillment, warehouses.

pub mod actors;
pub mod app;
pub mod bootstrap;
pub mod client;
pub mod config;
pub mod db;
pub mod domain;
pub mod events;
pub mod http;
pub mod payments;
