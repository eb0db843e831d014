//! Who may do what: every route of both services with every kind of credentials, and what a customer cannot become.

use std::collections::BTreeSet;

use reqwest::Method;

use crate::harness::client::SECRET;
use crate::harness::*;

/// Who may use each route of the store: `anyone`, who need not be anybody, `optional`, where credentials that are given
/// must be right, roles, and `service`, which has the secret.
const STORE: &[(&str, &str, &str)] = &[
    ("GET", "/health", "anyone"),
    ("GET", "/ready", "anyone"),
    ("GET", "/openapi.json", "anyone"),
    ("GET", "/docs", "anyone"),
    ("GET", "/docs/{file}", "anyone"),
    ("GET", "/actors", "STORE_ADMIN"),
    ("GET", "/actors/events", "STORE_ADMIN"),
    ("POST", "/actors/restart", "STORE_ADMIN"),
    ("GET", "/audit", "STORE_ADMIN"),
    ("POST", "/auth/register", "optional"),
    ("POST", "/auth/login", "anyone"),
    ("POST", "/auth/password", "CUSTOMER STORE_ADMIN"),
    ("GET", "/books", "optional"),
    ("GET", "/books/{id}", "optional"),
    ("POST", "/books", "STORE_ADMIN"),
    ("PUT", "/books/{id}", "STORE_ADMIN"),
    ("PATCH", "/books/{id}", "STORE_ADMIN"),
    ("DELETE", "/books/{id}", "STORE_ADMIN"),
    ("POST", "/books/import", "STORE_ADMIN"),
    ("POST", "/orders", "CUSTOMER STORE_ADMIN"),
    ("GET", "/orders", "CUSTOMER STORE_ADMIN"),
    ("GET", "/orders/{id}", "CUSTOMER STORE_ADMIN"),
    ("GET", "/orders/{id}/events", "CUSTOMER STORE_ADMIN"),
    ("POST", "/orders/{id}/cancel", "CUSTOMER STORE_ADMIN"),
    ("POST", "/orders/{id}/return", "CUSTOMER STORE_ADMIN"),
    ("GET", "/sagas", "STORE_ADMIN"),
    ("GET", "/sagas/{id}", "STORE_ADMIN"),
    ("POST", "/sagas/{id}/retry", "STORE_ADMIN"),
    ("POST", "/sagas/{id}/resume", "STORE_ADMIN"),
    ("POST", "/sagas/{id}/cancel", "STORE_ADMIN"),
    ("POST", "/orders/{id}/status", "service"),
    ("PATCH", "/orders/{id}/status", "service"),
    ("GET", "/inventory/books/{id}", "anyone"),
    ("POST", "/inventory/reconcile", "STORE_ADMIN"),
    ("GET", "/warehouses", "STORE_ADMIN"),
    ("PATCH", "/warehouses/{name}", "STORE_ADMIN"),
    ("DELETE", "/warehouses/{name}", "STORE_ADMIN"),
    ("POST", "/warehouses/register", "service"),
];

/// The same of a warehouse.
const WAREHOUSE: &[(&str, &str, &str)] = &[
    ("GET", "/health", "service"),
    ("GET", "/ready", "anyone"),
    ("GET", "/info", "anyone"),
    ("GET", "/openapi.json", "anyone"),
    ("GET", "/docs", "anyone"),
    ("GET", "/docs/{file}", "anyone"),
    ("GET", "/actors", "WAREHOUSE_STAFF"),
    ("GET", "/actors/events", "WAREHOUSE_STAFF"),
    ("POST", "/actors/restart", "WAREHOUSE_STAFF"),
    ("GET", "/audit", "WAREHOUSE_STAFF"),
    ("POST", "/auth/register", "WAREHOUSE_STAFF"),
    ("POST", "/auth/login", "anyone"),
    ("POST", "/auth/password", "WAREHOUSE_STAFF"),
    ("GET", "/inventory", "service WAREHOUSE_STAFF"),
    ("POST", "/inventory", "WAREHOUSE_STAFF"),
    ("GET", "/inventory/{bookId}", "service WAREHOUSE_STAFF"),
    ("PATCH", "/inventory/{bookId}", "WAREHOUSE_STAFF"),
    ("GET", "/inventory/{bookId}/movements", "WAREHOUSE_STAFF"),
    ("GET", "/shipments", "WAREHOUSE_STAFF"),
    ("POST", "/shipments", "service"),
    ("POST", "/shipments/{id}/void", "service"),
    ("GET", "/reservations", "WAREHOUSE_STAFF"),
    ("POST", "/reservations", "service"),
    ("POST", "/reservations/{id}/confirm", "service"),
    ("POST", "/reservations/{id}/ship", "service"),
    ("DELETE", "/reservations/{id}", "service"),
    ("POST", "/returns", "service"),
];

