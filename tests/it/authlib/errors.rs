//! Each situation in which Authlib raises one of its five families of errors, or none: here it is one type, and
//! `docs/authlib-openid.md` (section 1.20) says with which code, in which phase, of which client and with which action.

use std::collections::BTreeMap;

use serde_json::json;
use tokenkeep::{
    CallbackParams, Error, ErrorCode, OAuth, Registration, ResponseMode, Result, Settings,
    Timestamp, Token, TokenKey,
};
use tokenkeep_testing::{Endpoint, Fault, IdTokenFault};

use crate::world::{BASE, CALLBACK, CLIENT, World, alice, come_back, cookies, encoded};

/// Every situation, by the name of its row.
const SITUATIONS: [&str; 47] = [
    "callback-denied",
    "callback-denied-by-form",
    "callback-server-error",
    "callback-login-required",
    "callback-invalid-scope",
    "callback-issuer",
    "token-invalid-grant",
    "token-invalid-client",
    "token-html",
    "token-404-json",
    "token-no-access-token",
    "token-type",
    "token-no-type",
    "token-503",
    "token-network",
    "refresh-invalid-grant",
    "refresh-503",
    "call-no-token",
    "call-nobody",
    "call-expired",
    "call-token-type",
    "call-foreign-origin",
    "call-network",
    "state-unknown",
    "state-expired",
    "state-missing",
    "code-missing",
    "parameter-doubled",
    "id-token-missing",
    "id-token-key",
    "id-token-signature",
    "id-token-algorithm",
    "id-token-claim",
    "id-token-nonce",
    "id-token-audience",
    "id-token-issuer",
    "id-token-expired",
    "no-authorize-url",
    "no-authorize-url-in-metadata",
    "no-keys",
    "no-userinfo",
    "metadata-404",
    "keys-503",
    "userinfo-503",
    "logout-state-missing",
    "logout-state-unknown",
    "before-init",
];

/// What a setting or a name brings: rows without a request.
const SETTINGS: [&str; 3] = ["unknown-client", "insecure-transport", "unknown-setting"];

/// The four cells of each row of the page's section 1.20.
fn promised() -> BTreeMap<String, [String; 4]> {
    let page = include_str!("../../../docs/authlib-openid.md");
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let name = cells.next()?.strip_prefix("1.20 ")?.to_owned();
        let cells: Vec<_> = cells
            .map(|cell| cell.trim_matches('`').to_owned())
            .collect();
        // Situation, Authlib, then ours.
        <[String; 4]>::try_from(cells.get(2..6)?.to_vec())
            .ok()
            .map(|ours| (name, ours))
    });
    rows.collect()
}

fn told(error: &Error) -> [String; 4] {
    [
        error.code().as_str(),
        error.phase().as_str(),
        error.client().unwrap_or("-"),
        error.action().as_str(),
    ]
    .map(str::to_owned)
}

