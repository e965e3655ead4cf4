use super::*;

fn pairs(url: &Url) -> Vec<(String, String)> {
    url.query_pairs()
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

#[test]
fn all_parameters_go_out_beside_the_endpoint_s_own() {
    let endpoint = Url::parse("https://login.example/logout?tenant=a%20b&state=old#top").unwrap();
    let extra = [
        ("federated".to_owned(), String::new()),
        ("state".to_owned(), "second".to_owned()),
    ];
    let url = end_session_url(
        &endpoint,
        &EndSession {
            id_token_hint: Some("e30.e30.x-_"),
            client_id: Some("client 1&"),
            post_logout_redirect_uri: Some("https://app.example/out?a=b"),
            state: Some("s+1"),
            logout_hint: Some("jane@mail.example"),
            ui_locales: Some("de en"),
            extra: &extra,
        },
    );
    let expected = [
        ("tenant", "a b"),
        ("id_token_hint", "e30.e30.x-_"),
        ("client_id", "client 1&"),
        ("post_logout_redirect_uri", "https://app.example/out?a=b"),
        ("state", "s+1"),
        ("logout_hint", "jane@mail.example"),
        ("ui_locales", "de en"),
        ("federated", ""),
    ];
    assert_eq!(
        pairs(&url),
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(url.fragment(), None);
}

#[test]
fn nothing_given_leaves_the_endpoint_as_it_is() {
    for endpoint in [
        "https://login.example/logout",
        "https://login.example/logout?tenant=a",
    ] {
        let url = end_session_url(&endpoint.parse().unwrap(), &EndSession::default());
        assert_eq!(url.as_str(), endpoint);
    }
}
