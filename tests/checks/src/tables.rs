//! What stands in the source, and what stands there when a check is taken out. The text of a check must be in its file once.

use crate::list::{Group, Part};

/// Every group of checks.
pub(crate) const GROUPS: &[Group] = &[
    ID_TOKEN,
    SIGNED,
    ISSUER,
    CLAIM_CHECKS,
    LOGOUT_TOKEN,
    SIGNED_USERINFO,
    JSON,
    KEYS,
    JWK,
    DISCOVERY,
    USERINFO,
    CALLBACK,
    FLOW,
    ADDRESSES,
    LOGIN,
    BACKCHANNEL,
    FRONTCHANNEL,
    REDIRECT,
    REFRESHED,
    LOADER,
    LIFE,
    ENDING,
    MARKS,
    AUTHORIZE,
    BROWSER,
    REVOCATION,
    HINT,
    SESSION,
    LOGOUT,
    QUIRKS,
    PARTS,
    HOOKED_REQUEST,
    PROFILE,
    DOMAINS,
    PROVIDER_ANSWER,
    APPLE,
    CALLS,
    REQUIRED,
    CHALLENGE,
    TRANSPORT,
    LOGOUT_PAGE,
    PLACES,
    BELOW,
    CONNECT,
    ACCOUNT,
    KEPT_ACCOUNT,
    REQUIRED_IN_ADDRESS,
    CONNECTIONS,
    POSTED,
    DEVICE,
    EXCHANGE,
    ASSERTION,
    KEPT_GRANT,
    CERTIFICATE,
    OWN_GRANT,
    FOUNDED,
    OAUTH1_LEGS,
    OAUTH1_CALLBACK,
    OAUTH1_ANSWER,
    OAUTH1_REQUEST,
    OAUTH1_CALLS,
    OAUTH1_RSA,
    SAME_TOKEN,
    SAME_NAME,
    SIGNER,
    REACH,
    ECHO,
    BREAKER,
];

/// The ID token: OpenID Connect Core section 3.1.3.7 and RFC 8725.
const ID_TOKEN: Group = Group {
    file: "core/src/openid/id_token.rs",
    part: Part::Openid,
    checks: &[
        (
            "a logout token",
            "if payload.is_logout_token {",
            "if false {",
        ),
        (
            "another client (aud)",
            "if !audience.contains(client_id) {",
            "if false {",
        ),
        (
            "another authorized party (azp)",
            "        .is_some_and(|party| party != client_id)",
            "        .is_some_and(|party| party.is_empty())",
        ),
        (
            "a further audience",
            "match audience.iter().find(|other| !is_trusted(other)) {",
            "match audience.iter().find(|other| !is_trusted(other) && other.is_empty()) {",
        ),
        (
            "an expired token (exp)",
            "if now >= expires_at + leeway {",
            "if false {",
        ),
        (
            "the very second of the end",
            "if now >= expires_at + leeway {",
            "if now > expires_at + leeway {",
        ),
        (
            "a token from the future (iat)",
            "if issued_at > now + leeway {",
            "if false {",
        ),
        (
            "a token that is not valid yet (nbf)",
            ".is_some_and(|not_before| not_before > now + leeway)",
            ".is_some_and(|not_before| not_before > now + leeway && false)",
        ),
        (
            "another nonce",
            "Some(nonce) if are_equal(nonce, expected) => Ok(()),",
            "Some(nonce) if are_equal(nonce, nonce) || expected.is_empty() => Ok(()),",
        ),
        (
            "no nonce where one was sent",
            "None if !is_required => Ok(()),",
            "None if !is_required || !expected.is_empty() => Ok(()),",
        ),
        (
            "no subject (sub)",
            "        .filter(|subject| !subject.is_empty())\n",
            "",
        ),
        (
            "a subject that is too long or unprintable",
            "if is_unfit(subject) || payload.sid.as_deref().is_some_and(is_unfit) {",
            "if payload.sid.as_deref().is_some_and(is_unfit) {",
        ),
        (
            "a session id that is too long or unprintable",
            "if is_unfit(subject) || payload.sid.as_deref().is_some_and(is_unfit) {",
            "if is_unfit(subject) {",
        ),
        (
            "another subject than expected",
            "if checks.subject.is_some_and(|expected| expected != subject) {",
            "if false {",
        ),
        (
            "another subject after a refresh",
            "if before.subject() != subject {",
            "if false {",
        ),
        (
            "another issuer after a refresh",
            "if payload.issuer.as_deref() != Some(before.issuer()) {",
            "if false {",
        ),
        (
            "a lost audience after a refresh",
            "if !before.audience().iter().all(|kept| audience.contains(kept)) {",
            "if false {",
        ),
        (
            "an authentication older than max_age",
            "if now > auth_time + max_age + leeway {",
            "if false {",
        ),
        (
            "another acr than asked for",
            "if !checks.acr_values.contains(&acr) {",
            "if false {",
        ),
        (
            "a wrong at_hash or c_hash",
            "    if matches {",
            "    if matches || !hash.is_empty() {",
        ),
        (
            "a missing hash in the front channel",
            "return if is_required {",
            "return if false {",
        ),
        (
            "the access token beside it",
            "        checks.access_token,\n        front,",
            "        None,\n        front,",
        ),
        (
            "the code beside it",
            "        checks.code,\n        front,",
            "        None,\n        front,",
        ),
    ],
};

