use super::{resolve::LoginGrant, *};
use crate::{
    Action, ErrorCode, Phase, Result, Reuse, Rotation, Settings,
    client::{Endpoint, Offer, negotiate},
};

const ISSUER: &str = "https://op.example/realm";

fn openid() -> Registration {
    Registration::openid("op", ISSUER).client_id("x")
}

fn alone(registration: Registration) -> Result<Resolved> {
    resolve(&registration, &Settings::default())
}

fn with<const N: usize>(
    registration: Registration,
    settings: [(&str, &str); N],
) -> Result<Resolved> {
    resolve(&registration, &Settings::from_iter(settings))
}

#[test]
fn everything_can_come_from_the_settings() {
    let op = with(
        Registration::from("op"),
        [
            ("OP_CLIENT_ID", "x"),
            ("OP_CLIENT_SECRET", "s"),
            ("OP_ISSUER", ISSUER),
            (
                "OP_SERVER_METADATA_URL",
                "https://op.example/realm/.well-known/openid-configuration",
            ),
            ("OP_AUTHORIZE_URL", "https://op.example/a"),
            ("OP_ACCESS_TOKEN_URL", "https://op.example/t"),
            ("OP_REFRESH_TOKEN_URL", "https://op.example/r"),
            ("OP_API_BASE_URL", "http://127.0.0.1:8080/api/"),
            ("OP_AUTHORIZE_PARAMS", "access_type=offline"),
            ("OP_ACCESS_TOKEN_PARAMS", "a=1"),
            ("OP_REFRESH_TOKEN_PARAMS", "b=2"),
            (
                "OP_CLIENT_KWARGS",
                r#"{"scope": "openid email", "token_endpoint_auth_method": "client_secret_post",
                    "revocation_endpoint_auth_method": "none", "code_challenge_method": "S256",
                    "response_type": "code", "response_mode": "form_post", "grant_type": "authorization_code",
                    "redirect_uri": "https://app.example/cb", "prompt": "login", "nonce": "n", "login_hint": "h",
                    "token_placement": "query", "leeway": 30, "default_timeout": 5,
                    "refresh_reuse": "both_valid", "rotation": "never"}"#,
            ),
        ],
    )
    .unwrap();
    assert_eq!(op.client_id, "x");
    assert_eq!(op.client_secret, Some(Secret::new("s")));
    assert_eq!(op.issuer.as_deref(), Some(ISSUER));
    assert_eq!(op.authorize_url.unwrap().path(), "/a");
    assert_eq!(op.access_token_url.unwrap().path(), "/t");
    assert_eq!(op.refresh_token_url.unwrap().path(), "/r");
    assert_eq!(op.api_base_url.unwrap().path(), "/api/");
    assert_eq!(op.authorize_params[0].1, "offline");
    assert_eq!(op.access_token_params[0].1, "1");
    assert_eq!(op.refresh_token_params[0].1, "2");
    assert_eq!(op.scopes, ["openid", "email"]);
    assert_eq!(
        op.token_endpoint_auth_method,
        Some(AuthMethod::ClientSecretPost)
    );
    assert_eq!(op.revocation_endpoint_auth_method, Some(AuthMethod::None));
    assert_eq!(op.pkce, Pkce::S256);
    assert_eq!(op.response_mode, ResponseMode::FormPost);
    assert_eq!(op.grant, LoginGrant::AuthorizationCode);
    assert_eq!(op.redirect_uri.as_deref(), Some("https://app.example/cb"));
    assert_eq!(op.prompt.as_deref(), Some("login"));
    assert_eq!(op.nonce, Some(Secret::new("n")));
    assert_eq!(op.login_hint.as_deref(), Some("h"));
    assert_eq!(op.placement, Placement::DangerouslyInQuery);
    assert_eq!(op.leeway, Some(Duration::from_secs(30)));
    assert_eq!(op.timeout, Some(Duration::from_secs(5)));
    assert_eq!(op.profile.reuse, Reuse::BothValid);
    assert_eq!(op.profile.rotation, Rotation::Never);
}

