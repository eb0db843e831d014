use super::*;
use crate::{CHILDREN_SHOWN, Restart, STUCK_AFTER, SupervisorAddress};

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
