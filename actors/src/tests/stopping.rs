use super::*;
use crate::SupervisorAddress;

#[tokio::test(start_paused = true)]
async fn children_start_in_order_and_stop_in_reverse() {
    let script = Script::default();
    let inner: Vec<_> = ["b", "c"].iter().map(|id| probe(id, &script).1).collect();
    let children = vec![
        probe("a", &script).1,
        ChildSpec::supervisor("inner", &SupervisorAddress::new(), inner),
        probe("d", &script).1,
    ];
    let system = root(children).await;
    system.stop().await.unwrap();
    let expected = [
        "root/a start",
        "root/inner/b start",
        "root/inner/c start",
        "root/d start",
        "root/d gone",
        "root/inner/c gone",
        "root/inner/b gone",
        "root/a gone",
    ];
    assert_eq!(script.log(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_stop_refuses_what_is_new_and_waits_for_the_mailbox_and_for_effects() {
    let script = Script::default();
    let (address, spec) = probe("p", &script);
    let system = root(vec![spec.stop_within(10 * S)]).await;
    address.tell(Msg::Park(S)).unwrap();
    address.tell(Msg::Effect(3 * S)).unwrap();
    let stopping = tokio::spawn({
        let system = system.clone();
        async move { system.stop().await }
    });
    eventually("closed", async || !address.is_open()).await;
    assert!(address.tell(Msg::Fail).is_err());
    let since = tokio::time::Instant::now();
    stopping.await.unwrap().unwrap();
    assert!(since.elapsed() >= 3 * S);
    assert_eq!(script.log(), ["root/p start", "Ok(())", "root/p gone"], "the effect's result was handled");
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_stopped_subtree_is_alive_when_the_stop_returns() {
    let pool = SupervisorAddress::new();
    let system = root(vec![ChildSpec::supervisor("pool", &pool, vec![])]).await;
    let script = Script::default();
    let mut addresses = Vec::new();
    let children = (0..50).map(|n| {
        let (address, spec) = probe(&format!("{n}"), &script);
        addresses.push(address);
        spec.stop_within(2 * S)
    });
    let children = children.collect();
    pool.start_child(ChildSpec::supervisor("sub", &SupervisorAddress::new(), children)).await.unwrap();
    eventually("all up", async || addresses.iter().all(Address::is_open)).await;
    for (n, address) in addresses.iter().enumerate() {
        match n % 5 {
            0 => address.tell(Msg::Park(1_000 * S)).unwrap(),
            1 => address.tell(Msg::Effect(50 * S)).unwrap(),
            2 => address.tell(Msg::Tick(MS)).unwrap(),
            3 => address.tell(Msg::Panic).unwrap(),
            _ => {}
        }
    }
    assert!(pool.stop_child("sub").await);
    assert_eq!(script.alive(), 0, "states and effects");
    let starts = script.starts();
    tokio::time::sleep(100 * S).await;
    assert_eq!((script.alive(), script.starts()), (0, starts));
    system.stop().await.unwrap();
}

#[tokio::test]
async fn a_stop_waits_even_for_work_that_blocks_its_thread() {
    let script = Script::default();
    let (address, spec) = probe("p", &script);
    let system = root(vec![spec.stop_within(10 * MS)]).await;
    address.tell(Msg::Blocking(200 * MS)).unwrap();
    eventually("under way", async || script.alive() == 2).await;
    system.stop().await.unwrap();
    assert_eq!(script.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_child_stuck_in_handle_is_killed_at_its_deadline() {
    let script = Script::default();
    let (address, spec) = probe("p", &script);
    let system = root(vec![spec.stop_within(2 * S)]).await;
    address.tell(Msg::Park(1_000 * S)).unwrap();
    tokio::time::sleep(MS).await;
    let since = tokio::time::Instant::now();
    system.stop().await.unwrap();
    assert_eq!((since.elapsed().as_secs(), script.alive()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn timers_hold_up_no_stop() {
    let script = Script::default();
    let (address, spec) = probe("p", &script);
    let system = root(vec![spec]).await;
    address.tell(Msg::Tick(60 * S)).unwrap();
    assert_eq!(count(&address).await, Ok(2));
    let since = tokio::time::Instant::now();
    system.stop().await.unwrap();
    assert!(since.elapsed() < S);
}
