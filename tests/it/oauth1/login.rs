//! The three legs, and who may finish them.

use std::time::Duration;

use tokenkeep::{
    Action, CallbackParams, Credential, ErrorCode, GrantState, Phase, Registration, TokenUpdate,
};
use tokenkeep_testing::{OAuth1Provider, Provider};

use super::{CALLBACK, PHOTOS, Photos, come_back};
use crate::world::{cookies, next_of, on_every_store, refused};

#[tokio::test]
async fn a_login_goes_through_three_legs_and_is_kept_in_every_store_like_any_other() {
    on_every_store(Provider::builder, async |world| {
        let provider = OAuth1Provider::start().await.unwrap();
        let oauth = world
            .bare(&world.store)
            .register(provider.registration(PHOTOS));
        let oauth = oauth.build().unwrap();
        let client = oauth.client(PHOTOS).unwrap();
        let mut updates = oauth.token_updates().unwrap();

        let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
        let callback = provider.allow(&redirect.url).unwrap();
        let login = come_back(&client, callback.query().unwrap(), &redirect.cookies);
        let login = login.await.unwrap();
        assert!(login.claims.is_none() && login.userinfo.is_none());
        assert_eq!(login.member("screen_name"), Some("alice"));
        assert_eq!(login.member("oauth_token_secret"), None);
        let issuer = format!("{}token", provider.url());
        assert_eq!(login.default_owner().unwrap(), format!("{issuer}#7"));
        oauth.keep_login(&login, "alice", None).await.unwrap();

        let update = next_of(&mut updates, "issued").await;
        let TokenUpdate::Issued(changed) = update else {
            panic!("it is a change");
        };
        let token = changed.token().await.unwrap();
        assert!(matches!(token.credential(), Credential::OAuth1 { .. }));
        let grant = client.owner("alice");
        let info = grant.info().await.unwrap().unwrap();
        assert_eq!(info.state, GrantState::Active);
        assert_eq!(info.token_type.as_deref(), Some("OAuth1"));
        assert_eq!((info.expires_at, info.refreshable), (None, false));
        assert_eq!(
            (info.issuer, info.subject),
            (Some(issuer), Some("7".to_owned()))
        );

        // Another process reads the same record.
        let store = world.another_store().await;
        let second = world.bare(&store).register(provider.registration(PHOTOS));
        let second = second.build().unwrap();
        let grant = second.client(PHOTOS).unwrap().owner("alice");
        assert_eq!(grant.get("me").await.unwrap().status(), 200);
        let kept = grant.token().await.unwrap();
        assert_eq!(kept.access_token(), login.token.access_token());
    })
    .await;
}

#[tokio::test]
async fn a_verifier_that_was_typed_in_finishes_a_login() {
    let photos = Photos::new().await;
    let redirect = photos.client().authorize_redirect("oob").await.unwrap();
    let sent = &photos.provider.requests()[0];
    assert!(
        sent.authorization.contains("oauth_callback=\"oob\""),
        "{sent:?}"
    );
    let (token, verifier) = photos.provider.verifier(&redirect.url).unwrap();
    let params = CallbackParams::typed_in(&token, &format!(" {verifier}\r\n")).unwrap();
    let returned = photos
        .client()
        .authorize_access_token(&params, &cookies(&redirect.cookies), Some("oob"))
        .await;
    assert_eq!(returned.login.unwrap().member("user_id"), Some("7"));
    assert!(returned.removal.is_some());
}

#[tokio::test]
async fn a_denied_request_token_ends_the_login() {
    let photos = Photos::new().await;
    let redirect = photos.start().await;
    let denied = photos.provider.deny(&redirect.url).unwrap();
    let error = refused(
        photos.come_back(&denied, &redirect.cookies).await,
        ErrorCode::AccessDenied,
    );
    assert_eq!(
        (error.phase(), error.client()),
        (Phase::Callback, Some(PHOTOS))
    );
    let allowed = photos.provider.allow(&redirect.url).unwrap();
    refused(
        photos.come_back(&allowed, &redirect.cookies).await,
        ErrorCode::StateMismatch,
    );
}

#[tokio::test]
async fn a_wrong_verifier_ends_the_login_and_says_to_begin_anew() {
    let photos = Photos::new().await;
    let redirect = photos.start().await;
    let callback = photos.provider.allow(&redirect.url).unwrap();
    let token = callback
        .query_pairs()
        .find(|(name, _)| name == "oauth_token")
        .unwrap()
        .1;
    let wrong = format!("oauth_token={token}&oauth_verifier=wrong-verifier-0123456789");
    let error = refused(
        come_back(&photos.client(), &wrong, &redirect.cookies).await,
        ErrorCode::ProviderError,
    );
    assert_eq!(error.phase(), Phase::TokenRequest);
    assert_eq!(error.action(), &Action::Login { connect_url: None });
    assert_eq!(
        error.provider().unwrap().error.as_deref(),
        Some("verifier_invalid")
    );
    assert!(
        !format!("{error:#?}").contains("wrong-verifier"),
        "{error:?}"
    );
    refused(
        photos.come_back(&callback, &redirect.cookies).await,
        ErrorCode::StateMismatch,
    );
}

