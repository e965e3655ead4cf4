//! What a header may say, and who may have signed.

use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::openid::fixtures::{hmac_token, jwks};

/// The letters of base64url, in their order.
const URL_SAFE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[test]
fn every_fault_of_a_header_has_its_code() {
    use ErrorCode::*;
    let cases = [
        (r#"{"alg":"RS256","kid":"rsa"}"#, None),
        (r#"{"alg":"RS256"}"#, None),
        (r#"{"alg":"RS256","typ":"jwt"}"#, None),
        (r#"{"alg":"RS256","typ":"application/jwt"}"#, None),
        (
            r#"{"alg":"RS256","kid":"rsa","jku":"https://evil.example","jwk":{"kty":"oct"}}"#,
            None,
        ),
        (r#"{"alg":"none","kid":"rsa"}"#, Some(UnsupportedAlgorithm)),
        (r#"{"alg":"None","kid":"rsa"}"#, Some(UnsupportedAlgorithm)),
        (r#"{"alg":"rs256","kid":"rsa"}"#, Some(UnsupportedAlgorithm)),
        (
            r#"{"alg":"RSA-OAEP","kid":"rsa"}"#,
            Some(UnsupportedAlgorithm),
        ),
        (r#"{"alg":"HS256","kid":"rsa"}"#, Some(UnsupportedAlgorithm)),
        (
            r#"{"alg":"RS256","enc":"A128GCM"}"#,
            Some(UnsupportedAlgorithm),
        ),
        (r#"{"alg":"","kid":"rsa"}"#, Some(UnsupportedAlgorithm)),
        (r#"{"kid":"rsa"}"#, Some(InvalidIdToken)),
        (r#"{"alg":null}"#, Some(InvalidIdToken)),
        (r#"{"alg":["RS256"]}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","alg":"RS256"}"#, Some(InvalidIdToken)),
        (r#"{"alg":"none","\u0061lg":"RS256"}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","x":1,"x":1}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","kid":7}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","crit":["exp"]}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","crit":[]}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","typ":"at+jwt"}"#, Some(InvalidIdToken)),
        (
            r#"{"alg":"RS256","typ":"logout+jwt"}"#,
            Some(InvalidIdToken),
        ),
        (
            r#"{"alg":"RS256","typ":"application/at+jwt"}"#,
            Some(InvalidIdToken),
        ),
        (r#"{"alg":"RS256","cty":"JWT"}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","crit":"exp"}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","crit":null}"#, Some(InvalidIdToken)),
        (
            r#"{"alg":"RS256","crit":["b64"],"b64":true}"#,
            Some(InvalidIdToken),
        ),
        (r#"{"alg":"RS256","b64":false}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","b64":null}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","b64":"x"}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","b64":true}"#, None),
        (
            r#"{"alg":"dir","enc":"A128GCM","zip":"DEF"}"#,
            Some(UnsupportedAlgorithm),
        ),
        // Of encryption only: here it means nothing, and nothing is ever unpacked.
        (r#"{"alg":"RS256","zip":"DEF"}"#, None),
        (
            r#"{"alg":"RS256","typ":"secevent+jwt"}"#,
            Some(InvalidIdToken),
        ),
        (r#"{"alg":"RS256","typ":""}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","typ":7}"#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256","kid":"unknown"}"#, Some(MissingKey)),
        (r#"{"alg":"ES256","kid":"rsa"}"#, Some(MissingKey)),
        (r#"{"alg":"PS256","kid":"rsa"}"#, Some(InvalidSignature)),
        (r#"["alg","RS256"]"#, Some(InvalidIdToken)),
        (r#""#, Some(InvalidIdToken)),
        (r#"{"alg":"RS256"} {}"#, Some(InvalidIdToken)),
    ];
    for (header, expected) in cases {
        let raw = rsa().token_of(SigningAlgorithm::Rs256, header, &claims().to_string());
        let outcome = validate(&raw, &keys(), &rules(), &IdTokenChecks::new(), NOW);
        assert_eq!(code_of(outcome), expected, "{header}");
    }
}

#[test]
fn each_algorithm_verifies_and_only_if_it_is_allowed() {
    use SigningAlgorithm::*;
    let curves: Vec<(SigningAlgorithm, TestKey)> = [Es256, Es384, Es512, Es256k]
        .into_iter()
        .map(|a| (a, TestKey::ec("ec", a)))
        .collect();
    let ed = TestKey::ed("ed");
    let mut signers: Vec<(SigningAlgorithm, &TestKey)> = [Rs256, Rs384, Rs512, Ps256, Ps384, Ps512]
        .into_iter()
        .map(|a| (a, rsa()))
        .collect();
    signers.extend(curves.iter().map(|(algorithm, key)| (*algorithm, key)));
    signers.push((EdDsa, &ed));
    for (algorithm, key) in signers {
        let raw = key.token(algorithm, &claims());
        let set = key_set(&[key.jwk()]);
        validate(&raw, &set, &rules(), &IdTokenChecks::new(), NOW).unwrap();

        let mut others = rules();
        others.algorithms = SigningAlgorithm::ALL
            .iter()
            .copied()
            .filter(|a| *a != algorithm)
            .collect();
        let outcome = validate(&raw, &set, &others, &IdTokenChecks::new(), NOW);
        assert_eq!(
            code_of(outcome),
            Some(ErrorCode::UnsupportedAlgorithm),
            "{algorithm}"
        );

        let broken = format!("{}.{}", raw.rsplit_once('.').unwrap().0, encode(&[7; 64]));
        let outcome = validate(&broken, &set, &rules(), &IdTokenChecks::new(), NOW);
        assert_eq!(
            code_of(outcome),
            Some(ErrorCode::InvalidSignature),
            "{algorithm}"
        );
    }
}

#[test]
fn the_client_secret_verifies_only_if_the_registration_says_so() {
    let raw = secret_token("a secret of thirty-two bytes....", &claims());
    let mut rules = rules();
    rules.client_secret = Some("a secret of thirty-two bytes....".into());
    let outcome = validate(&raw, &keys(), &rules, &IdTokenChecks::new(), NOW);
    assert_eq!(code_of(outcome), Some(ErrorCode::UnsupportedAlgorithm));

    rules.algorithms = [SigningAlgorithm::Hs256].into_iter().collect();
    validate(&raw, &keys(), &rules, &IdTokenChecks::new(), NOW).unwrap();

    rules.client_secret = Some("another secret of thirty-two bytes".into());
    let outcome = validate(&raw, &keys(), &rules, &IdTokenChecks::new(), NOW);
    assert_eq!(code_of(outcome), Some(ErrorCode::InvalidSignature));

    // Nobody needs to be told a secret that is short enough to be guessed, or none at all.
    for short in [
        Some("a secret of thirty-one bytes..."),
        Some("x"),
        Some(""),
        None,
    ] {
        let raw = secret_token(short.unwrap_or_default(), &claims());
        rules.client_secret = short.map(Into::into);
        let outcome = validate(&raw, &keys(), &rules, &IdTokenChecks::new(), NOW);
        assert_eq!(
            code_of(outcome),
            Some(ErrorCode::UnsupportedAlgorithm),
            "{short:?}"
        );
    }
}

/// The classic confusion: a public key as the secret of an HMAC, in every form that somebody might take for a secret.
#[test]
fn a_public_key_is_never_a_secret() {
    use SigningAlgorithm::{Hs256, Rs256};
    let jwk = rsa().jwk();
    let modulus = jwk["n"].as_str().unwrap();
    // SubjectPublicKeyInfo of an RSA key of 2,048 bits: a fixed beginning, the modulus, the exponent.
    let mut der = STANDARD
        .decode("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA")
        .unwrap();
    der.extend(URL_SAFE_NO_PAD.decode(modulus).unwrap());
    der.extend([2, 3, 1, 0, 1]);
    let base64 = STANDARD.encode(&der);
    let lines: Vec<&str> = (0..base64.len())
        .step_by(64)
        .map(|at| &base64[at..base64.len().min(at + 64)])
        .collect();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----",
        lines.join("\n")
    );
    let forms: Vec<Vec<u8>> = vec![
        modulus.into(),
        URL_SAFE_NO_PAD.decode(modulus).unwrap(),
        jwk.to_string().into(),
        jwks(&[jwk]),
        der[24..].to_vec(),
        der,
        base64.into(),
        format!("{pem}\n").into(),
        pem.into(),
    ];
    let mut mixed = rules();
    mixed.algorithms = [Hs256, Rs256].into_iter().collect();
    let mut with_secret = mixed.clone();
    with_secret.client_secret = Some("a secret of thirty-two bytes....".into());
    for form in forms {
        let raw = hmac_token(&form, r#"{"alg":"HS256","kid":"rsa"}"#, &claims());
        for (rules, expected) in [
            (rules(), ErrorCode::UnsupportedAlgorithm),
            (mixed.clone(), ErrorCode::UnsupportedAlgorithm),
            (with_secret.clone(), ErrorCode::InvalidSignature),
        ] {
            let outcome = validate(&raw, &keys(), &rules, &IdTokenChecks::new(), NOW);
            assert_eq!(code_of(outcome), Some(expected));
        }
    }
}

/// Without a signature nothing is an ID token, however `none` is spelled, and whatever stands in the signature's place.
#[test]
fn none_is_no_algorithm_in_any_spelling() {
    let good = rsa().token(SigningAlgorithm::Rs256, &claims());
    let signature = good.rsplit_once('.').unwrap().1;
    for name in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "none ",
        " none",
        "none\t",
        "none\u{0}",
        "ｎｏｎｅ",
        "null",
        "",
        "HS0",
        "RS256 ",
        "rs256",
        "Rs256",
        "RS-256",
        "SHA256",
        "RS1",
        "RSA1_5",
        "dir",
    ] {
        let header = json!({"alg": name, "kid": "rsa"}).to_string();
        let unsigned = format!(
            "{}.{}.",
            encode(header.as_bytes()),
            encode(claims().to_string().as_bytes())
        );
        for raw in [
            unsigned.clone(),
            format!("{unsigned}{signature}"),
            rsa().token_of(SigningAlgorithm::Rs256, &header, &claims().to_string()),
        ] {
            let outcome = validate(&raw, &keys(), &rules(), &IdTokenChecks::new(), NOW);
            assert_eq!(
                code_of(outcome),
                Some(ErrorCode::UnsupportedAlgorithm),
                "{name:?}"
            );
        }
    }
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let header = json!({"alg": algorithm}).to_string();
        let ed = TestKey::ed("ed");
        let ec = TestKey::ec("ec", SigningAlgorithm::Es256);
        let set = key_set(&[rsa().jwk(), ed.jwk(), ec.jwk()]);
        for signature in ["", "AA", &encode(&[0; 64]), &encode(&[0; 256]), signature] {
            let raw = format!(
                "{}.{}.{signature}",
                encode(header.as_bytes()),
                encode(claims().to_string().as_bytes())
            );
            let outcome = validate(&raw, &set, &rules(), &IdTokenChecks::new(), NOW);
            assert_eq!(
                code_of(outcome),
                Some(ErrorCode::InvalidSignature),
                "{algorithm} {signature}"
            );
        }
    }
}

/// A token that brings its key, or says where it is, is verified by the provider's all the same.
#[test]
fn keys_of_the_token_s_own_are_never_looked_at() {
    let own = other_rsa().jwk();
    for (member, value) in [
        ("jwk", own.clone()),
        ("jwk", json!({"keys": [own]})),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/chain.pem")),
        ("x5c", json!([STANDARD.encode("a certificate")])),
        ("x5t", json!("dGh1bWI")),
        ("x5t#S256", json!("dGh1bWI")),
        ("keys", json!([own])),
    ] {
        for (kid, expected) in [
            (json!("rsa"), ErrorCode::InvalidSignature),
            (json!(null), ErrorCode::InvalidSignature),
            (json!("other-rsa"), ErrorCode::MissingKey),
        ] {
            let header = with(
                json!({"alg": "RS256", member: value.clone()}),
                json!({"kid": kid}),
            );
            let (header, claims) = (header.to_string(), claims().to_string());
            let raw = other_rsa().token_of(SigningAlgorithm::Rs256, &header, &claims);
            let outcome = validate(&raw, &keys(), &rules(), &IdTokenChecks::new(), NOW);
            assert_eq!(code_of(outcome), Some(expected), "{header}");
        }
        // And they do not disturb a good one.
        let header = json!({"alg": "RS256", "kid": "rsa", member: value}).to_string();
        let raw = rsa().token_of(SigningAlgorithm::Rs256, &header, &claims().to_string());
        validate(&raw, &keys(), &rules(), &IdTokenChecks::new(), NOW).unwrap();
    }
}

/// One token has one spelling: nothing about its text can be changed, so that no two texts are the same token.
#[test]
fn base64_is_read_in_one_spelling_only() {
    let ed = TestKey::ed("ed");
    let set = key_set(&[ed.jwk()]);
    // 64 bytes leave four bits over; a length of 3n + 1 leaves four, one of 3n + 2 two.
    let header = r#"{"alg":"EdDSA"}  "#;
    assert_eq!(header.len() % 3, 2);
    let raw = ed.token_of(SigningAlgorithm::EdDsa, header, &claims().to_string());
    validate(&raw, &set, &rules(), &IdTokenChecks::new(), NOW).unwrap();
    let parts: Vec<&str> = raw.split('.').collect();
    let loose = |part: &str| {
        let last = URL_SAFE.find(part.chars().last().unwrap()).unwrap();
        let next = URL_SAFE.as_bytes()[last + 1];
        format!("{}{}", &part[..part.len() - 1], char::from(next))
    };
    for change in 0..3 {
        for spell in [
            |part: &str| format!("{part}="),
            |part: &str| format!("{part}=="),
            |part: &str| format!("{part} "),
            |part: &str| format!(" {part}"),
            |part: &str| format!("{part}\n"),
            |part: &str| format!("{}\r\n{}", &part[..4], &part[4..]),
            |part: &str| format!("{part}A"),
            |part: &str| format!("{}+{}", &part[..4], &part[4..]),
        ] {
            let mut changed: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
            changed[change] = spell(parts[change]);
            let outcome = validate(
                &changed.join("."),
                &set,
                &rules(),
                &IdTokenChecks::new(),
                NOW,
            );
            assert!(outcome.is_err(), "{changed:?}");
        }
    }
    // Bits behind the last byte.
    let changed = format!("{}.{}.{}", parts[0], parts[1], loose(parts[2]));
    let outcome = validate(&changed, &set, &rules(), &IdTokenChecks::new(), NOW);
    assert_eq!(code_of(outcome), Some(ErrorCode::InvalidSignature));
    for part in [0, 1] {
        let mut changed: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        changed[part] = loose(parts[part]);
        // Signed as it is spelled: only the reader of base64 can refuse it.
        let signed = format!("{}.{}", changed[0], changed[1]);
        let signature = encode(&ed.sign(SigningAlgorithm::EdDsa, signed.as_bytes()));
        let raw = format!("{signed}.{signature}");
        let outcome = validate(&raw, &set, &rules(), &IdTokenChecks::new(), NOW);
        assert_eq!(code_of(outcome), Some(ErrorCode::InvalidIdToken), "{raw}");
    }
}

#[test]
fn no_single_change_of_a_byte_passes() {
    for key in [
        TestKey::ed("ed"),
        TestKey::ec("ec", SigningAlgorithm::Es256),
    ] {
        let algorithm = if key.kid == "ed" {
            SigningAlgorithm::EdDsa
        } else {
            SigningAlgorithm::Es256
        };
        let raw = key.token(algorithm, &claims());
        let set = key_set(&[key.jwk()]);
        validate(&raw, &set, &rules(), &IdTokenChecks::new(), NOW).unwrap();
        for position in 0..raw.len() {
            for other in [
                b'A',
                b'B',
                b'_',
                b'.',
                b'=',
                b' ',
                raw.as_bytes()[position] ^ 1,
            ] {
                let mut bytes = raw.clone().into_bytes();
                if bytes[position] == other {
                    continue;
                }
                bytes[position] = other;
                let Ok(changed) = String::from_utf8(bytes) else {
                    continue;
                };
                let outcome = validate(&changed, &set, &rules(), &IdTokenChecks::new(), NOW);
                assert!(outcome.is_err(), "byte {position} of {raw}");
            }
        }
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let token = rsa().token(SigningAlgorithm::Rs256, &claims());
    let unsigned = token.rsplit_once('.').unwrap().0.to_owned();
    let too_long = rsa().token(
        SigningAlgorithm::Rs256,
        &with(claims(), json!({"x": "y".repeat(65_536)})),
    );
    let cases = [
        (String::new(), ErrorCode::InvalidIdToken),
        ("..".to_owned(), ErrorCode::InvalidIdToken),
        (unsigned.clone(), ErrorCode::InvalidIdToken),
        (format!("{unsigned}."), ErrorCode::InvalidSignature),
        (format!("{token}="), ErrorCode::InvalidSignature),
        (format!("{token}\n"), ErrorCode::InvalidSignature),
        (format!(" {token}"), ErrorCode::InvalidIdToken),
        (format!("{token}.x"), ErrorCode::InvalidIdToken),
        (format!("{token}.x.y"), ErrorCode::UnsupportedAlgorithm),
        (format!("{token}.x.y.z"), ErrorCode::InvalidIdToken),
        (too_long, ErrorCode::InvalidIdToken),
    ];
    for (raw, expected) in cases {
        let outcome = validate(&raw, &keys(), &rules(), &IdTokenChecks::new(), NOW);
        assert_eq!(code_of(outcome), Some(expected), "{}", excerpt(&raw));
    }
}
