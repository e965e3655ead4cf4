//! No secret appears in anything that a whole run logs, prints, renders or stores unsealed.
//!
//! What is searched is everything that any crate of the process logs down to TRACE, by `tracing` or by `log`, while the
//! job is done: login, refresh, calls, failures of all kinds, logout; what the process prints, panics among it; each page
//! that a browser sees; and every byte of the store. The run has a process of its own, whose loggers are not shared with
//! other tests. What is looked for is everything that the provider gave or was sent, and what this side keeps to itself.

mod heard;
mod rendered;
mod search;
mod stored;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokenkeep::{
    BrowserCookies, CallbackParams, Error, ErrorCode, Hook, KeyRing, OAuth, Phase, Reseal,
    TokenKey, TokenUpdate,
    store::{FetchToken, Page, TokenQuery},
};
use tokenkeep_testing::{
    Endpoint, Fault, IdTokenFault, LogoutToken, LogoutTokenFault, Provider, Replies, Reply,
};
use tokio_stream::StreamExt;

use self::{
    heard::{Heard, Logger},
    search::Secrets,
};
use crate::{
    faulty::{Method, StoreFault},
    kind::Kind,
    living::measure::Sums,
    web::Framework,
    world::{CALLBACK, CLIENT, PATIENCE, World, alice, cookies, encoded, key, soon, told, until},
};

/// What makes the test `run` the run.
const RUN: &str = "TOKENKEEP_IT_SECRETS";

#[tokio::test]
async fn no_secret_appears_in_anything_that_is_said() {
    let handed_over = tempfile::NamedTempFile::new().unwrap();
    let run = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "secrets::run", "--nocapture"])
        .env(RUN, handed_over.path())
        .kill_on_drop(true)
        .output();
    let output = soon(run).await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("secrets were looked for"), "{said}");
    let mut secrets = Secrets::default();
    for line in std::fs::read_to_string(handed_over.path()).unwrap().lines() {
        secrets.know("a secret", line);
    }
    assert!(secrets.len() > 100, "{} secrets", secrets.len());
    assert!(secrets.found_in(said.as_bytes()).is_empty(), "printed");
}

