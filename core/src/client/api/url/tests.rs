use super::*;
use crate::{Registration, Settings};

fn client() -> Resolved {
    let registration = Registration::oauth2("c", "https://op.example/a", "https://op.example/t")
        .client_id("id")
        .api_base_url("https://api.example/v1")
        .allow_origin("https://more.example");
    crate::client::resolve(&registration, &Settings::default()).unwrap()
}

#[test]
fn paths_stand_below_the_base() {
    for (path, url) in [
        ("me", "https://api.example/v1/me"),
        ("/me?x=1", "https://api.example/v1/me?x=1"),
        ("", "https://api.example/v1/"),
        ("a:b/c", ""),
        ("x/a:b", "https://api.example/v1/x/a:b"),
        (
            "@other.example/x",
            "https://api.example/v1/@other.example/x",
        ),
        ("https://api.example/other", "https://api.example/other"),
        ("https://more.example/x", "https://more.example/x"),
    ] {
        match resolve(&client(), path) {
            Ok(found) => assert_eq!(found.as_str(), url, "{path}"),
            Err(error) => assert!(url.is_empty(), "{path}: {error}"),
        }
    }
}

#[test]
fn without_a_base_a_path_says_what_to_set_and_a_whole_address_is_called() {
    let mut client = client();
    client.api_base_url = None;
    let error = resolve(&client, "me").unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unsupported);
    assert!(error.message().contains("C_API_BASE_URL"), "{error}");
    resolve(&client, "https://more.example/me").unwrap();
}

#[test]
fn paths_cannot_climb_out_of_the_base() {
    for path in [
        "..",
        "../admin",
        "/../admin",
        "me/../../admin",
        "%2e%2e/admin",
        ".%2E/admin",
        "../v1",
        "../v10/me",
    ] {
        let code = resolve(&client(), path).unwrap_err().code();
        assert_eq!(code, ErrorCode::InvalidParameter, "{path}");
    }
    for (path, url) in [
        ("me/../you", "https://api.example/v1/you"),
        ("../v1/me", "https://api.example/v1/me"),
        ("..%2fadmin", "https://api.example/v1/..%2fadmin"),
        ("?x=../..", "https://api.example/v1/?x=../.."),
    ] {
        assert_eq!(resolve(&client(), path).unwrap().as_str(), url, "{path}");
    }
}

#[test]
fn other_origins_are_refused() {
    for path in [
        "//other.example/x",
        "///other.example/x",
        "/\\other.example/x",
        "\\\\other.example",
        " //other.example",
        "/\t/other.example",
        "https://other.example/x",
        "http://api.example/v1/me",
        "https://api.example:444/",
        "https://api.example@other.example/",
        "https://user:pass@api.example/",
        "http:other.example",
        "file:///etc/passwd",
        "data:text/plain,x",
    ] {
        let code = resolve(&client(), path).unwrap_err().code();
        assert_eq!(code, ErrorCode::ForeignOrigin, "{path}");
    }
}