#[tokio::test]
async fn only_the_browser_the_client_and_the_time_of_a_login_finish_it() {
    let photos = Photos::new().await;
    photos
        .oauth
        .register(photos.provider.registration("other"))
        .unwrap();
    let redirect = photos.start().await;
    let callback = photos.provider.allow(&redirect.url).unwrap();
    // Another browser, with a login of its own.
    let another = photos.start().await;
    refused(
        photos.come_back(&callback, &another.cookies).await,
        ErrorCode::StateMismatch,
    );
    refused(
        photos.come_back(&callback, &[]).await,
        ErrorCode::StateMismatch,
    );
    let other = photos.oauth.client("other").unwrap();
    refused(
        come_back(&other, callback.query().unwrap(), &redirect.cookies).await,
        ErrorCode::StateMismatch,
    );
    photos
        .come_back(&callback, &redirect.cookies)
        .await
        .unwrap();
    refused(
        photos.come_back(&callback, &redirect.cookies).await,
        ErrorCode::StateMismatch,
    );
    let late = photos.start().await;
    let callback = photos.provider.allow(&late.url).unwrap();
    photos.world.clock.advance(Duration::from_secs(601));
    refused(
        photos.come_back(&callback, &late.cookies).await,
        ErrorCode::FlowExpired,
    );
}

#[tokio::test]
async fn what_the_browser_brings_is_no_part_of_the_answer() {
    let photos = Photos::new().await;
    let redirect = photos.start().await;
    let callback = photos.provider.allow(&redirect.url).unwrap();
    let query = format!("{}&user_id=8&extra=1", callback.query().unwrap());
    let login = come_back(&photos.client(), &query, &redirect.cookies)
        .await
        .unwrap();
    assert_eq!(login.member("user_id"), Some("7"));
    assert_eq!(login.member("extra"), None);
}

/// Authlib gives them to its HTTP library.
#[tokio::test]
async fn further_parameters_are_parameters() {
    let photos = Photos::with(|registration| {
        registration
            .request_token_params([("x_auth_access_type", "read only")])
            .authorize_params([("screen", "wide"), ("lang", "en")])
            .access_token_params([("format", "a+b")])
    })
    .await;
    let client = photos.client();
    let redirect = client
        .authorize_redirect(CALLBACK)
        .parameter("lang", ["de"]);
    let redirect = redirect.await.unwrap();
    let query = redirect.url.query().unwrap();
    assert!(
        query.contains("screen=wide") && query.contains("lang=de"),
        "{query}"
    );
    assert!(
        !query.contains("lang=en") && !query.contains("oauth_callback"),
        "{query}"
    );
    let callback = photos.provider.allow(&redirect.url).unwrap();
    photos
        .come_back(&callback, &redirect.cookies)
        .await
        .unwrap();
    let sent = photos.provider.requests();
    assert_eq!(sent[0].body, "x_auth_access_type=read+only");
    assert_eq!(sent[1].body, "format=a%2Bb");
    let error = client
        .authorize_redirect(CALLBACK)
        .parameter("oauth_token", ["x"]);
    refused(error.await, ErrorCode::InvalidParameter);
}

#[tokio::test]
async fn what_only_oauth2_knows_is_refused_by_name_and_nothing_is_sent() {
    let photos = Photos::new().await;
    let start = || photos.client().authorize_redirect(CALLBACK);
    for (login, name) in [
        (start().scopes(["a"]), "scopes()"),
        (start().state("a-state-of-16-characters"), "state()"),
        (start().nonce("n"), "nonce()"),
        (start().verifier("v".repeat(43)), "verifier()"),
        (start().prompt("login"), "prompt()"),
        (start().login_hint("alice"), "login_hint()"),
        (start().max_age(1), "max_age()"),
        (start().acr_values(["a"]), "acr_values()"),
        (
            start().response_mode(tokenkeep::ResponseMode::FormPost),
            "response_mode()",
        ),
    ] {
        let error = refused(login.await, ErrorCode::InvalidParameter);
        assert!(error.message().starts_with(name), "{error}");
    }
    let too_long = start().life(Duration::from_secs(3601));
    refused(too_long.await, ErrorCode::InvalidParameter);
    let error = refused(
        photos.client().authorize().await,
        ErrorCode::InvalidConfiguration,
    );
    assert!(error.message().contains("oob"), "{error}");
    assert!(photos.provider.requests().is_empty());
}

