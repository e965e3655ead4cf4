use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn flow(state: &str) -> Flow {
    Flow {
        client: "op".into(),
        state: state.into(),
        nonce: Some("the nonce".into()),
        verifier: Some("the verifier".into()),
        redirect_uri: "https://app.example/cb".into(),
        issuer: Some("https://op.example".into()),
        response_mode: ResponseMode::Query,
        return_to: Some("/here".into()),
        connect: None,
        account: String::new(),
        flow_data: serde_json::json!({"tenant": 7}),
        data_in_store: false,
        max_age: Some(60),
        token_secret: None,
        acr_values: vec!["a".into()],
        scopes: vec!["openid".into()],
        created_at: NOW,
        expires_at: NOW + LIFE,
    }
}

fn cookies(base: &str) -> FlowCookies {
    FlowCookies::new(KeyRing::ephemeral(), &base.parse().unwrap())
}

fn jar(cookies: &[Cookie]) -> Vec<(&str, &str)> {
    cookies
        .iter()
        .map(|cookie| (cookie.name.as_str(), cookie.value.expose()))
        .collect()
}

fn code<T>(result: Result<T>) -> ErrorCode {
    result.err().unwrap().code()
}

#[test]
fn a_flow_comes_back_whole_and_sealed() {
    let https = cookies("https://app.example");
    let flow = flow("the state");
    let cookie = https.seal(&flow).unwrap();
    for secret in ["the state", "the nonce", "the verifier", "tenant"] {
        assert!(!cookie.to_header().contains(secret));
    }
    let state = Secret::new("the state");
    let present = [
        ("other", "x"),
        (cookie.name.as_str(), cookie.value.expose()),
    ];
    let open = https.open(present, "op", &state, NOW).unwrap();
    assert!(open.flow == flow);
    assert_eq!(open.removal.name, cookie.name);
    assert_eq!(open.removal.max_age, Some(Duration::ZERO));
    assert_eq!(open.removal.path, cookie.path);
}

#[test]
fn attributes_fit_the_address_and_the_response_mode() {
    let form_post = Flow {
        response_mode: ResponseMode::FormPost,
        ..flow("s")
    };
    for (base, flow, prefix, attributes) in [
        (
            "https://app.example",
            flow("s"),
            "__Host-tokenkeep-flow-",
            "Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax",
        ),
        (
            "https://app.example/sub/",
            flow("s"),
            "__Host-tokenkeep-flow.c3edd766ba41-",
            "Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax",
        ),
        (
            "http://127.0.0.1:8080/sub",
            flow("s"),
            "tokenkeep-flow.c3edd766ba41-",
            "Path=/; Max-Age=600; HttpOnly; SameSite=Lax",
        ),
        (
            "http://127.0.0.1:8080",
            flow("s"),
            "tokenkeep-flow-",
            "Path=/; Max-Age=600; HttpOnly; SameSite=Lax",
        ),
        (
            "https://app.example",
            form_post.clone(),
            "__Host-tokenkeep-flow-",
            "Path=/; Max-Age=600; HttpOnly; Secure; SameSite=None",
        ),
        (
            "http://localhost",
            form_post,
            "tokenkeep-flow-",
            "Path=/; Max-Age=600; HttpOnly",
        ),
    ] {
        let cookie = cookies(base).seal(&flow).unwrap();
        let id = cookie.name.strip_prefix(prefix).unwrap();
        assert_eq!(id, flow.id());
        assert_eq!(id.len(), 22);
        let header = cookie.to_header();
        assert_eq!(header.split_once("; ").unwrap().1, attributes, "{base}");
    }
}

#[test]
fn whatever_is_not_this_browsers_login_is_a_state_mismatch() {
    let ours = cookies("https://app.example");
    let cookie = ours.seal(&flow("the state")).unwrap();
    let value = cookie.value.expose();
    let name = cookie.name.as_str();
    let state = Secret::new("the state");
    let open = |client: &str, state: &Secret, present: &[(&str, &str)]| {
        code(ours.open(present.iter().copied(), client, state, NOW))
    };
    let mismatch = ErrorCode::StateMismatch;
    assert_eq!(open("op", &state, &[]), mismatch);
    assert_eq!(open("other", &state, &[(name, value)]), mismatch);
    let another = Secret::new("another");
    assert_eq!(open("op", &another, &[(name, value)]), mismatch);
    // One login's cookie under another one's name.
    let other_name = ours.seal(&flow("another")).unwrap().name;
    assert_eq!(open("op", &another, &[(&other_name, value)]), mismatch);
    // Another key, and every damage.
    let foreign = cookies("https://app.example")
        .seal(&flow("the state"))
        .unwrap();
    assert_eq!(
        open("op", &state, &[(name, foreign.value.expose())]),
        mismatch
    );
    let later = value.replacen("1000600", "9000600", 1);
    for damaged in [
        "",
        ".",
        "1000600.",
        "x.y",
        &value[..value.len() - 1],
        &later,
    ] {
        assert_eq!(
            open("op", &state, &[(name, damaged)]),
            mismatch,
            "{damaged}"
        );
    }
    // A cookie of the same name for another path does not stand in the way.
    ours.open([(name, "x"), (name, value)], "op", &state, NOW)
        .unwrap();
}

