//! What an API asks of the next login (RFC 9470 section 4, RFC 6750 section 3.1).

use super::invalid;
use crate::{Error, Result, client::registration::check_scope};

/// What an API missed. It may ask for more than the application does, and never for less: whoever answers in the API's place
/// would otherwise get logins that the registration would refuse.
#[derive(Clone, Default)]
pub(crate) struct Required {
    /// Beside those of the application.
    scopes: Vec<String>,
    /// One of them must come; none: the API asks for none.
    acr_values: Vec<String>,
    /// In seconds.
    max_age: Option<u64>,
    /// It asked for a `max_age` that cannot be read.
    unreadable: bool,
}

impl Required {
    /// Adds what an error names.
    pub(crate) fn by(&mut self, error: &Error) {
        if let Some(said) = error.provider() {
            self.add(&said.required);
        }
    }

    /// Adds what an API's challenge names.
    pub(crate) fn add(&mut self, named: &[(String, String)]) {
        for (name, value) in named {
            let words = value.split_ascii_whitespace().map(str::to_owned);
            match name.as_str() {
                "scope" => self.scopes.extend(words),
                "acr_values" => self.acr_values.extend(words),
                "max_age" => match value.parse() {
                    Ok(age) => self.max_age = Some(self.max_age.map_or(age, |own| own.min(age))),
                    Err(_) => self.unreadable = true,
                },
                _ => {}
            }
        }
    }

    /// Does it say how the user is to authenticate?
    pub(crate) fn asks_for_authentication(&self) -> bool {
        !self.acr_values.is_empty() || self.max_age.is_some() || self.unreadable
    }

    pub(super) fn with_scopes(&self, mut scopes: Vec<String>) -> Result<Vec<String>> {
        for scope in &self.scopes {
            check_scope(scope).map_err(|_| {
                invalid("the API asks for a scope that has characters no scope has")
            })?;
            if !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
        Ok(scopes)
    }

    /// What is good enough for both.
    pub(super) fn with_acr_values(&self, own: Vec<String>) -> Result<Vec<String>> {
        if own.is_empty() || self.acr_values.is_empty() {
            return Ok([own, self.acr_values.clone()].concat());
        }
        let is_enough = |value: &String| own.contains(value);
        let both: Vec<_> = self
            .acr_values
            .iter()
            .filter(|value| is_enough(value))
            .cloned()
            .collect();
        if both.is_empty() {
            return Err(invalid(
                "the API asks for acr_values of which none is good enough for the registration or the login: name those that are \
                 in acr_values() beside required_by()",
            ));
        }
        Ok(both)
    }

    pub(super) fn with_max_age(&self, own: Option<u64>) -> Result<Option<u64>> {
        if self.unreadable {
            return Err(invalid(
                "the API asks for a max_age that is no whole number of seconds: start the login without required_by()",
            ));
        }
        Ok([own, self.max_age].into_iter().flatten().min())
    }
}
