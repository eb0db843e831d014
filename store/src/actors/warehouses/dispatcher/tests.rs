use ::actors::ChildSpec;
use contract::WarehouseHealthReport;
use futures_util::future::{BoxFuture, join_all};
use tokio::time::Instant;

use super::*;
use crate::actors::testing::{Fake, Heard, after, away, database_id, healthy, never, now, recorder, system, to_ship};
use crate::db::testing::warehouse_id;

const SECOND: Duration = Duration::from_secs(1);

const POLICY: Policy = Policy {
    concurrency: 2,
    queue: 3,
    timeout: Duration::from_secs(2),
    breaker: breaker::Policy { failures: 3, first_probe: SECOND, longest_wait: Duration::from_secs(30) },
};

struct Bench {
    fake: Arc<Fake>,
    dispatcher: Address<Msg>,
    registry: Heard<registry::Msg>,
    _system: ::actors::System,
}

async fn bench(fake: Fake) -> Bench {
    let (fake, api) = fake.api();
    let (registry, recorder, heard) = recorder("registry");
    let dispatcher = Address::new(100);
    let id = warehouse_id(1);
    let args = Args { id, name: "alpha".to_owned(), database_id: database_id(), api, policy: POLICY, registry };
    let system = system(vec![recorder, ChildSpec::actor("dispatcher", &dispatcher, Dispatcher, args)]).await;
    Bench { fake, dispatcher, registry: heard, _system: system }
}

impl Bench {
    fn ship(&self) -> BoxFuture<'static, Delivery> {
        let dispatcher = self.dispatcher.clone();
        Box::pin(async move {
            let ask = dispatcher.ask(SECOND * 60, |reply| Msg::Call { call: to_ship(), trace: None, reply });
            ask.await.expect("an answer")
        })
    }

    async fn breaker(&mut self) -> contract::Breaker {
        let changed = |msg| match msg {
            registry::Msg::BreakerChanged { breaker, .. } => Some(breaker),
            _ => None,
        };
        self.registry.until(changed).await
    }
}

fn reasons(deliveries: &[Delivery]) -> Vec<&str> {
    let reason = |delivery: &'_ Delivery| match delivery {
        Delivery::NeverSent { .. } => "never sent",
        Delivery::Unknown { .. } => "unknown",
        answer if answer.is_answer() => "answered",
        _ => "?",
    };
    deliveries.iter().map(reason).collect()
}

#[tokio::test(start_paused = true)]
async fn so_many_calls_at_once_so_many_in_line_and_the_rest_are_refused() {
    let bench = bench(Fake { ship: Box::new(|_| after(SECOND, None)), ..Fake::default() }).await;
    let began = Instant::now();
    let deliveries = join_all((0..7).map(|_| bench.ship())).await;
    let sent = ["answered"; 5];
    assert_eq!(reasons(&deliveries), [&sent[..], &["never sent"; 2]].concat());
    assert_eq!((began.elapsed(), bench.fake.calls()), (SECOND * 3, 5), "two by two");
}

#[tokio::test(start_paused = true)]
async fn r21_three_failures_in_a_row_open_the_breaker_for_those_in_line_too() {
    let mut bench = bench(Fake { ship: Box::new(|_| never()), health: Box::new(|_| never()), ..Fake::default() }).await;
    assert_eq!(bench.breaker().await, contract::Breaker::Closed);
    let began = Instant::now();
    let deliveries = join_all((0..5).map(|_| bench.ship())).await;
    // Two time out after 2 s, the next two are sent then; the third of those failures opens it.
    assert_eq!(reasons(&deliveries), ["unknown", "unknown", "unknown", "unknown", "never sent"]);
    assert_eq!(began.elapsed(), SECOND * 4);
    assert_eq!(bench.breaker().await, contract::Breaker::Open);
    assert_eq!(reasons(&[bench.ship().await]), ["never sent"]);
    assert_eq!((began.elapsed(), bench.fake.calls()), (SECOND * 4, 4), "at once, and without a call");
}

