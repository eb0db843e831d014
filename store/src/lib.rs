//! The store: catalogue, orders, fulfillment, warehouses.

pub mod actors;
pub mod client;
pub mod db;
pub mod domain;
