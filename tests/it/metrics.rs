//! What operators measure: metrics on a port of their own.

use kit::Port;

use crate::harness::*;

#[tokio::test]
async fn metrics_tell_of_requests_orders_sagas_warehouses_actors_and_connections() {
    let port = Port::reserve().unwrap();
    let listen = vec![("METRICS_LISTEN", port.address().to_string())];
    let shop = Shop::open_as(Plan { store: listen, ..Plan::default() }).await;
    let book = shop.books[0].clone();
    let shipped = shop.order(&[book.line(1)]).await.expect(201);
    shop.order(&[book.line(1_000)]).await.expect(409);
    shop.alice().get("/orders/no-such-order").await.expect(404);

    let metrics = Client::new(&format!("http://{}", port.address())).get("/metrics").await;
    assert_eq!((metrics.code(), metrics.header("content-type")), (200, "text/plain; version=0.0.4"));
    let value = |name: &str, labels: &[&str]| {
        let fits = |line: &&str| line.starts_with(name) && labels.iter().all(|label| line.contains(label));
        let line = metrics.text.lines().find(fits).unwrap_or_else(|| panic!("no {name} {labels:?}:\n{}", metrics.text));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let requests = "bookstore_http_request_duration_seconds_count";
    let placed = ["service=\"store\"", "method=\"POST\"", "route=\"/orders\""];
    assert_eq!(value(requests, &[&placed[..], &["status=\"201\""]].concat()), 1.0);
    assert_eq!(value(requests, &[&placed[..], &["status=\"409\""]].concat()), 1.0);
    assert_eq!(value(requests, &["route=\"/orders/:id\"", "status=\"404\""]), 1.0, "ids make no labels");
    assert_eq!(value("bookstore_orders_total", &["outcome=\"SHIPPED\""]), 1.0);
    assert_eq!(value("bookstore_orders_total", &["outcome=\"short\""]), 1.0);
    assert!(value("bookstore_saga_transitions_total", &["transition=\"shipped\""]) >= 1.0);
    value("bookstore_sagas", &["stage=\"shipping\""]);
    for name in [shop.alpha.name, shop.beta.name] {
        assert_eq!(value("bookstore_warehouse_healthy", &[name]), 1.0);
        assert_eq!(value("bookstore_warehouse_breaker_open", &[name]), 0.0);
        value("bookstore_stock_differences_total", &[name]);
    }
    assert_eq!(value("bookstore_actor_restarts_total", &["actor=\"store/catalog\""]), 0.0);
    assert_eq!(value("bookstore_actor_mailbox_depth", &["actor=\"store/journal\""]), 0.0);
    assert!(value("bookstore_actor_processing_seconds", &["actor=\"store/journal\"", "quantile=\"0.99\""]) > 0.0);
    assert!(value("bookstore_database_connections", &["state=\"idle\""]) >= 1.0);

    // What is internal is not on the port of everybody.
    assert_eq!(shop.anyone().get("/metrics").await.problem(404), "not-found");
    shop.invariants_hold(&[serde_json::from_value(shipped["id"].clone()).unwrap()]).await;
}