#[tokio::test(start_paused = true)]
async fn r21_only_a_probe_closes_it_and_probes_back_off() {
    let ship = |nth| now((nth < 3).then(|| Delivery::NeverSent { reason: "refused".to_owned() }));
    let health = |nth| now(if nth < 3 { away() } else { healthy() });
    let mut bench = bench(Fake { ship: Box::new(ship), health: Box::new(health), ..Fake::default() }).await;
    bench.breaker().await;
    for _ in 0..3 {
        assert_eq!(reasons(&[bench.ship().await]), ["never sent"]);
    }
    let opened = Instant::now();
    assert_eq!(bench.breaker().await, contract::Breaker::Open);
    assert_eq!(bench.breaker().await, contract::Breaker::Closed);
    assert_eq!(opened.elapsed(), SECOND * (1 + 2 + 4 + 8));
    assert_eq!(reasons(&[bench.ship().await]), ["answered"]);
}

#[tokio::test(start_paused = true)]
async fn r19_while_a_stranger_answers_in_its_place_calls_learn_that_and_are_not_sent() {
    let health = |nth| match nth {
        0 => now(away()),
        1 => now(healthy().map(|report| WarehouseHealthReport { database_id: DatabaseId::new(), ..report })),
        _ => now(healthy()),
    };
    let mut bench = bench(Fake { ship: Box::new(|_| never()), health: Box::new(health), ..Fake::default() }).await;
    bench.breaker().await;
    join_all((0..3).map(|_| bench.ship())).await;
    assert_eq!(bench.breaker().await, contract::Breaker::Open);
    assert_eq!(reasons(&[bench.ship().await]), ["never sent"]);
    tokio::time::sleep(SECOND * 4).await;
    assert!(matches!(bench.ship().await, Delivery::WrongIdentity { .. }));
    assert_eq!(bench.fake.calls(), 3, "nothing was sent to the stranger");
    assert_eq!(bench.breaker().await, contract::Breaker::Closed, "the one we know is back");
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_between_keeps_it_closed_and_a_refusal_is_an_answer() {
    let refused = || Delivery::Refused { shortfalls: vec![], stock: vec![] };
    let unknown = || Delivery::Unknown { reason: "500".to_owned() };
    let script = move |nth| now(Some(if nth % 3 == 2 { refused() } else { unknown() }));
    let bench = bench(Fake { ship: Box::new(script), ..Fake::default() }).await;
    for _ in 0..12 {
        bench.ship().await;
    }
    assert_eq!(bench.fake.calls(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_is_unknown_and_hurts_nobody_else() {
    let script = |nth| -> BoxFuture<'static, Option<Delivery>> {
        if nth == 0 { Box::pin(async { panic!("a bug") }) } else { now(None) }
    };
    let bench = bench(Fake { ship: Box::new(script), ..Fake::default() }).await;
    assert_eq!(reasons(&join_all([bench.ship(), bench.ship()]).await), ["unknown", "answered"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_called_for_whoever_gave_up_in_the_line() {
    let bench = bench(Fake { ship: Box::new(|_| after(SECOND, None)), ..Fake::default() }).await;
    let (first, second) = (tokio::spawn(bench.ship()), tokio::spawn(bench.ship()));
    tokio::time::sleep(SECOND / 2).await;
    assert!(tokio::time::timeout(SECOND / 4, bench.ship()).await.is_err());
    assert_eq!(reasons(&[first.await.unwrap(), second.await.unwrap()]), ["answered"; 2]);
    assert_eq!(reasons(&[bench.ship().await]), ["answered"]);
    assert_eq!(bench.fake.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_restart_loses_the_calls_and_begins_closed() {
    let script = |nth| if nth < 3 { never() } else { now(None) };
    let mut bench = bench(Fake { ship: Box::new(script), ..Fake::default() }).await;
    bench.breaker().await;
    let dispatcher = bench.dispatcher.clone();
    let ask = tokio::spawn(async move {
        dispatcher.ask(SECOND * 60, |reply| Msg::Call { call: to_ship(), trace: None, reply }).await
    });
    tokio::time::sleep(SECOND).await;
    bench.dispatcher.kill();
    assert_eq!(ask.await.unwrap(), Err(::actors::AskError::Lost));
    assert_eq!(bench.breaker().await, contract::Breaker::Closed, "announced by the new incarnation");
    join_all((0..2).map(|_| bench.ship())).await;
    assert_eq!(reasons(&[bench.ship().await]), ["answered"], "two failures since the restart do not open it");
}
