//! Hooks that change, hang, panic or refuse.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokenkeep::{
    Error, ErrorCode, Hook, LoginKept, Phase, RawAnswer, Result, TokenRequest, TokenUpdate,
};
use tokenkeep_testing::{Gate, Provider};

use crate::world::{PATIENCE, World, alice, on_every_store, refused, soon};

fn no(phase: Phase) -> Error {
    Error::new(ErrorCode::OwnerRefused, phase, "a test says no")
}

/// What a response hook does with a refresh's answer.
enum Answer {
    Hang(Gate),
    Panic,
    Replace(&'static [u8]),
}

#[async_trait]
impl Hook for Answer {
    async fn refresh_token_response(
        &self,
        _: &str,
        answer: &RawAnswer<'_>,
        _: &[u8],
    ) -> Option<Vec<u8>> {
        assert_eq!(answer.status, 200);
        match self {
            Self::Hang(gate) => {
                gate.pass().await;
                None
            }
            Self::Panic => panic!("a hook of the test"),
            Self::Replace(body) => Some(body.to_vec()),
        }
    }
}

#[tokio::test]
async fn whatever_a_response_hook_does_no_answer_is_lost() {
    let gate = Gate::new();
    for hook in [
        Answer::Hang(gate.clone()),
        Answer::Panic,
        // Without a token: the one that was spent for is kept all the same.
        Answer::Replace(b"{}"),
        Answer::Replace(b"<html>"),
    ] {
        let hangs = matches!(hook, Answer::Hang(_));
        let world = World::new().await;
        let oauth = world.builder().hook(hook).build().unwrap();
        let grant = world.alice(&oauth).await;
        let before = grant.token().await.unwrap();
        let caller = tokio::spawn({
            let grant = grant.clone();
            async move { grant.refresh().await }
        });
        if hangs {
            soon(gate.arrived(1)).await;
            world.clock.advance(Duration::from_secs(1));
        }
        let token = soon(caller).await.unwrap().unwrap();
        assert_eq!(token.generation(), before.generation() + 1);
        assert_eq!(world.refreshes(), 1);
        assert_eq!(grant.get("me").await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_response_hook_may_mend_an_answer() {
    let world = World::new().await;
    let mended = Answer::Replace(br#"{"access_token":"mended","token_type":"bearer"}"#);
    let oauth = world.builder().hook(mended).build().unwrap();
    let grant = world.alice(&oauth).await;
    let token = grant.refresh().await.unwrap();
    assert_eq!(token.access_token().expose(), "mended");
}

/// What each request of the token endpoint was.
#[derive(Clone, Default)]
struct Requests(Arc<Mutex<Vec<String>>>, bool);

#[async_trait]
impl Hook for Requests {
    async fn access_token_request(&self, client: &str, request: &mut TokenRequest) -> Result<()> {
        self.0.lock().unwrap().push(format!("{client} access"));
        request.append("resource", "https://api.example/");
        Ok(())
    }

    async fn refresh_token_request(&self, client: &str, _: &mut TokenRequest) -> Result<()> {
        self.0.lock().unwrap().push(format!("{client} refresh"));
        if self.1 {
            Err(no(Phase::Refresh))
        } else {
            Ok(())
        }
    }
}

#[tokio::test]
async fn request_hooks_add_parameters_and_may_refuse_before_anything_is_spent() {
    let world = World::new().await;
    let hook = Requests::default();
    let oauth = world.builder().hook(hook.clone()).build().unwrap();
    let app = oauth.client("op").unwrap().app();
    let me: serde_json::Value = app.get("me").await.unwrap().json().await.unwrap();
    assert_eq!(me["resources"], serde_json::json!(["https://api.example/"]));
    let grant = world.alice(&oauth).await;
    grant.refresh().await.unwrap();
    assert_eq!(
        *hook.0.lock().unwrap(),
        ["op access", "op access", "op refresh"]
    );

    let refuses = Requests(Arc::default(), true);
    let strict = world.builder().hook(refuses.clone()).build().unwrap();
    let before = alice(&strict).token().await.unwrap();
    let sent = world.refreshes();
    refused(alice(&strict).refresh().await, ErrorCode::OwnerRefused);
    assert_eq!(world.refreshes(), sent);
    assert_eq!(alice(&strict).token().await.unwrap(), before);
}

/// Refuses every login of alice.
pub(crate) struct Refuses;

#[async_trait]
impl Hook for Refuses {
    async fn before_login_kept(&self, login: &LoginKept<'_>) -> Result<()> {
        assert_eq!(login.owner, "alice");
        assert_eq!(login.login.subject(), Some("alice"));
        Err(no(Phase::Owner))
    }
}

#[tokio::test]
async fn a_login_that_a_hook_refuses_is_not_kept() {
    on_every_store(Provider::builder, async |world| {
        let oauth = world.builder().hook(Refuses).build().unwrap();
        let login = world.login(&oauth, "alice").await.unwrap();
        let kept = oauth.keep_login(&login, "alice", None).await;
        let error = refused(kept, ErrorCode::OwnerRefused);
        assert_eq!(
            (error.client(), error.code().http_status()),
            (Some("op"), 403)
        );
        assert!(oauth.grants("alice").await.unwrap().is_empty());
        refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
    })
    .await;
}

#[derive(Clone)]
enum After {
    Fail,
    Panic,
    Hold(Gate),
}

#[async_trait]
impl Hook for After {
    async fn after_update(&self, update: &TokenUpdate) -> Result<()> {
        if update.kind() == "issued" {
            return Ok(());
        }
        match self {
            Self::Fail => Err(no(Phase::Refresh)),
            Self::Panic => panic!("a hook of the test"),
            Self::Hold(gate) => {
                gate.pass().await;
                Ok(())
            }
        }
    }
}

#[tokio::test]
async fn a_hook_behind_a_commit_undoes_nothing_and_nobody_waits_for_it() {
    let gate = Gate::new();
    for hook in [After::Fail, After::Panic, After::Hold(gate.clone())] {
        let world = World::new().await;
        let oauth = world.builder().hook(hook.clone()).build().unwrap();
        let grant = world.alice(&oauth).await;
        let token = soon(grant.refresh()).await.unwrap();
        if matches!(hook, After::Hold(_)) {
            soon(gate.arrived(1)).await;
            assert_eq!(oauth.drain(Duration::ZERO).await.unwrap(), 1);
            assert_eq!(grant.token().await.unwrap(), token);
            // The next refresh of the key comes after it, and does not fail for it.
            let next = tokio::spawn({
                let grant = grant.clone();
                async move { grant.refresh().await }
            });
            tokio::task::yield_now().await;
            gate.open();
            let next = soon(next).await.unwrap().unwrap();
            assert_eq!(next.generation(), token.generation() + 1);
        } else {
            assert_eq!(grant.token().await.unwrap(), token);
        }
        assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
    }
}
