//! The tree of a warehouse, drawn and put together.
//!
//! ```text
//! warehouse            supervisor, escalates: past its budget the process exits non-zero
//! ├── database         keeps the database connected, locked and up to date (`service`)
//! ├── stock            owns inventory: decides shipments, reservations and adjustments in batches of one transaction
//! ├── queries          all reads, bounded (`service`)
//! ├── accounts         staff and their passwords (`service`)
//! ├── relay            delivers confirmations from the outbox to the store
//! ├── sweeper          has stock release the reservations whose time is over
//! ├── http             the warp server (`service`); in the all-in-one it stands beside the services
//! ├── registrar        makes this warehouse known to the store
//! └── titles           learns titles and authors of what is in stock from the store
//! ```

pub mod queries;
pub mod registrar;
pub mod relay;
pub mod stock;
pub mod sweeper;
pub mod titles;
