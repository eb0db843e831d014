//! The store: catalogue, orders, fulfillment, warehouses.

pub mod domain;
