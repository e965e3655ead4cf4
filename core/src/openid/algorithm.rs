//! The signature algorithms of JSON Web Signature that are known here, and sets of them.

use std::fmt;

use aws_lc_rs::digest;
use openidconnect::core::CoreJwsSigningAlgorithm as Core;

macro_rules! algorithms {
    ($($variant:ident $name:literal $doc:literal,)*) => {
        /// A signature algorithm (RFC 7518 section 3.1, RFC 8037, RFC 8812). There is no `none`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum SigningAlgorithm { $(#[doc = $doc] $variant,)* }

        impl SigningAlgorithm {
            /// Every algorithm.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The registered name, such as `RS256`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

algorithms! {
    Rs256 "RS256" "RSASSA-PKCS1-v1_5 with SHA-256.",
    Rs384 "RS384" "RSASSA-PKCS1-v1_5 with SHA-384.",
    Rs512 "RS512" "RSASSA-PKCS1-v1_5 with SHA-512.",
    Ps256 "PS256" "RSASSA-PSS with SHA-256.",
    Ps384 "PS384" "RSASSA-PSS with SHA-384.",
    Ps512 "PS512" "RSASSA-PSS with SHA-512.",
    Es256 "ES256" "ECDSA on P-256 with SHA-256.",
    Es384 "ES384" "ECDSA on P-384 with SHA-384.",
    Es512 "ES512" "ECDSA on P-521 with SHA-512.",
    Es256k "ES256K" "ECDSA on secp256k1 with SHA-256.",
    EdDsa "EdDSA" "EdDSA on Ed25519, also by its name of RFC 9864, `Ed25519`.",
    Hs256 "HS256" "HMAC with SHA-256 under the client secret.",
    Hs384 "HS384" "HMAC with SHA-384 under the client secret.",
    Hs512 "HS512" "HMAC with SHA-512 under the client secret.",
}

impl SigningAlgorithm {
    /// The algorithm of that name. Names are case-sensitive (RFC 7515 section 4.1.1).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL
            .iter()
            .copied()
            .find(|known| known.as_str() == name)
    }

    /// Does it use the client secret as the key?
    pub(crate) fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }

    /// The hash of `at_hash` and `c_hash` (OpenID Connect Core section 3.1.3.6; Ed25519 hashes with SHA-512).
    pub(crate) fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 | Self::Es256k | Self::Hs256 => &digest::SHA256,
            Self::Rs384 | Self::Ps384 | Self::Es384 | Self::Hs384 => &digest::SHA384,
            Self::Rs512 | Self::Ps512 | Self::Es512 | Self::Hs512 | Self::EdDsa => &digest::SHA512,
        }
    }

    /// openidconnect's name for it; it has none for ES256K.
    pub(crate) fn to_core(self) -> Option<Core> {
        Some(match self {
            Self::Rs256 => Core::RsaSsaPkcs1V15Sha256,
            Self::Rs384 => Core::RsaSsaPkcs1V15Sha384,
            Self::Rs512 => Core::RsaSsaPkcs1V15Sha512,
            Self::Ps256 => Core::RsaSsaPssSha256,
            Self::Ps384 => Core::RsaSsaPssSha384,
            Self::Ps512 => Core::RsaSsaPssSha512,
            Self::Es256 => Core::EcdsaP256Sha256,
            Self::Es384 => Core::EcdsaP384Sha384,
            Self::Es512 => Core::EcdsaP521Sha512,
            Self::Es256k => return None,
            Self::EdDsa => Core::EdDsa,
            Self::Hs256 => Core::HmacSha256,
            Self::Hs384 => Core::HmacSha384,
            Self::Hs512 => Core::HmacSha512,
        })
    }

    /// From openidconnect's name.
    pub(crate) fn from_core(core: &Core) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| known.to_core().as_ref() == Some(core))
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of algorithms.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Algorithms(u16);

impl Algorithms {
    /// Does the set hold this one?
    pub(crate) fn contains(self, algorithm: SigningAlgorithm) -> bool {
        self.0 & Self::bit(algorithm) != 0
    }

    const fn bit(algorithm: SigningAlgorithm) -> u16 {
        1 << algorithm as u16
    }
}

/// Every asymmetric algorithm: the client secret verifies nothing unless a registration says so.
impl Default for Algorithms {
    fn default() -> Self {
        SigningAlgorithm::ALL
            .iter()
            .copied()
            .filter(|algorithm| !algorithm.is_symmetric())
            .collect()
    }
}

impl FromIterator<SigningAlgorithm> for Algorithms {
    fn from_iter<I: IntoIterator<Item = SigningAlgorithm>>(algorithms: I) -> Self {
        Self(
            algorithms
                .into_iter()
                .fold(0, |set, algorithm| set | Self::bit(algorithm)),
        )
    }
}

impl fmt::Debug for Algorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(
                SigningAlgorithm::ALL
                    .iter()
                    .filter(|known| self.contains(**known)),
            )
            .finish()
    }
}
