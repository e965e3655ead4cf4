//! Tokens never reach another origin, however it is spelled and whoever names it.

use tokenkeep::{
    ErrorCode, Grant, Hook, MemoryStore, OAuth, OAuthBuilder, Phase, Placement, Registration,
    Token, TokenKey,
};
use tokenkeep_testing::{Replies, Reply};
use tokio::{io::AsyncReadExt, net::TcpListener};

use crate::world::{CLIENT, World, alice, refused, soon};

/// Addresses of others, or that some reader takes for one.
pub(crate) const FOREIGN: &[&str] = &[
    // Without a scheme: RFC 3986 section 4.2, and what browsers make of it.
    "//evil.example/x",
    "///evil.example/x",
    "////evil.example/x",
    "/\\evil.example/x",
    "\\\\evil.example/x",
    "\\/evil.example/x",
    "/\t/evil.example/x",
    "//api.example@evil.example/x",
    "//[::1]/x",
    // Absolute.
    "https://evil.example/x",
    "HTTPS://EVIL.EXAMPLE/x",
    "hTTps:evil.example/x",
    "https:/evil.example/x",
    "https:///evil.example/x",
    "https:\\\\evil.example/x",
    "https://evil.example#api.example",
    "https://evil.example?api.example",
    "https://evil.example\\.api.example/",
    "https://evil.example\\@api.example/",
    "https://api.example.evil.example/",
    "https://evil.api.example/",
    "https://api.example./v1/me",
    "https://xapi.example/v1/me",
    // With a user in it.
    "https://api.example@evil.example/",
    "https://api.example:443@evil.example/",
    "https://api.example:x@evil.example/",
    "https://user@api.example/v1/me",
    "https://user:pass@api.example/v1/me",
    "https://:pass@api.example/v1/me",
    // Down to http, another port, another scheme.
    "http://api.example/v1/me",
    "HtTp://api.example/v1/me",
    "http://api.example:443/v1/me",
    "https://api.example:444/v1/me",
    "https://api.example:80/v1/me",
    "ftp://api.example/v1/me",
    "ws://api.example/v1/me",
    "wss://api.example/v1/me",
    "blob:https://api.example/v1/me",
    "filesystem:https://api.example/v1/me",
    "view-source:https://api.example/v1/me",
    "file:///etc/passwd",
    "file://api.example/v1/me",
    "data:text/plain,x",
    "javascript:alert(1)",
    "mailto:a@api.example",
    // This machine, and numbers for it.
    "http://127.0.0.1/v1/me",
    "http://localhost/v1/me",
    "http://[::1]/v1/me",
    "https://2130706433/v1/me",
    "https://0x7f000001/v1/me",
    "https://0177.0.0.1/v1/me",
    "https://127.1/v1/me",
    "https://[::ffff:127.0.0.1]/v1/me",
    "https://169.254.169.254/latest/meta-data",
    // Look-alikes: a Cyrillic a, its punycode, an ideographic full stop, a long s.
    "https://\u{430}pi.example/v1/me",
    "https://xn--pi-7kc.example/v1/me",
    "https://api\u{3002}evil.example/v1/me",
    "https://apí.example/v1/me",
];

/// The own API, spelled in other ways.
pub(crate) const OWN: &[&str] = &[
    "HTTPS://API.EXAMPLE/v1/me",
    "https://api.example:443/v1/me",
    "https://api.example:0443/v1/me",
    "https://api.example/v1/me#evil.example",
    "https://api.example/v1/me?to=https://evil.example",
    "https://\u{ff41}pi.example/v1/me",
    "https://api\u{3002}example/v1/me",
];

/// What no address is.
pub(crate) const UNREADABLE: &[&str] = &[
    "https://",
    "https://api.example%40evil.example/",
    "https://api.example:99999/",
    "https://[::1/",
    "https://a b/",
    "https://256.0.0.1/",
    "https://xn--/",
];

/// Nothing is sent but what the list answers.
fn builder(replies: &Replies) -> OAuthBuilder {
    builder_with(replies, |registration| registration)
}

fn builder_with(
    replies: &Replies,
    more: impl FnOnce(Registration) -> Registration,
) -> OAuthBuilder {
    let op = Registration::oauth2(
        "op",
        "https://op.example/authorize",
        "https://op.example/token",
    )
    .client_id("id")
    .client_secret("secret")
    .api_base_url("https://api.example/v1/")
    .userinfo_url("https://op.example/userinfo")
    .introspection_url("https://op.example/introspect")
    .revocation_url("https://op.example/revoke");
    OAuth::builder()
        .store(MemoryStore::new())
        .register(more(op))
        .transport(replies.clone())
}

