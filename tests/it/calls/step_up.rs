//! What an API misses, and the login that asks for it (RFC 6750 section 3.1, RFC 9470).

use serde_json::json;
use tokenkeep::{Action, AuthorizeRedirect, Error, ErrorCode, Phase, Registration};
use tokenkeep_testing::{Replies, Reply};

use super::{adopted, builder};
use crate::world::{CALLBACK, CLIENT, World, come_back, refused};

/// A login that an error asks for, through to its end.
async fn log_in_as_required(world: &World, oauth: &tokenkeep::OAuth, error: &Error) {
    assert!(matches!(error.action(), Action::Login { .. }), "{error}");
    let client = oauth.client(CLIENT).unwrap();
    let redirect = client.authorize_redirect(CALLBACK).required_by(error);
    let redirect = redirect.await.unwrap();
    let callback = world.at_provider(&redirect, "alice").await;
    let login = come_back(&client, &callback, &redirect.cookies).await;
    let login = login.unwrap();
    oauth.keep_login(&login, "alice", None).await.unwrap();
}

#[tokio::test]
async fn a_login_asks_for_what_an_api_missed_and_the_next_call_goes_through() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    let missing = grant.get("scope/invoices").await;
    let missing = refused(missing, ErrorCode::InsufficientScope);
    log_in_as_required(&world, &oauth, &missing).await;
    let answer = grant.get("scope/invoices").await.unwrap();
    assert_eq!(answer.status(), 200);
    // The registration's own are asked for as well.
    assert_eq!(grant.get("scope/email").await.unwrap().status(), 200);

    let stronger = refused(grant.get("step-up").await, ErrorCode::StepUpRequired);
    log_in_as_required(&world, &oauth, &stronger).await;
    assert_eq!(grant.get("step-up").await.unwrap().status(), 200);
}

/// An API that refuses with this challenge.
async fn refusal(status: u16, challenge: &str) -> (tokenkeep::OAuth, Error) {
    refusal_of(status, challenge, |op| op).await
}

async fn refusal_of(
    status: u16,
    challenge: &str,
    more: impl FnOnce(Registration) -> Registration,
) -> (tokenkeep::OAuth, Error) {
    let reply = Reply::status(status).header("www-authenticate", challenge);
    let replies = Replies::new().on("GET", "/v1/files", reply);
    let oauth = builder(&replies, more).build().unwrap();
    let error = adopted(&oauth).await.get("files").await.unwrap_err();
    (oauth, error)
}

fn login(oauth: &tokenkeep::OAuth) -> AuthorizeRedirect {
    oauth.client(CLIENT).unwrap().authorize()
}

async fn asked(login: AuthorizeRedirect) -> Vec<(String, String)> {
    let url = login.await.unwrap().url;
    let ours = ["scope", "acr_values", "max_age"];
    let pairs = url.query_pairs().into_owned();
    pairs.filter(|(name, _)| ours.contains(&&**name)).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

#[tokio::test]
async fn all_that_a_challenge_names_is_taken_over() {
    let challenge = "Bearer error=\"insufficient_user_authentication\", \
                     acr_values=\"gold silver\", max_age=\"5\", scope=\"files admin\"";
    let (oauth, error) = refusal(401, challenge).await;
    assert_eq!(error.code(), ErrorCode::StepUpRequired);
    let mut all = asked(login(&oauth).required_by(&error)).await;
    all.sort();
    // Nothing twice.
    let expected = [
        ("acr_values", "gold silver"),
        ("max_age", "5"),
        ("scope", "files admin"),
    ];
    assert_eq!(all, pairs(&expected));
    // Whatever the order.
    for login in [
        login(&oauth).scopes(["email"]).required_by(&error),
        login(&oauth).required_by(&error).scopes(["email"]),
    ] {
        let asked = asked(login).await;
        assert!(
            asked.contains(&("scope".to_owned(), "email files admin".to_owned())),
            "{asked:?}"
        );
    }
}

#[tokio::test]
async fn an_error_that_names_nothing_changes_nothing() {
    let (oauth, error) = refusal(403, "Bearer error=\"insufficient_scope\"").await;
    assert_eq!(error.code(), ErrorCode::InsufficientScope);
    let plain = pairs(&[("scope", "files")]);
    assert_eq!(asked(login(&oauth).required_by(&error)).await, plain);
    let other = Error::new(ErrorCode::LoginRequired, Phase::Request, "a test");
    assert_eq!(asked(login(&oauth).required_by(&other)).await, plain);
}

#[tokio::test]
async fn what_an_api_asks_for_is_read_as_what_anybody_may_write() {
    for (challenge, what) in [
        ("max_age=\"soon\"", "max_age"),
        ("max_age=\"-1\"", "max_age"),
        ("max_age=\"99999999999999999999999\"", "max_age"),
        ("scope=\"files \\\"quoted\\\"\"", "scope"),
        ("scope=\"back\\\\slash\"", "scope"),
    ] {
        let challenge = format!("Bearer error=\"insufficient_scope\", {challenge}");
        let (oauth, error) = refusal(403, &challenge).await;
        let refused_login = login(&oauth).required_by(&error).await;
        let error = refused(refused_login, ErrorCode::InvalidParameter);
        assert_eq!(error.phase(), Phase::Authorize);
        assert!(error.message().contains(what), "{error}");
    }
    // What is too long to be meant is left out, and nothing is cut to something else.
    let long = "s".repeat(3_000);
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{long}\"");
    let (oauth, error) = refusal(403, &challenge).await;
    assert_eq!(error.provider().unwrap().required, []);
    let plain = pairs(&[("scope", "files")]);
    assert_eq!(asked(login(&oauth).required_by(&error)).await, plain);
    // Nor does anything of it become another parameter.
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"a&state=x\", acr_values=\"b&prompt=none\", redirect_uri=\"https://evil.example\"";
    let (oauth, error) = refusal(403, challenge).await;
    let url = login(&oauth).required_by(&error).await.unwrap().url;
    let all: Vec<_> = url.query_pairs().into_owned().collect();
    assert!(!all.iter().any(|(name, _)| name == "prompt"), "{all:?}");
    assert_eq!(all.iter().filter(|(name, _)| name == "state").count(), 1);
    assert!(!url.as_str().contains("evil.example"));
}

