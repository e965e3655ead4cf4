//! The cookies that a browser sent.

use std::fmt;

use crate::Secret;

/// Part of the name of every cookie that is ours.
const OURS: &str = "tokenkeep-";

/// How many cookies are read.
const MAX: usize = 100;

/// The cookies of ours that a browser sent (RFC 6265 section 4.2), at most 100 of those with `__Host-` in front of their
/// names, and 100 without; those of others are passed over. Sibling domains can set any number of the latter, and have them
/// sent first: they must not push out the former.
///
/// `Debug` shows names only.
#[derive(Clone, Default)]
pub struct BrowserCookies(Vec<(String, Secret)>);

impl BrowserCookies {
    /// Reads the values of `Cookie` headers. What is no cookie is passed over. Where a header is not UTF-8, because of some
    /// other cookie in it, give it with the characters that cannot be read replaced.
    #[must_use]
    pub fn parse<'a>(headers: impl IntoIterator<Item = &'a str>) -> Self {
        let pairs = headers.into_iter().flat_map(|header| header.split(';'));
        Self(
            pairs
                // Blanks alone: to browsers another kind of space belongs to a name, and with one in front of it a name
                // escapes the rules for `__Host-`.
                .filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='))
                .filter(|(name, _)| name.contains(OURS))
                .filter({
                    let mut room = [MAX; 2];
                    move |(name, _)| {
                        let left = &mut room[usize::from(name.starts_with("__Host-"))];
                        let fits = *left > 0;
                        *left = left.saturating_sub(1);
                        fits
                    }
                })
                .map(|(name, value)| (name.to_owned(), Secret::from(value.trim_matches('"'))))
                .collect(),
        )
    }

    /// Names and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose()))
    }

    /// All values of a name: a browser may send one twice.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter()
            .filter(move |(other, _)| *other == name)
            .map(|(_, value)| value)
    }
}

impl fmt::Debug for BrowserCookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blanks_of_the_header_are_taken_off_a_name() {
        let cookies = BrowserCookies::parse([
            "a=1;\t__Host-tokenkeep-s=own ;\u{2003}__Host-tokenkeep-s=planted; \u{a0}__Host-tokenkeep-s=planted;b",
            "\u{b}__Host-tokenkeep-s=planted; __Host-tokenkeep-s=\"quoted\"",
        ]);
        let values: Vec<_> = cookies.values("__Host-tokenkeep-s").collect();
        assert_eq!(values, ["own", "quoted"]);
    }

    #[test]
    fn cookies_that_siblings_can_plant_push_out_none_that_they_cannot() {
        let planted: String = (0..200).map(|n| format!("tokenkeep-{n}=x; ")).collect();
        let own: String = (0..200)
            .map(|n| format!("__Host-tokenkeep-{n}=x; "))
            .collect();
        let cookies = BrowserCookies::parse([
            format!("{planted}__Host-tokenkeep-s=own; {own}").as_str(),
            planted.as_str(),
        ]);
        let values: Vec<_> = cookies.values("__Host-tokenkeep-s").collect();
        assert_eq!(values, ["own"]);
        assert_eq!(cookies.iter().count(), 200, "and none without end");
    }
}