#[derive(Debug, Clone, Copy)]
enum Who {
    Nobody,
    WrongPassword(&'static str),
    Account { role: &'static str, email: &'static str, password: &'static str },
    Service,
    WrongSecret,
}

/// 401, 403, or none where neither is allowed.
fn expected(access: &str, who: Who) -> Option<u16> {
    let words: Vec<&str> = access.split(' ').collect();
    let (anyone, optional, service) = (words == ["anyone"], words == ["optional"], words.contains(&"service"));
    let roles = !anyone && words.iter().any(|word| word.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
    let allowed = match who {
        _ if anyone => true,
        Who::Nobody => optional,
        Who::WrongPassword(_) | Who::WrongSecret => false,
        Who::Service => optional || service,
        Who::Account { role, .. } => optional || words.contains(&role),
    };
    match who {
        _ if allowed => None,
        // Known by credentials that the route asks for, and not among those it is for.
        Who::Account { .. } if roles => Some(403),
        _ => Some(401),
    }
}

/// Sends a request of each kind to each route and sees whether it is let in. What lets it in may refuse it for its body.
async fn walk(service: &Service, table: &[(&str, &str, &str)], everybody: &[Who]) {
    let base = format!("http://{}", service.address());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let document = service.anyone().get("/openapi.json").await.expect(200);
    let mut routes = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap().keys().map(|method| method.to_uppercase());
        routes.extend(methods.filter(|method| method != "PARAMETERS").map(|method| (method, path.clone())));
    }
    let listed: BTreeSet<_> =
        table.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(routes, listed, "what the service answers, and what this table says");

    for (method, path, access) in table {
        let id = Uuid::new_v4().to_string();
        let path: Vec<_> = path.split('/').map(|part| if part.starts_with('{') { &*id } else { part }).collect();
        let url = format!("{base}{}", path.join("/"));
        for who in everybody {
            let request = http.request(Method::from_bytes(method.as_bytes()).unwrap(), &url);
            let request = match who {
                Who::Nobody => request,
                Who::WrongPassword(email) => request.basic_auth(email, Some("not the password")),
                Who::Account { email, password, .. } => request.basic_auth(email, Some(password)),
                Who::Service => request.bearer_auth(SECRET),
                Who::WrongSecret => request.bearer_auth("not the secret"),
            };
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            let refused = [401, 403].contains(&status).then_some(status);
            assert_eq!(refused, expected(access, *who), "{method} {url} ({access}) as {who:?}: {status}");
            assert!(status < 500, "{method} {url} as {who:?}: {status}");
            assert_eq!(answer.headers().contains_key("www-authenticate"), status == 401, "{method} {url} as {who:?}");
        }
    }
}

fn patient() -> Plan<'static> {
    let keys = ["LOGIN_FAILURES_PER_ACCOUNT", "LOGIN_FAILURES_PER_ADDRESS"].map(|key| (key, "10000".to_owned()));
    Plan { store: keys.to_vec(), warehouses: keys.to_vec(), ..Plan::default() }
}

#[tokio::test]
async fn every_route_is_for_those_it_is_for_and_nobody_else() {
    let shop = Shop::open_as(patient()).await;
    // Roles that nobody can have there by any request.
    let sql = shop.store.sql().await;
    sql.execute("UPDATE users SET role = 'WAREHOUSE_STAFF' WHERE email = 'bob@customer.com'").await.unwrap();
    let account = |role, email, password| Who::Account { role, email, password };
    let store = [
        Who::Nobody,
        Who::WrongPassword("admin@bookstore.com"),
        account("CUSTOMER", "alice@customer.com", "alice123"),
        account("STORE_ADMIN", "admin@bookstore.com", "admin123"),
        account("WAREHOUSE_STAFF", "bob@customer.com", "bob123"),
        Who::Service,
        Who::WrongSecret,
    ];
    walk(&shop.store, STORE, &store).await;

    let staff = shop.alpha.staff();
    for email in ["customer@x.com", "admin@x.com"] {
        staff.post("/auth/register", json!({ "email": email, "password": "correct horse" })).await.expect(201);
    }
    let sql = shop.alpha.service.sql().await;
    for (role, email) in [("CUSTOMER", "customer@x.com"), ("STORE_ADMIN", "admin@x.com")] {
        sql.execute(&format!("UPDATE users SET role = '{role}' WHERE email = '{email}'")).await.unwrap();
    }
    let warehouse = [
        Who::Nobody,
        Who::WrongPassword("staff@warehouse-alpha.com"),
        account("CUSTOMER", "customer@x.com", "correct horse"),
        account("STORE_ADMIN", "admin@x.com", "correct horse"),
        account("WAREHOUSE_STAFF", "staff@warehouse-alpha.com", "staff123"),
        Who::Service,
        Who::WrongSecret,
    ];
    walk(&shop.alpha.service, WAREHOUSE, &warehouse).await;
}

#[tokio::test]
async fn a_customer_becomes_neither_admin_nor_staff_by_any_request() {
    let shop = Shop::open_as(patient()).await;
    let (anyone, alice) = (shop.anyone(), shop.alice());
    let roles = [
        r#""STORE_ADMIN""#,
        r#""store_admin""#,
        r#""Store_Admin""#,
        r#"" STORE_ADMIN""#,
        r#""ADMIN""#,
        r#""admin""#,
        r#""WAREHOUSE_STAFF""#,
        r#""CUSTOMER,STORE_ADMIN""#,
        r#"["STORE_ADMIN"]"#,
        r#"{"STORE_ADMIN": null}"#,
        "1",
        "true",
    ];
    let mut bodies: Vec<String> = roles
        .iter()
        .flat_map(|role| {
            ["role", "Role", "roles", "ROLE", "is_admin", "isAdmin", "user.role"]
                .map(|member| format!(r#"{{"email": "EMAIL", "password": "correct horse", "{member}": {role}}}"#))
        })
        .collect();
    bodies.extend([
        r#"{"email": "EMAIL", "password": "correct horse", "role": "CUSTOMER", "role": "STORE_ADMIN"}"#.to_owned(),
        r#"{"email": "EMAIL", "password": "correct horse", "role": "STORE_ADMIN", "role": "CUSTOMER"}"#.to_owned(),
        r#"{"email": "EMAIL", "password": "correct horse", "ro\u006ce": "STORE_ADMIN"}"#.to_owned(),
        r#"{"email": "EMAIL", "password": "correct horse", "firstName": "x', role = 'STORE_ADMIN"}"#.to_owned(),
        r#"{"email": "admin@bookstore.com", "password": "correct horse"}"#.to_owned(),
        r#"{"email": " ADMIN@bookstore.com ", "password": "correct horse"}"#.to_owned(),
    ]);
    let json = Some("application/json");
    for (number, body) in bodies.iter().enumerate() {
        for (who, client) in [("anyone", &anyone), ("alice", &alice)] {
            let body = body.replace("EMAIL", &format!("{who}{number}@x.com")).into_bytes();
            client.try_send_raw(Method::POST, "/auth/register", Some(body), json).await.unwrap();
        }
        let body = body.replace("EMAIL", "alice@customer.com").replace("correct horse", "alice123").into_bytes();
        for (method, path) in [
            (Method::PATCH, "/auth/register"),
            (Method::PUT, "/auth/register"),
            (Method::PATCH, "/auth/login"),
            (Method::POST, "/auth/login"),
            (Method::POST, "/auth/password"),
            (Method::POST, "/orders"),
            (Method::POST, "/auth/register?role=STORE_ADMIN"),
        ] {
            alice.try_send_raw(method, path, Some(body.clone()), json).await.unwrap();
        }
        let body = body_for_staff(number);
        for client in
            [shop.alpha.service.anyone(), shop.alpha.service.anyone().who_is("alice@customer.com", "alice123")]
        {
            let answer = client.try_send_raw(Method::POST, "/auth/register", Some(body.clone()), json).await.unwrap();
            assert_eq!(answer.code(), 401, "{}", answer.text);
        }
    }
    let store = shop.store.sql().await;
    let privileged = "SELECT count(*) FROM users WHERE role <> 'CUSTOMER'";
    assert_eq!(store.number(privileged).await.unwrap(), 1, "the demo's admin");
    assert!(store.number("SELECT count(*) FROM users").await.unwrap() > 10, "as customers they were welcome");
    let admin = shop.admin().get("/warehouses").await;
    admin.expect(200);
    alice.get("/warehouses").await.problem(403);
    let alpha = shop.alpha.service.sql().await;
    assert_eq!(alpha.number("SELECT count(*) FROM users").await.unwrap(), 1, "the demo's staff");
}

fn body_for_staff(number: usize) -> Vec<u8> {
    let body =
        json!({ "email": format!("staff{number}@x.com"), "password": "correct horse", "role": "WAREHOUSE_STAFF" });
    body.to_string().into_bytes()
}
