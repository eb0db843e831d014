//! The store's tree.

pub mod availability;
pub mod catalog;
pub mod reconciler;
pub mod warehouses;
