//! The parts of a service together: on both databases, and over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod accounts;
mod answers;
mod audit;
mod database;
mod http;
mod support;
