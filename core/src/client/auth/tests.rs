use super::*;
use crate::{Registration, Settings, client::resolve};

fn client(registration: Registration) -> Resolved {
    resolve(&registration, &Settings::default()).unwrap()
}

fn openid() -> Registration {
    Registration::openid("op", "https://op.example").client_id("a b:ü")
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn methods_are_known_by_their_registered_names() {
    for method in [
        AuthMethod::ClientSecretBasic,
        AuthMethod::ClientSecretPost,
        AuthMethod::None,
    ] {
        assert_eq!(AuthMethod::parse(method.as_str()).unwrap(), method);
    }
    let error = AuthMethod::parse("private_key_jwt").unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unsupported);
    assert!(error.message().contains("private_key_jwt"));
}

#[test]
fn the_method_is_negotiated() {
    let secret = || openid().client_secret("s");
    let post = AuthMethod::ClientSecretPost;
    for (registration, supported, expected) in [
        (openid(), None, "none"),
        (openid(), Some(names(&["client_secret_basic"])), "none"),
        (secret(), None, "client_secret_basic"),
        (
            secret(),
            Some(names(&["client_secret_post", "client_secret_basic"])),
            "client_secret_basic",
        ),
        (
            secret(),
            Some(names(&["private_key_jwt", "client_secret_post"])),
            "client_secret_post",
        ),
        (
            secret().token_endpoint_auth_method(post),
            Some(names(&["client_secret_basic"])),
            "client_secret_post",
        ),
        (
            secret().token_endpoint_auth_method(AuthMethod::None),
            None,
            "none",
        ),
    ] {
        let chosen = negotiate(&client(registration), Endpoint::Token, supported.as_deref());
        assert_eq!(chosen.unwrap().name(), expected);
    }
    let none_fits = negotiate(
        &client(secret()),
        Endpoint::Token,
        Some(&names(&["private_key_jwt"])),
    );
    let error = none_fits.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
    assert_eq!(error.client(), Some("op"));
    assert!(error.message().contains("private_key_jwt"));
}

#[test]
fn each_endpoint_may_have_its_own_method() {
    let both = openid()
        .client_secret("s")
        .token_endpoint_auth_method(AuthMethod::ClientSecretPost);
    let method = |registration: &Registration| {
        let chosen = negotiate(&client(registration.clone()), Endpoint::Revocation, None);
        chosen.unwrap().name().to_owned()
    };
    assert_eq!(method(&both), "client_secret_post");
    let own = both.revocation_endpoint_auth_method(AuthMethod::ClientSecretBasic);
    assert_eq!(method(&own), "client_secret_basic");
}

async fn authenticated(registration: Registration) -> TokenRequest {
    let url = "https://op.example/token".parse().unwrap();
    let mut request = TokenRequest::new(url, Phase::TokenRequest);
    request.append("grant_type", "authorization_code");
    request.append("client_id", "a b:ü");
    let method = negotiate(&client(registration), Endpoint::Token, None).unwrap();
    method.authenticate(&mut request).await.unwrap();
    request
}

fn basic(request: &TokenRequest) -> String {
    let header = &request.headers()[AUTHORIZATION];
    assert!(header.is_sensitive());
    let text = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

#[tokio::test]
async fn basic_is_encoded_as_a_form_and_stands_alone() {
    let registration = openid().client_secret("p%w:ö/+ ");
    let request = authenticated(registration.clone()).await;
    assert_eq!(basic(&request), "a+b%3A%C3%BC:p%25w%3A%C3%B6%2F%2B+");
    assert_eq!(request.parameter("client_id"), None);
    let raw = authenticated(registration.raw_basic_credentials()).await;
    assert_eq!(basic(&raw), "a b:ü:p%w:ö/+ ");
}

#[tokio::test]
async fn post_and_none_name_the_client_in_the_form() {
    let post = openid()
        .client_secret("s")
        .token_endpoint_auth_method(AuthMethod::ClientSecretPost);
    let request = authenticated(post).await;
    assert_eq!(request.parameter("client_id"), Some("a b:ü"));
    assert_eq!(request.parameter("client_secret"), Some("s"));
    assert!(request.headers().get(AUTHORIZATION).is_none());
    let request = authenticated(openid()).await;
    assert_eq!(
        request.names().collect::<Vec<_>>(),
        ["grant_type", "client_id"]
    );
    assert!(request.headers().get(AUTHORIZATION).is_none());
}
