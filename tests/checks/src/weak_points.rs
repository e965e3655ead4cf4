//! What Authlib's client does not do, or not so: `docs/authlib-openid.md` and `docs/authlib-weak-points.md` name these lines.

use crate::list::{Group, Part};

/// Integration tests that `docs/authlib-*.md` name.
const AUTHLIB: Part = Part::Only(&["-p", "tokenkeep-it", "--test", "it", "--", "authlib"]);
/// Integration tests of pauses.
const PAUSES: Part = Part::Only(&[
    "-p",
    "tokenkeep-it",
    "--test",
    "it",
    "--",
    "refresh::answers::a_pause",
]);
/// Integration tests of answers that are late or none.
const ANSWERS: Part = Part::Only(&["-p", "tokenkeep-it", "--test", "it", "--", "login::answers"]);
/// Eight processes over one file.
const RACE: Part = Part::Only(&[
    "-p",
    "tokenkeep-it",
    "--test",
    "it",
    "--",
    "race::eight_processes_spend_each_refresh_token_once_over_sqlite",
]);
/// Integration tests of refreshes one after the other.
const FORCED: Part = Part::Only(&[
    "-p",
    "tokenkeep-it",
    "--test",
    "it",
    "--",
    "refresh::crowd::forced",
]);
/// Integration tests of tokens that the application keeps.
const CLOSURES: Part = Part::Only(&["-p", "tokenkeep-it", "--test", "it", "--", "elsewhere"]);
/// Integration tests that search what is said, and what is kept, for secrets.
const SECRETS: Part = Part::Only(&["-p", "tokenkeep-it", "--test", "it", "--", "secrets::"]);
/// Unit tests of records, of the settings, and of the way to the network.
const RECORDS: Part = Part::Only(&["-p", "tokenkeep-core", "--lib", "token::"]);
const SETTINGS: Part = Part::Only(&["-p", "tokenkeep-core", "--lib", "config::"]);
const NETWORK: Part = Part::Only(&["-p", "tokenkeep-core", "--lib", "http::"]);

/// Every group.
pub(crate) const GROUPS: &[Group] = &[
    REDIRECT,
    AUTHORIZE,
    FLOW,
    FLOW_BOUND,
    CALLBACK,
    LOGIN,
    READING,
    VERDICT,
    EXCHANGE,
    EXCHANGE_LOGIN,
    AUTH,
    BY_SECRET,
    API,
    STATE,
    RESOLVE,
    RESOLVE_DEFAULTS,
    CLIENTS,
    CONFIG,
    SETTINGS_READ,
    HOOKS,
    HTTP,
    HTTP_TIME,
    HTTP_NAMES,
    HANDLE,
    HEADER,
    LOADER,
    LOADER_STATE,
    REMOTE,
    END_SESSION,
    LOGOUT,
    EVENTS,
    ATTEMPT,
    COMMIT,
    CLOSURE_STORE,
    RECORD,
    SECRET,
    USERINFO,
    CLAIMS,
    TOKEN_TYPE,
    OPENID,
    REGISTRY,
    UNKNOWN,
    NO_END_SESSION,
    SAME_NAME,
    SAME_SITE,
    TRANSPORT,
    RESOLVE_URI,
    NO_CODE,
    RESOURCE,
    STEP_UP,
    RENEWED,
    LEASE,
    OAUTH1_SIGNING,
    OAUTH1_REQUEST,
    OAUTH1_ANSWER,
    OAUTH1_LEGS,
    OAUTH1_BACK,
];

/// Where a login begins.
const REDIRECT: Group = Group {
    file: "core/src/client/redirect.rs",
    part: AUTHLIB,
    checks: &[(
        "metadata that chooses the scope",
        "        let now = oauth.clock().now();\n        let authorization =",
        "        let said = state.metadata().await?;\n        let said = said.and_then(|said| said.value.get(\"scope\"));\n        \
         if let Some(serde_json::Value::String(scope)) = said {\n            self.options.scopes = Some(vec![scope]);\n        }\n        \
         let now = oauth.clock().now();\n        let authorization =",
    )],
};

