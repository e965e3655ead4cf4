//! Integration tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by them"
)]

mod authlib;
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
mod oauth1;
mod promises;
mod refresh;
mod routes;
mod secrets;
mod stores;
mod world;
