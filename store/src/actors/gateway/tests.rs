//! The gateway on real ledgers, in both databases.

use std::collections::BTreeMap;

use ::actors::{Address, AskError, ChildSpec, System, fault};
use contract::{Money, OrderId};
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait as _, Statement};
use uuid::Uuid;

use super::*;
use crate::actors::testing::system;
use crate::db::testing::{on_both, sqlite};
use crate::domain::payment::Operation::{self, Authorize, Capture, Refund, Void};

const LONG: Duration = Duration::from_secs(30);

struct Bench {
    gateway: Address<Msg>,
    database: Database,
    _system: System,
}

async fn bench(database: &Database, waiting_bound: usize) -> Bench {
    let gateway = Address::new(1_000);
    let args = Args { database: database.clone(), waiting_bound };
    let system = system(vec![ChildSpec::actor("gateway", &gateway, Gateway, args)]).await;
    Bench { gateway, database: database.clone(), _system: system }
}

fn charge(key: &str, of: u128, operation: Operation, cents: i64) -> Charge {
    let (order, method) = (OrderId(Uuid::from_u128(of)), "credit_card".to_owned());
    Charge { key: key.to_owned(), order, operation, amount: Money(cents), method }
}

impl Bench {
    async fn ask(&self, charge: Charge) -> Result<Result<Outcome, BatchError>, AskError> {
        self.gateway.ask(LONG, |reply| Msg::Settle { charge, declined: None, reply }).await
    }

    async fn settle(&self, charge: Charge) -> &'static str {
        self.ask(charge).await.unwrap().unwrap().name()
    }

    /// How many lines there are of each operation and outcome.
    async fn lines(&self) -> BTreeMap<String, i64> {
        let db = self.database.ready().unwrap();
        let sql = "SELECT operation || ' ' || outcome AS what, count(*) AS lines FROM gateway_ledger GROUP BY 1";
        let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
        rows.iter().map(|row| (row.try_get("", "what").unwrap(), row.try_get("", "lines").unwrap())).collect()
    }

    async fn assert_lines<const N: usize>(&self, expected: [(&str, i64); N]) {
        assert_eq!(self.lines().await, BTreeMap::from(expected.map(|(what, lines)| (what.to_owned(), lines))));
    }
}

#[tokio::test]
async fn an_order_is_paid_and_paid_back() {
    on_both(async |database| {
        let bench = bench(database, 100).await;
        for _ in 0..2 {
            assert_eq!(bench.settle(charge("a", 1, Authorize, 1_499)).await, "done");
            assert_eq!(bench.settle(charge("c", 1, Capture, 1_000)).await, "done");
            assert_eq!(bench.settle(charge("v", 1, Void, 1_499)).await, "refused");
            assert_eq!(bench.settle(charge("r1", 1, Refund, 600)).await, "done");
            assert_eq!(bench.settle(charge("r2", 1, Refund, 401)).await, "refused");
            assert_eq!(bench.settle(charge("r3", 1, Refund, 400)).await, "done");
        }
        bench
            .assert_lines([
                ("authorize done", 1),
                ("capture done", 1),
                ("refund done", 2),
                ("refund refused", 1),
                ("void-payment refused", 1),
            ])
            .await;
    })
    .await;
}

#[tokio::test]
async fn r02_a_hundred_equal_keys_at_once_are_one_line_and_a_hundred_answers() {
    on_both(async |database| {
        let bench = bench(database, 100).await;
        let answers = join_all((0..100).map(|_| bench.settle(charge("a", 1, Authorize, 1_499)))).await;
        assert_eq!(answers, ["done"; 100]);
        bench.assert_lines([("authorize done", 1)]).await;
        // Each under a key of its own: one of them is it.
        let keys: Vec<String> = (0..100).map(|n| format!("c{n}")).collect();
        let answers = join_all(keys.iter().map(|key| bench.settle(charge(key, 1, Capture, 1_499)))).await;
        assert_eq!(answers.iter().filter(|answer| **answer == "done").count(), 1);
        bench.assert_lines([("authorize done", 1), ("capture done", 1), ("capture refused", 99)]).await;
    })
    .await;
}

