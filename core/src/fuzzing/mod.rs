//! What core promises about the bytes that others send it, each promise as a function of any bytes.
//!
//! `tests/fuzz` looks for bytes that break one, guided by coverage. The tests here need no fuzzer: they try each target on
//! its seeds (`tests/fuzz/seeds`), on what was ever found (`tests/fuzz/finds`), and on variations of both.
//!
//! A target panics where a promise is broken, and answers whether the bytes were accepted, so that the tests can tell
//! whether its seeds come as far as they should. No build that ships has this module: only `tests/fuzz/rustc` sets the
//! `cfg` that opens it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken promise panics, and the fuzzer keeps the bytes"
)]

mod api;
mod browser;
mod document;
mod oauth1;
mod settings;
mod store;
mod token;
mod token_answer;

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{Clock, Error, Sleep, Timestamp};

/// Reads any bytes, and answers whether they were accepted.
pub type Target = fn(&[u8]) -> bool;

/// Every target by its name, which is also that of its folder of seeds.
pub const TARGETS: [(&str, Target); 17] = [
    ("api_path", api::path),
    ("callback", browser::callback),
    ("challenge", api::challenge),
    ("claims", token::claims),
    ("cookies", browser::cookies),
    ("discovery", document::discovery),
    ("id_token", token::id_token),
    ("json", document::json),
    ("jwks", document::jwks),
    ("logout_response", browser::logout_response),
    ("logout_token", token::logout_token),
    ("oauth1_answer", oauth1::answer),
    ("record", store::record),
    ("return_to", browser::return_to),
    ("settings", settings::settings),
    ("token_answer", token_answer::token_answer),
    ("userinfo", document::userinfo),
];

const ISSUER: &str = "https://login.example";
const CLIENT_ID: &str = "client-1";
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A clock that stands still, and on which nothing is ever too late.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> Sleep<'_> {
        Box::pin(std::future::pending())
    }
}

/// Runs a future that waits for nothing.
fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..1000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    panic!("it waits for something");
}

/// An input that is text: up to the first line break, and what follows it.
fn line(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

/// However an error is shown, none of these stands in it; and it is of a readable length.
fn says_nothing_of(error: &Error, secrets: &[&str]) {
    let shown = format!("{error}\n{error:?}\n{error:#?}");
    for secret in secrets {
        assert!(!shown.contains(secret), "an error shows a secret");
    }
    assert!(shown.len() < 16 * 1024, "an error of {} bytes", shown.len());
}

/// A document with a member put before all others, if it is an object.
fn with_member(text: &str, member: &str) -> Option<String> {
    let rest = text.trim_start().strip_prefix('{')?;
    let comma = if rest.trim_start().starts_with('}') {
        ""
    } else {
        ","
    };
    Some(format!("{{{member}{comma}{rest}"))
}

#[cfg(test)]
mod tests;
