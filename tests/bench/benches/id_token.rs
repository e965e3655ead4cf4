//! Full validation of an ID token against nothing but the signature, and against openidconnect.
//!
//! Run with `cargo bench -p tokenkeep-bench --bench id_token`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench that cannot go on stops"
)]

use std::{hint::black_box, process::ExitCode, str::FromStr, sync::Arc, time::SystemTime};

use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, ParsedPublicKey, RsaKeyPair,
        RsaSignatureEncoding, VerificationAlgorithm,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use openidconnect::{
    ClientId, EmptyAdditionalClaims, IdToken, IdTokenVerifier, IssuerUrl, JsonWebKey,
    JsonWebKeyAlgorithm, JsonWebKeyId, JsonWebKeySet, Nonce, SignatureVerificationError,
    core::{
        CoreGenderClaim, CoreJsonWebKey, CoreJsonWebKeyType, CoreJsonWebKeyUse,
        CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
    },
};
use serde_json::{Value, json};
use tokenkeep_bench::{Candidate, compare};
use tokenkeep_core::{IdTokenChecks, IdTokenValidator};

const ISSUER: &str = "https://accounts.example";
const CLIENT_ID: &str = "1234567890-abcdefghijklmnopqrstuvwxyz012345.apps.example";
const KID: &str = "b2620d5e7f132b52afe8875cdf3776c064249d04";
const NONCE: &str = "Zk3xq0pH1oYq8gVtW2m9Ew4r5T6y7U8i";
const ACCESS_TOKEN: &str = "ya29.a0AfB_byDxyzABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// One algorithm: a token, its JWK Set, and the same signature for the bare library.
struct Case {
    token: String,
    jwks: Vec<u8>,
    key: ParsedPublicKey,
    signature: Vec<u8>,
}

impl Case {
    fn new(
        algorithm: &str,
        hash: &'static digest::Algorithm,
        jwk: Value,
        verification: &'static dyn VerificationAlgorithm,
        public: &[u8],
        sign: impl Fn(&[u8]) -> Vec<u8>,
    ) -> Self {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let full = digest::digest(hash, ACCESS_TOKEN.as_bytes());
        let claims = json!({
            "iss": ISSUER, "azp": CLIENT_ID, "aud": CLIENT_ID, "sub": "110169484474386276334",
            "hd": "mail.example", "email": "jane.doe@mail.example", "email_verified": true,
            "at_hash": encode(&full.as_ref()[..full.as_ref().len() / 2]), "nonce": NONCE,
            "name": "Jane Doe", "picture": "https://lh3.pictures.example/a/AAcHTtdzxyzabc=s96-c",
            "given_name": "Jane", "family_name": "Doe", "locale": "en", "iat": now, "exp": now + 3600,
        });
        let header = json!({"alg": algorithm, "kid": KID, "typ": "JWT"});
        let signed = format!(
            "{}.{}",
            encode(header.to_string().as_bytes()),
            encode(claims.to_string().as_bytes())
        );
        let signature = sign(signed.as_bytes());
        // Providers publish a few keys; the one that is needed is seldom the first.
        let mut jwk = jwk;
        jwk["kid"] = header["kid"].clone();
        jwk["alg"] = algorithm.into();
        jwk["use"] = "sig".into();
        let mut other = jwk.clone();
        other["kid"] = "another".into();
        Self {
            token: format!("{signed}.{}", encode(&signature)),
            jwks: json!({"keys": [other, jwk]}).to_string().into_bytes(),
            key: ParsedPublicKey::new(verification, public).unwrap(),
            signature,
        }
    }

    fn verify(&self) {
        let signed = &self.token.as_bytes()[..self.token.rfind('.').unwrap()];
        self.key
            .verify_sig(black_box(signed), black_box(&self.signature))
            .unwrap();
    }

    fn validator(&self) -> IdTokenValidator {
        IdTokenValidator::new(ISSUER, CLIENT_ID, &self.jwks).unwrap()
    }
}

fn validate(validator: &IdTokenValidator, token: &str) {
    let checks = IdTokenChecks::new().nonce(NONCE).access_token(ACCESS_TOKEN);
    black_box(validator.validate(black_box(token), &checks).unwrap());
}