#[tokio::test]
async fn who_waits_together_shares_a_batch_and_sees_those_before() {
    on_both(async |database| {
        let bench = bench(database, 100).await;
        let outcomes = join_all([
            bench.settle(charge("first", 9, Authorize, 1)), // while this is written, the others queue
            bench.settle(charge("a", 1, Authorize, 100)),
            bench.settle(charge("c", 1, Capture, 100)),
            bench.settle(charge("v", 1, Void, 100)),
            bench.settle(charge("b", 2, Void, 100)),
            bench.settle(charge("d", 2, Authorize, 100)),
            bench.settle(charge("r", 1, Refund, 100)),
            bench.settle(charge("a", 2, Authorize, 100)),
        ]);
        let expected = ["done", "done", "done", "refused", "done", "refused", "done", "refused"];
        assert_eq!(outcomes.await, expected);
    })
    .await;
}

#[tokio::test]
async fn who_cannot_be_written_fails_alone() {
    on_both(async |database| {
        let bench = bench(database, 100).await;
        let bad = || bench.ask(charge("\0", 1, Authorize, 100)); // no text on PostgreSQL
        let (_, bad, good) = tokio::join!(
            bench.settle(charge("first", 9, Authorize, 1)),
            bad(),
            bench.settle(charge("b", 2, Authorize, 100))
        );
        assert_eq!(good, "done");
        let is_sqlite = database.backend() == sea_orm::DbBackend::Sqlite;
        assert_eq!(matches!(bad, Ok(Err(BatchError::Failed(_)))), !is_sqlite, "{bad:?}");
    })
    .await;
}

#[tokio::test]
async fn so_many_wait_and_the_rest_are_never_sent() {
    let (database, _folder) = sqlite().await;
    let bench = bench(&database, 3).await;
    let keys: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    let answers = join_all(keys.iter().map(|key| bench.settle(charge(key, 1, Void, 1)))).await;
    let done = answers.iter().filter(|answer| **answer == "done").count();
    assert!((4..10).contains(&done), "{answers:?}"); // one under way, three in line, perhaps another batch
    assert_eq!(answers.iter().filter(|answer| **answer == "never-sent").count(), 10 - done);
    bench.assert_lines([("void-payment done", i64::try_from(done).unwrap())]).await;
}

#[tokio::test]
async fn without_a_database_nothing_happens_and_that_is_certain() {
    let (database, _folder) = sqlite().await;
    let bench = bench(&database, 100).await;
    database.ready().unwrap().clone().close().await.unwrap();
    assert_eq!(bench.settle(charge("a", 1, Authorize, 100)).await, "never-sent");
}

#[tokio::test]
async fn a_restart_loses_who_waited_and_nothing_that_was_settled() {
    if !fault::ENABLED {
        return;
    }
    on_both(async |database| {
        let bench = bench(database, 100).await;
        fault::set("committed:gateway", "1*return(hang)").unwrap();
        let (asked, queued) = (bench.ask(charge("a", 1, Authorize, 100)), bench.ask(charge("c", 1, Capture, 100)));
        let kill = async {
            let is_written = async || if bench.lines().await.is_empty() { Err(String::new()) } else { Ok(()) };
            kit::until("the first is written", LONG, is_written).await;
            bench.gateway.kill();
        };
        let (asked, queued, ()) = tokio::join!(asked, queued, kill);
        assert_eq!((asked, queued), (Err(AskError::Lost), Err(AskError::Lost)));
        for again in [charge("a", 1, Authorize, 100), charge("c", 1, Capture, 100)] {
            let asked = async || bench.ask(again.clone()).await.map_err(|error| error.to_string());
            assert_eq!(kit::until("it runs again", LONG, asked).await, Ok(Outcome::Done));
        }
        bench.assert_lines([("authorize done", 1), ("capture done", 1)]).await;
    })
    .await;
}

#[tokio::test]
async fn r23_an_answer_to_a_commit_that_was_lost_is_read_back() {
    if !fault::ENABLED {
        return;
    }
    on_both(async |database| {
        let bench = bench(database, 100).await;
        fault::set("committed:gateway", "1*return(fail:lost)").unwrap();
        assert_eq!(bench.settle(charge("a", 1, Authorize, 100)).await, "done", "it happened");
        fault::set("commit:gateway", "1*return(fail:lost)").unwrap();
        let lost = bench.ask(charge("c", 1, Capture, 100)).await.unwrap();
        assert!(matches!(lost, Err(BatchError::Unavailable(_))), "{lost:?}");
        bench.assert_lines([("authorize done", 1)]).await;
        assert_eq!(bench.settle(charge("c", 1, Capture, 100)).await, "done");
        fault::set("committed:gateway", "1*return(fail:lost)").unwrap();
        assert_eq!(bench.settle(charge("c", 1, Capture, 100)).await, "done", "nothing was written");
        bench.assert_lines([("authorize done", 1), ("capture done", 1)]).await;
    })
    .await;
}
