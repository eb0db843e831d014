use std::sync::Mutex;

use ::actors::{Actor, BatchError, ChildSpec, Context, Failure, System, fault};
use contract::{Money, OrderId};
use tokio::time::Instant;

use super::super::built_in;
use super::*;
use crate::actors::testing::system;
use crate::domain::payment::Operation::{self, Authorize, Capture};

/// Settles everything that is not declined, and keeps what it was asked. It fails what has the key `poison`.
struct Fake(Arc<Mutex<Vec<String>>>);

impl Actor for Fake {
    const KIND: &'static str = "fake";
    type Msg = Msg;
    type Args = ();
    type State = ();

    async fn start(&self, (): (), _: &mut Context<Msg>) -> Result<(), Failure> {
        Ok(())
    }

    async fn handle(&self, msg: Msg, (): &mut (), _: &mut Context<Msg>) -> Result<(), Failure> {
        if let Msg::Settle { charge, declined, reply } = msg {
            if charge.key == "mute" {
                return Ok(());
            }
            self.0.lock().unwrap().push(charge.key.clone());
            reply.send(match declined {
                _ if charge.key == "poison" => Err(BatchError::Failed("a bug".to_owned())),
                Some(reason) => Ok(Outcome::Refused { reason }),
                None => Ok(Outcome::Done),
            });
        }
        Ok(())
    }
}

struct Bench {
    gateway: Arc<dyn PaymentGateway>,
    heard: Arc<Mutex<Vec<String>>>,
    _system: System,
}

async fn bench(test_methods: bool) -> Bench {
    let (address, heard) = (Address::new(100), Arc::default());
    let fake = Fake(Arc::clone(&heard));
    let system = system(vec![ChildSpec::actor("gateway", &address, fake, ())]).await;
    Bench { gateway: built_in(address, test_methods), heard, _system: system }
}

impl Bench {
    async fn call(&self, key: &str, operation: Operation, method: &str) -> &'static str {
        let (order, amount) = (OrderId::new(), Money(100));
        let charge = Charge { key: key.to_owned(), order, operation, amount, method: method.to_owned() };
        self.gateway.call(&charge).await.name()
    }

    /// How often the gateway was reached with the key.
    fn heard(&self, key: &str) -> usize {
        self.heard.lock().unwrap().iter().filter(|heard| *heard == key).count()
    }
}

#[tokio::test(start_paused = true)]
async fn test_methods_go_wrong_where_they_are_switched_on() {
    let bench = bench(true).await;
    assert_eq!(bench.call("a", Authorize, "credit_card").await, "done");
    assert_eq!(bench.call("b", Authorize, "test_decline").await, "refused");
    assert_eq!(bench.call("c", Capture, "test_decline_capture").await, "refused");
    assert_eq!((bench.heard("b"), bench.heard("c")), (1, 1), "the ledger keeps it");
    assert_eq!(bench.call("d", Authorize, "test_ambiguous").await, "unknown");
    assert_eq!(bench.heard("d"), 1, "it happened");
    assert_eq!(bench.call("d", Authorize, "test_ambiguous").await, "done");
    for expected in ["never-sent", "never-sent", "done"] {
        assert_eq!(bench.call("e", Authorize, "test_unreachable").await, expected);
    }
    assert_eq!(bench.heard("e"), 1);
    let began = Instant::now();
    assert_eq!(bench.call("f", Authorize, "test_slow").await, "done");
    assert_eq!(began.elapsed(), trouble::LATE);
}

#[tokio::test(start_paused = true)]
async fn elsewhere_they_are_names_like_any_other() {
    let bench = bench(false).await;
    let began = Instant::now();
    for method in ["test_decline", "test_decline_capture", "test_slow", "test_ambiguous", "test_unreachable"] {
        assert_eq!(bench.call(method, Authorize, method).await, "done");
        assert_eq!(bench.call(method, Capture, method).await, "done");
    }
    assert_eq!(began.elapsed(), std::time::Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn r22_only_what_was_refused_at_the_door_is_certain() {
    let bench = bench(false).await;
    assert_eq!(bench.call("poison", Authorize, "credit_card").await, "unknown");
    assert_eq!(bench.call("mute", Authorize, "credit_card").await, "unknown");
    let nobody = Bench { gateway: built_in(Address::new(1), false), ..bench };
    assert_eq!(nobody.call("a", Authorize, "credit_card").await, "never-sent");
}

#[tokio::test]
async fn calls_fail_as_a_test_tells_them_to() {
    if !fault::ENABLED {
        return;
    }
    let bench = bench(false).await;
    let table = [
        ("call:authorize", "refuse", "refused", 1),
        ("call:authorize", "never-sent", "never-sent", 0),
        ("call:authorize", "unknown", "unknown", 0),
        ("answered:authorize", "unknown", "unknown", 1),
    ];
    for (point, how, expected, heard) in table {
        let key = format!("{point} {how}");
        fault::set(point, &format!("1*return(fail:{how})")).unwrap();
        assert_eq!(bench.call(&key, Authorize, "credit_card").await, expected, "{key}");
        assert_eq!(bench.heard(&key), heard, "{key}");
        assert_eq!(bench.call(&key, Authorize, "credit_card").await, "done", "{key}");
    }
    fault::set("call:void-payment", "return(lost:1000:1)").unwrap();
    assert_eq!(bench.call("v", Operation::Void, "credit_card").await, "unknown");
    assert_eq!(bench.call("c", Capture, "credit_card").await, "done", "another operation");
}
