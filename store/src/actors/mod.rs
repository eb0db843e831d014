//! The store's tree.

pub mod availability;
pub mod catalog;
pub mod fulfillment;
pub mod journal;
pub mod orders;
pub mod reconciler;
pub mod saga;
pub mod warehouses;
