//! Client assertions: a good one is taken once, and every wrong one refused.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::{ClientKey, Provider, TestClient};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

async fn sent(provider: &Provider, assertion: &str, more: &[(&str, &str)]) -> (u16, String) {
    let fields = [
        &[
            ("grant_type", "client_credentials"),
            ("client_assertion", assertion),
        ],
        more,
    ]
    .concat();
    let url = format!("{}/token", provider.issuer());
    let response = reqwest::Client::new().post(url).form(&fields).send().await;
    let response = response.unwrap();
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    let said = body["error_description"].as_str().unwrap_or_default();
    (status, said.to_owned())
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

fn claims(provider: &Provider, jti: &str) -> Value {
    json!({
        "iss": "app", "sub": "app", "aud": provider.issuer(), "iat": now(), "exp": now() + 60,
        "jti": format!("{jti}-that-nobody-can-guess"),
    })
}

#[tokio::test]
async fn a_good_assertion_is_taken_once_and_a_wrong_one_never() {
    let key = ClientKey::generate("ES256").named("k1");
    let provider = Provider::builder()
        .client(TestClient::with_key("app", &key))
        .client(TestClient::confidential("other", "secret"))
        .start()
        .await
        .unwrap();
    let typed = [("client_assertion_type", TYPE)];
    let good = key.assertion(&claims(&provider, "good"));
    assert_eq!(sent(&provider, &good, &typed).await.0, 200);
    let (status, said) = sent(&provider, &good, &typed).await;
    assert_eq!(
        (status, said.as_str()),
        (401, "the assertion was used before")
    );

    let with = |name: &str, value: Value| {
        let mut claims = claims(&provider, name);
        claims[name] = value;
        key.assertion(&claims)
    };
    let fresh = claims(&provider, "key");
    let nameless = ClientKey::generate("ES256");
    let mut bent = key.assertion(&claims(&provider, "bent"));
    let last = bent.pop().unwrap();
    bent.push(if last == 'A' { 'Q' } else { 'A' });
    for (what, assertion) in [
        (
            "another key",
            ClientKey::generate("ES256").named("k1").assertion(&fresh),
        ),
        (
            "another algorithm",
            ClientKey::generate("EdDSA").named("k1").assertion(&fresh),
        ),
        ("a key without its name", nameless.assertion(&fresh)),
        (
            "another audience",
            with("aud", json!("https://elsewhere.example")),
        ),
        (
            "the token endpoint",
            with("aud", json!(format!("{}/token", provider.issuer()))),
        ),
        ("over", with("exp", json!(now() - 1))),
        ("for a day", with("exp", json!(now() + 86_400))),
        ("no end", with("exp", Value::Null)),
        ("no beginning", with("iat", Value::Null)),
        ("from the future", with("iat", json!(now() + 600))),
        ("a number that can be guessed", with("jti", json!("1"))),
        ("no number", with("jti", Value::Null)),
        ("another subject", with("sub", json!("other"))),
        ("another issuer", with("iss", json!("other"))),
        ("nobody", with("iss", json!("nobody"))),
        ("no JWS", "a.b".to_owned()),
        ("a bent signature", bent),
    ] {
        let (status, said) = sent(&provider, &assertion, &typed).await;
        assert_eq!(status, 401, "{what}");
        assert!(
            said.contains("assertion") || said.contains("client"),
            "{what}: {said}"
        );
    }
    let untyped = key.assertion(&claims(&provider, "untyped"));
    assert_eq!(sent(&provider, &untyped, &[]).await.0, 401);
    let other_id = [("client_assertion_type", TYPE), ("client_id", "other")];
    let foreign = key.assertion(&claims(&provider, "foreign"));
    assert_eq!(sent(&provider, &foreign, &other_id).await.0, 401);
    let twice = [("client_assertion_type", TYPE), ("client_secret", "secret")];
    let both = key.assertion(&claims(&provider, "both"));
    assert_eq!(sent(&provider, &both, &twice).await.0, 400);
    // Whoever has a key is not the client by naming it.
    let named = [("grant_type", "client_credentials"), ("client_id", "app")];
    let url = format!("{}/token", provider.issuer());
    let answer = reqwest::Client::new().post(url).form(&named).send().await;
    assert_eq!(answer.unwrap().status(), 401);
}

#[tokio::test]
async fn a_client_may_be_registered_for_the_token_endpoint_as_audience() {
    let key = ClientKey::generate("EdDSA");
    let client = TestClient::with_key("app", &key).token_endpoint_audience();
    let provider = Provider::builder().client(client).start().await.unwrap();
    let typed = [("client_assertion_type", TYPE)];
    let by_issuer = key.assertion(&claims(&provider, "issuer"));
    assert_eq!(sent(&provider, &by_issuer, &typed).await.0, 401);
    let mut claims = claims(&provider, "endpoint");
    claims["aud"] = format!("{}/token", provider.issuer()).into();
    assert_eq!(
        sent(&provider, &key.assertion(&claims), &typed).await.0,
        200
    );
}
