//! One key: read, checked and parsed once.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use aws_lc_rs::{
    hmac,
    signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents},
};
use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use openidconnect::{
    JsonWebKeyId,
    core::{CoreJsonWebKeyType, CoreJsonWebKeyUse, CoreJwsSigningAlgorithm},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{
    error::excerpt,
    openid::{SigningAlgorithm, json},
};

/// One public key, parsed; or the client secret as a symmetric key.
#[derive(Clone)]
pub(crate) struct Jwk(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) kid: Option<JsonWebKeyId>,
    /// Whose tokens it signs, where a set holds keys of several issuers (Microsoft).
    pub(super) issuer: Option<String>,
    pub(super) key_use: Option<CoreJsonWebKeyUse>,
    pub(super) algorithm: Option<SigningAlgorithm>,
    pub(super) core_algorithm: Option<CoreJwsSigningAlgorithm>,
    pub(super) key_type: CoreJsonWebKeyType,
    pub(super) material: Material,
}

#[expect(clippy::large_enum_variant, reason = "each stands alone behind an Arc")]
pub(super) enum Material {
    /// A parsed key is bound to one algorithm, and an RSA key may serve six: each is parsed when it is needed first.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
        parsed: [OnceLock<Option<ParsedPublicKey>>; 6],
    },
    Ec {
        curve: Curve,
        key: ParsedPublicKey,
    },
    Ed25519(ParsedPublicKey),
    Secret(Zeroizing<Vec<u8>>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
    Secp256k1,
}

impl Curve {
    const ALL: [Self; 4] = [Self::P256, Self::P384, Self::P521, Self::Secp256k1];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Secp256k1 => "secp256k1",
        }
    }

    fn algorithm(self) -> SigningAlgorithm {
        match self {
            Self::P256 => SigningAlgorithm::Es256,
            Self::P384 => SigningAlgorithm::Es384,
            Self::P521 => SigningAlgorithm::Es512,
            Self::Secp256k1 => SigningAlgorithm::Es256k,
        }
    }

    fn verification(self) -> &'static signature::EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &signature::ECDSA_P256_SHA256_FIXED,
            Self::P384 => &signature::ECDSA_P384_SHA384_FIXED,
            Self::P521 => &signature::ECDSA_P521_SHA512_FIXED,
            Self::Secp256k1 => &signature::ECDSA_P256K1_SHA256_FIXED,
        }
    }

    /// Bytes of a coordinate.
    pub(super) fn size(self) -> usize {
        match self {
            Self::P256 | Self::Secp256k1 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// The members of a JWK that are read (RFC 7517 section 4, RFC 7518 section 6). A doubled one is refused.
#[derive(Deserialize)]
struct Members {
    kty: String,
    kid: Option<String>,
    issuer: Option<json::Lenient<String>>,
    #[serde(rename = "use")]
    key_use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<serde::de::IgnoredAny>,
}

/// Some providers pad, against RFC 7515 section 2; nothing is lost by reading it.
pub(super) const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Jwk {
    /// Reads one key, or says why it cannot be used.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if !json::has_each_member_once(text) {
            return Err("it is not an object, or a member occurs twice".into());
        }
        let members: Members =
            serde_json::from_str(text).map_err(|_| "a member is missing or of a wrong type")?;
        if members.d.is_some() {
            return Err("its private part is published, so anybody can sign with it".into());
        }
        if let Some(other) = members
            .key_use
            .as_deref()
            .filter(|key_use| *key_use != "sig")
        {
            return Err(format!("it is for use {:?}", excerpt(other)));
        }
        if members
            .key_ops
            .is_some_and(|ops| !ops.iter().any(|op| op == "verify"))
        {
            return Err("its key_ops do not name verify".into());
        }
        let algorithm = match members.alg.as_deref() {
            Some(name) => Some(
                SigningAlgorithm::from_name(name)
                    .ok_or_else(|| format!("it is for algorithm {:?}", excerpt(name)))?,
            ),
            None => None,
        };
        let bytes = |member: Option<String>, name: &str| {
            let text = member.ok_or_else(|| format!("it has no {name}"))?;
            LENIENT
                .decode(text)
                .map_err(|_| format!("its {name} is not base64url"))
        };
        let (key_type, material) = match (members.kty.as_str(), members.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (bytes(members.n, "n")?, bytes(members.e, "e")?);
                (CoreJsonWebKeyType::RSA, Material::rsa(n, e)?)
            }
            ("EC", Some(crv)) => {
                let curve = Curve::ALL
                    .into_iter()
                    .find(|curve| curve.name() == crv)
                    .ok_or_else(|| format!("its curve {:?} is not supported", excerpt(crv)))?;
                let (x, y) = (bytes(members.x, "x")?, bytes(members.y, "y")?);
                (
                    CoreJsonWebKeyType::EllipticCurve,
                    Material::ec(curve, &x, &y)?,
                )
            }
            ("OKP", Some("Ed25519")) => {
                let key = ParsedPublicKey::new(&signature::ED25519, bytes(members.x, "x")?)
                    .map_err(|_| "it is not a point of Ed25519")?;
                (CoreJsonWebKeyType::OctetKeyPair, Material::Ed25519(key))
            }
            ("oct", _) => return Err("a symmetric key is not for publication".into()),
            (kty, crv) => {
                return Err(format!(
                    "its type {:?} {:?} is not supported",
                    excerpt(kty),
                    excerpt(crv.unwrap_or_default())
                ));
            }
        };
        let key = Self::new(
            (members.kid, members.issuer.and_then(|issuer| issuer.0)),
            members.key_use.is_some(),
            algorithm,
            key_type,
            material,
        );
        if algorithm.is_some_and(|algorithm| !key.fits(algorithm)) {
            return Err("its alg does not fit its type".into());
        }
        Ok(key)
    }

    fn new(
        (kid, issuer): (Option<String>, Option<String>),
        for_signatures: bool,
        algorithm: Option<SigningAlgorithm>,
        key_type: CoreJsonWebKeyType,
        material: Material,
    ) -> Self {
        Self(Arc::new(Inner {
            kid: kid.map(JsonWebKeyId::new),
            issuer,
            key_use: for_signatures.then_some(CoreJsonWebKeyUse::Signature),
            algorithm,
            core_algorithm: algorithm.and_then(SigningAlgorithm::to_core),
            key_type,
            material,
        }))
    }

    /// The client secret as a key (OpenID Connect Core section 10.1).
    pub(crate) fn secret(secret: &[u8]) -> Self {
        let material = Material::Secret(Zeroizing::new(secret.to_vec()));
        let unnamed = (None, None);
        Self::new(
            unnamed,
            false,
            None,
            CoreJsonWebKeyType::Symmetric,
            material,
        )
    }

    /// Its name within the set.
    pub(super) fn kid(&self) -> Option<&str> {
        self.0.kid.as_deref().map(String::as_str)
    }

    /// The issuer that it is published for, if it is for one.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.0.issuer.as_deref()
    }

    /// May it verify signatures of this algorithm?
    pub(crate) fn fits(&self, algorithm: SigningAlgorithm) -> bool {
        use SigningAlgorithm as A;
        let type_fits = match &self.0.material {
            Material::Rsa { .. } => matches!(
                algorithm,
                A::Rs256 | A::Rs384 | A::Rs512 | A::Ps256 | A::Ps384 | A::Ps512
            ),
            Material::Ec { curve, .. } => curve.algorithm() == algorithm,
            Material::Ed25519(_) => algorithm == A::EdDsa,
            Material::Secret(_) => algorithm.is_symmetric(),
        };
        type_fits && self.0.algorithm.is_none_or(|named| named == algorithm)
    }

    /// Is the signature by this key? A key that does not fit the algorithm verifies nothing.
    pub(crate) fn verify(
        &self,
        algorithm: SigningAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        let key = match &self.0.material {
            Material::Rsa { n, e, parsed } => {
                let Some((slot, parameters)) = rsa_parameters(algorithm) else {
                    return false;
                };
                let parse = || {
                    RsaPublicKeyComponents { n, e }
                        .to_parsed_public_key(parameters)
                        .ok()
                };
                parsed
                    .get(slot)
                    .and_then(|cell| cell.get_or_init(parse).as_ref())
            }
            Material::Ec { key, .. } | Material::Ed25519(key) => Some(key),
            Material::Secret(secret) => {
                let hash = match algorithm {
                    SigningAlgorithm::Hs384 => hmac::HMAC_SHA384,
                    SigningAlgorithm::Hs512 => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                return hmac::verify(&hmac::Key::new(hash, secret), message, signature).is_ok();
            }
        };
        key.is_some_and(|key| key.verify_sig(message, signature).is_ok())
    }
}

