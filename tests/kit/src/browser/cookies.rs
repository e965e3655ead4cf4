//! A cookie jar with as much of RFC 6265bis as a login on the loopback needs.

use reqwest::Method;
use url::Url;

/// More than any application sets; a test that loops must not fill the memory.
const CAPACITY: usize = 1_000;

#[derive(Default)]
pub(super) struct Jar {
    cookies: Vec<Cookie>,
}

struct Cookie {
    host: String,
    path: String,
    name: String,
    value: String,
    same_site: SameSite,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SameSite {
    None,
    Lax,
    Strict,
}

impl Jar {
    pub(super) fn set(&mut self, url: &Url, set_cookie: &str) {
        let mut parts = set_cookie.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let mut cookie = Cookie {
            host: host(url),
            path: default_path(url),
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            same_site: SameSite::Lax,
        };
        let mut removed = false;
        for attribute in parts {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            match key.trim().to_ascii_lowercase().as_str() {
                "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
                "max-age" => {
                    removed = value
                        .trim()
                        .parse::<i64>()
                        .is_ok_and(|seconds| seconds <= 0)
                }
                // Nobody sets an expiry that is past but not the epoch, and a clock would make tests depend on the day.
                "expires" if value.contains("1970") => removed = true,
                "samesite" if value.eq_ignore_ascii_case("none") => {
                    cookie.same_site = SameSite::None
                }
                "samesite" if value.eq_ignore_ascii_case("strict") => {
                    cookie.same_site = SameSite::Strict
                }
                _ => {}
            }
        }
        self.cookies.retain(|known| {
            (&known.host, &known.path, &known.name) != (&cookie.host, &cookie.path, &cookie.name)
        });
        if !removed && self.cookies.len() < CAPACITY {
            self.cookies.push(cookie);
        }
    }

    /// What is sent with a request that comes from a page, or from the address bar.
    pub(super) fn for_request(
        &self,
        url: &Url,
        method: &Method,
        from: Option<&Url>,
    ) -> Vec<(String, String)> {
        let cross_site = from.is_some_and(|from| host(from) != host(url));
        let allowed = |same_site| match same_site {
            _ if !cross_site => true,
            SameSite::None => true,
            SameSite::Lax => *method == Method::GET,
            SameSite::Strict => false,
        };
        let mut sent: Vec<_> = self
            .cookies
            .iter()
            .filter(|cookie| {
                cookie.host == host(url)
                    && path_matches(&cookie.path, url.path())
                    && allowed(cookie.same_site)
            })
            .collect();
        sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        sent.into_iter()
            .map(|cookie| (cookie.name.clone(), cookie.value.clone()))
            .collect()
    }
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

fn default_path(url: &Url) -> String {
    match url.path().rsplit_once('/') {
        Some((folder, _)) if !folder.is_empty() => folder.to_owned(),
        _ => "/".to_owned(),
    }
}

fn path_matches(cookie: &str, path: &str) -> bool {
    path.strip_prefix(cookie)
        .is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}