/// Whatever a provider signs: RFC 7515, RFC 8725.
const SIGNED: Group = Group {
    file: "core/src/openid/signed.rs",
    part: Part::Openid,
    checks: &[
        (
            "a token over 64 KiB",
            "if raw.len() > MAX_LEN {",
            "if false {",
        ),
        (
            "an encrypted token in three parts",
            "if header.is_encrypted {",
            "if false {",
        ),
        (
            "critical extensions (crit)",
            "if header.has_critical {",
            "if false {",
        ),
        (
            "an unencoded payload (b64)",
            "if header.is_unencoded {",
            "if false {",
        ),
        (
            "another kind of token (typ)",
            "if !kind.may_have_typ(header) || header.cty.is_some() {",
            "if header.cty.is_some() {",
        ),
        (
            "a token in a token (cty)",
            "if !kind.may_have_typ(header) || header.cty.is_some() {",
            "if !kind.may_have_typ(header) {",
        ),
        (
            "an algorithm that is not allowed",
            "        .filter(|algorithm| rules.algorithms.contains(*algorithm))\n",
            "",
        ),
        (
            "a wrong signature by a public key",
            "            Err(Mismatch::Signature) => return Err(wrong_signature(kind)),",
            "            Err(Mismatch::Signature) => None,",
        ),
        (
            "a wrong signature by the client secret",
            "    if Jwk::secret(secret.expose().as_bytes()).verify(algorithm, token.signed, signature) {",
            "    if Jwk::secret(secret.expose().as_bytes()).fits(algorithm) {",
        ),
        (
            "a client secret that is too short",
            "        .filter(|secret| secret.expose().len() >= least)\n",
            "",
        ),
    ],
};

/// The issuer: one by name, or the tenants of a template.
const ISSUER: Group = Group {
    file: "core/src/openid/issuer.rs",
    part: Part::Openid,
    checks: &[
        (
            "another issuer (iss)",
            "Self::Exact(exact) if exact == issuer => return Ok(()),",
            "Self::Exact(exact) if exact == issuer || !issuer.is_empty() => return Ok(()),",
        ),
        (
            "an issuer of another tenant than the token's",
            "if template.tenant_of(issuer) != Some(tenant) {",
            "if template.tenant_of(issuer).is_none() {",
        ),
        (
            "an issuer that is not of the template",
            "if template.tenant_of(issuer) != Some(tenant) {",
            "if template.tenant_of(issuer).is_some_and(|of| of != tenant) {",
        ),
        (
            "a key of another tenant",
            "if key.is_some_and(|key| key.replace(PLACEHOLDER, tenant) != issuer) {",
            "if false {",
        ),
        (
            "a tenant that is not let in",
            "if !template.allows(tenant) {",
            "if false {",
        ),
    ],
};

/// The application's own checks.
const CLAIM_CHECKS: Group = Group {
    file: "core/src/openid/id_token.rs",
    part: Part::Openid,
    checks: &[(
        "the application's own checks",
        "    rules.claim_checks.run(&claims)?;\n",
        "",
    )],
};