/// The place of a parsed RSA key, and how it verifies.
fn rsa_parameters(algorithm: SigningAlgorithm) -> Option<(usize, &'static RsaParameters)> {
    Some(match algorithm {
        SigningAlgorithm::Rs256 => (0, &signature::RSA_PKCS1_2048_8192_SHA256),
        SigningAlgorithm::Rs384 => (1, &signature::RSA_PKCS1_2048_8192_SHA384),
        SigningAlgorithm::Rs512 => (2, &signature::RSA_PKCS1_2048_8192_SHA512),
        SigningAlgorithm::Ps256 => (3, &signature::RSA_PSS_2048_8192_SHA256),
        SigningAlgorithm::Ps384 => (4, &signature::RSA_PSS_2048_8192_SHA384),
        SigningAlgorithm::Ps512 => (5, &signature::RSA_PSS_2048_8192_SHA512),
        _ => return None,
    })
}

impl Material {
    fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Self, String> {
        let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
        let bits = n
            .first()
            .map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        if !(2048..=8192).contains(&bits) {
            return Err(format!(
                "it is an RSA key of {bits} bits, outside 2048 to 8192"
            ));
        }
        // 1 would make every signature valid.
        if e.len() > 4 || e == [1] || e.last().is_none_or(|last| last % 2 == 0) {
            return Err("its RSA exponent is even, 1, or longer than 32 bits".into());
        }
        RsaPublicKeyComponents { n: &n, e: &e }
            .to_parsed_public_key(&signature::RSA_PKCS1_2048_8192_SHA256)
            .map_err(|_| "it is not an RSA key")?;
        Ok(Self::Rsa {
            n,
            e,
            parsed: Default::default(),
        })
    }

    fn ec(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, String> {
        let size = curve.size();
        if x.len() > size || y.len() > size {
            return Err("a coordinate is too long".into());
        }
        // SEC 1 section 2.3.3, uncompressed. Some providers drop leading zeros.
        let mut point = vec![0; 1 + 2 * size];
        point[0] = 4;
        point[1 + size - x.len()..=size].copy_from_slice(x);
        point[1 + 2 * size - y.len()..].copy_from_slice(y);
        let key = ParsedPublicKey::new(curve.verification(), point)
            .map_err(|_| format!("it is not a point of {}", curve.name()))?;
        Ok(Self::Ec { curve, key })
    }
}

fn without_leading_zeros(mut bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    bytes
}

impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwk")
            .field("kid", &self.0.kid.as_deref())
            .field("kty", &self.0.key_type)
            .field("alg", &self.0.algorithm)
            .finish_non_exhaustive()
    }
}
