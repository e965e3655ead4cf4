use aws_lc_rs::{
    encoding::{AsBigEndian, AsDer, EcPrivateKeyRfc5915Der, Pkcs8V1Der},
    rsa::KeySize,
    signature::{KeyPair, RsaKeyPair},
};
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::*;
use crate::openid::KeySet;

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}

/// The contents of the first DER element, and what comes behind it.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let long = usize::from(der[1] & 0x7f) * usize::from(der[1] >> 7);
    let length = match long {
        0 => usize::from(der[1]),
        _ => der[2..2 + long]
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte)),
    };
    der[2 + long..].split_at(length)
}

fn rsa_pkcs8() -> Vec<u8> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    der.as_ref().to_vec()
}

/// The PKCS#1 form that stands within a PKCS#8 one.
fn pkcs1(pkcs8: &[u8]) -> Vec<u8> {
    let (sequence, _) = element(pkcs8);
    let (_version, rest) = element(sequence);
    let (_algorithm, rest) = element(rest);
    element(rest).0.to_vec()
}

/// The members of an RSA key as a JWK, the public ones alone or all.
fn rsa_jwk(pkcs1: &[u8], private: bool) -> Value {
    let mut rest = element(pkcs1).0;
    rest = element(rest).1;
    let mut jwk = json!({"kty": "RSA"});
    for name in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
        let (number, behind) = element(rest);
        rest = behind;
        if private || matches!(name, "n" | "e") {
            let number = number.strip_prefix(&[0]).unwrap_or(number);
            jwk[name] = URL_SAFE_NO_PAD.encode(number).into();
        }
    }
    jwk
}

fn ec_jwk(pair: &EcdsaKeyPair, algorithm: SigningAlgorithm) -> Value {
    let curve = curve(algorithm).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(curve.size);
    let encode = |bytes| URL_SAFE_NO_PAD.encode::<&[u8]>(bytes);
    json!({"kty": "EC", "crv": curve.name, "x": encode(x), "y": encode(y)})
}

async fn verifies(key: &SigningKey, public: &Value) {
    let (keys, left_out) = KeySet::parse(json!({"keys": [public]}).to_string().as_bytes()).unwrap();
    assert!(left_out.is_empty(), "{left_out:?}");
    let signature = key.sign(b"message").await.unwrap();
    let algorithm = SigningAlgorithm::from_name(key.algorithm()).unwrap();
    keys.verify(None, algorithm, b"message", &signature)
        .unwrap();
    keys.verify(None, algorithm, b"another", &signature)
        .unwrap_err();
}

fn refused(key: Result<SigningKey>) -> String {
    let error = key.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
    error.message().to_owned()
}

#[tokio::test]
async fn an_rsa_key_signs_by_six_algorithms_however_it_is_written() {
    let pkcs8 = rsa_pkcs8();
    let pkcs1 = pkcs1(&pkcs8);
    let public = rsa_jwk(&pkcs1, false);
    let private = rsa_jwk(&pkcs1, true);
    use SigningAlgorithm as A;
    for algorithm in [A::Rs256, A::Rs384, A::Rs512, A::Ps256, A::Ps384, A::Ps512] {
        for key in [
            SigningKey::from_pem(algorithm, pem("PRIVATE KEY", &pkcs8)),
            SigningKey::from_pem(algorithm, pem("RSA PRIVATE KEY", &pkcs1)),
            SigningKey::from_jwk(algorithm, &private),
        ] {
            let key = key.unwrap();
            assert_eq!(key.algorithm(), algorithm.as_str());
            verifies(&key, &public).await;
        }
    }
}

