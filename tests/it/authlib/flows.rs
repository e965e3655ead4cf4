//! Logins and logouts under way, where Authlib's temporary data has its weak points.

use tokenkeep::{CallbackParams, ErrorCode, ResponseMode};
use tokenkeep_testing::{Endpoint, Fault};

use crate::world::{BASE, CALLBACK, CLIENT, World, come_back, cookies, encoded, refused};

/// W20: in Authlib's Starlette client a second login, or a logout, wipes every other flow of the browser.
#[tokio::test]
async fn a_login_and_a_logout_in_one_browser_leave_each_other_alone() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client(CLIENT).unwrap();
    let first = client.authorize_redirect(CALLBACK).await.unwrap();
    let logout = client
        .logout_redirect()
        .post_logout_redirect_uri(format!("{BASE}logged-out/op"))
        .await
        .unwrap()
        .unwrap();
    let mut set = first.cookies.clone();
    set.extend(logout.cookies.iter().cloned());
    // A second tab begins: nothing of the other two is told to go.
    let present = cookies(&set);
    let second = client
        .authorize_redirect(CALLBACK)
        .cookies(&present)
        .await
        .unwrap();
    assert_eq!(second.cookies.len(), 1, "only its own");
    set.extend(second.cookies.iter().cloned());

    let state = logout.url.query_pairs().find(|(name, _)| name == "state");
    let params = CallbackParams::parse(format!("state={}", state.unwrap().1)).unwrap();
    let gone = client
        .validate_logout_response(&params, &cookies(&set), None)
        .unwrap();
    set.retain(|cookie| cookie.name != gone.name);
    for redirect in [&first, &second] {
        let callback = world.at_provider(redirect, "alice").await;
        come_back(&client, &callback, &set).await.unwrap();
    }
}

/// W25, W26: in Authlib an error by `form_post` is a missing code, and one by GET is believed before the state and leaves it.
#[tokio::test]
async fn a_posted_refusal_is_read_like_one_in_the_query_and_uses_the_login_up() {
    for mode in [ResponseMode::Query, ResponseMode::FormPost] {
        let world = World::new().await;
        let oauth = world.oauth();
        let denied = Fault::CallbackError("access_denied".into());
        world.provider.faults().on(Endpoint::Authorize, denied);
        let client = oauth.client(CLIENT).unwrap();
        let start = client.authorize_redirect(CALLBACK).response_mode(mode);
        let redirect = start.await.unwrap();
        let callback = world.at_provider(&redirect, "alice").await;
        assert_eq!(callback.method == "POST", mode == ResponseMode::FormPost);
        let back = async || come_back(&client, &callback, &redirect.cookies).await;
        let error = refused(back().await, ErrorCode::AccessDenied);
        let said = error.provider().unwrap();
        assert_eq!(said.error.as_deref(), Some("access_denied"));
        refused(back().await, ErrorCode::StateMismatch);
    }
}

/// W28: in Authlib the states of `dev` are cleaned together with those of `dev2`.
#[tokio::test]
async fn clients_whose_names_begin_alike_do_not_touch_each_others_logins() {
    let world = World::new().await;
    let oauth = world.oauth();
    for name in ["dev", "dev2", "dev-2"] {
        oauth.register(world.registration_named(name)).unwrap();
    }
    let (mut set, mut begun) = (Vec::new(), Vec::new());
    for name in ["dev", "dev2", "dev-2"] {
        let client = oauth.client(name).unwrap();
        let start = client.authorize_redirect(CALLBACK).cookies(&cookies(&set));
        let redirect = start.await.unwrap();
        assert_eq!(redirect.cookies.len(), 1, "nobody makes room for {name}");
        set.extend(redirect.cookies.iter().cloned());
        begun.push((client, redirect));
    }
    for (client, redirect) in begun {
        let callback = world.at_provider(&redirect, "alice").await;
        let params = CallbackParams::parse(encoded(&callback)).unwrap();
        let returned = client
            .authorize_access_token(&params, &cookies(&set), None)
            .await;
        returned.login.unwrap();
        let gone = returned.removal.unwrap();
        assert_eq!(gone.name, redirect.cookies[0].name);
        set.retain(|cookie| cookie.name != gone.name);
    }
    assert!(set.is_empty());
}

/// W17: there is no implicit grant whose fragment could be read without its state.
#[tokio::test]
async fn a_token_in_the_way_back_is_not_a_login() {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client(CLIENT).unwrap();
    let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
    let mut pairs = redirect.url.query_pairs();
    let state = pairs.find(|(name, _)| name == "state").unwrap().1;
    let iss = world.provider.issuer();
    let brought =
        format!("state={state}&iss={iss}&access_token=a&token_type=bearer&id_token=a.b.c");
    let params = CallbackParams::parse(brought).unwrap();
    let set = cookies(&redirect.cookies);
    let returned = client.authorize_access_token(&params, &set, None).await;
    let error = refused(returned.login, ErrorCode::MissingParameter);
    assert!(error.message().contains("no code"), "{error}");
    assert_eq!(world.provider.requests("/token"), 0);
}
