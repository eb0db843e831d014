use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actors::System;
use sea_orm::{ConnectionTrait as _, DbErr, Statement};
use service::config::DatabaseUrl;
use service::database::{Database, Preparation, Settings, State, is_unavailable, snapshot};
use service::queries::{ReadError, Reader};
use tokio::time::timeout;

use crate::support::{Scratch, store_schema, tree};

const SOON: Duration = Duration::from_secs(20);

async fn start(database: &Database) -> System {
    let system = System::start("test", vec![database.child(store_schema())]).await.unwrap();
    system.started().await;
    system
}

#[tokio::test]
async fn it_is_ready_once_migrated_and_prepared_also_when_that_was_done_before() {
    for scratch in Scratch::both().await {
        let prepared = Arc::new(AtomicUsize::new(0));
        for round in 1..=2 {
            let database = Database::new(scratch.settings());
            assert!(database.ready().unwrap_err().is_unavailable());
            let count = Arc::clone(&prepared);
            let preparation = store_schema().then("count", move |db| {
                let count = Arc::clone(&count);
                async move {
                    db.execute_unprepared("SELECT count(*) FROM orders").await?;
                    count.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                }
            });
            let system = System::start("test", vec![database.child(preparation)]).await.unwrap();
            timeout(SOON, database.until_ready()).await.unwrap();
            assert_eq!(prepared.load(Ordering::Relaxed), round);
            database.ready().unwrap().execute_unprepared("SELECT count(*) FROM users").await.unwrap();
            system.stop().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_second_process_waits_and_takes_over() {
    for scratch in Scratch::both().await {
        let (first, second) = (Database::new(scratch.settings()), Database::new(scratch.settings()));
        let running = start(&first).await;
        timeout(SOON, first.until_ready()).await.unwrap();
        let waiting = start(&second).await;
        let locked = timeout(SOON, second.until(|state| matches!(state, State::Locked(_)))).await.unwrap();
        assert!(locked.to_string().starts_with("another process uses it"), "{locked}");
        assert!(second.ready().unwrap_err().is_unavailable());

        running.stop().await.unwrap();
        assert!(second.ready().is_err(), "a stop alone does not let go: the handle holds the lock");
        drop((first, running));
        timeout(SOON, second.until_ready()).await.unwrap();
        waiting.stop().await.unwrap();
    }
}

#[tokio::test]
async fn without_migrating_it_waits_for_somebody_who_does() {
    let scratch = Scratch::sqlite();
    let database = Database::new(scratch.settings());
    let preparation = Preparation::new().migrate::<migrations::store::Migrator>(false);
    let system = System::start("test", vec![database.child(preparation)]).await.unwrap();
    let away = timeout(SOON, database.until(|state| state.to_string().contains("pending"))).await.unwrap();
    assert!(matches!(away, State::Away(_)), "{away}");
    let other = Database::connect(scratch.settings()).await.unwrap();
    <migrations::store::Migrator as migrations::MigratorTrait>::up(other.ready().unwrap(), None).await.unwrap();
    timeout(SOON, database.until_ready()).await.unwrap();
    system.stop().await.unwrap();
}

#[tokio::test]
async fn a_step_that_is_wrong_ends_the_tree_and_says_which() {
    let scratch = Scratch::sqlite();
    let database = Database::new(scratch.settings());
    let wrong = Preparation::new().then("fill the shelves", |db| async move {
        db.execute_unprepared("INSERT INTO nowhere VALUES (1)").await.map(|_| ())
    });
    let system = System::start("test", vec![database.child(wrong)]).await.unwrap();
    let reason = timeout(SOON, system.ended()).await.unwrap().unwrap_err();
    assert!(reason.contains("fill the shelves") && reason.contains("nowhere"), "{reason}");
}

#[tokio::test]
async fn a_server_that_comes_late_or_goes_away_is_waited_for() {
    let mut cluster = kit::Cluster::start().await.unwrap();
    let scratch = Scratch::Postgres(cluster.database("keeper").await.unwrap());
    cluster.stop().await.unwrap();

    let database = Database::new(scratch.settings());
    let system = start(&database).await;
    assert!(matches!(database.state(), State::Away(_)));
    for _ in 0..2 {
        cluster.start_again().await.unwrap();
        timeout(SOON, database.until_ready()).await.unwrap();
        // Connections of before the outage are not handed out.
        let reads = (0..8).map(|_| database.ready().unwrap().execute_unprepared("SELECT pg_sleep(0.05)"));
        for read in futures_util::future::join_all(reads).await {
            read.unwrap();
        }
        let hold = database.ready().unwrap().clone();
        cluster.stop().await.unwrap();
        timeout(SOON, database.until(|state| matches!(state, State::Away(_)))).await.unwrap();
        assert!(is_unavailable(&hold.execute_unprepared("SELECT 1").await.unwrap_err()));
        assert_eq!(system.snapshot().totals.restarts, 0);
    }
    drop(system);
    cluster.start_again().await.unwrap();
}

/// The same database behind a proxy that can misbehave.
async fn proxied(scratch: &Scratch) -> (kit::Proxy, Settings) {
    let mut settings = scratch.settings();
    let url = settings.url.expose().to_owned();
    let (login, place) = url.split_once('@').unwrap();
    let (server, name) = place.split_once('/').unwrap();
    let proxy = kit::Proxy::start(server.parse().unwrap()).await.unwrap();
    settings.url = DatabaseUrl::parse(&format!("{login}@{}/{name}", proxy.address())).unwrap();
    (proxy, settings)
}

#[tokio::test]
async fn a_lock_lost_to_another_process_ends_the_tree() {
    let scratch = Scratch::postgres().await;
    let (proxy, settings) = proxied(&scratch).await;
    let database = Database::new(settings);
    let system = start(&database).await;
    timeout(SOON, database.until_ready()).await.unwrap();

    proxy.set(kit::Mode::Refuse).await.unwrap();
    timeout(SOON, database.until(|state| matches!(state, State::Away(_)))).await.unwrap();
    let rival = Database::new(scratch.settings());
    let rivals = start(&rival).await;
    timeout(SOON, rival.until_ready()).await.unwrap();
    proxy.set(kit::Mode::Pass).await.unwrap();

    let reason = timeout(SOON, system.ended()).await.unwrap().unwrap_err();
    assert!(reason.contains("in use by another process now: bookstore"), "{reason}");
    assert!(database.ready().is_err());
    assert_eq!(rival.state(), State::Ready);
    rivals.stop().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_hangs_is_replaced_and_its_ghost_is_not_taken_for_another_process() {
    let scratch = Scratch::postgres().await;
    let (proxy, settings) = proxied(&scratch).await;
    let database = Database::new(settings);
    let system = start(&database).await;
    timeout(SOON, database.until_ready()).await.unwrap();
    proxy.set(kit::Mode::Hang).await.unwrap();
    timeout(SOON, database.until(|state| matches!(state, State::Away(_)))).await.unwrap();
    proxy.set(kit::Mode::Pass).await.unwrap();
    timeout(SOON, database.until_ready()).await.unwrap();
    database.ready().unwrap().execute_unprepared("SELECT 1").await.unwrap();
    assert_eq!(system.snapshot().totals.restarts, 0);
    system.stop().await.unwrap();
}

#[tokio::test]
async fn postgres_is_told_who_connects_and_how_long_a_statement_may_take() {
    let scratch = Scratch::postgres().await;
    let mut named = scratch.settings();
    named.name = "warehouse-alpha".to_owned();
    named.statement_timeout = Duration::from_millis(50);
    let database = Database::connect(named).await.unwrap();
    let db = database.ready().unwrap();
    let sql = "SELECT current_setting('application_name') AS name";
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap().unwrap();
    assert_eq!(row.try_get::<String>("", "name").unwrap(), "warehouse-alpha");
    let slow = db.execute_unprepared("SELECT pg_sleep(5)").await.unwrap_err();
    assert!(slow.to_string().contains("statement timeout") && !is_unavailable(&slow), "{slow}");
}

#[tokio::test]
async fn a_snapshot_does_not_see_what_is_committed_meanwhile() {
    for scratch in Scratch::both().await {
        let database = Database::new(scratch.settings());
        let system = start(&database).await;
        timeout(SOON, database.until_ready()).await.unwrap();
        let db = database.ready().unwrap();
        db.execute_unprepared("CREATE TABLE notes (n INTEGER)").await.unwrap();
        let count = async |db: &sea_orm::DatabaseTransaction| {
            let sql = "SELECT count(*) AS count FROM notes";
            let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
            row.unwrap().try_get::<i64>("", "count")
        };
        let seen = snapshot(db, async |txn| {
            let before = count(txn).await?;
            db.execute_unprepared("INSERT INTO notes VALUES (1)").await?;
            Ok((before, count(txn).await?))
        });
        assert_eq!(seen.await.unwrap(), (0, 0));
        assert_eq!(snapshot(db, async |txn| count(txn).await).await.unwrap(), 1);
        system.stop().await.unwrap();
    }
}

#[tokio::test]
async fn reads_are_bounded_refused_when_full_and_told_when_the_database_is_away() {
    let scratch = Scratch::sqlite();
    let database = Database::new(scratch.settings());
    let reader = Reader::new(10_000);
    let system = tree(&database, vec![reader.child(&database)]).await;
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let reads = (0..64).map(|number| {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        reader.read("test", move |db| async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            db.execute_unprepared("SELECT 1").await?;
            tokio::task::yield_now().await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(number)
        })
    });
    let answers: Vec<i32> = futures_util::future::join_all(reads).await.into_iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(answers, (0..64).collect::<Vec<_>>());
    assert_eq!(most.load(Ordering::SeqCst), 4, "the pool's part for reads");

    let failed = reader.read("test", |_| async { Err::<(), _>(DbErr::Custom("no".to_owned())) }).await;
    assert!(matches!(failed, Err(ReadError::Failed(_))));
    system.stop().await.unwrap();
    assert!(matches!(reader.read("test", |_| async { Ok(()) }).await, Err(ReadError::Busy)));
}
