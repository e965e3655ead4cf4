//! How clients are told from one another.

use serde_json::Value;

use super::headless;
use crate::{AuthMethod, Provider, TestClient};

const SECRET: &str = "s+e c:r&e=t%/ü";

async fn credentials(
    provider: &Provider,
    basic: Option<&str>,
    fields: &[(&str, &str)],
) -> (u16, String) {
    let mut request = reqwest::Client::new().post(format!("{}/token", provider.issuer()));
    if let Some(basic) = basic {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        request = request.header("authorization", format!("Basic {}", STANDARD.encode(basic)));
    }
    let fields = [fields, &[("grant_type", "client_credentials")]].concat();
    let response = request.form(&fields).send().await.unwrap();
    let (status, challenge) = (
        response.status().as_u16(),
        response.headers().contains_key("www-authenticate"),
    );
    assert_eq!(challenge, status == 401);
    let body: Value = response.json().await.unwrap();
    (
        status,
        body["error"].as_str().unwrap_or_default().to_owned(),
    )
}

#[tokio::test]
async fn secrets_come_form_urlencoded_in_the_header_or_in_the_body() {
    let provider = Provider::builder()
        .client(TestClient::confidential("a client", SECRET))
        .start()
        .await
        .unwrap();
    let encoded = "a+client:s%2Be+c%3Ar%26e%3Dt%25%2F%C3%BC";
    assert_eq!(credentials(&provider, Some(encoded), &[]).await.0, 200);
    assert_eq!(
        credentials(
            &provider,
            None,
            &[("client_id", "a client"), ("client_secret", SECRET)]
        )
        .await
        .0,
        200
    );
    // Not encoded, as many clients get it wrong.
    assert_eq!(
        credentials(&provider, Some(&format!("a client:{SECRET}")), &[]).await,
        (401, "invalid_client".to_owned())
    );
}

#[tokio::test]
async fn whoever_cannot_prove_it_is_refused() {
    let provider = Provider::builder()
        .client(TestClient::confidential("basic", "right").auth_method(AuthMethod::Basic))
        .client(TestClient::confidential("post", "right").auth_method(AuthMethod::Post))
        .client(TestClient::public("public"))
        .start()
        .await
        .unwrap();
    let invalid_client = (401, "invalid_client".to_owned());
    for (basic, fields) in [
        (Some("basic:wrong"), vec![]),
        (Some("unknown:right"), vec![]),
        (Some("post:right"), vec![]),
        (Some("no colon"), vec![]),
        (None, vec![]),
        (None, vec![("client_id", "basic")]),
        (
            None,
            vec![("client_id", "basic"), ("client_secret", "right")],
        ),
        (
            None,
            vec![("client_id", "post"), ("client_secret", "wrong")],
        ),
        (
            None,
            vec![("client_id", "public"), ("client_secret", "right")],
        ),
    ] {
        assert_eq!(
            credentials(&provider, basic, &fields).await,
            invalid_client,
            "{basic:?} {fields:?}"
        );
    }
    let twice = credentials(
        &provider,
        Some("basic:right"),
        &[("client_secret", "right")],
    )
    .await;
    assert_eq!(twice, (400, "invalid_request".to_owned()));
    let another = credentials(&provider, Some("basic:right"), &[("client_id", "post")]).await;
    assert_eq!(another, (400, "invalid_request".to_owned()));
    assert_eq!(
        credentials(&provider, None, &[("client_id", "public")]).await,
        (400, "unauthorized_client".to_owned())
    );
    assert_eq!(
        credentials(&provider, Some("basic:right"), &[]).await.0,
        200
    );
    assert_eq!(
        credentials(
            &provider,
            None,
            &[("client_id", "post"), ("client_secret", "right")]
        )
        .await
        .0,
        200
    );
}

#[tokio::test]
async fn the_default_client_has_a_secret_of_its_own() {
    let (one, two) = (
        headless().start().await.unwrap(),
        headless().start().await.unwrap(),
    );
    assert_eq!(one.client_id(), "tokenkeep");
    assert!(one.client_secret().len() >= 32);
    assert_ne!(one.client_secret(), two.client_secret());
}

#[test]
fn redirect_uris_are_compared_exactly_but_for_the_port_of_the_loopback() {
    let client = TestClient::public("app")
        .redirect_uri("https://app.example/cb?x=1")
        .redirect_uri("http://127.0.0.1/cb");
    for (uri, theirs) in [
        ("https://app.example/cb?x=1", true),
        ("https://app.example/cb", false),
        ("https://app.example:8443/cb?x=1", false),
        ("https://app.example/cb?x=1&y=2", false),
        ("http://127.0.0.1/cb", true),
        ("http://127.0.0.1:3000/cb", true),
        ("http://127.0.0.1:3000/cb/", false),
        ("http://127.0.0.1:3000/cb?x=1", false),
        ("http://127.0.0.2:3000/cb", false),
        ("http://localhost:3000/cb", false),
        ("https://127.0.0.1:3000/cb", false),
        ("http://user@127.0.0.1:3000/cb", false),
        ("http://127.0.0.1:3000/cb#", false),
    ] {
        assert_eq!(client.may_redirect_to(uri), theirs, "{uri}");
    }
    let open = TestClient::public("app").any_loopback_redirect_uri();
    for (uri, theirs) in [
        ("http://127.0.0.1:1/x", true),
        ("http://[::1]:1/x?y", true),
        ("http://localhost/", true),
        ("http://localhost.example/", false),
        ("https://app.example/", false),
        ("http://10.0.0.1/", false),
    ] {
        assert_eq!(open.may_redirect_to(uri), theirs, "{uri}");
        assert_eq!(open.may_return_to(uri), theirs, "{uri}");
    }
}
