//! Table names.

use tokenkeep_core::store::StoreError;

/// The tables' names, safe to stand in a statement: letters, digits and underscores in double quotes.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    prefix: String,
}

/// So that the longest derived name stays below the 63 bytes that every database allows.
const LONGEST: usize = 40;

impl Names {
    pub(crate) fn new(prefix: &str) -> Result<Self, StoreError> {
        let begins_well = prefix.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let fits = prefix.len() <= LONGEST
            && prefix
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if begins_well && fits {
            Ok(Self {
                prefix: prefix.to_owned(),
            })
        } else {
            Err(StoreError::misconfigured(format!(
                "a table prefix is 1 to {LONGEST} letters, digits and underscores and begins with no digit"
            )))
        }
    }

    /// The quoted name of a table, index or trigger.
    pub(crate) fn of(&self, what: &str) -> String {
        format!("\"{}\"", self.bare(what))
    }

    /// The same without quotes, for catalogue queries and for people.
    pub(crate) fn bare(&self, what: &str) -> String {
        format!("{}_{what}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_cannot_leave_its_quotes() {
        for prefix in ["", "1a", "a-b", "a\"b", "a b", "a;", "ä", "a.b", "a\0b"] {
            let refused = Names::new(prefix);
            assert!(
                matches!(refused, Err(StoreError::Misconfigured { .. })),
                "{prefix:?}"
            );
        }
        assert!(Names::new(&"a".repeat(41)).is_err());
        assert_eq!(
            Names::new("_Auth2").unwrap().of("tokens"),
            "\"_Auth2_tokens\""
        );
    }
}
