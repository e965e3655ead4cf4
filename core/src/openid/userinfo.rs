//! The answer of the userinfo endpoint (OpenID Connect Core section 5.3).

use std::{fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess},
};

use super::{
    claims::{Profile, claims_as_they_came, text_accessors, with_text_claims},
    json::{Lenient, ObjectReader, read_object},
};
use crate::{Error, ErrorCode, Phase, Result};

mod answer;

pub(crate) use answer::{UserinfoAnswer, verified};

/// What a provider says about the user.
///
/// Cheap to clone. `Debug` shows the subject only, for the rest is personal data. It serializes as the text of its
/// claims, with every claim in it, known or not.
#[derive(Clone)]
pub struct Userinfo(Arc<Inner>);

struct Inner {
    raw: String,
    subject: Option<String>,
    profile: Profile,
}

impl Userinfo {
    /// Reads claims, plain or verified.
    ///
    /// `subject` is that of the ID token: they must be about the same user (section 5.3.2). Without an ID token there is
    /// none, and any claims are about whoever the access token belongs to.
    ///
    /// # Errors
    /// With phase [`Phase::Userinfo`]: `missing_claim`, `subject_mismatch`; `provider_error` for anything but a JSON
    /// object with each member once.
    pub(crate) fn about(claims: String, subject: Option<&str>) -> Result<Self> {
        let fault = |code, message: &str| Error::new(code, Phase::Userinfo, message);
        let info = Self::read(claims).ok_or_else(|| {
            fault(
                ErrorCode::ProviderError,
                "the userinfo answer is not a JSON object with each member once",
            )
        })?;
        if let Some(expected) = subject {
            let found = info
                .subject()
                .filter(|found| !found.is_empty())
                .ok_or_else(|| {
                    fault(
                        ErrorCode::MissingClaim,
                        "the userinfo answer has no sub, or one that is not text",
                    )
                })?;
            if found != expected {
                return Err(fault(
                    ErrorCode::SubjectMismatch,
                    "the userinfo answer is about somebody else than the ID token",
                ));
            }
        }
        Ok(info)
    }

    fn read(raw: String) -> Option<Self> {
        struct Subject(Option<String>);
        impl<'de> ObjectReader<'de> for Subject {
            type Output = Option<String>;
            fn member<A: MapAccess<'de>>(
                &mut self,
                name: &str,
                map: &mut A,
            ) -> Result<bool, A::Error> {
                if name != "sub" {
                    return Ok(false);
                }
                self.0 = map.next_value::<Lenient<_>>()?.0;
                Ok(true)
            }
            fn finish(self) -> Self::Output {
                self.0
            }
        }
        let subject = read_object(&raw, Subject(None)).ok()?;
        Some(Self(Arc::new(Inner {
            profile: Profile::read(&raw),
            subject,
            raw,
        })))
    }

    /// The provider's id of the user (`sub`). Providers of plain OAuth 2.0 have none, or another name for it.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.0.subject.as_deref()
    }

    fn profile_claims(&self) -> &Profile {
        &self.0.profile
    }
}

claims_as_they_came!(Userinfo);

impl fmt::Debug for Userinfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Userinfo")
            .field("subject", &self.subject())
            .finish_non_exhaustive()
    }
}

/// Reads claims that were checked before they were kept.
impl<'de> Deserialize<'de> for Userinfo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's own text may quote a claim.
        Self::read(String::deserialize(deserializer)?)
            .ok_or_else(|| D::Error::custom("unreadable claims"))
    }
}

#[cfg(test)]
mod tests;
