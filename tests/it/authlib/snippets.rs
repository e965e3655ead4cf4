//! The programs of `docs/coming-from-authlib.md`, feature by feature: a test compares them with the page and runs them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokenkeep::{
    Action, AuthMethod, BrowserCookies, CallbackParams, Client, ConfigSource, Grant, Hook,
    IdTokenChecks, IdTokenClaims, JwtBearer, KeptLogin, LoggedOut, MemoryStore, OAuth,
    OAuthBuilder, Placement, RawAnswer, Redirect, Registration, Result, Session, Settings,
    SignatureMethod, SigningAlgorithm, SigningKey, Token, TokenUpdate, Userinfo,
    sql::sqlx::SqlitePool, store::async_trait,
};
use tokio_stream::StreamExt;

use super::notes::{fetch_token, update_token};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub(super) fn registry(config: impl ConfigSource) -> Result<OAuth> {
    let oauth = OAuth::builder()
        .store(MemoryStore::new())
        .config(config)
        .register("op")
        .build()?;
    Ok(oauth)
}

pub(super) fn late(config: impl ConfigSource) -> Result<Client> {
    let oauth = OAuth::new();
    oauth.register("op")?;
    let op = oauth.client("op")?; // a handle may be taken before

    let builder = OAuth::builder().store(MemoryStore::new());
    oauth.init(builder.config(config))?; // from here on it works
    Ok(op)
}

pub(super) fn every_key() -> Registration {
    Registration::oauth2(
        "op",
        "https://op.example/authorize",
        "https://op.example/token",
    )
    .client_id("my-app")
    .client_secret("from a safe place")
    .authorize_params([("audience", "https://api.example/")])
    .access_token_params([("audience", "https://api.example/")])
    .refresh_token_url("https://op.example/refresh")
    .refresh_token_params([("audience", "https://api.example/")])
    .userinfo_url("https://op.example/userinfo")
    .api_base_url("https://api.example/v1/")
    .scopes(["email", "files"])
    .token_endpoint_auth_method(AuthMethod::ClientSecretPost)
    .token_placement(Placement::Header)
    .leeway(Duration::from_secs(60))
    .timeout(Duration::from_secs(5))
}

pub(super) fn discovered() -> Registration {
    Registration::openid("google", "https://accounts.google.com").scopes(["openid", "email"])
}

pub(super) fn settings() -> Result<Settings> {
    Settings::from_value(json!({
        "google": {
            "client_id": "my-app",
            "client_secret": "from a safe place",
            "client_kwargs": { "scope": "openid email", "prompt": "select_account" },
        },
    }))
}

pub(super) fn connection(builder: OAuthBuilder) -> Result<OAuthBuilder, BoxError> {
    let http = reqwest::Client::builder()
        .proxy(reqwest::Proxy::https("http://proxy.example:3128")?)
        .connect_timeout(Duration::from_secs(3))
        .user_agent("my-app/1.0");
    Ok(builder.http_client(http))
}

pub(super) const CALLBACK: &str = crate::world::CALLBACK;

pub(super) async fn log_in(client: Client, cookies: BrowserCookies) -> Result<Redirect> {
    let redirect = client
        .authorize_redirect(CALLBACK)
        .prompt("consent")
        .login_hint("alice")
        .parameter("audience", ["https://api.example/"])
        .parameter("resource", ["https://a.example/", "https://b.example/"])
        .max_age(3600)
        .return_to("/inbox")
        .flow_data(json!({ "tenant": "acme" }))
        .cookies(&cookies)
        .await?;
    // A redirect to `redirect.url`, with `redirect.cookies` set.
    Ok(redirect)
}

pub(super) async fn own_values(client: Client) -> Result<Redirect> {
    client
        .authorize_redirect(CALLBACK)
        .state("0123456789abcdef")
        .nonce("0123456789abcdef")
        .verifier("0123456789abcdef0123456789abcdef0123456789abcdef")
        .await
}

pub(super) async fn come_back(
    oauth: OAuth,
    client: Client,
    query: &str,
    cookies: BrowserCookies,
) -> Result<KeptLogin> {
    let params = CallbackParams::parse(query)?;
    let returned = client
        .authorize_access_token(&params, &cookies, Some(CALLBACK))
        .await;
    let login = returned.login?; // the cookie `returned.removal` goes with every answer

    // `login.claims`, `login.userinfo`, `login.return_to` and `login.flow_data` are there now.
    let owner = login.default_owner()?; // or your own user's id
    oauth.keep_login(&login, &owner, None).await // its cookies are the session
}

pub(super) fn shared(builder: OAuthBuilder, db: &SqlitePool) -> OAuthBuilder {
    let (read, write) = (db.clone(), db.clone());
    builder
        .fetch_token(move |key| fetch_token(read.clone(), key))
        .update_token(move |key, token, _replaced| update_token(write.clone(), key, token))
}

pub(super) fn for_one_client(db: &SqlitePool) -> Registration {
    let (read, write) = (db.clone(), db.clone());
    Registration::new("op")
        .fetch_token(move |key| fetch_token(read.clone(), key))
        .update_token(move |key, token, _replaced| update_token(write.clone(), key, token))
}

pub(super) fn listen(oauth: &OAuth, heard: tokio::sync::mpsc::Sender<String>) -> Result<()> {
    let mut updates = oauth.token_updates()?.client("op");
    tokio::spawn(async move {
        while let Some(update) = updates.next().await {
            if let TokenUpdate::Refreshed(changed) = &update {
                let line = format!("{} {:?}", update.kind(), changed.key.owner_column());
                let _ = heard.send(line).await;
            }
        }
    });
    Ok(())
}