async fn adopted(oauth: &OAuth) -> Grant {
    let token = Token::builder("the-token").refresh("the-refresh-token");
    let key = TokenKey::new(CLIENT, "alice").unwrap();
    oauth.adopt(key, token.build().unwrap()).await.unwrap();
    alice(oauth)
}

async fn application(replies: &Replies) -> (OAuth, Grant) {
    let oauth = builder(replies).build().unwrap();
    let grant = adopted(&oauth).await;
    (oauth, grant)
}

#[tokio::test]
async fn no_path_or_address_leads_a_token_elsewhere() {
    let replies = Replies::new().on("GET", "/v1/me", Reply::json(serde_json::json!({})));
    let (_oauth, grant) = application(&replies).await;
    for path in FOREIGN.iter().chain(&[
        " //evil.example/x",
        "\r\n//evil.example/x",
        "me\r\nHost: evil.example",
        "\u{a0}//evil.example/x",
        "me\0",
    ]) {
        let error = refused(grant.get(path).await, ErrorCode::ForeignOrigin);
        assert_eq!(error.phase(), Phase::Request, "{path:?}");
        // Not without a token either: the application may hand on what comes.
        let withheld = grant.get(path).withhold_token().await;
        refused(withheld, ErrorCode::ForeignOrigin);
    }
    let long = "x".repeat(40_000);
    let long_address = format!("https://api.example/{long}");
    for path in UNREADABLE.iter().copied().chain([
        // Out of the base, plain and encoded.
        "..",
        "../admin",
        "me/../../admin",
        "%2e%2e/admin",
        ".%2E/admin",
        "%2E./%2e%2e/admin",
        "/../v1x/me",
        &long,
        &long_address,
    ]) {
        refused(grant.get(path).await, ErrorCode::InvalidParameter);
    }
    let long_query = grant.get("me").query([("q", long.clone())]);
    refused(long_query.await, ErrorCode::InvalidParameter);
    assert!(replies.requests().is_empty(), "{replies:?}");

    let foreign = refused(
        grant.get("https://evil.example").await,
        ErrorCode::ForeignOrigin,
    );
    assert!(foreign.message().contains("allow_origin"), "{foreign}");
    for own in OWN.iter().copied().chain([
        // They stay below the base, whatever a server makes of them.
        "me", "/me", "x/../me", "../v1/me",
    ]) {
        assert_eq!(grant.get(own).await.unwrap().status(), 200, "{own}");
    }
    for (literal, path) in [
        ("%252e%252e/admin", "/v1/%252e%252e/admin"),
        ("..%2fadmin", "/v1/..%2fadmin"),
        ("..;/admin", "/v1/..;/admin"),
        ("@evil.example/x", "/v1/@evil.example/x"),
        ("%5c%5cevil.example", "/v1/%5c%5cevil.example"),
        (".//evil.example/x", "/v1//evil.example/x"),
    ] {
        let _no_reply_is_given = grant.get(literal).await.unwrap();
        assert_eq!(replies.requests().last().unwrap().url.path(), path);
    }
    for request in replies.requests() {
        let origin = request.url.origin().ascii_serialization();
        assert_eq!(origin, "https://api.example");
        assert_eq!(request.headers["authorization"], "Bearer the-token");
    }
}

