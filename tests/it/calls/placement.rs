//! Where a token stands in a request, and which tokens stand in none.

use serde_json::json;
use tokenkeep::{Credential, ErrorCode, Phase, Placement, Registration, Token, TokenKey};
use tokenkeep_testing::{Replies, Reply, SentRequest};

use super::{adopted, builder, registration};
use crate::world::{CLIENT, alice, refused};

fn answers() -> Replies {
    let reply = || Reply::json(json!({}));
    Replies::new()
        .on("GET", "/v1/files", reply())
        .on("POST", "/v1/files", reply())
}

fn only(replies: &Replies) -> SentRequest {
    let requests = replies.requests();
    let [sent] = &requests[..] else {
        panic!("{replies:?}");
    };
    sent.clone()
}

#[tokio::test]
async fn a_token_in_the_body_stands_behind_the_form_and_nowhere_else() {
    for (media, form, body) in [
        (
            "application/x-www-form-urlencoded",
            "a=1&b=%20+%C3",
            "a=1&b=%20+%C3&access_token=the-token",
        ),
        (
            "Application/X-WWW-Form-Urlencoded; charset=utf-8",
            "",
            "access_token=the-token",
        ),
        // One that the application brought gives way: each parameter once.
        (
            "application/x-www-form-urlencoded",
            "access%5Ftoken=old&a=1&access_token=older&a=2",
            "a=1&a=2&access_token=the-token",
        ),
    ] {
        let replies = answers();
        let oauth = builder(&replies, |op| op.token_placement(Placement::Body));
        let grant = adopted(&oauth.build().unwrap()).await;
        let post = grant.post("files").header("content-type", media).body(form);
        assert_eq!(post.await.unwrap().status(), 200);
        let sent = only(&replies);
        assert_eq!(String::from_utf8(sent.body.unwrap()).unwrap(), body);
        assert!(!sent.headers.contains_key("authorization"));
        assert!(!sent.url.as_str().contains("the-token"));
    }
    // Octets stay what they are.
    let replies = answers();
    let oauth = builder(&replies, |op| op.token_placement(Placement::Body));
    let grant = adopted(&oauth.build().unwrap()).await;
    let post = grant
        .post("files")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(vec![b'a', b'=', 0xff, 0xfe]);
    post.await.unwrap();
    assert_eq!(
        only(&replies).body.unwrap(),
        b"a=\xff\xfe&access_token=the-token"
    );
}

#[tokio::test]
async fn a_token_in_the_body_needs_a_form_that_can_be_read() {
    let replies = answers();
    let oauth = builder(&replies, |op| op.token_placement(Placement::Body));
    let grant = adopted(&oauth.build().unwrap()).await;
    let pieces = tokio_stream::iter(["a=1"].map(Ok::<_, std::io::Error>));
    let streamed = reqwest::Body::wrap_stream(pieces);
    let form = "application/x-www-form-urlencoded";
    for request in [
        grant.get("files"),
        grant.post("files").json(json!({"a": 1})),
        grant.post("files").body("a=1"),
        grant
            .post("files")
            .header("content-type", &format!("{form}x"))
            .body("a=1"),
        grant
            .post("files")
            .header("content-type", form)
            .body(streamed),
    ] {
        let error = refused(request.await, ErrorCode::Unsupported);
        assert_eq!(error.phase(), Phase::Request);
        assert!(error.message().contains("form"), "{error}");
    }
    assert!(replies.requests().is_empty());
}

#[tokio::test]
async fn a_token_in_the_query_stands_there_once() {
    for (path, query) in [
        ("files", "access_token=the-token"),
        ("files?a=%20b", "a=%20b&access_token=the-token"),
        // As some APIs hand out links to their next page.
        (
            "https://api.example/v1/files?access_token=old&after=x",
            "after=x&access_token=the-token",
        ),
    ] {
        let replies = answers();
        let in_query = |op: Registration| op.token_placement(Placement::DangerouslyInQuery);
        let grant = adopted(&builder(&replies, in_query).build().unwrap()).await;
        assert_eq!(grant.get(path).await.unwrap().status(), 200);
        let sent = only(&replies);
        assert_eq!(sent.url.query(), Some(query));
        assert!(!sent.headers.contains_key("authorization"));
    }
}

/// Neither a kept one nor one of the caller's: an API must not take for a bearer token what somebody else could have stolen.
#[tokio::test]
async fn a_token_of_another_type_is_never_sent_as_a_bearer_token() {
    let dpop = Credential::Dpop {
        key: r#"{"kty":"EC","d":"the-private-key"}"#.into(),
    };
    let token = |credential| Token::builder("the-token").credential(credential);
    let mac = Token::builder("the-token").token_type("mac");
    let named = Token::builder("the-token").token_type("DPoP");
    for (token, kind, what) in [
        (token(dpop), "DPoP", "RFC 9449"),
        (named, "DPoP", "DPoP"),
        (mac, "mac", "mac"),
    ] {
        let token = token.build().unwrap();
        for placement in [
            Placement::Header,
            Placement::Body,
            Placement::DangerouslyInQuery,
        ] {
            let replies = answers();
            let oauth = builder(&replies, |op| op.token_placement(placement))
                .build()
                .unwrap();
            let key = TokenKey::new(CLIENT, "alice").unwrap();
            oauth.adopt(key, token.clone()).await.unwrap();
            let grant = alice(&oauth);
            let client = oauth.client(CLIENT).unwrap();
            for request in [
                grant.post("files").form([("a", "1")]),
                client.post("files").form([("a", "1")]).token(&token),
            ] {
                let error = refused(request.await, ErrorCode::Unsupported);
                assert!(error.message().contains(what), "{error}");
                let shown = format!("{error:?} {error:#?}");
                assert!(!shown.contains("the-token") && !shown.contains("the-private-key"));
            }
            let kept = grant.kept().unwrap();
            refused(kept.header().await, ErrorCode::Unsupported);
            assert!(kept.ready().is_none());
            assert!(replies.requests().is_empty());
            // It is kept as it came.
            let info = grant.info().await.unwrap().unwrap();
            assert_eq!(info.token_type.as_deref(), Some(kind));
            let held = grant.token().await.unwrap();
            assert_eq!(held.credential().token_type(), kind);
        }
    }
}

/// The provider's answer decides what a token is, also where nobody asked for anything but a bearer token.
#[tokio::test]
async fn an_answer_with_another_type_of_token_is_refused() {
    let answer = json!({"access_token": "the-token", "token_type": "DPoP", "expires_in": 3600});
    let replies = answers().on("POST", "/token", Reply::json(answer));
    let oauth = builder(&replies, |_| registration()).build().unwrap();
    let app = oauth.client(CLIENT).unwrap().app();
    let error = refused(app.get("files").await, ErrorCode::ProviderError);
    assert!(error.message().contains("token type"), "{error}");
    assert!(!format!("{error:?}").contains("the-token"));
    let requests = replies.requests();
    assert!(requests.iter().all(|sent| sent.url.path() == "/token"));
}