#[test]
fn explicit_wins_and_overwrite_turns_that_round() {
    let settings = [
        ("OP_CLIENT_ID", "from settings"),
        ("OP_CLIENT_SECRET", "s"),
        (
            "OP_CLIENT_KWARGS",
            "scope=email&rotation=never&prompt=login",
        ),
    ];
    let registration = || {
        Registration::oauth2("op", "https://op.example/a", "https://op.example/t")
            .client_id("explicit")
            .scopes(["profile"])
            .profile(ProviderProfile::new().reuse(Reuse::RevokesFamily))
    };
    let explicit = with(registration(), settings).unwrap();
    assert_eq!(explicit.client_id, "explicit");
    assert_eq!(explicit.scopes, ["profile"]);
    assert_eq!(explicit.profile.rotation, Rotation::Rotate);
    // What is said on one side only counts either way.
    assert_eq!(explicit.client_secret, Some(Secret::new("s")));
    assert_eq!(explicit.prompt.as_deref(), Some("login"));

    let overwritten = with(registration().overwrite(), settings).unwrap();
    assert_eq!(overwritten.client_id, "from settings");
    assert_eq!(overwritten.scopes, ["email"]);
    assert_eq!(overwritten.profile.rotation, Rotation::Never);
    assert_eq!(overwritten.profile.reuse, Reuse::RevokesFamily);
    assert_eq!(overwritten.authorize_url.unwrap().path(), "/a");
}

/// One key that may stand on both sides.
type Sides = (
    &'static str,
    fn(Registration) -> Registration,
    fn(&Resolved) -> Option<String>,
);

fn text(url: &Option<url::Url>) -> Option<String> {
    url.as_ref().map(|url| url.path().to_owned())
}

/// Seconds as the side that says them.
fn side(seconds: Option<Duration>) -> Option<String> {
    let of_settings = seconds? == Duration::from_secs(2);
    Some(if of_settings { "settings" } else { "code" }.to_owned())
}

