//! Sessions: how they are kept, and how they end.

use crate::list::{Group, Part};

/// Every group.
pub(super) const GROUPS: &[Group] = &[
    // The session and its cookie.
    // Under which key it is kept.
    Group {
        file: "core/src/session.rs",
        part: Part::Login,
        checks: &[
            (
                "a session that is over",
                "if content.until <= now {",
                "if false {",
            ),
            (
                "an account connected to somebody else",
                "Some(connect) if signed_in.is_some_and(|session| session.owner == *connect) => connect,",
                "Some(connect) if signed_in.is_some() || !connect.is_empty() => connect,",
            ),
            (
                "a session that a login replaces",
                "            self.end_replaced(ready, before).await;\n",
                "            let _ = before;\n",
            ),
            (
                "a login whose session the provider has ended",
                "        self.refuse_if_ended(ready, login, &key, Some(&session.key))\n            .await?;\n",
                "",
            ),
            (
                "a post without the page's token",
                "if brought.is_some_and(|brought| crate::seal::equal(brought, self.csrf.expose())) {",
                "if brought.is_some() {",
            ),
            (
                "a further account in the place of the first",
                "TokenKey::new(&login.client, owner)?.account(&login.account)?",
                "TokenKey::new(&login.client, owner)?",
            ),
        ],
    },
    // What is kept without a session.
    Group {
        file: "core/src/session.rs",
        part: Part::Grants,
        checks: &[
            (
                "a login that belongs to a browser's session",
                "if login.connect.is_some() {",
                "if false {",
            ),
            (
                "what is no access token",
                "if let Credential::Other { .. } = token.credential {",
                "if let (true, Credential::Other { .. }) = (false, &token.credential) {",
            ),
        ],
    },
    // Back-channel logout.
    Group {
        file: "core/src/session/backchannel.rs",
        part: Part::Login,
        checks: &[
            (
                "a logout token signed as no ID token is, where its session is gone",
                "if state.never_signs_by(token.algorithm) {",
                "if false {",
            ),
            (
                "a logout token that was used before",
                "if !ready.first_time(USED, id, life).await? {",
                "if !ready.first_time(USED, id, life).await? && token.id.is_empty() {",
            ),
            (
                "the session that is named, and no other",
                "        (Some(sid), subject) => Of::Session { sid, subject },",
                "        (Some(_), Some(subject)) => Of::Subject(subject),\n        (Some(sid), subject) => Of::Session { sid, subject },",
            ),
            (
                "a logout that comes before its login is kept",
                "    ready.mark(&state, &whose).await?;\n",
                "",
            ),
        ],
    },
    // How sessions end.
    Group {
        file: "core/src/session/ending.rs",
        part: Part::Login,
        checks: &[
            (
                "a logout token signed by another algorithm than the ID token",
                "        whose.check_algorithm(record.payload())?;\n",
                "",
            ),
            (
                "another of the provider's sessions",
                "(Of::Session { sid, .. }, Some(other)) => sid != other,",
                "(Of::Session { sid, .. }, Some(other)) => sid != other && other.is_empty(),",
            ),
            (
                "a grant that outlives the provider's session",
                "            is_bound(state, payload)\n                && ",
                "            ",
            ),
        ],
    },
    // Front-channel logout.
    Group {
        file: "core/src/session/frontchannel.rs",
        part: Part::Login,
        checks: &[
            (
                "a frame of another issuer",
                "if !rule.is_some_and(|rule| rule.covers(issuer.expose())) {",
                "if rule.is_none() {",
            ),
            (
                "a frame that goes by the cookie alone",
                "[None, None] if state.resolved.frontchannel_by_cookie => {",
                "[None, None] => {",
            ),
        ],
    },
    // Who is shown an ID token at a logout.
    Group {
        file: "core/src/session/logout.rs",
        part: Part::Login,
        checks: &[(
            "the hint of a logout at another provider",
            "match is_the_issuers.await? {",
            "match is_the_issuers.await? || true {",
        )],
    },
    // Logouts that come before the login that they end.
    Group {
        file: "core/src/session/marks.rs",
        part: Part::Login,
        checks: &[
            (
                "logins that look for a logout in turn",
                "ready.in_turn(&turn, self.was_ended(ready, &state)).await?",
                "self.was_ended(ready, &state).await?",
            ),
            (
                "a login without sid, while some session of its user ended",
                ".chain(nameless.map(Marked::Nameless))",
                "",
            ),
        ],
    },
];
