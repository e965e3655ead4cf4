//! Integration tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by them"
)]

mod calls;
mod codes;
mod dice;
mod elsewhere;
mod examples;
mod faulty;
mod fleet;
mod kind;
mod kit;
mod living;
mod login;
mod logout;
mod middleware;
mod promises;
mod refresh;
mod routes;
mod secrets;
mod stores;
mod web;
mod world;