#[test]
fn each_key_is_won_by_the_side_that_wins() {
    let keys: [Sides; 19] = [
        (
            "CLIENT_ID=settings",
            |r| r.client_id("code"),
            |c| Some(c.client_id.clone()),
        ),
        (
            "CLIENT_SECRET=settings",
            |r| r.client_secret("code"),
            |c| c.client_secret.as_ref().map(|s| s.expose().to_owned()),
        ),
        (
            "ISSUER=https://op.example/settings",
            |r| r.issuer("https://op.example/code"),
            |c| {
                c.issuer
                    .clone()
                    .map(|i| i.replace("https://op.example/", ""))
            },
        ),
        (
            "SERVER_METADATA_URL=https://op.example/settings",
            |r| r.server_metadata_url("https://op.example/code"),
            |c| text(&c.server_metadata_url),
        ),
        (
            "AUTHORIZE_URL=https://op.example/settings",
            |r| r.authorize_url("https://op.example/code"),
            |c| text(&c.authorize_url),
        ),
        (
            "ACCESS_TOKEN_URL=https://op.example/settings",
            |r| r.access_token_url("https://op.example/code"),
            |c| text(&c.access_token_url),
        ),
        (
            "REFRESH_TOKEN_URL=https://op.example/settings",
            |r| r.refresh_token_url("https://op.example/code"),
            |c| text(&c.refresh_token_url),
        ),
        (
            "API_BASE_URL=https://op.example/settings",
            |r| r.api_base_url("https://op.example/code"),
            |c| text(&c.api_base_url),
        ),
        (
            "AUTHORIZE_PARAMS=a=settings",
            |r| r.authorize_params([("a", "code")]),
            |c| Some(c.authorize_params[0].1.clone()),
        ),
        (
            "ACCESS_TOKEN_PARAMS=a=settings",
            |r| r.access_token_params([("a", "code")]),
            |c| Some(c.access_token_params[0].1.clone()),
        ),
        (
            "REFRESH_TOKEN_PARAMS=a=settings",
            |r| r.refresh_token_params([("a", "code")]),
            |c| Some(c.refresh_token_params[0].1.clone()),
        ),
        (
            "CLIENT_KWARGS=scope=settings",
            |r| r.scopes(["code"]),
            |c| Some(c.scopes.last().unwrap().clone()),
        ),
        (
            "CLIENT_KWARGS=prompt=settings",
            |r| r.prompt("code"),
            |c| c.prompt.clone(),
        ),
        (
            "CLIENT_KWARGS=login_hint=settings",
            |r| r.login_hint("code"),
            |c| c.login_hint.clone(),
        ),
        (
            "CLIENT_KWARGS=redirect_uri=https://app.example/settings",
            |r| r.redirect_uri("https://app.example/code"),
            |c| {
                c.redirect_uri
                    .clone()
                    .map(|u| u.replace("https://app.example/", ""))
            },
        ),
        (
            "CLIENT_KWARGS=leeway=2",
            |r| r.leeway(Duration::from_secs(1)),
            |c| side(c.leeway),
        ),
        (
            "CLIENT_KWARGS=default_timeout=2",
            |r| r.timeout(Duration::from_secs(1)),
            |c| side(c.timeout),
        ),
        (
            "CLIENT_KWARGS=token_placement=body",
            |r| r.token_placement(Placement::Header),
            |c| {
                let settings = c.placement == Placement::Body;
                Some(if settings { "settings" } else { "code" }.to_owned())
            },
        ),
        (
            "CLIENT_KWARGS=automatic_refresh=true",
            Registration::without_automatic_refresh,
            |c| {
                Some(
                    if c.automatic_refresh {
                        "settings"
                    } else {
                        "code"
                    }
                    .to_owned(),
                )
            },
        ),
    ];
    for (setting, say, read) in keys {
        let (key, value) = setting.split_once('=').unwrap();
        let base = || {
            let registration =
                Registration::oauth2("op", "https://op.example/a", "https://op.example/t");
            registration.client_id("x")
        };
        let settings = || [(format!("OP_{key}"), value)];
        let won = |registration: Registration| {
            let source = Settings::from_iter(settings());
            let said = read(&resolve(&registration, &source).unwrap()).unwrap();
            said.trim_start_matches('/').to_owned()
        };
        assert_eq!(won(say(base())), "code", "{setting}");
        assert_eq!(won(say(base()).overwrite()), "settings", "{setting}");
        // An empty value is none: it wins over nothing.
        let empty = Settings::from_iter([(format!("OP_{key}"), "")]);
        let said = read(&resolve(&say(base()).overwrite(), &empty).unwrap()).unwrap();
        assert_eq!(said.trim_start_matches('/'), "code", "{setting}");
    }
}

#[test]
fn parameters_of_both_sides_are_merged_name_by_name() {
    let settings = [(
        "OP_AUTHORIZE_PARAMS",
        "audience=settings&resource=s1&resource=s2&only=settings",
    )];
    let registration = || {
        openid().authorize_params([
            ("resource", "c1"),
            ("audience", "code"),
            ("resource", "c2"),
            ("mine", "code"),
        ])
    };
    let sent = |registration| {
        let mut sent = with(registration, settings).unwrap().authorize_params;
        sent.sort();
        let sent: Vec<_> = sent
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        sent.join("&")
    };
    assert_eq!(
        sent(registration()),
        "audience=code&mine=code&only=settings&resource=c1&resource=c2"
    );
    assert_eq!(
        sent(registration().overwrite()),
        "audience=settings&mine=code&only=settings&resource=s1&resource=s2"
    );
}

#[test]
fn defaults_are_the_safe_ones() {
    let op = alone(openid()).unwrap();
    assert_eq!(op.pkce, Pkce::S256);
    assert!(op.check_nonce && op.automatic_refresh);
    assert!(!op.assume_bearer && !op.raw_basic);
    assert_eq!(op.placement, Placement::Header);
    assert_eq!(op.profile, ProviderProfile::default());
}

#[test]
fn an_openid_registration_asks_for_openid() {
    assert_eq!(alone(openid()).unwrap().scopes, ["openid"]);
    let scopes = alone(openid().scopes(["email"])).unwrap().scopes;
    assert_eq!(scopes, ["openid", "email"]);
    let plain = Registration::oauth2("op", "https://op.example/a", "https://op.example/t");
    assert!(!alone(plain.client_id("x")).unwrap().is_openid());
    let machine = with(
        Registration::new("op").client_id("x").issuer(ISSUER),
        [("OP_CLIENT_KWARGS", "grant_type=client_credentials")],
    );
    assert!(!machine.unwrap().is_openid());
}

