//! Table names.

use tokenkeep_core::store::StoreError;

use super::SqlOptions;

/// The tables' names, safe to stand in a statement: checked, and in the quotes of the dialect.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    schema: Option<String>,
    prefix: String,
    quote: char,
}

/// So that the longest derived name stays below the 63 bytes that every database allows.
const LONGEST_PREFIX: usize = 40;

/// What every database allows.
const LONGEST_SCHEMA: usize = 63;

impl Names {
    /// Names of tables where the connection looks for them, or in the options' schema.
    pub(crate) fn new(options: &SqlOptions, quote: char) -> Result<Self, StoreError> {
        let prefix = &options.prefix;
        let begins_well = prefix.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let fits = prefix.len() <= LONGEST_PREFIX
            && prefix
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !(begins_well && fits) {
            return Err(StoreError::misconfigured(format!(
                "a table prefix is 1 to {LONGEST_PREFIX} letters, digits and underscores and begins with no digit"
            )));
        }
        let schema = options.schema.as_ref();
        if schema.is_some_and(|schema| !is_schema(schema)) {
            return Err(StoreError::misconfigured(format!(
                "a schema's name is 1 to {LONGEST_SCHEMA} letters, digits, underscores and dashes"
            )));
        }
        Ok(Self {
            schema: schema.cloned(),
            prefix: prefix.clone(),
            quote,
        })
    }

    /// The quoted name of a table, with its schema.
    pub(crate) fn of(&self, what: &str) -> String {
        match self.schema() {
            Some(schema) => format!("{schema}.{}", self.local(what)),
            None => self.local(what),
        }
    }

    /// The quoted name without the schema, where a statement takes no more.
    pub(crate) fn local(&self, what: &str) -> String {
        self.quoted(&self.bare(what))
    }

    /// The same without quotes, for catalogue queries and for people.
    pub(crate) fn bare(&self, what: &str) -> String {
        format!("{}_{what}", self.prefix)
    }

    /// The quoted name of the schema, if there is one.
    pub(crate) fn schema(&self) -> Option<String> {
        self.schema.as_ref().map(|schema| self.quoted(schema))
    }

    fn quoted(&self, name: &str) -> String {
        let quote = self.quote;
        format!("{quote}{name}{quote}")
    }
}

fn is_schema(name: &str) -> bool {
    (1..=LONGEST_SCHEMA).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(options: &SqlOptions) -> Result<Names, StoreError> {
        Names::new(options, '"')
    }

    #[test]
    fn a_prefix_cannot_leave_its_quotes() {
        for prefix in ["", "1a", "a-b", "a\"b", "a b", "a;", "ä", "a.b", "a\0b"] {
            let refused = names(&SqlOptions::new().prefix(prefix));
            assert!(
                matches!(refused, Err(StoreError::Misconfigured { .. })),
                "{prefix:?}"
            );
        }
        assert!(names(&SqlOptions::new().prefix("a".repeat(41))).is_err());
        let names = names(&SqlOptions::new().prefix("_Auth2")).unwrap();
        assert_eq!(names.of("tokens"), "\"_Auth2_tokens\"");
    }

    #[test]
    fn a_schema_cannot_leave_its_quotes() {
        for schema in ["", "a\"b", "a`b", "a b", "a;", "ä", "a.b", "a\0b"] {
            let refused = names(&SqlOptions::new().schema(schema));
            assert!(
                matches!(refused, Err(StoreError::Misconfigured { .. })),
                "{schema:?}"
            );
        }
        assert!(names(&SqlOptions::new().schema("a".repeat(64))).is_err());
        let names = Names::new(&SqlOptions::new().schema("my-App"), '`').unwrap();
        assert_eq!(names.of("tokens"), "`my-App`.`tokenkeep_tokens`");
        assert_eq!(names.local("tokens"), "`tokenkeep_tokens`");
    }
}
