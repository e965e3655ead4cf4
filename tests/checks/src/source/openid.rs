//! What OpenID Connect asks of a client: ID tokens, userinfo, metadata, keys.

use super::parts::AUTHLIB;
use crate::list::{Group, Part};

/// Every group.
pub(super) const GROUPS: &[Group] = &[
    // Typed claims.
    Group {
        file: "core/src/openid/claims.rs",
        part: Part::Openid,
        checks: &[(
            "a standard claim by its name",
            "                self.profile_claims().email_verified\n",
            "                self.profile_claims().phone_number_verified\n",
        )],
    },
    // The provider's metadata: OpenID Connect Discovery 1.0 section 4.3, RFC 8414 section 3.3.
    // Where metadata are.
    Group {
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
            (
                "metadata where RFC 8414 puts them",
                "at(&format!(\"{OAUTH}{path}\")),",
                "at(&format!(\"{path}{OAUTH}\")),",
            ),
        ],
    },
    // The ID token: OpenID Connect Core section 3.1.3.7 and RFC 8725.
    // The application's own checks.
    Group {
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
            (
                "the application's own checks",
                "    rules.claim_checks.run(&claims)?;\n",
                "",
            ),
        ],
    },
    // The issuer: one by name, or the tenants of a template.
    Group {
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
    },
    // What is read of JSON.
    Group {
        file: "core/src/openid/json.rs",
        part: Part::Openid,
        checks: &[(
            "a member that occurs twice",
            "if is_doubled {",
            "if false {",
        )],
    },
    // The header of a signed token.
    Group {
        file: "core/src/openid/jws.rs",
        part: AUTHLIB,
        checks: &[(
            "a member of a header that is not known",
            "            _ => return Ok(false),\n        }\n        Ok(true)\n    }\n\n    fn finish(self) -> Self {",
            "            _ => return Err(serde::de::Error::custom(\"unknown\")),\n        }\n        Ok(true)\n    }\n\n    fn finish(self) -> Self {",
        )],
    },
    // The provider's keys: RFC 7517, RFC 8725 section 3.1.
    // Keys without a name.
    Group {
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
            (
                "a token that names no key",
                "None => (&[][..], self.keys.as_slice()),",
                "None => (&[][..], self.keys.get(..1).unwrap_or_default()),",
            ),
        ],
    },
    // One key.
    Group {
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
    },
    Group {
        file: "core/src/openid/loader/remote.rs",
        part: Part::Openid,
        checks: &[(
            "a document that is not there",
            "if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {",
            "if !status.is_success() {",
        )],
    },
    // Documents of a provider.
    Group {
        file: "core/src/openid/loader.rs",
        part: Part::Openid,
        checks: &[
            (
                "one fetch for all who wait",
                "        if let Some(flight) = state.in_flight() {\n            return (flight, false);",
                "        if let Some(flight) = state.in_flight().filter(|_| state.current.is_some()) {\n            return (flight, false);",
            ),
            (
                "a document that is too old to be fresh",
                "if !is_fresh && state.cooling(now).is_none() {",
                "if false {",
            ),
        ],
    },
    // Whose tokens may have keys fetched anew.
    // What is known of a document.
    // A document that did not change.
    Group {
        file: "core/src/openid/loader/state.rs",
        part: Part::Openid,
        checks: &[
            (
                "a fetch for anybody's tokens that uses up the provider's",
                "let not_before = &mut self.forced_not_before[asker as usize];",
                "let not_before = &mut self.forced_not_before[usize::from(asker as usize > 1)];",
            ),
            (
                "a document that is too old to be used",
                "(now < current.fresh_until + LAST_KNOWN_GOOD)\n",
                "(now < current.fresh_until + LAST_KNOWN_GOOD * 1000)\n",
            ),
            (
                "unknown keys that become requests",
                "            && now < *not_before\n",
                "            && now < *not_before && asker as usize > 1\n",
            ),
            (
                "a pause after a failure",
                "            .filter(|failure| now < failure.until)?;",
                "            .filter(|failure| now > failure.until)?;",
            ),
            (
                "a document that is fetched again unchanged",
                "Some((current.url.clone(), current.etag.clone()?))",
                "Some((current.url.clone(), current.etag.clone().filter(|_| false)?))",
            ),
        ],
    },
    // The way to a logout.
    Group {
        file: "core/src/openid/logout.rs",
        part: Part::Login,
        checks: &[
            (
                "the hint of who logs out",
                "        (\"logout_hint\", request.logout_hint),\n",
                "",
            ),
            (
                "the ID token that a logout names",
                "        (\"id_token_hint\", request.id_token_hint),\n",
                "",
            ),
        ],
    },
    // The logout token: OpenID Connect Back-Channel Logout 1.0 section 2.6.
    Group {
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
    },
    // Whatever a provider signs: RFC 7515, RFC 8725.
    Group {
        file: "core/src/openid/signed.rs",
        part: Part::Openid,
        checks: &[
            (
                "what a key that nobody publishes is called",
                "return Err(kind.fault(\n                    ErrorCode::MissingKey,",
                "return Err(kind.fault(\n                    ErrorCode::InvalidSignature,",
            ),
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
    },
    // Keys that were replaced under their name.
    Group {
        file: "core/src/openid/signed.rs",
        part: Part::Login,
        checks: &[(
            "another key under the same name",
            "                ErrorCode::MissingKey | ErrorCode::InvalidSignature\n            ) =>",
            "                ErrorCode::MissingKey\n            ) =>",
        )],
    },
    // Userinfo: OpenID Connect Core section 5.3.2.
    Group {
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
    },
    // Signed userinfo: OpenID Connect Core section 5.3.2.
    Group {
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
    },
];
