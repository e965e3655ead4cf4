//! Calls with a kept token, and what becomes of it.

use reqwest::Method;
use serde_json::{Value, json};
use tokenkeep::{
    Action, Credential, ErrorCode, GrantState, Phase, Registration, SignatureMethod, SignatureType,
    Token, TokenKey,
};
use tokenkeep_testing::SignedRequest;

use super::{PHOTOS, Photos, everywhere};
use crate::world::refused;

fn to_api(photos: &Photos) -> Vec<SignedRequest> {
    let sent = photos.provider.requests().into_iter();
    sent.filter(|sent| sent.path.starts_with("/api/")).collect()
}

/// How often a protocol parameter stands in a request, wherever.
fn count(sent: &SignedRequest, name: &str) -> usize {
    let places = [&sent.authorization, &sent.query, &sent.body];
    places.iter().map(|place| place.matches(name).count()).sum()
}

#[tokio::test]
async fn each_request_is_signed_wherever_its_parameters_stand() {
    for (method, place) in everywhere() {
        let photos = Photos::signing(method, place).await;
        photos.log_in().await;
        let alice = photos.alice();
        let got: Value = alice
            .get("me?b=%20&a=%2B")
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(got["user"], "alice");
        let posted = alice
            .post("albums")
            .form([("title", "a b&c"), ("title", "é")]);
        let posted: Value = posted.await.unwrap().json().await.unwrap();
        assert!(
            posted["body"]
                .as_str()
                .unwrap()
                .starts_with("title=a+b%26c&title=%C3%A9")
        );
        let json = alice.put("albums").json(json!({ "a": 1 })).await.unwrap();
        let json: Value = json.json().await.unwrap();
        assert_eq!(json["body"], "{\"a\":1}");
        for sent in photos.provider.requests() {
            for name in ["oauth_nonce=", "oauth_signature=", "oauth_consumer_key="] {
                assert_eq!(count(&sent, name), 1, "{method} {place:?} {sent:?}");
            }
        }
        let in_form = to_api(&photos)[1].body.contains("oauth_nonce=");
        assert_eq!(in_form, place == SignatureType::Body);
    }
}