#[test]
fn a_setting_that_is_missing_is_named_as_it_is_to_be_set() {
    let named = |registration: Registration, setting: &str| {
        let error = alone(registration).unwrap_err();
        assert!(error.message().contains(setting), "{error}");
        assert!(!error.message().contains('{'), "{error}");
    };
    let bare = || Registration::new("my-op").client_id("x");
    named(bare(), "set MY_OP_ISSUER, MY_OP_SERVER_METADATA_URL");
    named(
        bare()
            .issuer(ISSUER)
            .token_endpoint_auth_method(AuthMethod::ClientSecretPost),
        "set MY_OP_CLIENT_SECRET",
    );
    named(
        bare()
            .client_secret("s")
            .request_token_url("https://op.example/r"),
        "set MY_OP_ACCESS_TOKEN_URL",
    );
}

#[test]
fn what_cannot_work_is_refused_with_the_clients_name() {
    let oauth2 = || {
        Registration::oauth2("op", "https://op.example/a", "https://op.example/t").client_id("x")
    };
    let metadata = |url: &str| openid().server_metadata_url(url);
    for (case, registration) in [
        ("no client id", Registration::openid("op", ISSUER)),
        ("empty client id", openid().client_id(" ")),
        ("no endpoints", Registration::new("op").client_id("x")),
        ("http", oauth2().userinfo_url("http://op.example/u")),
        ("scheme", oauth2().authorize_url("javascript:alert(1)")),
        ("relative", oauth2().access_token_url("/token")),
        (
            "credentials",
            oauth2().access_token_url("https://a:b@op.example/"),
        ),
        (
            "fragment",
            oauth2().revocation_url("https://op.example/r#x"),
        ),
        ("http issuer", oauth2().issuer("http://op.example")),
        (
            "issuer with query",
            oauth2().issuer("https://op.example/?a=b"),
        ),
        ("openid without issuer", oauth2().scopes(["openid"])),
        (
            "openid with keys only",
            oauth2().scopes(["openid"]).jwks_uri("https://op.example/k"),
        ),
        ("keys", openid().jwks(serde_json::json!({"kty": "RSA"}))),
        (
            "no secret",
            openid().token_endpoint_auth_method(AuthMethod::ClientSecretPost),
        ),
        (
            "no secret for revocation",
            openid().revocation_endpoint_auth_method(AuthMethod::ClientSecretBasic),
        ),
        ("redirect URI", openid().redirect_uri("/callback")),
        ("scope", openid().scopes(["a b"])),
        ("scope", openid().scopes([""])),
        ("timeout", openid().timeout(Duration::ZERO)),
        (
            "allowed origin",
            openid().allow_origin("http://api.example"),
        ),
        ("parameter", openid().authorize_params([("state", "x")])),
        (
            "parameter",
            openid().access_token_params([("grant_type", "x")]),
        ),
        (
            "parameter",
            openid().refresh_token_params([("refresh_token", "x")]),
        ),
        (
            "other host",
            metadata("https://evil.example/realm/.well-known/openid-configuration"),
        ),
        (
            "other path",
            metadata("https://op.example/.well-known/openid-configuration"),
        ),
        (
            "other tenant",
            metadata("https://op.example/.well-known/oauth-authorization-server/other"),
        ),
    ] {
        let Err(error) = alone(registration) else {
            panic!("{case} was accepted");
        };
        assert_eq!(
            error.code(),
            ErrorCode::InvalidConfiguration,
            "{case}: {error}"
        );
        assert_eq!(error.phase(), Phase::Configure);
        assert_eq!(error.client(), Some("op"), "{case}");
        assert_eq!(error.action(), &Action::Configure);
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (kwargs, code) in [
        ("response_type=id_token", ErrorCode::Unsupported),
        ("response_mode=fragment", ErrorCode::Unsupported),
        ("grant_type=password", ErrorCode::Unsupported),
        ("code_challenge_method=S512", ErrorCode::Unsupported),
        (
            "token_endpoint_auth_method=client_secret_magic",
            ErrorCode::Unsupported,
        ),
        (
            "token_endpoint_auth_method=private_key_jwt",
            ErrorCode::InvalidConfiguration,
        ),
        (
            "code_challenge_method=plain",
            ErrorCode::InvalidConfiguration,
        ),
        ("token_placement=cookie", ErrorCode::InvalidConfiguration),
    ] {
        let error = with(openid(), [("OP_CLIENT_KWARGS", kwargs)]).unwrap_err();
        assert_eq!(error.code(), code, "{kwargs}");
        assert_eq!(error.client(), Some("op"));
    }
}

#[test]
fn an_issuer_and_its_metadata_agree_in_every_form() {
    for (issuer, metadata) in [
        (
            ISSUER,
            "https://op.example/realm/.well-known/openid-configuration",
        ),
        (
            ISSUER,
            "https://op.example/.well-known/oauth-authorization-server/realm",
        ),
        (
            ISSUER,
            "https://op.example/.well-known/openid-configuration/realm",
        ),
        (
            "https://op.example",
            "https://op.example/.well-known/openid-configuration",
        ),
        (
            "https://op.example/",
            "https://op.example/.well-known/openid-configuration",
        ),
        // A URL of another form says nothing: the document will.
        (ISSUER, "https://config.example/op.json"),
    ] {
        alone(openid().issuer(issuer).server_metadata_url(metadata)).unwrap();
    }
}

#[test]
fn tokens_go_to_named_origins_only() {
    let op = alone(
        openid()
            .api_base_url("https://api.example/v1/")
            .allow_origin("https://files.example"),
    )
    .unwrap();
    for (url, allowed) in [
        ("https://api.example/other", true),
        ("https://files.example/x", true),
        ("https://api.example:444/", false),
        ("http://api.example/", false),
        ("https://op.example/", false),
    ] {
        assert_eq!(op.may_be_sent_to(&url.parse().unwrap()), allowed, "{url}");
    }
}

#[test]
fn neither_shows_a_secret() {
    let registration = openid()
        .client_secret("hunter2")
        .access_token_params([("api_key", "hunter2")]);
    assert!(!format!("{registration:?}").contains("hunter2"));
    let resolved = alone(registration).unwrap();
    assert!(!format!("{resolved:?}").contains("hunter2"));
    assert!(negotiate(&resolved, &Offer::silent(Endpoint::Token)).is_ok());
}

#[test]
fn a_template_needs_a_place_for_the_metadata_and_openid() {
    const TEMPLATE: &str = "https://login.example/{tenantid}/v2.0";
    const TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
    let common = || Registration::openid("ms", "https://login.example/common/v2.0").client_id("x");
    let known = alone(common().issuer_template(TEMPLATE)).unwrap();
    assert_eq!(known.issuer_rule().unwrap().published(), TEMPLATE);
    let by_settings = with(
        common(),
        [(
            "MS_CLIENT_KWARGS",
            r#"{"issuer_template": "https://login.example/{tenantid}/v2.0",
                "allow_tenants": "9188040d-6c67-4c5b-b112-36a304b66dad"}"#,
        )],
    );
    let rule = by_settings.unwrap().issuer_rule().unwrap();
    assert!(rule.covers(&TEMPLATE.replace("{tenantid}", TENANT)));
    assert!(!rule.covers(&TEMPLATE.replace("{tenantid}", &TENANT.replace('9', "8"))));

    let by_hand = Registration::oauth2("ms", "https://login.example/a", "https://login.example/t")
        .client_id("x");
    for (registration, word) in [
        (by_hand.issuer_template(TEMPLATE), "metadata URL"),
        (
            Registration::new("ms")
                .issuer("https://login.example/common/v2.0")
                .client_id("x")
                .scopes(["email"])
                .issuer_template(TEMPLATE),
            "openid",
        ),
        (
            common().issuer_template("https://login.example"),
            "{tenantid}",
        ),
        (common().allow_tenants([TENANT]), "issuer_template"),
        (
            common()
                .issuer_template(TEMPLATE)
                .allow_tenants(["contoso"]),
            "GUID",
        ),
        (
            common()
                .issuer_template(TEMPLATE)
                .allow_tenants([] as [&str; 0]),
            "no tenant",
        ),
    ] {
        let error = alone(registration).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration, "{word}");
        assert!(error.message().contains(word), "{word}: {error}");
    }
}

