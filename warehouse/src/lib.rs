//! A warehouse: its stock, its shipments, and their confirmation to the store.

pub mod actors;
pub mod client;
pub mod db;
pub mod domain;
