//! Validating a logout token: OpenID Connect Back-Channel Logout 1.0 section 2.6, and RFC 8725.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, Visitor},
};

use super::{
    Asker, Cached, IdTokenRules, KeySet, SigningAlgorithm,
    claims::LOGOUT_EVENT,
    id_token::is_unfit,
    json::{NumericDate, ObjectReader, OneOrMany, Text, read_object},
    signed::{Kind, Signed, open, with_newest_keys},
};
use crate::{Clock, Error, ErrorCode, Phase, Result, Timestamp};

/// How old a logout token may be when it comes. A provider sends it at once, and section 4 wants it to expire within two
/// minutes; so long its `jti` is remembered at most.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Whose sessions end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogoutToken {
    /// By which it is signed.
    pub(crate) algorithm: SigningAlgorithm,
    /// Who says so.
    pub(crate) issuer: String,
    /// All sessions of this user; with a `sid`, only that one.
    pub(crate) subject: Option<String>,
    /// The provider's session.
    pub(crate) sid: Option<String>,
    /// Names this token, once for each issuer.
    pub(crate) id: String,
    /// From then on it is refused for its age.
    pub(crate) over_at: Timestamp,
}

/// Validates a logout token with a provider's published keys, which are fetched anew as for an ID token.
///
/// # Errors
/// `invalid_logout_token`, with a sentence that says which check failed; `provider_unavailable`, `provider_error` and
/// `invalid_metadata` of phase [`Phase::Keys`] if the keys cannot be had.
///
/// # Cancel safety
/// Dropping the future changes nothing.
pub(crate) async fn validate_logout_token(
    raw: &str,
    keys: &Cached<KeySet>,
    rules: &IdTokenRules,
    clock: &dyn Clock,
) -> Result<LogoutToken> {
    with_newest_keys(keys, Asker::Anybody, |keys| {
        validate(raw, keys, rules, clock.now())
    })
    .await
    .map_err(refused)
}

/// Whatever is wrong with the token has one code; keys that cannot be had are another matter.
fn refused(error: Error) -> Error {
    if error.phase() == Phase::Logout {
        return Error::new(
            ErrorCode::InvalidLogoutToken,
            Phase::Logout,
            error.message(),
        );
    }
    error
}

/// The code of a signature's error says whether newer keys may help: it is kept up to [`refused`].
pub(crate) fn validate(
    raw: &str,
    keys: &KeySet,
    rules: &IdTokenRules,
    now: Timestamp,
) -> Result<LogoutToken> {
    let signed = open(Kind::LogoutToken, raw, keys, rules)?;
    let claims = read_object(&signed.claims, Claims::default()).map_err(|_| {
        invalid(
            "has claims that are not an object, one that occurs twice, or one of a wrong type; events is an object of objects",
        )
    })?;
    claims.checked(&signed, rules, now)
}

/// The claims as they were read, before anything of them is believed.
#[derive(Default)]
struct Claims {
    issuer: Option<String>,
    tenant: Option<String>,
    subject: Option<String>,
    audience: Option<Vec<String>>,
    authorized_party: Option<String>,
    expires_at: Option<Timestamp>,
    issued_at: Option<Timestamp>,
    not_before: Option<Timestamp>,
    id: Option<String>,
    sid: Option<String>,
    event: Event,
    has_nonce: bool,
}