#[tokio::test]
async fn an_ec_key_signs_by_its_curve_s_algorithm_however_it_is_written() {
    use SigningAlgorithm as A;
    for algorithm in [A::Es256, A::Es384, A::Es512, A::Es256k] {
        let pair = EcdsaKeyPair::generate(curve(algorithm).unwrap().signing).unwrap();
        let public = ec_jwk(&pair, algorithm);
        let pkcs8 = pair.to_pkcs8v1().unwrap();
        let scalar = pair.private_key();
        let sec1: EcPrivateKeyRfc5915Der<'_> = scalar.as_der().unwrap();
        let scalar: aws_lc_rs::encoding::EcPrivateKeyBin<'_> = scalar.as_be_bytes().unwrap();
        let mut private = public.clone();
        private["d"] = URL_SAFE_NO_PAD.encode(scalar.as_ref()).into();
        // As `openssl ecparam -genkey` writes it.
        let parameters = pem("EC PARAMETERS", &[6, 1, 0]);
        for key in [
            SigningKey::from_pem(algorithm, pem("PRIVATE KEY", pkcs8.as_ref())),
            SigningKey::from_pem(
                algorithm,
                parameters + &pem("EC PRIVATE KEY", sec1.as_ref()),
            ),
            SigningKey::from_jwk(algorithm, &private),
        ] {
            verifies(&key.unwrap(), &public).await;
        }
        let other = EcdsaKeyPair::generate(curve(algorithm).unwrap().signing).unwrap();
        let mut mixed = ec_jwk(&other, algorithm);
        mixed["d"] = private["d"].clone();
        refused(SigningKey::from_jwk(algorithm, &mixed));
    }
}

/// RFC 8037 appendix A.
#[tokio::test]
async fn an_ed25519_key_signs_as_the_specification_shows() {
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "from the key",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----";
    let from_jwk = SigningKey::from_jwk(SigningAlgorithm::EdDsa, &jwk).unwrap();
    let from_pem = SigningKey::from_pem(SigningAlgorithm::EdDsa, pem).unwrap();
    let escaped = SigningKey::from_pem(SigningAlgorithm::EdDsa, pem.replace('\n', "\\n")).unwrap();
    let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    for key in [&from_jwk, &from_pem, &escaped] {
        let signature = key.sign(message).await.unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.encode(signature),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }
    assert_eq!(from_jwk.key_id(), Some("from the key"));
    assert_eq!(from_pem.key_id(), None, "none is made up");
    assert_eq!(from_pem.with_key_id("mine").key_id(), Some("mine"));
}

#[test]
fn a_key_that_cannot_sign_is_refused_with_its_reason_and_without_a_part_of_it() {
    use SigningAlgorithm as A;
    let rsa = pem("PRIVATE KEY", &rsa_pkcs8());
    let pair = EcdsaKeyPair::generate(curve(A::Es384).unwrap().signing).unwrap();
    let ec = pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref());
    let weak = include_str!("weak.pem");
    let encrypted = weak.replacen(
        '\n',
        "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n",
        1,
    );
    let cut = rsa.replace("-----END PRIVATE KEY-----", "");
    let long = "x".repeat(65 * 1024);
    for (algorithm, text, reason) in [
        (
            A::Es256,
            rsa.as_str(),
            "it is not for ES256, but an RSA key",
        ),
        (A::Rs256, &ec, "it is not for RS256, but an EC key on P-384"),
        (A::Es256, &ec, "it is not for ES256, but an EC key on P-384"),
        (A::EdDsa, &ec, "it is not for EdDSA, but an EC key on P-384"),
        (A::Hs256, &rsa, "it is not for HS256"),
        (A::Rs256, weak, "less than 2048 bits"),
        (A::Ps512, weak, "less than 2048 bits"),
        (A::Rs256, &encrypted, "it is encrypted"),
        (
            A::Rs256,
            &pem("ENCRYPTED PRIVATE KEY", b"sealed"),
            "it is encrypted",
        ),
        (A::Rs256, &pem("OPENSSH PRIVATE KEY", b"key"), "OpenSSH"),
        (
            A::Rs256,
            &pem("CERTIFICATE", b"certificate"),
            "it is a certificate",
        ),
        (A::Rs256, &pem("PUBLIC KEY", b"key"), "it is the public key"),
        (
            A::Rs256,
            &pem("PRIVATE KEY", b"something else"),
            "no private key of the algorithm's type",
        ),
        (
            A::Rs256,
            "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----",
            "not base64",
        ),
        (A::Rs256, &cut, "no PEM block"),
        (A::Rs256, "", "no PEM block"),
        (A::Rs256, &long, "longer than 64 KiB"),
    ] {
        let message = refused(SigningKey::from_pem(algorithm, text));
        assert!(message.contains(reason), "{reason}: {message}");
        let quoted = text
            .lines()
            .find(|line| line.len() > 8 && !line.starts_with("--") && message.contains(line));
        assert_eq!(quoted, None);
    }
}