/// The run of the test above; without its variable it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run() {
    let Ok(hand_over_to) = std::env::var(RUN) else {
        return;
    };
    let heard = Heard::default();
    let panics = heard.clone();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        panics.display(panic);
        usual(panic);
    }));
    log::set_boxed_logger(Box::new(Logger(heard.clone()))).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let writer = {
        let heard = heard.clone();
        move || heard.clone()
    };
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(writer)
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let sums = Sums::default();
    metrics::set_global_recorder(sums.clone()).unwrap();

    let world = World::over(Kind::Sqlite, Provider::builder().remember_secrets()).await;
    let mut secrets = Secrets::default();
    let oauth = world.oauth();
    oauth.follow_changes().await.unwrap();
    let mut updates = oauth.token_updates().unwrap();
    secrets.know("client_secret", world.provider.client_secret());
    let (_, ring) = world.ring.split_once(':').unwrap();
    secrets.know("the key of the ring", ring);
    secrets.know("the key of the ring", [7; 32]);
    heard.debug(&KeyRing::parse(&world.ring).unwrap());
    heard.debug(&world.registration());
    heard.debug(&world.builder());

    job(&world, &oauth, &heard, &mut secrets).await;
    failures(&world, &oauth, &heard, &mut secrets).await;
    logouts_by_provider(&world, &oauth, &heard, &mut secrets).await;
    living(&world, &oauth, &heard, &mut secrets).await;
    elsewhere(&world, &heard, &mut secrets).await;
    let mut pages = rendered::pages(Framework::Axum, &world, &mut secrets).await;
    pages.extend(rendered::pages(Framework::Actix, &world, &mut secrets).await);
    assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
    for update in told(&mut updates) {
        heard.debug(&update);
        heard.display(&update.id());
        if let Some(changed) = update.changed() {
            remember_token(&heard, &mut secrets, changed.token().await);
        }
    }
    heard.debug(&oauth);
    heard.debug(&world.provider);

    let counted = sums.names();
    assert!(counted.len() >= 10, "{counted:?}");
    heard.debug(&counted);
    let text = heard.text();
    // Whose token it is, is nobody's business who reads logs: what we say ourselves names no owner.
    let named: Vec<_> = text
        .lines()
        .filter(|line| line.contains(" tokenkeep_core::") && line.contains("alice"))
        .collect();
    assert!(named.is_empty(), "{named:#?}");
    // It would be no wonder if nothing were found in nothing.
    for expected in [
        "token update",
        "NeedsLogin",
        "hyper",
        "invalid_grant",
        "Refreshed",
        "refresh{client=\"op\"",
        "the key ring is replaced",
        "tokenkeep_refreshes_total",
        "Forgotten",
        "a hook behind a logout failed again",
        "shows a token that was replaced",
        "it could not be written",
        "the grant of a session that ended stays",
    ] {
        assert!(
            text.contains(expected),
            "the run said nothing of {expected}"
        );
    }
    let kinds = secrets.of(&world.provider);
    let expected = [
        "access_token",
        "client_secret",
        "code",
        "code_verifier",
        "id_token",
        "nonce",
        "refresh_token",
        "state",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
    assert!(secrets.len() > 100, "{} secrets", secrets.len());
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !secrets.found_in(line).is_empty())
        .map(|line| line.chars().take(120).collect::<String>())
        .collect();
    // The whole line would say it once more.
    assert!(
        lines.is_empty(),
        "{:?} in {lines:#?}",
        secrets.found_in(&text)
    );
    rendered::search(&pages, &secrets);
    let stored = stored::everything(&world).await;
    assert_eq!(secrets.found_in(&stored), BTreeSet::new(), "in the store");
    // A search that finds nothing must be able to find each.
    for (secret, what) in secrets.iter() {
        for (how, planted) in search::planted(secret) {
            assert!(!secrets.found_in(&planted).is_empty(), "{what} {how}");
        }
    }
    let all = secrets
        .iter()
        .filter_map(|(secret, _)| std::str::from_utf8(secret).ok());
    std::fs::write(hand_over_to, all.collect::<Vec<_>>().join("\n")).unwrap();
    println!("{} secrets were looked for", secrets.len());
}

fn remember_token(
    heard: &Heard,
    secrets: &mut Secrets,
    token: tokenkeep::Result<impl AsRef<tokenkeep::Token>>,
) {
    let token = match token {
        Ok(token) => token,
        Err(error) => return heard.error(&error),
    };
    let token = token.as_ref();
    heard.debug(token);
    secrets.know("access_token", token.access_token().expose());
    if let Some(token) = token.refresh_token() {
        heard.debug(token);
        secrets.know("refresh_token", token.expose());
    }
    if let Some(token) = token.id_token() {
        secrets.know("id_token", token.expose());
    }
}

