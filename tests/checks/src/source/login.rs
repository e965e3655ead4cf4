//! The way to a provider and back: redirects, callbacks, logins under way.

use super::parts::{AUTHLIB, THROUGH};
use crate::list::{Group, Part};

/// Every group.
pub(super) const GROUPS: &[Group] = &[
    // How long a login may take.
    Group {
        file: "core/src/client/authorize.rs",
        part: Part::Login,
        checks: &[(
            "a login that takes longer than a logout is remembered",
            "if life > MAX_LIFE {",
            "if false {",
        )],
    },
    // The request that a browser is sent with.
    Group {
        file: "core/src/client/authorize.rs",
        part: Part::Client,
        checks: &[
            (
                "what is said at the call, before the registration",
                "(Some(typed), _) => Ok(Some(typed)),",
                "(Some(typed), _) => Ok(default.or(Some(typed))),",
            ),
            (
                "a state that nobody can guess",
                "None => Secret::new(random_id()),",
                "None => Secret::new(\"s\".repeat(22)),",
            ),
            (
                "a nonce with openid, and only then",
                "None => openid.then(|| Secret::new(random_id())),",
                "None => (!openid).then(|| Secret::new(random_id())),",
            ),
            (
                "the prompt of the registration",
                "one(\"prompt\", self.prompt, client.prompt.clone())?",
                "one(\"prompt\", self.prompt, None)?",
            ),
            (
                "any further parameter",
                "        extra.extend(registered.into_pairs());\n",
                "        drop(registered);\n",
            ),
            (
                "a parameter of the call in the place of the registration's",
                "            self.take(&name);\n",
                "",
            ),
            (
                "a parameter that stands in the endpoint's own query",
                "                || extra.iter().any(|(other, _)| other == name)\n",
                "",
            ),
            (
                "the redirect URI of every login",
                "            .or_else(|| client.redirect_uri.clone())\n",
                "",
            ),
            (
                "how long a login may take",
                "expires_at: now + life,",
                "expires_at: now + life * 2,",
            ),
            (
                "an authorization endpoint that is not https",
                "        http::require_https(endpoint, Phase::Authorize)?;\n",
                "",
            ),
        ],
    },
    // What an API asks of a login.
    Group {
        file: "core/src/client/authorize/required.rs",
        part: Part::Calls,
        checks: &[
            (
                "a weaker authentication than the application's",
                "        if both.is_empty() {",
                "        if both.is_empty() && false {",
            ),
            (
                "an API's list without any",
                "if own.is_empty() || self.acr_values.is_empty() {",
                "if own.is_empty() {",
            ),
            (
                "ways of authentication that the application does not name",
                "filter(|value| is_enough(value))",
                "filter(|value| is_enough(value) || !value.is_empty())",
            ),
            (
                "an older authentication than the application's",
                "Ok([own, self.max_age].into_iter().flatten().min())",
                "Ok(self.max_age.or(own))",
            ),
        ],
    },
    // The authorization response: RFC 6749 section 4.1.2, RFC 9207, and where to go then.
    // The way back of OAuth 1.0a.
    Group {
        file: "core/src/client/callback.rs",
        part: Part::Client,
        checks: &[
            (
                "a response over 16 KiB",
                "if encoded.len() > MAX_TOTAL {",
                "if false {",
            ),
            (
                "more than 64 parameters",
                "if count >= MAX_PARAMETERS {",
                "if false {",
            ),
            (
                "a parameter over 8 KiB",
                "if value.len() > MAX_VALUE {",
                "if false {",
            ),
            (
                "what is not UTF-8",
                "if name.contains('\\u{fffd}') || value.contains('\\u{fffd}') {",
                "if false {",
            ),
            (
                "control characters",
                "if !name.starts_with(\"error_\") && value.chars().any(char::is_control) {",
                "if false {",
            ),
            (
                "a doubled parameter",
                "            Some(_) => Err(invalid(&format!(\n                \"the authorization response has {name} twice",
                "            Some(_) if !name.is_empty() => Ok(()),\n            Some(_) => Err(invalid(&format!(\n                \"the authorization response has {name} twice",
            ),
            (
                "the state of another login",
                "if !flow.has_state(params.state()?) {",
                "if params.state()?.expose().is_empty() {",
            ),
            (
                "another issuer (RFC 9207)",
                "(Some(iss), Some(expected)) if iss.expose() != expected => {",
                "(Some(iss), Some(expected)) if iss.expose() != expected && false => {",
            ),
            (
                "no issuer though it was announced (RFC 9207)",
                "(None, Some(_)) if iss_required => {",
                "(None, Some(_)) if iss_required && false => {",
            ),
            (
                "code and error together",
                "(Some(_), Some(_)) => Err(invalid(\n",
                "(Some(code), Some(_)) if !flow.client.is_empty() => Ok(Code(code.clone())),\n        (Some(_), Some(_)) => Err(invalid(\n",
            ),
            (
                "an empty code or state",
                "    value.as_ref().filter(|value| !value.expose().is_empty())",
                "    value.as_ref()",
            ),
            (
                "a secret in what the provider says",
                "let clean = |text| Some(scrub(present(text)?.expose(), &sent));",
                "let clean = |text| Some(scrub(present(text)?.expose(), &[]));",
            ),
            (
                "return-to: a very long path",
                "if !stays || path.len() > MAX_RETURN_TO {",
                "if !stays {",
            ),
            (
                "return-to: what begins with no slash",
                "let plain = path.starts_with('/')\n            && !path",
                "let plain = !path",
            ),
            (
                "return-to: dots before two slashes",
                "url.origin() == base.origin() && !path.starts_with(\"//\");",
                "url.origin() == base.origin();",
            ),
            (
                "return-to: tabs and line breaks",
                "c == '\\\\' || c.is_control()",
                "c == '\\\\'",
            ),
            (
                "the request token of another login",
                "if !flow.has_state(params.request_token()?) {",
                "if params.request_token()?.expose().is_empty() {",
            ),
            (
                "two request tokens",
                "(Some(token), Some(denied)) if token != denied => Err(invalid(",
                "(Some(token), Some(denied)) if token != denied && denied.expose().is_empty() => Err(invalid(",
            ),
            (
                "a verifier beside an error",
                "(Some(_), Some(_)) => Err(invalid(\"the answer has both a verifier and an error\")),",
                "(Some(verifier), Some(_)) => Ok(verifier.clone()),",
            ),
        ],
    },
    // The answer to a login.
    // An answer without a code.
    Group {
        file: "core/src/client/callback.rs",
        part: AUTHLIB,
        checks: &[
            (
                "a refusal that is no missing code",
                "(None, Some(error)) => Err(refusal(params, flow, error.expose())),",
                "(None, Some(_)) => Err(missing(\"code\")),",
            ),
            (
                "whom a refusal happened to",
                "        .map_err(|error| error.with_client(&flow.client))\n",
                "        .map_err(|error| error.with_client(\"-\"))\n",
            ),
            (
                "a code that is missing",
                "(None, None) => Err(missing(\"code\")),",
                "(None, None) => Ok(Code(params.state()?.clone())),",
            ),
        ],
    },
    // The way back of OAuth 1.0a.
    Group {
        file: "core/src/client/callback.rs",
        part: Part::OAuth1,
        checks: &[
            (
                "a denial in one provider's words",
                "let denied = present(&params.denied).map(|_| \"access_denied\");",
                "let denied = present(&params.denied).and(None);",
            ),
            (
                "a request token of another login",
                "    if !flow.has_state(params.request_token()?) {\n",
                "    if params.request_token()?.expose().is_empty() {\n",
            ),
            (
                "a verifier that is missing",
                "(None, None) => Err(missing(\"oauth_verifier\")),",
                "(None, None) => Ok(params.request_token()?.clone()),",
            ),
        ],
    },
    // Cookies of sibling hosts.
    Group {
        file: "core/src/client/cookie/browser.rs",
        part: Part::Client,
        checks: &[(
            "a hundred cookies that anybody can plant",
            "usize::from(name.starts_with(\"__Host-\"))",
            "usize::from(name.is_empty())",
        )],
    },
    // The flow cookie.
    // What a login's cookie is bound to.
    // Which requests bring a login's cookie.
    // What a login remembers.
    Group {
        file: "core/src/client/flow.rs",
        part: Part::Client,
        checks: &[
            (
                "a login that took too long",
                "if flow.expires_at <= now {",
                "if false {",
            ),
            (
                "a cookie with another end",
                "format!(\"tokenkeep flow\\0{client}\\0{cookie}\\0{until}\").into_bytes()",
                "format!(\"tokenkeep flow\\0{client}\\0{cookie}\\0{}\", until.min(0)).into_bytes()",
            ),
            (
                "a cookie that browsers would drop",
                "if size > MAX_ONE {",
                "if false {",
            ),
            (
                "more than eight logins under way",
                "if count <= MAX_FLOWS && total <= MAX_TOTAL {",
                "if total <= MAX_TOTAL {",
            ),
            (
                "four kilobytes of cookies",
                "if count <= MAX_FLOWS && total <= MAX_TOTAL {",
                "if count <= MAX_FLOWS {",
            ),
            (
                "a login's cookie of another client",
                "format!(\"tokenkeep flow\\0{client}\\0{cookie}\\0{until}\")",
                "format!(\"tokenkeep flow\\0{}\\0{cookie}\\0{until}\", client.is_empty())",
            ),
            (
                "the cookie of an answer that another site posts",
                "(ResponseMode::FormPost, true) => Some(SameSite::None),",
                "(ResponseMode::FormPost, true) => Some(SameSite::Lax),",
            ),
            (
                "what a login remembers",
                "#[serde(rename = \"v\", default, skip_serializing_if = \"Option::is_none\")]",
                "#[serde(rename = \"v\", default, skip_serializing)]",
            ),
        ],
    },
    // The same name at another provider.
    Group {
        file: "core/src/client/flow.rs",
        part: Part::OAuth1,
        checks: &[(
            "the request token of another provider's login",
            "format!(\"{}\\0{}\", self.client, self.state.expose());",
            "self.state.expose().to_owned();",
        )],
    },
    // The cookies of logins.
    Group {
        file: "core/src/client/flow.rs",
        part: AUTHLIB,
        checks: &[
            (
                "cookies that are no login's, when room is made",
                "if !name.starts_with(&self.prefix) || name == new.name {",
                "if name == new.name {",
            ),
            (
                "a login of another tab, when room is made",
                "Some(until) if until > now.as_secs() => kept.push((until, name, size(name, value))),",
                "Some(until) if until < now.as_secs() => kept.push((until, name, size(name, value))),",
            ),
        ],
    },
    // What a provider knows of a token.
    Group {
        file: "core/src/client/introspect.rs",
        part: THROUGH,
        checks: &[(
            "a token that is not active",
            ".and_then(|members| members.get(\"active\")?.as_bool());",
            ".map(|members| members.contains_key(\"active\"));",
        )],
    },
    // The way back from the provider.
    Group {
        file: "core/src/client/login.rs",
        part: Part::Login,
        checks: &[
            (
                "a login that was read before",
                "        oauth.use_up_flow(&flow).await?;\n",
                "",
            ),
            (
                "a client registered anew with another issuer",
                "if flow.issuer.as_deref() != issuer {",
                "if false {",
            ),
            (
                "an ID token of another tenant than the one that answered",
                ".is_some_and(|iss| Some(iss) != issuer && iss != claims.issuer())",
                ".is_some_and(|iss| Some(iss) != issuer && iss.is_empty())",
            ),
            (
                "the nonce of the login",
                "checks = checks.nonce(nonce.expose());\n",
                "let _ = nonce;\n",
            ),
            (
                "the max_age of the login",
                "checks = checks.max_age(Duration::from_secs(seconds));\n",
                "let _ = seconds;\n",
            ),
            (
                "the acr_values of the login",
                "        checks = checks.acr_values(flow.acr_values.iter().map(String::as_str));\n",
                "",
            ),
            (
                "the access token beside the ID token",
                "        .access_token(answer.access_token.expose())\n",
                "",
            ),
            (
                "userinfo about another subject than the ID token's",
                "self.userinfo_with(token, subject)",
                "self.userinfo_with(token, subject.filter(|_| false))",
            ),
        ],
    },
    // What becomes of an answer with tokens.
    Group {
        file: "core/src/client/login.rs",
        part: AUTHLIB,
        checks: &[
            (
                "an ID token that nobody asked for",
                ".filter(|_| id_token_is_valid),",
                ".filter(|_| id_token_is_valid || true),",
            ),
            (
                "no ID token where one was asked for",
                "let claims = if flow.is_openid() {",
                "let claims = if flow.is_openid() && answer.id_token.is_some() {",
            ),
        ],
    },
    // For how long a login's token lasts.
    Group {
        file: "core/src/client/login.rs",
        part: Part::Only(&[
            "-p",
            "tokenkeep-it",
            "--test",
            "it",
            "--",
            "login::token_answers",
        ]),
        checks: &[(
            "the end of a login's token",
            "expires_at: answer.expires_in.map(|time| asked_at + time),",
            "expires_at: answer.expires_in.map(|_| asked_at),",
        )],
    },
    // The way back from a logout.
    // A logout that begins here.
    Group {
        file: "core/src/client/logout.rs",
        part: Part::Login,
        checks: &[
            (
                "the logout of another client",
                "pending.client == self.name()\n                    && ",
                "",
            ),
            (
                "a logout that took too long",
                "                    && pending.until > now\n",
                "",
            ),
            (
                "the state of another logout",
                "                    && crate::seal::equal(pending.state.expose(), state.expose())\n",
                "",
            ),
            (
                "a state without a way back",
                "                    .as_ref()\n                    .map(|_| pending.state.expose()),",
                "                    .as_ref()\n                    .map_or(Some(pending.state.expose()), |_| Some(pending.state.expose())),",
            ),
        ],
    },
    // A provider that ends no sessions.
    Group {
        file: "core/src/client/logout.rs",
        part: AUTHLIB,
        checks: &[(
            "an end-session endpoint that is missing",
            "            return Ok(None);\n",
            "            return Err(Error::new(\n                ErrorCode::InvalidMetadata,\n                Phase::Logout,\n                \"there is none\",\n            ));\n",
        )],
    },
    // Where a login begins.
    // Whose account a login is for.
    Group {
        file: "core/src/client/redirect.rs",
        part: Part::Login,
        checks: &[
            (
                "a provider without a token endpoint",
                "            state.token_endpoint().await?,\n            Phase::Authorize,",
                "            Some(endpoint.clone()),\n            Phase::Authorize,",
            ),
            (
                "a further account of nobody",
                "            None if label.is_empty() => Ok(()),",
                "            None => Ok(()),\n            #[allow(unreachable_patterns)]",
            ),
        ],
    },
    // Where a login begins.
    Group {
        file: "core/src/client/redirect.rs",
        part: AUTHLIB,
        checks: &[(
            "metadata that chooses the scope",
            "        let now = oauth.clock().now();\n        let authorization =",
            "        let said = state.metadata().await?;\n        let said = said.and_then(|said| said.value.get(\"scope\"));\n        \
         if let Some(serde_json::Value::String(scope)) = said {\n            self.options.scopes = Some(vec![scope]);\n        }\n        \
         let now = oauth.clock().now();\n        let authorization =",
        )],
    },
    // What an API asked for, in an address.
    Group {
        file: "core/src/client/required.rs",
        part: Part::Login,
        checks: &[
            (
                "what an API asked of somebody else",
                "tokenkeep required\\0{client}\\0{owner}\")",
                "tokenkeep required\\0{client}\\0{}\", owner.len().min(0))",
            ),
            (
                "what an API asked for long ago",
                "    let missed = missed.filter(|missed| missed.until > now);\n",
                "    let _ = now;\n",
            ),
        ],
    },
    // What is said about the user beside the userinfo endpoint.
    Group {
        file: "core/src/client/userinfo.rs",
        part: Part::Providers,
        checks: &[
            (
                "a profile that pretends to be its own part",
                "            members.remove(name);\n",
                "",
            ),
            (
                "parts that take their time",
                "() = state.http.clock.sleep(state.http.timeout) => {",
                "() = std::future::pending::<()>() => {",
            ),
            (
                "an address that the browser calls verified",
                "            members.remove(vouched);\n",
                "            let _ = vouched;\n",
            ),
            (
                "another user than the ID token's, by the browser",
                "        members.insert(\"sub\".to_owned(), subject.into());\n",
                "",
            ),
        ],
    },
    // Who somebody is.
    Group {
        file: "core/src/client/userinfo.rs",
        part: Part::Login,
        checks: &[(
            "userinfo that hooks mend",
            "            hooks.userinfo_response(self.name(), &mut value).await?;\n",
            "            let mut seen: serde_json::Value = value;\n            let value = seen.clone();\n            hooks.userinfo_response(self.name(), &mut seen).await?;\n",
        )],
    },
];
