//! What Authlib's client does, and where it stands here: `docs/authlib.md` names these lines.

use crate::list::{Group, Part};

/// Unit tests of the settings, and of registrations.
const SETTINGS: Part = Part::Only(&[
    "-p",
    "tokenkeep-core",
    "--lib",
    "--",
    "config::",
    "registration::",
]);
/// Unit tests of the time at which a token is renewed, and of who may ask.
const WHEN: Part = Part::Only(&[
    "-p",
    "tokenkeep-core",
    "--lib",
    "--",
    "refresh::snapshot",
    "refresh::circuit",
]);
/// Unit tests of what a record becomes.
const TRANSITIONS: Part = Part::Only(&["-p", "tokenkeep-core", "--lib", "refresh::transition"]);
/// Integration tests of settings, of endpoints, and of a provider that is away.
const THROUGH: Part = Part::Only(&[
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
/// Integration tests of tokens that the application keeps.
const CLOSURES: Part = Part::Only(&["-p", "tokenkeep-it", "--test", "it", "--", "elsewhere"]);

/// Every group.
pub(crate) const GROUPS: &[Group] = &[
    RESOLVE,
    CONFIG,
    READ,
    BUILDER,
    INIT,
    AUTHORIZE,
    FLOW,
    FLOW_DATA,
    TOKEN_ENDPOINT,
    EXCHANGE,
    REQUEST,
    READING,
    AUTH,
    NEGOTIATE,
    BASE,
    KEYS,
    WELL_KNOWN,
    POINT,
    CIRCUIT,
    KEPT,
    ENDPOINTS,
    LIFE,
    API,
    UNSENT,
    ATTEMPT,
    HOOKS,
    INTROSPECT,
    REPLACED,
];

/// Who wins: code, settings, or both.
const RESOLVE: Group = Group {
    file: "core/src/client/registration/resolve.rs",
    part: SETTINGS,
    checks: &[
        (
            "settings that win where they are told to",
            "            if overwrite {\n                $setting.or($explicit)",
            "            if false {\n                $setting.or($explicit)",
        ),
        (
            "code that wins over the settings",
            "                $explicit.or($setting)\n",
            "                $setting.or($explicit)\n",
        ),
        (
            "parameters of both sides",
            "    gaps.retain(|(name, _)| !winner.iter().any(|(known, _)| known == name));\n",
            "    gaps.clear();\n",
        ),
        (
            "a parameter that both sides name",
            "    gaps.retain(|(name, _)| !winner.iter().any(|(known, _)| known == name));\n",
            "",
        ),
        (
            "a response type that is not there",
            ".is_some_and(|t| t.trim() != \"code\")",
            ".is_some_and(str::is_empty)",
        ),
        (
            "automatic refresh that the settings turn off",
            "automatic_refresh: win!(r.automatic_refresh, k.automatic_refresh).unwrap_or(true),",
            "automatic_refresh: r.automatic_refresh.unwrap_or(true),",
        ),
    ],
};

/// Sources of settings.
const CONFIG: Group = Group {
    file: "core/src/config.rs",
    part: SETTINGS,
    checks: &[
        (
            "variables in upper case",
            ".map(|c| match c.to_ascii_uppercase() {",
            ".map(|c| match c {",
        ),
        (
            "an object for each client",
            "Value::Object(keys) if !ends_in_key(&variable_name(&name)) => {",
            "Value::Object(keys) if name.is_empty() => {",
        ),
    ],
};

/// What is read of the settings.
const READ: Group = Group {
    file: "core/src/config/settings.rs",
    part: SETTINGS,
    checks: &[
        (
            "each key of the settings",
            "api_base_url: text(\"API_BASE_URL\")?,",
            "api_base_url: None,",
        ),
        (
            "each member of CLIENT_KWARGS",
            "\"token_placement\" => kwargs.token_placement = Some(as_text(&name, value)?),",
            "\"token_placement\" => {}",
        ),
        (
            "a member of CLIENT_KWARGS that nobody knows",
            "return Err(invalid(format!(\n                        \"{name} is no member",
            "let _ = Some(invalid(format!(\n                        \"{name} is no member",
        ),
        (
            "an empty value that is none",
            "source.value(&variable)?.filter(|value| !is_blank(value));",
            "source.value(&variable)?;",
        ),
        (
            "scopes as text",
            "Ok(text.split_whitespace().map(str::to_owned).collect())",
            "Ok(vec![text])",
        ),
    ],
};

/// What a builder makes of its sources, and of the way to the network.
const BUILDER: Group = Group {
    file: "core/src/registry/builder.rs",
    part: THROUGH,
    checks: &[
        (
            "an empty value in the first of several sources",
            "source.value(variable)?.filter(|value| !is_blank(value)) {",
            "source.value(variable)?.filter(|value| !is_blank(value) || true) {",
        ),
        (
            "who sends a request",
            "reqwest::ClientBuilder::new().user_agent(USER_AGENT)",
            "reqwest::ClientBuilder::new().user_agent(&USER_AGENT[..4])",
        ),
    ],
};

/// Late registries.
const INIT: Group = Group {
    file: "core/src/registry.rs",
    part: THROUGH,
    checks: &[(
        "a client that was registered before init",
        "for registration in waiting.iter() {",
        "for registration in waiting.iter().take(0) {",
    )],
};

/// The request that a browser is sent with.
const AUTHORIZE: Group = Group {
    file: "core/src/client/authorize.rs",
    part: Part::Client,
    checks: &[
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
};

/// What a login remembers.
const FLOW: Group = Group {
    file: "core/src/client/flow.rs",
    part: Part::Client,
    checks: &[(
        "what a login remembers",
        "#[serde(rename = \"v\", default, skip_serializing_if = \"Option::is_none\")]",
        "#[serde(rename = \"v\", default, skip_serializing)]",
    )],
};

/// What waits in the store while a browser is away.
const FLOW_DATA: Group = Group {
    file: "core/src/registry/ready.rs",
    part: THROUGH,
    checks: &[(
        "data of a login that waits in the store",
        "        if !flow.data_in_store {\n",
        "        if !flow.data_in_store || flow.flow_data.is_null() {\n",
    )],
};

/// Requests to the token endpoint.
const TOKEN_ENDPOINT: Group = Group {
    file: "core/src/client/token_endpoint.rs",
    part: Part::Client,
    checks: &[(
        "the verifier of the login",
        "        if let Some(verifier) = verifier {\n",
        "        if let Some(verifier) = verifier.filter(|_| false) {\n",
    )],
};

/// Whose parameters they carry, and who reads the answer first.
const EXCHANGE: Group = Group {
    file: "core/src/client/token_endpoint/exchange.rs",
    part: Part::Client,
    checks: &[
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
};

/// The form of a request.
const REQUEST: Group = Group {
    file: "core/src/client/token_endpoint/request.rs",
    part: Part::Client,
    checks: &[(
        "an answer that is asked for as JSON",
        "HeaderValue::from_static(\"application/json\")",
        "HeaderValue::from_static(\"*/*\")",
    )],
};

/// What is read of a token answer.
const READING: Group = Group {
    file: "core/src/client/token_endpoint/reading.rs",
    part: Part::Client,
    checks: &[
        (
            "a number in quotes",
            "let text = raw.trim().trim_matches('\"').trim();",
            "let text = raw.trim();",
        ),
        (
            "an answer without an access token",
            "        if !self.has_access_token() {\n            return Err(\"the answer has no access token\");\n        }\n",
            "",
        ),
    ],
};

/// Who the client is.
const AUTH: Group = Group {
    file: "core/src/client/auth/secrets.rs",
    part: Part::Client,
    checks: &[
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
};

/// Which method an endpoint sees.
const NEGOTIATE: Group = Group {
    file: "core/src/client/auth/negotiate.rs",
    part: Part::Client,
    checks: &[(
        "a method for the revocation endpoint alone",
        "own.or(client.token_endpoint_auth_method)",
        "client.token_endpoint_auth_method.or(own)",
    )],
};

/// Relative paths.
const BASE: Group = Group {
    file: "core/src/client/api/url.rs",
    part: Part::Client,
    checks: &[(
        "the path of api_base_url",
        "        directory.as_str().trim_end_matches('/'),\n",
        "        directory.origin().ascii_serialization(),\n",
    )],
};

/// Keys without a name.
const KEYS: Group = Group {
    file: "core/src/openid/keys.rs",
    part: Part::Openid,
    checks: &[(
        "a token that names no key",
        "None => (&[][..], self.keys.as_slice()),",
        "None => (&[][..], self.keys.get(..1).unwrap_or_default()),",
    )],
};

/// Where metadata are.
const WELL_KNOWN: Group = Group {
    file: "core/src/openid/discovery.rs",
    part: Part::Openid,
    checks: &[(
        "metadata where RFC 8414 puts them",
        "at(&format!(\"{OAUTH}{path}\")),",
        "at(&format!(\"{path}{OAUTH}\")),",
    )],
};

/// When a token is renewed.
const POINT: Group = Group {
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
};

/// A provider that is away.
const CIRCUIT: Group = Group {
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
};

/// What is kept of an answer.
const KEPT: Group = Group {
    file: "core/src/refresh/transition/attempt.rs",
    part: TRANSITIONS,
    checks: &[(
        "a refresh token that the provider does not replace",
        "    if let Some(refresh_token) = &answer.refresh_token {\n        payload.refresh_token = Some(refresh_token.clone());",
        "    payload.refresh_token = None;\n    if let Some(refresh_token) = &answer.refresh_token {\n        payload.refresh_token = Some(refresh_token.clone());",
    )],
};

/// Endpoints by hand.
const ENDPOINTS: Group = Group {
    file: "core/src/client/state.rs",
    part: THROUGH,
    checks: &[(
        "endpoints by hand, before those of the metadata",
        "match &self.resolved.$configured {",
        "match &self.resolved.$configured.clone().filter(|_| self.metadata.is_none()) {",
    )],
};

/// For how long a login's token lasts.
const LIFE: Group = Group {
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
};

/// Calls.
const API: Group = Group {
    file: "core/src/client/api/call.rs",
    part: THROUGH,
    checks: &[
        (
            "a call that nobody is named for",
            "            Bearer::Withheld => Ok(None),\n",
            "            Bearer::Withheld => Ok(None),\n            Bearer::Nobodys if !self.is_endpoint => Ok(None),\n",
        ),
        (
            "a token of one's own",
            "            Bearer::Withheld => Ok(None),\n",
            "            Bearer::Withheld => Ok(None),\n            Bearer::Given(_) if !self.is_endpoint => Ok(None),\n",
        ),
        (
            "a 401 where automatic refresh is off",
            " || !self.state.resolved.automatic_refresh;",
            ";",
        ),
    ],
};

/// A call before it is sent.
const UNSENT: Group = Group {
    file: "core/src/client/api.rs",
    part: THROUGH,
    checks: &[(
        "a call that loads no metadata",
        "        let is_endpoint = matches!(self.target, Target::Endpoint(..));\n",
        "        state.metadata().await?;\n        let is_endpoint = matches!(self.target, Target::Endpoint(..));\n",
    )],
};

/// Whose credentials renew a token.
const ATTEMPT: Group = Group {
    file: "core/src/refresh/attempt.rs",
    part: THROUGH,
    checks: &[(
        "a user's token renewed by the client's own credentials",
        "if payload.refresh_token.is_none() && !self.is_of_the_app() {",
        "if false {",
    )],
};

/// Where the application takes part.
const HOOKS: Group = Group {
    file: "core/src/hooks.rs",
    part: THROUGH,
    checks: &[
        (
            "the hook access_token_request",
            "                    hook.access_token_request(self.client, request).await?;\n",
            "                    let _ = hook;\n",
        ),
        (
            "the hook access_token_response",
            "hook.access_token_response(self.client, &answer, body).await\n",
            "None\n",
        ),
        (
            "the hook refresh_token_request",
            "RequestKind::Refresh => hook.refresh_token_request(self.client, request).await?,",
            "RequestKind::Refresh => {}",
        ),
        (
            "the hook refresh_token_response",
            "                        hook.refresh_token_response(self.client, &answer, body)\n                            .await\n",
            "                        None\n",
        ),
        (
            "the hook protected_request",
            "            hook.protected_request(client, request).await?;\n",
            "            let _ = (hook, client, &request);\n",
        ),
        (
            "the hook revoke_token_request",
            "RequestKind::Revoke => hook.revoke_token_request(self.client, request).await?,",
            "RequestKind::Revoke => {}",
        ),
        (
            "the hook introspect_token_request",
            "                    hook.introspect_token_request(self.client, request).await?;\n",
            "",
        ),
    ],
};

/// What a provider knows of a token.
const INTROSPECT: Group = Group {
    file: "core/src/client/introspect.rs",
    part: THROUGH,
    checks: &[(
        "a token that is not active",
        ".and_then(|members| members.get(\"active\")?.as_bool());",
        ".map(|members| members.contains_key(\"active\"));",
    )],
};

/// By what a row is found.
const REPLACED: Group = Group {
    file: "core/src/store/closures.rs",
    part: CLOSURES,
    checks: &[(
        "what a renewed token replaces",
        "access_token: before.map(|before| Fingerprint::of(&before.access_token)),",
        "access_token: None,",
    )],
};
