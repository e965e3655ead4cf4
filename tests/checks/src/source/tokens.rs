//! Kept tokens: how they are renewed, told of, stored and sealed.

use super::parts::{
    ANSWERS, APP, AUTHLIB, CLOSURES, FORCED, NETWORK, PAUSES, RACE, RECORDS, SECRETS, THROUGH,
    TRANSITIONS, WHEN,
};
use crate::list::{Group, Part};

/// Every group.
pub(super) const GROUPS: &[Group] = &[
    // What is told.
    Group {
        file: "core/src/events.rs",
        part: AUTHLIB,
        checks: &[(
            "a change that is told",
            "        let _ = self.0.send(update);\n",
            "        drop(update);\n",
        )],
    },
    // The way out.
    Group {
        file: "core/src/http.rs",
        part: AUTHLIB,
        checks: &[(
            "one pool for all calls",
            "        self.0.execute(request).await.map_err(|error| {",
            "        reqwest::Client::new().execute(request).await.map_err(|error| {",
        )],
    },
    // How long the provider may take.
    Group {
        file: "core/src/http.rs",
        part: ANSWERS,
        checks: &[(
            "a provider that takes too long",
            "            () = self.clock.sleep(timeout) => Err(Failure {",
            "            () = self.clock.sleep(timeout * 1000) => Err(Failure {",
        )],
    },
    // Where plain http is safe.
    Group {
        file: "core/src/http.rs",
        part: NETWORK,
        checks: &[(
            "http to what is no loopback",
            "        \"http\" => is_loopback(url),\n",
            "        \"http\" => url.has_host(),\n",
        )],
    },
    // The application's own grant, where no refresh can help.
    Group {
        file: "core/src/refresh/attempt.rs",
        part: APP,
        checks: &[(
            "a grant of the application of another registration",
            "record.header.state == State::Active && binding.fits(record)",
            "record.header.state == State::Active",
        )],
    },
    // Whose credentials renew a token.
    Group {
        file: "core/src/refresh/attempt.rs",
        part: THROUGH,
        checks: &[(
            "a user's token renewed by the client's own credentials",
            "if payload.refresh_token.is_none() && !self.is_of_the_app() {",
            "if false {",
        )],
    },
    // Whom a refusal is about.
    Group {
        file: "core/src/refresh/breaker.rs",
        part: Part::Only(&["-p", "tokenkeep-core", "--lib", "refresh::breaker"]),
        checks: &[(
            "a refusal of one grant, which is no business of the others",
            "    said == Some(\"invalid_client\")\n",
            "    said.is_some()\n",
        )],
    },
    // A provider that is away.
    Group {
        file: "core/src/refresh/circuit.rs",
        part: WHEN,
        checks: &[
            (
                "a provider that is away, asked by one at a time",
                "        if now < open.until {\n",
                "        if false {\n",
            ),
            (
                "one probe while a provider is away",
                "        if open.probing {\n",
                "        if false {\n",
            ),
            (
                "one grant that the provider cannot serve",
                "if !circuit.failed.contains(&grant) && circuit.failed.len() < LIMIT {",
                "if circuit.failed.len() < LIMIT {",
            ),
            (
                "a service that says how long it is away",
                "pause.max(retry_after.unwrap_or_default().min(MOST));",
                "pause;",
            ),
        ],
    },
    // An answer on its way into the store.
    Group {
        file: "core/src/refresh/commit.rs",
        part: CLOSURES,
        checks: &[(
            "a commit that waits for the store",
            "                    keeper.0.clock.sleep(wait).await;\n",
            "                    if wait > Duration::ZERO {\n                        return Err(error);\n                    }\n",
        )],
    },
    // What becomes of a refresh token of the application's.
    Group {
        file: "core/src/refresh/decide.rs",
        part: APP,
        checks: &[(
            "a refresh token of the application that the provider does not take",
            "        Verdict::InvalidGrant if by == By::ApplicationsRefresh => AfterFailure::AskByOwnGrant,\n",
            "",
        )],
    },
    // What a failed refresh waits for.
    Group {
        file: "core/src/refresh/decide.rs",
        part: PAUSES,
        checks: &[(
            "the pause that a provider asks for",
            "        } => AfterFailure::CoolFor { wait },\n",
            "        } => AfterFailure::CoolFor { wait: wait / 1000 },\n",
        )],
    },
    // When a token is renewed.
    Group {
        file: "core/src/refresh/snapshot.rs",
        part: WHEN,
        checks: &[
            (
                "a margin before the end of a token",
                "            .max(Duration::from_secs(30))\n            .max(fifth);",
                "            .max(fifth);",
            ),
            (
                "the leeway of the registration",
                "            .leeway\n            .unwrap_or(Duration::ZERO)\n",
                "            .leeway\n            .filter(|_| false)\n            .unwrap_or(Duration::ZERO)\n",
            ),
        ],
    },
    // What a refresh brings.
    Group {
        file: "core/src/refresh/transition/attempt.rs",
        part: FORCED,
        checks: &[(
            "the new refresh token in the place of the old one",
            "        payload.refresh_token = Some(refresh_token.clone());",
            "        payload.refresh_token.get_or_insert_with(|| refresh_token.clone());",
        )],
    },
    // One refresh for the whole fleet.
    Group {
        file: "core/src/refresh/transition/attempt.rs",
        part: RACE,
        checks: &[(
            "the lease of another process",
            "        Some(lease) if lease.until > now => return",
            "        Some(lease) if lease.until > now && attempt.is_empty() => return",
        )],
    },
    // What is kept of an answer.
    Group {
        file: "core/src/refresh/transition/attempt.rs",
        part: TRANSITIONS,
        checks: &[(
            "a refresh token that the provider does not replace",
            "    if let Some(refresh_token) = &answer.refresh_token {\n        payload.refresh_token = Some(refresh_token.clone());",
            "    payload.refresh_token = None;\n    if let Some(refresh_token) = &answer.refresh_token {\n        payload.refresh_token = Some(refresh_token.clone());",
        )],
    },
    // Tokens that the application keeps.
    // By what a row is found.
    Group {
        file: "core/src/store/closures.rs",
        part: CLOSURES,
        checks: &[
            (
                "a client's own closures",
                "clients.get(client).or(self.shared.as_ref()).cloned()",
                "clients.get(\"\").or(self.shared.as_ref()).cloned()",
            ),
            (
                "what a renewed token replaces",
                "access_token: before.map(|before| Fingerprint::of(&before.access_token)),",
                "access_token: None,",
            ),
        ],
    },
    // What is kept.
    Group {
        file: "core/src/token/record.rs",
        part: RECORDS,
        checks: &[(
            "a record in plain where records are sealed",
            "[PLAIN, json @ ..] if sealing.accept_plain => Body::Open {",
            "[PLAIN, json @ ..] if sealing.accept_plain || !json.is_empty() => Body::Open {",
        )],
    },
    // What prints.
    Group {
        file: "core/src/token/secret.rs",
        part: SECRETS,
        checks: &[(
            "a secret that prints",
            "        f.write_str(\"[secret]\")\n",
            "        f.write_str(&self.0)\n",
        )],
    },
];
