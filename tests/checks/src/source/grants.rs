//! Client authentication, grants, and the token endpoint.

use super::parts::AUTHLIB;
use crate::list::{Group, Part};

/// Every group.
pub(super) const GROUPS: &[Group] = &[
    // Assertions are for one request (RFC 7523 section 3).
    Group {
        file: "core/src/client/auth/assertion.rs",
        part: Part::Client,
        checks: &[
            (
                "an assertion's own number",
                "claims.insert(\"jti\".into(), crate::seal::random_id().into());",
                "claims.insert(\"jti\".into(), \"the same for every request\".into());",
            ),
            (
                "a secret that is shorter than the hash",
                "if length < least {",
                "if false {",
            ),
            (
                "a signature that is none",
                "    if !fits {",
                "    if false {",
            ),
            (
                "the life of a client assertion",
                "const LIFE: Duration = Duration::from_secs(60);",
                "const LIFE: Duration = Duration::from_secs(3600);",
            ),
            (
                "the signer's own algorithm",
                "json!({\"alg\": signer.algorithm(), \"typ\": \"JWT\"})",
                "json!({\"alg\": \"RS256\", \"typ\": \"JWT\"})",
            ),
            (
                "the key that signed",
                "header[\"kid\"] = kid.into();",
                "drop(kid.to_owned());",
            ),
            (
                "the proof itself",
                "request.set(\"client_assertion\", assertion.expose());",
                "drop(assertion);",
            ),
        ],
    },
    // Who the client is.
    // Which method an endpoint sees.
    Group {
        file: "core/src/client/auth/negotiate.rs",
        part: Part::Client,
        checks: &[
            (
                "the methods that the metadata names",
                "|method: &AuthMethod| supported.iter().any(|name| name == method.as_str());",
                "|_: &AuthMethod| !supported.is_empty();",
            ),
            (
                "a method for the revocation endpoint alone",
                "own.or(client.token_endpoint_auth_method)",
                "client.token_endpoint_auth_method.or(own)",
            ),
        ],
    },
    Group {
        file: "core/src/client/auth/negotiate.rs",
        part: Part::Grants,
        checks: &[(
            "a method of the application's own",
            "if let Some(custom) = &client.client_authentication {",
            "if let Some(custom) = client.client_authentication.as_ref().filter(|_| false) {",
        )],
    },
    // What the client says with its secret.
    // Who the client is.
    Group {
        file: "core/src/client/auth/secrets.rs",
        part: Part::Client,
        checks: &[
            (
                "credentials that are encoded as a form",
                "let encode = |text: &str| -> String {\n            if self.raw {",
                "let encode = |text: &str| -> String {\n            if !self.raw {",
            ),
            (
                "a secret in the form",
                "        request.set(\"client_secret\", self.secret.expose());\n",
                "",
            ),
            (
                "a public client's name in the form",
                "        request.remove(\"client_secret\");\n        request.set(\"client_id\", self.id.as_str());\n",
                "        request.remove(\"client_secret\");\n        request.remove(\"client_id\");\n",
            ),
        ],
    },
    // What a certificate says of a key.
    Group {
        file: "core/src/client/auth/signing_key.rs",
        part: Part::Grants,
        checks: &[(
            "a certificate of another key",
            "if !der.windows(own.len()).any(|part| part == own) {",
            "if der.len() < own.len() {",
        )],
    },
    // Tokens for a resource.
    Group {
        file: "core/src/client/grant.rs",
        part: AUTHLIB,
        checks: &[(
            "a token for a resource of its own",
            "resources.push(resource.into());",
            "resources.truncate(0);\n        let _ = resource.into();",
        )],
    },
    Group {
        file: "core/src/client/obtain.rs",
        part: Part::Grants,
        checks: &[
            (
                "the grant that was asked for",
                "let grant_type = (\"grant_type\".to_owned(), Secret::new(grant_type));",
                "let grant_type = (\"grant_type\".to_owned(), Secret::new(grant_type.into().to_uppercase()));",
            ),
            (
                "parameters of the grant's own",
                "        form.append(&mut self.parameters);\n",
                "        self.parameters.clear();\n",
            ),
        ],
    },
    // What a device code's answer may hold (RFC 8628 sections 3.2 and 3.5).
    Group {
        file: "core/src/client/obtain/device.rs",
        part: Part::Grants,
        checks: &[
            (
                "an address that is not https",
                "    is_secure(uri)\n        && uri.username",
                "    uri.username",
            ),
            (
                "an address of this machine",
                "\n        && (uri.scheme() == \"https\" || is_loopback(endpoint))",
                "",
            ),
            (
                "a code that moves the cursor",
                "\n                && code.bytes().all(|byte| (0x20..0x7f).contains(&byte))",
                "",
            ),
            (
                "no time to type a code in",
                ".filter(|life| *life >= 1.0)",
                ".filter(|life| *life >= -1.0)",
            ),
            (
                "no pause between questions",
                ".filter(|interval| *interval >= 1.0)",
                ".filter(|interval| *interval >= 0.0)",
            ),
            (
                "questions after the end",
                "if self.next >= self.until {",
                "if false {",
            ),
            (
                "slow_down",
                "self.interval = self.interval.saturating_add(SLOWER);",
                "",
            ),
        ],
    },
    // Keys that stand elsewhere.
    Group {
        file: "core/src/client/obtain/jwt_bearer.rs",
        part: Part::Grants,
        checks: &[
            (
                "a signer that never answers",
                "() = clock.sleep(bounds.timeout) => Err(Error::new(",
                "() = std::future::pending() => Err(Error::new(",
            ),
            (
                "the number of an assertion grant",
                "claims.insert(\"jti\".into(), crate::seal::random_id().into());",
                "claims.insert(\"jti\".into(), self.lifetime.as_secs().to_string().into());",
            ),
            (
                "whom a service account acts for",
                "claims.insert(\"sub\".into(), subject.as_str().into());",
                "drop(subject.clone());",
            ),
            (
                "scopes as a claim",
                "if self.scopes_as_claim && !scopes.is_empty() {",
                "if false {",
            ),
        ],
    },
    // What a token exchange gave (RFC 8693 section 2.2.1).
    Group {
        file: "core/src/client/obtain/token_exchange.rs",
        part: Part::Grants,
        checks: &[(
            "another kind of token than asked for",
            "(Some(issued), Some(requested)) if issued != requested => {",
            "(Some(issued), Some(requested)) if issued != requested && false => {",
        )],
    },
    // Requests to the token endpoint.
    Group {
        file: "core/src/client/token_endpoint.rs",
        part: Part::Client,
        checks: &[(
            "the verifier of the login",
            "        if let Some(verifier) = verifier {\n",
            "        if let Some(verifier) = verifier.filter(|_| false) {\n",
        )],
    },
    // A token request and its answer.
    // What is no token.
    // Whose parameters they carry, and who reads the answer first.
    Group {
        file: "core/src/client/token_endpoint/exchange.rs",
        part: Part::Client,
        checks: &[
            (
                "a scope that a refresh asks for unasked",
                "            for (name, _) in parameters {\n                request.remove(name);\n            }\n",
                "            for (name, _) in parameters {\n                request.remove(name);\n            }\n            \
         if self.kind == RequestKind::Refresh {\n                request.set(\"scope\", self.endpoint.client.scopes.join(\" \"));\n            }\n",
            ),
            (
                "an answer that is no success",
                "            if !answer.status.is_success() {\n",
                "            if answer.status.is_server_error() {\n",
            ),
            (
                "parameters of a call, before the registration's",
                "for parameters in [self.registered, self.extra] {",
                "for parameters in [self.extra, self.registered] {",
            ),
            (
                "a hook that reads an answer first",
                "        if let Some(changed) = changed {\n",
                "        if let Some(changed) = changed.filter(Vec::is_empty) {\n",
            ),
            (
                "a token that a hook would lose",
                "            if loses {\n",
                "            if loses && false {\n",
            ),
        ],
    },
    // A token that nobody can send.
    Group {
        file: "core/src/client/token_endpoint/exchange.rs",
        part: AUTHLIB,
        checks: &[(
            "what a token type asks for",
            "error.with_action(Action::Configure);",
            "error.with_action(Action::Retry { after: None });",
        )],
    },
    // For how long a token lasts.
    // What is read of a token answer.
    Group {
        file: "core/src/client/token_endpoint/reading.rs",
        part: Part::Client,
        checks: &[
            (
                "a token that is over at once",
                "            .filter(|life| !life.is_zero());",
                "            .filter(|_| true);",
            ),
            (
                "a number in quotes",
                "let text = raw.trim().trim_matches('\"').trim();",
                "let text = raw.trim();",
            ),
            (
                "an answer without an access token",
                "        if !self.has_access_token() {\n            return Err(\"the answer has no access token\");\n        }\n        let access_token = Secret::new(self.access_token.secret().as_str());\n        if check_token_text(\"access token\", &access_token).is_err() {",
                "        let access_token = Secret::new(self.access_token.secret().as_str());\n        if false {",
            ),
        ],
    },
    // What is read of a token answer.
    Group {
        file: "core/src/client/token_endpoint/reading.rs",
        part: AUTHLIB,
        checks: &[(
            "expires_in, and no expires_at",
            "let expires_in = find(\"expires_in\")\n",
            "let expires_in = find(\"expires_at\").or_else(|| find(\"expires_in\"))\n",
        )],
    },
    // The form of a request.
    Group {
        file: "core/src/client/token_endpoint/request.rs",
        part: Part::Client,
        checks: &[(
            "an answer that is asked for as JSON",
            "HeaderValue::from_static(\"application/json\")",
            "HeaderValue::from_static(\"*/*\")",
        )],
    },
    // What errors repeat.
    Group {
        file: "core/src/client/token_endpoint/verdict.rs",
        part: Part::Client,
        checks: &[
            (
                "a secret as it stands in a form",
                "        forms.push(form.into());\n",
                "        drop(form);\n",
            ),
            (
                "the beginning of another secret",
                "    forms.sort_by_key(|form| Reverse(form.expose().len()));\n",
                "    forms.sort_by_key(|form| Reverse(Reverse(form.expose().len())));\n",
            ),
        ],
    },
    // What a failed token request means.
    Group {
        file: "core/src/client/token_endpoint/verdict.rs",
        part: AUTHLIB,
        checks: &[
            (
                "a grant that the provider ended",
                "        return Verdict::InvalidGrant;\n",
                "        return Verdict::Unavailable { retry_after };\n",
            ),
            (
                "a registration that the provider refuses",
                "        400..=499 => Verdict::Refused,\n",
                "        400..=499 => Verdict::Unavailable { retry_after },\n",
            ),
        ],
    },
];
