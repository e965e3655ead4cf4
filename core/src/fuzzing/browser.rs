//! What comes with a browser: the callback, cookies, and where to go afterwards.

use std::{future::IntoFuture, sync::OnceLock};

use url::{Position, Url, form_urlencoded};

use super::{ISSUER, NOW, Still, at_once, line, says_nothing_of};
use crate::{
    BrowserCookies, CallbackParams, Client, Error, ErrorCode, KeyRing, OAuth, Registration,
    ResponseMode, Secret, Timestamp, Upkeep,
    client::{Flow, FlowCookies, ReturnTo, check},
};

const STATE: &str = "state-of-this-login-0123456789";
const NONCE: &str = "nonce-of-this-login-0123456789";
const VERIFIER: &str = "verifier-of-this-login-0123456789-0123456789";

fn flow(state: &str) -> Flow {
    Flow {
        client: "op".into(),
        state: state.into(),
        nonce: Some(NONCE.into()),
        verifier: Some(VERIFIER.into()),
        redirect_uri: "https://app.example/cb".into(),
        issuer: Some(ISSUER.into()),
        response_mode: ResponseMode::Query,
        return_to: None,
        connect: None,
        account: String::new(),
        flow_data: serde_json::Value::Null,
        data_in_store: false,
        max_age: None,
        token_secret: None,
        acr_values: Vec::new(),
        scopes: Vec::new(),
        created_at: NOW,
        expires_at: NOW,
    }
}

/// A query string or a form. Only a code with the right state from the right issuer is taken; no member twice; no error
/// shows what was sent.
pub(super) fn callback(data: &[u8]) -> bool {
    let params = match CallbackParams::parse(data) {
        Ok(params) => params,
        Err(error) => {
            assert_eq!(error.code(), ErrorCode::InvalidParameter);
            return false;
        }
    };
    let pairs: Vec<(String, String)> = form_urlencoded::parse(data).into_owned().collect();
    assert!(data.len() <= 16 * 1024 && pairs.len() <= 64);
    let one = |wanted: &str| {
        let mut found = pairs.iter().filter(|(name, _)| name == wanted);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{wanted} stands there twice");
        value
    };
    let (code, state, iss, error) = (one("code"), one("state"), one("iss"), one("error"));
    one("error_description");
    one("error_uri");

    let of_another = check(&params, &flow(NONCE), Some(ISSUER), false);
    if state != Some(NONCE) {
        let code = of_another.unwrap_err().code();
        assert!(matches!(
            code,
            ErrorCode::StateMismatch | ErrorCode::MissingParameter
        ));
    }
    let mut is_taken = false;
    for iss_required in [false, true] {
        match check(&params, &flow(STATE), Some(ISSUER), iss_required) {
            Ok(taken) => {
                assert_eq!(state, Some(STATE));
                assert_eq!(Some(taken.secret().expose()), code);
                assert!(code != Some("") && error.is_none_or(str::is_empty));
                assert!(iss.map_or(!iss_required, |iss| iss == ISSUER));
                is_taken = true;
            }
            Err(error) => says_nothing_of(&error, &[STATE, NONCE, VERIFIER]),
        }
    }
    is_taken
}

/// A path to go to after a login. Whatever is taken leads every browser to the application's own origin.
pub(super) fn return_to(data: &[u8]) -> bool {
    let Ok(path) = std::str::from_utf8(data) else {
        return false;
    };
    let mut is_taken = false;
    for base in [
        "https://app.example/",
        "https://app.example/below/",
        "http://127.0.0.1:3000/",
    ] {
        let base: Url = base.parse().unwrap();
        let Ok(taken) = ReturnTo::parse(path, &base) else {
            continue;
        };
        is_taken = true;
        let path = taken.into_string();
        // As the browser reads the header, from whatever page of ours it is on.
        for page in ["", "login/op", "a/b/c?x=/y"] {
            let url = base.join(page).unwrap().join(&path).unwrap();
            assert_eq!(url.origin(), base.origin());
            // And once more: some frameworks send what they parsed.
            let again = base.join(&url[Position::BeforePath..]).unwrap();
            assert_eq!(again.origin(), base.origin());
        }
        let trimmed = path.trim_start_matches(|c: char| c.is_whitespace() || c.is_control());
        assert!(trimmed == path && path.starts_with('/'));
        assert!(!path[1..].starts_with(['/', '\\']));
        assert!(reqwest::header::HeaderValue::from_bytes(path.as_bytes()).is_ok());
    }
    is_taken
}

fn ring() -> KeyRing {
    KeyRing::parse("k1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc").unwrap()
}

