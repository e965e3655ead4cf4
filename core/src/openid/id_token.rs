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
    Cached, IdTokenClaims, IdTokenRules, KeySet, SigningAlgorithm,
    checks::{IdTokenChecks, NonceRule},
    claims::Payload,
    jws::{Compact, Header, Unreadable},
    keys::{Mismatch, jwk::Jwk},
};
use crate::{Action, Clock, Error, ErrorCode, Phase, Result, Timestamp, error::excerpt};

/// How long an ID token may be, in bytes. Most have one or two thousand; memberships of groups make them long.
pub(crate) const MAX_LEN: usize = 64 * 1024;

/// How long a `sub` and a `sid` may be, in bytes (OpenID Connect Core section 2).
const MAX_ID: usize = 255;

/// Is this `sub` or `sid` too long, or has it control characters?
pub(super) fn is_unfit(id: &str) -> bool {
    id.len() > MAX_ID || id.chars().any(char::is_control)
}

/// Validates an ID token with keys at hand.
///
/// # Errors
/// With phase [`Phase::IdToken`]: `missing_key` if no key fits (newer keys may), `invalid_signature`,
/// `unsupported_algorithm`, `issuer_mismatch`, `invalid_audience`, `invalid_nonce`, `invalid_hash`, `missing_claim`,
/// `subject_mismatch`, and `invalid_id_token` for everything else.
pub(crate) fn validate(
    raw: &str,
    keys: &KeySet,
    rules: &IdTokenRules,
    checks: &IdTokenChecks<'_>,
    now: Timestamp,
) -> Result<IdTokenClaims> {
    if raw.len() > MAX_LEN {
        return Err(invalid("the ID token is longer than 64 KiB"));
    }
    let token = Compact::split(raw).map_err(unreadable)?;
    let algorithm = verify(&token, keys, rules)?;
    let text = token.payload().map_err(unreadable)?;
    let kept = {
        let payload = Payload::read(&text).ok_or_else(|| {
            invalid("the claims are not an object, one occurs twice, or one is of a wrong type")
        })?;
        check(&payload, algorithm, rules, checks, now)?;
        payload.kept()
    };
    Ok(IdTokenClaims::new(text, kept))
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
    with_newest_keys(keys, |keys| validate(raw, keys, rules, checks, clock.now())).await
}

/// Validates a token of any kind with a provider's published keys, as [`validate_with`] does.
pub(super) async fn with_newest_keys<T>(
    keys: &Cached<KeySet>,
    validate: impl Fn(&KeySet) -> Result<T>,
) -> Result<T> {
    let known = keys.get().await?;
    let refused = match validate(&known.value) {
        Err(error)
            if matches!(
                error.code(),
                ErrorCode::MissingKey | ErrorCode::InvalidSignature
            ) =>
        {
            error
        }
        done => return done,
    };
    match keys.refetch_unless_newer_than(known.serial).await {
        Ok(newer) if newer.serial != known.serial => validate(&newer.value),
        Err(unavailable) if refused.code() == ErrorCode::MissingKey => Err(unavailable),
        _ => Err(refused),
    }
}

/// Verifies the signature of an ID token, and says by which algorithm.
fn verify(token: &Compact<'_>, keys: &KeySet, rules: &IdTokenRules) -> Result<SigningAlgorithm> {
    verify_kind(token, keys, rules, |header| header.is_plain_token())
}