/// The main job, with every secret written down.
async fn job(world: &World, oauth: &OAuth, heard: &Heard, secrets: &mut Secrets) {
    let client = oauth.client(CLIENT).unwrap();
    let (state, nonce, verifier) = (
        "state-5f0aQm2Zr8Lk1Xw7Tn4Ub6".to_owned(),
        "nonce-9cVh3Jd7Se2Pq8Ry1Mz5Ka".to_owned(),
        "verifier-4gBt6Wo0Lf8Nx2Ci5Hu9Ej7Dk3As1Vp6Gm0Zq4Yb8Tr".to_owned(),
    );
    let start = client
        .authorize_redirect(CALLBACK)
        .state(state.as_str())
        .nonce(nonce.as_str())
        .verifier(verifier.as_str());
    heard.debug(&start);
    let redirect = start.await.unwrap();
    heard.debug(&redirect);
    secrets.know("state", state);
    secrets.know("nonce", nonce);
    secrets.know("code_verifier", verifier);
    secrets.cookies(&redirect.cookies);
    let callback = world.at_provider(&redirect, "alice").await;
    heard.debug(&callback);
    secrets.know("code", callback.parameter("code").unwrap());
    let params = CallbackParams::parse(encoded(&callback)).unwrap();
    let browser = cookies(&redirect.cookies);
    heard.debug(&params);
    heard.debug(&browser);
    let returned = client.authorize_access_token(&params, &browser, None).await;
    heard.debug(&returned);
    let again = client.authorize_access_token(&params, &browser, None).await;
    heard.failed(again.login);
    let login = returned.login.unwrap();
    remember_token(heard, secrets, Ok(Arc::new(login.token.clone())));
    let kept = oauth.keep_login(&login, "alice", None).await.unwrap();
    heard.debug(&kept);
    secrets.cookies(&kept.cookies);
    let session = oauth
        .session(&cookies(&kept.cookies))
        .await
        .unwrap()
        .unwrap();
    heard.debug(&session);
    secrets.know("a csrf token", session.csrf());
    heard.debug(&session.claims());

    let grant = client.owner("alice");
    heard.debug(&grant);
    for _ in 0..3 {
        remember_token(heard, secrets, grant.refresh().await.map(Arc::new));
        let client_id = world.provider.client_id();
        let live = world.provider.live_refresh_token("alice", client_id);
        secrets.know("refresh_token", live.unwrap());
    }
    let kept_handle = grant.kept().unwrap();
    heard.debug(&kept_handle);
    heard.debug(&kept_handle.header().await.unwrap());
    heard.debug(&grant.info().await.unwrap());
    heard.debug(&grant.get("me"));
    heard.debug(&grant.get("me").await.unwrap());
    heard.debug(&grant.userinfo().await.unwrap());
    world.provider.expire_access_tokens();
    assert_eq!(grant.get("me").await.unwrap().status(), 200);
    remember_token(heard, secrets, client.app().token().await.map(Arc::new));
    let key = TokenKey::new(CLIENT, "alice").unwrap();
    heard.debug(&world.store.fetch_token(&key).await.unwrap());
    heard.debug(&oauth.grants("alice").await.unwrap());

    let back = "http://127.0.0.1:3000/logged-out/op";
    let out = oauth.log_out(&session, Some(back)).await.unwrap();
    heard.debug(&out);
    secrets.cookies(&out.cookies);
    let url = out.redirect.unwrap();
    let sent = url
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1;
    secrets.know("state", &*sent);
    let params = CallbackParams::parse(format!("state={sent}x")).unwrap();
    let wrong = client.validate_logout_response(&params, &cookies(&out.cookies), None);
    heard.failed(wrong);
    grant.revoke().await.unwrap();
    heard.failed(grant.token().await);
}

/// Logouts that the provider begins, good and bad.
async fn logouts_by_provider(world: &World, oauth: &OAuth, heard: &Heard, secrets: &mut Secrets) {
    let client = oauth.client(CLIENT).unwrap();
    let kept = world.log_in(oauth, "alice").await;
    secrets.cookies(&kept.cookies);
    let sid = kept
        .session
        .unwrap()
        .claims()
        .unwrap()
        .sid()
        .unwrap()
        .to_owned();
    let named = LogoutToken::of_session(&sid).subject("alice");
    for token in [
        named.clone().fault(LogoutTokenFault::WithNonce),
        named
            .clone()
            .fault(LogoutTokenFault::Claim("jti".into(), 7.into())),
        named,
    ] {
        let token = world
            .provider
            .logout_token(world.provider.client_id(), &token);
        secrets.know("a logout token", token.as_str());
        let form = format!("logout_token={token}");
        heard.debug(&client.backchannel_logout(form.as_bytes()).await);
        heard.failed(client.backchannel_logout(form.as_bytes()).await);
        let twice = format!("{form}&{form}");
        heard.failed(client.backchannel_logout(twice.as_bytes()).await);
    }
    let none = BrowserCookies::default();
    heard.failed(client.frontchannel_logout("sid=x", &none).await);
}