#[tokio::test]
async fn realm_and_body_hash_are_sent_where_they_are_wanted() {
    let photos =
        Photos::with(|registration| registration.realm("Photos").force_include_body()).await;
    photos.log_in().await;
    let json = photos
        .alice()
        .post("albums")
        .json(json!({ "a": 1 }))
        .await
        .unwrap();
    let json: Value = json.json().await.unwrap();
    // `printf '{"a":1}' | openssl dgst -sha1 -binary | base64`
    assert_eq!(json["body_hash"], "n4nHQM60bXQYySSnisV5QdXpZSA=");
    let get: Value = photos
        .alice()
        .get("me")
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(get["body_hash"], Value::Null);
    for sent in photos.provider.requests() {
        assert!(
            sent.authorization
                .starts_with("OAuth realm=\"Photos\", oauth_"),
            "{sent:?}"
        );
    }
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_signed_anew() {
    for place in [
        SignatureType::Header,
        SignatureType::Query,
        SignatureType::Body,
    ] {
        let photos = Photos::with(|registration| registration.signature_type(place)).await;
        photos.log_in().await;
        // The server takes no nonce twice, and no parameter twice.
        let got = photos.alice().get("redirect/302?to=/api/me").await.unwrap();
        let got: Value = got.json().await.unwrap();
        assert_eq!(
            (&got["path"], &got["user"]),
            (&json!("/api/me"), &json!("alice"))
        );
        let posted = photos
            .alice()
            .post("redirect/307?to=/api/albums")
            .form([("a", "b")]);
        let posted: Value = posted.await.unwrap().json().await.unwrap();
        assert!(
            posted["body"].as_str().unwrap().starts_with("a=b"),
            "{posted}"
        );
        assert_eq!(posted["method"], "POST");
    }
}

#[tokio::test]
async fn a_redirect_that_repeats_the_query_is_signed_by_fresh_parameters_alone() {
    let photos =
        Photos::with(|registration| registration.signature_type(SignatureType::Query)).await;
    photos.log_in().await;
    let to = "/api/me?a=b&oauth_nonce=old&oauth_signature=old&oauth_token=old";
    photos
        .provider
        .answer("/api/old", 302, &[("location", to)], "");
    let got: Value = photos
        .alice()
        .get("old")
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(
        got["query"]
            .as_str()
            .unwrap()
            .starts_with("a=b&oauth_consumer_key="),
        "{got}"
    );
}

#[tokio::test]
async fn no_other_origin_gets_a_signature() {
    let photos = Photos::new().await;
    photos.log_in().await;
    let elsewhere = Photos::new().await;
    let to = format!("redirect/302?to={}api/me", elsewhere.provider.url());
    refused(photos.alice().get(&to).await, ErrorCode::ForeignOrigin);
    let direct = format!("{}api/me", elsewhere.provider.url());
    refused(photos.alice().get(&direct).await, ErrorCode::ForeignOrigin);
    assert!(elsewhere.provider.requests().is_empty());
}

#[tokio::test]
async fn a_token_that_the_api_refuses_is_rejected_and_its_record_stays() {
    let photos = Photos::new().await;
    photos.log_in().await;
    photos.provider.revoke_all();
    let error = refused(photos.alice().get("me").await, ErrorCode::TokenRejected);
    assert_eq!(
        (error.phase(), error.client()),
        (Phase::Request, Some(PHOTOS))
    );
    assert!(matches!(error.action(), Action::Login { .. }));
    assert_eq!(
        error.provider().unwrap().error.as_deref(),
        Some("token_rejected")
    );
    assert_eq!(to_api(&photos).len(), 1, "nothing is sent again");
    let info = photos.alice().info().await.unwrap().unwrap();
    assert_eq!(info.state, GrantState::Active);
    photos.log_in().await;
    assert_eq!(photos.alice().get("me").await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_named() {
    let photos = Photos::new().await;
    photos.log_in().await;
    photos.provider.set_clock_ahead(3600);
    let error = refused(photos.alice().get("me").await, ErrorCode::TokenRejected);
    assert_eq!(error.action(), &Action::Configure);
    assert!(error.message().contains("this machine's clock"), "{error}");
    // The clock that was given to the builder is the one that counts.
    photos
        .world
        .clock
        .advance(std::time::Duration::from_secs(3600));
    assert_eq!(photos.alice().get("me").await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_used_nonce_is_replaced_once_for_a_request_that_may_be_repeated() {
    let photos = Photos::new().await;
    photos.log_in().await;
    let used = [("www-authenticate", "OAuth oauth_problem=\"nonce_used\"")];
    let alice = photos.alice();
    for (method, is_repeated) in [
        (Method::GET, true),
        (Method::PUT, true),
        (Method::DELETE, true),
        (Method::POST, false),
        (Method::PATCH, false),
    ] {
        let before = to_api(&photos).len();
        photos.provider.answer("/api/me", 401, &used, "");
        let answer = alice.request(method.clone(), "me").await;
        if is_repeated {
            assert_eq!(answer.unwrap().status(), 200);
            let sent = to_api(&photos);
            assert_ne!(sent[before].authorization, sent[before + 1].authorization);
        } else {
            let error = refused(answer, ErrorCode::TokenRejected);
            assert_eq!(error.action(), &Action::Retry { after: None });
            assert!(error.message().contains("sends requests twice"), "{error}");
        }
        assert_eq!(
            to_api(&photos).len(),
            before + 1 + usize::from(is_repeated),
            "{method}"
        );
    }
    // Once is enough.
    for _ in 0..2 {
        photos.provider.answer("/api/me", 401, &used, "");
    }
    refused(alice.get("me").await, ErrorCode::TokenRejected);
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong_in_header_or_body_and_repeats_no_secret() {
    let photos = Photos::new().await;
    photos.log_in().await;
    let token = photos.alice().token().await.unwrap();
    let token = token.access_token().expose().to_owned();
    let body = format!("oauth_problem=token_expired&oauth_problem_advice={token}+is+over");
    photos.provider.answer("/api/me", 401, &[], &body);
    let error = refused(photos.alice().get("me").await, ErrorCode::TokenRejected);
    let said = error.provider().unwrap();
    assert_eq!(said.error.as_deref(), Some("token_expired"));
    assert_eq!(said.description.as_deref(), Some("[secret] is over"));
    assert!(matches!(error.action(), Action::Login { .. }));
    // Not every 4xx has to do with the token.
    photos.provider.answer("/api/me", 403, &[], "not yours");
    assert_eq!(photos.alice().get("me").await.unwrap().status(), 403);
    let named = [(
        "www-authenticate",
        "OAuth oauth_problem=\"timestamp_refused\"",
    )];
    photos.provider.answer("/api/me", 400, &named, "");
    refused(photos.alice().get("me").await, ErrorCode::TokenRejected);
    // A body without an end is not read to it.
    photos
        .provider
        .answer("/api/me", 401, &[], &"x".repeat(100_000));
    refused(photos.alice().get("me").await, ErrorCode::TokenRejected);
}

/// With PLAINTEXT an API sees the secrets of client and token, and may repeat them however they were written.
#[tokio::test]
async fn no_error_repeats_what_plaintext_sends() {
    let photos = Photos::with(|registration| {
        let plaintext = registration.signature_method(SignatureMethod::Plaintext);
        plaintext.client_secret("open sesame")
    })
    .await;
    let row = Token::builder("tok").credential(Credential::OAuth1 {
        secret: "shut/it".into(),
    });
    let key = TokenKey::new(PHOTOS, "alice").unwrap();
    photos.oauth.adopt(key, row.build().unwrap()).await.unwrap();
    photos.provider.answer("/api/me", 200, &[], "");
    photos.alice().get("me").await.unwrap();
    let authorization = to_api(&photos)[0].authorization.clone();
    let signature = "oauth_signature=\"open%2520sesame%26shut%252Fit\"";
    assert!(authorization.contains(signature), "{authorization}");
    for echo in [
        "open sesame and shut/it",
        "open%20sesame&shut%2Fit",
        signature,
    ] {
        let advice = url::form_urlencoded::byte_serialize(echo.as_bytes()).collect::<String>();
        let body = format!("oauth_problem=signature_invalid&oauth_problem_advice=wrong:+{advice}");
        photos.provider.answer("/api/me", 401, &[], &body);
        let error = refused(photos.alice().get("me").await, ErrorCode::TokenRejected);
        let shown = format!("{error} {error:#?}");
        assert!(shown.contains("wrong: "), "{shown}");
        for part in ["sesame", "shut"] {
            assert!(!shown.contains(part), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_token_is_never_refreshed_and_the_refusal_says_what_to_do() {
    let photos = Photos::new().await;
    photos.log_in().await;
    let before = photos.provider.requests().len();
    let error = refused(photos.alice().refresh().await, ErrorCode::Unsupported);
    assert_eq!(
        (error.phase(), error.client()),
        (Phase::Refresh, Some(PHOTOS))
    );
    assert!(error.message().contains("logs in again"), "{error}");
    assert!(matches!(error.action(), Action::Login { .. }));
    let error = refused(photos.client().app().token().await, ErrorCode::Unsupported);
    assert_eq!(error.client(), Some(PHOTOS));
    assert_eq!(photos.provider.requests().len(), before);
    photos.alice().token().await.unwrap();
}

#[tokio::test]
async fn logging_out_and_revoking_end_it_here() {
    let photos = Photos::new().await;
    for revoke in [false, true] {
        photos.log_in().await;
        let before = photos.provider.requests().len();
        if revoke {
            photos.alice().revoke().await.unwrap();
        } else {
            photos.alice().log_out().await.unwrap();
        }
        photos
            .oauth
            .drain(std::time::Duration::from_secs(10))
            .await
            .unwrap();
        refused(photos.alice().get("me").await, ErrorCode::LoginRequired);
        let info = photos.alice().info().await.unwrap().unwrap();
        assert_eq!(info.state, GrantState::LoggedOut);
        assert_eq!(
            photos.provider.requests().len(),
            before,
            "there is nobody to tell"
        );
    }
}

#[tokio::test]
async fn a_browser_s_logout_ends_its_session_and_leads_nowhere() {
    let photos = Photos::new().await;
    let session = photos.log_in().await.session.unwrap();
    let out = photos.oauth.log_out(&session, None).await.unwrap();
    assert!(out.redirect.is_none());
    assert!(!photos.oauth.is_signed_in(&session).await.unwrap());
}

/// RFC 5849 section 3.1: without a token the client signs for itself.
#[tokio::test]
async fn the_application_itself_signs_without_a_token() {
    let photos = Photos::new().await;
    let got = photos.client().app().get("public").await.unwrap();
    let got: Value = got.json().await.unwrap();
    assert_eq!(got["user"], Value::Null);
    let sent = &to_api(&photos)[0];
    assert_eq!(count(sent, "oauth_token="), 0);
    assert_eq!(count(sent, "oauth_signature="), 1);
}

#[tokio::test]
async fn tokens_of_elsewhere_are_adopted_or_given_with_their_secret() {
    let photos = Photos::new().await;
    let token = photos.login().await.unwrap().token;
    let given = photos.client().request_with(&token, Method::GET, "me");
    assert_eq!(given.await.unwrap().status(), 200);
    let Credential::OAuth1 { secret } = token.credential() else {
        panic!("it is one of OAuth 1.0a");
    };
    let row = Token::builder(token.access_token().clone()).credential(Credential::OAuth1 {
        secret: secret.clone(),
    });
    let key = TokenKey::new(PHOTOS, "alice").unwrap();
    photos.oauth.adopt(key, row.build().unwrap()).await.unwrap();
    assert_eq!(photos.alice().get("me").await.unwrap().status(), 200);
    // A client of OAuth 2.0 has nothing to sign with.
    let plain = Registration::oauth2("plain", "https://a.example/a", "https://a.example/t")
        .client_id("x")
        .api_base_url(photos.provider.url().as_str());
    photos.oauth.register(plain).unwrap();
    let plain = photos.oauth.client("plain").unwrap();
    let error = refused(
        plain.request_with(&token, Method::GET, "api/me").await,
        ErrorCode::Unsupported,
    );
    assert!(error.message().contains("request_token_url()"), "{error}");
}

#[tokio::test]
async fn what_only_the_protocol_may_set_is_refused_in_a_call() {
    let photos = Photos::new().await;
    photos.log_in().await;
    for path in ["me?oauth_token=x", "me?a=b&oauth_nonce=y"] {
        let error = refused(photos.alice().get(path).await, ErrorCode::InvalidParameter);
        assert_eq!(error.client(), Some(PHOTOS));
    }
    refused(
        photos.alice().get("me").header("authorization", "x").await,
        ErrorCode::InvalidParameter,
    );
    assert!(to_api(&photos).is_empty());
}
