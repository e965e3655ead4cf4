//! `docs/coming-from-authlib.md`: the translated application is used as people use it, and the snippets run.

use tokenkeep::{
    ErrorCode, KeyRing, OAuth, Settings, TokenKey,
    sql::sqlx::{self, SqlitePool, sqlite::SqliteConnectOptions},
};
use tokenkeep_testing::{Browser, ClientKey, Endpoint, Fault, Provider};

use super::{
    notes::{self, TABLES},
    snippets,
};
use crate::kind::Kind;
use crate::world::{CLIENT, PATIENCE, World, cookies, encoded, refused, soon, until};

/// The Flask application's settings, as its deployment has them.
fn flask_settings(provider: &Provider) -> Settings {
    Settings::from_iter([
        ("OP_CLIENT_ID", provider.client_id().to_owned()),
        ("OP_CLIENT_SECRET", provider.client_secret().to_owned()),
        ("OP_SERVER_METADATA_URL", provider.metadata_url()),
        ("OP_API_BASE_URL", provider.api_base_url()),
    ])
}

async fn database(world: &World) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(world.file("notes.sqlite"))
        .create_if_missing(true);
    SqlitePool::connect_with(options).await.unwrap()
}

/// The application, listening.
struct Notes {
    db: SqlitePool,
    oauth: OAuth,
    base: String,
}

impl Notes {
    async fn start(world: &World) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let db = database(world).await;
        let settings = flask_settings(&world.provider);
        let keys = KeyRing::parse(&world.ring).unwrap();
        let (router, oauth) = notes::application(db.clone(), settings, keys, &base)
            .await
            .unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { db, oauth, base }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn home(&self, browser: &Browser) -> String {
        browser.get(&self.at("/")).await.unwrap().body
    }

