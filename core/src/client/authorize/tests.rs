use super::*;
use crate::{Registration, Settings, client::resolve};

const ISSUER: &str = "https://op.example";
const NOW: Timestamp = Timestamp::from_secs(1_000);

fn openid() -> Registration {
    Registration::openid("op", ISSUER).client_id("x y")
}

fn options() -> AuthorizeOptions {
    AuthorizeOptions {
        redirect_uri: Some("https://app.example/cb".to_owned()),
        ..AuthorizeOptions::default()
    }
}

fn endpoint() -> Url {
    "https://op.example/authorize".parse().unwrap()
}

fn start(registration: Registration, options: AuthorizeOptions) -> Result<Authorization> {
    start_at(&endpoint(), registration, options)
}

fn start_at(
    endpoint: &Url,
    registration: Registration,
    options: AuthorizeOptions,
) -> Result<Authorization> {
    let client = resolve(&registration, &Settings::default()).unwrap();
    options.authorize(&client, endpoint, Some(ISSUER), NOW)
}

fn query(url: &Url) -> Vec<(String, String)> {
    let pairs = url.query_pairs();
    pairs
        .map(|(k, v)| (k.into_owned(), v.into_owned()))
        .collect()
}

fn all<'a>(query: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let same = query.iter().filter(|(other, _)| other == name);
    same.map(|(_, value)| value.as_str()).collect()
}

fn more(parameters: &[(&str, &[&str])]) -> AuthorizeOptions {
    let parameters = parameters.iter().map(|(name, values)| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        ((*name).to_owned(), values)
    });
    AuthorizeOptions {
        parameters: parameters.collect(),
        ..options()
    }
}

#[test]
fn a_login_has_state_nonce_and_pkce_by_itself() {
    let Authorization { url, flow } = start(openid().scopes(["email"]), options()).unwrap();
    let query = query(&url);
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(
        flow.verifier.as_ref().unwrap().expose().to_owned(),
    ));
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "x y"),
        ("redirect_uri", "https://app.example/cb"),
        ("scope", "openid email"),
        ("state", flow.state.expose()),
        ("nonce", flow.nonce.as_ref().unwrap().expose()),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(all(&query, name), [value], "{name}");
    }
    assert_eq!(query.len(), 8);
    // 128 bits in base64url.
    assert_eq!(flow.state.expose().len(), 22);
    assert_eq!(flow.nonce.unwrap().expose().len(), 22);
    assert_eq!(flow.verifier.unwrap().expose().len(), 43);
    assert_eq!(flow.client, "op");
    assert_eq!(flow.issuer.as_deref(), Some(ISSUER));
    assert_eq!(flow.scopes, ["openid", "email"]);
    assert_eq!((flow.created_at, flow.expires_at), (NOW, NOW + LIFE));
}

#[test]
fn two_logins_share_no_secret() {
    let [a, b] = [(); 2].map(|()| start(openid(), options()).unwrap().flow);
    assert_ne!(a.state, b.state);
    assert_ne!(a.nonce, b.nonce);
    assert_ne!(a.verifier, b.verifier);
}

#[test]
fn without_openid_there_is_no_nonce() {
    let oauth2 = Registration::oauth2("op", "https://op.example/a", "https://op.example/t");
    let Authorization { url, flow } = start(oauth2.client_id("x"), options()).unwrap();
    assert_eq!(flow.nonce, None);
    for absent in ["nonce", "scope", "response_mode"] {
        assert!(all(&query(&url), absent).is_empty(), "{absent}");
    }
    let Authorization { flow, .. } = start(openid().dangerously_skip_nonce(), options()).unwrap();
    assert_eq!(flow.nonce, None);
}

#[test]
fn pkce_can_be_weakened_by_name_only() {
    let Authorization { url, flow } = start(openid().dangerously_plain_pkce(), options()).unwrap();
    let sent = query(&url);
    assert_eq!(
        all(&sent, "code_challenge"),
        [flow.verifier.unwrap().expose()]
    );
    assert_eq!(all(&sent, "code_challenge_method"), ["plain"]);
    let none = start(openid().dangerously_without_pkce(), options()).unwrap();
    assert_eq!(none.flow.verifier, None);
    assert!(!none.url.as_str().contains("code_challenge"));
}