/// The logout token: OpenID Connect Back-Channel Logout 1.0 section 2.6.
const LOGOUT_TOKEN: Group = Group {
    file: "core/src/openid/logout_token.rs",
    part: Part::Openid,
    checks: &[
        (
            "a token without the logout event",
            "if !self.event.is_logout {",
            "if false {",
        ),
        ("a token with a nonce", "if self.has_nonce {", "if false {"),
        (
            "a logout token without a jti",
            "        let id = self.id.filter(|id| !id.is_empty());\n        let id = id.ok_or_else(|| missing(\"jti\"))?;",
            "        let id = self.id.unwrap_or_default();",
        ),
        (
            "a logout token that names nobody",
            "if subject.is_none() && sid.is_none() {",
            "if false {",
        ),
        (
            "a sub or sid that is empty or unprintable",
            "if subject.iter().chain(&sid).any(is_wrong) {",
            "if false && subject.iter().chain(&sid).any(is_wrong) {",
        ),
        (
            "a logout token of another issuer",
            "            .check(Kind::LogoutToken, issuer, tenant, key_issuer)?;",
            "            .check(Kind::LogoutToken, issuer, tenant, key_issuer).ok();",
        ),
        (
            "a logout token for another client",
            "if !audience.contains(&rules.client_id) {",
            "if false {",
        ),
        (
            "a logout token issued to another client (azp)",
            "if party.is_some_and(|party| *party != rules.client_id) {",
            "if party.is_some_and(|party| party.is_empty()) {",
        ),
        (
            "a logout token for others too",
            "if !audience.iter().all(is_trusted) {",
            "if !audience.iter().any(is_trusted) {",
        ),
        (
            "an expired logout token",
            "if now >= expires_at + leeway {",
            "if false {",
        ),
        (
            "a logout token from the future",
            "if issued_at > now + leeway {",
            "if false {",
        ),
        (
            "a logout token that is too old",
            "if now >= too_old {",
            "if false {",
        ),
        (
            "a logout token that is not valid yet",
            "if self.not_before.is_some_and(|from| from > now + leeway) {",
            "if false {",
        ),
        (
            "a logout event that occurs twice",
            "if name == LOGOUT_EVENT && std::mem::replace(&mut event.is_logout, true) {",
            "if name == LOGOUT_EVENT && std::mem::replace(&mut event.is_logout, true) && false {",
        ),
    ],
};

/// Signed userinfo: OpenID Connect Core section 5.3.2.
const SIGNED_USERINFO: Group = Group {
    file: "core/src/openid/userinfo/answer.rs",
    part: Part::Openid,
    checks: &[
        (
            "plain userinfo where it must be signed",
            "            _ if is_signed => Err(fault(",
            "            _ if is_signed && !is_json => Err(fault(",
        ),
        (
            "doubled members of userinfo",
            "Ok(text) if is_json && has_each_member_once(&text) =>",
            "Ok(text) if is_json && !has_each_member_once(\"{\") =>",
        ),
        (
            "another media type",
            "Ok(text) if is_json && has_each_member_once(&text) =>",
            "Ok(text) if has_each_member_once(&text) =>",
        ),
        (
            "userinfo signed for another issuer",
            "rules.issuer.check(kind, issuer, tenant, key_issuer)?;",
            "rules.issuer.check(kind, issuer, tenant, key_issuer).ok();",
        ),
        (
            "userinfo signed for nobody's issuer",
            "None if !is_compared => return Err(kind.missing(\"iss\")),",
            "None if !is_compared && false => return Err(kind.missing(\"iss\")),",
        ),
        (
            "userinfo signed for another client",
            "Some(audience) if !audience.contains(&rules.client_id) => {",
            "Some(audience) if audience.is_empty() => {",
        ),
        (
            "userinfo signed for no client",
            "None if !is_compared => return Err(kind.missing(\"aud\")),",
            "None if !is_compared && false => return Err(kind.missing(\"aud\")),",
        ),
        (
            "expired userinfo",
            "if payload.expires_at.is_some_and(|at| now >= at + leeway) {",
            "if payload.expires_at.is_some_and(|at| now >= at + leeway) && false {",
        ),
        (
            "userinfo from the future",
            "if payload.not_before.is_some_and(is_ahead) || payload.issued_at.is_some_and(is_ahead) {",
            "if payload.not_before.is_some_and(is_ahead) {",
        ),
        (
            "userinfo that is not valid yet",
            "if payload.not_before.is_some_and(is_ahead) || payload.issued_at.is_some_and(is_ahead) {",
            "if payload.issued_at.is_some_and(is_ahead) {",
        ),
    ],
};

/// What is read of JSON.
const JSON: Group = Group {
    file: "core/src/openid/json.rs",
    part: Part::Openid,
    checks: &[(
        "a member that occurs twice",
        "if is_doubled {",
        "if false {",
    )],
};

/// The provider's keys: RFC 7517, RFC 8725 section 3.1.
const KEYS: Group = Group {
    file: "core/src/openid/keys.rs",
    part: Part::Openid,
    checks: &[
        (
            "a key that does not fit the algorithm",
            ".filter(move |key| key.fits(algorithm))",
            ".filter(move |key| key.fits(algorithm) || key.kid().is_some())",
        ),
        (
            "more than sixteen tries",
            ".take(MAX_CANDIDATES)",
            ".take(MAX_KEYS)",
        ),
        (
            "more than a thousand keys",
            "if position == MAX_KEYS {",
            "if false {",
        ),
    ],
};

