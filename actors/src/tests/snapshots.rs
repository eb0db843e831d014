use super::*;
use crate::{CHILDREN_SHOWN, Concern, Restart, STUCK_AFTER, State, SupervisorAddress, status};

#[tokio::test(start_paused = true)]
async fn a_child_stuck_in_handle_is_visible_with_its_message_and_for_how_long() {
    let script = Script::default();
    let (address, spec) = probe("p", &script);
    let system = root(vec![spec]).await;
    address.tell(Msg::Park(1_000 * S)).unwrap();
    tokio::time::sleep(STUCK_AFTER + S).await;
    let snapshot = system.snapshot();
    let current = snapshot.find("root/p").unwrap().current.clone().unwrap();
    assert_eq!((current.message, current.for_ms / 1_000), ("Park", 6));
    assert_eq!(snapshot.unwell[0].path, "root/p");
    assert_eq!(snapshot.unwell[0].reason, "has been handling Park for 6 s");
    system.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_counts_what_each_actor_did() {
    let script = Script::default();
    let (address, spec) = probe("p", &script);
    let system = root(vec![spec]).await;
    for _ in 0..10 {
        count(&address).await.unwrap();
    }
    address.tell(Msg::Panic).unwrap();
    eventually("back", async || address.is_open() && script.starts() == 2).await;
    let snapshot = system.snapshot();
    let view = snapshot.find("root/p").unwrap();
    // Ten counts, the panic and two starts.
    assert_eq!((view.handled, view.restarts, view.budget_left, view.kind), (13, 1, 4, "probe"));
    assert_eq!(view.last_failure.as_ref().unwrap().reason, "panicked: boom");
    assert_eq!(view.processing.as_ref().unwrap().count, 13);
    assert_eq!((snapshot.totals.actors, snapshot.totals.running, snapshot.totals.restarts), (2, 2, 1));
    system.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn of_many_children_a_hundred_are_shown_the_unwell_ones_first_and_all_are_counted() {
    let pool = SupervisorAddress::new();
    let system = root(vec![ChildSpec::supervisor("pool", &pool, vec![])]).await;
    let script = Script::default();
    let mut last = None;
    for n in 0..250 {
        let (address, spec) = probe(&format!("{n}"), &script);
        pool.start_child(spec.restart(Restart::Temporary)).await.unwrap();
        last = Some(address);
    }
    let last = last.unwrap();
    eventually("up", async || last.tell(Msg::Fail).is_ok()).await;
    eventually("failed", async || system.snapshot().totals.unwell == 1).await;
    let snapshot = system.snapshot();
    let shown = snapshot.find("root/pool").unwrap();
    assert_eq!((shown.children.len(), shown.children_omitted), (CHILDREN_SHOWN, 150));
    assert_eq!(shown.children[0].path, "root/pool/249");
    assert_eq!((snapshot.totals.actors, snapshot.totals.running), (252, 251));
    assert_eq!(shown.kinds[0].processing.count, 251, "one sum for the kind: 250 starts and a failure");
    system.stop().await.unwrap();
}

/// What the actor at `path` finds wrong, as its node and the list of the unwell have it, once it has counted.
async fn concern(system: &System, address: &Address<Msg>, path: &str) -> Option<(Concern, usize)> {
    count(address).await.unwrap();
    let snapshot = system.snapshot();
    let listed: Vec<_> = snapshot.unwell.iter().filter(|unwell| unwell.path == path).collect();
    let view = snapshot.find(path).unwrap();
    assert_eq!((listed.len(), view.unwell), (usize::from(view.concern.is_some()), view.concern.is_some()));
    let concern = view.concern.clone()?;
    assert_eq!(
        (&listed[0].reason, listed[0].since, listed[0].state),
        (&concern.reason, Some(concern.since), State::Running)
    );
    Some((concern, snapshot.totals.unwell))
}

#[tokio::test]
async fn an_actor_that_finds_something_wrong_says_so_until_it_is_over() {
    let (address, spec) = probe("p", &Script::default());
    let system = root(vec![spec]).await;
    assert_eq!(concern(&system, &address, "root/p").await, None);
    address.tell(Msg::Concern(Some("no answer"))).unwrap();
    let (first, unwell) = concern(&system, &address, "root/p").await.unwrap();
    assert_eq!((&first.reason[..], unwell), ("no answer", 1));
    // Time must pass, or the same moment shows nothing.
    eventually("later", async || status::now() > first.since).await;
    address.tell(Msg::Concern(Some("no answer"))).unwrap();
    assert_eq!(concern(&system, &address, "root/p").await.unwrap().0, first, "still the same");
    address.tell(Msg::Concern(Some("no stock"))).unwrap();
    let (other, _) = concern(&system, &address, "root/p").await.unwrap();
    assert!(other.reason == "no stock" && other.since > first.since);
    address.tell(Msg::Concern(None)).unwrap();
    assert_eq!(concern(&system, &address, "root/p").await, None);
    system.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_restart_ends_a_concern_and_a_failure_says_more_than_one() {
    let script = Script::default();
    let (address, spec) = probe("p", &script);
    let (other, temporary) = probe("q", &script);
    let system = root(vec![spec, temporary.restart(Restart::Temporary)]).await;
    for address in [&address, &other] {
        address.tell(Msg::Concern(Some("no answer"))).unwrap();
    }
    assert!(concern(&system, &address, "root/p").await.is_some());
    address.tell(Msg::Panic).unwrap();
    eventually("back", async || address.is_open() && script.starts() == 3).await;
    assert_eq!(concern(&system, &address, "root/p").await, None);
    other.tell(Msg::Fail).unwrap();
    eventually("failed", async || system.snapshot().find("root/q").unwrap().state == State::Failed).await;
    let snapshot = system.snapshot();
    assert_eq!((snapshot.unwell[0].reason.as_str(), snapshot.unwell[0].since), ("broken", None));
    assert_eq!(snapshot.find("root/q").unwrap().concern, None);
    system.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn of_many_that_are_unwell_those_that_do_not_work_come_first() {
    let pool = SupervisorAddress::new();
    let (last, last_spec) = probe("last", &Script::default());
    let system = root(vec![ChildSpec::supervisor("pool", &pool, vec![]), last_spec.restart(Restart::Temporary)]).await;
    let script = Script::default();
    let mut addresses = Vec::new();
    for n in 0..250 {
        let (address, spec) = probe(&format!("{n}"), &script);
        pool.start_child(spec.restart(Restart::Temporary)).await.unwrap();
        addresses.push(address);
    }
    for (n, address) in addresses.iter().enumerate().filter(|(n, _)| *n >= 120) {
        eventually("up", async || address.is_open()).await;
        address.tell(if n == 240 { Msg::Fail } else { Msg::Concern(Some("no answer")) }).unwrap();
    }
    last.tell(Msg::Fail).unwrap();
    eventually("unwell", async || system.snapshot().totals.unwell == 131).await;
    let snapshot = system.snapshot();
    let shown = &snapshot.find("root/pool").unwrap().children;
    assert_eq!((&shown[0].path[..], shown[0].state), ("root/pool/240", State::Failed));
    assert!(shown.iter().all(|child| child.unwell), "there are more than can be shown");
    assert_eq!(snapshot.unwell.len(), CHILDREN_SHOWN);
    let failed: Vec<_> =
        snapshot.unwell.iter().map(|unwell| (&unwell.path[..], unwell.state == State::Failed)).collect();
    assert_eq!(failed[..3], [("root/pool/240", true), ("root/last", true), ("root/pool/120", false)]);
    system.stop().await.unwrap();
}
