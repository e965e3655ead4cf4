//! RSA signatures of PKCS #1 version 1.5 (RFC 5849 section 3.4.3, RFC 8017 section 8.2), with SHA-256 and SHA-1.
//!
//! aws-lc-rs signs with SHA-256 and knows no signature with SHA-1. The crate `rsa` would, but it leaks private keys by
//! timing (RUSTSEC-2023-0071, no fixed release), and nothing here gives it one. So the padding, which is public, is built
//! here, and raised to the private exponent by crypto-bigint in constant time; aws-lc-rs verifies each such signature before
//! anybody sees it, because a faulty one would give the key away.

use std::fmt;

use aws_lc_rs::{
    digest,
    encoding::AsDer,
    rand::SystemRandom,
    signature::{
        KeyPair, RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_SHA256, RsaKeyPair,
        UnparsedPublicKey,
    },
};
use crypto_bigint::{
    Odd, U2048, U3072, U4096, Uint,
    modular::{FixedMontyForm, FixedMontyParams},
};
use zeroize::Zeroizing;

use crate::{
    Error, ErrorCode, Phase, Result,
    pem::{self, Form},
};

/// The DER of DigestInfo before a SHA-1 digest (RFC 8017 section 9.2, note 1).
const SHA1_INFO: [u8; 15] = [
    0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14,
];

/// How long a modulus may be, in bytes.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=512;

/// A private key that signs. `Debug` shows nothing of it.
pub(crate) struct RsaKey {
    pair: RsaKeyPair,
    /// Modulus and private exponent, as long as the modulus is, for signatures with SHA-1.
    modulus: Vec<u8>,
    exponent: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl RsaKey {
    /// Reads a PEM: PKCS #8 (`PRIVATE KEY`) or PKCS #1 (`RSA PRIVATE KEY`), without a passphrase, of 2,048 to 4,096 bits.
    ///
    /// # Errors
    /// `invalid_configuration`, without any part of the text.
    pub(crate) fn from_pem(pem: &str) -> Result<Self> {
        let der = pkcs1_of(pem)?;
        let pair =
            RsaKeyPair::from_der(&der).map_err(|_| unusable("is no RSA key, or a damaged one"))?;
        let parts = pkcs1::RsaPrivateKey::try_from(der.as_slice())
            .map_err(|_| unusable("is no RSA key, or a damaged one"))?;
        let modulus = parts.modulus.as_bytes().to_vec();
        if !MODULUS.contains(&modulus.len()) {
            return Err(unusable(
                "is not 2,048 to 4,096 bits long; make a new one (openssl genrsa 2048) and register its public part at the \
                 provider",
            ));
        }
        let exponent = Zeroizing::new(parts.private_exponent.as_bytes().to_vec());
        Ok(Self {
            pair,
            modulus,
            exponent,
        })
    }

    /// Signs with SHA-256.
    pub(crate) fn sign_sha256(&self, message: &[u8]) -> Result<Vec<u8>> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .map_err(|_| cannot_sign())?;
        Ok(signature)
    }

    /// Signs with SHA-1.
    pub(crate) fn sign_sha1(&self, message: &[u8]) -> Result<Vec<u8>> {
        let padded = self.padded_sha1(message);
        let signature = match self.modulus.len() {
            ..=256 => self.power::<{ U2048::LIMBS }>(&padded),
            257..=384 => self.power::<{ U3072::LIMBS }>(&padded),
            _ => self.power::<{ U4096::LIMBS }>(&padded),
        }
        .ok_or_else(cannot_sign)?;
        let public = self.pair.public_key().as_der().map_err(|_| cannot_sign())?;
        UnparsedPublicKey::new(
            &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            public.as_ref(),
        )
        .verify(message, &signature)
        .map_err(|_| cannot_sign())?;
        Ok(signature)
    }

    /// EMSA-PKCS1-v1_5 (RFC 8017 section 9.2).
    fn padded_sha1(&self, message: &[u8]) -> Vec<u8> {
        let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, message);
        let info = [&SHA1_INFO, digest.as_ref()].concat();
        let mut padded = vec![0xff; self.modulus.len() - info.len()];
        padded[..2].copy_from_slice(&[0x00, 0x01]);
        if let Some(last) = padded.last_mut() {
            *last = 0x00;
        }
        padded.extend(info);
        padded
    }

    /// RSASP1 (RFC 8017 section 5.2.1), in constant time.
    fn power<const LIMBS: usize>(&self, message: &[u8]) -> Option<Vec<u8>> {
        let size = LIMBS * crypto_bigint::Limb::BYTES;
        let number = |bytes: &[u8]| {
            let mut padded = Zeroizing::new(vec![0; size]);
            let start = size.checked_sub(bytes.len())?;
            padded[start..].copy_from_slice(bytes);
            Some(Uint::<LIMBS>::from_be_slice(&padded))
        };
        let modulus = Option::from(Odd::new(number(&self.modulus)?))?;
        let exponent = Zeroizing::new(number(&self.exponent)?);
        let parameters = FixedMontyParams::new_vartime(modulus);
        let power = FixedMontyForm::new(&number(message)?, &parameters)
            .pow(&exponent)
            .retrieve();
        let bytes = power.to_be_bytes();
        let bytes: &[u8] = bytes.as_ref();
        Some(bytes[size - self.modulus.len()..].to_vec())
    }
}

/// The PKCS #1 key in a PEM.
fn pkcs1_of(pem: &str) -> Result<Zeroizing<Vec<u8>>> {
    let (form, der) = pem::private_key(pem)
        .map_err(|what| unusable(&format!("is no PEM that can be used: {what}")))?;
    match form {
        Form::Pkcs1 => Ok(der),
        Form::Pkcs8 => {
            let outer = pkcs8::PrivateKeyInfo::try_from(der.as_slice())
                .map_err(|_| unusable("is no PKCS #8 key"))?;
            Ok(Zeroizing::new(outer.private_key.to_vec()))
        }
        Form::Sec1 => Err(unusable("is an EC key, and an RSA key is needed")),
    }
}

fn unusable(what: &str) -> Error {
    Error::new(
        ErrorCode::InvalidConfiguration,
        Phase::Configure,
        format!("rsa_key {what}"),
    )
}

fn cannot_sign() -> Error {
    Error::new(
        ErrorCode::InvalidConfiguration,
        Phase::Request,
        "rsa_key cannot sign: it is damaged",
    )
}

#[cfg(test)]
pub(crate) mod tests;