#[test]
fn an_old_login_is_expired() {
    let ours = cookies("https://app.example");
    let cookie = ours.seal(&flow("s")).unwrap();
    let at = |time| ours.open(jar(std::slice::from_ref(&cookie)), "op", &"s".into(), time);
    at(NOW + LIFE - Duration::from_millis(1)).unwrap();
    let error = at(NOW + LIFE).err().unwrap();
    assert_eq!(error.code(), ErrorCode::FlowExpired);
    assert_eq!(error.client(), Some("op"));
}

/// Starts twenty logins one after the other; how many are left, and how long their cookies are together.
fn twenty_logins(flow_data: &Value) -> (usize, usize) {
    let ours = cookies("http://localhost");
    let mut present: Vec<Cookie> = Vec::new();
    for number in 0..20 {
        let started = Flow {
            flow_data: flow_data.clone(),
            verifier: None,
            nonce: None,
            return_to: None,
            created_at: NOW + Duration::from_secs(number),
            expires_at: NOW + Duration::from_secs(number) + LIFE,
            ..flow(&format!("state {number}"))
        };
        let new = ours.seal(&started).unwrap();
        for cookie in ours.make_room(jar(&present), &new, NOW) {
            assert_eq!(cookie.max_age, Some(Duration::ZERO));
            assert_eq!(cookie.name, present[0].name, "the oldest goes first");
            present.remove(0);
        }
        present.push(new);
        // The newest can always be finished.
        let state = started.state;
        ours.open(jar(&present), "op", &state, NOW).unwrap();
    }
    let total = jar(&present)
        .iter()
        .map(|(name, value)| format!("{name}={value}; ").len())
        .sum();
    (present.len(), total)
}

#[test]
fn eight_logins_may_be_under_way_in_four_kilobytes() {
    let (count, total) = twenty_logins(&Value::Null);
    assert_eq!(count, MAX_FLOWS, "{total} bytes");
    let (count, total) = twenty_logins(&"x".repeat(500).into());
    assert!((3..MAX_FLOWS).contains(&count), "{count}");
    assert!(total <= MAX_TOTAL, "{total}");
}

#[test]
fn room_is_made_from_what_is_useless_first() {
    let ours = cookies("https://app.example");
    let [a, b, new] = ["a", "b", "c"].map(|state| ours.seal(&flow(state)).unwrap());
    let expired = Flow {
        expires_at: NOW,
        ..flow("old")
    };
    let expired = ours.seal(&expired).unwrap();
    let mut present = jar(&[a, b, expired.clone()])
        .into_iter()
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect::<Vec<_>>();
    present.push(("__Host-tokenkeep-flow-garbage".into(), "garbage".into()));
    present.push(("session".into(), "x".repeat(4000)));
    let present = present.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let gone = ours.make_room(present, &new, NOW);
    let gone: Vec<_> = gone.iter().map(|cookie| cookie.name.as_str()).collect();
    assert_eq!(gone.len(), 2);
    assert!(
        gone.contains(&"__Host-tokenkeep-flow-garbage") && gone.contains(&expired.name.as_str())
    );
}

#[test]
fn applications_under_several_paths_of_a_host_leave_each_others_logins_alone() {
    let ring = KeyRing::ephemeral();
    let bases = ["", "/a", "/b", "/a/b"].map(|path| format!("https://app.example{path}"));
    let all = bases.map(|base| FlowCookies::new(ring.clone(), &base.parse().unwrap()));
    let useless = all.each_ref().map(|own| {
        let mut cookie = own.seal(&flow("old")).unwrap();
        cookie.value = "x".into();
        cookie
    });
    for (own, mine) in all.iter().zip(&useless) {
        let new = own.seal(&flow("new")).unwrap();
        let gone = own.make_room(jar(&useless), &new, NOW);
        let gone: Vec<_> = gone.iter().map(|cookie| &cookie.name).collect();
        assert_eq!(gone, [&mine.name]);
    }
    // A login of one is none of another's, even with the same keys.
    let cookie = all[1].seal(&flow("s")).unwrap();
    let elsewhere = all[2].open(jar(std::slice::from_ref(&cookie)), "op", &"s".into(), NOW);
    assert_eq!(code(elsewhere), ErrorCode::StateMismatch);
}

#[test]
fn a_large_flow_does_not_become_a_cookie() {
    let with = |size: usize| {
        let large = Flow {
            flow_data: "x".repeat(size).into(),
            ..flow("s")
        };
        cookies("https://app.example").seal(&large)
    };
    with(1000).unwrap();
    let error = with(3000).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidParameter);
    assert!(error.message().contains("store"), "{error}");
}

proptest::proptest! {
    #[test]
    fn no_cookie_breaks_the_reader(name in ".{0,40}", value in ".{0,200}") {
        let ours = cookies("https://app.example");
        let state = Secret::new("s");
        let new = ours.seal(&flow("s")).unwrap();
        for name in [name.as_str(), new.name.as_str(), "tokenkeep-flow-x"] {
            proptest::prop_assert!(ours.open([(name, value.as_str())], "op", &state, NOW).is_err());
            ours.make_room([(name, value.as_str())], &new, NOW);
        }
    }
}
