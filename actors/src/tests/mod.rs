//! The runtime's own tests: an actor that does what it is told, on a paused clock.

mod addresses;
mod batches;
mod effects;
mod operators;
mod snapshots;
mod stopping;
mod supervision;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use strum::IntoStaticStr;

use crate::{Actor, Address, AskError, ChildSpec, Context, EffectError, Failure, Reply, System};

pub(super) const S: Duration = Duration::from_secs(1);
pub(super) const MS: Duration = Duration::from_millis(1);

/// What a probe's next starts do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Birth {
    Well,
    Fails,
    Panics,
    Hangs,
    Unavailable,
}

/// Shared by all incarnations of one probe, and what is alive of them.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) starts: Arc<AtomicUsize>,
    pub(super) alive: Arc<AtomicUsize>,
    /// From the n-th start on, counted from 1.
    pub(super) from: usize,
    pub(super) until: usize,
    pub(super) birth: Birth,
    pub(super) log: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            starts: Arc::default(),
            alive: Arc::default(),
            from: 1,
            until: usize::MAX,
            birth: Birth::Well,
            log: Arc::default(),
        }
    }
}

impl Script {
    pub(super) fn born(birth: Birth, from: usize, until: usize) -> Self {
        Self { birth, from, until, ..Self::default() }
    }

    pub(super) fn starts(&self) -> usize {
        self.starts.load(Ordering::SeqCst)
    }

    pub(super) fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }

    fn guard(&self) -> Guard {
        self.alive.fetch_add(1, Ordering::SeqCst);
        Guard(Arc::clone(&self.alive))
    }

    fn note(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push(what.into());
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

/// Counts what is alive: a state or an effect.
pub(super) struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(IntoStaticStr)]
pub(super) enum Msg {
    Count { reply: Reply<u64> },
    Hold { reply: Reply<u64> },
    Panic,
    Fail,
    Park(Duration),
    Finish,
    Effect(Duration),
    EffectThatPanics,
    Ended(Result<(), EffectError>),
    Blocking(Duration),
    Tick(Duration),
    Burst(usize),
    Concern(Option<&'static str>),
}

pub(super) struct Probe;

pub(super) struct State {
    script: Script,
    count: u64,
    held: Vec<Reply<u64>>,
    path: String,
    _alive: Guard,
}

impl Drop for State {
    fn drop(&mut self) {
        self.script.note(format!("{} gone", self.path));
    }
}

impl Actor for Probe {
    const KIND: &'static str = "probe";
    type Msg = Msg;
    type Args = Script;
    type State = State;

    async fn start(&self, script: Script, ctx: &mut Context<Msg>) -> Result<State, Failure> {
        let start = script.starts.fetch_add(1, Ordering::SeqCst) + 1;
        script.note(format!("{} start", ctx.path()));
        if (script.from..=script.until).contains(&start) {
            match script.birth {
                Birth::Well => {}
                Birth::Fails => return Err(Failure::broken("born broken")),
                Birth::Panics => panic!("born panicking"),
                Birth::Hangs => std::future::pending().await,
                Birth::Unavailable => return Err(Failure::unavailable("no database")),
            }
        }
        let guard = script.guard();
        Ok(State { script, count: 0, held: Vec::new(), path: ctx.path().to_owned(), _alive: guard })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Count { reply } => {
                state.count += 1;
                reply.send(state.count);
            }
            Msg::Hold { reply } => state.held.push(reply),
            Msg::Panic => panic!("boom"),
            Msg::Fail => return Err(Failure::broken("broken")),
            Msg::Park(time) => tokio::time::sleep(time).await,
            Msg::Finish => ctx.stop(),
            Msg::Effect(time) => {
                let guard = state.script.guard();
                let work = async move {
                    let _guard = guard;
                    tokio::time::sleep(time).await;
                };
                ctx.effect(100 * S, work, Msg::Ended);
            }
            Msg::EffectThatPanics => ctx.effect(S, async { panic!("effect boom") }, Msg::Ended),
            Msg::Blocking(time) => {
                let guard = state.script.guard();
                let work = move || {
                    let _guard = guard;
                    #[allow(clippy::disallowed_methods)] // blocking is what is being tested
                    std::thread::sleep(time);
                };
                ctx.blocking(100 * S, work, Msg::Ended);
            }
            Msg::Ended(outcome) => {
                state.count += 100;
                state.script.note(format!("{outcome:?}"));
            }
            Msg::Tick(every) => {
                state.count += 1;
                ctx.send_after(every, Msg::Tick(every));
            }
            Msg::Concern(reason) => ctx.set_concern(reason.map(str::to_owned)),
            Msg::Burst(count) => {
                for _ in 0..count {
                    ctx.effect(S, async {}, Msg::Ended);
                }
            }
        }
        Ok(())
    }
}

pub(super) fn probe(id: &str, script: &Script) -> (Address<Msg>, ChildSpec) {
    let address = Address::new(8);
    let spec = ChildSpec::actor(id, &address, Probe, script.clone());
    (address, spec)
}

pub(super) async fn count(address: &Address<Msg>) -> Result<u64, AskError> {
    address.ask(S, |reply| Msg::Count { reply }).await
}

/// Polls until `check` holds; a minute of the paused clock passes at once.
pub(super) async fn eventually<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    for _ in 0..60_000 {
        if check().await {
            return;
        }
        tokio::time::sleep(MS).await;
    }
    panic!("never: {what}");
}

/// Lets the probe fail as soon as it is up, and waits until that has happened.
pub(super) async fn fails(address: &Address<Msg>, script: &Script, failure: fn() -> Msg) {
    eventually("up", async || address.is_open()).await;
    let starts = script.starts();
    address.tell(failure()).unwrap();
    eventually("failed", async || script.starts() > starts || !address.is_open()).await;
}

pub(super) async fn root(children: Vec<ChildSpec>) -> System {
    let system = System::start("root", children).await.unwrap();
    assert!(system.started().await);
    system
}
