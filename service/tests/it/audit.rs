use contract::{AuditEntry, AuditPhase, Role, UserId};
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait as _, Statement};
use service::audit::{Audit, Entry};
use service::clock;
use service::database::{Database, State};
use uuid::Uuid;

use crate::support::{Scratch, tree};

fn entry() -> Entry {
    Entry(AuditEntry {
        id: Uuid::now_v7(),
        request_id: "r".to_owned(),
        at: clock::now(),
        phase: AuditPhase::Requested,
        account_id: UserId::new(),
        email: "admin@x.com".to_owned(),
        role: Role::StoreAdmin,
        client: "::1".to_owned(),
        method: "POST".to_owned(),
        route: "/x".to_owned(),
        path: "/x".to_owned(),
        body: Some("{}".to_owned()),
        status: None,
    })
}

async fn count(database: &Database) -> i64 {
    let connection = database.ready().unwrap();
    let sql = Statement::from_string(connection.get_database_backend(), "SELECT count(*) AS n FROM audit_log");
    connection.query_one_raw(sql).await.unwrap().unwrap().try_get("", "n").unwrap()
}

#[tokio::test]
async fn entries_are_durable_when_written_and_one_written_twice_is_there_once() {
    for scratch in Scratch::both().await {
        let database = Database::new(scratch.settings());
        let audit = Audit::new(1_000);
        let system = tree(&database, vec![audit.child(&database)]).await;
        let entries: Vec<_> = (0..100).map(|_| entry()).collect();
        for outcome in join_all(entries.iter().map(|entry| audit.write(entry.clone()))).await {
            outcome.unwrap();
        }
        assert_eq!(count(&database).await, 100);
        audit.write(entries[0].clone()).await.unwrap();
        assert_eq!(count(&database).await, 100);
        system.stop().await.unwrap();
        assert_eq!(audit.write(entry()).await.unwrap_err().status(), 503, "not running");
    }
}

#[tokio::test]
async fn while_the_database_is_away_nothing_is_written_and_nobody_told_otherwise() {
    let mut cluster = kit::Cluster::start().await.unwrap();
    let scratch = Scratch::Postgres(cluster.database("audit").await.unwrap());
    let database = Database::new(scratch.settings());
    let audit = Audit::new(1_000);
    let system = tree(&database, vec![audit.child(&database)]).await;
    audit.write(entry()).await.unwrap();
    cluster.stop().await.unwrap();
    database.until(|state| *state != State::Ready).await;
    assert_eq!(audit.write(entry()).await.unwrap_err().status(), 503);
    cluster.start_again().await.unwrap();
    database.until_ready().await;
    audit.write(entry()).await.unwrap();
    assert_eq!(count(&database).await, 2);
    system.stop().await.unwrap();
}