#[tokio::test]
async fn every_situation_has_its_code_phase_client_and_action() {
    let promised = promised();
    let mut wrong = Vec::new();
    for name in SITUATIONS.into_iter().chain(SETTINGS) {
        let error = situation(name).await;
        let Err(error) = error else {
            panic!("{name} goes well");
        };
        assert!(!error.message().is_empty() && !error.help().is_empty());
        let told = told(&error);
        if promised.get(name) != Some(&told) {
            wrong.push(format!(
                "{name}: {told:?}, promised {:?}",
                promised.get(name)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn json_answer(status: u16, body: &str) -> Fault {
    Fault::Answer {
        status,
        content_type: "application/json".into(),
        body: body.into(),
    }
}

/// A login at a provider that does something wrong at one place.
async fn login_with(endpoint: Endpoint, fault: Fault) -> Result<()> {
    let world = World::new().await;
    world.provider.faults().on(endpoint, fault);
    log_in(&world, &world.oauth()).await
}

async fn log_in(world: &World, oauth: &OAuth) -> Result<()> {
    let client = oauth.client(CLIENT)?;
    let redirect = client.authorize_redirect(CALLBACK).await?;
    let callback = world.at_provider(&redirect, "alice").await;
    let login = come_back(&client, &callback, &redirect.cookies).await;
    login.map(drop)
}

/// A login that comes back with something else than the provider said.
async fn back_with(change: impl Fn(&str) -> String) -> Result<()> {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client(CLIENT)?;
    let redirect = client.authorize_redirect(CALLBACK).await?;
    let callback = world.at_provider(&redirect, "alice").await;
    let params = CallbackParams::parse(change(&encoded(&callback)))?;
    let set = cookies(&redirect.cookies);
    let returned = client.authorize_access_token(&params, &set, None).await;
    returned.login.map(drop)
}

/// The parameters without one of them.
fn without(name: &str, query: &str) -> String {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs.filter(|(other, _)| other != name))
        .finish()
}

/// What is wrong with an ID token.
fn id_token(spoilt: IdTokenFault) -> (Endpoint, Fault) {
    (Endpoint::Token, Fault::IdToken(spoilt))
}

async fn situation(name: &str) -> Result<()> {
    use Endpoint::{Authorize, Discovery, Jwks, Token as TokenEndpoint};
    let said = |error: &str| Fault::CallbackError(error.into());
    let (endpoint, fault) = match name {
        "callback-denied" => (Authorize, said("access_denied")),
        "callback-server-error" => (Authorize, said("server_error")),
        "callback-login-required" => (Authorize, said("login_required")),
        "callback-invalid-scope" => (Authorize, said("invalid_scope")),
        "callback-issuer" => (Authorize, Fault::WrongIssuerInCallback),
        "token-invalid-grant" => (
            TokenEndpoint,
            json_answer(400, r#"{"error":"invalid_grant"}"#),
        ),
        "token-invalid-client" => (
            TokenEndpoint,
            json_answer(401, r#"{"error":"invalid_client"}"#),
        ),
        "token-html" => (TokenEndpoint, Fault::Html),
        "token-404-json" => (TokenEndpoint, json_answer(404, r#"{"message":"not here"}"#)),
        "token-no-access-token" => (
            TokenEndpoint,
            json_answer(200, r#"{"token_type":"bearer"}"#),
        ),
        "token-503" => (TokenEndpoint, Fault::ServerError(503)),
        "token-network" => (TokenEndpoint, Fault::DropBefore),
        "id-token-key" => id_token(IdTokenFault::UnknownKid),
        "id-token-signature" => id_token(IdTokenFault::WrongSignature),
        "id-token-algorithm" => id_token(IdTokenFault::AlgNone),
        "id-token-claim" => id_token(IdTokenFault::MissingSubject),
        "id-token-nonce" => id_token(IdTokenFault::WrongNonce),
        "id-token-audience" => id_token(IdTokenFault::WrongAudience),
        "id-token-issuer" => id_token(IdTokenFault::WrongIssuer),
        "id-token-expired" => id_token(IdTokenFault::Expired),
        "id-token-missing" => (
            TokenEndpoint,
            json_answer(200, r#"{"access_token":"a","token_type":"bearer"}"#),
        ),
        "metadata-404" => (Discovery, Fault::ServerError(404)),
        "keys-503" => (Jwks, Fault::ServerError(503)),
        _ => return other_situation(name).await,
    };
    login_with(endpoint, fault).await
}

async fn other_situation(name: &str) -> Result<()> {
    match name {
        "callback-denied-by-form" => {
            let world = World::new().await;
            let denied = Fault::CallbackError("access_denied".into());
            world.provider.faults().on(Endpoint::Authorize, denied);
            let oauth = world.oauth();
            let client = oauth.client(CLIENT)?;
            let start = client.authorize_redirect(CALLBACK);
            let redirect = start.response_mode(ResponseMode::FormPost).await?;
            let callback = world.at_provider(&redirect, "alice").await;
            come_back(&client, &callback, &redirect.cookies)
                .await
                .map(drop)
        }
        "state-unknown" => back_with(|_| "state=unknown-state-unknown&code=a".into()).await,
        "state-missing" => back_with(|query| without("state", query)).await,
        "code-missing" => back_with(|query| without("code", query)).await,
        "parameter-doubled" => back_with(|query| format!("{query}&code=another")).await,
        "state-expired" => {
            let world = World::new().await;
            let oauth = world.oauth();
            let client = oauth.client(CLIENT)?;
            let redirect = client.authorize_redirect(CALLBACK).await?;
            let callback = world.at_provider(&redirect, "alice").await;
            world.clock.advance(std::time::Duration::from_secs(601));
            come_back(&client, &callback, &redirect.cookies)
                .await
                .map(drop)
        }
        "token-type" | "token-no-type" => {
            let kind = match name {
                "token-type" => json!({"access_token": "a", "token_type": "mac"}),
                _ => json!({"access_token": "a"}),
            };
            let world = World::new().await;
            let answer = json_answer(200, &kind.to_string());
            world.provider.faults().on(Endpoint::Token, answer);
            let oauth = world.bare(&world.store).register(plain(&world)).build()?;
            log_in(&world, &oauth).await
        }
        "no-authorize-url" => {
            let world = World::new().await;
            let registration = Registration::new(CLIENT)
                .client_id("me")
                .access_token_url("https://op.example/token");
            let oauth = world.bare(&world.store).register(registration).build()?;
            let client = oauth.client(CLIENT)?;
            client.authorize_redirect(CALLBACK).await.map(drop)
        }
        "no-authorize-url-in-metadata" => {
            let world = World::new().await;
            let issuer = world.provider.issuer();
            let metadata = json!({"issuer": issuer, "token_endpoint": format!("{issuer}/token")});
            let answer = json_answer(200, &metadata.to_string());
            world.provider.faults().on(Endpoint::Discovery, answer);
            let oauth = world.oauth();
            let client = oauth.client(CLIENT)?;
            client.authorize_redirect(CALLBACK).await.map(drop)
        }
        "no-keys" => {
            let world = World::new().await;
            let registration = plain(&world).scopes(["openid"]);
            let oauth = world.bare(&world.store).register(registration).build()?;
            log_in(&world, &oauth).await
        }
        "logout-state-missing" => logout_with("x=y").await,
        "logout-state-unknown" => logout_with("state=unknown-state-unknown").await,
        "before-init" => OAuth::new().token_updates().map(drop),
        "unknown-client" => World::new().await.oauth().client("nope").map(drop),
        "insecure-transport" => {
            let world = World::new().await;
            let registration =
                Registration::oauth2(CLIENT, "http://op.example/a", "http://op.example/t");
            let builder = world.bare(&world.store);
            builder
                .register(registration.client_id("me"))
                .build()
                .map(drop)
        }
        "unknown-setting" => {
            let world = World::new().await;
            let settings = Settings::from_iter([("OP_CLIENT_SECRT", "x")]);
            world.builder().config(settings).build().map(drop)
        }
        _ => call(name).await,
    }
}

/// The provider as one of plain OAuth 2.0 that names no place for its keys or for userinfo.
fn plain(world: &World) -> Registration {
    let issuer = world.provider.issuer();
    Registration::oauth2(
        CLIENT,
        format!("{issuer}/authorize"),
        format!("{issuer}/token"),
    )
    .client_id(world.provider.client_id())
    .client_secret(world.provider.client_secret())
    .api_base_url(world.provider.api_base_url())
}

async fn logout_with(query: &str) -> Result<()> {
    let world = World::new().await;
    let oauth = world.oauth();
    let client = oauth.client(CLIENT)?;
    let start = client.logout_redirect();
    let redirect = start.post_logout_redirect_uri(format!("{BASE}out")).await?;
    let set = cookies(
        &redirect
            .expect("the provider has an end-session endpoint")
            .cookies,
    );
    let params = CallbackParams::parse(query)?;
    client
        .validate_logout_response(&params, &set, None)
        .map(drop)
}

/// What goes wrong with a token that is kept.
async fn call(name: &str) -> Result<()> {
    let world = World::new().await;
    let faults = world.provider.faults();
    let refused = |status, body: &str| faults.on(Endpoint::Token, json_answer(status, body));
    let oauth = world.oauth();
    let client = oauth.client(CLIENT)?;
    match name {
        "call-no-token" => alice(&oauth).get("me").await.map(drop),
        "call-nobody" => client.get("me").await.map(drop),
        "call-expired" => {
            let over = Token::builder("a")
                .expires_at(Timestamp::from_secs(1))
                .build()?;
            oauth.adopt(TokenKey::new(CLIENT, "alice")?, over).await?;
            alice(&oauth).get("me").await.map(drop)
        }
        "call-token-type" => {
            let token = Token::builder("a").token_type("mac").build()?;
            let request = client.request_with(&token, reqwest::Method::GET, "me");
            request.await.map(drop)
        }
        "call-foreign-origin" => {
            let grant = world.alice(&oauth).await;
            grant.get("//other.example/x").await.map(drop)
        }
        "call-network" => {
            let grant = world.alice(&oauth).await;
            faults.on(Endpoint::Api, Fault::DropBefore);
            grant.get("me").await.map(drop)
        }
        "refresh-invalid-grant" => {
            let grant = world.alice(&oauth).await;
            refused(400, r#"{"error":"invalid_grant"}"#);
            grant.refresh().await.map(drop)
        }
        "refresh-503" => {
            let grant = world.alice(&oauth).await;
            faults.on(Endpoint::Token, Fault::ServerError(503));
            grant.refresh().await.map(drop)
        }
        "no-userinfo" => {
            let oauth = world.bare(&world.store).register(plain(&world)).build()?;
            let token = Token::builder("a").build()?;
            oauth.client(CLIENT)?.userinfo(&token, None).await.map(drop)
        }
        "userinfo-503" => {
            let grant = world.alice(&oauth).await;
            faults.on(Endpoint::Userinfo, Fault::ServerError(503));
            grant.userinfo().await.map(drop)
        }
        other => panic!("no scene for {other}"),
    }
}

/// One family of errors, of one size: each variant of Authlib's is told apart by its code, and by nothing else.
#[tokio::test]
async fn an_error_says_what_the_user_is_told_and_what_to_do() {
    let error = situation("callback-denied").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::AccessDenied);
    let said = error.provider().expect("the provider said so");
    assert_eq!(said.error.as_deref(), Some("access_denied"));
    let text = error.to_string();
    assert!(
        text.starts_with("access_denied (client \"op\", callback): "),
        "{text}"
    );
    let shown = tokenkeep::axum::Error::json(&error);
    for (member, value) in [
        ("error", "access_denied"),
        ("phase", "callback"),
        ("client", "op"),
        ("action", "none"),
    ] {
        assert_eq!(shown[member], value, "{shown}");
    }
}
