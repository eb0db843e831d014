//! Actors that panic while customers order: each is restarted, nothing is lost, and it is seen.

use std::collections::HashSet;
use std::process::Command;
use std::time::Duration;

use kit::Mode;

use crate::harness::*;

/// Actors that do something at least every few seconds.
fn busy<'a>() -> Plan<'a> {
    Plan { store: vec![("INVENTORY_RECONCILIATION_INTERVAL_SECONDS", "2".into())], ..Plan::default() }
}

/// The actors that live as long as the service. Without supervisors, and http, whose only message is its end.
fn long_lived(actors: &[Value]) -> Vec<String> {
    let workers = actors.iter().filter(|actor| actor["mailbox"].is_object());
    let paths = workers.map(|actor| actor["path"].as_str().unwrap().to_owned());
    paths.filter(|path| !path.contains("/saga:") && !path.ends_with("/http")).collect()
}

/// Panics each of a service's actors once, and waits until each was restarted and runs.
async fn panic_each(shop: &Shop, service: &Service, viewer: &Client, provoke: impl AsyncFn()) {
    // Who would tell may be the one that is being restarted.
    let actors = async || kit::until("the actors are shown", SOON, async || shop.actors(viewer).await).await;
    let find = |actors: &[Value], path: &str| actors.iter().find(|actor| actor["path"] == *path).cloned();
    let paths = long_lived(&actors().await);
    assert!(paths.len() >= 6, "{paths:?}");
    for path in &paths {
        println!("{path}");
        let before = find(&actors().await, path).unwrap()["restarts"].as_u64().unwrap();
        service.faults(&format!("handle:{path}=1*return(panic)"));
        kit::until(&format!("{path} was restarted"), Duration::from_secs(90), async || {
            provoke().await;
            let actor = find(&actors().await, path).ok_or("it is gone")?;
            let again = actor["restarts"].as_u64().unwrap() > before && actor["state"] == "running";
            if again { Ok(()) } else { Err(actor.to_string()) }
        })
        .await;
        service.faults("");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_each_actor_of_the_store_panics_once() {
    let shop = Shop::open_as(busy()).await;
    let books = shop.plenty(5).await;
    let load = Load::start(&shop, 2, &books, Duration::from_millis(50));
    let client = shop.anyone();
    let book = books[0].id;
    let admin = shop.admin();
    panic_each(&shop, &shop.store, &admin, async || {
        client.get(&format!("/books/{book}")).await;
        // A change, which the audit log has to take.
        admin.patch(&format!("/books/{book}"), json!({ "genre": "Load" })).await;
    })
    .await;
    load.accepted(20, Duration::from_secs(60)).await;
    let report = load.stop().await;
    assert!(report.inexcusable().is_empty(), "{:?}", report.inexcusable());
    shop.invariants_hold(&report.told()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_each_actor_of_a_warehouse_panics_once() {
    let shop = Shop::open_as(busy()).await;
    let books = shop.plenty(5).await;
    let load = Load::start(&shop, 2, &books, Duration::from_millis(50));
    let staff = shop.alpha.staff();
    panic_each(&shop, &shop.alpha.service, &staff, async || {
        staff.get("/inventory").await;
        staff.patch(&format!("/inventory/{}", books[0].id), json!({ "delta": 1 })).await;
    })
    .await;
    load.accepted(20, Duration::from_secs(60)).await;
    let report = load.stop().await;
    assert!(report.inexcusable().is_empty(), "{:?}", report.inexcusable());
    shop.invariants_hold(&report.told()).await;
}

/// http takes no message while all is well, so it is its start that fails, in each service.
#[tokio::test]
async fn a_server_that_fails_to_start_is_started_again() {
    let mut shop = Shop::prepare(Plan::default()).await;
    for (service, root) in
        [(&shop.store, "store"), (&shop.alpha.service, "warehouse"), (&shop.beta.service, "warehouse")]
    {
        service.faults(&format!("start:{root}/http=1*return(panic)"));
    }
    shop.start().await;
    for (viewer, root) in [(shop.admin(), "store"), (shop.alpha.staff(), "warehouse"), (shop.beta.staff(), "warehouse")]
    {
        let actors = shop.actors(&viewer).await.unwrap();
        let http = actors.iter().find(|actor| actor["path"] == format!("{root}/http")).unwrap();
        assert_eq!((&http["restarts"], &http["state"]), (&json!(1), &json!("running")));
        assert!(http["lastFailure"]["reason"].to_string().contains("injected"), "{http}");
    }
    shop.order(&[shop.books[0].line(1)]).await.expect(201);
    shop.invariants_hold(&[]).await;
}

/// R24: it is set aside and shown, the others ship, and once what made it panic is gone it ends as any other.
#[tokio::test(flavor = "multi_thread")]
async fn one_saga_that_always_panics_among_a_hundred_good_ones() {
    let mut shop = Shop::open_as(Plan {
        store: vec![("ORDER_WAIT_MS", "500".into()), ("DISPATCH_TIMEOUT_MS", "500".into())],
        ..Plan::default()
    })
    .await;
    let books = shop.plenty(3).await;
    let poisoned = shop.books[10].clone();
    shop.stock(&poisoned, 20, 0).await;
    shop.alpha.to.set(Mode::Hang).await.unwrap();
    let placed = shop.order(&[poisoned.line(1)]).await;
    assert_eq!(placed.code(), 202, "{}", placed.text);
    let order = placed.order().unwrap();
    let fault = format!(
        "handle:store/fulfillment/sagas/saga:{order}=return(panic)\nstart:store/fulfillment/sagas/saga:{order}=return(panic)"
    );
    shop.store.faults(&fault);
    shop.alpha.to.set(Mode::Pass).await.unwrap();
    shop.warehouse_is("warehouse-alpha", "HEALTHY").await;

    let load = Load::start(&shop, 4, &books, Duration::ZERO);
    load.accepted(100, Duration::from_secs(60)).await;
    let report = load.stop().await;
    assert_eq!(report.codes().keys().filter(|code| !matches!(**code, 201 | 202)).count(), 0, "{:?}", report.codes());
    shop.order_is(order, "NEEDS_ATTENTION", Duration::from_secs(60)).await;
    let good = report.told();
    for order in &good {
        let owner = shop.admin().get(&format!("/orders/{order}")).await.expect(200);
        assert_eq!(owner["status"], "SHIPPED", "{owner}");
    }

    shop.store.terminate().await;
    shop.store.start();
    shop.store.ready().await;
    assert_eq!(shop.look_up(order).await["status"], "NEEDS_ATTENTION");
    let panics = format!("SELECT panics FROM sagas WHERE order_id = '{order}'");
    assert!(shop.store.sql().await.number(&panics).await.unwrap() >= 3, "they are counted over the restart");

    shop.store.faults("");
    shop.order_is(order, "SHIPPED", Duration::from_secs(120)).await;
    let told: HashSet<Uuid> = good.into_iter().chain([order]).collect();
    shop.invariants_hold(&told.into_iter().collect::<Vec<_>>()).await;
}

/// The points at which tests inject faults are not in what is released.
#[test]
fn a_release_build_has_no_fault_points() {
    let tree = |features: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["tree", "--workspace", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p} {f}"])
            .args(features);
        let output = cargo.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let has_points = |tree: &str| {
        tree.lines()
            .any(|line| line.starts_with("fail v") || (line.starts_with("actors v") && line.contains("failpoints")))
    };
    assert!(!has_points(&tree(&[])));
    assert!(has_points(&tree(&["--features", "failpoints"])), "else this shows nothing");
}
