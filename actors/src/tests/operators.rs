use super::*;
use crate::{Exhausted, Happening, Restart, RestartError, State as Standing, SupervisorAddress};

#[tokio::test(start_paused = true)]
async fn a_restart_on_demand_uses_no_budget_and_overlaps_nothing() {
    let (script, quiet) = (Script::default(), Script::default());
    let (address, spec) = probe("p", &script);
    let (sibling, sibling_spec) = probe("sibling", &quiet);
    let pool = ChildSpec::supervisor("pool", &SupervisorAddress::new(), vec![spec.budget(0, 60 * S), sibling_spec]);
    let tree = SupervisorAddress::new();
    let system = System::start_at("root", &tree, vec![pool]).await.unwrap();
    assert!(system.started().await);
    for round in 1..=50 {
        assert_eq!(count(&address).await, Ok(1), "a new state");
        // Something of it is under way, and something stuck: neither delays it, and neither lives on.
        address.tell(Msg::Effect(1_000 * S)).unwrap();
        address.tell(Msg::Park(1_000 * S)).unwrap();
        tree.restart("root/pool/p").await.unwrap();
        eventually("again", async || script.starts() > round).await;
        assert!(script.alive() <= 1, "two lives at once");
        eventually("up", async || address.is_open()).await;
    }
    let view = system.snapshot();
    let view = view.find("root/pool/p").unwrap();
    assert_eq!((view.restarts, view.budget_left, view.state), (50, 0, Standing::Running));
    assert!(view.last_failure.is_none(), "it did not fail");
    assert_eq!((quiet.starts(), count(&sibling).await), (1, Ok(1)));
    system.stop().await.unwrap();
    assert_eq!(script.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_is_restarted_with_everything_below_it() {
    let (script, outside) = (Script::default(), Script::default());
    let (pool, tree) = (SupervisorAddress::new(), SupervisorAddress::new());
    let (address, spec) = probe("p", &script);
    let children = vec![ChildSpec::supervisor("pool", &pool, vec![spec]).budget(0, S), probe("outside", &outside).1];
    let system = System::start_at("root", &tree, children).await.unwrap();
    assert!(system.started().await);
    pool.start_child(probe("dynamic", &script).1).await.unwrap();
    eventually("both", async || script.alive() == 2).await;
    tree.restart("root/pool").await.unwrap();
    eventually("again", async || script.starts() == 3 && address.is_open()).await;
    assert_eq!((script.alive(), outside.starts()), (1, 1), "the dynamic one is gone with its supervisor");
    let log = script.log();
    let (last_end, new_start) =
        (log.iter().rposition(|line| line.ends_with("gone")), log.iter().rposition(|line| line.ends_with("start")));
    assert!(last_end < new_start, "{log:?}");
    system.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_that_had_given_up_or_backs_off_is_started_at_once() {
    let (failed, waiting) = (Script::born(Birth::Fails, 1, 1), Script::born(Birth::Unavailable, 1, 8));
    let tree = SupervisorAddress::new();
    let (address, spec) = probe("failed", &failed);
    let give_up = Exhausted::GiveUp { retry_after: Some(60 * S) };
    let (waits, waits_spec) = probe("waits", &waiting);
    let children = vec![spec.budget(0, 3_600 * S).on_exhausted(give_up), waits_spec];
    let system = System::start_at("root", &tree, children).await.unwrap();
    assert!(system.started().await);
    let standing = |path: &str| system.snapshot().find(path).unwrap().state;
    assert_eq!(standing("root/failed"), Standing::Failed);
    tree.restart("root/failed").await.unwrap();
    eventually("revived", async || address.is_open()).await;
    let left = system.snapshot().find("root/failed").unwrap().budget_left;
    assert_eq!((failed.starts(), left), (2, 0));

    eventually("waits for long", async || waiting.starts() == 8).await;
    let before = tokio::time::Instant::now();
    tree.restart("root/waits").await.unwrap();
    eventually("up", async || waits.is_open()).await;
    assert!(before.elapsed() < S, "not after its delay");
    // What was to start either later comes too late.
    tokio::time::sleep(120 * S).await;
    assert_eq!((failed.starts(), waiting.starts()), (2, 9));
    system.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_restarted_is_refused() {
    let script = Script::default();
    let (pool, tree) = (SupervisorAddress::new(), SupervisorAddress::new());
    let children = vec![ChildSpec::supervisor("pool", &pool, vec![]), probe("p", &script).1];
    let system = System::start_at("root", &tree, children).await.unwrap();
    assert!(system.started().await);
    pool.start_child(probe("once", &script).1.restart(Restart::Temporary)).await.unwrap();
    for (path, error) in [
        ("root", RestartError::NotRestartable),
        ("root/pool/once", RestartError::NotRestartable),
        ("root/nobody", RestartError::Unknown),
        ("root/p/below", RestartError::Unknown),
        ("roo", RestartError::Unknown),
        ("rootless/p", RestartError::Unknown),
        ("", RestartError::Unknown),
    ] {
        assert_eq!(tree.restart(path).await, Err(error), "{path}");
    }
    system.stop().await.unwrap();
    assert_eq!(tree.restart("root/p").await, Err(RestartError::Refused));
    assert_eq!(script.starts(), 2);
}

#[tokio::test(start_paused = true)]
async fn listeners_hear_of_everything_below_them_and_of_what_they_missed() {
    let (script, other) = (Script::default(), Script::default());
    let (pool, tree) = (SupervisorAddress::new(), SupervisorAddress::new());
    let (address, spec) = probe("p", &script);
    let give_up = Exhausted::GiveUp { retry_after: None };
    let (outside, outside_spec) = probe("outside", &other);
    let children =
        vec![ChildSpec::supervisor("pool", &pool, vec![spec.budget(1, 60 * S).on_exhausted(give_up)]), outside_spec];
    let system = System::start_at("root", &tree, children).await.unwrap();
    assert!(system.started().await);
    let (mut all, mut below) = (tree.events(), pool.events());
    fails(&address, &script, || Msg::Panic).await;
    eventually("back", async || address.is_open()).await;
    fails(&address, &script, || Msg::Fail).await;
    tree.restart("root/pool/p").await.unwrap();
    eventually("back", async || address.is_open()).await;
    let expected = [
        (Happening::Failed, Some("panicked: boom")),
        (Happening::Restarted, None),
        (Happening::GaveUp, Some("broken")),
        (Happening::RestartAsked, None),
        (Happening::Restarted, None),
    ];
    for events in [&mut all, &mut below] {
        for (happened, reason) in expected {
            let event = events.next().await.unwrap();
            assert_eq!((event.path.as_str(), event.happened), ("root/pool/p", happened));
            assert_eq!(event.reason.as_deref(), reason);
        }
    }
    for _ in 0..600 {
        tree.restart("root/outside").await.unwrap();
        eventually("back", async || outside.is_open()).await;
    }
    let missed = all.next().await.unwrap_err();
    assert_eq!(missed, crate::EventsError::Missed(1_200 - 1_024));
    assert_eq!(all.next().await.unwrap().path, "root/outside");
    let none = tokio::time::timeout(S, below.next()).await;
    assert!(none.is_err(), "outside is not below the pool");
    system.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_subtree_can_be_seen_alone_also_one_that_the_whole_has_no_room_for() {
    let (pool, tree) = (SupervisorAddress::new(), SupervisorAddress::new());
    let system = System::start_at("root", &tree, vec![ChildSpec::supervisor("pool", &pool, vec![])]).await.unwrap();
    assert!(system.started().await);
    let script = Script::default();
    for n in 0..150 {
        pool.start_child(probe(&format!("{n}"), &script).1).await.unwrap();
    }
    assert!(tree.snapshot().find("root/pool/149").is_none());
    let one = tree.snapshot_of("root/pool/149").unwrap();
    assert_eq!((one.tree.path.as_str(), one.totals.actors), ("root/pool/149", 1));
    assert_eq!(tree.snapshot_of("root/pool").unwrap().totals.actors, 151);
    assert_eq!(tree.snapshot_of("root").unwrap().totals.actors, 152);
    for path in ["root/pool/150", "root/", "root//pool", "other", ""] {
        let shown = tree.snapshot_of(path).map(|shown| shown.tree.path);
        assert_eq!(shown, None, "{path}");
    }
    system.stop().await.unwrap();
}
