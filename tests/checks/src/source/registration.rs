//! Settings and registrations, and the clients that come of them.

use super::parts::{AUTHLIB, REGISTRATIONS, SETTINGS, THROUGH};
use crate::list::{Group, Part};

/// Every group.
pub(super) const GROUPS: &[Group] = &[
    // What a client's errors say.
    Group {
        file: "core/src/client/handle.rs",
        part: AUTHLIB,
        checks: &[(
            "whom an error of a call happened to",
            "        let error = error.with_client(&*self.name);\n",
            "        let error = error.with_client(\"-\");\n",
        )],
    },
    // What a registration may say of a provider's own ways.
    Group {
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
    },
    // Registration and settings.
    // The one redirect URI.
    Group {
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
            (
                "the redirect URI of the registration",
                "redirect_uri: win!(r.redirect_uri, k.redirect_uri),",
                "redirect_uri: win!(r.redirect_uri, k.redirect_uri).filter(|_| overwrite),",
            ),
        ],
    },
    // What holds if nothing is said.
    // A client of an OpenID Provider.
    Group {
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
            (
                "openid without an issuer",
                "if client.is_openid() && !discovery {",
                "if client.is_openid() && !discovery && client.name.is_empty() {",
            ),
        ],
    },
    // Who wins: code, settings, or both.
    Group {
        file: "core/src/client/registration/resolve.rs",
        part: REGISTRATIONS,
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
    },
    // Where assertions go.
    Group {
        file: "core/src/client/state.rs",
        part: Part::Grants,
        checks: &[
            (
                "an assertion that somebody else could use",
                "if is_alone || endpoint.origin() == token_endpoint.origin() {",
                "if is_alone || endpoint.has_host() {",
            ),
            (
                "the endpoints for certificates",
                "Ok((alias.or(url), authentication))",
                "Ok((alias.and(url), authentication))",
            ),
        ],
    },
    // What a client knows of its provider.
    Group {
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
    },
    // Endpoints by hand.
    Group {
        file: "core/src/client/state.rs",
        part: THROUGH,
        checks: &[(
            "endpoints by hand, before those of the metadata",
            "match &self.resolved.$configured {",
            "match &self.resolved.$configured.clone().filter(|_| self.metadata.is_none()) {",
        )],
    },
    // Settings that are none.
    Group {
        file: "core/src/config.rs",
        part: SETTINGS,
        checks: &[(
            "a setting that nobody knows",
            "if source.refuses_unknown() {",
            "if source.refuses_unknown() && hint.is_empty() {",
        )],
    },
    // Sources of settings.
    Group {
        file: "core/src/config.rs",
        part: REGISTRATIONS,
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
    },
    // Settings of the connection.
    Group {
        file: "core/src/config/settings.rs",
        part: SETTINGS,
        checks: &[(
            "options of the connection",
            "\"verify\" | \"proxies\" | \"proxy\" | \"cert\" | \"trust_env\" => {",
            "\"verify\" | \"proxies\" | \"proxy\" | \"cert\" | \"trust_env\" if kwargs.scope.is_none() => continue,\n                \
         \"verify\" | \"proxies\" | \"proxy\" | \"cert\" | \"trust_env\" => {",
        )],
    },
    // What is read of the settings.
    Group {
        file: "core/src/config/settings.rs",
        part: REGISTRATIONS,
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
    },
    Group {
        file: "core/src/config/settings.rs",
        part: Part::Only(&["-p", "tokenkeep-core", "--lib", "--", "config::"]),
        checks: &[(
            "the settings of OAuth 1.0a",
            "request_token_params: params(\"REQUEST_TOKEN_PARAMS\")?,",
            "request_token_params: None,",
        )],
    },
    // The application's part.
    Group {
        file: "core/src/hooks.rs",
        part: AUTHLIB,
        checks: &[(
            "the order of hooks",
            "        for hook in self.hooks.0.iter() {\n            match kind {\n                RequestKind::AccessToken |",
            "        for hook in self.hooks.0.iter().rev() {\n            match kind {\n                RequestKind::AccessToken |",
        )],
    },
    // Where the application takes part.
    Group {
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
    },
    // Hooks of one client.
    Group {
        file: "core/src/hooks.rs",
        part: Part::Providers,
        checks: &[(
            "hooks of one client",
            "        if own.is_empty() {\n            return self.clone();",
            "        if own.len() < usize::MAX {\n            return self.clone();",
        )],
    },
    // A registry before its time.
    Group {
        file: "core/src/registry.rs",
        part: AUTHLIB,
        checks: &[(
            "a registry that is not built",
            "                ErrorCode::NotInitialized,\n",
            "                ErrorCode::Internal,\n",
        )],
    },
    // Late registries.
    Group {
        file: "core/src/registry.rs",
        part: THROUGH,
        checks: &[(
            "a client that was registered before init",
            "for registration in waiting.iter() {",
            "for registration in waiting.iter().take(0) {",
        )],
    },
    // What sends.
    Group {
        file: "core/src/registry/builder.rs",
        part: Part::Calls,
        checks: &[(
            "a transport that follows redirects",
            "if self.transport.as_ref().is_some_and(led_away) {",
            "if self.transport.as_ref().is_some_and(led_away) && false {",
        )],
    },
    // The application's own way to the network.
    Group {
        file: "core/src/registry/builder.rs",
        part: AUTHLIB,
        checks: &[(
            "a transport of one's own",
            "let transport = self.transport.unwrap_or_else(|| Arc::new(real));",
            "drop(self.transport);\n        let transport: Arc<dyn Transport> = Arc::new(real);",
        )],
    },
    // What a builder makes of its sources, and of the way to the network.
    Group {
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
    },
    // The clients of a registry.
    Group {
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
    },
    // Names of clients.
    Group {
        file: "core/src/registry/clients.rs",
        part: AUTHLIB,
        checks: &[(
            "a name that nobody registered",
            "        ErrorCode::UnknownClient,\n        Phase::Configure,\n        format!(\"no client {name:?}",
            "        ErrorCode::Internal,\n        Phase::Configure,\n        format!(\"no client {name:?}",
        )],
    },
    // What waits in the store for a login, by the provider's name for it.
    Group {
        file: "core/src/registry/ready.rs",
        part: Part::OAuth1,
        checks: &[(
            "the data of another login with the same request token",
            "        if !kept.await? {",
            "        if !kept.await? && flow.token_secret.is_none() {",
        )],
    },
    // What waits in the store while a browser is away.
    Group {
        file: "core/src/registry/ready.rs",
        part: THROUGH,
        checks: &[(
            "data of a login that waits in the store",
            "        if !flow.data_in_store {\n",
            "        if !flow.data_in_store || flow.flow_data.is_null() {\n",
        )],
    },
    // Who is shown a token when it is revoked.
    Group {
        file: "core/src/registry/source.rs",
        part: Part::Login,
        checks: &[(
            "revoking a token at another provider",
            "if !state.binding().await?.issued(issued_by) {",
            "if false {",
        )],
    },
    // What a refresh brings.
    Group {
        file: "core/src/registry/source.rs",
        part: Part::Refresh,
        checks: &[(
            "a grant that ends for a key that is published too late",
            "Err(error) if error.code() == ErrorCode::MissingKey => Ok(false),",
            "Err(error) if error.code() == ErrorCode::NotInitialized => Ok(false),",
        )],
    },
    Group {
        file: "core/src/registry/source.rs",
        part: Part::Grants,
        checks: &[(
            "the assertion of a grant that is kept",
            "Some(assertion) if ask.refresh_token.is_none() => Some(",
            "Some(assertion) if ask.refresh_token.is_some() => Some(",
        )],
    },
];
