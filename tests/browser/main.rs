//! The whole of tokenkeep as a person sees it: the demo, driven over HTTP and in a real browser, against a certified
//! OpenID Provider.
//!
//! `tests/run` sets everything up and runs these tests; `cargo test` alone only says so. One test:
//! `tests/run --only browser -- provider::rotation`.
//!
//! Every test has a provider, a demo and browsers of its own, and ends with a search of all that the demo printed, kept
//! and showed for every secret that was around.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking, and nobody depends on it"
)]

mod browser;
mod elsewhere;
mod evidence;
mod logout;
mod pages;
mod parts;
mod person;
mod provider;
mod siblings;
mod sites;
mod tls;
mod window;
mod world;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use world::Case;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let ready = std::env::var_os("TOKENKEEP_BROWSER_TESTS").is_some();
    if !ready && !arguments.list {
        println!(
            "These tests need a browser and a certified provider: `tests/run` installs both and runs them."
        );
    }
    // Whoever runs what other tests ignore, because servers are there, has no browser by that.
    arguments.include_ignored &= ready;
    arguments.ignored &= ready;
    let trials = provider::cases()
        .into_iter()
        .chain(browser::cases())
        .chain(sites::cases())
        .chain(siblings::cases())
        .chain(pages::cases())
        .chain(logout::cases())
        .map(|case| trial(case, ready))
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(case: Case, ready: bool) -> Trial {
    Trial::test(case.name, move || case.run().map_err(Into::into)).with_ignored_flag(!ready)
}
