//! Whose token a request carries.

use reqwest::Method;
use serde_json::Value;
use tokenkeep::{Client, ErrorCode, OAuth, Token, as_owner, current_owner};
use tokio_stream::{Stream, StreamExt};

use crate::world::{CLIENT, World, refused};

/// Alice and bob have logged in.
async fn alice_and_bob(world: &World) -> (OAuth, Client) {
    let oauth = world.oauth();
    world.log_in(&oauth, "alice").await;
    world.log_in(&oauth, "bob").await;
    let client = oauth.client(CLIENT).unwrap();
    (oauth, client)
}

async fn subject(answer: tokenkeep::Result<reqwest::Response>) -> Value {
    let me: Value = answer.unwrap().json().await.unwrap();
    me["sub"].clone()
}

#[tokio::test]
async fn the_current_owner_is_meant_where_as_owner_runs_and_nowhere_else() {
    let world = World::new().await;
    let (_oauth, client) = alice_and_bob(&world).await;
    let me = async || subject(client.get("me").await).await;
    assert_eq!(current_owner(), None);
    as_owner("alice", async {
        assert_eq!(me().await, "alice");
        as_owner("bob", async { assert_eq!(me().await, "bob") }).await;
        assert_eq!(me().await, "alice");
        let current = client.current().unwrap();
        assert_eq!(subject(current.get("me").await).await, "alice");
        // Who says whose is meant is heard.
        assert_eq!(subject(client.owner("bob").get("me").await).await, "bob");
        let bobs = client.owner("bob").token().await.unwrap();
        assert_eq!(subject(client.get("me").token(&bobs).await).await, "bob");
        let without = client.get("me").withhold_token().await.unwrap();
        assert_eq!(without.status(), 401);
    })
    .await;
    assert_eq!(current_owner(), None);
    refused(client.get("me").await, ErrorCode::OwnerMissing);
    let error = refused(client.current(), ErrorCode::OwnerMissing);
    assert!(error.message().contains("as_owner"), "{error}");
    assert_eq!(error.client(), Some(CLIENT));
    // Nobody is made up for a name that no owner has.
    let nobody = as_owner("", async { client.get("me").await }).await;
    refused(nobody, ErrorCode::InvalidKey);
}

#[tokio::test]
async fn what_goes_on_without_the_task_has_no_current_owner() {
    let world = World::new().await;
    let (_oauth, client) = alice_and_bob(&world).await;
    let there = client.clone();
    let spawned = as_owner("alice", async {
        let task = tokio::spawn(async move { there.get("me").await });
        task.await.unwrap()
    })
    .await;
    refused(spawned, ErrorCode::OwnerMissing);

    // A body that is streamed once the handler is through.
    let there = client.clone();
    let mut body: std::pin::Pin<Box<dyn Stream<Item = _> + Send>> = as_owner("alice", async move {
        let pieces = tokio_stream::iter([there]);
        Box::pin(pieces.then(async |client| client.get("me").await)) as _
    })
    .await;
    refused(body.next().await.unwrap(), ErrorCode::OwnerMissing);

    // A request that is made here is alice's, wherever it is awaited; and so is a task that takes her along.
    let made = as_owner("alice", async { client.get("me") }).await;
    assert_eq!(
        subject(tokio::spawn(made.send()).await.unwrap()).await,
        "alice"
    );
    let there = client.clone();
    let taken = tokio::spawn(as_owner("alice", async move { there.get("me").await }));
    assert_eq!(subject(taken.await.unwrap()).await, "alice");
}

#[tokio::test]
async fn tasks_side_by_side_do_not_mix_their_owners() {
    let world = World::new().await;
    let (_oauth, client) = alice_and_bob(&world).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (client, owner) = (client.clone(), ["alice", "bob"][number % 2]);
        tasks.spawn(as_owner(owner, async move {
            for _ in 0..3 {
                tokio::task::yield_now().await;
                assert_eq!(subject(client.get("me").await).await, owner);
            }
        }));
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
}

#[tokio::test]
async fn every_verb_takes_a_token_of_ones_own() {
    let world = World::new().await;
    let oauth = world.oauth();
    let token = world.login(&oauth, "alice").await.unwrap().token;
    let client = oauth.client(CLIENT).unwrap();
    let requests = [
        ("GET", client.get("echo")),
        ("POST", client.post("echo")),
        ("PUT", client.put("echo")),
        ("PATCH", client.patch("echo")),
        ("DELETE", client.delete("echo")),
        ("OPTIONS", client.request(Method::OPTIONS, "echo")),
    ];
    for (method, request) in requests {
        let answer = request.token(&token).await.unwrap();
        let echo: Value = answer.json().await.unwrap();
        assert_eq!(echo["method"], method);
    }
    // It was nobody's who is kept: nothing is renewed for it.
    world.provider.expire_access_tokens();
    refused(
        client.get("me").token(&token).await,
        ErrorCode::TokenRejected,
    );
    assert_eq!(world.refreshes(), 0);
    let foreign = client.get("https://evil.example/").token(&token);
    refused(foreign.await, ErrorCode::ForeignOrigin);
    let made_up = Token::builder("made-up").build().unwrap();
    let error = client.get("me").token(&made_up).await.unwrap_err();
    assert!(!format!("{error:?} {error:#?}").contains("made-up"));
}
