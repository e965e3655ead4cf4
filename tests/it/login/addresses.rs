//! Under which address an application stands, and what its cookies are worth there.

use tokenkeep::{Action, ErrorCode, Phase, ResponseMode};

use super::Begun;
use crate::world::{CLIENT, World, come_back, cookies, refused};

#[tokio::test]
async fn an_application_stands_under_https_or_on_loopback() {
    let world = World::new().await;
    let build = |base: &str| world.builder().base_url(base).build();
    for base in [
        "http://app.example",
        "http://app.example:8080/sub",
        "http://192.168.0.7/",
        "http://localhost.example/",
        "http://127.0.0.1.example/",
        "http://app.localhost/",
        "ftp://app.example/",
    ] {
        let error = refused(build(base), ErrorCode::InvalidConfiguration);
        let said = error.message();
        assert!(
            said.contains("base_url") && said.contains("https"),
            "{said}"
        );
        assert_eq!(error.action(), &Action::Configure);
    }
    for base in [
        "app.example",
        "https://app.example/?x",
        "https://app.example/#x",
        "https://user@app.example/",
    ] {
        refused(build(base), ErrorCode::InvalidConfiguration);
    }
    for base in [
        "https://app.example",
        "http://127.9.9.9:8080/sub",
        "http://[::1]:8080/",
        "http://localhost/",
    ] {
        build(base).unwrap();
    }
}

/// A posted answer comes from another site: its cookie needs SameSite=None, and that needs https.
#[tokio::test]
async fn no_login_starts_over_http_elsewhere_than_on_loopback() {
    let world = World::new().await;
    let without_base = tokenkeep::OAuth::builder()
        .store(world.store.clone())
        .key_ring(tokenkeep::KeyRing::parse(&world.ring).unwrap())
        .register(world.registration());
    let without_base = without_base.build().unwrap();
    let with_base = world.oauth();
    for mode in [ResponseMode::FormPost, ResponseMode::Query] {
        let start = |oauth: &tokenkeep::OAuth, uri: &str| {
            let client = oauth.client(CLIENT).unwrap();
            client.authorize_redirect(uri).response_mode(mode)
        };
        let elsewhere = "http://app.example/callback/op";
        let error = refused(
            start(&without_base, elsewhere).await,
            ErrorCode::InvalidConfiguration,
        );
        assert!(error.message().contains("https"), "{error}");
        let error = refused(
            start(&with_base, elsewhere).await,
            ErrorCode::InvalidParameter,
        );
        assert_eq!(error.phase(), Phase::Authorize);
        assert!(error.message().contains("https"), "{error}");

        let here = start(&without_base, "http://127.0.0.1:3000/callback/op");
        let here = &here.await.unwrap().cookies[0];
        assert!(!here.secure && !here.name.starts_with("__"));
        let there = start(&without_base, "https://app.example/callback/op");
        let there = there.await.unwrap();
        let header = there.cookies[0].to_header();
        let same_site = match mode {
            ResponseMode::FormPost => "HttpOnly; Secure; SameSite=None",
            _ => "HttpOnly; Secure; SameSite=Lax",
        };
        assert!(header.ends_with(same_site), "{header}");
    }
    let registered = world.registration().redirect_uri("http://app.example/cb");
    let error = refused(
        world.bare(&world.store).register(registered).build(),
        ErrorCode::InvalidConfiguration,
    );
    assert!(error.message().contains("https"), "{error}");
}

/// Whoever holds a sibling of the host can set cookies for it, but none whose name begins with `__Host-`; that wants the
/// path `/` (RFC 6265bis section 4.1.3.2).
#[tokio::test]
async fn every_cookie_of_https_is_of_this_host_alone_whatever_the_base_path() {
    let world = World::new().await;
    let mut names: Vec<String> = Vec::new();
    for base in [
        "https://app.example/",
        "https://app.example/shop",
        "https://app.example/desk/",
    ] {
        let oauth = world.builder().base_url(base).build().unwrap();
        let begun = Begun::new(&world, &oauth).await;
        let login = begun.come_back().await.unwrap();
        let kept = oauth.keep_login(&login, "alice", None).await.unwrap();
        let session = kept.session.unwrap();
        let out = oauth.log_out(&session, Some("https://app.example/out"));
        let out = out.await.unwrap();
        let set = [&begun.redirect.cookies, &kept.cookies, &out.cookies];
        let kinds = ["-flow", "-session", "-session", "-logout"];
        let set: Vec<_> = set.into_iter().flatten().collect();
        assert_eq!(set.len(), kinds.len());
        for (cookie, kind) in set.iter().zip(kinds) {
            let header = cookie.to_header();
            assert!(
                header.starts_with(&format!("__Host-tokenkeep{kind}")),
                "{header}"
            );
            assert_eq!(cookie.path, "/", "{header}");
            assert!(cookie.secure && cookie.http_only, "{header}");
        }
        // Two applications of a host set no cookie of the same name.
        let session = &kept.cookies[0].name;
        assert!(!names.contains(session), "{names:?}");
        names.push(session.clone());
    }
}

