//! The web hooks and the presets of providers.

use crate::list::{Group, Part};

/// Every group.
pub(super) const GROUPS: &[Group] = &[
    // Answers of token endpoints, mended.
    Group {
        file: "hooks/providers/src/answer.rs",
        part: Part::Providers,
        checks: &[(
            "a doubled member that mending would hide",
            "if members.insert(name, value).is_some() {",
            "if members.insert(name, value).is_some() && false {",
        )],
    },
    // Apple's client secret.
    Group {
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
    },
    // Where a domain leads.
    Group {
        file: "hooks/providers/src/presets/mod.rs",
        part: Part::Providers,
        checks: &[(
            "a path of another host in a domain's place",
            "if !domain.contains(\"://\") && !domain.chars().all(is_domain) {",
            "if domain.contains(\"://\") && !domain.chars().all(is_domain) && false {",
        )],
    },
    // Profiles as standard claims.
    Group {
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
    },
    // The page of connected accounts.
    Group {
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
    },
    // Adding a grant by the routes.
    Group {
        file: "hooks/web/src/routes/login.rs",
        part: Part::Login,
        checks: &[(
            "a connect that another site starts",
            "            refuse_cross_site(&request.headers)?;",
            "",
        )],
    },
    // Where the form of a logout goes.
    Group {
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
    },
    // What comes with a form.
    Group {
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
            (
                "the grants of who is signed in",
                "Ok(self.oauth.client(client)?.owner(self.owner()))",
                "Ok(self.oauth.client(client)?.owner(\"somebody else\"))",
            ),
        ],
    },
];
