//! The page about the interface, in a real browser that has no network but the service.

use std::process::Stdio;

use tokio::process::Command;

use crate::harness::*;

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

#[tokio::test]
async fn the_page_shows_the_operations_offline() {
    let shop = Shop::open().await;
    for (service, wanted) in [
        (&shop.store, [">Place an order<", "/orders"]),
        (&shop.alpha.service, [">Ship everything, or nothing<", "/shipments"]),
    ] {
        let page = read(&format!("http://{}/docs", service.address())).await;
        for text in wanted {
            assert!(page.contains(text), "{text} is not on the page:\n{}", &page[..page.len().min(4_000)]);
        }
    }
}

/// The page as it stands once its scripts have run.
pub async fn read(url: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    for browser in BROWSERS {
        let mut command = Command::new(browser);
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
        // Every other host is unreachable.
        command.args([
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE *.localhost",
            "--virtual-time-budget=20000",
        ]);
        command.arg(format!("--user-data-dir={}", profile.path().display())).args(["--dump-dom", url]);
        match command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).output().await {
            Ok(output) => return String::from_utf8(output.stdout).unwrap(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => panic!("{browser}: {error}"),
        }
    }
    panic!("no browser: run `.ci/need chromium`, which `make test` does")
}
