use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use openidconnect::{
    ClientId, EmptyAdditionalClaims, IdToken, IdTokenVerifier, IssuerUrl, JsonWebKeySet, Nonce,
    core::{CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm},
};
use serde_json::{Value, json};

use super::*;
use crate::openid::fixtures::{
    CLIENT_ID, ISSUER, TestKey, claims, encode, jwks, key_set, other_rsa, rsa, with,
};

const MESSAGE: &[u8] = b"what was signed";

fn verifies(
    set: &KeySet,
    kid: Option<&str>,
    key: &TestKey,
    algorithm: SigningAlgorithm,
) -> Result<(), Mismatch> {
    set.verify(kid, algorithm, MESSAGE, &key.sign(algorithm, MESSAGE))
}

#[test]
fn unusable_keys_are_left_out_with_a_reason() {
    use SigningAlgorithm::*;
    let rsa_jwk = rsa().jwk();
    let ec = TestKey::ec("ec", Es256).jwk();
    let ed = TestKey::ed("ed").jwk();
    let short = encode(&[0xff; 255]);
    let with_e = |e: &[u8]| with(rsa_jwk.clone(), json!({"e": encode(e)}));
    let cases: Vec<(&str, Value)> = vec![
        (
            "\"ML-DSA-44\"",
            json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "x"}),
        ),
        ("not supported", json!({"kty": "AKP", "pub": "x"})),
        ("a member is missing", json!({"kid": "no type"})),
        (
            "a member is missing",
            with(rsa_jwk.clone(), json!({"kid": 7})),
        ),
        ("not an object", json!("a key")),
        (
            "for use \"enc\"",
            with(rsa_jwk.clone(), json!({"use": "enc"})),
        ),
        (
            "key_ops",
            with(rsa_jwk.clone(), json!({"key_ops": ["encrypt"]})),
        ),
        (
            "algorithm \"RSA-OAEP\"",
            with(rsa_jwk.clone(), json!({"alg": "RSA-OAEP"})),
        ),
        (
            "algorithm \"none\"",
            with(rsa_jwk.clone(), json!({"alg": "none"})),
        ),
        (
            "does not fit its type",
            with(rsa_jwk.clone(), json!({"alg": "ES256"})),
        ),
        (
            "does not fit its type",
            with(rsa_jwk.clone(), json!({"alg": "HS256"})),
        ),
        ("2040 bits", with(rsa_jwk.clone(), json!({"n": short}))),
        (
            "2047 bits",
            with(
                rsa_jwk.clone(),
                json!({"n": encode(&[&[0x7f][..], &[0xff; 255]].concat())}),
            ),
        ),
        ("0 bits", with(rsa_jwk.clone(), json!({"n": ""}))),
        (
            "8200 bits",
            with(rsa_jwk.clone(), json!({"n": encode(&[0xff; 1025])})),
        ),
        ("no n", with(rsa_jwk.clone(), json!({"n": null}))),
        ("not base64url", with(rsa_jwk.clone(), json!({"n": "??"}))),
        ("exponent", with_e(&[1])),
        ("exponent", with_e(&[2])),
        ("exponent", with_e(&[])),
        ("exponent", with_e(&[1, 0, 0, 0, 1])),
        ("private part", with(rsa_jwk.clone(), json!({"d": "AQAB"}))),
        ("not supported", with(ec.clone(), json!({"crv": "P-192"}))),
        ("not supported", with(ec.clone(), json!({"crv": null}))),
        (
            "not a point",
            with(ec.clone(), json!({"x": encode(&[1; 32])})),
        ),
        ("too long", with(ec.clone(), json!({"x": encode(&[1; 33])}))),
        ("no y", with(ec, json!({"y": null}))),
        ("not supported", with(ed.clone(), json!({"crv": "X25519"}))),
        ("not a point", with(ed, json!({"x": encode(&[1; 31])}))),
        ("symmetric", json!({"kty": "oct", "k": "c2VjcmV0"})),
    ];
    for (reason, jwk) in cases {
        let (set, warnings) = KeySet::parse(&jwks(&[jwk.clone(), other_rsa().jwk()])).unwrap();
        assert_eq!(set.len(), 1, "{jwk}");
        assert!(
            warnings.len() == 1 && warnings[0].contains(reason),
            "{reason}: {warnings:?}"
        );
        assert!(warnings[0].starts_with("key 1 "), "{warnings:?}");
    }
    let doubled = rsa_jwk.to_string().replacen('{', r#"{"x":1,"x":2,"#, 1);
    let (set, warnings) = KeySet::parse(format!(r#"{{"keys":[{doubled}]}}"#).as_bytes()).unwrap();
    assert_eq!((set.len(), warnings.len()), (0, 1));
}

#[test]
fn what_is_no_key_set_is_an_error() {
    for bytes in [
        "",
        "[]",
        "{}",
        r#"{"keys": {}}"#,
        r#"{"keys": null}"#,
        r#"{"keys":[],"keys":[]}"#,
        "<html>",
        "{\"keys\":[]",
    ] {
        let error = KeySet::parse(bytes.as_bytes()).unwrap_err();
        assert_eq!(
            (error.code(), error.phase()),
            (ErrorCode::InvalidMetadata, Phase::Keys),
            "{bytes}"
        );
    }
    assert_eq!(
        KeySet::parse(br#"{"keys":[], "other": 1}"#)
            .unwrap()
            .0
            .len(),
        0
    );
}

#[test]
fn a_key_is_used_only_for_what_it_names() {
    use SigningAlgorithm::*;
    let any = key_set(&[rsa().jwk()]);
    let only = key_set(&[with(
        rsa().jwk(),
        json!({"alg": "PS256", "use": "sig", "key_ops": ["verify", "wrapKey"]}),
    )]);
    for algorithm in [Rs256, Rs384, Rs512, Ps256, Ps384, Ps512] {
        assert_eq!(
            verifies(&any, Some("rsa"), rsa(), algorithm),
            Ok(()),
            "{algorithm}"
        );
        let expected = if algorithm == Ps256 {
            Ok(())
        } else {
            Err(Mismatch::NoKey)
        };
        assert_eq!(
            verifies(&only, Some("rsa"), rsa(), algorithm),
            expected,
            "{algorithm}"
        );
    }
    for algorithm in [Es256, EdDsa, Hs256] {
        assert_eq!(
            any.verify(None, algorithm, MESSAGE, &[0; 64]),
            Err(Mismatch::NoKey),
            "{algorithm}"
        );
    }
}

#[test]
fn keys_of_the_same_type_on_other_curves_are_apart() {
    use SigningAlgorithm::*;
    let keys =
        [Es256, Es384, Es512, Es256k].map(|algorithm| (algorithm, TestKey::ec("same", algorithm)));
    let set = key_set(&keys.each_ref().map(|(_, key)| key.jwk()));
    for (algorithm, key) in &keys {
        assert_eq!(
            verifies(&set, Some("same"), key, *algorithm),
            Ok(()),
            "{algorithm}"
        );
        assert_eq!(verifies(&set, None, key, *algorithm), Ok(()), "{algorithm}");
    }
}

/// The key set of the conformance suite: keys of all types and no `alg`, keys for encryption, a token without `kid`.
#[test]
fn without_a_kid_every_key_that_fits_is_tried() {
    use SigningAlgorithm::*;
    let ec = TestKey::ec("ec", Es256);
    let keys = [
        ec.bare_jwk(),
        with(other_rsa().bare_jwk(), json!({"use": "sig"})),
        with(rsa().bare_jwk(), json!({"use": "sig"})),
        TestKey::ed("ed").bare_jwk(),
    ];
    let set = key_set(&keys);
    assert_eq!(verifies(&set, None, rsa(), Rs256), Ok(()));
    assert_eq!(verifies(&set, None, &ec, Es256), Ok(()));
    assert_eq!(
        verifies(&set, None, &TestKey::ec("x", Es256), Es256),
        Err(Mismatch::Signature)
    );
    // A `kid` that nobody has may be one of tomorrow.
    assert_eq!(
        verifies(&set, Some("new"), rsa(), Rs256),
        Err(Mismatch::NoKey)
    );
}

#[test]
fn decoys_of_the_same_kid_do_not_disturb() {
    use SigningAlgorithm::*;
    let decoys = [
        json!({"kty": "RSA", "kid": "rsa"}),
        with(rsa().jwk(), json!({"use": "enc"})),
        with(other_rsa().jwk(), json!({"kid": "rsa"})),
        with(TestKey::ed("rsa").jwk(), json!({})),
        json!({"kty": "oct", "kid": "rsa", "k": "c2VjcmV0"}),
        rsa().jwk(),
        rsa().jwk(),
    ];
    let (set, warnings) = KeySet::parse(&jwks(&decoys)).unwrap();
    assert_eq!((set.len(), warnings.len()), (4, 3));
    assert_eq!(verifies(&set, Some("rsa"), rsa(), Rs256), Ok(()));
}

#[test]
fn sets_and_tries_are_bounded() {
    let ed = TestKey::ed("ed");
    let strangers: Vec<Value> = (0..1001).map(|_| TestKey::ed("other").bare_jwk()).collect();
    let (set, warnings) = KeySet::parse(&jwks(&strangers)).unwrap();
    assert_eq!((set.len(), warnings.len()), (1000, 1));

    let mut keys = strangers[..15].to_vec();
    keys.push(ed.bare_jwk());
    assert_eq!(
        verifies(&key_set(&keys), None, &ed, SigningAlgorithm::EdDsa),
        Ok(())
    );
    keys.insert(0, strangers[15].clone());
    assert_eq!(
        verifies(&key_set(&keys), None, &ed, SigningAlgorithm::EdDsa),
        Err(Mismatch::Signature)
    );

    // A name finds its key among a thousand.
    let mut keys = strangers[..999].to_vec();
    keys.push(ed.jwk());
    assert_eq!(
        verifies(&key_set(&keys), Some("ed"), &ed, SigningAlgorithm::EdDsa),
        Ok(())
    );
}

#[test]
fn spellings_that_providers_use_are_read() {
    let jwk = rsa().jwk();
    let n = jwk["n"].as_str().unwrap();
    let padded = with(jwk.clone(), json!({"n": format!("{n}==")}));
    let decoded = URL_SAFE_NO_PAD.decode(n).unwrap();
    let zero_before = with(
        jwk.clone(),
        json!({"n": encode(&[&[0][..], &decoded].concat()), "e": encode(&[0, 1, 0, 1])}),
    );
    for jwk in [padded, zero_before] {
        assert_eq!(
            verifies(
                &key_set(&[jwk]),
                Some("rsa"),
                rsa(),
                SigningAlgorithm::Rs256
            ),
            Ok(())
        );
    }
    let ed = TestKey::ed("ed");
    let set = key_set(&[with(ed.jwk(), json!({"alg": "Ed25519"}))]);
    assert_eq!(
        verifies(&set, Some("ed"), &ed, SigningAlgorithm::EdDsa),
        Ok(())
    );
}

#[test]
fn keys_do_not_print_secrets() {
    let shown = format!("{:?}", Jwk::secret(b"client secret"));
    assert!(
        !shown.contains("client") && !shown.contains("99, 108"),
        "{shown}"
    );
}

/// openidconnect's verifier, with these keys, agrees about good and broken tokens of every algorithm that it knows.
#[test]
fn openidconnect_verifies_with_these_keys() {
    use SigningAlgorithm::*;
    type Token = IdToken<
        EmptyAdditionalClaims,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm,
    >;
    let keys = [
        (Rs256, None),
        (Rs384, None),
        (Rs512, None),
        (Ps256, None),
        (Ps384, None),
        (Ps512, None),
        (Es256, Some(TestKey::ec("ec", Es256))),
        (Es384, Some(TestKey::ec("ec", Es384))),
        (Es512, Some(TestKey::ec("ec", Es512))),
        (EdDsa, Some(TestKey::ed("ed"))),
    ];
    for (algorithm, key) in keys {
        let key = key.as_ref().unwrap_or_else(|| rsa());
        let set: JsonWebKeySet<Jwk> =
            serde_json::from_slice(&jwks(&[json!({"kty": "?"}), key.jwk()])).unwrap();
        // What is written reads back.
        let set: JsonWebKeySet<Jwk> =
            serde_json::from_str(&serde_json::to_string(&set).unwrap()).unwrap();
        let verifier = IdTokenVerifier::new_public_client(
            ClientId::new(CLIENT_ID.to_owned()),
            IssuerUrl::new(ISSUER.to_owned()).unwrap(),
            set,
        )
        .set_allowed_algs([algorithm.to_core().unwrap()]);
        let nonce = Nonce::new("n-0S6_WzA2Mj".to_owned());
        // Its clock is the machine's: this token is good until the year 9892.
        let claims = with(claims(), json!({"exp": 250_000_000_000_u64}));
        let raw = key.token(algorithm, &claims);
        let token: Token = raw.parse().unwrap();
        token.claims(&verifier, &nonce).unwrap();

        let broken: Token = key
            .token(algorithm, &with(claims, json!({"sub": "other"})))
            .rsplit_once('.')
            .map(|(signed, _)| format!("{signed}.{}", raw.rsplit_once('.').unwrap().1))
            .unwrap()
            .parse()
            .unwrap();
        assert!(broken.claims(&verifier, &nonce).is_err(), "{algorithm}");
    }
}