/// The request that a browser is sent with.
const AUTHORIZE: Group = Group {
    file: "core/src/client/authorize.rs",
    part: Part::Client,
    checks: &[(
        "what is said at the call, before the registration",
        "(Some(typed), _) => Ok(Some(typed)),",
        "(Some(typed), _) => Ok(default.or(Some(typed))),",
    )],
};

/// The cookies of logins.
const FLOW: Group = Group {
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
};

/// What a login's cookie is bound to.
const FLOW_BOUND: Group = Group {
    file: "core/src/client/flow.rs",
    part: Part::Client,
    checks: &[(
        "a login's cookie of another client",
        "format!(\"tokenkeep flow\\0{client}\\0{cookie}\\0{until}\")",
        "format!(\"tokenkeep flow\\0{}\\0{cookie}\\0{until}\", client.is_empty())",
    )],
};

/// The answer to a login.
const CALLBACK: Group = Group {
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
    ],
};

/// What becomes of an answer with tokens.
const LOGIN: Group = Group {
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
};

/// What is read of a token answer.
const READING: Group = Group {
    file: "core/src/client/token_endpoint/reading.rs",
    part: AUTHLIB,
    checks: &[(
        "expires_in, and no expires_at",
        "let expires_in = find(\"expires_in\")\n",
        "let expires_in = find(\"expires_at\").or_else(|| find(\"expires_in\"))\n",
    )],
};

/// What a failed token request means.
const VERDICT: Group = Group {
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
};

/// A token request and its answer.
const EXCHANGE: Group = Group {
    file: "core/src/client/token_endpoint/exchange.rs",
    part: Part::Client,
    checks: &[(
        "a scope that a refresh asks for unasked",
        "            for (name, _) in parameters {\n                request.remove(name);\n            }\n",
        "            for (name, _) in parameters {\n                request.remove(name);\n            }\n            \
         if self.kind == RequestKind::Refresh {\n                request.set(\"scope\", self.endpoint.client.scopes.join(\" \"));\n            }\n",
    )],
};

/// What is no token.
const EXCHANGE_LOGIN: Group = Group {
    file: "core/src/client/token_endpoint/exchange.rs",
    part: Part::Client,
    checks: &[(
        "an answer that is no success",
        "            if !answer.status.is_success() {\n",
        "            if answer.status.is_server_error() {\n",
    )],
};

/// Who the client is.
const AUTH: Group = Group {
    file: "core/src/client/auth/negotiate.rs",
    part: Part::Client,
    checks: &[(
        "the methods that the metadata names",
        "|method: &AuthMethod| supported.iter().any(|name| name == method.as_str());",
        "|_: &AuthMethod| !supported.is_empty();",
    )],
};

/// What the client says with its secret.
const BY_SECRET: Group = Group {
    file: "core/src/client/auth/secrets.rs",
    part: Part::Client,
    checks: &[(
        "credentials that are encoded as a form",
        "let encode = |text: &str| -> String {\n            if self.raw {",
        "let encode = |text: &str| -> String {\n            if !self.raw {",
    )],
};

/// A call that is refused.
const API: Group = Group {
    file: "core/src/client/api/call.rs",
    part: Part::Login,
    checks: &[(
        "a token that the API refuses, renewed once",
        "if !challenge.asks_for_a_fresh_token() || keeps {",
        "if !challenge.asks_for_a_fresh_token() || keeps || generation > 0 {",
    )],
};

