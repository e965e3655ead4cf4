//! The claims of an ID token: typed at once where they are checked or used often, on demand where not.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, OnceLock},
};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess},
};

use super::json::{Lenient, NumericDate, ObjectReader, OneOrMany, Text, read_object};
use crate::Timestamp;

/// The claims of a validated ID token (OpenID Connect Core section 2).
///
/// Cheap to clone. `Debug` shows issuer and subject only, for the rest is personal data. It serializes as the text of
/// its claims set, with every claim in it, known or not.
#[derive(Clone)]
pub struct IdTokenClaims(Arc<Inner>);

struct Inner {
    raw: String,
    kept: Kept,
    /// Read from the text when one of them is asked for: most tokens are validated and nobody asks.
    profile: OnceLock<Profile>,
}

/// What is kept of the claims besides their text.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) audience: Vec<String>,
    pub(super) authorized_party: Option<String>,
    pub(super) expires_at: Timestamp,
    pub(super) issued_at: Timestamp,
    pub(super) auth_time: Option<Timestamp>,
    pub(super) acr: Option<String>,
    pub(super) amr: Vec<String>,
    pub(super) sid: Option<String>,
}

impl IdTokenClaims {
    pub(super) fn new(raw: String, kept: Kept) -> Self {
        Self(Arc::new(Inner {
            raw,
            kept,
            profile: OnceLock::new(),
        }))
    }

    /// Who issued it (`iss`).
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.kept.issuer
    }

    /// The issuer's id of the user (`sub`): 1 to 255 bytes, never reassigned to another user.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.0.kept.subject
    }

    /// For whom it was issued (`aud`); this client's id is among them.
    #[must_use]
    pub fn audience(&self) -> &[String] {
        &self.0.kept.audience
    }

    /// To whom it was issued (`azp`), if it says.
    #[must_use]
    pub fn authorized_party(&self) -> Option<&str> {
        self.0.kept.authorized_party.as_deref()
    }

    /// When it expires (`exp`). A session may outlive it.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.0.kept.expires_at
    }

    /// When it was issued (`iat`).
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        self.0.kept.issued_at
    }

    /// When the user authenticated (`auth_time`).
    #[must_use]
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.0.kept.auth_time
    }

    /// How well the user authenticated (`acr`).
    #[must_use]
    pub fn acr(&self) -> Option<&str> {
        self.0.kept.acr.as_deref()
    }

    /// By which methods the user authenticated (`amr`, RFC 8176).
    #[must_use]
    pub fn amr(&self) -> &[String] {
        &self.0.kept.amr
    }

    /// The provider's id of its session (`sid`, OpenID Connect Front-Channel Logout section 3).
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        self.0.kept.sid.as_deref()
    }

    fn profile_claims(&self) -> &Profile {
        self.0.profile.get_or_init(|| Profile::read(&self.0.raw))
    }
}

impl fmt::Debug for IdTokenClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdTokenClaims")
            .field("issuer", &self.issuer())
            .field("subject", &self.subject())
            .finish_non_exhaustive()
    }
}

/// Reads claims that were validated before they were kept; nothing is checked again but their shape.
impl<'de> Deserialize<'de> for IdTokenClaims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = String::deserialize(deserializer)?;
        // serde's own text may quote a claim.
        let payload = Payload::read(&raw).ok_or_else(|| D::Error::custom("unreadable claims"))?;
        let kept = payload.kept();
        Ok(Self::new(raw, kept))
    }
}

/// A claims set as it was read, before anything of it is believed.
#[derive(Default)]
pub(super) struct Payload<'a> {
    pub(super) issuer: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) audience: Option<Vec<String>>,
    pub(super) authorized_party: Option<String>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) issued_at: Option<Timestamp>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) auth_time: Option<Timestamp>,
    pub(super) acr: Option<String>,
    pub(super) amr: Vec<String>,
    pub(super) sid: Option<String>,
    pub(super) nonce: Option<Cow<'a, str>>,
    pub(super) access_token_hash: Option<Cow<'a, str>>,
    pub(super) code_hash: Option<Cow<'a, str>>,
    /// Microsoft's `tid`.
    pub(super) tenant: Option<String>,
    pub(super) is_logout_token: bool,
}

/// The event that makes a token a logout token (OpenID Connect Back-Channel Logout section 2.4).
pub(super) const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

impl<'a> Payload<'a> {
    /// Reads a claims set; none if it is not an object with every member once, or a claim that is checked is of
    /// another type than it must be.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        read_object(text, Self::default()).ok()
    }

    /// What is kept; absent required claims are empty, the caller has checked for them.
    pub(super) fn kept(self) -> Kept {
        Kept {
            issuer: self.issuer.unwrap_or_default(),
            subject: self.subject.unwrap_or_default(),
            audience: self.audience.unwrap_or_default(),
            authorized_party: self.authorized_party,
            expires_at: self.expires_at.unwrap_or_default(),
            issued_at: self.issued_at.unwrap_or_default(),
            auth_time: self.auth_time,
            acr: self.acr,
            amr: self.amr,
            sid: self.sid,
        }
    }
}

