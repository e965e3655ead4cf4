//! The checks, and what stands in their place when they are taken out.

use std::fmt;

use crate::source;

/// A check in the source.
#[derive(Clone, Copy)]
pub(crate) struct Check {
    /// What it refuses.
    pub(crate) name: &'static str,
    pub(crate) file: &'static str,
    /// The text that is taken out; it stands in the file once.
    pub(crate) text: &'static str,
    /// What stands there instead.
    pub(crate) instead: &'static str,
    pub(crate) part: Part,
}

/// The checks of one file.
pub(crate) struct Group {
    pub(crate) file: &'static str,
    pub(crate) part: Part,
    /// Name, text, and what stands there instead.
    pub(crate) checks: &'static [(&'static str, &'static str, &'static str)],
}

/// Which tests should miss it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Unit tests of `core/src/openid`.
    Openid,
    /// Unit tests of `core/src/client`.
    Client,
    /// Integration tests of logins and logouts.
    Login,
    /// Integration tests of refreshes.
    Refresh,
    /// Tests of the presets.
    Providers,
    /// Integration tests of API calls.
    Calls,
    /// Those that these arguments name.
    Only(&'static [&'static str]),
    /// Integration tests of client authentication and grants, with the unit tests of what a device is answered.
    Grants,
    /// Unit tests of `core/src/oauth1`.
    OAuth1Unit,
    /// Integration tests of OAuth 1.0a.
    OAuth1,
}

impl Part {
    /// For `cargo test`.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Only(arguments) => arguments,
            Self::Openid => &["-p", "tokenkeep-core", "--lib", "openid::"],
            Self::Client => &["-p", "tokenkeep-core", "--lib", "client::"],
            Self::Providers => &["-p", "tokenkeep-providers", "--tests"],
            Self::OAuth1Unit => &["-p", "tokenkeep-core", "--lib", "oauth1::"],
            Self::OAuth1 => &["-p", "tokenkeep-it", "--test", "it", "--", "oauth1"],
            Self::Refresh => &[
                "-p",
                "tokenkeep-it",
                "--test",
                "it",
                "--",
                "refresh::identity",
            ],
            Self::Calls => &[
                "-p",
                "tokenkeep-it",
                "--test",
                "it",
                "--",
                "calls",
                "middleware",
                "origins",
            ],
            Self::Grants => &[
                "-p",
                "tokenkeep-core",
                "-p",
                "tokenkeep-it",
                "--lib",
                "--test",
                "it",
                "--",
                "client::obtain",
                "grants::",
            ],
            Self::Login => &[
                "-p",
                "tokenkeep-it",
                "--test",
                "it",
                "--",
                "login",
                "logout",
                "routes",
            ],
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cargo test {}", self.arguments().join(" "))
    }
}

impl Check {
    /// The file's text without the check; none if it is not there once.
    pub(crate) fn taken_out_of(&self, whole: &str) -> Option<String> {
        let (before, after) = whole.split_once(self.text)?;
        if after.contains(self.text) {
            return None;
        }
        Some([before, self.instead, after].concat())
    }
}

/// The parts that these checks belong to.
pub(crate) fn parts(checks: &[Check]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for check in checks {
        if !parts.contains(&check.part) {
            parts.push(check.part);
        }
    }
    parts
}

/// Every check.
pub(crate) fn checks() -> impl Iterator<Item = Check> {
    source::groups().flat_map(|group| {
        group.checks.iter().map(|&(name, text, instead)| Check {
            name,
            file: group.file,
            text,
            instead,
            part: group.part,
        })
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::work::project;

    #[test]
    fn every_check_of_the_list_stands_in_the_source_once() {
        let mut stale = Vec::new();
        for check in checks() {
            let whole = fs::read_to_string(project().join(check.file)).unwrap();
            match check.taken_out_of(&whole) {
                Some(without) => assert_ne!(without, whole, "{}", check.name),
                None => stale.push(format!(
                    "{}: {:?}: {:?}",
                    check.file, check.name, check.text
                )),
            }
        }
        assert!(
            stale.is_empty(),
            "not once in the file is what the list takes out for\n{}",
            stale.join("\n")
        );
    }

    #[test]
    fn names_tell_the_checks_apart() {
        let mut names: Vec<_> = checks().map(|check| (check.file, check.name)).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