#[test]
fn a_jwk_is_used_for_what_it_says_only() {
    use SigningAlgorithm as A;
    let pkcs1 = pkcs1(&rsa_pkcs8());
    let with = |name: &str, value: Value| {
        let mut jwk = rsa_jwk(&pkcs1, true);
        jwk[name] = value;
        jwk
    };
    for (algorithm, jwk, reason) in [
        (A::Rs256, rsa_jwk(&pkcs1, false), "private part is missing"),
        (A::Rs256, with("use", json!("enc")), "use"),
        (A::Rs256, with("key_ops", json!(["verify"])), "key_ops"),
        (A::Rs256, with("alg", json!("PS256")), "alg"),
        (A::Rs256, with("alg", json!("none")), "alg"),
        (A::Rs256, with("d", json!("!")), "base64url"),
        (A::Rs256, with("n", json!("AQAB")), "private key"),
        (A::Es256, rsa_jwk(&pkcs1, true), "not for ES256"),
        (A::Rs256, with("kty", json!("oct")), "no JWK"),
        (A::Rs256, json!([]), "no JWK"),
    ] {
        let message = refused(SigningKey::from_jwk(algorithm, &jwk));
        assert!(message.contains(reason), "{reason}: {message}");
    }
}

#[test]
fn without_an_algorithm_the_key_s_type_says_it() {
    use SigningAlgorithm as A;
    let rsa = rsa_pkcs8();
    let key = |algorithm, text: &str| {
        let key = SigningKey::from_text(algorithm, text).unwrap();
        key.algorithm().to_owned()
    };
    assert_eq!(key(None, &pem("PRIVATE KEY", &rsa)), "RS256");
    assert_eq!(key(Some(A::Ps256), &pem("PRIVATE KEY", &rsa)), "PS256");
    for algorithm in [A::Es256, A::Es384, A::Es512] {
        let pair = EcdsaKeyPair::generate(curve(algorithm).unwrap().signing).unwrap();
        let der = pair.to_pkcs8v1().unwrap();
        let text = pem("PRIVATE KEY", der.as_ref());
        assert_eq!(key(None, &text), algorithm.as_str());
    }
    let mut jwk = rsa_jwk(&pkcs1(&rsa), true);
    assert_eq!(key(None, &jwk.to_string()), "RS256");
    jwk["alg"] = "PS384".into();
    assert_eq!(key(None, &jwk.to_string()), "PS384");
    refused(SigningKey::from_text(Some(A::Rs256), &jwk.to_string()));
    refused(SigningKey::from_text(None, "{"));
}

#[test]
fn a_key_shows_nothing_of_itself() {
    let pkcs1 = pkcs1(&rsa_pkcs8());
    let jwk = rsa_jwk(&pkcs1, true);
    let key = SigningKey::from_jwk(SigningAlgorithm::Rs256, &jwk).unwrap();
    let shown = format!("{key:?}");
    assert_eq!(
        shown,
        "SigningKey { algorithm: Rs256, key_id: None, certificate_thumbprint: None, .. }"
    );
}
