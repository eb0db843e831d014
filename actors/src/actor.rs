//! What a user of this crate implements.

use std::error::Error;
use std::fmt;
use std::future::Future;

use crate::Context;

/// A message of an actor. Its name is what the status of a busy actor shows.
///
/// Implemented for every type whose reference converts into a `&'static str`; strum's `IntoStaticStr` derives that.
pub trait Message: Send + 'static {
    /// The variant's name.
    fn name(&self) -> &'static str;
}

impl<M> Message for M
where
    M: Send + 'static,
    for<'a> &'a M: Into<&'static str>,
{
    fn name(&self) -> &'static str {
        self.into()
    }
}

/// A unit of state that only its own messages change.
///
/// The value itself holds no state: it is shared by all incarnations. `State` is made anew by each start, so whatever
/// must survive a restart belongs where `start` can read it again.
pub trait Actor: Send + Sync + Sized + 'static {
    /// What sort of actor this is, as status shows it.
    const KIND: &'static str;
    /// What it can be told.
    type Msg: Message;
    /// What every start is given.
    type Args: Clone + Send + Sync + 'static;
    /// What it owns.
    type State: Send + 'static;

    /// Makes the state of a new incarnation. The address refuses messages until this has returned.
    ///
    /// # Errors
    /// Any failure is handed to the supervisor, see [`Failure`].
    fn start(
        &self,
        args: Self::Args,
        ctx: &mut Context<Self::Msg>,
    ) -> impl Future<Output = Result<Self::State, Failure>> + Send;

    /// Handles one message. Slow work belongs in [`Context::effect`]: while this runs, the mailbox waits.
    ///
    /// # Errors
    /// An error says that the state is broken and the actor must be restarted. A refusal that the business knows is a
    /// value in the reply instead.
    fn handle(
        &self,
        msg: Self::Msg,
        state: &mut Self::State,
        ctx: &mut Context<Self::Msg>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Why an actor cannot go on.
///
/// Every error converts into a broken one by `?`. That is also why this type is no `Error` itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    reason: String,
    unavailable: bool,
}

impl Failure {
    /// The actor's state is broken: counted against its restart budget.
    pub fn broken(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), unavailable: false }
    }

    /// Something it depends on is away: tried again with backoff and never counted, however long it takes.
    pub fn unavailable(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), unavailable: true }
    }

    /// Whether a dependency is to blame.
    pub fn is_unavailable(&self) -> bool {
        self.unavailable
    }

    /// The cause, with the causes behind it.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            reason.push_str(": ");
            reason.push_str(&cause.to_string());
            source = cause.source();
        }
        Self { reason, unavailable: false }
    }
}
