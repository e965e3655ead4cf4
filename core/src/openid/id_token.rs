//! Validating an ID token: OpenID Connect Core section 3.1.3.7 (3.2.2.11 and 3.3.2.12 for the front channel), 12.2 for
//! a refreshed one, and RFC 8725.
//!
//! The keys are openidconnect's `JsonWebKey`, but its `IdTokenVerifier` is not on this path. Given a key parsed once it
//! takes 1.37 times as long as the signature alone (RS256: 21.7 µs over 15.8; the limit is 1.20), for it copies the
//! token and reads every claim into types of its own; here it is 1.14, with more checks. It also takes one key at most
//! for a `kid`, knows no ES256K, and leaves `azp`, `nbf`, hashes and doubled members to its caller. The tests compare
//! the two.

use std::time::Duration;

use aws_lc_rs::{constant_time, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    Asker, Cached, IdTokenClaims, IdTokenRules, KeySet, SigningAlgorithm,
    checks::{IdTokenChecks, NonceRule},
    claims::Payload,
    signed::{Kind, Signed, open, with_newest_keys},
};
use crate::{Action, Clock, Error, ErrorCode, Phase, Result, Timestamp, error::excerpt};

/// How long a `sub` and a `sid` may be, in bytes (OpenID Connect Core section 2).
const MAX_ID: usize = 255;

/// Is this `sub` or `sid` too long, or has it control characters?
pub(crate) fn is_unfit(id: &str) -> bool {
    id.len() > MAX_ID || id.chars().any(char::is_control)
}

/// Validates an ID token with keys at hand.
///
/// # Errors
/// With phase [`Phase::IdToken`]: `missing_key` if no key fits (newer keys may), `invalid_signature`,
/// `unsupported_algorithm`, `issuer_mismatch`, `invalid_audience`, `invalid_nonce`, `invalid_hash`, `missing_claim`,
/// `subject_mismatch`, `owner_refused` by the application's own checks, and `invalid_id_token` for everything else.
pub(crate) fn validate(
    raw: &str,
    keys: &KeySet,
    rules: &IdTokenRules,
    checks: &IdTokenChecks<'_>,
    now: Timestamp,
) -> Result<IdTokenClaims> {
    let signed = open(Kind::IdToken, raw, keys, rules)?;
    let kept = {
        let payload = Payload::read(&signed.claims).ok_or_else(|| {
            invalid(
                "the claims are not an object, one occurs twice, one is of a wrong type, or they are nested too deep",
            )
        })?;
        check(&payload, &signed, rules, checks, now)?;
        payload.kept()
    };
    let claims = IdTokenClaims::new(signed.claims, kept);
    rules.claim_checks.run(&claims)?;
    Ok(claims)
}

/// Validates an ID token with a provider's published keys. They are loaded if they are not, and fetched anew, once, if
/// none of them verifies the signature: the provider may have changed them.
///
/// # Errors
/// Those of [`validate`], and `provider_unavailable`, `provider_error` and `invalid_metadata` of phase
/// [`Phase::Keys`] if the keys cannot be had.
///
/// # Cancel safety
/// Dropping the future changes nothing.
pub(crate) async fn validate_with(
    raw: &str,
    keys: &Cached<KeySet>,
    rules: &IdTokenRules,
    checks: &IdTokenChecks<'_>,
    clock: &dyn Clock,
) -> Result<IdTokenClaims> {
    with_newest_keys(keys, Asker::Provider, |keys| {
        validate(raw, keys, rules, checks, clock.now())
    })
    .await
}

/// Checks the claims of a token whose signature was verified.
fn check(
    payload: &Payload<'_>,
    signed: &Signed,
    rules: &IdTokenRules,
    checks: &IdTokenChecks<'_>,
    now: Timestamp,
) -> Result<()> {
    if payload.is_logout_token {
        return Err(invalid("it is a logout token"));
    }
    let issuer = payload.issuer.as_deref().ok_or_else(|| missing("iss"))?;
    let (tenant, key_issuer) = (payload.tenant.as_deref(), signed.key_issuer.as_deref());
    rules
        .issuer
        .check(Kind::IdToken, issuer, tenant, key_issuer)?;
    check_audience(payload, rules)?;
    check_times(payload, rules.leeway, now)?;
    check_nonce(payload, &checks.nonce)?;
    check_subject(payload, checks)?;
    check_authentication(payload, rules.leeway, checks, now)?;
    let (front, algorithm) = (checks.is_from_front_channel, signed.algorithm);
    check_hash(
        "at_hash",
        payload.access_token_hash.as_deref(),
        checks.access_token,
        front,
        algorithm,
    )?;
    check_hash(
        "c_hash",
        payload.code_hash.as_deref(),
        checks.code,
        front,
        algorithm,
    )
}

/// Steps 3 to 5: `aud` and `azp`. An audience beside the client must be trusted by name, also where `azp` is the client:
/// whoever it is gets tokens by which it could log in here as the user.
fn check_audience(payload: &Payload<'_>, rules: &IdTokenRules) -> Result<()> {
    let wrong = |what: String| Err(fault(ErrorCode::InvalidAudience, what));
    let audience = payload.audience.as_deref().ok_or_else(|| missing("aud"))?;
    let client_id = &rules.client_id;
    if !audience.contains(client_id) {
        return wrong("the ID token is for another client; is the client id right?".to_owned());
    }
    if payload
        .authorized_party
        .as_ref()
        .is_some_and(|party| party != client_id)
    {
        return wrong("the ID token was issued to another client (azp)".to_owned());
    }
    let is_trusted = |other: &String| other == client_id || rules.trusted_audiences.contains(other);
    match audience.iter().find(|other| !is_trusted(other)) {
        None => Ok(()),
        Some(other) => wrong(format!(
            "the ID token is also for {:?}, which is not trusted; if it belongs to you, call trust_audience with it",
            excerpt(other)
        )),
    }
}

