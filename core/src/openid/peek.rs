//! Looking into an ID token without keys: for comparing a refreshed one with the grant that it must belong to.

use super::{
    IdTokenClaims, SigningAlgorithm,
    claims::Payload,
    jws::{Compact, Header},
    signed::MAX_LEN,
};

/// What a token says of itself. Nothing of it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peeked {
    pub(crate) issuer: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) audience: Vec<String>,
}

impl Peeked {
    /// Does it name another issuer, subject or audience than the kept grant? What the grant does not know fits.
    pub(crate) fn differs_from(
        &self,
        issuer: Option<&str>,
        subject: Option<&str>,
        client_id: &str,
    ) -> bool {
        let differs = |kept: Option<&str>, found: &Option<String>| {
            kept.is_some_and(|kept| found.as_deref() != Some(kept))
        };
        differs(issuer, &self.issuer)
            || differs(subject, &self.subject)
            || !self.audience.iter().any(|audience| audience == client_id)
    }
}

fn payload_of(raw: &str) -> Option<String> {
    if raw.len() > MAX_LEN {
        return None;
    }
    Compact::split(raw).ok()?.payload().ok()
}

/// The algorithm that a kept ID token was signed by.
pub(crate) fn algorithm_of(raw: &str) -> Option<SigningAlgorithm> {
    let header = Compact::split(raw).ok()?.header().ok()?;
    SigningAlgorithm::from_name(&Header::read(&header)?.algorithm?)
}

/// The claims of a kept ID token, which were checked before it was kept.
pub(crate) fn read_again(raw: &str) -> Option<IdTokenClaims> {
    let text = payload_of(raw)?;
    let kept = Payload::read(&text)?.kept();
    Some(IdTokenClaims::new(text, kept))
}

/// Looks into a token without keys and without any check; none if it cannot be read.
pub(crate) fn peek(raw: &str) -> Option<Peeked> {
    let text = payload_of(raw)?;
    let payload = Payload::read(&text)?;
    Some(Peeked {
        issuer: payload.issuer,
        subject: payload.subject,
        audience: payload.audience.unwrap_or_default(),
    })
}
