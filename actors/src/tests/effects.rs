use super::*;

#[tokio::test(start_paused = true)]
async fn an_effect_comes_back_as_a_message_whether_it_ends_panics_or_times_out() {
    let script = Script::default();
    let (address, spec) = probe("p", &script);
    let system = root(vec![spec]).await;
    address.tell(Msg::Effect(S)).unwrap();
    address.tell(Msg::EffectThatPanics).unwrap();
    address.tell(Msg::Effect(1_000 * S)).unwrap();
    assert_eq!(count(&address).await, Ok(1), "the mailbox never waits for them");
    tokio::time::sleep(200 * S).await;
    let expected = ["root/p start", "Err(Panicked(\"effect boom\"))", "Ok(())", "Err(TimedOut)"];
    assert_eq!(script.log(), expected);
    assert_eq!((count(&address).await, script.starts(), script.alive()), (Ok(302), 1, 1));
    system.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_end_aborts_what_is_under_way() {
    let ends: [fn(&Address<Msg>); 4] = [
        |address| address.tell(Msg::Panic).unwrap(),
        |address| address.tell(Msg::Fail).unwrap(),
        |address| address.tell(Msg::Finish).unwrap(),
        Address::kill,
    ];
    for end in ends {
        let script = Script::default();
        let (address, spec) = probe("p", &script);
        let system = root(vec![spec.restart(crate::Restart::Temporary)]).await;
        address.tell(Msg::Effect(50 * S)).unwrap();
        eventually("under way", async || script.alive() == 2).await;
        end(&address);
        eventually("all gone", async || script.alive() == 0).await;
        assert!(!script.log().contains(&"Ok(())".to_owned()));
        system.stop().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn results_of_effects_pass_a_full_mailbox() {
    let script = Script::default();
    let (address, spec) = probe("p", &script);
    let system = root(vec![spec]).await;
    address.tell(Msg::Burst(100)).unwrap();
    address.tell(Msg::Park(S)).unwrap();
    tokio::time::sleep(2 * S).await;
    assert_eq!(count(&address).await, Ok(10_001));
    assert!(system.snapshot().find("root/p").unwrap().mailbox.as_ref().unwrap().highest >= 100);
    system.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_was_cancelled_never_rings() {
    struct Ringer;
    impl Actor for Ringer {
        const KIND: &'static str = "ringer";
        type Msg = Msg;
        type Args = ();
        type State = u64;
        async fn start(&self, (): (), ctx: &mut Context<Msg>) -> Result<u64, Failure> {
            ctx.send_after(S, Msg::Finish).cancel();
            ctx.send_after(2 * S, Msg::Ended(Ok(())));
            Ok(0)
        }
        async fn handle(&self, msg: Msg, rung: &mut u64, _: &mut Context<Msg>) -> Result<(), Failure> {
            match msg {
                Msg::Count { reply } => reply.send(*rung),
                Msg::Finish => *rung += 100,
                _ => *rung += 1,
            }
            Ok(())
        }
    }
    let address = Address::new(8);
    let system = root(vec![ChildSpec::actor("ringer", &address, Ringer, ())]).await;
    tokio::time::sleep(5 * S).await;
    assert_eq!(count(&address).await, Ok(1));
    system.stop().await.unwrap();
}
