//! Signatures, and the keys that are published for them.

use aws_lc_rs::{rsa::PublicKeyComponents, signature};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{api, decode, get_json, headless, log_in, refresh, text};
use crate::{Endpoint, Fault, IdTokenFault, Provider, SigningAlgorithm};

async fn jwks(provider: &Provider) -> Vec<Value> {
    get_json(format!("{}/jwks", provider.issuer())).await["keys"]
        .as_array()
        .unwrap()
        .clone()
}

/// Whether the published key of this `kid` verifies the token.
async fn verifies(provider: &Provider, id_token: &Value) -> bool {
    let kid = decode(id_token).0["kid"].clone();
    let keys = jwks(provider).await;
    let Some(key) = keys.iter().find(|key| key["kid"] == kid) else {
        return false;
    };
    let octets = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let (signed, signature) = id_token.as_str().unwrap().rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let unparsed = |algorithm: &'static dyn signature::VerificationAlgorithm, key: Vec<u8>| {
        signature::UnparsedPublicKey::new(algorithm, key)
            .verify(signed.as_bytes(), &signature)
            .is_ok()
    };
    let rsa = |parameters: &signature::RsaParameters| {
        PublicKeyComponents {
            n: octets("n"),
            e: octets("e"),
        }
        .verify(parameters, signed.as_bytes(), &signature)
        .is_ok()
    };
    match key["alg"].as_str().unwrap() {
        "RS256" => rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
        "PS256" => rsa(&signature::RSA_PSS_2048_8192_SHA256),
        "ES256" => unparsed(
            &signature::ECDSA_P256_SHA256_FIXED,
            [vec![4], octets("x"), octets("y")].concat(),
        ),
        _ => unparsed(&signature::ED25519, octets("x")),
    }
}

#[tokio::test]
async fn every_algorithm_signs_what_its_key_verifies() {
    for algorithm in [
        SigningAlgorithm::Rs256,
        SigningAlgorithm::Ps256,
        SigningAlgorithm::Es256,
        SigningAlgorithm::EdDsa,
    ] {
        let provider = headless()
            .id_token_algorithm(algorithm)
            .start()
            .await
            .unwrap();
        let tokens = log_in(&provider, &[]).await;
        assert_eq!(decode(&tokens["id_token"]).0["alg"], algorithm.name());
        assert!(
            verifies(&provider, &tokens["id_token"]).await,
            "{algorithm:?}"
        );
        let forged = format!(
            "{}AAAA",
            &text(&tokens, "id_token")[..text(&tokens, "id_token").len() - 4]
        );
        assert!(!verifies(&provider, &forged.into()).await, "{algorithm:?}");
    }
}

#[tokio::test]
async fn keys_rotate_and_are_withdrawn() {
    let provider = headless().start().await.unwrap();
    let tokens = log_in(&provider, &[]).await;
    provider.rotate_keys();
    let (_, second) = refresh(&provider, text(&tokens, "refresh_token")).await;
    assert_ne!(
        decode(&tokens["id_token"]).0["kid"],
        decode(&second["id_token"]).0["kid"]
    );
    assert_eq!(jwks(&provider).await.len(), 2);
    assert!(
        verifies(&provider, &tokens["id_token"]).await
            && verifies(&provider, &second["id_token"]).await
    );

    provider.add_decoy_keys(100);
    let published = jwks(&provider).await;
    assert_eq!(published.len(), 102);
    let mut kids: Vec<_> = published
        .iter()
        .map(|key| text(key, "kid").to_owned())
        .collect();
    kids.sort();
    kids.dedup();
    assert_eq!(kids.len(), 102);
    assert!(verifies(&provider, &second["id_token"]).await);

    provider.withdraw_old_keys();
    assert_eq!(jwks(&provider).await.len(), 1);
    assert!(
        !verifies(&provider, &tokens["id_token"]).await
            && verifies(&provider, &second["id_token"]).await
    );
}

#[tokio::test]
async fn a_key_is_replaced_under_its_name() {
    let provider = headless()
        .id_token_algorithm(SigningAlgorithm::Es256)
        .start()
        .await
        .unwrap();
    let tokens = log_in(&provider, &[]).await;
    provider.replace_key();
    let (_, second) = refresh(&provider, text(&tokens, "refresh_token")).await;
    assert_eq!(
        decode(&tokens["id_token"]).0["kid"],
        decode(&second["id_token"]).0["kid"]
    );
    assert_eq!(jwks(&provider).await.len(), 1);
    assert!(
        !verifies(&provider, &tokens["id_token"]).await
            && verifies(&provider, &second["id_token"]).await
    );
}

#[tokio::test]
async fn a_faulty_signature_verifies_with_no_key() {
    let provider = headless().start().await.unwrap();
    for (fault, signed_by_the_provider) in [
        (IdTokenFault::WrongSignature, false),
        (IdTokenFault::WrongNonce, true),
        (IdTokenFault::Expired, true),
    ] {
        provider
            .faults()
            .on(Endpoint::Token, Fault::IdToken(fault.clone()))
            .times(1);
        let tokens = log_in(&provider, &[]).await;
        assert_eq!(
            verifies(&provider, &tokens["id_token"]).await,
            signed_by_the_provider,
            "{fault:?}"
        );
    }
    provider
        .faults()
        .on(Endpoint::Token, Fault::IdToken(IdTokenFault::AlgNone))
        .times(1);
    assert!(text(&log_in(&provider, &[]).await, "id_token").ends_with('.'));
}

#[tokio::test]
async fn an_rsa_key_is_published_as_it_is() {
    let provider = Provider::start().await.unwrap();
    let keys = jwks(&provider).await;
    let n = URL_SAFE_NO_PAD.decode(text(&keys[0], "n")).unwrap();
    assert_eq!((n.len(), n[0] >> 7), (256, 1));
    assert_eq!(keys[0]["e"], "AQAB");
    let other = Provider::start().await.unwrap();
    assert_ne!(keys[0]["kid"], jwks(&other).await[0]["kid"]);
}

#[tokio::test]
async fn userinfo_is_signed_where_that_was_chosen() {
    let provider = headless().signed_userinfo(true).start().await.unwrap();
    let tokens = log_in(&provider, &[("scope", "openid email")]).await;
    let answer = api(&provider, "/userinfo", text(&tokens, "access_token")).await;
    assert_eq!(answer.headers()["content-type"], "application/jwt");
    let token = Value::from(answer.text().await.unwrap());
    assert!(verifies(&provider, &token).await);
    let (_, claims) = decode(&token);
    assert_eq!(claims["iss"], provider.issuer());
    assert_eq!(claims["aud"], provider.client_id());
    assert_eq!(claims["sub"], "alice");
}

#[tokio::test]
async fn the_present_key_signs_whatever_it_is_given() {
    let provider = headless().start().await.unwrap();
    let (header, claims) = (provider.signing_header(), json!({"anything": [1]}));
    let token = Value::from(provider.sign(&header, &claims));
    assert!(verifies(&provider, &token).await);
    assert_eq!(decode(&token), (header, claims));
}