#[test]
fn algorithms_are_known_and_secrets_long_enough_for_them() {
    let secret = |length: usize| openid().client_secret("s".repeat(length));
    for (registration, word) in [
        (openid().id_token_algorithms(["none"]), "\"none\""),
        (
            openid().id_token_algorithms(["RS256", "rs256"]),
            "\"rs256\"",
        ),
        (openid().userinfo_signed_response_alg("none"), "\"none\""),
        (
            openid().userinfo_signed_response_alg(""),
            "userinfo_signed_response_alg",
        ),
        (openid().id_token_algorithms(["HS256"]), "32 bytes"),
        (
            secret(31).id_token_algorithms(["RS256", "HS256"]),
            "32 bytes",
        ),
        (secret(47).id_token_algorithms(["HS384"]), "48 bytes"),
        (secret(63).userinfo_signed_response_alg("HS512"), "64 bytes"),
    ] {
        let error = alone(registration).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration, "{word}");
        assert!(error.message().contains(word), "{word}: {error}");
    }
    alone(secret(32).id_token_algorithms(["HS256"])).unwrap();
    alone(secret(64).userinfo_signed_response_alg("HS512")).unwrap();
    // What verifies nothing may be short.
    alone(secret(1)).unwrap();
}

/// The key of RFC 8037 appendix A.1.
const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

