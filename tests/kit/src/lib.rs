//! What tests that span processes stand on: private PostgreSQL clusters and databases, processes that can be killed and paused,
//! a TCP proxy that misbehaves on demand, ports that parallel tests do not take from each other, and waiting for a condition.
//!
//! It knows no service of this workspace. Nothing it starts outlives the test process, however that ends.

mod ports;
pub mod postgres;
pub mod process;
pub mod proxy;
mod wait;

pub use ports::Port;
pub use postgres::{Cluster, Database};
pub use process::Process;
pub use proxy::{Mode, Proxy};
pub use wait::until;
