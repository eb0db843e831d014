//! A warehouse put together: on both databases, against a store of the test's making, and over real HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad_input;
mod http;
mod listing;
mod relay;
mod reservations;
mod returns;
mod stock;
mod support;
mod titles;
