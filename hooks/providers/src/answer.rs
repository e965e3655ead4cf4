//! Mending answers of a token endpoint.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::{Map, Value};

/// A JSON object with each member once: one with a member twice is left as it came, for the reader behind it to refuse.
struct Members(Map<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Map<String, Value>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = map.next_entry()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member occurs twice"));
                    }
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object).map(Self)
    }
}

/// Another body for an answer, if there is something to mend.
pub(crate) fn mend(
    body: &[u8],
    mend: impl FnOnce(&mut Map<String, Value>) -> bool,
) -> Option<Vec<u8>> {
    let Members(mut members) = serde_json::from_slice(body).ok()?;
    mend(&mut members).then(|| Value::Object(members).to_string().into_bytes())
}

/// Calls an error by the name that RFC 6749 section 5.2 has for it. The provider's own name becomes the description, unless
/// there is one.
pub(crate) fn rename_error(members: &mut Map<String, Value>, names: &[(&str, &str)]) -> bool {
    let Some(Value::String(own)) = members.get("error") else {
        return false;
    };
    let Some((_, standard)) = names.iter().find(|(name, _)| name == own) else {
        return false;
    };
    let own = Value::String(own.clone());
    members.entry("error_description").or_insert(own);
    set_error(members, standard);
    true
}

/// Calls an error by another name where its description is known to mean that.
pub(crate) fn rename_described(members: &mut Map<String, Value>, names: &[(&str, &str)]) -> bool {
    let description = members.get("error_description").and_then(Value::as_str);
    let Some((_, standard)) = names.iter().find(|(text, _)| Some(*text) == description) else {
        return false;
    };
    set_error(members, standard);
    true
}

/// Says what an answer's error is.
pub(crate) fn set_error(members: &mut Map<String, Value>, name: &str) {
    members.insert("error".to_owned(), name.into());
}

/// Separates scopes by blanks where the provider has commas.
pub(crate) fn scopes_with_blanks(members: &mut Map<String, Value>) -> bool {
    let Some(Value::String(scopes)) = members.get_mut("scope") else {
        return false;
    };
    let commas = scopes.contains(',');
    *scopes = scopes.replace(',', " ");
    commas
}