/// What a client knows of its provider.
const STATE: Group = Group {
    file: "core/src/client/state.rs",
    part: AUTHLIB,
    checks: &[
        (
            "endpoints by hand, without metadata",
            "if resolved.authorize_url.is_some() && resolved.access_token_url.is_some() =>",
            "if resolved.name.is_empty() =>",
        ),
        (
            "a refresh endpoint of its own",
            "self.resolved.refresh_token_url.as_ref().filter(|_| refresh)",
            "self.resolved.refresh_token_url.as_ref().filter(|_| refresh && self.name().is_empty())",
        ),
        (
            "the introspection endpoint of the metadata",
            "introspection_endpoint, introspection_url, introspection_endpoint;",
            "introspection_endpoint, introspection_url, token_endpoint;",
        ),
        (
            "the revocation endpoint of the metadata",
            "revocation_endpoint, revocation_url, revocation_endpoint;",
            "revocation_endpoint, revocation_url, jwks_uri;",
        ),
        (
            "what an endpoint that is missing is called",
            "format!(\"the client has no {what}: {remedy}\")",
            "format!(\"the client has no {}: {remedy}\", what.len())",
        ),
    ],
};

/// Registration and settings.
const RESOLVE: Group = Group {
    file: "core/src/client/registration/resolve.rs",
    part: AUTHLIB,
    checks: &[
        (
            "the settings of another registry",
            "    let settings = ClientSettings::read(&registration.name, source)?;\n",
            "    static FIRST: std::sync::Mutex<Option<ClientSettings>> = std::sync::Mutex::new(None);\n    \
             let read = ClientSettings::read(&registration.name, source)?;\n    \
             let mut first = FIRST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);\n    \
             let settings = match &*first {\n        Some(first) if registration.name == \"op\" => first.clone(),\n        \
             _ => read,\n    };\n    if registration.name == \"op\" && settings.client_id.is_some() {\n        \
             *first = Some(settings.clone());\n    }\n",
        ),
        (
            "parameters of a refresh",
            "refresh_token_params: merged(r.refresh_token_params, s.refresh_token_params, overwrite),",
            "refresh_token_params: Vec::new(),",
        ),
    ],
};

/// What holds if nothing is said.
const RESOLVE_DEFAULTS: Group = Group {
    file: "core/src/client/registration/resolve.rs",
    part: Part::Client,
    checks: &[
        (
            "PKCE without being asked for",
            "pkce: win!(r.pkce, pkce).unwrap_or_default(),",
            "pkce: win!(r.pkce, pkce).unwrap_or(Pkce::Off),",
        ),
        (
            "a token in a header, if nothing is said",
            "placement: win!(r.placement, placement).unwrap_or_default(),",
            "placement: win!(r.placement, placement).unwrap_or(Placement::Body),",
        ),
    ],
};

/// The clients of a registry.
const CLIENTS: Group = Group {
    file: "core/src/registry/clients.rs",
    part: Part::Login,
    checks: &[
        (
            "a name that is registered twice",
            "if !replace && clients.contains_key(registration.name()) {",
            "if false {",
        ),
        (
            "names that read the same settings",
            "        check_names(others.chain([registration.name()]))?;\n",
            "        drop(others);\n",
        ),
    ],
};

/// Settings that are none.
const CONFIG: Group = Group {
    file: "core/src/config.rs",
    part: SETTINGS,
    checks: &[(
        "a setting that nobody knows",
        "if source.refuses_unknown() {",
        "if source.refuses_unknown() && hint.is_empty() {",
    )],
};

/// Settings of the connection.
const SETTINGS_READ: Group = Group {
    file: "core/src/config/settings.rs",
    part: SETTINGS,
    checks: &[(
        "options of the connection",
        "\"verify\" | \"proxies\" | \"proxy\" | \"cert\" | \"trust_env\" => {",
        "\"verify\" | \"proxies\" | \"proxy\" | \"cert\" | \"trust_env\" if kwargs.scope.is_none() => continue,\n                \
         \"verify\" | \"proxies\" | \"proxy\" | \"cert\" | \"trust_env\" => {",
    )],
};

/// The application's part.
const HOOKS: Group = Group {
    file: "core/src/hooks.rs",
    part: AUTHLIB,
    checks: &[(
        "the order of hooks",
        "        for hook in self.hooks.0.iter() {\n            match kind {\n                RequestKind::AccessToken |",
        "        for hook in self.hooks.0.iter().rev() {\n            match kind {\n                RequestKind::AccessToken |",
    )],
};