impl<'de> ObjectReader<'de> for Payload<'de> {
    type Output = Self;

    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        fn date<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Timestamp>, A::Error> {
            Ok(map.next_value::<Option<NumericDate>>()?.map(|date| date.0))
        }
        fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Cow<'de, str>>, A::Error> {
            Ok(map.next_value::<Option<Text<'de>>>()?.map(|text| text.0))
        }
        match name {
            "iss" => self.issuer = map.next_value()?,
            "sub" => self.subject = map.next_value()?,
            "aud" => self.audience = map.next_value::<Option<OneOrMany>>()?.map(|list| list.0),
            "azp" => self.authorized_party = map.next_value()?,
            "exp" => self.expires_at = date(map)?,
            "iat" => self.issued_at = date(map)?,
            "nbf" => self.not_before = date(map)?,
            "auth_time" => {
                self.auth_time = map
                    .next_value::<Lenient<NumericDate>>()?
                    .0
                    .map(|date| date.0);
            }
            "acr" => self.acr = map.next_value::<Lenient<_>>()?.0,
            "amr" => {
                let amr: serde_json::Value = map.next_value()?;
                self.amr = serde_json::from_value::<OneOrMany>(amr)
                    .unwrap_or_default()
                    .0;
            }
            "tid" => self.tenant = map.next_value::<Lenient<_>>()?.0,
            "sid" => self.sid = map.next_value::<Lenient<_>>()?.0,
            "nonce" => self.nonce = text(map)?,
            "at_hash" => self.access_token_hash = text(map)?,
            "c_hash" => self.code_hash = text(map)?,
            "events" => {
                let events: serde_json::Value = map.next_value()?;
                self.is_logout_token = events.get(LOGOUT_EVENT).is_some();
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(self) -> Self {
        self
    }
}

/// Calls another macro with the standard claims that are text.
macro_rules! with_text_claims {
    ($callback:ident) => {
        $callback! {
            name "The full name, in displayable form.",
            given_name "The given names.",
            family_name "The family names.",
            middle_name "The middle names.",
            nickname "A casual name.",
            preferred_username "The name that the user wants to be called by. Not unique, and it may change.",
            profile "The address of the profile page.",
            picture "The address of a picture. Who shows it lets its host see the visitors.",
            website "The address of the user's own site.",
            email "The e-mail address. Ask [`email_verified`](Self::email_verified) before relying on it.",
            gender "The gender.",
            birthdate "The day of birth, `YYYY-MM-DD` or `YYYY`.",
            zoneinfo "The time zone, such as `Europe/Paris`.",
            locale "The language, such as `en-US`.",
            phone_number "The telephone number.",
        }
    };
}

macro_rules! define_profile {
    ($($name:ident $doc:literal,)*) => {
        /// The standard claims (OpenID Connect Core section 5.1). They are only shown, never checked: one that is not of
        /// its type is as good as absent.
        #[derive(Clone, Default)]
        pub(super) struct Profile {
            $(pub(super) $name: Option<String>,)*
            pub(super) email_verified: Option<bool>,
            pub(super) phone_number_verified: Option<bool>,
            pub(super) updated_at: Option<Timestamp>,
        }

        impl Profile {
            /// Reads them from the text of an object.
            pub(super) fn read(text: &str) -> Self {
                struct Reader(Profile);
                impl<'de> ObjectReader<'de> for Reader {
                    type Output = Profile;
                    fn member<A: MapAccess<'de>>(
                        &mut self,
                        name: &str,
                        map: &mut A,
                    ) -> Result<bool, A::Error> {
                        self.0.member(name, map)
                    }
                    fn finish(self) -> Profile {
                        self.0
                    }
                }
                read_object(text, Reader(Self::default())).unwrap_or_default()
            }

            /// Takes a member if it is one of the standard claims.
            pub(super) fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
                match name {
                    $(stringify!($name) => self.$name = map.next_value::<Lenient<_>>()?.0,)*
                    "email_verified" => self.email_verified = map.next_value::<Lenient<_>>()?.0,
                    "phone_number_verified" => self.phone_number_verified = map.next_value::<Lenient<_>>()?.0,
                    "updated_at" => {
                        self.updated_at = map.next_value::<Lenient<NumericDate>>()?.0.map(|date| date.0);
                    }
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }
    };
}

with_text_claims!(define_profile);

macro_rules! text_accessors {
    ($($name:ident $doc:literal,)*) => {
        $(
            #[doc = $doc]
            #[must_use]
            pub fn $name(&self) -> Option<&str> {
                self.profile_claims().$name.as_deref()
            }
        )*
    };
}

/// What is the same of all claims that are kept as their text, for a type with that and with `profile_claims`.
macro_rules! claims_as_they_came {
    ($type:ty) => {
        impl $type {
            /// Any claim by its name, as it came.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<serde_json::Value> {
                $crate::openid::json::find_member(&self.0.raw, name)
            }

            /// All claims, as they came.
            #[must_use]
            pub fn to_value(&self) -> serde_json::Value {
                // It was read before, so it can be read.
                serde_json::from_str(&self.0.raw).unwrap_or_default()
            }
        }

        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.0.raw == other.0.raw
            }
        }

        impl Eq for $type {}

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0.raw)
            }
        }

        /// The standard claims (OpenID Connect Core section 5.1).
        impl $type {
            with_text_claims!(text_accessors);

            /// Has the provider verified that the e-mail address is the user's?
            #[must_use]
            pub fn email_verified(&self) -> Option<bool> {
                self.profile_claims().email_verified
            }

            /// Has the provider verified that the telephone number is the user's?
            #[must_use]
            pub fn phone_number_verified(&self) -> Option<bool> {
                self.profile_claims().phone_number_verified
            }

            /// When these claims changed last.
            #[must_use]
            pub fn updated_at(&self) -> Option<$crate::Timestamp> {
                self.profile_claims().updated_at
            }
        }
    };
}

claims_as_they_came!(IdTokenClaims);

pub(super) use {claims_as_they_came, text_accessors, with_text_claims};
