//! A private key of this process, as a [`Signer`].

use std::fmt;

use async_trait::async_trait;
use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    rsa,
    signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding},
};
use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{
        DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::URL_SAFE_NO_PAD,
    },
};
use serde_json::Value;
use zeroize::Zeroizing;

use super::Signer;
use crate::{
    Error, ErrorCode, Phase, Result, SigningAlgorithm,
    pem::{self, Form},
};

/// A private key in memory that signs by one algorithm: RSA (PKCS#1 v1.5 and PSS) of 2,048 to 8,192 bits, ECDSA on P-256,
/// P-384, P-521 and secp256k1, Ed25519.
///
/// A JWS that it signs names the key (`kid`) only if that is known: by [`with_key_id`](Self::with_key_id), or from the JWK. No
/// `kid` is made up, because a provider that compares it would look for a name that it never gave. `Debug` shows no part of
/// the key.
pub struct SigningKey {
    algorithm: SigningAlgorithm,
    key_id: Option<String>,
    certificate_thumbprint: Option<String>,
    pair: Pair,
}

enum Pair {
    Rsa(rsa::KeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Reads a private key in PEM: PKCS#8 (`PRIVATE KEY`), PKCS#1 (`RSA PRIVATE KEY`) or SEC 1 (`EC PRIVATE KEY`). Line breaks
    /// may stand there as `\n`. Certificates beside it are passed over.
    ///
    /// ```
    /// use tokenkeep_core::{SigningAlgorithm, SigningKey};
    ///
    /// let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----";
    /// let key = SigningKey::from_pem(SigningAlgorithm::EdDsa, pem)?.with_key_id("2026-11");
    /// # Ok::<(), tokenkeep_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// `invalid_configuration` for a text without such a key, an encrypted one, a key of another type than the algorithm's,
    /// RSA below 2,048 bits; never with a part of it.
    pub fn from_pem(algorithm: SigningAlgorithm, pem: impl AsRef<str>) -> Result<Self> {
        let (form, der) = pem::private_key(pem.as_ref()).map_err(unusable)?;
        Self::from_der(algorithm, form, &der)
    }

    /// Reads a private key that is a JWK (RFC 7517, RFC 7518 section 6, RFC 8037). Its `kid` counts, and so does its `alg`.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem); also for a public key, and for a key whose `use`, `key_ops` or `alg` says otherwise.
    pub fn from_jwk(algorithm: SigningAlgorithm, jwk: &Value) -> Result<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if text("use").is_some_and(|named| named != "sig") {
            return Err(unusable("its use is another one than sig"));
        }
        let ops = jwk.get("key_ops").and_then(Value::as_array);
        if ops.is_some_and(|ops| !ops.iter().any(|op| op == "sign")) {
            return Err(unusable("its key_ops do not name sign"));
        }
        let named = text("alg").map(SigningAlgorithm::from_name);
        if named.is_some_and(|named| named != Some(algorithm)) {
            return Err(unusable(&format!(
                "its alg is another one than {algorithm}"
            )));
        }
        let fits = match (algorithm, text("kty"), text("crv")) {
            (_, Some("RSA"), _) => rsa_padding(algorithm).is_some(),
            (_, Some("EC"), crv) => curve(algorithm).is_some_and(|curve| crv == Some(curve.name)),
            (algorithm, Some("OKP"), Some("Ed25519")) => algorithm == SigningAlgorithm::EdDsa,
            _ => return Err(unusable("it is no JWK of the type RSA, EC or Ed25519")),
        };
        if !fits {
            return Err(unusable(&format!("it is not for {algorithm}")));
        }
        let pair = jwk_pair(algorithm, &text).map_err(unusable)?;
        let key = Self {
            algorithm,
            key_id: None,
            certificate_thumbprint: None,
            pair,
        };
        match text("kid") {
            Some(kid) => Ok(key.with_key_id(kid)),
            None => Ok(key),
        }
    }