impl Claims {
    fn checked(self, signed: &Signed, rules: &IdTokenRules, now: Timestamp) -> Result<LogoutToken> {
        // First: any other token of this provider for this client goes no further.
        if !self.event.is_logout {
            return Err(invalid(&format!(
                "has no member {LOGOUT_EVENT} with an object in events: it is another kind of token"
            )));
        }
        if self.has_nonce {
            return Err(invalid("has a nonce, which only ID tokens may have"));
        }
        let issuer = self.check_parties(signed, rules)?.to_owned();
        let over_at = self.check_times(rules.leeway, now)?;
        let id = self.id.filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| missing("jti"))?;
        let (subject, sid) = (self.subject, self.sid);
        if subject.is_none() && sid.is_none() {
            return Err(invalid("has neither sub nor sid"));
        }
        let is_wrong = |id: &String| id.is_empty() || is_unfit(id);
        if subject.iter().chain(&sid).any(is_wrong) {
            return Err(invalid(
                "has a sub or sid that is empty, longer than 255 bytes or has control characters",
            ));
        }
        Ok(LogoutToken {
            algorithm: signed.algorithm,
            issuer,
            subject,
            sid,
            id,
            over_at,
        })
    }

    /// `iss`, `aud` and `azp`, as in an ID token. Answers the issuer.
    fn check_parties(&self, signed: &Signed, rules: &IdTokenRules) -> Result<&str> {
        let issuer = self.issuer.as_deref().ok_or_else(|| missing("iss"))?;
        let (tenant, key_issuer) = (self.tenant.as_deref(), signed.key_issuer.as_deref());
        rules
            .issuer
            .check(Kind::LogoutToken, issuer, tenant, key_issuer)?;
        let audience = self.audience.as_deref().ok_or_else(|| missing("aud"))?;
        if !audience.contains(&rules.client_id) {
            return Err(invalid("is for another client (aud)"));
        }
        let party = self.authorized_party.as_ref();
        if party.is_some_and(|party| *party != rules.client_id) {
            return Err(invalid("was issued to another client (azp)"));
        }
        let is_trusted =
            |other: &String| *other == rules.client_id || rules.trusted_audiences.contains(other);
        if !audience.iter().all(is_trusted) {
            return Err(invalid(
                "has an audience that is not trusted; trust_audience() of the registration trusts one",
            ));
        }
        Ok(issuer)
    }

    /// `exp`, `iat` and `nbf`. Answers when the token is over.
    fn check_times(&self, leeway: Duration, now: Timestamp) -> Result<Timestamp> {
        let expires_at = self.expires_at.ok_or_else(|| missing("exp"))?;
        let issued_at = self.issued_at.ok_or_else(|| missing("iat"))?;
        if now >= expires_at + leeway {
            return Err(invalid("has expired"));
        }
        if issued_at > now + leeway {
            return Err(invalid("was issued in the future; is the clock right?"));
        }
        let too_old = issued_at + MAX_AGE + leeway;
        if now >= too_old {
            return Err(invalid(
                "was issued more than ten minutes ago; is the clock right?",
            ));
        }
        if self.not_before.is_some_and(|from| from > now + leeway) {
            return Err(invalid("is not valid yet (nbf)"));
        }
        Ok(too_old.min(expires_at + leeway))
    }
}

impl<'de> ObjectReader<'de> for Claims {
    type Output = Self;

    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        fn date<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Timestamp>, A::Error> {
            Ok(map.next_value::<Option<NumericDate>>()?.map(|date| date.0))
        }
        match name {
            "iss" => self.issuer = map.next_value()?,
            "tid" => self.tenant = map.next_value()?,
            "sub" => self.subject = map.next_value()?,
            "aud" => self.audience = map.next_value::<Option<OneOrMany>>()?.map(|list| list.0),
            "azp" => self.authorized_party = map.next_value()?,
            "exp" => self.expires_at = date(map)?,
            "iat" => self.issued_at = date(map)?,
            "nbf" => self.not_before = date(map)?,
            "jti" => self.id = map.next_value()?,
            "sid" => self.sid = map.next_value()?,
            "events" => self.event = map.next_value()?,
            "nonce" => {
                map.next_value::<IgnoredAny>()?;
                self.has_nonce = true;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(self) -> Self {
        self
    }
}

/// The `events` of a security event token (RFC 8417 section 2.2): names, each with an object.
#[derive(Default)]
struct Event {
    is_logout: bool,
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Events;
        impl<'de> Visitor<'de> for Events {
            type Value = Event;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event, A::Error> {
                let mut event = Event::default();
                while let Some(Text(name)) = map.next_key()? {
                    map.next_value::<Object>()?;
                    if name == LOGOUT_EVENT && std::mem::replace(&mut event.is_logout, true) {
                        return Err(de::Error::custom("a member occurs twice"));
                    }
                }
                Ok(event)
            }
        }
        deserializer.deserialize_map(Events)
    }
}

/// Any object.
struct Object;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyObject;
        impl<'de> Visitor<'de> for AnyObject {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Object)
            }
        }
        deserializer.deserialize_map(AnyObject)
    }
}

fn invalid(what: &str) -> Error {
    Kind::LogoutToken.invalid(what)
}

fn missing(claim: &str) -> Error {
    Kind::LogoutToken.missing(claim)
}

#[cfg(test)]
mod tests;