/// Cookies of a name that is not the address's own, planted by a sibling domain or over a plain connection, are passed
/// over, even with a value that is genuine under another address.
#[tokio::test]
async fn a_cookie_under_another_name_is_none() {
    let world = World::new().await;
    let at = |base: &str| world.builder().base_url(base).build().unwrap();
    let ours = at("https://app.example/shop");
    let begun = Begun::new(&world, &ours).await;
    let kept = world.log_in(&ours, "alice").await;
    for base in [
        "https://app.example/",
        "https://app.example/desk",
        "http://localhost/shop",
    ] {
        // The same keys, as in two deployments of one application.
        let other = at(base);
        let foreign = world.log_in(&other, "mallory").await;
        let seen = ours.session(&cookies(&foreign.cookies)).await.unwrap();
        assert!(seen.is_none(), "{base}");
        let theirs = Begun::new(&world, &other).await;
        let client = ours.client(CLIENT).unwrap();
        let planted = come_back(&client, &theirs.callback, &theirs.redirect.cookies);
        refused(planted.await, ErrorCode::StateMismatch);
    }
    // Nor is one that the browser takes for another name: a name with a space of another kind in front of it is not held to
    // the rules for `__Host-`.
    let genuine = &kept.cookies[0];
    let header = |name: &str| format!("{name}={}", genuine.value.expose());
    let plain = genuine.name.trim_start_matches("__Host-");
    for name in [
        plain.to_owned(),
        format!("__Secure-{plain}"),
        format!("__host-{plain}"),
        format!("\u{2000}{}", genuine.name),
        format!("\u{a0}{}", genuine.name),
        format!("\u{b}{}", genuine.name),
        format!("{} ", genuine.name),
        format!("x={}", genuine.name),
    ] {
        let brought = tokenkeep::BrowserCookies::parse([header(&name).as_str()]);
        assert!(ours.session(&brought).await.unwrap().is_none(), "{name:?}");
    }
    let brought = tokenkeep::BrowserCookies::parse([header(&genuine.name).as_str()]);
    assert!(ours.session(&brought).await.unwrap().is_some());
    assert!(begun.come_back().await.is_ok());
}

/// On loopback there is no prefix, and a page under another port or path can plant a cookie of the same name. Browsers
/// send the more special path first.
#[tokio::test]
async fn a_planted_cookie_of_the_same_name_hides_no_right_one() {
    let world = World::new().await;
    let oauth = world.oauth();
    let kept = world.log_in(&oauth, "alice").await;
    let begun = Begun::new(&world, &oauth).await;
    let mine = begun.redirect.cookies[0].clone();
    let another = Begun::new(&world, &oauth).await.redirect.cookies[0].clone();
    let noise = "a=b; ".repeat(150);
    for planted in ["", "x", "1.x", another.value.expose()] {
        let header = format!(
            "{noise}{name}={planted}; {session}={planted}; {name}={}; {session}={}; {name}={planted}",
            mine.value.expose(),
            kept.cookies[0].value.expose(),
            name = mine.name,
            session = kept.cookies[0].name,
        );
        let brought = tokenkeep::BrowserCookies::parse([header.as_str()]);
        let session = oauth.session(&brought).await.unwrap().unwrap();
        assert_eq!(session.owner(), "alice");
        let begun = Begun::new(&world, &oauth).await;
        let header = header.replace(&mine.name, &begun.redirect.cookies[0].name);
        let header = header.replace(
            mine.value.expose(),
            begun.redirect.cookies[0].value.expose(),
        );
        let brought = tokenkeep::BrowserCookies::parse([header.as_str()]);
        begun
            .come_back_with(&begun.query(), &brought)
            .await
            .unwrap();
    }
}
