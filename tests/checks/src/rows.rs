//! `docs/authlib.md`, `docs/authlib-openid.md` and `docs/authlib-weak-points.md`: no row is missing, and each names a test that exists and what
//! is taken out to see it fail.

use std::{collections::BTreeSet, fs};

use crate::{
    by_row::{Row, rows},
    list::checks,
    work::project,
};

/// What neither side has cannot be tested, and these rows say so.
const ABSENT: [&str; 4] = ["1.11 V3", "1.23 RFC 7591", "1.23 absent", "1.6 T11"];

/// Rows that are numbered: section, letter, count.
const NUMBERED: [(&str, char, usize); 18] = [
    ("1.1", 'R', 9),
    ("1.2", 'C', 12),
    ("1.3", 'S', 13),
    ("1.4", 'A', 12),
    ("1.5", 'B', 11),
    ("1.6", 'T', 11),
    ("1.7", 'M', 5),
    ("1.8", 'U', 11),
    ("1.9", 'Q', 10),
    ("1.10", 'K', 9),
    ("1.11", 'V', 3),
    ("1.13", 'D', 8),
    ("1.14", 'E', 18),
    ("1.15", 'N', 2),
    ("1.16", 'L', 5),
    ("1.17", 'J', 5),
    ("1.18", 'X', 18),
    ("1.19", 'H', 7),
];

/// Rows that have names.
const NAMED: [(&str, &[&str]); 6] = [
    (
        "1.12",
        &[
            "access_token_response",
            "refresh_token_request",
            "refresh_token_response",
            "protected_request",
            "revoke_token_request",
            "introspect_token_request",
            "register_compliance_hook",
        ],
    ),
    (
        "1.20",
        &[
            "callback-denied",
            "callback-denied-by-form",
            "callback-server-error",
            "callback-login-required",
            "callback-invalid-scope",
            "callback-issuer",
            "state-unknown",
            "state-expired",
            "state-missing",
            "code-missing",
            "parameter-doubled",
            "token-invalid-grant",
            "token-invalid-client",
            "token-html",
            "token-404-json",
            "token-no-access-token",
            "token-type",
            "token-no-type",
            "token-503",
            "token-network",
            "refresh-invalid-grant",
            "refresh-503",
            "call-no-token",
            "call-nobody",
            "call-expired",
            "call-token-type",
            "call-foreign-origin",
            "call-network",
            "id-token-missing",
            "id-token-key",
            "id-token-signature",
            "id-token-algorithm",
            "id-token-claim",
            "id-token-nonce",
            "id-token-audience",
            "id-token-issuer",
            "id-token-expired",
            "no-authorize-url",
            "no-authorize-url-in-metadata",
            "no-keys",
            "no-userinfo",
            "no-end-session",
            "metadata-404",
            "keys-503",
            "userinfo-503",
            "logout-state-missing",
            "logout-state-unknown",
            "before-init",
            "unknown-client",
            "insecure-transport",
            "unknown-setting",
            "update_token",
            "token_expired",
            "missing_token_type",
            "missing_request_token",
            "insecure_transport",
            "missing_verifier",
            "fetch_token_denied",
        ],
    ),
    (
        "1.21",
        &[
            "http",
            "signal",
            "update_token",
            "no ID token",
            "algorithms",
            "redirect_uri",
            "cleaning",
            "lock",
            "token on the request",
            "fetch_token",
            "POST callback",
            "stream",
        ],
    ),
    ("1.22", &["logging"]),
    (
        "1.23",
        &[
            "RFC 6749",
            "RFC 6750",
            "RFC 7009",
            "RFC 7662",
            "RFC 7523",
            "RFC 7591",
            "RFC 7636",
            "RFC 8414",
            "RFC 8628",
            "RFC 8693",
            "RFC 8707",
            "RFC 9207",
            "RFC 9470",
            "absent",
            "OpenID Connect",
            "OAuth 1.0a",
        ],
    ),
    (
        "1.24",
        &["metadata", "secure transport", "user names in URLs"],
    ),
];

fn expected() -> BTreeSet<String> {
    let numbered = NUMBERED.iter().flat_map(|&(section, letter, count)| {
        (1..=count).map(move |number| format!("{section} {letter}{number}"))
    });
    let named = NAMED
        .iter()
        .flat_map(|(section, names)| names.iter().map(move |name| format!("{section} {name}")));
    let weak_points = (1..=74).map(|number| format!("W{number}"));
    numbered.chain(named).chain(weak_points).collect()
}

#[test]
fn no_row_is_missing_and_none_is_made_up() {
    let rows = rows().unwrap();
    let mut there = BTreeSet::new();
    for row in &rows {
        assert!(there.insert(row.id.clone()), "{} is there twice", row.id);
    }
    let expected = expected();
    let missing: Vec<_> = expected.difference(&there).collect();
    let made_up: Vec<_> = there.difference(&expected).collect();
    assert!(
        missing.is_empty() && made_up.is_empty(),
        "missing: {missing:?}, made up: {made_up:?}"
    );
}

#[test]
fn each_row_names_a_test_that_exists_and_what_is_taken_out() {
    let known: BTreeSet<&str> = checks().map(|check| check.name).collect();
    let mut tested = 0;
    for Row { id, tests, checks } in rows().unwrap() {
        if tests.is_empty() {
            assert!(ABSENT.contains(&id.as_str()), "{id} has no test");
            assert!(checks.is_empty(), "{id} takes something out");
            continue;
        }
        for (test, file) in &tests {
            let source = fs::read_to_string(project().join(file))
                .unwrap_or_else(|_| panic!("{id}: {file} does not exist"));
            assert!(
                source.contains(&format!("fn {test}(")),
                "{id}: {file} has no {test}"
            );
        }
        for name in &checks {
            assert!(
                known.contains(name.as_str()),
                "{id}: {name:?} is taken out nowhere"
            );
        }
        tested += 1;
    }
    assert_eq!(tested + ABSENT.len(), expected().len());
}