/// A `Cookie` header, or what a login's cookie says. A browser's cookies open nothing that was not sealed here; what was
/// sealed is read as it was; there is always room for one more login.
pub(super) fn cookies(data: &[u8]) -> bool {
    if let Ok(flow) = serde_json::from_slice::<Flow>(data) {
        return sealed_flow(flow);
    }
    let Ok(header) = std::str::from_utf8(data) else {
        return false;
    };
    let cookies = BrowserCookies::parse([header]);
    let pairs: Vec<_> = cookies.iter().collect();
    assert!(pairs.len() <= 100);
    for (name, value) in &pairs {
        assert!(header.contains(name) && header.contains(value));
        assert!(cookies.values(name).any(|other| other == *value));
    }
    let flows = FlowCookies::new(ring(), &"https://app.example".parse().unwrap());
    let state = Secret::new(STATE);
    let mut new = flow(STATE);
    new.expires_at = NOW + std::time::Duration::from_secs(600);
    let new = flows.seal(&new).unwrap();
    let under_its_name = pairs.iter().map(|(_, value)| (new.name.as_str(), *value));
    for present in [pairs.clone(), under_its_name.collect()] {
        let opened = flows.open(present, "op", &state, NOW).err().unwrap();
        assert_eq!(opened.code(), ErrorCode::StateMismatch);
    }
    for (_, value) in &pairs {
        assert!(ring().open_text(b"tokenkeep session\0x", value).is_err());
    }

    let gone = flows.make_room(pairs.iter().copied(), &new, NOW);
    // Under other prefixes it is a sibling's, or of another address: nothing is counted there, nothing taken away.
    let is_flow = |name: &str| name.starts_with("__Host-tokenkeep-flow-");
    assert!(
        gone.iter()
            .all(|cookie| is_flow(&cookie.name) && cookie.value.expose().is_empty())
    );
    let left = pairs.iter().filter(|(name, _)| {
        is_flow(name) && *name != new.name && !gone.iter().any(|cookie| cookie.name == *name)
    });
    let left: Vec<usize> = left
        .map(|(name, value)| name.len() + value.len() + 3)
        .collect();
    let total = left.iter().sum::<usize>() + new.name.len() + new.value.expose().len() + 3;
    assert!(left.len() < 8 && (total <= 4096 || left.is_empty()));
    !pairs.is_empty()
}

/// The same login comes out, for its client and state, until its end, and not from an altered cookie.
fn sealed_flow(flow: Flow) -> bool {
    let flows = FlowCookies::new(ring(), &"https://app.example".parse().unwrap());
    let Ok(cookie) = flows.seal(&flow) else {
        return false;
    };
    let (name, value) = (cookie.name.as_str(), cookie.value.expose());
    assert!(name.len() + value.len() <= 3072);
    assert!(
        cookie
            .to_header()
            .bytes()
            .all(|b| (b' '..=b'~').contains(&b))
    );
    let open = |value: &str, client: &str, state: &Secret, now| {
        flows.open([(name, value)], client, state, now)
    };
    let until = Timestamp::from_millis(flow.expires_at.as_millis().saturating_sub(1));
    let opened = open(value, &flow.client, &flow.state, until);
    if until < flow.expires_at {
        assert!(opened.is_ok_and(|opened| opened.flow == flow));
    }
    let over = open(value, &flow.client, &flow.state, flow.expires_at);
    assert_eq!(over.err().unwrap().code(), ErrorCode::FlowExpired);
    assert!(open(value, &format!("{}x", flow.client), &flow.state, until).is_err());
    assert!(
        open(value, &flow.client, &Secret::new("another"), until).is_err()
            || flow.state.expose() == "another"
    );
    let (end, sealed) = value.split_once('.').unwrap();
    let flipped = if sealed.ends_with('A') { "B" } else { "A" };
    for altered in [
        format!("{}.{sealed}", end.parse::<i64>().unwrap().wrapping_add(1)),
        format!("{}{flipped}", &value[..value.len() - 1]),
        value[..value.len() - 4].to_owned(),
    ] {
        assert!(open(&altered, &flow.client, &flow.state, until).is_err());
    }
    true
}

/// A client with a logout under way, and the cookie of that.
fn logged_out() -> &'static (Client, String) {
    static LOGOUT: OnceLock<(Client, String)> = OnceLock::new();
    LOGOUT.get_or_init(|| {
        let registration =
            Registration::oauth2("op", "https://op.example/a", "https://op.example/t")
                .client_id("id")
                .end_session_url("https://op.example/end");
        let oauth = OAuth::builder()
            .register(registration)
            .fetch_token(|_| std::future::ready(Ok::<_, Error>(None)))
            .update_token(|_, _, _| std::future::ready(Ok::<_, Error>(())))
            .key_ring(ring())
            .clock(Still)
            .upkeep(Upkeep::none())
            .base_url("https://app.example")
            .build()
            .unwrap();
        let client = oauth.client("op").unwrap();
        let logout = client
            .logout_redirect()
            .state(STATE)
            .post_logout_redirect_uri("https://app.example/logged-out/op");
        let begun = at_once(logout.into_future()).unwrap().unwrap();
        let cookie = &begun.cookies[0];
        // The client knows its registry by a weak reference.
        std::mem::forget(oauth);
        (client, format!("{}={}", cookie.name, cookie.value.expose()))
    })
}

/// The way back from a logout: the query, and after a line break cookies of the browser besides the right one. It counts only
/// with the state that was sent, and with the cookie of that logout.
pub(super) fn logout_response(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let (query, others) = line(&text);
    let Ok(params) = CallbackParams::parse(query) else {
        return false;
    };
    let (client, cookie) = logged_out();
    let validate = |cookies: &[&str]| {
        client.validate_logout_response(
            &params,
            &BrowserCookies::parse(cookies.iter().copied()),
            None,
        )
    };
    assert!(validate(&[others]).is_err(), "no cookie was sealed for it");
    let mut states = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "state");
    let is_right = states.next().is_some_and(|(_, state)| state == STATE);
    match validate(&[cookie]) {
        Ok(removal) => assert!(is_right && removal.value.expose().is_empty()),
        Err(error) => {
            assert!(!is_right);
            says_nothing_of(&error, &[STATE]);
        }
    }
    is_right
}