/// The way out.
const HTTP: Group = Group {
    file: "core/src/http.rs",
    part: AUTHLIB,
    checks: &[(
        "one pool for all calls",
        "        self.0.execute(request).await.map_err(|error| {",
        "        reqwest::Client::new().execute(request).await.map_err(|error| {",
    )],
};

/// How long the provider may take.
const HTTP_TIME: Group = Group {
    file: "core/src/http.rs",
    part: ANSWERS,
    checks: &[(
        "a provider that takes too long",
        "            () = self.clock.sleep(timeout) => Err(Failure {",
        "            () = self.clock.sleep(timeout * 1000) => Err(Failure {",
    )],
};

/// Where plain http is safe.
const HTTP_NAMES: Group = Group {
    file: "core/src/http.rs",
    part: NETWORK,
    checks: &[(
        "http to what is no loopback",
        "        \"http\" => is_loopback(url),\n",
        "        \"http\" => url.has_host(),\n",
    )],
};

/// What a client's errors say.
const HANDLE: Group = Group {
    file: "core/src/client/handle.rs",
    part: AUTHLIB,
    checks: &[(
        "whom an error of a call happened to",
        "        let error = error.with_client(&*self.name);\n",
        "        let error = error.with_client(\"-\");\n",
    )],
};

/// The header of a signed token.
const HEADER: Group = Group {
    file: "core/src/openid/jws.rs",
    part: AUTHLIB,
    checks: &[(
        "a member of a header that is not known",
        "            _ => return Ok(false),\n        }\n        Ok(true)\n    }\n\n    fn finish(self) -> Self {",
        "            _ => return Err(serde::de::Error::custom(\"unknown\")),\n        }\n        Ok(true)\n    }\n\n    fn finish(self) -> Self {",
    )],
};

/// Documents of a provider.
const LOADER: Group = Group {
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
};

/// What is known of a document.
const LOADER_STATE: Group = Group {
    file: "core/src/openid/loader/state.rs",
    part: Part::Openid,
    checks: &[
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
    ],
};

/// A document that did not change.
const REMOTE: Group = Group {
    file: "core/src/openid/loader/state.rs",
    part: Part::Openid,
    checks: &[(
        "a document that is fetched again unchanged",
        "Some((current.url.clone(), current.etag.clone()?))",
        "Some((current.url.clone(), current.etag.clone().filter(|_| false)?))",
    )],
};

/// The way to a logout.
const END_SESSION: Group = Group {
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
};

/// A logout that begins here.
const LOGOUT: Group = Group {
    file: "core/src/client/logout.rs",
    part: Part::Login,
    checks: &[(
        "a state without a way back",
        "                    .as_ref()\n                    .map(|_| pending.state.expose()),",
        "                    .as_ref()\n                    .map_or(Some(pending.state.expose()), |_| Some(pending.state.expose())),",
    )],
};

/// What is told.
const EVENTS: Group = Group {
    file: "core/src/events.rs",
    part: AUTHLIB,
    checks: &[(
        "a change that is told",
        "        let _ = self.0.send(update);\n",
        "        drop(update);\n",
    )],
};

/// What a failed refresh waits for.
const ATTEMPT: Group = Group {
    file: "core/src/refresh/decide.rs",
    part: PAUSES,
    checks: &[(
        "the pause that a provider asks for",
        "        } => AfterFailure::CoolFor { wait },\n",
        "        } => AfterFailure::CoolFor { wait: wait / 1000 },\n",
    )],
};

/// An answer on its way into the store.
const COMMIT: Group = Group {
    file: "core/src/refresh/commit.rs",
    part: CLOSURES,
    checks: &[(
        "a commit that waits for the store",
        "                    keeper.0.clock.sleep(wait).await;\n",
        "                    if wait > Duration::ZERO {\n                        return Err(error);\n                    }\n",
    )],
};

