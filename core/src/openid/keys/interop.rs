//! [`Jwk`] as openidconnect's key type, so that its verifiers can be used with keys parsed once.

use base64::Engine;
use openidconnect::{
    JsonWebKey, JsonWebKeyAlgorithm, JsonWebKeyId, SignatureVerificationError,
    core::{CoreJsonWebKeyType, CoreJsonWebKeyUse, CoreJwsSigningAlgorithm},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeMap};

use super::jwk::{Jwk, LENIENT, Material};
use crate::openid::SigningAlgorithm;

/// Lets openidconnect's own verifiers use these keys. Its algorithms lack ES256K, so such a key is of no use there.
impl JsonWebKey for Jwk {
    type KeyUse = CoreJsonWebKeyUse;
    type SigningAlgorithm = CoreJwsSigningAlgorithm;

    fn key_id(&self) -> Option<&JsonWebKeyId> {
        self.0.kid.as_ref()
    }

    fn key_type(&self) -> &CoreJsonWebKeyType {
        &self.0.key_type
    }

    fn key_use(&self) -> Option<&CoreJsonWebKeyUse> {
        self.0.key_use.as_ref()
    }

    fn signing_alg(&self) -> JsonWebKeyAlgorithm<&CoreJwsSigningAlgorithm> {
        match (&self.0.core_algorithm, self.0.algorithm) {
            (Some(algorithm), _) => JsonWebKeyAlgorithm::Algorithm(algorithm),
            (None, Some(_)) => JsonWebKeyAlgorithm::Unsupported,
            (None, None) => JsonWebKeyAlgorithm::Unspecified,
        }
    }

    fn new_symmetric(key: Vec<u8>) -> Self {
        Self::secret(&key)
    }

    fn verify_signature(
        &self,
        algorithm: &CoreJwsSigningAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureVerificationError> {
        let algorithm = SigningAlgorithm::from_core(algorithm)
            .ok_or_else(|| SignatureVerificationError::UnsupportedAlg("none".into()))?;
        if !self.fits(algorithm) {
            return Err(SignatureVerificationError::InvalidKey(
                "the key does not fit the algorithm".into(),
            ));
        }
        if self.verify(algorithm, message, signature) {
            Ok(())
        } else {
            Err(SignatureVerificationError::CryptoError(
                "bad signature".into(),
            ))
        }
    }

    fn hash_bytes(
        &self,
        bytes: &[u8],
        algorithm: &CoreJwsSigningAlgorithm,
    ) -> Result<Vec<u8>, String> {
        let algorithm = SigningAlgorithm::from_core(algorithm)
            .filter(|algorithm| self.fits(*algorithm))
            .ok_or("the key does not fit the algorithm")?;
        Ok(aws_lc_rs::digest::digest(algorithm.digest(), bytes)
            .as_ref()
            .to_vec())
    }
}

impl<'de> Deserialize<'de> for Jwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not the raw text: openidconnect reads keys through a buffer that has none.
        let value = serde_json::Value::deserialize(deserializer)?;
        Self::parse(&value.to_string()).map_err(D::Error::custom)
    }
}

/// The public part; a client secret has none.
impl Serialize for Jwk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let encode = |bytes: &[u8]| LENIENT.encode(bytes);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kty", &self.0.key_type)?;
        if let Some(kid) = &self.0.kid {
            map.serialize_entry("kid", kid)?;
        }
        if self.0.key_use.is_some() {
            map.serialize_entry("use", "sig")?;
        }
        if let Some(algorithm) = self.0.algorithm {
            map.serialize_entry("alg", algorithm.as_str())?;
        }
        match &self.0.material {
            Material::Rsa { n, e, .. } => {
                map.serialize_entry("n", &encode(n))?;
                map.serialize_entry("e", &encode(e))?;
            }
            Material::Ec { curve, key } => {
                map.serialize_entry("crv", curve.name())?;
                let coordinates = key.as_ref().get(1..).unwrap_or_default();
                let (x, y) = coordinates.split_at(coordinates.len().min(curve.size()));
                map.serialize_entry("x", &encode(x))?;
                map.serialize_entry("y", &encode(y))?;
            }
            Material::Ed25519(key) => {
                map.serialize_entry("crv", "Ed25519")?;
                map.serialize_entry("x", &encode(key.as_ref()))?;
            }
            Material::Secret(_) => {}
        }
        map.end()
    }
}
