//! The one ractor actor in which every [`Actor`] of ours runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ractor::{ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio_util::sync::CancellationToken;

use crate::address::Envelope;
use crate::life::Life;
use crate::status::{InHand, State};
use crate::{Actor, Address, Context, Failure, Message as _, fault};

/// Runs one incarnation of `A`.
pub(crate) struct Shell<A>(pub(crate) Arc<A>);

/// Called once an incarnation has started.
pub(crate) type Started = Box<dyn FnOnce() + Send>;

/// What an incarnation is born with.
pub(crate) struct Birth<A: Actor> {
    pub(crate) address: Address<A::Msg>,
    pub(crate) args: A::Args,
    pub(crate) life: Arc<Life>,
    pub(crate) closing: CancellationToken,
    /// Set before the incarnation ends by its own will.
    pub(crate) finished: Arc<AtomicBool>,
    pub(crate) started: Started,
}

pub(crate) struct Incarnation<A: Actor> {
    // Declared first, dropped first: nobody may find the address open once the state is gone.
    open: Open<A>,
    state: Option<A::State>,
    unborn: Option<(A::Args, Started)>,
    finished: Arc<AtomicBool>,
    ctx: Context<A::Msg>,
}

/// Closes the address when the incarnation is gone, and its concerns with it.
struct Open<A: Actor>(Address<A::Msg>);

impl<A: Actor> Drop for Open<A> {
    fn drop(&mut self) {
        self.0.close();
        self.0.status().set_concern(None);
    }
}

/// A [`Failure`] on its way through ractor to the supervisor.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.reason())]
pub(crate) struct Crash(pub(crate) Failure);

impl<A: Actor> ractor::Actor for Shell<A> {
    type Msg = Envelope<A::Msg>;
    type State = Incarnation<A>;
    type Arguments = Birth<A>;

    /// Nothing here can fail or wait: the supervisor awaits it. Our own `start` is the first message instead, so that
    /// its panic, error or kill reaches the supervisor as any other does.
    async fn pre_start(&self, me: ActorRef<Self::Msg>, birth: Birth<A>) -> Result<Self::State, ActorProcessingErr> {
        me.cast(Envelope::Start)?;
        let ctx = Context::new(birth.address.clone(), me, birth.life, birth.closing);
        Ok(Incarnation {
            open: Open(birth.address),
            state: None,
            unborn: Some((birth.args, birth.started)),
            finished: birth.finished,
            ctx,
        })
    }

    async fn handle(
        &self,
        me: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        incarnation: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match envelope {
            Envelope::Start => incarnation.start(&self.0).await.map_err(Crash)?,
            Envelope::Message { msg, mut slot } => {
                slot.leave_queue();
                incarnation.handle(&self.0, msg).await.map_err(Crash)?;
            }
        }
        incarnation.ctx.reap();
        if incarnation.ctx.is_finished() {
            incarnation.finished.store(true, Ordering::Release);
            incarnation.open.0.close();
            me.stop(None);
        }
        Ok(())
    }

    /// It supervises nobody; ractor's own default would stop it.
    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Self::Msg>,
        _: SupervisionEvent,
        _: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

impl<A: Actor> Incarnation<A> {
    async fn start(&mut self, actor: &A) -> Result<(), Failure> {
        let Some((args, started)) = self.unborn.take() else { return Ok(()) };
        let status = Arc::clone(self.ctx.status());
        let _in_hand = InHand::new(&status, "start");
        fault(&self.ctx, "start").await;
        self.state = Some(actor.start(args, &mut self.ctx).await?);
        status.set_state(State::Running);
        self.open.0.open(self.ctx.me().clone());
        started();
        Ok(())
    }

    async fn handle(&mut self, actor: &A, msg: A::Msg) -> Result<(), Failure> {
        let Some(state) = &mut self.state else { return Ok(()) };
        let status = Arc::clone(self.ctx.status());
        let _in_hand = InHand::new(&status, msg.name());
        fault(&self.ctx, "handle").await;
        actor.handle(msg, state, &mut self.ctx).await
    }
}

async fn fault<M: crate::Message>(ctx: &Context<M>, what: &str) {
    if fault::ENABLED {
        fault::point(&format!("{what}:{}", ctx.path())).await;
    }
}
