//! Registering clients: early, late, by settings, at run time.

use tokenkeep::{ErrorCode, OAuth, Registration, Settings};

use crate::world::{CALLBACK, CLIENT, World, alice, refused};

#[tokio::test]
async fn handles_taken_before_init_work_after_it() {
    let world = World::new().await;
    let oauth = OAuth::new();
    oauth.register(world.registration()).unwrap();
    refused(
        oauth.register(world.registration()),
        ErrorCode::InvalidConfiguration,
    );
    let client = oauth.client(CLIENT).unwrap();
    let error = refused(
        client.authorize_redirect(CALLBACK).await,
        ErrorCode::NotInitialized,
    );
    assert!(error.message().contains("init("), "{error}");
    refused(alice(&oauth).token().await, ErrorCode::NotInitialized);
    refused(oauth.token_updates(), ErrorCode::NotInitialized);

    // An init that fails can be put right.
    refused(oauth.init(OAuth::builder()), ErrorCode::MissingStore);
    oauth.init(world.bare(&world.store)).unwrap();
    assert_eq!(oauth.client_names(), [CLIENT]);
    client.authorize_redirect(CALLBACK).await.unwrap();
    refused(
        oauth.init(world.bare(&world.store)),
        ErrorCode::InvalidConfiguration,
    );
    world.alice(&oauth).await.token().await.unwrap();
}

#[tokio::test]
async fn an_unknown_client_is_answered_with_the_known_ones() {
    let world = World::new().await;
    let oauth = world.oauth();
    let error = refused(oauth.client("nope"), ErrorCode::UnknownClient);
    assert!(
        error.message().contains("nope") && error.message().contains(CLIENT),
        "{error}"
    );
    assert_eq!(error.code().http_status(), 404);
    let late = OAuth::new();
    refused(late.client("nope"), ErrorCode::UnknownClient);
}

#[tokio::test]
async fn a_name_is_registered_once_and_replaced_by_name() {
    let world = World::new().await;
    let oauth = world.oauth();
    refused(
        oauth.register(world.registration()),
        ErrorCode::InvalidConfiguration,
    );
    let twice = world.builder().register(world.registration());
    refused(twice.build(), ErrorCode::InvalidConfiguration);
    let replaced = world.registration().client_id("another");
    oauth.replace(replaced).unwrap();
    let client = oauth.client(CLIENT).unwrap();
    let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
    assert!(redirect.url.query().unwrap().contains("client_id=another"));
    // Two names that would read the same settings.
    oauth.register(world.registration_named("a-b")).unwrap();
    refused(
        oauth.register(world.registration_named("a.b")),
        ErrorCode::InvalidConfiguration,
    );
}

#[tokio::test]
async fn settings_fill_the_gaps_and_what_is_said_at_the_call_wins() {
    let world = World::new().await;
    let provider = &world.provider;
    let settings = || {
        [
            ("OP_ISSUER", provider.issuer()),
            ("OP_CLIENT_ID", provider.client_id()),
            ("OP_CLIENT_SECRET", provider.client_secret()),
            (
                "OP_CLIENT_KWARGS",
                r#"{"scope": "openid offline_access", "prompt": "consent"}"#,
            ),
        ]
    };
    let build = |registration: Registration| {
        world
            .bare(&world.store)
            .config(Settings::from_iter(settings()))
            .register(registration)
            .build()
            .unwrap()
    };
    let oauth = build(Registration::new(CLIENT));
    let query = async |oauth: &OAuth| {
        let client = oauth.client(CLIENT).unwrap();
        let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
        redirect.url.query().unwrap().to_owned()
    };
    let sent = query(&oauth).await;
    assert!(sent.contains("scope=openid+offline_access") && sent.contains("prompt=consent"));
    world.alice(&oauth).await.refresh().await.unwrap();

    let said = Registration::new(CLIENT).scopes(["openid"]);
    assert!(query(&build(said.clone())).await.contains("scope=openid&"));
    let turned = query(&build(said.overwrite())).await;
    assert!(turned.contains("scope=openid+offline_access"));
    let client = oauth.client(CLIENT).unwrap();
    let start = client
        .authorize_redirect(CALLBACK)
        .scopes(["openid", "email"]);
    let redirect = start.prompt("login").await.unwrap();
    let sent = redirect.url.query().unwrap();
    assert!(
        sent.contains("scope=openid+email") && sent.contains("prompt=login"),
        "{sent}"
    );

    let misspelt = Settings::from_iter([("OP_CLIENT_IDD", "x")]);
    let builder = world.bare(&world.store).config(misspelt);
    let error = refused(
        builder.register(world.registration()).build(),
        ErrorCode::InvalidConfiguration,
    );
    assert!(error.message().contains("OP_CLIENT_ID"), "{error}");
    let nothing = world.bare(&world.store).register("nobody");
    let error = refused(nothing.build(), ErrorCode::InvalidConfiguration);
    assert!(error.message().contains("NOBODY_CLIENT_ID"), "{error}");
}
