//! Every fault does what it says, as often as it says, and nothing else.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use url::Url;

use super::{
    REDIRECT_URI, VERIFIER, api, callback, decode, get_json, headless, log_in, post, refresh, text,
};
use crate::{Endpoint, Fault, Gate, IdTokenFault, Provider};

async fn logged_in() -> (Provider, String) {
    let provider = headless().start().await.unwrap();
    let refresh_token = text(&log_in(&provider, &[]).await, "refresh_token").to_owned();
    (provider, refresh_token)
}

/// A refresh whose answer is looked at closely, or none.
async fn raw_refresh(
    provider: &Provider,
    refresh_token: &str,
) -> reqwest::Result<(reqwest::header::HeaderMap, u16, String)> {
    let request = reqwest::Client::new()
        .post(format!("{}/token", provider.issuer()))
        .basic_auth(provider.client_id(), Some(provider.client_secret()))
        .form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ]);
    let response = request.send().await?;
    let (headers, status) = (response.headers().clone(), response.status().as_u16());
    Ok((headers, status, response.text().await?))
}

#[tokio::test]
async fn a_connection_drops_before_or_after_processing() {
    let (provider, token) = logged_in().await;
    let before = provider
        .faults()
        .on(Endpoint::Token, Fault::DropBefore)
        .times(1);
    assert!(raw_refresh(&provider, &token).await.is_err());
    assert_eq!((provider.spends(&token), before.fired()), (0, 1));
    provider
        .faults()
        .on(Endpoint::Token, Fault::DropAfter)
        .times(1);
    assert!(raw_refresh(&provider, &token).await.is_err());
    assert_eq!(provider.spends(&token), 1, "spent, and nobody knows");
    assert_eq!(refresh(&provider, &token).await.0, 400);
    assert_eq!(provider.token_requests("refresh_token"), 3);
}

#[tokio::test]
async fn an_answer_breaks_off() {
    let (provider, token) = logged_in().await;
    provider
        .faults()
        .on(Endpoint::Token, Fault::Truncated)
        .times(1);
    let request = reqwest::Client::new()
        .post(format!("{}/token", provider.issuer()))
        .basic_auth(provider.client_id(), Some(provider.client_secret()))
        .form(&[("grant_type", "refresh_token"), ("refresh_token", &token)]);
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let promised = response.content_length().unwrap();
    let mut received = Vec::new();
    let broken = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => received.extend_from_slice(&chunk),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken);
    assert_eq!(received.len() as u64, promised / 2);
    assert!(received.starts_with(b"{\""));
    assert_eq!(provider.spends(&token), 1);
}

#[tokio::test]
async fn answers_stand_in_for_the_real_one() {
    let (provider, token) = logged_in().await;
    let once = |fault| provider.faults().on(Endpoint::Token, fault).times(1);
    once(Fault::TooManyRequests {
        retry_after: Some(Duration::from_secs(7)),
    });
    let (headers, status, _) = raw_refresh(&provider, &token).await.unwrap();
    assert_eq!(
        (status, headers["retry-after"].to_str().unwrap()),
        (429, "7")
    );
    once(Fault::TooManyRequests { retry_after: None });
    let (headers, status, _) = raw_refresh(&provider, &token).await.unwrap();
    assert_eq!((status, headers.get("retry-after")), (429, None));
    once(Fault::ServerError(503));
    assert_eq!(raw_refresh(&provider, &token).await.unwrap().1, 503);
    once(Fault::Html);
    let (headers, status, body) = raw_refresh(&provider, &token).await.unwrap();
    assert_eq!(status, 200);
    assert!(
        headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
            && body.starts_with("<!doctype html>")
    );
    once(Fault::Empty);
    let (_, status, body) = raw_refresh(&provider, &token).await.unwrap();
    assert_eq!((status, body.as_str()), (200, ""));
    once(Fault::Oversized(3 * 1024 * 1024));
    let (_, status, body) = raw_refresh(&provider, &token).await.unwrap();
    assert_eq!(status, 200);
    assert!(body.len() > 3 * 1024 * 1024 && serde_json::from_str::<Value>(&body).is_ok());
    let own = |content_type: &str| Fault::Answer {
        status: 418,
        content_type: content_type.to_owned(),
        body: "tea".to_owned(),
    };
    once(own("text/x-tea"));
    let (headers, status, body) = raw_refresh(&provider, &token).await.unwrap();
    assert_eq!(
        (
            status,
            headers["content-type"].to_str().unwrap(),
            body.as_str()
        ),
        (418, "text/x-tea", "tea")
    );
    once(own(""));
    assert_eq!(
        raw_refresh(&provider, &token)
            .await
            .unwrap()
            .0
            .get("content-type"),
        None
    );
    assert_eq!(provider.spends(&token), 0, "none of them was processed");
    assert_eq!(refresh(&provider, &token).await.0, 200);
}

