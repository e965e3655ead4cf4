//! What a hook before an API call sees, and what it may do.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use reqwest::{Request, header::HeaderValue};
use serde_json::json;
use tokenkeep::{Hook, Placement, Result};
use tokenkeep_testing::{Replies, Reply};

use super::{adopted, builder};
use crate::world::CLIENT;

/// Remembers each request, then marks it.
#[derive(Clone, Default)]
struct Watches(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Hook for Watches {
    async fn protected_request(&self, client: &str, request: &mut Request) -> Result<()> {
        assert_eq!(client, CLIENT);
        let body = request.body().and_then(|body| body.as_bytes());
        let body = String::from_utf8_lossy(body.unwrap_or_default()).into_owned();
        let mut headers: Vec<_> = request.headers().keys().map(|name| name.as_str()).collect();
        headers.sort_unstable();
        let seen = format!("{} {} {headers:?} {body}", request.method(), request.url());
        self.0.lock().unwrap().push(seen);
        let value = HeaderValue::from_static("of the hook");
        request.headers_mut().insert("x-hook", value);
        Ok(())
    }
}

/// Each time with the method, address, headers and body that are sent then; but for the token, which is put in afterwards, and
/// but for what it put into the one before.
#[tokio::test]
async fn a_hook_sees_every_request_as_it_is_sent_but_for_the_token() {
    for placement in [
        Placement::Header,
        Placement::Body,
        Placement::DangerouslyInQuery,
    ] {
        let answer = json!({"access_token": "new-token", "token_type": "bearer"});
        let replies = Replies::new()
            .on("POST", "/v1/files", Reply::status(401))
            .on(
                "POST",
                "/v1/files",
                Reply::status(307).header("location", "/v1/there?b=2"),
            )
            .on("POST", "/v1/there", Reply::json(json!({})))
            .on("POST", "/token", Reply::json(answer));
        let hook = Watches::default();
        let oauth = builder(&replies, |op| op.token_placement(placement)).hook(hook.clone());
        let grant = adopted(&oauth.build().unwrap()).await;
        let post = grant.post("files").query([("a", "1")]).form([("c", "3")]);
        assert_eq!(post.header("x-mine", "1").await.unwrap().status(), 200);
        let headers = r#"["content-type", "x-mine"]"#;
        let first = format!("POST https://api.example/v1/files?a=1 {headers} c=3");
        let then = format!("POST https://api.example/v1/there?b=2 {headers} c=3");
        assert_eq!(*hook.0.lock().unwrap(), [first.clone(), first, then]);
        let requests = replies.requests();
        let sent: Vec<_> = requests
            .iter()
            .filter(|sent| sent.url.path() != "/token")
            .collect();
        for (sent, token) in sent.iter().zip(["the-token", "new-token", "new-token"]) {
            assert_eq!(sent.headers["x-hook"], "of the hook");
            let header = sent.headers.get("authorization");
            let places = [
                header.is_some_and(|header| *header == format!("Bearer {token}")),
                sent.form("access_token").as_deref() == Some(token),
                sent.url
                    .query_pairs()
                    .any(|(name, value)| name == "access_token" && value == token),
            ];
            let expected = [
                placement == Placement::Header,
                placement == Placement::Body,
                placement == Placement::DangerouslyInQuery,
            ];
            assert_eq!(places, expected);
        }
    }
}
