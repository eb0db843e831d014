//! Schemathesis reads each service's OpenAPI and tries to make it fail, as everybody who may talk to it. A few examples an operation here;
//! `make fuzz-api` gives it 200 (`FUZZ_EXAMPLES`).

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::harness::client::SECRET;
use crate::harness::*;

/// What must hold of every answer, whatever was sent.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,unsupported_method";
/// Left out: a stream without an end is nothing that can be read to it, and a password that changes locks the fuzzer out.
const LEFT_OUT: [&str; 2] = ["/actors/events", "/auth/password"];

enum As<'a> {
    Anybody,
    Account(&'a str, &'a str),
    Service,
}

#[tokio::test]
async fn fuzzing_the_store_as_everybody_finds_nothing() {
    let shop = Shop::open().await;
    let base = format!("http://{}", shop.store.address());
    for (role, who) in [
        ("nobody", As::Anybody),
        ("a customer", As::Account("alice@customer.com", "alice123")),
        ("an admin", As::Account("admin@bookstore.com", "admin123")),
        ("a service", As::Service),
    ] {
        fuzz(&base, role, &who).await;
    }
    // Whatever it ordered, shipped, adjusted and confirmed: the books balance.
    still_works(&shop).await;
}

#[tokio::test]
async fn fuzzing_a_warehouse_as_everybody_finds_nothing() {
    let shop = Shop::open().await;
    let base = format!("http://{}", shop.alpha.service.address());
    for (role, who) in [
        ("nobody", As::Anybody),
        ("staff", As::Account("staff@warehouse-alpha.com", "staff123")),
        ("a service", As::Service),
    ] {
        fuzz(&base, role, &who).await;
    }
    still_works(&shop).await;
}

async fn still_works(shop: &Shop) {
    for service in [&shop.store, &shop.alpha.service, &shop.beta.service] {
        service.anyone().get("/ready").await.expect(200);
    }
}

async fn fuzz(base: &str, role: &str, who: &As<'_>) {
    let examples = std::env::var("FUZZ_EXAMPLES").unwrap_or_else(|_| "3".to_owned());
    let seed = seed().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program());
    command.current_dir(folder.path()).args(["run", &format!("{base}/openapi.json"), "--url", base]);
    command.args([
        "--max-examples",
        &examples,
        "--checks",
        CHECKS,
        "--seed",
        &seed,
        "--request-timeout",
        "20",
        "--no-color",
    ]);
    for path in LEFT_OUT {
        command.args(["--exclude-path", path]);
    }
    match who {
        As::Anybody => {}
        As::Account(email, password) => drop(command.args(["--auth", &format!("{email}:{password}")])),
        As::Service => drop(command.args(["-H", &format!("Authorization: Bearer {SECRET}")])),
    }
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let summary = said.split("SUMMARY").last().unwrap_or_default();
    println!("as {role}: {summary}");
    assert!(output.status.success(), "as {role}:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Where `make` installs it, else wherever it is on the path.
fn program() -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/schemathesis/bin/st");
    let target = std::env::var("CARGO_TARGET_DIR").map(|target| Path::new(&target).join("tools/schemathesis/bin/st"));
    let found = target.into_iter().chain([installed]).find(|program| program.exists());
    found
        .or_else(|| {
            let folders = std::env::var_os("PATH")?;
            std::env::split_paths(&folders).map(|folder| folder.join("schemathesis")).find(|program| program.exists())
        })
        .expect("schemathesis is missing: run `.ci/need schemathesis`, which `make test` does")
}