    async fn one<T>(&self, select: &'static str) -> T
    where
        T: Send + Unpin + sqlx::Type<sqlx::Sqlite> + for<'r> sqlx::Decode<'r, sqlx::Sqlite>,
    {
        sqlx::query_scalar(select)
            .fetch_one(&self.db)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn the_translated_flask_application_logs_in_calls_renews_tells_and_logs_out() {
    let world = World::new().await;
    let notes = Notes::start(&world).await;
    let browser = world.provider.browser();
    assert!(notes.home(&browser).await.contains("/login/op"));
    assert_eq!(browser.get(&notes.at("/me")).await.unwrap().status, 401);

    // The redirect URI is the one of before, and the row is the one of before.
    let visit = browser
        .log_in(&notes.at("/login/op"), "alice")
        .await
        .unwrap();
    assert!(visit.at("/callback").is_some(), "the old redirect URI");
    assert!(
        visit.last().body.contains("You are user 1"),
        "{}",
        visit.last().body
    );
    assert_eq!(
        notes.one::<String>("SELECT subject FROM users").await,
        "alice"
    );
    let refresh: String = notes.one("SELECT refresh_token FROM tokens").await;

    let me = browser.get(&notes.at("/me")).await.unwrap();
    assert_eq!(me.json()["sub"], "alice");

    // The API refuses the token; it is renewed once, written back, and the signal's audit row is there.
    world.provider.expire_access_tokens();
    assert_eq!(browser.get(&notes.at("/me")).await.unwrap().status, 200);
    assert_eq!(world.refreshes(), 1);
    let renewed: String = notes.one("SELECT refresh_token FROM tokens").await;
    assert_ne!(renewed, refresh);
    until("the audit row is there", async || {
        notes
            .one::<i64>("SELECT COUNT(*) FROM audit WHERE user_id = 1")
            .await
            == 1
    })
    .await;

    // Logging out goes to the provider and comes back; the second login finds the same user.
    let home = notes.home(&browser).await;
    let csrf = home
        .split("value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let form = [("csrf", csrf)];
    let page = browser
        .post_form(&notes.at("/logout"), &form)
        .await
        .unwrap();
    let visit = browser.follow_page(page).await.unwrap();
    assert!(visit.at("/logged-out/op").is_some());
    assert!(notes.home(&browser).await.contains("/login/op"));
    browser
        .log_in(&notes.at("/login/op"), "alice")
        .await
        .unwrap();
    assert_eq!(notes.one::<i64>("SELECT COUNT(*) FROM users").await, 1);
    assert_eq!(world.provider.max_spends(), 1);
    assert_eq!(soon(notes.oauth.drain(PATIENCE)).await.unwrap(), 0);
}

#[tokio::test]
async fn the_translated_application_says_what_the_provider_refused() {
    let world = World::new().await;
    let notes = Notes::start(&world).await;
    let denied = Fault::CallbackError("access_denied".into());
    world.provider.faults().on(Endpoint::Authorize, denied);
    let browser = world.provider.browser().accepting_json();
    let visit = browser
        .log_in(&notes.at("/login/op"), "alice")
        .await
        .unwrap();
    assert_eq!(visit.last().status, 403);
    assert_eq!(visit.last().json()["error"], "access_denied");
    assert_eq!(notes.one::<i64>("SELECT COUNT(*) FROM users").await, 0);
}

#[tokio::test]
async fn the_snippets_run() {
    let world = World::new().await;
    let config = || flask_settings(&world.provider);
    assert_eq!(snippets::registry(config()).unwrap().client_names(), ["op"]);
    snippets::late(config()).unwrap().metadata().await.unwrap();
    let known = |registration| {
        let builder = world.bare(&world.store).register(registration);
        builder.config(snippets::settings().unwrap()).build()
    };
    known(snippets::every_key()).unwrap();
    known(snippets::discovered()).unwrap();
    known(snippets::strict().client_id("me")).unwrap();
    let proxied = snippets::connection(world.builder()).unwrap();
    proxied.build().unwrap();
    let db = database(&world).await;
    sqlx::raw_sql(TABLES).execute(&db).await.unwrap();
    snippets::shared(world.builder(), &db).build().unwrap();
    let by_closures = world.bare(&world.store).config(config());
    let alone = by_closures.register(snippets::for_one_client(&db));
    let key = TokenKey::new(CLIENT, "7").unwrap();
    let issued = world.provider.issue("bob");
    sqlx::query("INSERT INTO tokens VALUES ('7', 'op', ?1, ?2, ?3)")
        .bind(&issued.access_token)
        .bind(&issued.refresh_token)
        .bind(issued.expires_at)
        .execute(&db)
        .await
        .unwrap();
    let alone = alone.build().unwrap();
    let bob = alone.client(CLIENT).unwrap().owner(key.owner_column());
    assert_eq!(bob.get("me").await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_snippets_of_a_login_run_in_their_order() {
    let world = World::new().await;
    // An API in which every path is there.
    let everything = format!("{}echo/", world.provider.api_base_url());
    let registration = world.registration().api_base_url(everything);
    let builder = world.bare(&world.store).register(registration);
    let oauth = builder.hook(snippets::Fix).build().unwrap();
    let client = oauth.client(CLIENT).unwrap();
    let (send, mut heard) = tokio::sync::mpsc::channel(9);
    snippets::listen(&oauth, send).unwrap();

    let own = snippets::own_values(client.clone()).await.unwrap();
    assert!(own.url.query().unwrap().contains("state=0123456789abcdef"));
    let redirect = snippets::log_in(client.clone(), Default::default())
        .await
        .unwrap();
    let sent = redirect.url.query().unwrap();
    assert_eq!(sent.matches("resource=").count(), 2, "{sent}");
    let callback = world.at_provider(&redirect, "alice").await;
    let (set, query) = (cookies(&redirect.cookies), encoded(&callback));
    let kept = snippets::come_back(oauth.clone(), client.clone(), &query, set)
        .await
        .unwrap();
    let owner = kept.owner.clone();
    let grant = client.owner(&owner);

    let nobody = grant.client().owner("alice");
    refused(nobody.token().await, ErrorCode::LoginRequired);
    oauth
        .adopt(
            TokenKey::new(CLIENT, "alice").unwrap(),
            grant.token().await.unwrap(),
        )
        .await
        .unwrap();
    let token = grant.token().await.unwrap();
    assert_eq!(snippets::call(client.clone(), &token).await.unwrap(), 200);
    assert_eq!(snippets::machine(oauth.clone()).await.unwrap(), 200);
    assert!(snippets::answer(grant.clone()).await.contains("200"));
    let gone = client.owner("nobody");
    assert!(snippets::answer(gone).await.starts_with("log in again"));

    let login = world.login(&oauth, "alice").await.unwrap();
    let (token, id_token) = (login.token.clone(), login.token.id_token().unwrap());
    let nonce = login.claims.as_ref().unwrap().get("nonce").unwrap();
    let nonce = nonce.as_str().unwrap();
    let who = snippets::who(client.clone(), token, id_token.expose(), nonce);
    let (claims, userinfo) = who.await.unwrap();
    assert_eq!(userinfo.subject(), Some(claims.subject()));

    let out = snippets::log_out(oauth.clone(), kept.session.unwrap())
        .await
        .unwrap();
    let back = world.provider.browser();
    let back = back
        .callback(out.redirect.unwrap().as_str(), "alice")
        .await
        .unwrap();
    let query = back.url.query().unwrap();
    snippets::logged_out(client.clone(), query, cookies(&out.cookies)).unwrap();

    world.log_in(&oauth, "carol").await;
    assert!(snippets::end(client.owner("carol")).await.unwrap());
    loop {
        let line = tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap();
        if line.unwrap() == "refreshed \"carol\"" {
            break;
        }
    }
}

#[tokio::test]
async fn the_snippets_of_oauth1_run() {
    let photos = crate::oauth1::Photos::with(|registration| {
        let url = |path: &str| format!("https://photos.example/{path}");
        let shown = snippets::photos(&url("initiate"), &url("authorize"), &url("token"));
        assert_eq!(shown.name(), registration.name());
        registration
    })
    .await;
    photos.log_in().await;
    assert_eq!(snippets::of_photos(photos.alice()).await.unwrap(), 200);
}

#[tokio::test]
async fn the_snippets_of_a_service_account_run() {
    let account = "robot@project.iam.gserviceaccount.com";
    let key = ClientKey::generate("RS256").named("k1");
    let provider = Provider::builder().assertion_issuer(account, &key);
    let world = World::over(Kind::Memory, provider).await;
    let file = serde_json::json!({
        "type": "service_account",
        "client_email": account,
        "private_key": key.pem(),
        "private_key_id": "k1",
        "token_uri": format!("{}/token", world.provider.issuer()),
    });
    let shown = snippets::service_account(&file).unwrap();
    let api = world.provider.api_base_url();
    let oauth = world
        .bare(&world.store)
        .register(shown.api_base_url(format!("{api}echo/")))
        .build()
        .unwrap();
    assert_eq!(snippets::of_calendar(oauth.clone()).await.unwrap(), 200);
    let grant = oauth.client("calendar").unwrap().app();
    let me = grant.get(&format!("{api}me")).await.unwrap().json().await;
    let me: serde_json::Value = me.unwrap();
    assert_eq!(me["sub"], "alice@example.com");
    let asked = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    assert_eq!(world.provider.token_requests(asked), 1);

    let error = snippets::service_account(&serde_json::json!({})).unwrap_err();
    assert_eq!(error.to_string(), "the key file has no private_key");
}

/// A program as it is read, without what rustfmt and the place of a function may change.
fn plain(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    lines.join("\n").replace("pub(super) ", "")
}

#[test]
fn the_page_shows_the_programs_that_run() {
    let page = include_str!("../../../docs/coming-from-authlib.md");
    let programs = [include_str!("notes.rs"), include_str!("snippets.rs")].map(plain);
    let blocks: Vec<_> = page.split("```").skip(1).step_by(2).collect();
    let of = |language: &'static str| {
        blocks
            .iter()
            .filter_map(move |block| block.strip_prefix(language))
    };
    let mut shown = 0;
    for program in of("rust\n").map(plain) {
        let runs = programs.iter().any(|whole| whole.contains(&program));
        assert!(runs, "in no program that runs:\n{program}");
        shown += program.lines().count();
    }
    assert!(shown > 250, "{shown} lines of Rust");
    let theirs: usize = of("python\n").map(|block| block.lines().count()).sum();
    assert!(theirs > 120, "{theirs} lines of Python");

    // The translation is there as a whole: nothing that runs is kept from the reader.
    let page = plain(page);
    let translated = programs[0].split_once("type BoxError").unwrap().1;
    for line in translated.lines().skip(1) {
        assert!(page.contains(line), "the page leaves out: {line}");
    }
}