/// One key.
const JWK: Group = Group {
    file: "core/src/openid/keys/jwk.rs",
    part: Part::Openid,
    checks: &[
        (
            "a published private key",
            "if members.d.is_some() {",
            "if false {",
        ),
        (
            "a key for encryption",
            "            .filter(|key_use| *key_use != \"sig\")\n",
            "            .filter(|key_use| key_use.is_empty())\n",
        ),
        (
            "a key whose operations lack verify",
            "            .is_some_and(|ops| !ops.iter().any(|op| op == \"verify\"))",
            "            .is_some_and(|ops| ops.is_empty())",
        ),
        (
            "an alg of another type of key",
            "if algorithm.is_some_and(|algorithm| !key.fits(algorithm)) {",
            "if false {",
        ),
        (
            "a key for another algorithm",
            "type_fits && self.0.algorithm.is_none_or(|named| named == algorithm)",
            "type_fits",
        ),
        (
            "RSA below 2,048 or above 8,192 bits",
            "if !(2048..=8192).contains(&bits) {",
            "if false {",
        ),
        (
            "a weak RSA exponent",
            "if e.len() > 4 || e == [1] || e.last().is_none_or(|last| last % 2 == 0) {",
            "if false {",
        ),
        (
            "a published symmetric key",
            "(\"oct\", _) => return Err(\"a symmetric key is not for publication\".into()),",
            "(\"oct\", _) => return Ok(Self::secret(&bytes(members.n, \"n\").unwrap_or_default())),",
        ),
    ],
};

/// The provider's metadata: OpenID Connect Discovery 1.0 section 4.3, RFC 8414 section 3.3.
const DISCOVERY: Group = Group {
    file: "core/src/openid/discovery.rs",
    part: Part::Openid,
    checks: &[
        (
            "metadata of another issuer",
            "Some(expected) if found != expected => Err(mismatch(found, Some(expected))),",
            "Some(expected) if found.is_empty() => Err(mismatch(found, Some(expected))),",
        ),
        (
            "metadata of a template of issuers, by name",
            "Some(expected) if found != expected => Err(mismatch(found, Some(expected))),\n            None if is_template(found) =>",
            "Some(expected) if found != expected => Err(mismatch(found, Some(expected))),\n            None if found.is_empty() =>",
        ),
        (
            "metadata of another address",
            "Some(issuers) if issuers.iter().all(|issuer| issuer != found) => {",
            "Some(issuers) if issuers.is_empty() => {",
        ),
        (
            "metadata of an address that does not say whose it is",
            "            None => Err(Error::new(\n                ErrorCode::IssuerMismatch,",
            "            None if found.is_empty() => Err(Error::new(\n                ErrorCode::IssuerMismatch,",
        ),
        (
            "an endpoint that is not https",
            "    is_secure(url)\n        && url.fragment().is_none()",
            "    url.fragment().is_none()",
        ),
        (
            "an endpoint with a fragment",
            "        && url.fragment().is_none()\n",
            "",
        ),
        (
            "an endpoint with a user name",
            "        && url.username().is_empty()\n",
            "",
        ),
        (
            "an endpoint with a password",
            "        && url.password().is_none()\n",
            "",
        ),
        (
            "a document over 256 KiB",
            "if bytes.len() > MAX_LEN {",
            "if false {",
        ),
        (
            "an issuer that is no plain https URL",
            ".filter(is_issuer)\n            .ok_or_else(|| {\n                unusable(",
            ".filter(is_endpoint)\n            .ok_or_else(|| {\n                unusable(",
        ),
        (
            "an endpoint on this machine, named from elsewhere",
            "read.plain.filter(|_| !is_loopback(&issuer))",
            "read.plain.filter(|_| !is_loopback(&issuer) && false)",
        ),
    ],
};

/// Userinfo: OpenID Connect Core section 5.3.2.
const USERINFO: Group = Group {
    file: "core/src/openid/userinfo.rs",
    part: Part::Openid,
    checks: &[
        (
            "userinfo about somebody else",
            "if found != expected {",
            "if false {",
        ),
        (
            "userinfo about nobody",
            "                .filter(|found| !found.is_empty())\n",
            "",
        ),
    ],
};

/// The authorization response: RFC 6749 section 4.1.2, RFC 9207, and where to go then.
const CALLBACK: Group = Group {
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
    ],
};

/// The flow cookie.
const FLOW: Group = Group {
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
    ],
};

