//! Grants and client authentication, and what stands beside them in `docs/authlib.md`: each row names these lines.

use crate::list::{Group, Part};

/// Every group.
pub(crate) const GROUPS: &[Group] = &[
    GRANT,
    JWT_BEARER,
    KEPT,
    ASSERTION,
    METHOD,
    CERTIFICATE,
    OWN_HOOKS,
    OWN_TOKEN,
    OWN_CLIENTS,
    MIDDLEWARE,
    OF_OAUTH1,
    SETTINGS_OF_OAUTH1,
];

const GRANT: Group = Group {
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
};

const JWT_BEARER: Group = Group {
    file: "core/src/client/obtain/jwt_bearer.rs",
    part: Part::Grants,
    checks: &[
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
};

const KEPT: Group = Group {
    file: "core/src/registry/source.rs",
    part: Part::Grants,
    checks: &[(
        "the assertion of a grant that is kept",
        "Some(assertion) if ask.refresh_token.is_none() => Some(",
        "Some(assertion) if ask.refresh_token.is_some() => Some(",
    )],
};

const ASSERTION: Group = Group {
    file: "core/src/client/auth/assertion.rs",
    part: Part::Client,
    checks: &[
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
};

const METHOD: Group = Group {
    file: "core/src/client/auth/negotiate.rs",
    part: Part::Grants,
    checks: &[(
        "a method of the application's own",
        "if let Some(custom) = &client.client_authentication {",
        "if let Some(custom) = client.client_authentication.as_ref().filter(|_| false) {",
    )],
};

const CERTIFICATE: Group = Group {
    file: "core/src/client/state.rs",
    part: Part::Grants,
    checks: &[(
        "the endpoints for certificates",
        "Ok((alias.or(url), authentication))",
        "Ok((alias.and(url), authentication))",
    )],
};

/// Hooks of one client.
const OWN_HOOKS: Group = Group {
    file: "core/src/hooks.rs",
    part: Part::Providers,
    checks: &[(
        "hooks of one client",
        "        if own.is_empty() {\n            return self.clone();",
        "        if own.len() < usize::MAX {\n            return self.clone();",
    )],
};

const OWN_TOKEN: Group = Group {
    file: "core/src/client/api/call.rs",
    part: Part::Calls,
    checks: &[(
        "a token of the caller's own",
        "Bearer::Given(token) => Material::given(token).map(Some),",
        "Bearer::Given(token) => Material::given(token).map(|_| None),",
    )],
};

const OWN_CLIENTS: Group = Group {
    file: "hooks/web/src/user.rs",
    part: Part::Login,
    checks: &[(
        "the grants of who is signed in",
        "Ok(self.oauth.client(client)?.owner(self.owner()))",
        "Ok(self.oauth.client(client)?.owner(\"somebody else\"))",
    )],
};

const MIDDLEWARE: Group = Group {
    file: "hooks/middleware/src/lib.rs",
    part: Part::Calls,
    checks: &[(
        "a kept token in a plain client's request",
        "(None, Fallback::Of(grant)) => grant.execute(request),",
        "(None, Fallback::Of(grant)) => grant.client().execute(request).withhold_token(),",
    )],
};

const OF_OAUTH1: Group = Group {
    file: "core/src/client/registration/oauth1.rs",
    part: Part::Client,
    checks: &[(
        "a request token URL that makes a client one of OAuth 1.0a",
        "request_token_url: first.request_token_url.or(second.request_token_url),",
        "request_token_url: first.request_token_url.and(second.request_token_url),",
    )],
};

const SETTINGS_OF_OAUTH1: Group = Group {
    file: "core/src/config/settings.rs",
    part: Part::Only(&["-p", "tokenkeep-core", "--lib", "--", "config::"]),
    checks: &[(
        "the settings of OAuth 1.0a",
        "request_token_params: params(\"REQUEST_TOKEN_PARAMS\")?,",
        "request_token_params: None,",
    )],
};
