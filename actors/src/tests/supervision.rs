use super::*;
use crate::{Exhausted, Restart, StartChildError, State as Standing, SupervisorAddress};

const RESTARTS: [Restart; 3] = [Restart::Permanent, Restart::Transient, Restart::Temporary];

/// Lets `harm` be done to a probe of each restart type, and sees whether it comes back while its sibling never notices.
async fn treated_by_restart_type(harm: impl Fn(&Address<Msg>), comes_back: [bool; 3]) {
    for (restart, comes_back) in RESTARTS.into_iter().zip(comes_back) {
        let (script, quiet) = (Script::default(), Script::default());
        let (address, spec) = probe("harmed", &script);
        let (sibling, sibling_spec) = probe("sibling", &quiet);
        let system = root(vec![spec.restart(restart), sibling_spec]).await;
        assert_eq!(count(&address).await, Ok(1));
        harm(&address);
        for expected in 1..=50 {
            assert_eq!(count(&sibling).await, Ok(expected), "{restart:?}: the sibling keeps its state and answers");
            tokio::time::sleep(10 * MS).await;
        }
        assert_eq!(quiet.starts(), 1);
        let view = system.snapshot();
        let view = view.find("root/harmed").unwrap();
        if comes_back {
            assert_eq!(count(&address).await, Ok(1), "{restart:?}: back with a new state at the same address");
            assert_eq!((script.starts(), view.restarts, view.state), (2, 1, Standing::Running));
        } else {
            assert_eq!(count(&address).await, Err(AskError::Refused), "{restart:?}: not restarted");
            assert_eq!((script.starts(), view.restarts), (1, 0));
        }
        system.stop().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_treated_by_restart_type() {
    treated_by_restart_type(|address| address.tell(Msg::Panic).unwrap(), [true, true, false]).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_is_treated_by_restart_type() {
    treated_by_restart_type(|address| address.tell(Msg::Fail).unwrap(), [true, true, false]).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_is_treated_by_restart_type() {
    treated_by_restart_type(Address::kill, [true, true, false]).await;
}

#[tokio::test(start_paused = true)]
async fn a_normal_end_is_treated_by_restart_type() {
    treated_by_restart_type(|address| address.tell(Msg::Finish).unwrap(), [true, false, false]).await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_panics_or_hangs_is_treated_by_restart_type() {
    for birth in [Birth::Fails, Birth::Panics, Birth::Hangs] {
        for (restart, comes_back) in RESTARTS.into_iter().zip([true, true, false]) {
            let (script, quiet) = (Script::born(birth, 1, 2), Script::default());
            let (address, spec) = probe("harmed", &script);
            let (sibling, sibling_spec) = probe("sibling", &quiet);
            let system = root(vec![sibling_spec, spec.restart(restart).start_within(S)]).await;
            assert_eq!(count(&sibling).await, Ok(1));
            if comes_back {
                eventually("started at the third try", async || count(&address).await.is_ok()).await;
                assert_eq!(script.starts(), 3, "{birth:?} {restart:?}");
            } else {
                tokio::time::sleep(30 * S).await;
                assert_eq!(count(&address).await, Err(AskError::Refused), "{birth:?} {restart:?}");
                assert_eq!(script.starts(), 1);
            }
            assert_eq!(count(&sibling).await, Ok(2));
            let reason = system.snapshot().find("root/harmed").unwrap().last_failure.clone().unwrap().reason;
            let expected = match birth {
                Birth::Fails => "born broken",
                Birth::Panics => "panicked: born panicking",
                _ => "did not start in time",
            };
            assert!(reason.contains(expected), "{reason}");
            system.stop().await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_hangs_delays_only_those_that_start_after_it_and_only_up_to_its_limit() {
    let (before, hung, after) = (Script::default(), Script::born(Birth::Hangs, 1, usize::MAX), Script::default());
    let specs = [("before", &before), ("hung", &hung), ("after", &after)].map(|(id, script)| probe(id, script));
    let addresses: Vec<_> = specs.iter().map(|(address, _)| address.clone()).collect();
    let children = specs.into_iter().map(|(_, spec)| spec.start_within(3 * S).budget(1000, S)).collect();
    let system = System::start("root", children).await.unwrap();
    eventually("before is up", async || addresses[0].is_open()).await;
    tokio::time::sleep(2 * S).await;
    assert_eq!((count(&addresses[0]).await, after.starts()), (Ok(1), 0));
    assert!(system.started().await);
    assert_eq!(count(&addresses[2]).await, Ok(1));
    system.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_first_restart_is_at_once_and_the_next_ones_wait_longer_and_longer() {
    let script = Script::default();
    let (address, spec) = probe("p", &script);
    let system = root(vec![spec.budget(10, 100 * S)]).await;
    let mut waits = Vec::new();
    for _ in 0..5 {
        address.tell(Msg::Panic).unwrap();
        let since = tokio::time::Instant::now();
        tokio::task::yield_now().await;
        eventually("back", async || address.is_open()).await;
        waits.push(since.elapsed());
    }
    assert!(waits[0] < 10 * MS, "{waits:?}");
    for (wait, nominal_ms) in waits[1..].iter().zip([100, 200, 400, 800]) {
        assert!((nominal_ms / 2..=nominal_ms * 3 / 2 + 5).contains(&wait.as_millis()), "{waits:?}");
    }
    system.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_budget_escalates_to_the_parent_which_restarts_the_whole_subtree() {
    let (bad, sibling, outside) = (Script::default(), Script::default(), Script::default());
    let ((bad_at, bad_spec), (sibling_at, sibling_spec)) = (probe("bad", &bad), probe("sibling", &sibling));
    let (outside_at, outside_spec) = probe("outside", &outside);
    let pool = ChildSpec::supervisor("pool", &SupervisorAddress::new(), vec![bad_spec.budget(2, 60 * S), sibling_spec]);
    let system = root(vec![pool, outside_spec]).await;
    assert_eq!((count(&sibling_at).await, count(&outside_at).await), (Ok(1), Ok(1)));
    for _ in 0..3 {
        fails(&bad_at, &bad, || Msg::Fail).await;
    }
    eventually("all are back", async || count(&bad_at).await.is_ok() && count(&sibling_at).await.is_ok()).await;
    assert_eq!((bad.starts(), sibling.starts(), outside.starts()), (4, 2, 1));
    assert_eq!(count(&outside_at).await, Ok(2), "outside the subtree nothing changed");
    let view = system.snapshot();
    let pool = view.find("root/pool").unwrap();
    assert_eq!((pool.restarts, pool.state), (1, Standing::Running));
    assert!(pool.last_failure.as_ref().unwrap().reason.contains("root/pool/bad failed too often: broken"));
    system.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_budget_at_the_root_ends_the_system_with_the_reason() {
    let (bad, sibling) = (Script::default(), Script::default());
    let ((address, spec), (_, sibling_spec)) = (probe("bad", &bad), probe("sibling", &sibling));
    let system = root(vec![spec.budget(0, S), sibling_spec]).await;
    address.tell(Msg::Panic).unwrap();
    let reason = system.ended().await.unwrap_err();
    assert!(reason.contains("root/bad failed too often: panicked: boom"), "{reason}");
    assert_eq!((bad.alive(), sibling.alive()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_budget_may_give_up_alone_tell_its_owner_and_be_tried_again_later() {
    let (script, quiet) = (Script::default(), Script::default());
    let ((address, spec), (sibling, sibling_spec)) = (probe("bad", &script), probe("sibling", &quiet));
    let told: Arc<std::sync::Mutex<Vec<bool>>> = Arc::default();
    let hook = Arc::clone(&told);
    let spec = spec
        .budget(1, 60 * S)
        .on_exhausted(Exhausted::GiveUp { retry_after: Some(300 * S) })
        .on_failure(move |report| hook.lock().unwrap().push(report.gave_up));
    let system = root(vec![spec, sibling_spec]).await;
    for _ in 0..2 {
        fails(&address, &script, || Msg::Panic).await;
    }
    tokio::time::sleep(290 * S).await;
    let view = system.snapshot();
    assert_eq!(view.find("root/bad").unwrap().state, Standing::Failed);
    assert_eq!(view.unwell.iter().map(|unwell| unwell.path.as_str()).collect::<Vec<_>>(), ["root/bad"]);
    assert_eq!(*told.lock().unwrap(), [false, true]);
    assert_eq!((count(&address).await, count(&sibling).await), (Err(AskError::Refused), Ok(1)));
    tokio::time::sleep(15 * S).await;
    assert_eq!((count(&address).await, quiet.starts()), (Ok(1), 1));
    assert_eq!(system.snapshot().find("root/bad").unwrap().budget_left, 1);
    system.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_is_away_is_waited_for_uncounted_and_lets_the_next_child_start() {
    let (waiting, next) = (Script::born(Birth::Unavailable, 1, 20), Script::default());
    let ((address, spec), (next_at, next_spec)) = (probe("waiting", &waiting), probe("next", &next));
    let system = root(vec![spec.budget(0, 60 * S), next_spec]).await;
    assert_eq!(count(&next_at).await, Ok(1), "starts though the one before it waits");
    assert_eq!(system.snapshot().find("root/waiting").unwrap().state, Standing::BackingOff);
    for _ in 0..10 {
        tokio::time::sleep(20 * S).await;
    }
    eventually("it is back", async || count(&address).await.is_ok()).await;
    assert_eq!(waiting.starts(), 21);
    system.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_child_has_its_own_budget_never_escalates_and_leaves_when_it_ends() {
    let (pool, quiet) = (SupervisorAddress::new(), Script::default());
    let (sibling, sibling_spec) = probe("sibling", &quiet);
    let system = root(vec![ChildSpec::supervisor("pool", &pool, vec![sibling_spec])]).await;
    let script = Script::default();
    let (address, spec) = probe("dynamic", &script);
    let spec = spec.restart(Restart::Transient).budget(1, 60 * S);
    pool.start_child(spec.clone()).await.unwrap();
    assert_eq!(pool.start_child(spec.clone()).await, Err(StartChildError::InUse), "the running one stays as it is");
    eventually("up", async || address.is_open()).await;
    assert_eq!((count(&address).await, script.starts()), (Ok(1), 1));
    for _ in 0..2 {
        fails(&address, &script, || Msg::Panic).await;
    }
    tokio::time::sleep(S).await;
    assert_eq!(system.snapshot().find("root/pool/dynamic").unwrap().state, Standing::Failed);
    assert_eq!((count(&sibling).await, quiet.starts()), (Ok(1), 1));

    pool.start_child(spec).await.expect("one that has failed for good is replaced");
    eventually("up", async || address.tell(Msg::Finish).is_ok()).await;
    eventually("left the tree", async || system.snapshot().find("root/pool/dynamic").is_none()).await;
    assert_eq!(script.alive(), 0);
    system.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_child_stopped_while_it_backs_off_does_not_come_back() {
    let pool = SupervisorAddress::new();
    let system = root(vec![ChildSpec::supervisor("pool", &pool, vec![])]).await;
    let script = Script::born(Birth::Fails, 1, usize::MAX);
    let (_, spec) = probe("dynamic", &script);
    pool.start_child(spec.budget(100, 60 * S)).await.unwrap();
    eventually("backing off", async || script.starts() >= 3).await;
    assert!(pool.stop_child("dynamic").await);
    let starts = script.starts();
    tokio::time::sleep(60 * S).await;
    assert_eq!((script.starts(), pool.stop_child("dynamic").await), (starts, false));
    assert!(system.snapshot().find("root/pool/dynamic").is_none());
    system.stop().await.unwrap();
}

#[tokio::test]
async fn a_subtree_restarted_a_hundred_times_never_overlaps_its_former_self() {
    let scripts: Vec<_> = (0..8).map(|_| Script::default()).collect();
    let (addresses, children): (Vec<_>, Vec<_>) =
        scripts.iter().enumerate().map(|(n, script)| probe(&format!("{n}"), script)).unzip();
    let children = children.into_iter().map(|spec| spec.budget(0, S).stop_within(5 * MS)).collect();
    let pool = ChildSpec::supervisor("pool", &SupervisorAddress::new(), children).budget(1_000, MS);
    let system = root(vec![pool]).await;
    for round in 0..100 {
        eventually("whole", async || addresses.iter().all(Address::is_open)).await;
        addresses[(round + 1) % 8].tell(Msg::Effect(60 * S)).unwrap();
        addresses[round % 8].tell(Msg::Panic).unwrap();
        eventually("restarted", async || scripts.iter().all(|script| script.starts() > round + 1)).await;
        assert!(scripts.iter().all(|script| script.alive() <= 1), "an effect of a former life is alive");
    }
    system.stop().await.unwrap();
    assert_eq!(scripts.iter().map(Script::alive).sum::<usize>(), 0);
}