#[tokio::test]
async fn an_answer_is_lost_after_processing() {
    let (provider, token) = logged_in().await;
    provider
        .faults()
        .on(Endpoint::Token, Fault::ServerError(502))
        .after_processing()
        .times(1);
    assert_eq!(raw_refresh(&provider, &token).await.unwrap().1, 502);
    assert_eq!(provider.spends(&token), 1);
}

#[tokio::test]
async fn requests_wait_before_or_after_processing() {
    let (provider, token) = logged_in().await;
    for (after, spent_at_the_gate) in [(false, 0), (true, 2)] {
        let gate = Gate::new();
        let rule = provider
            .faults()
            .on(Endpoint::Token, Fault::Hold(gate.clone()));
        let rule = if after { rule.after_processing() } else { rule };
        let waiting = tokio::spawn({
            let (provider, token) = (provider.clone(), token.clone());
            async move { refresh(&provider, &token).await.0 }
        });
        gate.arrived(1).await;
        assert_eq!(provider.spends(&token), spent_at_the_gate);
        assert!(!waiting.is_finished());
        gate.open();
        waiting.await.unwrap();
        rule.off();
    }
}

#[tokio::test]
async fn a_request_is_processed_although_its_client_has_gone() {
    let (provider, token) = logged_in().await;
    let gate = Gate::new();
    provider
        .faults()
        .on(Endpoint::Token, Fault::Hold(gate.clone()))
        .times(1);
    let second_gate = Gate::new();
    provider
        .faults()
        .on(Endpoint::Token, Fault::Hold(second_gate.clone()))
        .after_processing()
        .times(1);
    let request = tokio::spawn({
        let (provider, token) = (provider.clone(), token.clone());
        async move { refresh(&provider, &token).await.0 }
    });
    gate.arrived(1).await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    gate.open();
    second_gate.arrived(1).await;
    assert_eq!(provider.spends(&token), 1);
}

#[tokio::test]
async fn latency_delays() {
    let (provider, _) = logged_in().await;
    provider
        .faults()
        .on(Endpoint::Jwks, Fault::Latency(Duration::from_millis(30)));
    provider
        .faults()
        .on(Endpoint::Jwks, Fault::Latency(Duration::from_millis(30)));
    let started = Instant::now();
    get_json(format!("{}/jwks", provider.issuer())).await;
    assert!(
        started.elapsed() >= Duration::from_millis(60),
        "delays add up"
    );
}

#[tokio::test]
async fn faults_take_turns_and_end() {
    let (provider, token) = logged_in().await;
    let first = provider
        .faults()
        .on(Endpoint::Token, Fault::ServerError(500))
        .times(2);
    provider
        .faults()
        .on(Endpoint::Token, Fault::ServerError(503))
        .for_grant_type("refresh_token");
    let statuses = async |fields: &[(&str, &str)]| post(&provider, "/token", fields).await.0;
    let credentials = [("grant_type", "client_credentials")];
    assert_eq!(statuses(&credentials).await, 500);
    assert_eq!(refresh(&provider, &token).await.0, 500);
    assert_eq!(first.fired(), 2);
    assert_eq!(
        statuses(&credentials).await,
        200,
        "the second is for refreshing only"
    );
    assert_eq!(refresh(&provider, &token).await.0, 503);
    assert_eq!(refresh(&provider, &token).await.0, 503, "and lasts");
    assert!(format!("{:?}", provider.faults()).contains("503"));
    provider.faults().clear();
    assert_eq!(refresh(&provider, &token).await.0, 200);
    assert_eq!(
        get_json(provider.metadata_url()).await["issuer"],
        provider.issuer(),
        "other endpoints were never touched"
    );
}

#[tokio::test]
async fn every_endpoint_can_fail() {
    let (provider, _) = logged_in().await;
    for (endpoint, path) in [
        (Endpoint::Discovery, "/.well-known/openid-configuration"),
        (Endpoint::Jwks, "/jwks"),
        (Endpoint::Authorize, "/authorize"),
        (Endpoint::Token, "/token"),
        (Endpoint::Userinfo, "/userinfo"),
        (Endpoint::Introspect, "/introspect"),
        (Endpoint::Revoke, "/revoke"),
        (Endpoint::EndSession, "/end_session"),
        (Endpoint::Api, "/api/me"),
    ] {
        let rule = provider.faults().on(endpoint, Fault::ServerError(599));
        let status = reqwest::get(format!("{}{path}", provider.issuer()))
            .await
            .unwrap()
            .status()
            .as_u16();
        assert_eq!((status, rule.fired()), (599, 1), "{endpoint:?}");
        rule.off();
    }
}

