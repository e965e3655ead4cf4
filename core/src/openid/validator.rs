//! [`IdTokenValidator`]: ID tokens validated without the rest of tokenkeep.

use std::{sync::Arc, time::Duration};

use super::{
    IdTokenChecks, IdTokenClaims, IdTokenRules, IssuerRule, KeySet, SigningAlgorithm, validate,
};
use crate::{Clock, Result, Secret, SystemClock};

/// Validates the ID tokens of one issuer for one client, with keys that are at hand.
///
/// A client of the registry does this by itself, and fetches the keys; this is for a service that gets ID tokens from
/// elsewhere. Every check of OpenID Connect Core section 3.1.3.7 and RFC 8725 is made.
///
/// ```
/// # fn main() -> Result<(), tokenkeep_core::Error> {
/// use tokenkeep_core::{ErrorCode, IdTokenChecks, IdTokenValidator};
///
/// let keys = br#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1",
///     "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
/// let validator = IdTokenValidator::new("https://login.example", "my-client", keys)?;
///
/// let error = validator.validate("eyJhbGciOiJub25lIn0.e30.", &IdTokenChecks::new()).unwrap_err();
/// assert_eq!(error.code(), ErrorCode::UnsupportedAlgorithm);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct IdTokenValidator {
    rules: IdTokenRules,
    keys: KeySet,
    warnings: Vec<String>,
    clock: Arc<dyn Clock>,
}

impl IdTokenValidator {
    /// For tokens that `issuer` (compared exactly) issues to `client_id`, with the issuer's JWK Set (RFC 7517).
    ///
    /// # Errors
    /// `invalid_metadata` if `jwks` is not a JWK Set. Keys that cannot be used are left out; [`warnings`](Self::warnings)
    /// says which.
    pub fn new(
        issuer: impl Into<String>,
        client_id: impl Into<String>,
        jwks: &[u8],
    ) -> Result<Self> {
        let (keys, warnings) = KeySet::parse(jwks)?;
        Ok(Self {
            rules: IdTokenRules::new(IssuerRule::Exact(issuer.into()), client_id),
            keys,
            warnings,
            clock: Arc::new(SystemClock),
        })
    }

    /// Allows these algorithms and no other. Without this call: every asymmetric one.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = SigningAlgorithm>) -> Self {
        self.rules.algorithms = algorithms.into_iter().collect();
        self
    }

    /// The client secret, with which HS256, HS384 and HS512 are verified, if [`algorithms`](Self::algorithms) allows
    /// them (OpenID Connect Core section 10.1). It must be random, or it can be guessed; one that is shorter than the hash
    /// verifies nothing (RFC 7518 section 3.2).
    #[must_use]
    pub fn client_secret(mut self, secret: Secret) -> Self {
        self.rules.client_secret = Some(secret);
        self
    }

    /// How far the clocks of the two sides may differ. Without this call: 60 seconds.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.rules.leeway = leeway;
        self
    }

    /// Lets this audience stand beside the client. Any other one is refused, also where `azp` is the client.
    #[must_use]
    pub fn trust_audience(mut self, audience: impl Into<String>) -> Self {
        self.rules.trusted_audiences.push(audience.into());
        self
    }

    /// Where the time comes from.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Which keys were left out, and why.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Validates one ID token.
    ///
    /// # Errors
    /// `missing_key` if no key fits the token (a newer JWK Set may have it), `invalid_signature`,
    /// `unsupported_algorithm`, `issuer_mismatch`, `invalid_audience`, `invalid_nonce`, `invalid_hash`,
    /// `missing_claim`, `subject_mismatch`, and `invalid_id_token` for one that is malformed, expired, not valid yet,
    /// or another kind of token. No error holds any part of the token that is a secret or about the user.
    pub fn validate(&self, raw: &str, checks: &IdTokenChecks<'_>) -> Result<IdTokenClaims> {
        validate(raw, &self.keys, &self.rules, checks, self.clock.now())
    }
}