/// Looking at what is kept, sealing it anew, keeping it alive, forgetting it.
async fn living(world: &World, oauth: &OAuth, heard: &Heard, secrets: &mut Secrets) {
    let grant = world.alice(oauth).await;
    remember_token(heard, secrets, grant.refresh().await.map(Arc::new));
    let client_id = world.provider.client_id();
    let live = world.provider.live_refresh_token("alice", client_id);
    secrets.know("refresh_token", live.unwrap());
    let told = oauth.explain(grant.key().unwrap()).await.unwrap();
    heard.debug(&told);
    heard.display(&told);
    let all = TokenQuery::default();
    heard.debug(&oauth.find_tokens(&all, Page::first(100)).await.unwrap());

    let new = key("new", 9);
    secrets.know("the new key of the ring", new.split_once(':').unwrap().1);
    let ring = KeyRing::parse(&[new, world.ring.clone()].join(",")).unwrap();
    heard.debug(&ring);
    let wrong = KeyRing::parse(&key("a", 9)).unwrap();
    heard.failed(oauth.set_key_ring(wrong));
    oauth.set_key_ring(ring).unwrap();
    let resealing = oauth.reseal(Reseal::new()).await.unwrap();
    heard.debug(&resealing);
    heard.debug(&resealing.finish().await);
    heard.failed(oauth.keep_alive(CLIENT).await);
    let idle = world.registration().keep_alive(Duration::from_secs(60));
    oauth.replace(idle).unwrap();
    world.advance(Duration::from_secs(60));
    heard.debug(&oauth.keep_alive(CLIENT).await.unwrap());
    let live = world.provider.live_refresh_token("alice", client_id);
    secrets.know("refresh_token", live.unwrap());

    world.advance(Duration::from_secs(121));
    let faults = world.provider.faults();
    let rule = faults.on(Endpoint::Revoke, Fault::ServerError(503));
    heard.debug(&oauth.forget("alice").await.unwrap());
    rule.off();
    world.clock.advance(Duration::from_secs(10));
    heard.failed(grant.token().await);
    heard.display(&oauth.explain(grant.key().unwrap()).await.unwrap());
}

/// A hook that fails at every logout.
struct Fails;

#[async_trait::async_trait]
impl Hook for Fails {
    async fn after_logout(&self, _: &TokenKey) -> Result<(), Error> {
        Err(Error::new(
            ErrorCode::StoreUnavailable,
            Phase::Store,
            "no answer",
        ))
    }
}

/// A logout that nobody can clear up after, and a table that goes back to what it showed before.
async fn elsewhere(world: &World, heard: &Heard, secrets: &mut Secrets) {
    let oauth = world.builder().hook(Fails).build().unwrap();
    let grant = world.alice(&oauth).await;
    grant.log_out().await.unwrap();
    until("the hook was called again", async || {
        world.clock.advance(Duration::from_secs(1));
        oauth.drain(Duration::ZERO).await.unwrap() == 0
    })
    .await;

    let token = world.login(&oauth, "alice").await.unwrap().token;
    remember_token(heard, secrets, Ok(Arc::new(token.clone())));
    let writes = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let closures = world
        .bare(&world.store)
        .register(world.registration())
        .fetch_token(move |_| std::future::ready(Ok::<_, Error>(Some(token.clone()))))
        .update_token(move |_, _, _| {
            let first = writes.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
            std::future::ready(if first { Ok(()) } else { Err("no answer") })
        })
        .build()
        .unwrap();
    let grant = alice(&closures);
    remember_token(heard, secrets, grant.refresh().await.map(Arc::new));
    let client_id = world.provider.client_id();
    let live = world.provider.live_refresh_token("alice", client_id);
    secrets.know("refresh_token", live.unwrap());
    world.clock.advance(Duration::from_secs(3));
    remember_token(heard, secrets, grant.token().await.map(Arc::new));

    // A session that ends, and a grant that cannot end with it.
    let row = Arc::new(Mutex::new(None));
    let written = Arc::clone(&row);
    let closures = world
        .bare(&world.store)
        .register(world.registration().scopes(["openid"]))
        .fetch_token(move |_| std::future::ready(Ok::<_, Error>(row.lock().unwrap().clone())))
        .update_token(move |_, token, _| {
            *written.lock().unwrap() = Some(token);
            std::future::ready(Ok::<_, Error>(()))
        })
        .build()
        .unwrap();
    let kept = world.log_in(&closures, "alice").await;
    secrets.cookies(&kept.cookies);
    let back = "http://127.0.0.1:3000/logged-out/op";
    let out = closures.log_out(&kept.session.unwrap(), Some(back)).await;
    secrets.cookies(&out.unwrap().cookies);
}