#[test]
fn a_private_key_comes_from_a_file_a_text_or_a_jwk() {
    let path = std::env::temp_dir().join(format!("tokenkeep-key-{}.pem", std::process::id()));
    std::fs::write(&path, PEM).unwrap();
    let jwk = serde_json::json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "its own",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    let file = serde_json::json!({"private_key_file": path, "private_key_id": "named"});
    let audience = "client_assertion_audience";
    for (kwargs, kid) in [
        (file, Some("named")),
        (
            serde_json::json!({"private_key": PEM, audience: "token_endpoint"}),
            None,
        ),
        (serde_json::json!({"private_key": jwk}), Some("its own")),
        (
            serde_json::json!({"private_key": jwk.to_string(), "private_key_id": "named"}),
            Some("named"),
        ),
    ] {
        let text = kwargs.to_string();
        let op = with(openid(), [("OP_CLIENT_KWARGS", text.as_str())]).unwrap();
        let signer = op.signing_key.as_ref().unwrap();
        assert_eq!((signer.algorithm(), signer.key_id()), ("EdDSA", kid));
        let by_endpoint = kwargs.get(audience).is_some();
        let expected = if by_endpoint {
            AssertionAudience::TokenEndpoint
        } else {
            AssertionAudience::Issuer
        };
        assert_eq!(op.client_assertion_audience, expected);
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_private_key_that_cannot_be_used_is_an_error_without_it() {
    let both = serde_json::json!({"private_key": PEM, "private_key_file": "/there"});
    for (kwargs, said) in [
        (both, "leave one of them out"),
        // The key, where its file's name belongs.
        (
            serde_json::json!({"private_key_file": PEM}),
            "the file cannot be read",
        ),
        (
            serde_json::json!({"private_key_file": "/nowhere/key.pem"}),
            "the file cannot be read",
        ),
        (
            serde_json::json!({"private_key": "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v"}),
            "no PEM block",
        ),
        (serde_json::json!({"private_key": 7}), "no PEM block"),
        (serde_json::json!({"private_key": [PEM]}), "not text"),
        (
            serde_json::json!({"private_key": PEM, "token_endpoint_auth_signing_alg": "ES256"}),
            "it is not for ES256, but an Ed25519 key",
        ),
    ] {
        let error = with(
            openid(),
            [("OP_CLIENT_KWARGS", kwargs.to_string().as_str())],
        )
        .unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
        assert_eq!(error.client(), Some("op"));
        let shown = format!("{error:?} {error}");
        assert!(shown.contains(said), "{said}: {shown}");
        assert!(
            !shown.contains("MC4CAQ") && !shown.contains("nowhere"),
            "{shown}"
        );
    }
}