    /// Names the key: the `kid` of what it signs, as the provider knows it.
    #[must_use]
    pub fn with_key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(key_id.into());
        self
    }

    /// Names the key by its X.509 certificate in PEM, the first of the text: what it signs has `x5t#S256` in its header (RFC 7515
    /// section 4.1.8), as Microsoft Entra finds a client's key. A `kid` beside it stays.
    ///
    /// # Errors
    /// `invalid_configuration` for a text without a certificate, and for a certificate of another key.
    pub fn with_certificate(mut self, pem: impl AsRef<str>) -> Result<Self> {
        let der = pem::certificate(pem.as_ref()).map_err(unfit_certificate)?;
        // The public key stands in it as it is (RFC 5280 section 4.1).
        let own = self.public_key();
        if !der.windows(own.len()).any(|part| part == own) {
            return Err(unfit_certificate("it is of another key"));
        }
        let digest = digest::digest(&digest::SHA256, &der);
        self.certificate_thumbprint = Some(URL_SAFE_NO_PAD.encode(digest.as_ref()));
        Ok(self)
    }

    fn public_key(&self) -> &[u8] {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref(),
            Pair::Ecdsa(pair) => pair.public_key().as_ref(),
            Pair::Ed25519(pair) => pair.public_key().as_ref(),
        }
    }

    /// Reads a key in PEM or as a JWK. Without an algorithm that of the JWK counts, else the usual one of the key's type:
    /// RS256, ES256, ES384, ES512 or EdDSA.
    pub(crate) fn from_text(algorithm: Option<SigningAlgorithm>, text: &str) -> Result<Self> {
        if text.trim_start().starts_with('{') {
            if text.len() > pem::MAX_LEN {
                return Err(unusable("it is longer than 64 KiB"));
            }
            // The parser's message could quote the key.
            let jwk: Value =
                serde_json::from_str(text).map_err(|_| unusable("it is no JSON object"))?;
            let named = jwk.get("alg").and_then(Value::as_str);
            let named = named.and_then(SigningAlgorithm::from_name);
            return match algorithm.or(named) {
                Some(algorithm) => Self::from_jwk(algorithm, &jwk),
                None => usual(|algorithm| Self::from_jwk(algorithm, &jwk)),
            };
        }
        let (form, der) = pem::private_key(text).map_err(unusable)?;
        match algorithm {
            Some(algorithm) => Self::from_der(algorithm, form, &der),
            None => usual(|algorithm| Self::from_der(algorithm, form, &der)),
        }
    }

    fn from_der(algorithm: SigningAlgorithm, form: Form, der: &[u8]) -> Result<Self> {
        let pair = der_pair(algorithm, form, der).map_err(|what| {
            // Say what it is, if it is a key at all.
            let fits = USUAL
                .iter()
                .find(|usual| der_pair(**usual, form, der).is_ok());
            match fits {
                Some(fits) => unusable(&format!(
                    "it is not for {algorithm}, but {}",
                    kind_of(*fits)
                )),
                None => unusable(what),
            }
        })?;
        Ok(Self {
            algorithm,
            key_id: None,
            certificate_thumbprint: None,
            pair,
        })
    }
}

/// The algorithm that stands for each type of key.
const USUAL: [SigningAlgorithm; 5] = [
    SigningAlgorithm::Rs256,
    SigningAlgorithm::Es256,
    SigningAlgorithm::Es384,
    SigningAlgorithm::Es512,
    SigningAlgorithm::EdDsa,
];

fn usual(read: impl Fn(SigningAlgorithm) -> Result<SigningKey>) -> Result<SigningKey> {
    let first = read(USUAL[0]);
    if first.is_ok() {
        return first;
    }
    let mut others = USUAL[1..].iter().filter_map(|other| read(*other).ok());
    others.next().map_or(first, Ok)
}

fn kind_of(algorithm: SigningAlgorithm) -> &'static str {
    match algorithm {
        SigningAlgorithm::Es256 => "an EC key on P-256 (ES256)",
        SigningAlgorithm::Es384 => "an EC key on P-384 (ES384)",
        SigningAlgorithm::Es512 => "an EC key on P-521 (ES512)",
        SigningAlgorithm::EdDsa => "an Ed25519 key (EdDSA)",
        _ => "an RSA key (RS256 to RS512, PS256 to PS512)",
    }
}

fn unusable(what: &str) -> Error {
    Error::new(
        ErrorCode::InvalidConfiguration,
        Phase::Configure,
        format!("the private key cannot be used: {what}"),
    )
}

fn unfit_certificate(what: &str) -> Error {
    Error::new(
        ErrorCode::InvalidConfiguration,
        Phase::Configure,
        format!("the certificate of the private key cannot be used: {what}"),
    )
}

struct Curve {
    name: &'static str,
    /// Bytes of a coordinate.
    size: usize,
    signing: &'static EcdsaSigningAlgorithm,
}

fn curve(algorithm: SigningAlgorithm) -> Option<Curve> {
    let (name, size, signing) = match algorithm {
        SigningAlgorithm::Es256 => ("P-256", 32, &signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        SigningAlgorithm::Es384 => ("P-384", 48, &signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        SigningAlgorithm::Es512 => ("P-521", 66, &signature::ECDSA_P521_SHA512_FIXED_SIGNING),
        SigningAlgorithm::Es256k => (
            "secp256k1",
            32,
            &signature::ECDSA_P256K1_SHA256_FIXED_SIGNING,
        ),
        _ => return None,
    };
    Some(Curve {
        name,
        size,
        signing,
    })
}

fn rsa_padding(algorithm: SigningAlgorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        SigningAlgorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
        SigningAlgorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        SigningAlgorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
        SigningAlgorithm::Ps256 => &signature::RSA_PSS_SHA256,
        SigningAlgorithm::Ps384 => &signature::RSA_PSS_SHA384,
        SigningAlgorithm::Ps512 => &signature::RSA_PSS_SHA512,
        _ => return None,
    })
}

const NO_KEY: &str = "it is no private key of the algorithm's type";

