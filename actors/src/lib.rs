//! A supervised actor runtime on [ractor]: trees of actors in which a failure restarts one actor and leaves the rest
//! alone.
//!
//! - An [`Actor`] owns state that only its messages change. Slow work runs as an effect ([`Context::effect`]) whose end
//!   comes back as a message, so no mailbox ever waits for a network.
//! - A [`ChildSpec`] tells a supervisor how to keep it: when to restart it ([`Restart`]), how often ([`Budget`]) and
//!   what then ([`Exhausted`]). The first restart is at once, the next with growing delays.
//! - An [`Address`] stays good across restarts. Mailboxes are bounded: an ask of an actor that is down or full is
//!   [`AskError::Refused`] at once and certainly did not happen; `Lost` and `Timeout` may have.
//! - A [`SupervisorAddress`] takes dynamic children, each with a budget of its own.
//! - A [`Batch`] lets what queued during one flush share the next.
//! - A [`Snapshot`] shows the whole tree at any time without asking it, so a stuck actor is as visible as a busy one.
//! - A [`System`] starts the tree in order and stops it in reverse; nothing of it is alive when the stop returns.
//!
//! ```
//! use std::time::Duration;
//! use actors::{Actor, Address, ChildSpec, Context, Failure, Reply, System};
//!
//! enum Msg {
//!     Add { amount: u64 },
//!     Total { reply: Reply<u64> },
//! }
//!
//! // strum's `IntoStaticStr` derives this.
//! impl From<&Msg> for &'static str {
//!     fn from(msg: &Msg) -> Self {
//!         match msg {
//!             Msg::Add { .. } => "Add",
//!             Msg::Total { .. } => "Total",
//!         }
//!     }
//! }
//!
//! struct Counter;
//!
//! impl Actor for Counter {
//!     const KIND: &'static str = "counter";
//!     type Msg = Msg;
//!     type Args = u64;
//!     type State = u64;
//!
//!     async fn start(&self, first: u64, _: &mut Context<Msg>) -> Result<u64, Failure> {
//!         Ok(first)
//!     }
//!
//!     async fn handle(&self, msg: Msg, total: &mut u64, _: &mut Context<Msg>) -> Result<(), Failure> {
//!         match msg {
//!             Msg::Add { amount } => *total += amount,
//!             Msg::Total { reply } => reply.send(*total),
//!         }
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let counter = Address::new(1_000);
//! let system = System::start("example", vec![ChildSpec::actor("counter", &counter, Counter, 40)]).await?;
//! system.started().await;
//!
//! counter.tell(Msg::Add { amount: 2 })?;
//! let total = counter.ask(Duration::from_secs(1), |reply| Msg::Total { reply }).await?;
//! assert_eq!(total, 42);
//! assert_eq!(system.snapshot().totals.running, 2, "the root and the counter");
//!
//! system.stop().await?;
//! # Ok(())
//! # }
//! ```

mod actor;
mod address;
mod backoff;
mod batch;
mod child;
mod context;
mod events;
pub mod fault;
mod life;
mod shell;
mod spec;
mod status;
mod supervisor;
mod system;
#[cfg(test)]
mod tests;
mod tree;

pub use actor::{Actor, Failure, Message};
pub use address::{Address, AskError, Refused, Reply};
pub use backoff::Backoff;
pub use batch::{Batch, BatchError, FlushError};
pub use context::{Closing, Context, EffectError, Timer};
pub use events::{Event, Events, EventsError, Happening};
pub use spec::{Budget, ChildSpec, Exhausted, FailureReport, Restart};
pub use status::{Concern, LastFailure, State};
pub use supervisor::{RestartError, StartChildError, SupervisorAddress};
pub use system::System;
pub use tree::{
    ActorView, CHILDREN_SHOWN, CurrentMessage, KindView, Mailbox, Processing, STUCK_AFTER, Snapshot, Totals, Unwell,
};