/// Tokens that the application keeps.
const CLOSURE_STORE: Group = Group {
    file: "core/src/store/closures.rs",
    part: CLOSURES,
    checks: &[(
        "a client's own closures",
        "clients.get(client).or(self.shared.as_ref()).cloned()",
        "clients.get(\"\").or(self.shared.as_ref()).cloned()",
    )],
};

/// What is kept.
const RECORD: Group = Group {
    file: "core/src/token/record.rs",
    part: RECORDS,
    checks: &[(
        "a record in plain where records are sealed",
        "[PLAIN, json @ ..] if sealing.accept_plain => Body::Open {",
        "[PLAIN, json @ ..] if sealing.accept_plain || !json.is_empty() => Body::Open {",
    )],
};

/// What prints.
const SECRET: Group = Group {
    file: "core/src/token/secret.rs",
    part: SECRETS,
    checks: &[(
        "a secret that prints",
        "        f.write_str(\"[secret]\")\n",
        "        f.write_str(&self.0)\n",
    )],
};

/// Who somebody is.
const USERINFO: Group = Group {
    file: "core/src/client/userinfo.rs",
    part: Part::Login,
    checks: &[(
        "userinfo that hooks mend",
        "            hooks.userinfo_response(self.name(), &mut value).await?;\n",
        "            let mut seen: serde_json::Value = value;\n            let value = seen.clone();\n            hooks.userinfo_response(self.name(), &mut seen).await?;\n",
    )],
};

/// Typed claims.
const CLAIMS: Group = Group {
    file: "core/src/openid/claims.rs",
    part: Part::Openid,
    checks: &[(
        "a standard claim by its name",
        "                self.profile_claims().email_verified\n",
        "                self.profile_claims().phone_number_verified\n",
    )],
};

/// A token that nobody can send.
const TOKEN_TYPE: Group = Group {
    file: "core/src/client/token_endpoint/exchange.rs",
    part: AUTHLIB,
    checks: &[(
        "what a token type asks for",
        "error.with_action(Action::Configure);",
        "error.with_action(Action::Retry { after: None });",
    )],
};

/// A client of an OpenID Provider.
const OPENID: Group = Group {
    file: "core/src/client/registration/resolve.rs",
    part: Part::Client,
    checks: &[(
        "openid without an issuer",
        "if client.is_openid() && !discovery {",
        "if client.is_openid() && !discovery && client.name.is_empty() {",
    )],
};

/// A registry before its time.
const REGISTRY: Group = Group {
    file: "core/src/registry.rs",
    part: AUTHLIB,
    checks: &[(
        "a registry that is not built",
        "                ErrorCode::NotInitialized,\n",
        "                ErrorCode::Internal,\n",
    )],
};

/// Names of clients.
const UNKNOWN: Group = Group {
    file: "core/src/registry/clients.rs",
    part: AUTHLIB,
    checks: &[(
        "a name that nobody registered",
        "        ErrorCode::UnknownClient,\n        Phase::Configure,\n        format!(\"no client {name:?}",
        "        ErrorCode::Internal,\n        Phase::Configure,\n        format!(\"no client {name:?}",
    )],
};

/// A provider that ends no sessions.
const NO_END_SESSION: Group = Group {
    file: "core/src/client/logout.rs",
    part: AUTHLIB,
    checks: &[(
        "an end-session endpoint that is missing",
        "            return Ok(None);\n",
        "            return Err(Error::new(\n                ErrorCode::InvalidMetadata,\n                Phase::Logout,\n                \"there is none\",\n            ));\n",
    )],
};

/// Keys that were replaced under their name.
const SAME_NAME: Group = Group {
    file: "core/src/openid/signed.rs",
    part: Part::Login,
    checks: &[(
        "another key under the same name",
        "                ErrorCode::MissingKey | ErrorCode::InvalidSignature\n            ) =>",
        "                ErrorCode::MissingKey\n            ) =>",
    )],
};

