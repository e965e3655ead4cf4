//! Calls of APIs with a kept token: where it may go, and what comes back.

use super::parts::THROUGH;
use crate::list::{Group, Part};

/// Every group.
pub(super) const GROUPS: &[Group] = &[
    // A call before it is sent.
    Group {
        file: "core/src/client/api.rs",
        part: THROUGH,
        checks: &[(
            "a call that loads no metadata",
            "        let is_endpoint = matches!(self.target, Target::Endpoint(..));\n",
            "        state.metadata().await?;\n        let is_endpoint = matches!(self.target, Target::Endpoint(..));\n",
        )],
    },
    // What hooks do to a request that carries a token.
    Group {
        file: "core/src/client/api/call.rs",
        part: Part::Providers,
        checks: &[(
            "a userinfo request that a hook sends elsewhere",
            "request.url().origin() != endpoint\n",
            "request.url().origin() != endpoint && false\n",
        )],
    },
    // Where an API call goes, and what is sent again.
    Group {
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
            (
                "a token of the caller's own",
                "Bearer::Given(token) => Material::given(token).map(Some),",
                "Bearer::Given(token) => Material::given(token).map(|_| None),",
            ),
        ],
    },
    // A call that is refused.
    // What an API asks for.
    Group {
        file: "core/src/client/api/call.rs",
        part: Part::Login,
        checks: &[
            (
                "a token that the API refuses, renewed once",
                "if !challenge.asks_for_a_fresh_token() || keeps {",
                "if !challenge.asks_for_a_fresh_token() || keeps || generation > 0 {",
            ),
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
    },
    // Calls.
    Group {
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
    },
    // What of a challenge is kept.
    Group {
        file: "core/src/client/api/challenge.rs",
        part: Part::Calls,
        checks: &[(
            "a challenge that repeats itself",
            " if !self.requires(name) => {",
            " => {",
        )],
    },
    // Which tokens are sent, and where they stand.
    Group {
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
    },
    // Calls of OAuth 1.0a.
    Group {
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
    },
    // Where a token may go.
    // Relative paths.
    Group {
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
            (
                "the path of api_base_url",
                "        directory.as_str().trim_end_matches('/'),\n",
                "        directory.origin().ascii_serialization(),\n",
            ),
        ],
    },
    // What a client below tells of a request.
    Group {
        file: "hooks/middleware/src/lib.rs",
        part: Part::Calls,
        checks: &[
            (
                "an address with a token in an error",
                "state.failure = Some(error.without_url());",
                "state.failure = Some(error);",
            ),
            (
                "a kept token in a plain client's request",
                "(None, Fallback::Of(grant)) => grant.execute(request),",
                "(None, Fallback::Of(grant)) => grant.client().execute(request).withhold_token(),",
            ),
        ],
    },
];