/// Where a token may go.
const ADDRESSES: Group = Group {
    file: "core/src/client/api/url.rs",
    part: Part::Client,
    checks: &[
        (
            "two slashes",
            "let ambiguous = path.starts_with(\"//\")\n        || path",
            "let ambiguous = path",
        ),
        ("a backslash", "        || path.contains('\\\\')\n", ""),
        (
            "control characters in a path",
            "        || path.chars().any(|c| c.is_control())\n",
            "",
        ),
        (
            "a blank before a URL",
            "        || path.starts_with(char::is_whitespace);",
            "        || path.is_empty() && false;",
        ),
        (
            "a URL of a foreign origin",
            "        check_allowed(client, &url, \"the request goes to\")?;\n",
            "",
        ),
        (
            "a user name or password in a URL",
            "if !url.username().is_empty() || url.password().is_some() {",
            "if false {",
        ),
        (
            "a foreign origin",
            "if http::is_secure(url) && client.may_be_sent_to(url) {",
            "if http::is_secure(url) {",
        ),
        (
            "a path that climbs out",
            "    if !below {",
            "    if false {",
        ),
    ],
};

/// The way back from the provider.
const LOGIN: Group = Group {
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
};

/// Back-channel logout.
const BACKCHANNEL: Group = Group {
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
};

/// Front-channel logout.
const FRONTCHANNEL: Group = Group {
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
};

/// How sessions end.
const ENDING: Group = Group {
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
};

/// Logouts that come before the login that they end.
const MARKS: Group = Group {
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
};

/// How long a login may take.
const AUTHORIZE: Group = Group {
    file: "core/src/client/authorize.rs",
    part: Part::Login,
    checks: &[(
        "a login that takes longer than a logout is remembered",
        "if life > MAX_LIFE {",
        "if false {",
    )],
};

/// Cookies of sibling hosts.
const BROWSER: Group = Group {
    file: "core/src/client/cookie/browser.rs",
    part: Part::Client,
    checks: &[(
        "a hundred cookies that anybody can plant",
        "usize::from(name.starts_with(\"__Host-\"))",
        "usize::from(name.is_empty())",
    )],
};

/// Who is shown a token when it is revoked.
const REVOCATION: Group = Group {
    file: "core/src/registry/source.rs",
    part: Part::Login,
    checks: &[(
        "revoking a token at another provider",
        "if !state.binding().await?.issued(issued_by) {",
        "if false {",
    )],
};

/// Who is shown an ID token at a logout.
const HINT: Group = Group {
    file: "core/src/session/logout.rs",
    part: Part::Login,
    checks: &[(
        "the hint of a logout at another provider",
        "match is_the_issuers.await? {",
        "match is_the_issuers.await? || true {",
    )],
};

/// The session and its cookie.
const SESSION: Group = Group {
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
    ],
};

/// The way back from a logout.
const LOGOUT: Group = Group {
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
    ],
};

/// Where a login begins.
const REDIRECT: Group = Group {
    file: "core/src/client/redirect.rs",
    part: Part::Login,
    checks: &[(
        "a provider without a token endpoint",
        "            state.token_endpoint().await?,\n            Phase::Authorize,",
        "            Some(endpoint.clone()),\n            Phase::Authorize,",
    )],
};

/// What a refresh brings.
const REFRESHED: Group = Group {
    file: "core/src/registry/source.rs",
    part: Part::Refresh,
    checks: &[(
        "a grant that ends for a key that is published too late",
        "Err(error) if error.code() == ErrorCode::MissingKey => Ok(false),",
        "Err(error) if error.code() == ErrorCode::NotInitialized => Ok(false),",
    )],
};

/// Whose tokens may have keys fetched anew.
const LOADER: Group = Group {
    file: "core/src/openid/loader/state.rs",
    part: Part::Openid,
    checks: &[(
        "a fetch for anybody's tokens that uses up the provider's",
        "let not_before = &mut self.forced_not_before[asker as usize];",
        "let not_before = &mut self.forced_not_before[usize::from(asker as usize > 1)];",
    )],
};

/// For how long a token lasts.
const LIFE: Group = Group {
    file: "core/src/client/token_endpoint/reading.rs",
    part: Part::Client,
    checks: &[(
        "a token that is over at once",
        "            .filter(|life| !life.is_zero());",
        "            .filter(|_| true);",
    )],
};

/// What a registration may say of a provider's own ways.
const QUIRKS: Group = Group {
    file: "core/src/client/registration/quirks.rs",
    part: Part::Providers,
    checks: &[
        (
            "a part of the userinfo at a foreign origin",
            "if !of_endpoint(url) && !client.may_be_sent_to(url) {",
            "if false {",
        ),
        (
            "a part beside signed userinfo",
            "if !client.userinfo_parts.is_empty() && client.userinfo_algorithm.is_some() {",
            "if false {",
        ),
        (
            "a user told by what a browser brings",
            "if client.profile_parameter.is_some() && !client.is_openid() {",
            "if false {",
        ),
        (
            "parts of the userinfo without end",
            "if parts.len() > MAX_PARTS {",
            "if false {",
        ),
    ],
};