#[test]
fn own_values_are_checked_and_used() {
    let own = |state: &str, nonce: &str, verifier: &str| {
        let options = AuthorizeOptions {
            state: Some(state.into()),
            nonce: Some(nonce.into()),
            verifier: Some(verifier.into()),
            ..options()
        };
        start(openid(), options)
    };
    let state = "s".repeat(16);
    // RFC 7636 appendix B.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let Authorization { url, flow } = own(&state, "n", verifier).unwrap();
    let sent = query(&url);
    assert_eq!(all(&sent, "state"), [state.as_str()]);
    assert_eq!(all(&sent, "nonce"), ["n"]);
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    assert_eq!(all(&sent, "code_challenge"), [challenge]);
    assert_eq!(flow.verifier.unwrap().expose(), verifier);
    for (state, nonce, verifier) in [
        ("short", "n", verifier),
        ("sixteen chars 16 ", "n", verifier),
        (&"s".repeat(513), "n", verifier),
        (&state, "", verifier),
        (&state, "n\n", verifier),
        (&state, "n", &verifier[..42]),
        (&state, "n", &"v".repeat(129)),
        (&state, "n", &format!("{verifier}+")),
    ] {
        let error = own(state, nonce, verifier).err().unwrap();
        assert_eq!(error.code(), ErrorCode::InvalidParameter);
        assert_eq!(error.phase(), Phase::Authorize);
        assert_eq!(error.client(), Some("op"));
    }
}

#[test]
fn any_parameter_can_be_added_repeated_and_dropped() {
    let registration =
        openid().authorize_params([("access_type", "offline"), ("x", "1"), ("y", "2")]);
    let call = more(&[("x", &["a", "b"]), ("y", &[]), ("claims", &["{}"])]);
    let sent = query(&start(registration, call).unwrap().url);
    assert_eq!(all(&sent, "access_type"), ["offline"]);
    assert_eq!(all(&sent, "x"), ["a", "b"]);
    assert!(all(&sent, "y").is_empty());
    assert_eq!(all(&sent, "claims"), ["{}"]);
}

#[test]
fn call_beats_registration_beats_its_parameters() {
    let registration = || openid().authorize_params([("prompt", "none"), ("login_hint", "p")]);
    let prompt = |registration, options| {
        let url = start(registration, options).unwrap().url;
        all(&query(&url), "prompt").join(",")
    };
    assert_eq!(prompt(registration(), options()), "none");
    assert_eq!(prompt(registration().prompt("login"), options()), "login");
    let call = || more(&[("prompt", &["consent"])]);
    assert_eq!(prompt(registration().prompt("login"), call()), "consent");
    let typed = AuthorizeOptions {
        prompt: Some("select_account".into()),
        ..call()
    };
    assert_eq!(
        prompt(registration().prompt("login"), typed),
        "select_account"
    );
    let dropped = more(&[("prompt", &[])]);
    assert_eq!(prompt(registration().prompt("login"), dropped), "");
}

#[test]
fn what_is_to_be_enforced_is_remembered_however_it_was_given() {
    let typed = AuthorizeOptions {
        max_age: Some(0),
        acr_values: Some(vec!["a".into(), "b".into()]),
        scopes: Some(vec!["openid".into(), "email".into()]),
        response_mode: Some(ResponseMode::FormPost),
        ..options()
    };
    let by_name = more(&[
        ("max_age", &["0"]),
        ("acr_values", &["a b"]),
        ("scope", &["openid email"]),
        ("response_mode", &["form_post"]),
    ]);
    for options in [typed, by_name] {
        let Authorization { url, flow } = start(openid(), options).unwrap();
        assert_eq!(flow.max_age, Some(0));
        assert_eq!(flow.acr_values, ["a", "b"]);
        assert_eq!(flow.scopes, ["openid", "email"]);
        assert_eq!(flow.response_mode, ResponseMode::FormPost);
        let sent = query(&url);
        for (name, value) in [
            ("max_age", "0"),
            ("acr_values", "a b"),
            ("scope", "openid email"),
            ("response_mode", "form_post"),
        ] {
            assert_eq!(all(&sent, name), [value], "{name}");
        }
    }
}