pub(super) async fn who(
    client: Client,
    token: Token,
    id_token: &str,
    nonce: &str,
) -> Result<(IdTokenClaims, Userinfo)> {
    let checks = IdTokenChecks::new()
        .nonce(nonce)
        .access_token(token.access_token().expose());
    let claims = client.parse_id_token(id_token, &checks).await?;
    let userinfo = client.userinfo(&token, Some(claims.subject())).await?;
    Ok((claims, userinfo))
}

pub(super) fn strict() -> Registration {
    Registration::openid("op", "https://op.example")
        .check_claims(|claims| match claims.get("hd") {
            Some(domain) if domain == "example.com" => Ok(()),
            _ => Err("not of our domain"),
        })
        .trust_audience("https://partner.example")
        .clock_leeway(Duration::from_secs(120))
        .id_token_algorithms(["RS256", "ES256"])
}

pub(super) async fn call(client: Client, token: &Token) -> Result<u16> {
    let grant = client.owner("alice"); // in a handler: user.grant("op")?
    let answer = grant.get("files").query([("page", "2")]).await?;
    let page: Value = answer.json().await.unwrap_or_default();
    grant.post("files").json(json!({ "after": page })).await?;

    client.get("status").withhold_token().await?; // without any token
    let own = client.request_with(token, Method::GET, "files");
    Ok(own.await?.status().as_u16())
}

pub(super) struct Fix;

#[async_trait]
impl Hook for Fix {
    async fn access_token_response(
        &self,
        client: &str,
        _: &RawAnswer<'_>,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        if client != "op" {
            return None; // as it came
        }
        let mut answer: Value = serde_json::from_slice(body).ok()?;
        answer["token_type"] = "Bearer".into();
        serde_json::to_vec(&answer).ok()
    }

    async fn protected_request(&self, client: &str, request: &mut reqwest::Request) -> Result<()> {
        if client == "op" {
            let mut query = request.url_mut().query_pairs_mut();
            query.append_pair("site", "stackoverflow");
        }
        Ok(())
    }
}

pub(super) async fn log_out(oauth: OAuth, session: Session) -> Result<LoggedOut> {
    let back = "http://127.0.0.1:3000/logged-out/op";
    let out = oauth.log_out(&session, Some(back)).await?;
    // A redirect to `out.redirect` if there is one, with `out.cookies` set.
    Ok(out)
}

pub(super) fn logged_out(client: Client, query: &str, cookies: BrowserCookies) -> Result<()> {
    let params = CallbackParams::parse(query)?;
    let removal = client.validate_logout_response(&params, &cookies, None)?;
    let _ = removal.to_header(); // to be set with the answer
    Ok(())
}

pub(super) async fn answer(grant: Grant) -> String {
    match grant.get("files").await {
        Ok(answer) => format!("the API says {}", answer.status()),
        Err(error) => match error.action() {
            Action::Login { connect_url } => format!("log in again: {connect_url:?}"),
            Action::Retry { after } => format!("later: {after:?}"),
            Action::Configure => format!("mend this: {}", error.help()),
            _ => format!("{}: {}", error.code(), error.message()),
        },
    }
}

pub(super) async fn machine(oauth: OAuth) -> Result<u16> {
    let app = oauth.client("op")?.app().scopes(["invoices"]);
    let answer = app.get("invoices").await?; // got, kept and renewed once for the whole fleet
    Ok(answer.status().as_u16())
}

pub(super) fn service_account(file: &Value) -> Result<Registration, BoxError> {
    let of = |member: &str| {
        let value = file[member].as_str();
        value.ok_or_else(|| format!("the key file has no {member}"))
    };
    let key = SigningKey::from_pem(SigningAlgorithm::Rs256, of("private_key")?)?
        .with_key_id(of("private_key_id")?);
    let assertion = JwtBearer::new(key)
        .subject("alice@example.com") // left out where the account acts for itself
        .scopes(["https://www.googleapis.com/auth/calendar.readonly"])
        .scopes_as_claim(); // where Google looks for them
    Ok(Registration::new("calendar")
        .access_token_url(of("token_uri")?)
        .client_id(of("client_email")?)
        .api_base_url("https://www.googleapis.com/calendar/v3/")
        .jwt_bearer(assertion))
}

pub(super) async fn of_calendar(oauth: OAuth) -> Result<u16> {
    let calendar = oauth.client("calendar")?.app();
    let answer = calendar.get("users/me/calendarList").await?; // asserted, kept and renewed once for the whole fleet
    Ok(answer.status().as_u16())
}

pub(super) fn photos(request: &str, authorize: &str, access: &str) -> Registration {
    Registration::oauth1("photos", request, authorize, access)
        .client_id("my-app")
        .client_secret("from a safe place")
        .signature_method(SignatureMethod::HmacSha1)
        .request_token_params([("x_auth_access_type", "read")])
        .api_base_url("https://api.photos.example/1.1/")
}

pub(super) async fn of_photos(grant: Grant) -> Result<u16> {
    let answer = grant.get("me").await?; // signed anew for each request
    Ok(answer.status().as_u16())
}

pub(super) async fn end(grant: Grant) -> Result<bool> {
    grant.refresh().await?;
    let known = grant.introspect().await?;
    grant.revoke().await?;
    Ok(known.is_active())
}