#[tokio::test]
async fn a_long_list_of_scopes_is_not_cut() {
    let scopes: Vec<_> = (0..20)
        .map(|number| format!("https://www.example.com/auth/thing.{number}"))
        .collect();
    let scopes = scopes.join(" ");
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scopes}\"");
    let (oauth, error) = refusal(403, &challenge).await;
    let required = error.provider().unwrap().required.clone();
    assert_eq!(json!(required), json!([["scope", scopes]]));
    let all = asked(login(&oauth).required_by(&error)).await;
    assert_eq!(all, pairs(&[("scope", &format!("files {scopes}"))]));
}

/// Whoever answers in the API's place must not get logins that the application would refuse.
#[tokio::test]
async fn an_api_makes_no_login_weaker_than_the_application_says() {
    let strong =
        |op: Registration| op.authorize_params([("acr_values", "mfa phr"), ("max_age", "60")]);
    let step_up = "Bearer error=\"insufficient_user_authentication\"";
    for (more, acr_values, max_age) in [
        ("", "mfa phr", "60"),
        (", acr_values=\"\", max_age=999999999", "mfa phr", "60"),
        (", acr_values=\" \", max_age=61", "mfa phr", "60"),
        (", acr_values=\"pwd phr\", max_age=5", "phr", "5"),
        (", max_age=0", "mfa phr", "0"),
        // What comes first counts.
        (
            ", acr_values=phr, acr_values=mfa, max_age=7, max_age=6",
            "phr",
            "7",
        ),
    ] {
        let (oauth, error) = refusal_of(401, &format!("{step_up}{more}"), strong).await;
        let mut found = asked(login(&oauth).required_by(&error)).await;
        found.retain(|(name, _)| name != "scope");
        found.sort();
        let expected = pairs(&[("acr_values", acr_values), ("max_age", max_age)]);
        assert_eq!(found, expected, "{more}");
    }
    // Nothing would be good enough for both.
    let (oauth, error) = refusal_of(401, &format!("{step_up}, acr_values=pwd"), strong).await;
    let none = login(&oauth).required_by(&error).await;
    let none = refused(none, ErrorCode::InvalidParameter);
    assert!(none.message().contains("acr_values"), "{none}");
    // Unless the login says that it is, whatever the order.
    for login in [
        login(&oauth).required_by(&error).acr_values(["pwd"]),
        login(&oauth).acr_values(["pwd", "x"]).required_by(&error),
    ] {
        let found = asked(login).await;
        assert!(
            found.contains(&("acr_values".to_owned(), "pwd".to_owned())),
            "{found:?}"
        );
    }
    // And of two that the login and the API say the stricter one.
    let (oauth, error) = refusal(401, &format!("{step_up}, max_age=50")).await;
    for (own, expected) in [(10, "10"), (100, "50")] {
        for login in [
            login(&oauth).max_age(own).required_by(&error),
            login(&oauth).required_by(&error).max_age(own),
        ] {
            let found = asked(login).await;
            assert!(
                found.contains(&("max_age".to_owned(), expected.to_owned())),
                "{found:?}"
            );
        }
    }
}

/// A challenge may repeat itself without end.
#[tokio::test]
async fn what_a_challenge_says_again_and_again_is_read_once() {
    let bomb = "Bearer error=\"insufficient_scope\"".to_owned() + &", scope=a".repeat(700);
    let replies = Reply::status(403);
    let reply = (0..20).fold(replies, |reply, _| reply.header("www-authenticate", &bomb));
    let replies = Replies::new().on("GET", "/v1/files", reply);
    let oauth = builder(&replies, |op| op).build().unwrap();
    let error = adopted(&oauth).await.get("files").await.unwrap_err();
    let required = &error.provider().unwrap().required;
    assert_eq!(required.len(), 1, "and no more than that is kept");
    assert_eq!(required[0], ("scope".to_owned(), "a".to_owned()));
    assert_eq!(replies.requests().len(), 1);
}
