use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

use ::actors::{ChildSpec, Message, System};
use tokio::time::Instant;

use super::*;
use crate::actors::testing::system;

const SECOND: Duration = Duration::from_secs(1);

/// An actor that does with each message what the function says.
struct Puppet<M, F>(F, PhantomData<fn(M)>);

impl<M: Message, F: Fn(M) + Send + std::marker::Sync + 'static> Actor for Puppet<M, F> {
    const KIND: &'static str = "puppet";
    type Msg = M;
    type Args = ();
    type State = ();

    async fn start(&self, (): (), _: &mut Context<M>) -> Result<(), Failure> {
        Ok(())
    }

    async fn handle(&self, msg: M, (): &mut (), _: &mut Context<M>) -> Result<(), Failure> {
        (self.0)(msg);
        Ok(())
    }
}

fn puppet<M: Message>(id: &str, act: impl Fn(M) + Send + std::marker::Sync + 'static) -> (Address<M>, ChildSpec) {
    let address = Address::new(100);
    let spec = ChildSpec::actor(id, &address, Puppet(act, PhantomData), ());
    (address, spec)
}

struct Bench {
    reconciler: Address<Msg>,
    /// When each pull was asked for, by warehouse.
    pulls: Arc<Mutex<Vec<(&'static str, Instant)>>>,
    _system: System,
}

/// good answers at once, bad fails, slow takes five seconds, hung never answers, off is OFFLINE, dead has no sync.
async fn bench(names: &[&'static str]) -> Bench {
    let pulls = Arc::new(Mutex::new(Vec::new()));
    let (mut targets, mut specs) = (Vec::new(), Vec::new());
    for &name in names {
        let (log, held) = (Arc::clone(&pulls), Mutex::new(Vec::new()));
        let (sync, spec) = puppet(name, move |msg: sync::Msg| {
            let sync::Msg::Pull { reply } = msg else { return };
            log.lock().unwrap().push((name, Instant::now()));
            let summary = sync::Summary { items: 20, changed: 3, ..sync::Summary::default() };
            match name {
                "good" => reply.send(sync::Outcome { result: Ok(summary), duration: SECOND / 4 }),
                "bad" => reply.send(sync::Outcome { result: Err("garbage".to_owned()), duration: SECOND }),
                "slow" => {
                    tokio::spawn(async move {
                        tokio::time::sleep(SECOND * 5).await;
                        reply.send(sync::Outcome { result: Ok(summary), duration: SECOND * 5 });
                    });
                }
                _ => held.lock().unwrap().push(reply),
            }
        });
        let offline = (name == "off").then(|| "refused".to_owned());
        targets.push(Target { name: name.to_owned(), offline, sync });
        if name != "dead" {
            specs.push(spec);
        }
    }
    let (registry, spec) = puppet("registry", move |msg: registry::Msg| {
        if let registry::Msg::Syncs { reply } = msg {
            reply.send(targets.clone());
        }
    });
    specs.push(spec);
    let reconciler = Address::new(100);
    let args = Args { registry, interval: SECOND * 300, limit: SECOND * 15 };
    specs.push(ChildSpec::actor("reconciler", &reconciler, Reconciler, args));
    Bench { reconciler, pulls, _system: system(specs).await }
}

impl Bench {
    async fn run(&self) -> ReconcileReport {
        self.reconciler.ask(SECOND * 120, |reply| Msg::Run { reply }).await.unwrap().unwrap()
    }

    fn pulls(&self) -> Vec<(&'static str, Instant)> {
        self.pulls.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn says_what_became_of_each_warehouse() {
    let bench = bench(&["good", "bad", "hung", "off", "dead"]).await;
    let report = bench.run().await;
    let results: Vec<_> = report
        .warehouses
        .iter()
        .map(|result| (&result.name[..], &result.outcome[..], result.items, result.duration_ms, result.error.is_some()))
        .collect();
    let expected = [
        ("good", "ok", 20, 250, false),
        ("bad", "failed", 0, 1_000, true),
        ("hung", "timeout", 0, 15_000, true),
        ("off", "skipped", 0, 0, true),
        ("dead", "failed", 0, 0, true),
    ];
    assert_eq!(results, expected);
    assert_eq!(report.message, "Pulled the inventory of 1 of 5 warehouses.");
}

#[tokio::test(start_paused = true)]
async fn a_warehouse_that_hangs_delays_no_other() {
    let bench = bench(&["hung", "good"]).await;
    let began = Instant::now();
    bench.run().await;
    assert_eq!(began.elapsed(), SECOND * 15);
    let good = bench.pulls().into_iter().find(|(name, _)| *name == "good").unwrap();
    assert_eq!(good.1, began);
}

#[tokio::test(start_paused = true)]
async fn runs_every_five_minutes_and_not_at_start() {
    let bench = bench(&["good"]).await;
    let began = Instant::now();
    tokio::time::sleep(SECOND * 1_000).await;
    let times: Vec<_> = bench.pulls().iter().map(|(_, at)| at.duration_since(began).as_secs()).collect();
    assert_eq!(times, [300, 600, 900]);
}

#[tokio::test(start_paused = true)]
async fn two_runs_never_overlap_and_who_asks_meanwhile_shares_the_next() {
    let bench = bench(&["slow"]).await;
    let began = Instant::now();
    let late = async {
        tokio::time::sleep(SECOND).await;
        tokio::join!(bench.run(), bench.run());
    };
    tokio::join!(bench.run(), late);
    let times: Vec<_> = bench.pulls().iter().map(|(_, at)| at.duration_since(began).as_secs()).collect();
    assert_eq!(times, [0, 5]);
    assert_eq!(began.elapsed(), SECOND * 10);
}

#[tokio::test(start_paused = true)]
async fn a_restart_tells_who_waits_and_runs_again() {
    let bench = bench(&["slow"]).await;
    let reconciler = bench.reconciler.clone();
    let ask = tokio::spawn(async move { reconciler.ask(SECOND * 60, |reply| Msg::Run { reply }).await });
    tokio::time::sleep(SECOND).await;
    bench.reconciler.kill();
    assert_eq!(ask.await.unwrap().unwrap_err(), AskError::Lost);
    tokio::time::sleep(SECOND).await;
    assert_eq!(bench.run().await.warehouses[0].outcome, "ok");
}
