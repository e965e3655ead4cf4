//! What counts as a token answer: each line once at login and once at a refresh. What a refresh leaves in the store is asked
//! of another process, by the refresh token that it sends next.

use std::time::Duration;

use tokenkeep::{Action, ErrorCode, Grant, OAuth, Phase, Registration, Token, TokenKey, Upkeep};
use tokenkeep_testing::{Replies, Reply};

use crate::world::{BASE, CALLBACK, CLIENT, World, alice, refused, soon};

const TOKEN: &str = "/token";

/// What becomes of the refresh token.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    /// The answer counts, and the one in it is kept.
    Next,
    /// The answer counts, and brings none that could be.
    Same,
    /// It is an error.
    Refused,
}
use Then::{Next, Refused, Same};

struct Line {
    what: &'static str,
    reply: Reply,
    login: Then,
    refresh: Then,
}

fn line(what: &'static str, reply: Reply, login: Then, refresh: Then) -> Line {
    Line {
        what,
        reply,
        login,
        refresh,
    }
}

fn json(what: &'static str, body: &str, login: Then, refresh: Then) -> Line {
    line(what, Reply::body("application/json", body), login, refresh)
}

/// A good answer, but for one member.
fn but(what: &'static str, member: &str, value: &str, login: Then, refresh: Then) -> Line {
    let good = [
        ("access_token", r#""at-2""#),
        ("token_type", r#""Bearer""#),
        ("refresh_token", r#""rt-2""#),
        ("expires_in", "3600"),
    ];
    let members: Vec<_> = good
        .into_iter()
        .filter(|(name, _)| *name != member)
        .chain((!value.is_empty()).then_some((member, value)))
        .map(|(name, value)| format!("{name:?}:{value}"))
        .collect();
    let body = format!("{{{}}}", members.join(","));
    json(what, &body, login, refresh)
}

const GOOD: &str =
    r#"{"access_token":"at-2","token_type":"Bearer","refresh_token":"rt-2","expires_in":3600}"#;

fn lives() -> Vec<Line> {
    [
        ("3600", "seconds"),
        (r#""3600""#, "seconds in quotes"),
        ("3599.5", "a fraction"),
        (r#""3599.5""#, "a fraction in quotes"),
        ("1e400", "more than any number"),
        ("99999999999999999999999", "more than any time"),
        ("-1", "a negative life"),
        (r#""soon""#, "a life in words"),
        ("null", "no life"),
        ("{}", "a life that is an object"),
        ("", "no word of the life"),
    ]
    .into_iter()
    .map(|(value, what)| but(what, "expires_in", value, Next, Next))
    .collect()
}

/// Liberal where nothing is at risk.
fn liberal() -> Vec<Line> {
    let form = "access_token=at-2&token_type=bearer&refresh_token=rt-2&expires_in=3600";
    let mut lines = lives();
    lines.extend([
        but("no refresh token", "refresh_token", "", Same, Same),
        but(
            "an empty refresh token",
            "refresh_token",
            r#""""#,
            Same,
            Same,
        ),
        but("a null refresh token", "refresh_token", "null", Same, Same),
        but("a scope as text", "scope", r#""a b""#, Next, Next),
        but("a scope as a list", "scope", r#"["a","b"]"#, Next, Next),
        but("an empty scope", "scope", r#""""#, Next, Next),
        but("a scope that is none", "scope", "1", Next, Next),
        but(
            "a type in another case",
            "token_type",
            r#""BEARER""#,
            Next,
            Next,
        ),
        but("no type", "token_type", "", Refused, Next),
        but(
            "an expiry by the provider's clock",
            "expires_at",
            "1",
            Next,
            Next,
        ),
        but("an error that says nothing", "error", "null", Next, Next),
        line(
            "201",
            Reply::body("application/json", GOOD).with_status(201),
            Next,
            Next,
        ),
        line("JSON as text", Reply::body("text/plain", GOOD), Next, Next),
        line(
            "JSON with a charset",
            Reply::body("Application/JSON; charset=utf-8", GOOD),
            Next,
            Next,
        ),
        line(
            "JSON of a vendor",
            Reply::body("application/vnd.op+json", GOOD),
            Next,
            Next,
        ),
        line(
            "JSON with a mark",
            Reply::body("application/json", format!("\u{feff}{GOOD}")),
            Next,
            Next,
        ),
        line(
            "a form",
            Reply::body("application/x-www-form-urlencoded", form),
            Next,
            Next,
        ),
        line(
            "a form as text",
            Reply::body("text/plain", form),
            Next,
            Next,
        ),
        // What is spent is spent: on a refresh nothing beside a readable access token loses it.
        line(
            "JSON as HTML",
            Reply::body("text/html", GOOD),
            Refused,
            Next,
        ),
        but("a type that is no text", "token_type", "1", Refused, Next),
        but(
            "a type of another kind",
            "token_type",
            r#""mac""#,
            Refused,
            Next,
        ),
        but(
            "a refresh token that is no text",
            "refresh_token",
            "1",
            Refused,
            Same,
        ),
        but(
            "a refresh token with a line break",
            "refresh_token",
            r#""a\nb""#,
            Refused,
            Same,
        ),
        but("an ID token that is none", "id_token", "{}", Refused, Next),
        but("a member twice", "x", r#"1,"x":2"#, Refused, Next),
        but(
            "a scope twice",
            "scope",
            r#""a","scope":"b""#,
            Refused,
            Next,
        ),
    ]);
    lines
}

/// Strict otherwise.
fn strict() -> Vec<Line> {
    let refused = |what, body: &str| json(what, body, Refused, Refused);
    let status = |what, status| {
        let reply = Reply::body("application/json", GOOD).with_status(status);
        line(what, reply, Refused, Refused)
    };
    vec![
        but("no access token", "access_token", "", Refused, Refused),
        but(
            "an empty access token",
            "access_token",
            r#""""#,
            Refused,
            Refused,
        ),
        but(
            "a null access token",
            "access_token",
            "null",
            Refused,
            Refused,
        ),
        but(
            "a number as access token",
            "access_token",
            "7",
            Refused,
            Refused,
        ),
        but(
            "an access token with a line break",
            "access_token",
            r#""a\nb""#,
            Refused,
            Refused,
        ),
        but(
            "an access token that is not ASCII",
            "access_token",
            r#""ä""#,
            Refused,
            Refused,
        ),
        but(
            "two access tokens",
            "access_token",
            r#""a","access_token":"b""#,
            Refused,
            Refused,
        ),
        but(
            "an error beside",
            "error",
            r#""server_error""#,
            Refused,
            Refused,
        ),
        but(
            "an error object beside",
            "error",
            r#"{"message":"no"}"#,
            Refused,
            Refused,
        ),
        refused("an error with 200", r#"{"error":"server_error"}"#),
        refused("nothing", ""),
        refused("an empty object", "{}"),
        refused("a list", r#"["access_token"]"#),
        refused("half an answer", &GOOD[..GOOD.len() - 1]),
        refused("two answers", &format!("{GOOD}{GOOD}")),
        refused("a megabyte", &GOOD.replace("at-2", &"a".repeat(1 << 20))),
        refused("not UTF-16", &GOOD.replace("at-2", r"\ud800")),
        line(
            "HTML",
            Reply::body("text/html", "<h1>sign in to the hotel</h1>"),
            Refused,
            Refused,
        ),
        line("no content", Reply::status(204), Refused, Refused),
        line(
            "a redirect",
            Reply::status(302).header("location", "https://evil.example/"),
            Refused,
            Refused,
        ),
        status("a redirect with a token", 302),
        status("not found with a token", 404),
        status("a bad request with a token", 400),
        status("too early with a token", 425),
        status("an internal error with a token", 500),
        status("a bad gateway with a token", 502),
    ]
}

/// An application over the world's store, whose provider answers from a list.
async fn application(world: &World, replies: &Replies) -> OAuth {
    let op = Registration::oauth2(
        CLIENT,
        "https://op.example/authorize",
        "https://op.example/token",
    );
    OAuth::builder()
        .store(world.another_store().await)
        .key_ring(tokenkeep::KeyRing::parse(&world.ring).unwrap())
        .clock(crate::world::Handle(std::sync::Arc::clone(&world.clock)))
        .upkeep(Upkeep::none())
        .base_url(BASE)
        .register(op.client_id("id").client_secret("secret"))
        .transport(replies.clone())
        .build()
        .unwrap()
}

/// The grant of the line's own owner.
fn of(oauth: &OAuth, what: &str) -> Grant {
    oauth.client(CLIENT).unwrap().owner(what)
}

async fn log_in(oauth: &OAuth) -> tokenkeep::Result<tokenkeep::Login> {
    let client = oauth.client(CLIENT).unwrap();
    let redirect = client.authorize_redirect(CALLBACK).await.unwrap();
    let state = redirect.url.query_pairs().find(|(name, _)| name == "state");
    let query = format!("code=the-code&state={}", state.unwrap().1);
    let cookies = crate::world::cookies(&redirect.cookies);
    super::come_back(&client, &query, &cookies).await
}

#[tokio::test]
async fn at_login_each_line_is_read_as_the_list_says() {
    let world = World::new().await;
    for line in liberal().into_iter().chain(strict()) {
        let replies = Replies::new().on("POST", TOKEN, line.reply);
        let oauth = application(&world, &replies).await;
        let login = log_in(&oauth).await;
        let what = line.what;
        let found = match &login {
            Ok(login) if login.token.refresh_token().is_some() => Next,
            Ok(_) => Same,
            Err(_) => Refused,
        };
        assert_eq!(found, line.login, "{what}: {:?}", login.err());
        assert_eq!(
            replies.requests().len(),
            1,
            "{what}: once, and nowhere else"
        );
        match login {
            Ok(login) => {
                assert_eq!(login.token.access_token().expose(), "at-2", "{what}");
                // Neither an expiry of the provider's clock nor a negative life makes it old.
                let until = login.token.expires_at();
                assert!(until.is_none_or(|until| until > world.now()), "{what}");
                oauth.keep_login(&login, what, None).await.unwrap();
            }
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::ProviderError, "{what}");
                assert_eq!(error.phase(), Phase::TokenRequest, "{what}");
                assert!(error.provider().unwrap().status.is_some(), "{what}");
                for secret in ["at-2", "rt-2", "the-code"] {
                    assert!(
                        !format!("{error:#?}").contains(secret),
                        "{what}: {error:#?}"
                    );
                }
                refused(of(&oauth, what).token().await, ErrorCode::LoginRequired);
            }
        }
    }
}

/// The refresh tokens that were sent, in order.
fn spent(replies: &Replies) -> Vec<String> {
    let requests = replies.requests();
    let sent = requests.iter().map(|request| request.form("refresh_token"));
    sent.map(Option::unwrap).collect()
}

#[tokio::test]
async fn at_a_refresh_each_line_leaves_the_right_refresh_token_in_the_store() {
    let world = World::new().await;
    for line in liberal().into_iter().chain(strict()) {
        let good = r#"{"access_token":"at-3","token_type":"bearer"}"#;
        let replies = Replies::new().on("POST", TOKEN, line.reply).on(
            "POST",
            TOKEN,
            Reply::body("application/json", good),
        );
        let oauth = application(&world, &replies).await;
        let what = line.what;
        let old = Token::builder("at-1").refresh("rt-1");
        let old = old
            .expires_at(world.now() + Duration::from_secs(3600))
            .build();
        let key = TokenKey::new(CLIENT, what).unwrap();
        oauth.adopt(key, old.unwrap()).await.unwrap();
        let refresh = soon(of(&oauth, what).refresh()).await;
        let another = application(&world, &replies).await;
        let kept = of(&another, what).token().await.unwrap();
        let expected = match line.refresh {
            Refused => {
                let error = refused(refresh, ErrorCode::ProviderError);
                assert_eq!(error.phase(), Phase::Refresh, "{what}");
                for secret in ["at-2", "rt-2", "rt-1", "at-1"] {
                    assert!(
                        !format!("{error:#?}").contains(secret),
                        "{what}: {error:#?}"
                    );
                }
                assert_eq!(kept.access_token().expose(), "at-1", "{what}");
                // Whoever may have spent it waits, and all processes do.
                let wait = match *error.action() {
                    Action::Retry { after } => after.unwrap(),
                    _ => Duration::from_secs(60),
                };
                world.clock.advance(wait);
                "rt-1"
            }
            counts => {
                let token = refresh.unwrap_or_else(|error| panic!("{what}: {error:?}"));
                assert_eq!(token.access_token().expose(), "at-2", "{what}");
                assert_eq!(kept.access_token().expose(), "at-2", "{what}");
                if counts == Next { "rt-2" } else { "rt-1" }
            }
        };
        soon(of(&another, what).refresh()).await.unwrap();
        assert_eq!(spent(&replies), ["rt-1", expected], "{what}");
    }
}

/// `invalid_grant` is the one answer that ends a grant, and only for the refresh token that is still stored.
#[tokio::test]
async fn a_refusal_of_the_refresh_token_ends_the_grant_and_keeps_the_access_token_while_it_lasts() {
    for (status, error) in [
        (400, "invalid_grant"),
        (200, "invalid_grant"),
        (401, "invalid_grant"),
        (200, "bad_refresh_token"),
    ] {
        let world = World::new().await;
        let body = serde_json::json!({"error": error});
        let replies = Replies::new().on("POST", TOKEN, Reply::json(body).with_status(status));
        let oauth = application(&world, &replies).await;
        let old = Token::builder("at-1").refresh("rt-1");
        let old = old
            .expires_at(world.now() + Duration::from_secs(3600))
            .build();
        let key = TokenKey::new(CLIENT, "alice").unwrap();
        oauth.adopt(key, old.unwrap()).await.unwrap();
        let refused_by = refused(alice(&oauth).refresh().await, ErrorCode::LoginRequired);
        assert!(
            matches!(refused_by.action(), Action::Login { .. }),
            "{status}"
        );
        let another = application(&world, &replies).await;
        let kept = alice(&another).token().await.unwrap();
        assert_eq!(kept.access_token().expose(), "at-1", "{status}");
        world.clock.advance(Duration::from_secs(3600));
        refused(alice(&another).token().await, ErrorCode::LoginRequired);
        assert_eq!(spent(&replies), ["rt-1"], "{status} {error}");
    }
}
