//! What a newcomer sees first: a page at `/`, and a few lines once the demo is ready to take an order.

#![allow(clippy::print_stdout, reason = "these lines are for the person at the terminal, not for the log")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actors::System;
use contract::{BookId, demo};
use service::problem::Problem;
use service::routes::{Access, HasAuth, Request, Response, Route, Routes, Settings};
use store::actors::availability;
use store::app::App;

const PAGE: &str = include_str!("welcome.html");
/// The page has its style and its script in it, and talks to nobody but this server.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      frame-ancestors 'none'";
const ASK_WITHIN: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The page, and 404 for whatever no service answers.
pub(crate) fn routes(store: &Arc<App>) -> Routes {
    let table = vec![Route::get("/", Access::Anyone, page)];
    Routes::new("bookstore", Arc::clone(store), table, Settings::default())
}

async fn page<A: HasAuth>(_: Request<A>) -> Result<Response, Problem> {
    let html = http::HeaderValue::from_static("text/html; charset=utf-8");
    Ok(Response::bytes(http::StatusCode::OK, html, PAGE).header(http::header::CONTENT_SECURITY_POLICY, POLICY))
}

/// Waits until the store has stock to sell, then says what to open.
pub(crate) async fn greet(system: System, url: String, data_dir: PathBuf, store: Arc<App>) {
    if !system.started().await {
        return;
    }
    let books: Vec<BookId> = demo::BOOKS.iter().map(demo::DemoBook::id).collect();
    loop {
        let question = |reply| availability::Msg::Available { books: books.clone(), reply };
        let stock = store.addresses.availability.ask(ASK_WITHIN, question).await;
        if stock.is_ok_and(|stock| stock.iter().all(|copies| *copies > 0)) {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    println!("{}", greeting(&url, &data_dir));
}

fn greeting(url: &str, data_dir: &std::path::Path) -> String {
    let accounts: Vec<String> = demo::store_accounts()
        .into_iter()
        .chain(demo::WAREHOUSES.iter().map(|name| demo::warehouse_staff(name)))
        .map(|account| format!("    {:<26} {:<9} {}", account.email, account.password, account.role))
        .collect();
    let [first, second, ..] = demo::BOOKS;
    format!(
        "
  The bookstore is open: {url}
  Its data is in {}; Ctrl-C stops it.

  Try every call    {url}/store/docs  {url}/warehouses/alpha/docs
  Books             {url}/store/books
  Actors, as admin  {url}/store/actors
  Warehouses        {url}/warehouses/alpha/info  {url}/warehouses/beta/info

  Demo accounts
{}

  Order two of {:?} and one of {:?}:

    curl -su alice@customer.com:alice123 {url}/store/orders -H 'content-type: application/json' \\
      -d '{{\"items\":[{{\"bookId\":\"{}\",\"quantity\":2}},{{\"bookId\":\"{}\",\"quantity\":1}}]}}'
",
        data_dir.display(),
        accounts.join("\n"),
        first.title,
        second.title,
        first.id(),
        second.id(),
    )
}
