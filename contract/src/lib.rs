//! What the store and the warehouses put on the wire.
