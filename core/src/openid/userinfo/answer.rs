//! What a userinfo endpoint sends: claims as they are, or signed (OpenID Connect Core section 5.3.2).

use crate::{
    Clock, Error, ErrorCode, Phase, ProviderError, Result, Timestamp,
    http::Answer,
    openid::{
        Asker, Cached, IdTokenRules, KeySet,
        claims::Payload,
        json::has_each_member_once,
        signed::{Kind, open, with_newest_keys},
    },
};

/// An answer with status 2xx, by its content type.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub(crate) enum UserinfoAnswer {
    /// The claims.
    Plain(String),
    /// A token that holds them.
    Signed(String),
}

impl UserinfoAnswer {
    /// Reads an answer. `is_signed`: the registration says that it must be.
    ///
    /// # Errors
    /// With phase [`Phase::Userinfo`]: `invalid_signature` if it has none and must have one; `provider_error` for
    /// anything but `application/jwt`, and `application/json` with an object with each member once.
    pub(crate) fn read(answer: Answer, is_signed: bool) -> Result<Self> {
        let status = answer.status.as_u16();
        let fault = |code, message: &str| {
            Error::new(code, Phase::Userinfo, message).with_provider(ProviderError {
                status: Some(status),
                ..ProviderError::default()
            })
        };
        let is_jwt = answer.header("content-type").is_some_and(|value| {
            let media = value.split(';').next().unwrap_or_default().trim();
            media.eq_ignore_ascii_case("application/jwt")
        });
        let is_json = answer.is_json();
        let text = String::from_utf8(answer.body);
        match text {
            Ok(text) if is_jwt => Ok(Self::Signed(text.trim_ascii().to_owned())),
            _ if is_signed => Err(fault(
                ErrorCode::InvalidSignature,
                "the userinfo answer is not signed, and userinfo_signed_response_alg says that it must be; is the client \
                 registered so at the provider?",
            )),
            // Before anybody reads it: of two members of the same name each reader could take another one.
            Ok(text) if is_json && has_each_member_once(&text) => Ok(Self::Plain(text)),
            _ if is_json => Err(fault(
                ErrorCode::ProviderError,
                "the userinfo answer is not a JSON object with each member once",
            )),
            _ => Err(fault(
                ErrorCode::ProviderError,
                "the userinfo answer is neither application/json nor application/jwt; is the userinfo endpoint right?",
            )),
        }
    }
}

/// Verifies a signed answer with the provider's published keys, and answers its claims.
///
/// `iss` and `aud` should be there, and what is there must be right. Without them the answer may have been made for
/// somebody else: that is taken only where `is_compared` says that its `sub` will be compared with an ID token's.
///
/// # Errors
/// With phase [`Phase::Userinfo`]: those of a signature, `issuer_mismatch`, `invalid_audience`, `missing_claim`, and
/// `provider_error` for a token that is malformed, over, not valid yet, or of another kind; and those of loading the keys.
///
/// # Cancel safety
/// Dropping the future changes nothing.
pub(crate) async fn verified(
    raw: &str,
    keys: &Cached<KeySet>,
    rules: &IdTokenRules,
    is_compared: bool,
    clock: &dyn Clock,
) -> Result<String> {
    with_newest_keys(keys, Asker::Provider, |keys| {
        verify(raw, keys, rules, is_compared, clock.now())
    })
    .await
}

fn verify(
    raw: &str,
    keys: &KeySet,
    rules: &IdTokenRules,
    is_compared: bool,
    now: Timestamp,
) -> Result<String> {
    let kind = Kind::Userinfo;
    let signed = open(kind, raw, keys, rules)?;
    let payload = Payload::read(&signed.claims).ok_or_else(|| {
        kind.invalid("is not an object with each member once, or one is of a wrong type")
    })?;
    if payload.is_logout_token {
        return Err(kind.invalid("is a logout token"));
    }
    match payload.issuer.as_deref() {
        Some(issuer) => {
            let (tenant, key_issuer) = (payload.tenant.as_deref(), signed.key_issuer.as_deref());
            rules.issuer.check(kind, issuer, tenant, key_issuer)?;
        }
        None if !is_compared => return Err(kind.missing("iss")),
        _ => {}
    }
    match &payload.audience {
        Some(audience) if !audience.contains(&rules.client_id) => {
            return Err(kind.fault(
                ErrorCode::InvalidAudience,
                "the signed userinfo is for another client",
            ));
        }
        None if !is_compared => return Err(kind.missing("aud")),
        _ => {}
    }
    let (leeway, is_ahead) = (rules.leeway, |time: Timestamp| time > now + rules.leeway);
    if payload.expires_at.is_some_and(|at| now >= at + leeway) {
        return Err(kind.invalid("has expired; is the clock right?"));
    }
    if payload.not_before.is_some_and(is_ahead) || payload.issued_at.is_some_and(is_ahead) {
        return Err(kind.invalid("is from the future; is the clock right?"));
    }
    drop(payload);
    Ok(signed.claims)
}

#[cfg(test)]
mod tests;