#[tokio::test]
async fn no_redirect_leads_a_token_elsewhere() {
    let long = format!("/{}", "x".repeat(40_000));
    let relative = ["/v1/me", "me", "?me", "../v1/me"];
    let own: Vec<_> = OWN.iter().copied().chain(relative).collect();
    let places: Vec<_> = FOREIGN
        .iter()
        .chain(UNREADABLE)
        .copied()
        .chain([&*long])
        .chain(own.iter().copied())
        .collect();
    let mut replies = Replies::new();
    for (number, to) in places.iter().enumerate() {
        let away = |status| Reply::status(status).header("location", to);
        let place = format!("/v1/away/{number}");
        // `?me` leads to the same place again.
        let done = || Reply::json(serde_json::json!({}));
        replies = replies
            .on("GET", &place, away(302))
            .on("GET", &place, done())
            .on("POST", &place, away(307))
            .on("POST", &place, done());
    }
    let (_oauth, grant) = application(&replies).await;
    for (number, to) in places.iter().enumerate() {
        for method in ["GET", "POST"] {
            let before = replies.requests().len();
            let request = grant.request(method.parse().unwrap(), &format!("away/{number}"));
            let answer = request.body("the body").await;
            if own.contains(to) {
                // No URL in a header has other characters than ASCII's.
                assert!(answer.is_ok() == to.is_ascii(), "{to:?}: {answer:?}");
            } else if let Err(error) = answer {
                // What is none of ours is an error, or to whoever joins URLs by the book a path of the own origin.
                let code = error.code();
                let known = [ErrorCode::ForeignOrigin, ErrorCode::RequestFailed];
                assert!(known.contains(&code) || *to == long, "{to:?}: {error}");
                assert_eq!(replies.requests().len(), before + 1, "{to:?}");
            }
            for request in &replies.requests()[before..] {
                let origin = request.url.origin().ascii_serialization();
                assert_eq!(origin, "https://api.example", "{to:?}");
                assert_eq!(request.url.username(), "", "{to:?}");
                assert!(request.url.as_str().len() < 40_000);
            }
        }
    }
}

/// Nor does a redirect lead a request without one elsewhere: an application that hands on what comes is no open proxy.
#[tokio::test]
async fn a_request_without_a_token_stays_with_the_allowed_origins_too() {
    for to in [
        "https://evil.example/x",
        "//evil.example/x",
        "http://api.example/v1/me",
    ] {
        let away = Reply::status(302).header("location", to);
        let replies = Replies::new().on("GET", "/v1/away", away);
        let (_oauth, grant) = application(&replies).await;
        let answer = grant.get("away").withhold_token().await;
        refused(answer, ErrorCode::ForeignOrigin);
        assert_eq!(replies.requests().len(), 1, "{to}");
    }
}

