//! The store: catalogue, orders, fulfillment sagas, warehouses.
