use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::openid::fixtures::{ISSUER, with};

fn document() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://login.example/authorize?tenant=a",
        "token_endpoint": "https://login.example/token",
        "jwks_uri": "https://login.example/keys",
        "end_session_endpoint": "",
        "userinfo_endpoint": null,
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic"],
        "response_types_supported": ["code", "id_token code"],
        "scopes_supported": "openid",
        "authorization_response_iss_parameter_supported": true,
        "backchannel_logout_supported": "true",
        "mtls_endpoint_aliases": {"token_endpoint": "https://mtls.login.example/token"},
        "unknown": {"x": 1},
    })
}

fn parse(document: &Value, issuer: Option<&str>) -> Result<ProviderMetadata> {
    ProviderMetadata::parse(document.to_string().as_bytes(), issuer)
}

fn code_of(outcome: Result<ProviderMetadata>) -> Option<ErrorCode> {
    outcome.err().map(|error| {
        assert_eq!(error.phase(), Phase::Discovery, "{error}");
        error.code()
    })
}

#[test]
fn metadata_is_typed_and_keeps_what_is_unknown() {
    let metadata = parse(&document(), Some(ISSUER)).unwrap();
    assert_eq!(metadata.issuer, ISSUER);
    assert_eq!(
        metadata.authorization_endpoint.as_ref().unwrap().query(),
        Some("tenant=a")
    );
    assert_eq!(metadata.end_session_endpoint, None);
    assert_eq!(metadata.userinfo_endpoint, None);
    assert_eq!(
        metadata
            .token_endpoint_auth_methods_supported
            .as_ref()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(metadata.scopes_supported, None);
    assert_eq!(
        metadata.authorization_response_iss_parameter_supported,
        Some(true)
    );
    assert_eq!(metadata.backchannel_logout_supported, Some(true));
    assert_eq!(metadata.frontchannel_logout_supported, None);
    assert_eq!(
        metadata.mtls_endpoint_aliases["token_endpoint"].as_str(),
        "https://mtls.login.example/token"
    );
    assert_eq!(metadata.get("unknown"), Some(json!({"x": 1})));
    assert_eq!(metadata.get("nothing"), None);
}

/// A document of RFC 8414 alone has fewer members than one of OpenID Connect.
#[test]
fn metadata_of_plain_oauth_is_enough() {
    let metadata = parse(
        &json!({"issuer": ISSUER, "token_endpoint": "https://login.example/token"}),
        None,
    )
    .unwrap();
    assert_eq!(metadata.jwks_uri, None);
}

#[test]
fn the_issuer_is_compared_exactly() {
    for (found, expected) in [
        ("https://login.example", None),
        ("https://login.example/", Some(ErrorCode::IssuerMismatch)),
        (
            "https://login.exampleINVALID",
            Some(ErrorCode::IssuerMismatch),
        ),
        ("https://LOGIN.example", Some(ErrorCode::IssuerMismatch)),
        ("https://login.example:443", Some(ErrorCode::IssuerMismatch)),
        (
            "https://login.example?x=1",
            Some(ErrorCode::InvalidMetadata),
        ),
        ("https://login.example#x", Some(ErrorCode::InvalidMetadata)),
        ("http://login.example", Some(ErrorCode::InvalidMetadata)),
        ("login.example", Some(ErrorCode::InvalidMetadata)),
        ("", Some(ErrorCode::InvalidMetadata)),
    ] {
        let document = with(document(), json!({"issuer": found}));
        assert_eq!(code_of(parse(&document, Some(ISSUER))), expected, "{found}");
    }
    for issuer in [json!(null), json!(7), json!([ISSUER])] {
        let document = with(document(), json!({"issuer": issuer}));
        assert_eq!(
            code_of(parse(&document, None)),
            Some(ErrorCode::InvalidMetadata)
        );
    }
}

/// Nobody's issuer has a place to fill in it, unless a registration says so.
#[test]
fn a_template_is_an_issuer_only_where_it_was_named() {
    const TEMPLATE: &str = "https://login.example/{tenantid}/v2.0";
    let template = with(document(), json!({"issuer": TEMPLATE}));
    let found = parse(&template, Some(TEMPLATE)).unwrap();
    assert_eq!(found.issuer, TEMPLATE);
    let text = template.to_string();
    let at = |url: &str| ProviderMetadata::parse_from(text.as_bytes(), &url.parse().unwrap());
    for outcome in [
        parse(&template, None),
        parse(&template, Some(ISSUER)),
        at("https://login.example/common/v2.0/.well-known/openid-configuration"),
        // Spelled so in the address, it is still nobody's.
        at("https://login.example/{tenantid}/v2.0/.well-known/openid-configuration"),
    ] {
        let error = outcome.unwrap_err();
        assert_eq!(error.code(), ErrorCode::IssuerMismatch);
        assert!(error.message().contains("issuer_template"), "{error}");
    }
}

#[test]
fn every_endpoint_is_https() {
    let endpoints = [
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "end_session_endpoint",
        "check_session_iframe",
        "revocation_endpoint",
        "introspection_endpoint",
        "registration_endpoint",
        "pushed_authorization_request_endpoint",
        "device_authorization_endpoint",
        "backchannel_authentication_endpoint",
    ];
    for endpoint in endpoints {
        for (url, is_fine) in [
            (json!("https://other.example/x"), true),
            (json!("http://127.0.0.1:8080/x"), false),
            (json!("http://localhost/x"), false),
            (json!("http://login.example/x"), false),
            (json!("javascript:alert(1)"), false),
            (json!("data:text/html,x"), false),
            (json!("file:///etc/passwd"), false),
            (json!("custom://x"), false),
            (json!("//login.example/x"), false),
            (json!("/x"), false),
            (json!("https://"), false),
            (json!("https://login.example/x#y"), false),
            (json!("https://user:password@login.example/x"), false),
            (json!("https://user@login.example/x"), false),
            (json!("https://:password@login.example/x"), false),
            (json!(7), false),
            (json!({}), false),
        ] {
            let outcome = parse(&with(document(), json!({endpoint: url})), None);
            let expected = (!is_fine).then_some(ErrorCode::InvalidMetadata);
            if let Err(error) = &outcome {
                assert!(error.message().contains(endpoint), "{error}");
            }
            assert_eq!(code_of(outcome), expected, "{endpoint} {url}");
        }
    }
    for elsewhere in ["http://login.example", "http://127.0.0.1"] {
        let aliases = json!({"mtls_endpoint_aliases": {"token_endpoint": elsewhere}});
        assert_eq!(
            code_of(parse(&with(document(), aliases), None)),
            Some(ErrorCode::InvalidMetadata)
        );
    }
}

#[test]
fn a_provider_on_this_machine_may_name_others_on_it() {
    for issuer in [
        "http://127.0.0.1:9000",
        "http://localhost:1",
        "https://[::1]",
    ] {
        for (url, is_fine) in [
            ("http://127.0.0.1:8080/x", true),
            ("http://localhost/x", true),
            ("http://[::1]:7/x", true),
            ("https://other.example/x", true),
            ("http://login.example/x", false),
        ] {
            let document = with(document(), json!({"issuer": issuer, "jwks_uri": url}));
            let expected = (!is_fine).then_some(ErrorCode::InvalidMetadata);
            assert_eq!(code_of(parse(&document, None)), expected, "{issuer} {url}");
        }
    }
}

#[test]
fn what_is_no_metadata_is_refused() {
    let text = document().to_string();
    let cases = [
        String::new(),
        "[]".to_owned(),
        "<html></html>".to_owned(),
        text[..text.len() - 1].to_owned(),
        format!("{text}x"),
        text.replacen('{', r#"{"issuer":"https://login.example","#, 1),
        text.replacen('{', r#"{"unknown":1,"#, 1),
        text.replacen(
            '{',
            &format!(r#"{{"padding":"{}","#, "x".repeat(256 * 1024)),
            1,
        ),
    ];
    for text in cases {
        let outcome = ProviderMetadata::parse(text.as_bytes(), None);
        assert_eq!(
            code_of(outcome),
            Some(ErrorCode::InvalidMetadata),
            "{}",
            excerpt(&text)
        );
    }
    let outcome = ProviderMetadata::parse(b"{\"issuer\":\"\xff\"}", None);
    assert_eq!(code_of(outcome), Some(ErrorCode::InvalidMetadata));
}

#[test]
fn an_issuer_has_two_addresses() {
    for (issuer, openid, oauth) in [
        (
            "https://h.example",
            "https://h.example/.well-known/openid-configuration",
            "https://h.example/.well-known/oauth-authorization-server",
        ),
        (
            "https://h.example/",
            "https://h.example/.well-known/openid-configuration",
            "https://h.example/.well-known/oauth-authorization-server",
        ),
        (
            "https://h.example/a",
            "https://h.example/a/.well-known/openid-configuration",
            "https://h.example/.well-known/oauth-authorization-server/a",
        ),
        (
            "https://h.example/a/b/",
            "https://h.example/a/b/.well-known/openid-configuration",
            "https://h.example/.well-known/oauth-authorization-server/a/b",
        ),
        (
            "http://127.0.0.1:9000/a",
            "http://127.0.0.1:9000/a/.well-known/openid-configuration",
            "http://127.0.0.1:9000/.well-known/oauth-authorization-server/a",
        ),
    ] {
        let urls = urls_for(issuer).unwrap();
        assert_eq!(
            urls.map(String::from),
            [openid.to_owned(), oauth.to_owned()],
            "{issuer}"
        );
    }
    for issuer in [
        "",
        "h.example",
        "http://h.example",
        "https://h.example?x",
        "https://h.example#x",
        "ftp://h.example",
        "https://u@h.example",
    ] {
        let error = urls_for(issuer).unwrap_err();
        assert_eq!(
            (error.code(), error.phase()),
            (ErrorCode::InvalidConfiguration, Phase::Configure),
            "{issuer}"
        );
    }
}

#[test]
fn an_address_says_who_the_issuer_is() {
    let known = "https://h.example/.well-known";
    for (url, issuer, expected) in [
        (
            format!("{known}/openid-configuration"),
            "https://h.example",
            None,
        ),
        (
            format!("{known}/openid-configuration"),
            "https://h.example/",
            None,
        ),
        (
            format!("{known}/openid-configuration"),
            "https://h.example/a",
            Some(ErrorCode::IssuerMismatch),
        ),
        (
            format!("{known}/openid-configuration"),
            "https://evil.example",
            Some(ErrorCode::IssuerMismatch),
        ),
        (
            "https://h.example/a/.well-known/openid-configuration".into(),
            "https://h.example/a",
            None,
        ),
        (
            "https://h.example/a/.well-known/openid-configuration".into(),
            "https://h.example/a/",
            None,
        ),
        (
            "https://h.example/a/.well-known/openid-configuration".into(),
            "https://h.example",
            Some(ErrorCode::IssuerMismatch),
        ),
        (
            "https://h.example/a/.well-known/openid-configuration".into(),
            "https://h.example/a//",
            Some(ErrorCode::IssuerMismatch),
        ),
        (
            format!("{known}/oauth-authorization-server/a/b"),
            "https://h.example/a/b",
            None,
        ),
        (
            format!("{known}/oauth-authorization-server/a/b"),
            "https://h.example/a",
            Some(ErrorCode::IssuerMismatch),
        ),
        (
            format!("{known}/oauth-authorization-server"),
            "https://h.example",
            None,
        ),
        (
            format!("{known}/openid-configuration/a"),
            "https://h.example/a",
            None,
        ),
        (
            format!("{known}/openid-configurationx"),
            "https://h.example",
            Some(ErrorCode::IssuerMismatch),
        ),
        (
            "https://h.example/metadata.json".into(),
            "https://anybody.example",
            Some(ErrorCode::IssuerMismatch),
        ),
        (
            "https://h.example:8443/.well-known/openid-configuration".into(),
            "https://h.example:8443",
            None,
        ),
        (
            "https://h.example:8443/.well-known/openid-configuration".into(),
            "https://h.example",
            Some(ErrorCode::IssuerMismatch),
        ),
    ] {
        let document = with(document(), json!({"issuer": issuer}));
        let outcome =
            ProviderMetadata::parse_from(document.to_string().as_bytes(), &url.parse().unwrap());
        assert_eq!(code_of(outcome), expected, "{url} {issuer}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_parsing_panic(bytes in any::<Vec<u8>>(), text in "(?s)\\{.{0,200}\\}") {
        let _ = ProviderMetadata::parse(&bytes, None);
        let _ = ProviderMetadata::parse(text.as_bytes(), None);
        let _ = super::super::KeySet::parse(&bytes);
    }

    /// Whatever path an issuer has, its addresses lead back to it.
    #[test]
    fn addresses_lead_back_to_their_issuer(path in "(/[a-z0-9._~-]{1,8}){0,3}/?") {
        let issuer = format!("https://h.example{path}");
        // The parser of URLs resolves these.
        prop_assume!(!path.split('/').any(|part| part == "." || part == ".."));
        for url in urls_for(&issuer).unwrap() {
            prop_assert!(issuers_of(&url).unwrap().contains(&issuer), "{issuer} {url}");
        }
    }
}
