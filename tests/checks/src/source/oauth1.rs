//! OAuth 1.0a: signatures, the three legs, and what may stand in a registration.

use crate::list::{Group, Part};

/// Every group.
pub(super) const GROUPS: &[Group] = &[
    // What only OAuth 2.0 has.
    Group {
        file: "core/src/client/state.rs",
        part: Part::OAuth1,
        checks: &[(
            "a token endpoint of OAuth 1.0a",
            "        if self.resolved.oauth1.is_none() {\n",
            "        if self.resolved.oauth1.as_ref().is_none_or(|_| true) {\n",
        )],
    },
    // The three legs of OAuth 1.0a.
    // The three legs.
    Group {
        file: "core/src/client/oauth1.rs",
        part: Part::OAuth1,
        checks: &[
            (
                "a callback that is not confirmed",
                "if !confirmed.is_some_and(|said| said.expose().eq_ignore_ascii_case(\"true\")) {",
                "if confirmed.is_some_and(|said| said.expose().is_empty()) {",
            ),
            (
                "a login of another protocol",
                "        if flow.token_secret.is_none() {\n            return Err(another_protocol());\n        }\n",
                "",
            ),
            (
                "a request for an access token that is sent twice",
                "Err((Kind::Nonce, _)) => self.ask(&ask).await,",
                "Err((Kind::Clock, _)) => self.ask(&ask).await,",
            ),
            (
                "an option of OAuth 2.0",
                "        refuse_options(&options)?;\n",
                "",
            ),
            (
                "a verifier that an error repeats",
                "            .chain(verifier.map(|(_, value)| (*value).into()))\n",
                "",
            ),
            (
                "oauth_callback_confirmed",
                "if !confirmed.is_some_and(|said| said.expose().eq_ignore_ascii_case(\"true\")) {",
                "if confirmed.is_some_and(|said| said.expose().is_empty()) {",
            ),
            (
                "parameters of a request token",
                "parameters: &self.oauth1.request_token_params,",
                "parameters: &[],",
            ),
            (
                "a verifier that is typed in",
                "        if redirect_uri != OOB {\n",
                "        if !redirect_uri.is_empty() {\n",
            ),
            (
                "the verifier of the access token request",
                "further: &[(\"oauth_verifier\", verifier.expose())],",
                "further: &[(\"oauth_verifier\", &verifier.expose()[..0])],",
            ),
        ],
    },
    Group {
        file: "core/src/client/registration/oauth1.rs",
        part: Part::Client,
        checks: &[(
            "a request token URL that makes a client one of OAuth 1.0a",
            "request_token_url: first.request_token_url.or(second.request_token_url),",
            "request_token_url: first.request_token_url.and(second.request_token_url),",
        )],
    },
    // The answers of OAuth 1.0a.
    // What a provider of OAuth 1.0a answers.
    Group {
        file: "core/src/oauth1/answer.rs",
        part: Part::OAuth1Unit,
        checks: &[
            (
                "a doubled member",
                "if members.iter().any(|(other, _)| *other == name) {",
                "if false {",
            ),
            (
                "an answer without an end",
                "if body.len() > MAX_ANSWER {",
                "if false {",
            ),
            (
                "too many members",
                "if members.len() == MAX_MEMBERS {",
                "if false {",
            ),
            (
                "bytes that are no text",
                "if name.contains('\\u{fffd}') || value.contains('\\u{fffd}') {",
                "if false {",
            ),
            (
                "an answer that is JSON",
                "if body.starts_with(b\"{\") || body.starts_with(b\"[\") {",
                "if body.starts_with(b\"[\") {",
            ),
            (
                "a member of a form twice",
                "            if members.iter().any(|(other, _)| *other == name) {",
                "            if members.iter().any(|(other, _)| *other == name && other.is_empty()) {",
            ),
        ],
    },
    // What is signed, and where it stands.
    // What of a request is signed, and where it stands.
    Group {
        file: "core/src/oauth1/request.rs",
        part: Part::OAuth1Unit,
        checks: &[
            (
                "protocol parameters of the caller's own",
                "    refuse_protocol(&pairs)?;\n",
                "",
            ),
            (
                "a signature that logs show",
                "        header.set_sensitive(true);\n",
                "",
            ),
            (
                "a form that is not signed",
                "    if let Body::Form(form) = body {\n        pairs.extend(parameters(form));\n    }\n",
                "",
            ),
            (
                "a form in the signature",
                "        pairs.extend(parameters(form));\n",
                "        drop(parameters(form));\n",
            ),
            (
                "a protocol parameter of the caller's own",
                "    refuse_protocol(&pairs)?;\n",
                "    let _ = refuse_protocol(&pairs);\n",
            ),
            (
                "the body hash",
                "(\"oauth_body_hash\", hash.into())",
                "(\"oauth_body_hash\", hash[1..].into())",
            ),
            (
                "the realm, first in the header",
                "realm.chain(protocol.iter().map(quoted))",
                "protocol.iter().map(quoted).chain(realm)",
            ),
            (
                "parameters behind a query that is there",
                "let query = appended(query, protocol);",
                "let query = appended(&query[..0], protocol);",
            ),
            (
                "a body that is no form, beside parameters in the body",
                "            SignatureType::Body if takes_form(request) => {",
                "            SignatureType::Body if takes_form(request) || request.body().is_some() => {",
            ),
            (
                "what a redirect repeats",
                "let kept: Vec<&str> = query.split('&').filter(|pair| !is_ours(pair)).collect();",
                "let kept: Vec<&str> = query.split('&').filter(|pair| !is_ours(&pair[..0])).collect();",
            ),
            (
                "a fresh nonce",
                "let random = crate::seal::random::<15>();",
                "let random = [7_u8; 15];",
            ),
        ],
    },
    // RSA signatures with SHA-1.
    Group {
        file: "core/src/oauth1/rsa.rs",
        part: Part::OAuth1Unit,
        checks: &[(
            "a faulty signature",
            "        .verify(message, &signature)\n        .map_err(|_| cannot_sign())?;",
            "        .verify(message, &signature)\n        .ok();",
        )],
    },
    // How a request of OAuth 1.0a is signed.
    Group {
        file: "core/src/oauth1/signing.rs",
        part: Part::OAuth1Unit,
        checks: &[
            (
                "the token's secret in a signature",
                "encoded(client).as_str(), token.as_str())",
                "encoded(client).as_str(), &token.as_str()[..0])",
            ),
            (
                "HMAC-SHA256",
                "SignatureMethod::HmacSha256 => hmac::HMAC_SHA256,",
                "SignatureMethod::HmacSha256 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,",
            ),
            (
                "a signature method that is not known",
                "let found = Self::ALL.into_iter().find(|known| known.as_str() == name);",
                "let found = Self::ALL.into_iter().find(|known| known.as_str() == name || !name.is_empty());",
            ),
        ],
    },
];