/// Steps 9 and 10: `exp`, `iat` and `nbf`.
fn check_times(payload: &Payload<'_>, leeway: Duration, now: Timestamp) -> Result<()> {
    let expires_at = payload.expires_at.ok_or_else(|| missing("exp"))?;
    let issued_at = payload.issued_at.ok_or_else(|| missing("iat"))?;
    if now >= expires_at + leeway {
        return Err(invalid("the ID token has expired; is the clock right?"));
    }
    if issued_at > now + leeway {
        return Err(invalid(
            "the ID token was issued in the future; is the clock right?",
        ));
    }
    if payload
        .not_before
        .is_some_and(|not_before| not_before > now + leeway)
    {
        return Err(invalid("the ID token is not valid yet"));
    }
    Ok(())
}

/// Step 11: `nonce`.
fn check_nonce(payload: &Payload<'_>, rule: &NonceRule<'_>) -> Result<()> {
    let (expected, is_required) = match rule {
        NonceRule::Ignore => return Ok(()),
        NonceRule::Equal(nonce) => (nonce, true),
        NonceRule::EqualIfPresent(nonce) => (nonce, false),
    };
    match payload.nonce.as_deref() {
        Some(nonce) if are_equal(nonce, expected) => Ok(()),
        None if !is_required => Ok(()),
        Some(_) => Err(fault(
            ErrorCode::InvalidNonce,
            "the nonce is that of another login",
        )),
        None => Err(fault(
            ErrorCode::InvalidNonce,
            "a nonce was sent, and the ID token has none",
        )),
    }
}

/// `sub` and `sid`, and what a refreshed token must have kept (section 12.2).
fn check_subject(payload: &Payload<'_>, checks: &IdTokenChecks<'_>) -> Result<()> {
    let subject = payload
        .subject
        .as_deref()
        .filter(|subject| !subject.is_empty())
        .ok_or_else(|| missing("sub"))?;
    if is_unfit(subject) || payload.sid.as_deref().is_some_and(is_unfit) {
        return Err(invalid(
            "sub or sid is longer than 255 bytes or has control characters",
        ));
    }
    let another = |what: &str| Err(fault(ErrorCode::SubjectMismatch, what));
    if checks.subject.is_some_and(|expected| expected != subject) {
        return another("the ID token is about somebody else");
    }
    if let Some(before) = checks.previous {
        if before.subject() != subject {
            return another("the refreshed ID token is about somebody else");
        }
        if payload.issuer.as_deref() != Some(before.issuer()) {
            return Err(fault(
                ErrorCode::IssuerMismatch,
                "the refreshed ID token was issued by somebody else",
            ));
        }
        let audience = payload.audience.as_deref().unwrap_or_default();
        if !before.audience().iter().all(|kept| audience.contains(kept)) {
            return Err(fault(
                ErrorCode::InvalidAudience,
                "the refreshed ID token lacks an audience of the first one",
            ));
        }
    }
    Ok(())
}

/// Steps 12 and 13: `acr` and `auth_time`.
fn check_authentication(
    payload: &Payload<'_>,
    leeway: Duration,
    checks: &IdTokenChecks<'_>,
    now: Timestamp,
) -> Result<()> {
    let again = |what: &str| Err(invalid(what).with_action(Action::Login { connect_url: None }));
    if let Some(max_age) = checks.max_age {
        let auth_time = payload.auth_time.ok_or_else(|| missing("auth_time"))?;
        if now > auth_time + max_age + leeway {
            return again("the user authenticated longer ago than max_age");
        }
        // Whoever says that is not to be believed about the past either.
        if auth_time > now + leeway {
            return Err(invalid(
                "the user authenticated in the future; is the clock right?",
            ));
        }
    }
    if !checks.acr_values.is_empty() {
        let acr = payload.acr.as_deref().ok_or_else(|| missing("acr"))?;
        if !checks.acr_values.contains(&acr) {
            return again(
                "the user did not authenticate in any of the ways that were asked for (acr)",
            );
        }
    }
    Ok(())
}

/// `at_hash` and `c_hash` (sections 3.1.3.8, 3.2.2.9 and 3.3.2.10): the left half of the hash of what came beside.
fn check_hash(
    claim: &'static str,
    hash: Option<&str>,
    value: Option<&str>,
    is_required: bool,
    algorithm: SigningAlgorithm,
) -> Result<()> {
    let Some(value) = value else { return Ok(()) };
    let Some(hash) = hash else {
        return if is_required {
            Err(missing(claim))
        } else {
            Ok(())
        };
    };
    let full = digest::digest(algorithm.digest(), value.as_bytes());
    let half = full.as_ref().len() / 2;
    let mut text = [0; 64];
    let matches = URL_SAFE_NO_PAD
        .encode_slice(&full.as_ref()[..half], &mut text)
        .is_ok_and(|len| text[..len] == *hash.as_bytes());
    if matches {
        return Ok(());
    }
    Err(fault(
        ErrorCode::InvalidHash,
        format!("{claim} does not fit what came beside the ID token"),
    ))
}

fn are_equal(left: &str, right: &str) -> bool {
    constant_time::verify_slices_are_equal(left.as_bytes(), right.as_bytes()).is_ok()
}

fn fault(code: ErrorCode, message: impl Into<String>) -> Error {
    Error::new(code, Phase::IdToken, message)
}

fn invalid(message: &str) -> Error {
    fault(ErrorCode::InvalidIdToken, message)
}

fn missing(claim: &str) -> Error {
    fault(
        ErrorCode::MissingClaim,
        format!("the ID token has no {claim}"),
    )
}

#[cfg(test)]
mod tests;
