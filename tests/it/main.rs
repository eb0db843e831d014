//! End to end: the store and two warehouses in processes of their own on PostgreSQL, over real HTTP. A module a scenario; the invariants at the end
//! of every test. The programs are built first: `cargo build --workspace --bins --tests --features failpoints` (`make test` does).

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, unreachable_pub, reason = "tests and their helpers")]
#![allow(clippy::too_many_lines, reason = "tables of cases are long")]

mod harness;

mod all_in_one;
mod bad_input;
mod catalogue;
mod crash_everywhere;
mod crash_store;
mod crash_warehouse;
mod defects;
mod deployment;
mod docs;
mod expected_load;
mod failing_steps;
mod fulfillment;
mod fuzz_api;
mod hung_warehouse;
mod idempotency;
mod idempotency_keys;
mod limits;
mod lost_commits;
mod metrics;
mod outage;
mod oversell;
mod races;
mod registration;
mod reservations;
mod restore;
mod roles;
mod supervision;
mod warehouses_admin;
