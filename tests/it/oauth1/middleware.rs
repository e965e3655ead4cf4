//! A kept token of OAuth 1.0a signs the requests of a reqwest-middleware client.

use async_trait::async_trait;
use axum::http::Extensions;
use reqwest::{Request, Response, redirect::Policy};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use serde_json::{Value, json};
use tokenkeep::{
    ErrorCode, SignatureType, as_owner,
    middleware::{KeptToken, Whose, error_of},
};

use super::{Photos, everywhere};

type Answer = reqwest_middleware::Result<Response>;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn plain() -> reqwest::Client {
    let plain = reqwest::Client::builder().redirect(Policy::none());
    plain.build().unwrap()
}

fn signing(token: KeptToken) -> ClientWithMiddleware {
    ClientBuilder::new(plain())
        .with(token.follow_redirects())
        .build()
}

fn at(photos: &Photos, path: &str) -> String {
    format!("{}api/{path}", photos.provider.url())
}

async fn json_of(answer: Answer) -> Value {
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

#[track_caller]
fn refused(answer: Answer, code: ErrorCode) -> String {
    let error = answer.expect_err("it is refused");
    let ours = error_of(&error).unwrap_or_else(|| panic!("{error:?}"));
    assert_eq!(ours.code(), code, "{ours:?}");
    ours.message().to_owned()
}

/// What the API was asked, without the legs of the login.
fn asked(photos: &Photos) -> usize {
    let sent = photos.provider.requests().into_iter();
    sent.filter(|sent| sent.path.starts_with("/api/")).count()
}

/// The server checks each signature over what it got, and takes no nonce and no parameter twice.
#[tokio::test]
async fn what_is_sent_is_what_was_signed_wherever_the_parameters_stand() {
    for (method, place) in everywhere() {
        let photos = Photos::signing(method, place).await;
        photos.log_in().await;
        let http = signing(KeptToken::of(photos.alice()));
        let get = http.get(at(&photos, "me?b=%20&a=%2B")).send().await;
        assert_eq!(json_of(get).await["user"], "alice");
        let form = http.post(at(&photos, "albums")).header(FORM.0, FORM.1);
        let posted = json_of(form.body("title=a+b%26c&title=%C3%A9").send().await).await;
        let body = posted["body"].as_str().unwrap();
        assert!(body.starts_with("title=a+b%26c&title=%C3%A9"), "{posted}");
        let put = http.put(at(&photos, "albums")).body("{\"a\":1}");
        assert_eq!(json_of(put.send().await).await["body"], "{\"a\":1}");
        // Each redirect is signed anew.
        let led = http
            .get(at(&photos, "redirect/302?to=/api/me"))
            .send()
            .await;
        assert_eq!(json_of(led).await["path"], "/api/me");
    }
}

#[tokio::test]
async fn a_signature_goes_to_no_other_place() {
    for place in [
        SignatureType::Header,
        SignatureType::Query,
        SignatureType::Body,
    ] {
        let photos = Photos::with(|registration| registration.signature_type(place)).await;
        photos.log_in().await;
        let elsewhere = Photos::new().await;
        let http = signing(KeptToken::of(photos.alice()));
        let there = at(&elsewhere, "me");
        for status in [302, 307] {
            let away = at(&photos, &format!("redirect/{status}?to={there}"));
            let post = http.post(away).header(FORM.0, FORM.1).body("a=b");
            refused(post.send().await, ErrorCode::ForeignOrigin);
        }
        refused(http.get(&there).send().await, ErrorCode::ForeignOrigin);
        assert!(elsewhere.provider.requests().is_empty());

        // A client below that follows redirects by itself gets no signature at all: not even one to the same origin.
        let before = asked(&photos);
        let following = ClientBuilder::new(reqwest::Client::new())
            .with(KeptToken::of(photos.alice()))
            .build();
        for to in ["me", "redirect/302?to=/api/me"] {
            let answer = following.get(at(&photos, to)).send().await;
            let message = refused(answer, ErrorCode::Unsupported);
            assert!(message.contains("Policy::none()"), "{message}");
        }
        assert_eq!(asked(&photos), before);
    }
}

/// Sends everything twice; by the server's rules the same signature does not count twice.
struct Twice;

#[async_trait]
impl Middleware for Twice {
    async fn handle(&self, request: Request, all: &mut Extensions, next: Next<'_>) -> Answer {
        let again = request.try_clone().unwrap();
        next.clone().run(request, all).await?;
        next.run(again, all).await
    }
}

#[tokio::test]
async fn what_is_sent_again_above_is_signed_anew_and_below_it_is_refused() {
    let photos = Photos::new().await;
    photos.log_in().await;
    let token = || KeptToken::of(photos.alice()).follow_redirects();
    let above = ClientBuilder::new(plain()).with(Twice).with(token());
    let answer = above.build().get(at(&photos, "me")).send().await;
    assert_eq!(json_of(answer).await["user"], "alice");
    let below = ClientBuilder::new(plain()).with(token()).with(Twice);
    let put = below.build().post(at(&photos, "albums")).body("x");
    let message = refused(put.send().await, ErrorCode::TokenRejected);
    assert!(!message.is_empty());
}

/// Changes what was signed, on the way.
struct Changes;

#[async_trait]
impl Middleware for Changes {
    async fn handle(&self, mut request: Request, all: &mut Extensions, next: Next<'_>) -> Answer {
        request
            .url_mut()
            .query_pairs_mut()
            .append_pair("added", "1");
        next.run(request, all).await
    }
}

#[tokio::test]
async fn what_is_changed_above_is_signed_and_what_is_changed_below_is_refused() {
    let photos = Photos::new().await;
    photos.log_in().await;
    let token = || KeptToken::of(photos.alice()).follow_redirects();
    let above = ClientBuilder::new(plain()).with(Changes).with(token());
    let got = json_of(above.build().get(at(&photos, "me")).send().await).await;
    assert_eq!(got["query"], "added=1");
    let below = ClientBuilder::new(plain()).with(token()).with(Changes);
    let get = below.build().get(at(&photos, "me"));
    refused(get.send().await, ErrorCode::TokenRejected);
}

#[tokio::test]
async fn a_request_says_whose_signature_it_carries_here_too() {
    let photos = Photos::new().await;
    photos.log_in().await;
    let client = photos.client();
    let http = signing(KeptToken::at(client.clone()));
    let me = at(&photos, "me");
    refused(http.get(&me).send().await, ErrorCode::OwnerMissing);
    let current = as_owner("alice", async { http.get(&me).send().await }).await;
    assert_eq!(json_of(current).await["user"], "alice");
    let token = photos.alice().token().await.unwrap();
    let given = http.get(&me).with_extension(Whose::Given(token));
    assert_eq!(json_of(given.send().await).await["user"], "alice");
    // The application itself, by its own secret alone.
    let app = http.get(&me).with_extension(Whose::Kept(client.app()));
    assert_eq!(json_of(app.send().await).await["user"], json!(null));
    let nobodys = http.get(&me).with_extension(Whose::Nobodys);
    assert_ne!(nobodys.send().await.unwrap().status(), 200);
    let log = photos.provider.requests();
    assert!(log.last().unwrap().authorization.is_empty());
}