fn main() -> ExitCode {
    let random = SystemRandom::new();
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let rsa_public = rsa.public_key().as_ref().to_vec();
    // RSAPublicKey: two integers after a header of four bytes each.
    let modulus = rsa_public[9..9 + rsa.public_modulus_len()].to_vec();
    let rsa_jwk = json!({"kty": "RSA", "n": encode(&modulus), "e": "AQAB"});
    let sign_rsa = |encoding: &'static RsaSignatureEncoding| {
        let (rsa, random) = (&rsa, &random);
        move |message: &[u8]| {
            let mut signature = vec![0; rsa.public_modulus_len()];
            rsa.sign(encoding, random, message, &mut signature).unwrap();
            signature
        }
    };
    let ec = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = ec.public_key().as_ref().to_vec();
    let ed = Ed25519KeyPair::generate().unwrap();
    let ed_public = ed.public_key().as_ref().to_vec();

    let rs256 = Case::new(
        "RS256",
        &digest::SHA256,
        rsa_jwk.clone(),
        &signature::RSA_PKCS1_2048_8192_SHA256,
        &rsa_public,
        sign_rsa(&signature::RSA_PKCS1_SHA256),
    );
    let ps256 = Case::new(
        "PS256",
        &digest::SHA256,
        rsa_jwk,
        &signature::RSA_PSS_2048_8192_SHA256,
        &rsa_public,
        sign_rsa(&signature::RSA_PSS_SHA256),
    );
    let es256 = Case::new(
        "ES256",
        &digest::SHA256,
        json!({"kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..])}),
        &signature::ECDSA_P256_SHA256_FIXED,
        &point,
        |message| ec.sign(&random, message).unwrap().as_ref().to_vec(),
    );
    let eddsa = Case::new(
        "EdDSA",
        &digest::SHA512,
        json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&ed_public)}),
        &signature::ED25519,
        &ed_public,
        |message| ed.sign(message).as_ref().to_vec(),
    );

    let mut all_kept = true;
    let validator = rs256.validator();
    let own_key = CoreJsonWebKey::new_rsa(
        modulus,
        vec![1, 0, 1],
        Some(JsonWebKeyId::new(KID.to_owned())),
    );
    let own = openidconnect_verifier(own_key);
    let parsed = openidconnect_verifier(ParsedKey(
        Arc::new(rs256.key.clone()),
        JsonWebKeyId::new(KID.to_owned()),
    ));
    all_kept &= compare(
        "RS256, 2048 bits",
        vec![
            Candidate::new("the signature alone", || rs256.verify()),
            Candidate::new("full validation", || validate(&validator, &rs256.token))
                .at_most(1.20, 0)
                .at_most(1.0 / 6.0, 3),
            Candidate::new("openidconnect, a key parsed once", || {
                openidconnect(&parsed, &rs256.token)
            }),
            Candidate::new("openidconnect", || openidconnect(&own, &rs256.token)),
        ],
    );
    for (title, case, limit) in [
        ("PS256, 2048 bits", &ps256, 1.25),
        ("ES256", &es256, 1.10),
        ("EdDSA", &eddsa, 1.10),
    ] {
        let validator = case.validator();
        all_kept &= compare(
            title,
            vec![
                Candidate::new("the signature alone", || case.verify()),
                Candidate::new("full validation", || validate(&validator, &case.token))
                    .at_most(limit, 0),
            ],
        );
    }
    if all_kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn openidconnect_verifier<K: JsonWebKey<SigningAlgorithm = CoreJwsSigningAlgorithm>>(
    key: K,
) -> IdTokenVerifier<'static, K> {
    IdTokenVerifier::new_public_client(
        ClientId::new(CLIENT_ID.to_owned()),
        IssuerUrl::new(ISSUER.to_owned()).unwrap(),
        JsonWebKeySet::new(vec![key]),
    )
}

fn openidconnect<K: JsonWebKey<SigningAlgorithm = CoreJwsSigningAlgorithm>>(
    verifier: &IdTokenVerifier<'_, K>,
    token: &str,
) {
    type Token = IdToken<
        EmptyAdditionalClaims,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm,
    >;
    let token = Token::from_str(black_box(token)).unwrap();
    black_box(
        token
            .into_claims(verifier, &Nonce::new(NONCE.to_owned()))
            .unwrap(),
    );
}

/// A key parsed once for openidconnect's verifier, as bare as it can be.
#[derive(Clone, Debug)]
struct ParsedKey(Arc<ParsedPublicKey>, JsonWebKeyId);

impl JsonWebKey for ParsedKey {
    type KeyUse = CoreJsonWebKeyUse;
    type SigningAlgorithm = CoreJwsSigningAlgorithm;

    fn key_id(&self) -> Option<&JsonWebKeyId> {
        Some(&self.1)
    }
    fn key_type(&self) -> &CoreJsonWebKeyType {
        &CoreJsonWebKeyType::RSA
    }
    fn key_use(&self) -> Option<&CoreJsonWebKeyUse> {
        None
    }
    fn signing_alg(&self) -> JsonWebKeyAlgorithm<&CoreJwsSigningAlgorithm> {
        JsonWebKeyAlgorithm::Unspecified
    }
    fn new_symmetric(_: Vec<u8>) -> Self {
        panic!("there is no client secret here")
    }
    fn verify_signature(
        &self,
        _: &CoreJwsSigningAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureVerificationError> {
        self.0
            .verify_sig(message, signature)
            .map_err(|_| SignatureVerificationError::CryptoError("bad signature".into()))
    }
    fn hash_bytes(&self, _: &[u8], _: &CoreJwsSigningAlgorithm) -> Result<Vec<u8>, String> {
        Err("no hash is asked for here".into())
    }
}

impl<'de> serde::Deserialize<'de> for ParsedKey {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("not read here"))
    }
}

impl serde::Serialize for ParsedKey {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not written here"))
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
