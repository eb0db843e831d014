use super::*;

#[tokio::test(start_paused = true)]
async fn an_address_works_before_refuses_during_and_works_after_a_restart() {
    let script = Script::born(Birth::Fails, 2, 2);
    let (address, spec) = probe("p", &script);
    assert_eq!(count(&address).await, Err(AskError::Refused), "nobody is there yet");
    let system = root(vec![spec]).await;
    assert_eq!(count(&address).await, Ok(1));
    address.tell(Msg::Panic).unwrap();
    eventually("down", async || !address.is_open()).await;
    assert_eq!(count(&address).await, Err(AskError::Refused));
    eventually("back", async || count(&address).await == Ok(1)).await;
    system.stop().await.unwrap();
    assert_eq!(count(&address).await, Err(AskError::Refused));
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_refuses_and_recovers_also_after_a_crash_with_messages_in_it() {
    let script = Script::default();
    let (address, spec) = probe("p", &script);
    let system = root(vec![spec]).await;
    for crash in [false, true] {
        address.tell(Msg::Park(S)).unwrap();
        tokio::time::sleep(MS).await;
        if crash {
            address.tell(Msg::Panic).unwrap();
        }
        while address.tell(Msg::Park(MS)).is_ok() {}
        let view = system.snapshot();
        let mailbox = view.find("root/p").unwrap().mailbox.clone().unwrap();
        assert_eq!((mailbox.depth, mailbox.highest, mailbox.bound), (8, 8, 8));
        assert_eq!(view.unwell[0].reason, "its mailbox is full");
        assert_eq!(count(&address).await, Err(AskError::Refused));
        tokio::time::sleep(2 * S).await;
        eventually("recovered", async || count(&address).await.is_ok()).await;
        assert_eq!(system.snapshot().totals.mailbox_depth, 0);
    }
    assert_eq!(script.starts(), 2, "overload is no failure, the panic was");
    system.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_ask_that_is_not_answered_tells_lost_from_timed_out() {
    let script = Script::default();
    let (address, spec) = probe("p", &script);
    let system = root(vec![spec]).await;
    assert_eq!(address.ask(S, |reply| Msg::Hold { reply }).await, Err(AskError::Timeout));
    let asked = tokio::spawn({
        let address = address.clone();
        async move { address.ask(S, |reply| Msg::Hold { reply }).await }
    });
    tokio::time::sleep(MS).await;
    address.tell(Msg::Panic).unwrap();
    assert_eq!(asked.await.unwrap(), Err(AskError::Lost));
    system.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_an_asker_that_gave_up_harms_nobody() {
    let script = Script::default();
    let (address, spec) = probe("p", &script);
    let system = root(vec![spec]).await;
    address.tell(Msg::Park(2 * S)).unwrap();
    assert_eq!(count(&address).await, Err(AskError::Timeout));
    tokio::time::sleep(2 * S).await;
    assert_eq!((count(&address).await, script.starts()), (Ok(2), 1), "the late answer went nowhere");
    system.stop().await.unwrap();
}
