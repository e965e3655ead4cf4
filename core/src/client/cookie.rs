//! A cookie to set, whatever the web framework.

mod browser;
mod own;

use std::{fmt::Write, time::Duration};

pub use browser::BrowserCookies;
pub(crate) use own::OwnCookies;

use crate::Secret;

/// A cookie to set (RFC 6265). `Debug` does not show its value.
///
/// ```
/// use std::time::Duration;
/// use tokenkeep_core::{Cookie, SameSite};
///
/// let mut cookie = Cookie::new("session", "abc");
/// cookie.secure = true;
/// cookie.same_site = Some(SameSite::Lax);
/// cookie.max_age = Some(Duration::from_secs(60));
/// assert_eq!(cookie.to_header(), "session=abc; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cookie {
    /// The name.
    pub name: String,
    /// The value, of characters that need no encoding.
    pub value: Secret,
    /// The path under which the browser sends it; `/` by default.
    pub path: String,
    /// How long the browser keeps it: zero removes it, `None` keeps it as long as the browser runs.
    pub max_age: Option<Duration>,
    /// Not for scripts. On by default.
    pub http_only: bool,
    /// Only over https.
    pub secure: bool,
    /// Whether it goes with requests that come from other sites; `None` leaves that to the browser.
    pub same_site: Option<SameSite>,
}

/// Whether a cookie goes with requests that come from other sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// Never.
    Strict,
    /// With top-level navigation by GET.
    Lax,
    /// Always; browsers want [`secure`](Cookie::secure) then.
    None,
}

impl Cookie {
    /// A cookie for scripts to stay away from, under `/`, as long as the browser runs.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<Secret>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            path: "/".to_owned(),
            max_age: None,
            http_only: true,
            secure: false,
            same_site: None,
        }
    }

    /// The same cookie, to be removed by the browser.
    #[must_use]
    pub fn removal(mut self) -> Self {
        self.value = Secret::new("");
        self.max_age = Some(Duration::ZERO);
        self
    }

    /// The value of a `Set-Cookie` header.
    #[must_use]
    pub fn to_header(&self) -> String {
        let mut header = format!("{}={}; Path={}", self.name, self.value.expose(), self.path);
        if let Some(max_age) = self.max_age {
            // Writing to a string does not fail.
            let _ = write!(header, "; Max-Age={}", max_age.as_secs());
        }
        if self.http_only {
            header.push_str("; HttpOnly");
        }
        if self.secure {
            header.push_str("; Secure");
        }
        header.push_str(match self.same_site {
            Some(SameSite::Strict) => "; SameSite=Strict",
            Some(SameSite::Lax) => "; SameSite=Lax",
            Some(SameSite::None) => "; SameSite=None",
            None => "",
        });
        header
    }
}
