//! A provider's keys, each parsed once, and which of them may verify a signature.
//!
//! A key that cannot be used (unknown type, for encryption, too short, unreadable, or published with its private part)
//! is left out with a warning: it can neither verify anything nor make another key ambiguous. A key is used only for
//! the `use`, `key_ops` and `alg` that it names (RFC 7517 section 4, RFC 8725 section 3.1).

use std::{collections::HashMap, fmt};

use serde::Deserialize;
use serde_json::value::RawValue;

use self::jwk::Jwk;
use super::SigningAlgorithm;
use crate::{Error, ErrorCode, Phase, Result};

mod interop;
pub(super) mod jwk;

/// How many keys of a document are read; a hundred is normal, a megabyte could hold ten thousand.
const MAX_KEYS: usize = 1000;

/// How many keys are tried for one signature. Each costs a verification.
const MAX_CANDIDATES: usize = 16;

/// The keys of a provider.
#[derive(Clone, Default)]
pub(crate) struct KeySet {
    keys: Vec<Jwk>,
    by_kid: HashMap<String, Vec<usize>>,
}

/// Why no key of a set verified a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// No key fits the `kid` and the algorithm.
    NoKey,
    /// A key fits, and the signature is not by it.
    Signature,
}

impl KeySet {
    /// Reads a JWK Set (RFC 7517 section 5), and says which keys were left out and why.
    ///
    /// # Errors
    /// `invalid_metadata` if it is not a JWK Set at all. A set without a usable key is no error here.
    pub(crate) fn parse(bytes: &[u8]) -> Result<(Self, Vec<String>)> {
        #[derive(Deserialize)]
        struct Document<'a> {
            #[serde(borrow)]
            keys: Vec<&'a RawValue>,
        }
        let document: Document<'_> = serde_json::from_slice(bytes).map_err(|_| {
            Error::new(
                ErrorCode::InvalidMetadata,
                Phase::Keys,
                "the keys are not a JWK Set (an object with a list `keys`)",
            )
        })?;
        let mut set = Self::default();
        let mut warnings = Vec::new();
        for (position, raw) in document.keys.iter().enumerate() {
            if position == MAX_KEYS {
                warnings.push(format!("keys after the first {MAX_KEYS} are left out"));
                break;
            }
            match Jwk::parse(raw.get()) {
                Ok(key) => set.push(key),
                Err(reason) => warnings.push(format!("key {} is left out: {reason}", position + 1)),
            }
        }
        Ok((set, warnings))
    }

    fn push(&mut self, key: Jwk) {
        if let Some(kid) = key.kid() {
            self.by_kid
                .entry(kid.to_owned())
                .or_default()
                .push(self.keys.len());
        }
        self.keys.push(key);
    }

    /// How many usable keys there are.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Verifies a signature with each key that fits, at most 16 of them: those named `kid`, or all if no `kid` is given.
    /// Answers the key that made it.
    pub(crate) fn verified_by(
        &self,
        kid: Option<&str>,
        algorithm: SigningAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<&Jwk, Mismatch> {
        let mut outcome = Mismatch::NoKey;
        for key in self.candidates(kid, algorithm) {
            if key.verify(algorithm, message, signature) {
                return Ok(key);
            }
            outcome = Mismatch::Signature;
        }
        Err(outcome)
    }

    #[cfg(test)]
    pub(crate) fn verify(
        &self,
        kid: Option<&str>,
        algorithm: SigningAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Mismatch> {
        self.verified_by(kid, algorithm, message, signature)
            .map(drop)
    }

    fn candidates<'a>(
        &'a self,
        kid: Option<&str>,
        algorithm: SigningAlgorithm,
    ) -> impl Iterator<Item = &'a Jwk> + use<'a> {
        let (named, unnamed) = match kid {
            Some(kid) => (self.by_kid.get(kid).map_or(&[][..], Vec::as_slice), &[][..]),
            None => (&[][..], self.keys.as_slice()),
        };
        named
            .iter()
            .filter_map(|index| self.keys.get(*index))
            .chain(unnamed)
            .filter(move |key| key.fits(algorithm))
            .take(MAX_CANDIDATES)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}

#[cfg(test)]
mod tests;