/// What is said about the user beside the userinfo endpoint.
const PARTS: Group = Group {
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
};

/// What hooks do to a request that carries a token.
const HOOKED_REQUEST: Group = Group {
    file: "core/src/client/api/call.rs",
    part: Part::Providers,
    checks: &[(
        "a userinfo request that a hook sends elsewhere",
        "request.url().origin() != endpoint\n",
        "request.url().origin() != endpoint && false\n",
    )],
};

/// Profiles as standard claims.
const PROFILE: Group = Group {
    file: "hooks/providers/src/profile.rs",
    part: Part::Providers,
    checks: &[
        (
            "a profile of nobody",
            "if !claims.0.contains_key(\"sub\") {",
            "if false {",
        ),
        (
            "a member that has the name of a claim by chance",
            "!self.nothing_else && !STANDARD.contains(&name.as_str())",
            "!self.nothing_else && !STANDARD.is_empty()",
        ),
        (
            "what a browser brings beside a name",
            "!self.nothing_else && !STANDARD",
            "!STANDARD",
        ),
        (
            "an address that a page would run",
            "Value::String(text)) if runs(text) => return,",
            "Value::String(text)) if text.is_empty() => return,",
        ),
        (
            "an id that may have lost digits",
            "if number.is_u64() || number.is_i64() =>",
            "if !number.to_string().is_empty() =>",
        ),
    ],
};

/// Where a domain leads.
const DOMAINS: Group = Group {
    file: "hooks/providers/src/presets/mod.rs",
    part: Part::Providers,
    checks: &[(
        "a path of another host in a domain's place",
        "if !domain.contains(\"://\") && !domain.chars().all(is_domain) {",
        "if domain.contains(\"://\") && !domain.chars().all(is_domain) && false {",
    )],
};

/// Answers of token endpoints, mended.
const PROVIDER_ANSWER: Group = Group {
    file: "hooks/providers/src/answer.rs",
    part: Part::Providers,
    checks: &[(
        "a doubled member that mending would hide",
        "if members.insert(name, value).is_some() {",
        "if members.insert(name, value).is_some() && false {",
    )],
};

/// Apple's client secret.
const APPLE: Group = Group {
    file: "hooks/providers/src/presets/apple.rs",
    part: Part::Providers,
    checks: &[
        (
            "a key that Apple would refuse",
            "key_id.filter(|_| algorithm == \"ES256\")",
            "key_id",
        ),
        (
            "what the browser says of a user beside the name",
            "nothing_else: true,",
            "nothing_else: false,",
        ),
    ],
};

/// What an API asks of a login.
const REQUIRED: Group = Group {
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
};

/// What of a challenge is kept.
const CHALLENGE: Group = Group {
    file: "core/src/client/api/challenge.rs",
    part: Part::Calls,
    checks: &[(
        "a challenge that repeats itself",
        " if !self.requires(name) => {",
        " => {",
    )],
};

/// What sends.
const TRANSPORT: Group = Group {
    file: "core/src/registry/builder.rs",
    part: Part::Calls,
    checks: &[(
        "a transport that follows redirects",
        "if self.transport.as_ref().is_some_and(led_away) {",
        "if self.transport.as_ref().is_some_and(led_away) && false {",
    )],
};

/// Where the form of a logout goes.
const LOGOUT_PAGE: Group = Group {
    file: "hooks/web/src/routes/logout.rs",
    part: Part::Only(&["-p", "tokenkeep-it", "--test", "it", "--", "routes::"]),
    checks: &[
        (
            "a form that goes to a neighbour",
            "        path.unwrap_or_else(|_| format!",
            "        path.ok().filter(|_| false).unwrap_or_else(|| format!",
        ),
        (
            "an application's own page in a frame",
            "        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static(\"DENY\"));\n",
            "",
        ),
    ],
};

/// Where an API call goes, and what is sent again.
const CALLS: Group = Group {
    file: "core/src/client/api/call.rs",
    part: Part::Calls,
    checks: &[
        (
            "a redirect of the API elsewhere",
            "            url::check_allowed(&self.state.resolved, &to, \"the API redirects to\")?;\n",
            "",
        ),
        (
            "a hook that sends a token elsewhere",
            "            url::check_allowed(client, request.url(), \"a hook sends the request to\")?;\n",
            "            let _ = client;\n",
        ),
        (
            "an answer of elsewhere, by a client that follows redirects",
            "if !self.is_endpoint && follows {",
            "if false {",
        ),
        (
            "a token in body or query, by a client that follows redirects",
            "                _ if placement != Placement::Header => {\n",
            "                _ if false => {\n",
        ),
        (
            "a signature below a client that follows redirects",
            "Credential::OAuth1 { .. } => Some(",
            "Credential::OAuth1 { .. } if placement != Placement::Header => Some(",
        ),
        (
            "a refresh for each stream that an API refuses",
            "            keeper.forced_helped(key, false);\n            return",
            "            return",
        ),
    ],
};

