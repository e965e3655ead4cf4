//! A provider's profile as standard claims (OpenID Connect Core section 5.1).

use reqwest::Url;
use serde_json::{Map, Value};
use tokenkeep_core::{Error, ErrorCode, Phase, Result};

/// Every standard claim that a profile may fill. A member of one of these names that is not mapped is taken out: providers
/// mean other things by them, such as a picture by `profile`.
const STANDARD: [&str; 19] = [
    "sub",
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "email",
    "email_verified",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "phone_number",
    "phone_number_verified",
    "updated_at",
];

/// Where a provider's profile has what.
#[derive(Clone, Copy)]
pub(crate) struct Profile {
    /// Claims, and where they stand (JSON pointers, RFC 6901); of several places for one claim the first that has it.
    pub(crate) claims: &'static [(&'static str, &'static str)],
    /// What is made of several members.
    pub(crate) more: fn(&Value, &mut Claims),
    /// Its other members are dropped. Otherwise they stay as they came.
    pub(crate) nothing_else: bool,
}

/// The standard claims of a profile.
#[derive(Default)]
pub(crate) struct Claims(Map<String, Value>);

impl Claims {
    /// Sets a claim that is not there yet, if the value is of its type.
    pub(crate) fn set(&mut self, claim: &str, value: &Value) {
        let value = match (claim, value) {
            // Ids of numbers; a fraction is none, and may have lost digits.
            ("sub", Value::Number(number)) if number.is_u64() || number.is_i64() => {
                Value::String(number.to_string())
            }
            ("email_verified" | "phone_number_verified", Value::Bool(_))
            | ("updated_at", Value::Number(_)) => value.clone(),
            ("email_verified" | "phone_number_verified" | "updated_at", _) => return,
            ("picture" | "profile" | "website", Value::String(text)) if runs(text) => return,
            (_, Value::String(text)) if !text.is_empty() => value.clone(),
            _ => return,
        };
        self.0.entry(claim.to_owned()).or_insert(value);
    }

    /// Sets a text claim that is not there yet.
    pub(crate) fn set_text(&mut self, claim: &str, text: impl Into<String>) {
        self.set(claim, &Value::String(text.into()));
    }

    /// An e-mail address, and whether the provider verified it. It takes the place of one that was there.
    pub(crate) fn set_email(&mut self, email: &str, verified: bool) {
        self.0.insert("email".to_owned(), email.into());
        self.0.insert("email_verified".to_owned(), verified.into());
    }

    /// The name, of its parts.
    pub(crate) fn name_of_parts(&mut self) {
        let part = |name| self.0.get(name).and_then(Value::as_str);
        let parts = [part("given_name"), part("family_name")];
        let name: Vec<_> = parts.into_iter().flatten().collect();
        self.set_text("name", name.join(" "));
    }
}

impl Profile {
    /// Nothing in it.
    pub(crate) const EMPTY: Self = Self {
        claims: &[],
        more: |_, _| {},
        nothing_else: false,
    };

    /// Makes standard claims of a profile.
    ///
    /// # Errors
    /// `missing_claim` if it names nobody.
    pub(crate) fn apply(&self, profile: &mut Value) -> Result<()> {
        let mut claims = Claims::default();
        for (claim, place) in self.claims {
            if let Some(value) = profile.pointer(place) {
                claims.set(claim, value);
            }
        }
        (self.more)(profile, &mut claims);
        if !claims.0.contains_key("sub") {
            return Err(Error::new(
                ErrorCode::MissingClaim,
                Phase::Userinfo,
                "the profile has no id of the user in the place where this provider has it",
            ));
        }
        if let Value::Object(members) = profile {
            members.retain(|name, _| !self.nothing_else && !STANDARD.contains(&name.as_str()));
            members.extend(claims.0);
        }
        Ok(())
    }
}

/// Is it an address that is no page's or picture's? A user may have written it, and pages make links of it: `javascript:`
/// would run there. Read as browsers read it, who skip line breaks in it.
fn runs(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| !matches!(url.scheme(), "http" | "https"))
}

#[cfg(test)]
mod tests;
