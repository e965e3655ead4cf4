//! What claims may look like: their types, their edges, their size.

use super::*;

#[test]
fn claims_that_are_no_object_or_doubled_are_refused() {
    let text = claims().to_string();
    let doubled = [
        text.replacen('{', r#"{"sub":"248289761001","#, 1),
        text.replacen('{', r#"{"s\u0075b":"evil","#, 1),
        text.replacen('{', r#"{"\u0073ub":"evil","#, 1),
        text.replacen('{', r#"{"\u0061\u0075\u0064":"evil","#, 1),
        text.replacen('{', r#"{"e\u0078p":9e9,"#, 1),
        text.replacen('{', r#"{"unknown":1,"unknown":1,"#, 1),
        format!("[{text}]"),
        format!("{text},"),
        String::new(),
    ];
    for text in doubled {
        let raw = rsa().token_of(SigningAlgorithm::Rs256, r#"{"alg":"RS256"}"#, &text);
        let outcome = validate(&raw, &keys(), &rules(), &IdTokenChecks::new(), NOW);
        assert_eq!(code_of(outcome), Some(ErrorCode::InvalidIdToken), "{text}");
    }
}

#[test]
fn claims_are_of_their_types() {
    let wrong = [
        json!(true),
        json!(7),
        json!(-1),
        json!(1.5),
        json!("text"),
        json!([]),
        json!([7]),
        json!([["client-1"]]),
        json!({}),
        json!({"client-1": "client-1"}),
    ];
    let checks = || {
        IdTokenChecks::new()
            .access_token("at")
            .code("c")
            .nonce("n-0S6_WzA2Mj")
    };
    for (claim, fits) in [
        ("iss", &[4][..]),
        ("sub", &[4]),
        ("aud", &[4, 5]),
        ("azp", &[4]),
        ("exp", &[1, 2, 3]),
        ("iat", &[1, 2, 3]),
        ("nbf", &[1, 2, 3]),
        ("nonce", &[4]),
        ("at_hash", &[4]),
        ("c_hash", &[4]),
    ] {
        for (position, value) in wrong.iter().enumerate() {
            if fits.contains(&position) {
                continue;
            }
            let outcome = validate_claims(&with(claims(), json!({claim: value})), &checks());
            assert_eq!(
                code_of(outcome),
                Some(ErrorCode::InvalidIdToken),
                "{claim}: {value}"
            );
        }
    }
    // What is asked for and cannot be read is missing.
    for value in &wrong {
        for (claim, checks) in [
            ("auth_time", IdTokenChecks::new().max_age(Duration::ZERO)),
            ("acr", IdTokenChecks::new().acr_values(["gold"])),
        ] {
            let claims = with(claims(), json!({claim: value}));
            assert!(
                validate_claims(&claims, &checks).is_err(),
                "{claim}: {value}"
            );
        }
    }
}

/// Times as text, for numbers that no JSON value of ours could hold.
#[test]
fn times_are_compared_at_their_edges() {
    use ErrorCode::InvalidIdToken as Invalid;
    let now = NOW.as_secs();
    let at = |offset: i64| (now + offset).to_string();
    let cases = [
        ("exp", at(-59), None),
        ("exp", at(-60), Some(Invalid)),
        ("exp", format!("{}.001", now - 60), None),
        ("exp", format!("{}.999", now - 61), Some(Invalid)),
        ("exp", "0".to_owned(), Some(Invalid)),
        ("exp", "-0".to_owned(), Some(Invalid)),
        ("exp", "-1".to_owned(), Some(Invalid)),
        ("exp", "1e308".to_owned(), None),
        ("exp", "-1e308".to_owned(), Some(Invalid)),
        ("exp", "1e309".to_owned(), Some(Invalid)),
        ("exp", "9223372036854775807".to_owned(), None),
        ("exp", "18446744073709551615".to_owned(), None),
        ("exp", "99999999999999999999999".to_owned(), None),
        ("exp", "-9223372036854775808".to_owned(), Some(Invalid)),
        ("exp", "NaN".to_owned(), Some(Invalid)),
        ("exp", "Infinity".to_owned(), Some(Invalid)),
        ("exp", "\"1900000000\"".to_owned(), Some(Invalid)),
        ("exp", format!("0{now}"), Some(Invalid)),
        ("exp", "0x7fffffff".to_owned(), Some(Invalid)),
        ("iat", at(60), None),
        ("iat", at(61), Some(Invalid)),
        ("iat", format!("{}.001", now + 60), Some(Invalid)),
        ("iat", "1e308".to_owned(), Some(Invalid)),
        ("iat", "9223372036854775807".to_owned(), Some(Invalid)),
        ("iat", "-1e308".to_owned(), None),
        ("iat", "0".to_owned(), None),
        ("nbf", at(60), None),
        ("nbf", at(61), Some(Invalid)),
        ("nbf", "1e308".to_owned(), Some(Invalid)),
        ("nbf", "-1".to_owned(), None),
        ("auth_time", at(-160), None),
        ("auth_time", at(-161), Some(Invalid)),
        ("auth_time", "-1e308".to_owned(), Some(Invalid)),
        // From the future: whoever says that is not to be believed about the past either.
        ("auth_time", at(60), None),
        ("auth_time", at(61), Some(Invalid)),
        ("auth_time", "1e308".to_owned(), Some(Invalid)),
    ];
    let checks = IdTokenChecks::new().max_age(Duration::from_secs(100));
    for (claim, time, expected) in cases {
        let mut others = with(claims(), json!({"auth_time": now}));
        others.as_object_mut().unwrap().remove(claim);
        let text = others
            .to_string()
            .replacen('{', &format!("{{\"{claim}\":{time},"), 1);
        let raw = rsa().token_of(SigningAlgorithm::Rs256, r#"{"alg":"RS256"}"#, &text);
        let outcome = validate(&raw, &keys(), &rules(), &checks, NOW);
        assert_eq!(code_of(outcome), expected, "{claim} {time}");
    }
}

#[test]
fn hashes_are_by_the_hash_of_the_algorithm() {
    use SigningAlgorithm::*;
    let ed = TestKey::ed("ed");
    for algorithm in SigningAlgorithm::ALL.iter().copied() {
        let (full, half) = match algorithm {
            Rs256 | Ps256 | Es256 | Es256k | Hs256 => (&digest::SHA256, 16),
            Rs384 | Ps384 | Es384 | Hs384 => (&digest::SHA384, 24),
            _ => (&digest::SHA512, 32),
        };
        let hash = digest::digest(full, b"at");
        let left = encode(&hash.as_ref()[..half]);
        let wrong = [
            encode(hash.as_ref()),
            encode(&hash.as_ref()[half..]),
            encode(&hash.as_ref()[..half - 1]),
            format!("{left}="),
            left.to_ascii_lowercase(),
        ];
        let ec;
        let key = match algorithm {
            Hs256 | Hs384 | Hs512 => continue,
            EdDsa => &ed,
            Es256 | Es384 | Es512 | Es256k => {
                ec = TestKey::ec("ec", algorithm);
                &ec
            }
            _ => rsa(),
        };
        let set = key_set(&[key.jwk()]);
        let checks = IdTokenChecks::new().access_token("at").code("at");
        for claim in ["at_hash", "c_hash"] {
            let validated = |hash: &str| {
                let raw = key.token(algorithm, &with(claims(), json!({claim: hash})));
                code_of(validate(&raw, &set, &rules(), &checks, NOW))
            };
            assert_eq!(validated(&left), None, "{algorithm} {claim}");
            for hash in &wrong {
                assert_eq!(
                    validated(hash),
                    Some(ErrorCode::InvalidHash),
                    "{algorithm} {hash}"
                );
            }
        }
    }
}

#[test]
fn claims_are_bounded_in_depth_and_length() {
    let nested = |open: &str, close: &str, depth: usize| {
        let value = format!("{}{}", open.repeat(depth), close.repeat(depth));
        claims()
            .to_string()
            .replacen('{', &format!("{{\"x\":{value},"), 1)
    };
    for (text, expected) in [
        (nested("[", "]", 99), None),
        (nested("[", "]", 100), Some(ErrorCode::InvalidIdToken)),
        (nested("[", "]", 20_000), Some(ErrorCode::InvalidIdToken)),
        (
            nested("{\"a\":", "}", 5_000).replace(":}", ":1}"),
            Some(ErrorCode::InvalidIdToken),
        ),
        // Many, and none deep; and brackets that are text.
        (
            with(claims(), json!({"groups": vec![json!([]); 5_000]})).to_string(),
            None,
        ),
        (
            with(claims(), json!({"groups": "[\\\"{".repeat(1_000)})).to_string(),
            None,
        ),
        (
            with(claims(), json!({"x": "y".repeat(47_000)})).to_string(),
            None,
        ),
        (
            with(claims(), json!({"x": "y".repeat(49_200)})).to_string(),
            Some(ErrorCode::InvalidIdToken),
        ),
    ] {
        let raw = rsa().token_of(SigningAlgorithm::Rs256, r#"{"alg":"RS256"}"#, &text);
        let outcome = validate(&raw, &keys(), &rules(), &IdTokenChecks::new(), NOW);
        if let Ok(claims) = &outcome {
            // Whatever is taken can be read.
            assert!(claims.to_value().is_object());
        }
        assert_eq!(code_of(outcome), expected, "{}", excerpt(&text));
    }
    let header = format!(
        r#"{{"alg":"RS256","x":{}{}}}"#,
        "[".repeat(9_000),
        "]".repeat(9_000)
    );
    let raw = rsa().token_of(SigningAlgorithm::Rs256, &header, &claims().to_string());
    let outcome = validate(&raw, &keys(), &rules(), &IdTokenChecks::new(), NOW);
    assert_eq!(code_of(outcome), Some(ErrorCode::InvalidIdToken));
}