/// Whatever can fail, fails; each time a new login comes before it.
async fn failures(world: &World, oauth: &OAuth, heard: &Heard, secrets: &mut Secrets) {
    let json = |status, body: String| Fault::Answer {
        status,
        content_type: "application/json".into(),
        body,
    };
    // A provider that repeats in its error what it was sent.
    let secret = world.provider.client_secret();
    let echo = format!(r#"{{"error":"invalid_request","error_description":"bad {secret}"}}"#);
    for fault in [
        Fault::Html,
        Fault::Empty,
        Fault::Truncated,
        Fault::DropAfter,
        Fault::ServerError(503),
        Fault::Oversized(2 << 20),
        json(400, echo),
        json(400, r#"{"error":"invalid_grant"}"#.into()),
        Fault::IdToken(IdTokenFault::WrongSignature),
        Fault::IdToken(IdTokenFault::OtherSubject("mallory".into())),
        Fault::IdToken(IdTokenFault::UnknownKid),
    ] {
        let rule = world.provider.faults().on(Endpoint::Token, fault);
        let client = oauth.client(CLIENT).unwrap();
        let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
        secrets.cookies(&redirect.cookies);
        let callback = world.at_provider(&redirect, "alice").await;
        secrets.know("code", callback.parameter("code").unwrap());
        let params = CallbackParams::parse(encoded(&callback)).unwrap();
        let browser = cookies(&redirect.cookies);
        let returned = client.authorize_access_token(&params, &browser, None).await;
        heard.debug(&returned);
        if let Err(error) = &returned.login {
            heard.error(error);
        }
        rule.off();
        let grant = world.alice(oauth).await;
        let client_id = world.provider.client_id();
        let live = world.provider.live_refresh_token("alice", client_id);
        secrets.know("refresh_token", live.unwrap());
        remember_token(heard, secrets, grant.token().await.map(Arc::new));
        let rule = rule.times(1);
        match grant.refresh().await {
            // A key that is not published yet costs no grant.
            Ok(token) => remember_token(heard, secrets, Ok(Arc::new(token))),
            Err(error) => heard.error(&error),
        }
        rule.off();
        // The next one is asked again, whatever this one did to deserve a pause.
        world.advance(Duration::from_secs(60));
    }
    let grant = world.alice(oauth).await;
    remember_token(heard, secrets, grant.token().await.map(Arc::new));
    for path in [
        "//x.example/",
        "scope/x",
        "step-up",
        "redirect-away?to=http://x.example/",
    ] {
        heard.failed(grant.get(path).await);
    }
    world.store.on(Method::Fetch, StoreFault::Fail);
    heard.failed(grant.refresh().await);
    world.store.clear();
    world.store.on(Method::Write, StoreFault::Fail);
    heard.debug(&grant.refresh().await);
    world.store.clear();
    world.clock.advance(Duration::from_secs(5));
    heard.failed(OAuth::builder().build());
    heard.failed(KeyRing::parse(&format!("{},x", world.ring)));
    heard.failed(alice(oauth).account("\u{7}").token().await);

    let replies = Replies::new().on("GET", "/me", Reply::status(500));
    let stand_in = world.builder().transport(replies.clone()).build().unwrap();
    heard.debug(
        &alice(&stand_in)
            .get("me")
            .await
            .map(|answer| answer.status()),
    );
    heard.debug(&replies);
    heard.debug(&BrowserCookies::default());
    oauth.follow_changes().await.unwrap();
    let mut updates = oauth.token_updates().unwrap();
    alice(oauth).log_out().await.unwrap();
    let update: TokenUpdate = soon(updates.next()).await.unwrap();
    heard.debug(&update);
}