fn der_pair(algorithm: SigningAlgorithm, form: Form, der: &[u8]) -> Result<Pair, &'static str> {
    if rsa_padding(algorithm).is_some() {
        let pair = match form {
            Form::Pkcs8 => rsa::KeyPair::from_pkcs8(der),
            Form::Pkcs1 => rsa::KeyPair::from_der(der),
            Form::Sec1 => return Err(NO_KEY),
        };
        return pair.map(Pair::Rsa).map_err(|rejected| {
            // All that aws-lc-rs says of the reason.
            match rejected.to_string().as_str() {
                "TooSmall" => "it is an RSA key of less than 2048 bits",
                "TooLarge" => "it is an RSA key of more than 8192 bits",
                _ => NO_KEY,
            }
        });
    }
    match (curve(algorithm), algorithm, form) {
        (Some(curve), _, Form::Pkcs8 | Form::Sec1) => {
            EcdsaKeyPair::from_private_key_der(curve.signing, der)
                .map(Pair::Ecdsa)
                .map_err(|_| NO_KEY)
        }
        (None, SigningAlgorithm::EdDsa, Form::Pkcs8) => Ed25519KeyPair::from_pkcs8(der)
            .map(Pair::Ed25519)
            .map_err(|_| NO_KEY),
        (None, algorithm, _) if algorithm.is_symmetric() => {
            Err("an algorithm under the client secret has no private key")
        }
        _ => Err(NO_KEY),
    }
}

/// Some write base64url with padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn jwk_pair<'a>(
    algorithm: SigningAlgorithm,
    text: &impl Fn(&str) -> Option<&'a str>,
) -> Result<Pair, &'static str> {
    let number = |name: &str| -> Result<Zeroizing<Vec<u8>>, &'static str> {
        let encoded = text(name).ok_or("a member of its private part is missing")?;
        let decoded = BASE64.decode(encoded);
        decoded
            .map(Zeroizing::new)
            .map_err(|_| "a member is not base64url")
    };
    if rsa_padding(algorithm).is_some() {
        // RSAPrivateKey (RFC 8017 appendix A.1.2): the members of RFC 7518 section 6.3 in its order.
        let mut body = Zeroizing::new(vec![2, 1, 0]);
        for name in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
            der_integer(&mut body, &number(name)?);
        }
        let mut der = Zeroizing::new(vec![0x30]);
        der_length(&mut der, body.len());
        der.extend_from_slice(&body);
        return der_pair(algorithm, Form::Pkcs1, &der);
    }
    if let Some(curve) = curve(algorithm) {
        let (x, y, d) = (number("x")?, number("y")?, number("d")?);
        let mut point = vec![4];
        for coordinate in [&x, &y] {
            point.extend_from_slice(&padded(coordinate, curve.size)?);
        }
        return EcdsaKeyPair::from_private_key_and_public_key(
            curve.signing,
            &padded(&d, curve.size)?,
            &point,
        )
        .map(Pair::Ecdsa)
        .map_err(|_| "its private part is not that of its public part");
    }
    Ed25519KeyPair::from_seed_and_public_key(&number("d")?, &number("x")?)
        .map(Pair::Ed25519)
        .map_err(|_| "its private part is not that of its public part")
}

/// A number with the zeros in front that some leave out.
fn padded(number: &[u8], size: usize) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let missing = size
        .checked_sub(number.len())
        .ok_or("a member is too long")?;
    let mut padded = Zeroizing::new(vec![0; missing]);
    padded.extend_from_slice(number);
    Ok(padded)
}

fn der_integer(der: &mut Vec<u8>, number: &[u8]) {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = &number[zeros..];
    // A first bit would make it negative.
    let sign = number.first().is_none_or(|first| *first >= 0x80);
    der.push(2);
    der_length(der, number.len() + usize::from(sign));
    if sign {
        der.push(0);
    }
    der.extend_from_slice(number);
}

fn der_length(der: &mut Vec<u8>, length: usize) {
    let bytes = length.to_be_bytes();
    let significant = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    match significant {
        [] => der.push(0),
        [short @ 0..0x80] => der.push(*short),
        long => {
            // A usize has at most 8 bytes.
            #[expect(clippy::cast_possible_truncation, reason = "at most 8")]
            der.push(0x80 | long.len() as u8);
            der.extend_from_slice(long);
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .field("certificate_thumbprint", &self.certificate_thumbprint)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Signer for SigningKey {
    fn algorithm(&self) -> &str {
        self.algorithm.as_str()
    }

    fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    fn certificate_thumbprint(&self) -> Option<&str> {
        self.certificate_thumbprint.as_deref()
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let failed = |_| {
            Error::new(
                ErrorCode::Internal,
                Phase::TokenRequest,
                "the private key does not sign",
            )
        };
        let random = SystemRandom::new();
        match (&self.pair, rsa_padding(self.algorithm)) {
            (Pair::Rsa(pair), Some(padding)) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            (Pair::Rsa(_), None) => Err(failed(aws_lc_rs::error::Unspecified)),
            (Pair::Ecdsa(pair), _) => {
                let signature = pair.sign(&random, message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            (Pair::Ed25519(pair), _) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

#[cfg(test)]
mod tests;