#[tokio::test]
async fn return_to_flow_data_and_connecting_work_as_in_every_login() {
    let photos = Photos::new().await;
    let session = photos.log_in().await.session.unwrap();
    // Too large for a cookie: it waits in the store.
    let plan = "x".repeat(5000);
    let redirect = photos
        .client()
        .authorize_redirect(CALLBACK)
        .return_to("/albums?page=2")
        .flow_data(serde_json::json!({ "plan": plan }))
        .connect("alice")
        .await
        .unwrap();
    let callback = photos.provider.allow(&redirect.url).unwrap();
    let login = photos
        .come_back(&callback, &redirect.cookies)
        .await
        .unwrap();
    assert_eq!(login.return_to.as_deref(), Some("/albums?page=2"));
    assert_eq!(login.flow_data["plan"], plan);
    refused(
        photos.oauth.keep_login(&login, "alice", None).await,
        ErrorCode::UserChanged,
    );
    let kept = photos
        .oauth
        .keep_login(&login, "x", Some(&session))
        .await
        .unwrap();
    assert_eq!(
        (kept.owner.as_str(), kept.session.is_none()),
        ("alice", true)
    );
}

#[tokio::test]
async fn a_login_does_not_change_its_protocol_on_the_way() {
    let photos = Photos::new().await;
    let at = |path: &str| format!("{}{path}", photos.provider.url());
    let plain = Registration::oauth2(PHOTOS, at("authorize"), at("token"))
        .client_id("x")
        .client_secret("s");
    let redirect = photos.start().await;
    let callback = photos.provider.allow(&redirect.url).unwrap();
    photos.oauth.replace(plain).unwrap();
    let token = callback
        .query_pairs()
        .find(|(name, _)| name == "oauth_token")
        .unwrap()
        .1;
    let as_oauth2 = format!("state={token}&code=c");
    refused(
        come_back(&photos.client(), &as_oauth2, &redirect.cookies).await,
        ErrorCode::StateMismatch,
    );
    let redirect = photos.start().await;
    let state = redirect
        .url
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1;
    photos
        .oauth
        .replace(photos.provider.registration(PHOTOS))
        .unwrap();
    let as_oauth1 = format!("oauth_token={state}&oauth_verifier=v");
    refused(
        come_back(&photos.client(), &as_oauth1, &redirect.cookies).await,
        ErrorCode::StateMismatch,
    );
    assert!(
        photos
            .provider
            .requests()
            .iter()
            .all(|sent| sent.path != "/token")
    );
}

/// The provider chooses the request token, by which a login is found: also one that it has given before.
#[tokio::test]
async fn a_request_token_that_comes_twice_shows_nobody_the_data_of_another_s_login() {
    let photos = Photos::new().await;
    let twice = "oauth_token=same&oauth_token_secret=s&oauth_callback_confirmed=true";
    let start = async |client: &str, plan: &str| {
        photos.provider.answer("/initiate", 200, &[], twice);
        let client = photos.oauth.client(client).unwrap();
        let login = client.authorize_redirect(CALLBACK);
        login
            .flow_data(serde_json::json!({ "plan": plan.repeat(5000) }))
            .await
    };
    let finish = async |client: &str, redirect: &tokenkeep::Redirect| {
        let granted = "oauth_token=granted&oauth_token_secret=s";
        photos.provider.answer("/token", 200, &[], granted);
        let client = photos.oauth.client(client).unwrap();
        come_back(
            &client,
            "oauth_token=same&oauth_verifier=v",
            &redirect.cookies,
        )
        .await
    };
    let alice = start(PHOTOS, "a").await.unwrap();
    let error = refused(start(PHOTOS, "b").await, ErrorCode::ProviderError);
    assert_eq!(
        (error.phase(), error.client()),
        (Phase::Authorize, Some(PHOTOS))
    );
    // Another provider's logins are others, whatever it calls them.
    photos
        .oauth
        .register(photos.provider.registration("other"))
        .unwrap();
    let other = start("other", "c").await.unwrap();
    let login = finish("other", &other).await.unwrap();
    assert_eq!(login.flow_data["plan"], "c".repeat(5000));
    let login = finish(PHOTOS, &alice).await.unwrap();
    assert_eq!(login.flow_data["plan"], "a".repeat(5000));
    refused(finish(PHOTOS, &alice).await, ErrorCode::StateMismatch);
}

/// A subject is a column of the store and a part of the owner.
#[tokio::test]
async fn a_user_id_that_no_user_has_names_nobody() {
    for (id, subject) in [
        ("7", Some("7")),
        ("", None),
        ("a%00b", None),
        (&"x".repeat(256), None),
    ] {
        let photos = Photos::new().await;
        let body = format!("oauth_token=t&oauth_token_secret=s&user_id={id}");
        photos.provider.answer("/token", 200, &[], &body);
        let login = photos.login().await.unwrap();
        assert_eq!(login.subject(), subject);
        if subject.is_none() {
            refused(login.default_owner(), ErrorCode::OwnerUnknown);
        }
    }
}
