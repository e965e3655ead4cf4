//! How our own cookies are named and set at one address.

use std::fmt::Write;

use aws_lc_rs::digest;
use url::Url;

use super::{Cookie, SameSite};

/// The cookies of one application: their names, and the attributes that its address allows.
///
/// Over https each name begins with `__Host-`. Browsers take such a cookie only from this very host and over https
/// (RFC 6265bis section 4.1.3.2), so that no sibling domain and no plain connection can plant one: neither the flow of an
/// attacker's login nor an attacker's session. The prefix wants the path `/`, so applications under several paths of a
/// host have a mark of their path in the names, and leave each other's cookies alone.
#[derive(Clone, Debug)]
pub(crate) struct OwnCookies {
    secure: bool,
    mark: String,
}

impl OwnCookies {
    /// `base` is the application's address as browsers see it.
    pub(crate) fn at(base: &Url) -> Self {
        Self {
            // Browsers refuse Secure cookies from http, some of them on loopback too.
            secure: base.scheme() == "https",
            mark: mark_of(base.path().trim_end_matches('/')),
        }
    }

    /// Where the address is known only from redirect URIs: the root of some host, over https or on loopback.
    pub(crate) fn at_any_root() -> [Self; 2] {
        [true, false].map(|secure| Self {
            secure,
            mark: String::new(),
        })
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// What a cookie is called here.
    pub(crate) fn name(&self, name: &str) -> String {
        let prefix = if self.secure { "__Host-" } else { "" };
        format!("{prefix}{name}{}", self.mark)
    }

    /// A cookie of a whole name, empty.
    pub(crate) fn cookie(&self, whole_name: String) -> Cookie {
        let mut cookie = Cookie::new(whole_name, "");
        cookie.secure = self.secure;
        cookie.same_site = Some(SameSite::Lax);
        cookie
    }
}

/// A path may have characters that no cookie's name has.
fn mark_of(path: &str) -> String {
    let mut mark = String::new();
    if !path.is_empty() {
        mark.push('.');
        let digest = digest::digest(&digest::SHA256, path.as_bytes());
        for byte in &digest.as_ref()[..6] {
            // Writing to a string does not fail.
            let _ = write!(mark, "{byte:02x}");
        }
    }
    mark
}