#[test]
fn the_endpoints_own_query_is_kept_and_nothing_is_doubled() {
    let endpoint: Url =
        "https://op.example/authorize?p=b2c%20policy&p=2&state=evil&client_id=evil&prompt=none\
                         &response_mode=fragment&request=x&scope=evil#top"
            .parse()
            .unwrap();
    let url = start_at(&endpoint, openid(), options()).unwrap().url;
    let sent = query(&url);
    assert_eq!(all(&sent, "p"), ["b2c policy", "2"]);
    assert_eq!(all(&sent, "prompt"), ["none"]);
    assert_eq!(all(&sent, "client_id"), ["x y"]);
    assert_eq!(all(&sent, "scope"), ["openid"]);
    assert_eq!(all(&sent, "state").len(), 1);
    assert!(!url.as_str().contains("evil") && url.fragment().is_none());
    assert!(all(&sent, "response_mode").is_empty());
    let call = more(&[("p", &["3"]), ("prompt", &[])]);
    let sent = query(&start_at(&endpoint, openid(), call).unwrap().url);
    assert_eq!(all(&sent, "p"), ["3"]);
    assert!(all(&sent, "prompt").is_empty());
}

#[test]
fn what_cannot_be_sent_is_refused() {
    for name in [
        "state",
        "nonce",
        "client_id",
        "redirect_uri",
        "response_type",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
    ] {
        let error = start(openid(), more(&[(name, &["x"])])).err().unwrap();
        assert_eq!(error.code(), ErrorCode::InvalidParameter, "{name}");
        assert!(error.message().contains(name));
    }
    for (name, values) in [
        ("prompt", &["login", "none"][..]),
        ("max_age", &["soon"]),
        ("max_age", &["-1"]),
        ("response_mode", &["fragment"]),
    ] {
        let error = start(openid(), more(&[(name, values)])).err().unwrap();
        assert_eq!(error.code(), ErrorCode::InvalidParameter, "{name}");
    }
    let relative = AuthorizeOptions {
        redirect_uri: Some("/cb".into()),
        ..options()
    };
    let error = start(openid(), relative).err().unwrap();
    assert_eq!(error.code(), ErrorCode::InvalidParameter);
}

#[test]
fn to_what_is_no_https_address_nobody_is_redirected() {
    for scheme in [
        "http://op.example/a",
        "javascript:alert(1)",
        "data:text/html,x",
    ] {
        let endpoint = scheme.parse().unwrap();
        let error = start_at(&endpoint, openid(), options()).err().unwrap();
        assert_eq!(error.code(), ErrorCode::InvalidMetadata, "{scheme}");
        assert_eq!(error.client(), Some("op"));
    }
    let error = start(openid(), AuthorizeOptions::default()).err().unwrap();
    assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
}

#[test]
fn redirect_uris_are_sent_as_they_are_written() {
    for uri in [
        "http://localhost:8080",
        "https://app.example/%7Ecb?a=b",
        "com.example.app:/cb",
    ] {
        let options = AuthorizeOptions {
            redirect_uri: Some(uri.into()),
            ..options()
        };
        let Authorization { url, flow } = start(openid(), options).unwrap();
        assert_eq!(all(&query(&url), "redirect_uri"), [uri]);
        assert_eq!(flow.redirect_uri, uri);
    }
    let fixed = openid().redirect_uri("https://app.example/fixed");
    let flow = start(fixed, AuthorizeOptions::default()).unwrap().flow;
    assert_eq!(flow.redirect_uri, "https://app.example/fixed");
}