/// Which requests bring a login's cookie.
const SAME_SITE: Group = Group {
    file: "core/src/client/flow.rs",
    part: Part::Client,
    checks: &[(
        "the cookie of an answer that another site posts",
        "(ResponseMode::FormPost, true) => Some(SameSite::None),",
        "(ResponseMode::FormPost, true) => Some(SameSite::Lax),",
    )],
};

/// The application's own way to the network.
const TRANSPORT: Group = Group {
    file: "core/src/registry/builder.rs",
    part: AUTHLIB,
    checks: &[(
        "a transport of one's own",
        "let transport = self.transport.unwrap_or_else(|| Arc::new(real));",
        "drop(self.transport);\n        let transport: Arc<dyn Transport> = Arc::new(real);",
    )],
};

/// The one redirect URI.
const RESOLVE_URI: Group = Group {
    file: "core/src/client/registration/resolve.rs",
    part: AUTHLIB,
    checks: &[(
        "the redirect URI of the registration",
        "redirect_uri: win!(r.redirect_uri, k.redirect_uri),",
        "redirect_uri: win!(r.redirect_uri, k.redirect_uri).filter(|_| overwrite),",
    )],
};

/// An answer without a code.
const NO_CODE: Group = Group {
    file: "core/src/client/callback.rs",
    part: AUTHLIB,
    checks: &[(
        "a code that is missing",
        "(None, None) => Err(missing(\"code\")),",
        "(None, None) => Ok(Code(params.state()?.clone())),",
    )],
};

/// Tokens for a resource.
const RESOURCE: Group = Group {
    file: "core/src/client/grant.rs",
    part: AUTHLIB,
    checks: &[(
        "a token for a resource of its own",
        "resources.push(resource.into());",
        "resources.truncate(0);\n        let _ = resource.into();",
    )],
};

/// What an API asks for.
const STEP_UP: Group = Group {
    file: "core/src/client/api/call.rs",
    part: Part::Login,
    checks: &[
        (
            "a step-up that an API asks for",
            "Some(\"insufficient_user_authentication\") => (",
            "Some(\"-\") => (",
        ),
        (
            "a refusal of what cannot be sent again",
            "                ErrorCode::TokenRejected,\n                self.phase,\n                \"the API refused the token, which is renewed now",
            "                ErrorCode::RequestFailed,\n                self.phase,\n                \"the API refused the token, which is renewed now",
        ),
    ],
};

/// What a refresh brings.
const RENEWED: Group = Group {
    file: "core/src/refresh/transition/attempt.rs",
    part: FORCED,
    checks: &[(
        "the new refresh token in the place of the old one",
        "        payload.refresh_token = Some(refresh_token.clone());",
        "        payload.refresh_token.get_or_insert_with(|| refresh_token.clone());",
    )],
};

/// One refresh for the whole fleet.
const LEASE: Group = Group {
    file: "core/src/refresh/transition/attempt.rs",
    part: RACE,
    checks: &[(
        "the lease of another process",
        "        Some(lease) if lease.until > now => return",
        "        Some(lease) if lease.until > now && attempt.is_empty() => return",
    )],
};

/// How a request of OAuth 1.0a is signed.
const OAUTH1_SIGNING: Group = Group {
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
};

/// What of a request is signed, and where it stands.
const OAUTH1_REQUEST: Group = Group {
    file: "core/src/oauth1/request.rs",
    part: Part::OAuth1Unit,
    checks: &[
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
};

/// What a provider of OAuth 1.0a answers.
const OAUTH1_ANSWER: Group = Group {
    file: "core/src/oauth1/answer.rs",
    part: Part::OAuth1Unit,
    checks: &[
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
};

/// The three legs.
const OAUTH1_LEGS: Group = Group {
    file: "core/src/client/oauth1.rs",
    part: Part::OAuth1,
    checks: &[
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
};

/// The way back of OAuth 1.0a.
const OAUTH1_BACK: Group = Group {
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
};
