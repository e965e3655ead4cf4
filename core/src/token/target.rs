//! What an access token is for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an access token is for: sorted resources (RFC 8707) and sorted scopes. Both empty: the login's own token.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Target {
    /// The resources, sorted, without doubles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// The scopes, sorted, without doubles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

impl Target {
    /// The login's own access token.
    #[must_use]
    pub fn login() -> Self {
        Self::default()
    }

    /// An access token for some resources and scopes, in whatever order.
    #[must_use]
    pub fn new<R: Into<String>, S: Into<String>>(
        resources: impl IntoIterator<Item = R>,
        scopes: impl IntoIterator<Item = S>,
    ) -> Self {
        fn sorted<T: Into<String>>(items: impl IntoIterator<Item = T>) -> Vec<String> {
            let mut items: Vec<String> = items.into_iter().map(Into::into).collect();
            items.sort();
            items.dedup();
            items
        }
        Self {
            resources: sorted(resources),
            scopes: sorted(scopes),
        }
    }

    /// Is it the login's own?
    #[must_use]
    pub fn is_login(&self) -> bool {
        self.resources.is_empty() && self.scopes.is_empty()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_login() {
            return f.write_str("login");
        }
        write!(
            f,
            "{}",
            [self.resources.join(" "), self.scopes.join(" ")].join("; ")
        )
    }
}