/// Sends each request elsewhere, as a mistaken hook may.
#[derive(Debug)]
struct Diverted(&'static str);

#[async_trait::async_trait]
impl Hook for Diverted {
    async fn protected_request(
        &self,
        _client: &str,
        request: &mut reqwest::Request,
    ) -> tokenkeep::Result<()> {
        *request.url_mut() = self.0.parse().unwrap();
        Ok(())
    }
}

#[tokio::test]
async fn no_hook_leads_a_token_elsewhere() {
    for to in [
        "https://evil.example/x",
        "http://api.example/v1/me",
        "https://api.example:444/v1/me",
        "https://user:pass@api.example/v1/me",
    ] {
        let replies = Replies::new();
        let builder = builder(&replies).hook(Diverted(to));
        let grant = adopted(&builder.build().unwrap()).await;
        let error = refused(grant.get("me").await, ErrorCode::ForeignOrigin);
        assert!(error.message().contains("hook"), "{error}");
        assert!(replies.requests().is_empty(), "{to}");
    }
}

/// Where the provider's own endpoints redirect to, not even to the same origin: a secret or a token goes with each request.
#[tokio::test]
async fn no_endpoint_of_the_protocol_is_followed_anywhere() {
    for status in [301, 302, 303, 307, 308] {
        for to in [
            "https://op.example/elsewhere",
            "/elsewhere",
            "https://evil.example/",
        ] {
            let reply = || Reply::status(status).header("location", to);
            let replies = Replies::new()
                .on("POST", "/token", reply())
                .on("GET", "/userinfo", reply())
                .on("POST", "/introspect", reply())
                .on("POST", "/revoke", reply());
            let (_oauth, grant) = application(&replies).await;
            let error = refused(grant.userinfo().await, ErrorCode::ProviderError);
            assert_eq!(error.phase(), Phase::Userinfo);
            assert_eq!(error.provider().unwrap().status, Some(status));
            let error = refused(grant.introspect().await, ErrorCode::ProviderError);
            assert_eq!(error.phase(), Phase::Introspect);
            let error = refused(grant.refresh().await, ErrorCode::ProviderError);
            assert_eq!(error.phase(), Phase::Refresh);
            grant.revoke().await.unwrap();
            crate::world::until("the revocation was tried", async || {
                let all = replies.requests();
                all.iter().any(|request| request.url.path() == "/revoke")
            })
            .await;
            for request in replies.requests() {
                assert_ne!(request.url.path(), "/elsewhere", "{status}");
                let origin = request.url.origin().ascii_serialization();
                assert_eq!(origin, "https://op.example", "{status}");
            }
        }
    }
}

#[tokio::test]
async fn only_a_whole_origin_over_https_or_on_loopback_can_be_allowed() {
    let op = || {
        Registration::oauth2("op", "https://op.example/a", "https://op.example/t").client_id("id")
    };
    let build = |registration| {
        let oauth = OAuth::builder().store(MemoryStore::new());
        oauth.register(registration).build()
    };
    for origin in [
        "",
        "*",
        "api.example",
        "//api.example",
        "https://",
        "https://*.example",
        "https://api.example/v1",
        "https://api.example/?x",
        "https://api.example/#x",
        "https://user@api.example",
        "https://api.example@evil.example",
        "http://api.example",
        "HTTP://api.example",
        "http://127.0.0.1.example",
        "http://localhost.",
        "http://app.localhost",
        "http://[::ffff:127.0.0.1]",
        "ftp://api.example",
        "file:///",
        "data:,x",
        "javascript:x",
        "blob:https://api.example/",
    ] {
        let error = refused(
            build(op().allow_origin(origin)),
            ErrorCode::InvalidConfiguration,
        );
        assert!(
            error.message().contains("allow_origin"),
            "{origin}: {error}"
        );
        assert_eq!(error.client(), Some("op"));
    }
    for origin in [
        "https://api.example",
        "HTTPS://API.example:443/",
        "https://api.example:8443",
        "http://127.0.0.1:80",
        "http://[::1]:8080",
        "http://localhost",
    ] {
        build(op().allow_origin(origin)).unwrap();
    }
}

/// The same with real connections: whoever listens elsewhere on this machine hears nothing.
#[tokio::test]
async fn nobody_who_listens_elsewhere_hears_anything() {
    let world = World::new().await;
    let oauth = world.oauth();
    let grant = world.alice(&oauth).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = listener.local_addr().unwrap().port();
    let heard = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        let _ = connection.read_to_end(&mut bytes).await;
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let own = world.provider.address().port();
    for to in [
        format!("http://127.0.0.1:{there}/x"),
        format!("HTTP://127.0.0.1:{there}/x"),
        format!("http://2130706433:{there}/x"),
        format!("http://0x7f.1:{there}/x"),
        format!("http://127.0.0.1:{own}@127.0.0.1:{there}/x"),
        format!("//127.0.0.1:{there}/x"),
        format!("http://localhost:{there}/x"),
        // The own port under another name of this machine is another origin.
        format!("http://localhost:{own}/api/me"),
        format!("http://127.0.0.2:{own}/api/me"),
    ] {
        refused(grant.get(&to).await, ErrorCode::ForeignOrigin);
        for status in [302, 307] {
            let encoded: String = url::form_urlencoded::byte_serialize(to.as_bytes()).collect();
            let away = format!("redirect-away?status={status}&to={encoded}");
            let post = grant.post(&away).body("the body").await;
            refused(post, ErrorCode::ForeignOrigin);
        }
    }
    // A number for the own address is the own address.
    let own = format!("http://2130706433:{own}/api/me");
    assert_eq!(grant.get(&own).await.unwrap().status(), 200);
    assert!(!heard.is_finished());
    drop(
        soon(tokio::net::TcpStream::connect(("127.0.0.1", there)))
            .await
            .unwrap(),
    );
    assert_eq!(
        soon(heard).await.unwrap(),
        "",
        "the first to come was the test itself"
    );
}

#[tokio::test]
async fn a_token_stands_in_no_address_unless_the_registration_says_so_by_a_dangerous_name() {
    for placement in [
        None,
        Some(Placement::Header),
        Some(Placement::DangerouslyInQuery),
    ] {
        let replies = Replies::new().on("GET", "/v1/me", Reply::json(serde_json::json!({})));
        let oauth = builder_with(&replies, |op| match placement {
            None => op,
            Some(placement) => op.token_placement(placement),
        });
        let oauth = oauth.build().unwrap();
        adopted(&oauth).await.get("me").await.unwrap();
        let [sent] = &replies.requests()[..] else {
            panic!("{replies:?}");
        };
        let in_query = placement == Some(Placement::DangerouslyInQuery);
        assert_eq!(sent.url.as_str().contains("the-token"), in_query);
        assert_eq!(sent.headers.contains_key("authorization"), !in_query);
    }
}