#[tokio::test]
async fn metadata_lies() {
    let (provider, _) = logged_in().await;
    provider
        .faults()
        .on(Endpoint::Discovery, Fault::WrongIssuerInMetadata)
        .times(1);
    assert_eq!(
        get_json(provider.metadata_url()).await["issuer"],
        "https://other-issuer.example"
    );
    provider
        .faults()
        .on(Endpoint::Discovery, Fault::HttpEndpoint)
        .times(1);
    let metadata = get_json(provider.metadata_url()).await;
    assert_eq!(metadata["issuer"], provider.issuer());
    let endpoint = Url::parse(text(&metadata, "token_endpoint")).unwrap();
    assert_eq!(
        (endpoint.scheme(), endpoint.host_str()),
        ("http", Some("other-issuer.example"))
    );
}

#[tokio::test]
async fn callbacks_lie() {
    let (provider, _) = logged_in().await;
    let once = |fault| provider.faults().on(Endpoint::Authorize, fault).times(1);
    once(Fault::WrongIssuerInCallback);
    let came_back = callback(&provider, &[]).await;
    assert_eq!(
        came_back.parameter("iss").as_deref(),
        Some("https://other-issuer.example")
    );
    assert!(came_back.parameter("code").is_some());
    once(Fault::MissingIssuerInCallback);
    let came_back = callback(&provider, &[("response_mode", "form_post")]).await;
    assert_eq!(
        (
            came_back.parameter("iss"),
            came_back.parameter("code").is_some()
        ),
        (None, true)
    );
    once(Fault::CallbackError("access_denied".to_owned()));
    let came_back = callback(&provider, &[]).await;
    assert_eq!(
        (
            came_back.parameter("error").as_deref(),
            came_back.parameter("code")
        ),
        (Some("access_denied"), None)
    );
    assert_eq!(came_back.parameter("state").as_deref(), Some("a state"));
    assert_eq!(
        came_back.parameter("iss").as_deref(),
        Some(provider.issuer())
    );
}

#[tokio::test]
async fn userinfo_is_about_somebody_else() {
    let provider = headless().start().await.unwrap();
    let tokens = log_in(&provider, &[]).await;
    provider
        .faults()
        .on(
            Endpoint::Userinfo,
            Fault::OtherSubjectInUserinfo("bob".to_owned()),
        )
        .times(1);
    for expected in ["bob", "alice"] {
        let about: Value = api(&provider, "/userinfo", text(&tokens, "access_token"))
            .await
            .json()
            .await
            .unwrap();
        assert_eq!(about["sub"], expected);
    }
}

#[tokio::test]
#[should_panic(expected = "no fault of Jwks")]
async fn a_fault_that_cannot_come_is_refused() {
    let provider = Provider::start().await.unwrap();
    provider
        .faults()
        .on(Endpoint::Jwks, Fault::IdToken(IdTokenFault::NoKid));
}

/// What differs between a good ID token of a login and one with the fault: `(header, claims)`, each `{name: new value}`
/// with null for what is missing. Signatures are looked at elsewhere.
async fn difference(provider: &Provider, fault: IdTokenFault) -> (Value, Value) {
    // The same code cannot be exchanged twice, so that claims which differ from login to login are left out.
    let (good_header, good) = decode(&log_in(provider, &[]).await["id_token"]);
    let rule = provider
        .faults()
        .on(Endpoint::Token, Fault::IdToken(fault))
        .times(1);
    let tokens = log_in(provider, &[]).await;
    assert_eq!(rule.fired(), 1);
    assert!(tokens["access_token"].is_string() && tokens["refresh_token"].is_string());
    let (header, claims) = decode(&tokens["id_token"]);
    let differing = |good: &Value, bad: &Value, ignored: &[&str]| {
        let (good, bad) = (good.as_object().unwrap(), bad.as_object().unwrap());
        let names = good
            .keys()
            .chain(bad.keys())
            .filter(|name| !ignored.contains(&name.as_str()));
        names
            .filter(|name| good.get(*name) != bad.get(*name))
            .map(|name| (name.clone(), bad.get(name).cloned().unwrap_or_default()))
            .collect()
    };
    let ignored = ["iat", "exp", "auth_time", "at_hash", "sid"].map(|name| {
        let kept = claims.get(name).is_some_and(|value| {
            value
                .as_u64()
                .is_none_or(|at| at >= good[name].as_u64().unwrap())
        });
        if kept { name } else { "" }
    });
    (
        differing(&good_header, &header, &[]),
        differing(&good, &claims, &ignored),
    )
}