/// Which tokens are sent, and where they stand.
const PLACES: Group = Group {
    file: "core/src/client/api/place.rs",
    part: Part::Calls,
    checks: &[
        (
            "a token in an address twice",
            "            .filter(|(name, _)| name != ACCESS_TOKEN)\n",
            "",
        ),
        (
            "a token in a form twice",
            "!pair.is_empty() && !is_token(pair)",
            "!pair.is_empty() && (true || is_token(pair))",
        ),
        (
            "a token of another type sent as a bearer token",
            "            Credential::Bearer => Some(bearer_header(token)?),\n            _ => None,",
            "            _ => Some(bearer_header(token)?),",
        ),
    ],
};

/// What a client below tells of a request.
const BELOW: Group = Group {
    file: "hooks/middleware/src/lib.rs",
    part: Part::Calls,
    checks: &[(
        "an address with a token in an error",
        "state.failure = Some(error.without_url());",
        "state.failure = Some(error);",
    )],
};

/// Adding a grant by the routes.
const CONNECT: Group = Group {
    file: "hooks/web/src/routes/login.rs",
    part: Part::Login,
    checks: &[(
        "a connect that another site starts",
        "            refuse_cross_site(&request.headers)?;",
        "",
    )],
};

/// Whose account a login is for.
const ACCOUNT: Group = Group {
    file: "core/src/client/redirect.rs",
    part: Part::Login,
    checks: &[(
        "a further account of nobody",
        "            None if label.is_empty() => Ok(()),",
        "            None => Ok(()),\n            #[allow(unreachable_patterns)]",
    )],
};

/// Under which key it is kept.
const KEPT_ACCOUNT: Group = Group {
    file: "core/src/session.rs",
    part: Part::Login,
    checks: &[(
        "a further account in the place of the first",
        "TokenKey::new(&login.client, owner)?.account(&login.account)?",
        "TokenKey::new(&login.client, owner)?",
    )],
};

/// What an API asked for, in an address.
const REQUIRED_IN_ADDRESS: Group = Group {
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
};

/// The page of connected accounts.
const CONNECTIONS: Group = Group {
    file: "hooks/web/src/routes/connections.rs",
    part: Part::Login,
    checks: &[
        (
            "a client that the application does not show, on the page",
            "            .filter(|((client, _), _)| self.shows(session, client));",
            "            .filter(|_| true);",
        ),
        (
            "a client that the application does not show, disconnected",
            "            if !self.shows(user.session(), client) {",
            "            if false {",
        ),
        (
            "a reconnect of another account",
            "            url.query_pairs_mut().append_pair(\"account\", account);\n",
            "",
        ),
        (
            "a tenant without a grant",
            "            if is_default || (is_there && is_known()) {",
            "            if is_default || is_known() {",
        ),
    ],
};

/// What comes with a form.
const POSTED: Group = Group {
    file: "hooks/web/src/user.rs",
    part: Part::Login,
    checks: &[
        (
            "a form without the session's token",
            "    user.check_csrf(csrf_header(headers).or(field), headers)?;",
            "    let _ = field;",
        ),
        (
            "a request of nobody's on behalf of who is signed in",
            "        if changes_something(method) && csrf_header(headers).is_none() {\n            return Ok(None);\n        }\n",
            "        if changes_something(method) && csrf_header(headers).is_none() {\n            return Self::read(oauth, headers).await;\n        }\n",
        ),
        (
            "an owner for what stands behind the layer",
            "Some(user) => core::as_owner(user.owner(), behind).await,",
            "Some(_) => behind.await,",
        ),
        (
            "a request that may change something without the session's token",
            "            user.check_csrf(csrf_header(headers), headers)?;",
            "            let _ = user;",
        ),
    ],
};

/// What a device code's answer may hold (RFC 8628 sections 3.2 and 3.5).
const DEVICE: Group = Group {
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
};

/// Tests of the application's own grants.
const APP: Part = Part::Only(&["-p", "tokenkeep-it", "--test", "it", "--", "refresh::app"]);

/// What becomes of a refresh token of the application's.
const OWN_GRANT: Group = Group {
    file: "core/src/refresh/decide.rs",
    part: APP,
    checks: &[(
        "a refresh token of the application that the provider does not take",
        "        Verdict::InvalidGrant if by == By::ApplicationsRefresh => AfterFailure::AskByOwnGrant,\n",
        "",
    )],
};