/// The same of a token whose `typ` is right for its kind.
pub(super) fn verify_kind(
    token: &Compact<'_>,
    keys: &KeySet,
    rules: &IdTokenRules,
    is_of_kind: impl Fn(&Header<'_>) -> bool,
) -> Result<SigningAlgorithm> {
    let text = token.header().map_err(unreadable)?;
    let header = Header::read(&text)
        .ok_or_else(|| invalid("the header is not an object, or a member occurs twice"))?;
    if header.is_encrypted {
        return Err(unreadable(Unreadable::Encrypted));
    }
    if header.has_critical {
        return Err(invalid(
            "the header names critical extensions, and none is known",
        ));
    }
    if !is_of_kind(&header) || header.cty.is_some() {
        return Err(invalid(
            "its typ or cty says that it is another kind of token",
        ));
    }
    let name = header
        .algorithm
        .as_deref()
        .ok_or_else(|| invalid("the header names no algorithm"))?;
    let algorithm = SigningAlgorithm::from_name(name)
        .filter(|algorithm| rules.algorithms.contains(*algorithm))
        .ok_or_else(|| {
            fault(
                ErrorCode::UnsupportedAlgorithm,
                format!(
                    "the algorithm {:?} is not allowed for this client",
                    excerpt(name)
                ),
            )
        })?;
    let wrong_signature = || fault(ErrorCode::InvalidSignature, "the signature does not verify");
    let signature = token.signature().ok_or_else(wrong_signature)?;
    if algorithm.is_symmetric() {
        let secret = rules.client_secret.as_ref().ok_or_else(|| {
            fault(
                ErrorCode::UnsupportedAlgorithm,
                format!("{algorithm} needs a client secret, and this client has none"),
            )
        })?;
        return if Jwk::secret(secret.expose().as_bytes()).verify(
            algorithm,
            token.signed,
            &signature,
        ) {
            Ok(algorithm)
        } else {
            Err(wrong_signature())
        };
    }
    match keys.verify(header.kid.as_deref(), algorithm, token.signed, &signature) {
        Ok(()) => Ok(algorithm),
        Err(Mismatch::Signature) => Err(wrong_signature()),
        Err(Mismatch::NoKey) => Err(fault(
            ErrorCode::MissingKey,
            match header.kid {
                Some(_) => format!("the provider publishes no {algorithm} key of this kid"),
                None => format!("the provider publishes no {algorithm} key"),
            },
        )),
    }
}

/// Checks the claims of a token whose signature was verified.
fn check(
    payload: &Payload<'_>,
    algorithm: SigningAlgorithm,
    rules: &IdTokenRules,
    checks: &IdTokenChecks<'_>,
    now: Timestamp,
) -> Result<()> {
    if payload.is_logout_token {
        return Err(invalid("it is a logout token"));
    }
    let issuer = payload.issuer.as_deref().ok_or_else(|| missing("iss"))?;
    if !rules.issuer.accepts(issuer) {
        return Err(fault(
            ErrorCode::IssuerMismatch,
            format!("the ID token was issued by {:?}", excerpt(issuer)),
        ));
    }
    check_audience(payload, rules)?;
    check_times(payload, rules.leeway, now)?;
    check_nonce(payload, &checks.nonce)?;
    check_subject(payload, checks)?;
    check_authentication(payload, rules.leeway, checks, now)?;
    let front = checks.is_from_front_channel;
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

/// Steps 3 to 5: `aud` and `azp`.
fn check_audience(payload: &Payload<'_>, rules: &IdTokenRules) -> Result<()> {
    let wrong = |what: &str| Err(fault(ErrorCode::InvalidAudience, what));
    let audience = payload.audience.as_deref().ok_or_else(|| missing("aud"))?;
    let client_id = &rules.client_id;
    if !audience.contains(client_id) {
        return wrong("the ID token is for another client");
    }
    let is_authorized = match &payload.authorized_party {
        Some(party) if party != client_id => {
            return wrong("the ID token was issued to another client (azp)");
        }
        party => party.is_some(),
    };
    let is_trusted = |other: &String| other == client_id || rules.trusted_audiences.contains(other);
    if !is_authorized && !audience.iter().all(is_trusted) {
        return wrong("the ID token has an audience that is not trusted, and no azp");
    }
    Ok(())
}

/// Steps 9 and 10: `exp`, `iat` and `nbf`.
fn check_times(payload: &Payload<'_>, leeway: Duration, now: Timestamp) -> Result<()> {
    let expires_at = payload.expires_at.ok_or_else(|| missing("exp"))?;
    let issued_at = payload.issued_at.ok_or_else(|| missing("iat"))?;
    if now >= expires_at + leeway {
        return Err(invalid("the ID token has expired"));
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

fn unreadable(reason: Unreadable) -> Error {
    match reason {
        Unreadable::Encrypted => fault(ErrorCode::UnsupportedAlgorithm, "the token is encrypted"),
        Unreadable::Malformed(what) => invalid(&format!("the token is malformed: {what}")),
    }
}

#[cfg(test)]
mod tests;