#[tokio::test]
async fn id_tokens_are_wrong_in_one_point() {
    let provider = headless().start().await.unwrap();
    for (fault, header, claims) in [
        (IdTokenFault::WrongSignature, json!({}), json!({})),
        (
            IdTokenFault::AlgNone,
            json!({"alg": "none", "kid": null}),
            json!({}),
        ),
        (IdTokenFault::NoKid, json!({"kid": null}), json!({})),
        (
            IdTokenFault::MissingNonce,
            json!({}),
            json!({"nonce": null}),
        ),
        (
            IdTokenFault::WrongAudience,
            json!({}),
            json!({"aud": "another-client"}),
        ),
        (
            IdTokenFault::MissingAudience,
            json!({}),
            json!({"aud": null}),
        ),
        (
            IdTokenFault::WrongIssuer,
            json!({}),
            json!({"iss": "https://other-issuer.example"}),
        ),
        (IdTokenFault::MissingIssuer, json!({}), json!({"iss": null})),
        (IdTokenFault::MissingExpiry, json!({}), json!({"exp": null})),
        (
            IdTokenFault::MissingSubject,
            json!({}),
            json!({"sub": null}),
        ),
        (
            IdTokenFault::MissingIssuedAt,
            json!({}),
            json!({"iat": null}),
        ),
        (
            IdTokenFault::ExtraAudience,
            json!({}),
            json!({"aud": ["tokenkeep", "another-client"], "azp": "tokenkeep"}),
        ),
        (
            IdTokenFault::WrongAuthorizedParty,
            json!({}),
            json!({"azp": "another-client"}),
        ),
        (
            IdTokenFault::OtherSubject("bob".to_owned()),
            json!({}),
            json!({"sub": "bob"}),
        ),
        (
            IdTokenFault::Claim("nbf".to_owned(), json!(9)),
            json!({}),
            json!({"nbf": 9}),
        ),
        (
            IdTokenFault::Claims(json!({"nbf": 9, "sid": null})),
            json!({}),
            json!({"nbf": 9, "sid": null}),
        ),
        (
            IdTokenFault::Claim("sid".to_owned(), json!(null)),
            json!({}),
            json!({"sid": null}),
        ),
    ] {
        assert_eq!(
            difference(&provider, fault.clone()).await,
            (header, claims),
            "{fault:?}"
        );
    }
    let (header, claims) = difference(&provider, IdTokenFault::WrongNonce).await;
    assert!(header == json!({}) && claims["nonce"].is_string());
    let (header, claims) = difference(&provider, IdTokenFault::UnknownKid).await;
    assert!(header["kid"].is_string() && claims == json!({}));
    let (_, claims) = difference(&provider, IdTokenFault::Expired).await;
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        3600
    );
    assert_eq!(claims["auth_time"], claims["iat"]);
}

#[tokio::test]
async fn a_refreshed_id_token_can_be_wrong_alone() {
    let provider = headless().start().await.unwrap();
    let fault = Fault::IdToken(IdTokenFault::OtherSubject("bob".to_owned()));
    provider
        .faults()
        .on(Endpoint::Token, fault)
        .for_grant_type("refresh_token")
        .times(1);
    let tokens = log_in(&provider, &[]).await;
    assert_eq!(decode(&tokens["id_token"]).1["sub"], "alice");
    let (_, second) = refresh(&provider, text(&tokens, "refresh_token")).await;
    assert_eq!(decode(&second["id_token"]).1["sub"], "bob");
    let (_, third) = refresh(&provider, text(&second, "refresh_token")).await;
    assert_eq!(decode(&third["id_token"]).1["sub"], "alice");
}

#[tokio::test]
async fn at_hash_belongs_to_the_access_token_or_not() {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let provider = headless().start().await.unwrap();
    let matches = |tokens: &Value| {
        let half = &super::sha256(text(tokens, "access_token").as_bytes())[..16];
        decode(&tokens["id_token"]).1["at_hash"] == URL_SAFE_NO_PAD.encode(half)
    };
    assert!(matches(&log_in(&provider, &[]).await));
    provider
        .faults()
        .on(Endpoint::Token, Fault::IdToken(IdTokenFault::WrongAtHash));
    let tokens = log_in(&provider, &[]).await;
    assert!(decode(&tokens["id_token"]).1["at_hash"].is_string() && !matches(&tokens));
}

#[tokio::test]
async fn a_code_is_spent_by_a_request_whose_answer_was_lost() {
    let provider = headless().start().await.unwrap();
    let code = callback(&provider, &[]).await.parameter("code").unwrap();
    provider
        .faults()
        .on(Endpoint::Token, Fault::DropAfter)
        .times(1);
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
    ];
    let request = reqwest::Client::new().post(format!("{}/token", provider.issuer()));
    let request = request
        .basic_auth(provider.client_id(), Some(provider.client_secret()))
        .form(&fields);
    assert!(request.send().await.is_err());
    assert!(provider.live_refresh_token("alice", "tokenkeep").is_some());
    assert_eq!(post(&provider, "/token", &fields).await.0, 400);
    assert!(provider.live_refresh_token("alice", "tokenkeep").is_none());
}