/// The application's own grant, where no refresh can help.
const FOUNDED: Group = Group {
    file: "core/src/refresh/attempt.rs",
    part: APP,
    checks: &[(
        "a grant of the application of another registration",
        "record.header.state == State::Active && binding.fits(record)",
        "record.header.state == State::Active",
    )],
};

/// What a certificate says of a key.
const CERTIFICATE: Group = Group {
    file: "core/src/client/auth/signing_key.rs",
    part: Part::Grants,
    checks: &[(
        "a certificate of another key",
        "if !der.windows(own.len()).any(|part| part == own) {",
        "if der.len() < own.len() {",
    )],
};

/// What a token exchange gave (RFC 8693 section 2.2.1).
const EXCHANGE: Group = Group {
    file: "core/src/client/obtain/token_exchange.rs",
    part: Part::Grants,
    checks: &[(
        "another kind of token than asked for",
        "(Some(issued), Some(requested)) if issued != requested => {",
        "(Some(issued), Some(requested)) if issued != requested && false => {",
    )],
};

/// Assertions are for one request (RFC 7523 section 3).
const ASSERTION: Group = Group {
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
    ],
};

/// What is kept without a session.
const KEPT_GRANT: Group = Group {
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
};

/// The three legs of OAuth 1.0a.
const OAUTH1_LEGS: Group = Group {
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
    ],
};

/// The way back of OAuth 1.0a.
const OAUTH1_CALLBACK: Group = Group {
    file: "core/src/client/callback.rs",
    part: Part::Client,
    checks: &[
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
};

/// The answers of OAuth 1.0a.
const OAUTH1_ANSWER: Group = Group {
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
    ],
};

/// What is signed, and where it stands.
const OAUTH1_REQUEST: Group = Group {
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
    ],
};

/// Calls of OAuth 1.0a.
const OAUTH1_CALLS: Group = Group {
    file: "core/src/client/api/signed.rs",
    part: Part::OAuth1,
    checks: &[
        (
            "a request that is sent again though it may have been processed",
            "again.filter(|request| request.method().is_idempotent());",
            "again.filter(|_| true);",
        ),
        (
            "the client's secret, where an API repeats it",
            "sent.extend(client.and_then(|client| client.key.shared()).cloned());",
            "sent.extend(client.and_then(|client| client.key.shared().filter(|_| false)).cloned());",
        ),
    ],
};

/// RSA signatures with SHA-1.
const OAUTH1_RSA: Group = Group {
    file: "core/src/oauth1/rsa.rs",
    part: Part::OAuth1Unit,
    checks: &[(
        "a faulty signature",
        "        .verify(message, &signature)\n        .map_err(|_| cannot_sign())?;",
        "        .verify(message, &signature)\n        .ok();",
    )],
};

/// What waits in the store for a login, by the provider's name for it.
const SAME_TOKEN: Group = Group {
    file: "core/src/registry/ready.rs",
    part: Part::OAuth1,
    checks: &[(
        "the data of another login with the same request token",
        "        if !kept.await? {",
        "        if !kept.await? && flow.token_secret.is_none() {",
    )],
};

/// The same name at another provider.
const SAME_NAME: Group = Group {
    file: "core/src/client/flow.rs",
    part: Part::OAuth1,
    checks: &[(
        "the request token of another provider's login",
        "format!(\"{}\\0{}\", self.client, self.state.expose());",
        "self.state.expose().to_owned();",
    )],
};

/// Keys that stand elsewhere.
const SIGNER: Group = Group {
    file: "core/src/client/obtain/jwt_bearer.rs",
    part: Part::Grants,
    checks: &[(
        "a signer that never answers",
        "() = clock.sleep(bounds.timeout) => Err(Error::new(",
        "() = std::future::pending() => Err(Error::new(",
    )],
};

/// Where assertions go.
const REACH: Group = Group {
    file: "core/src/client/state.rs",
    part: Part::Grants,
    checks: &[(
        "an assertion that somebody else could use",
        "if is_alone || endpoint.origin() == token_endpoint.origin() {",
        "if is_alone || endpoint.has_host() {",
    )],
};

/// What errors repeat.
const ECHO: Group = Group {
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
};

/// Whom a refusal is about.
const BREAKER: Group = Group {
    file: "core/src/refresh/breaker.rs",
    part: Part::Only(&["-p", "tokenkeep-core", "--lib", "refresh::breaker"]),
    checks: &[(
        "a refusal of one grant, which is no business of the others",
        "    said == Some(\"invalid_client\")\n",
        "    said.is_some()\n",
    )],
};
