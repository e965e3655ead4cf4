//! Which tests should miss a check, where none of the common parts fits.

use crate::list::Part;

/// Tests of the application's own grants.
pub(super) const APP: Part =
    Part::Only(&["-p", "tokenkeep-it", "--test", "it", "--", "refresh::app"]);

/// Integration tests that `docs/authlib-*.md` name.
pub(super) const AUTHLIB: Part =
    Part::Only(&["-p", "tokenkeep-it", "--test", "it", "--", "authlib"]);

/// Integration tests of pauses.
pub(super) const PAUSES: Part = Part::Only(&[
    "-p",
    "tokenkeep-it",
    "--test",
    "it",
    "--",
    "refresh::answers::a_pause",
]);

/// Integration tests of answers that are late or none.
pub(super) const ANSWERS: Part =
    Part::Only(&["-p", "tokenkeep-it", "--test", "it", "--", "login::answers"]);

/// Eight processes over one file.
pub(super) const RACE: Part = Part::Only(&[
    "-p",
    "tokenkeep-it",
    "--test",
    "it",
    "--",
    "race::eight_processes_spend_each_refresh_token_once_over_sqlite",
]);

/// Integration tests of refreshes one after the other.
pub(super) const FORCED: Part = Part::Only(&[
    "-p",
    "tokenkeep-it",
    "--test",
    "it",
    "--",
    "refresh::crowd::forced",
]);

/// Integration tests of tokens that the application keeps.
pub(super) const CLOSURES: Part =
    Part::Only(&["-p", "tokenkeep-it", "--test", "it", "--", "elsewhere"]);

/// Integration tests that search what is said, and what is kept, for secrets.
pub(super) const SECRETS: Part =
    Part::Only(&["-p", "tokenkeep-it", "--test", "it", "--", "secrets::"]);

/// Unit tests of tokens and their records.
pub(super) const RECORDS: Part = Part::Only(&["-p", "tokenkeep-core", "--lib", "token::"]);

/// Unit tests of the settings.
pub(super) const SETTINGS: Part = Part::Only(&["-p", "tokenkeep-core", "--lib", "config::"]);

/// Unit tests of the way to the network.
pub(super) const NETWORK: Part = Part::Only(&["-p", "tokenkeep-core", "--lib", "http::"]);

/// Unit tests of the settings, and of registrations.
pub(super) const REGISTRATIONS: Part = Part::Only(&[
    "-p",
    "tokenkeep-core",
    "--lib",
    "--",
    "config::",
    "registration::",
]);

/// Unit tests of the time at which a token is renewed, and of who may ask.
pub(super) const WHEN: Part = Part::Only(&[
    "-p",
    "tokenkeep-core",
    "--lib",
    "--",
    "refresh::snapshot",
    "refresh::circuit",
]);

/// Unit tests of what a record becomes.
pub(super) const TRANSITIONS: Part =
    Part::Only(&["-p", "tokenkeep-core", "--lib", "refresh::transition"]);

/// Integration tests of settings, of endpoints, and of a provider that is away.
pub(super) const THROUGH: Part = Part::Only(&[
    "-p",
    "tokenkeep-it",
    "--test",
    "it",
    "--",
    "login::configuration",
    "login::endpoints",
    "login::registry",
    "login::requests",
    "login::callback",
    "refresh::circuit",
    "refresh::app",
]);
