//! A warehouse: stock, shipments, and their confirmation to the store.
