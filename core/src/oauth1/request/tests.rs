use reqwest::header::{HeaderMap, HeaderName};

use super::*;
use crate::oauth1::{Key, SignatureMethod};

const SECRET: &str = "secret-of-the-client";

fn client(signature_type: SignatureType) -> OAuth1 {
    OAuth1 {
        consumer_key: "dpf43f3p2l4k3l03".into(),
        request_token_url: Url::parse("https://photos.example.net/initiate").unwrap(),
        request_token_params: Vec::new(),
        method: SignatureMethod::HmacSha1,
        key: Key::Shared("kd94hf93k423kf44".into()),
        signature_type,
        realm: None,
        body_hash: false,
    }
}

fn request(method: Method, url: &str, content_type: Option<&str>, body: Option<&str>) -> Request {
    let mut request = Request::new(method, Url::parse(url).unwrap());
    let mut headers = HeaderMap::new();
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
    }
    *request.headers_mut() = headers;
    *request.body_mut() = body.map(|body| body.to_owned().into());
    request
}

async fn signed(client: &OAuth1, request: &mut Request) -> Result<()> {
    let (token, secret) = (
        Secret::new("nnch734d00sl2jdk"),
        Secret::new("pfkkdhi9sl3r4s00"),
    );
    let credentials = Credentials {
        token: Some(&token),
        secret: Some(&secret),
    };
    let stamp = Stamp::new("kllo9940pd9333jh", 1_191_242_096);
    client.sign(request, credentials, &[], stamp).await
}

fn header(request: &Request, name: &HeaderName) -> String {
    let value = request
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap());
    value.unwrap_or_default().to_owned()
}

fn body(request: &Request) -> &str {
    let bytes = request.body().and_then(reqwest::Body::as_bytes);
    std::str::from_utf8(bytes.unwrap_or_default()).unwrap()
}

/// OAuth Core's example (appendix A.5): the same request as a header.
#[tokio::test]
async fn the_header_is_the_published_one() {
    let client = OAuth1 {
        realm: Some("http://photos.example.net/".into()),
        ..client(SignatureType::Header)
    };
    let url = "http://photos.example.net/photos?file=vacation.jpg&size=original";
    let mut request = request(Method::GET, url, None, None);
    signed(&client, &mut request).await.unwrap();
    assert_eq!(
        header(&request, &AUTHORIZATION),
        "OAuth realm=\"http://photos.example.net/\", oauth_consumer_key=\"dpf43f3p2l4k3l03\", \
         oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"1191242096\", oauth_nonce=\"kllo9940pd9333jh\", \
         oauth_version=\"1.0\", oauth_token=\"nnch734d00sl2jdk\", oauth_signature=\"tR3%2BTy81lMeYAr%2FFid0kMTYa%2FWM%3D\""
    );
    assert!(request.headers()[AUTHORIZATION].is_sensitive());
    assert_eq!(request.url().as_str(), url);
}

#[tokio::test]
async fn in_the_query_each_parameter_stands_once_behind_what_was_there() {
    let url = "http://photos.example.net/photos?file=vacation.jpg&size=original";
    let mut request = request(Method::GET, url, None, None);
    signed(&client(SignatureType::Query), &mut request)
        .await
        .unwrap();
    assert_eq!(
        request.url().as_str(),
        format!(
            "{url}&oauth_consumer_key=dpf43f3p2l4k3l03&oauth_signature_method=HMAC-SHA1&oauth_timestamp=1191242096\
             &oauth_nonce=kllo9940pd9333jh&oauth_version=1.0&oauth_token=nnch734d00sl2jdk\
             &oauth_signature=tR3%2BTy81lMeYAr%2FFid0kMTYa%2FWM%3D"
        )
    );
    assert_eq!(header(&request, &AUTHORIZATION), "");
}

#[tokio::test]
async fn in_a_form_each_parameter_stands_once_behind_what_was_there() {
    let form = Some("application/x-www-form-urlencoded; charset=utf-8");
    let mut request = request(
        Method::POST,
        "https://a.example/b",
        form,
        Some("status=a+b"),
    );
    signed(&client(SignatureType::Body), &mut request)
        .await
        .unwrap();
    let names: Vec<&str> = body(&request)
        .split('&')
        .map(|pair| pair.split('=').next().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "status",
            "oauth_consumer_key",
            "oauth_signature_method",
            "oauth_timestamp",
            "oauth_nonce",
            "oauth_version",
            "oauth_token",
            "oauth_signature"
        ]
    );
    assert!(body(&request).starts_with("status=a+b&"));
    assert_eq!(header(&request, &AUTHORIZATION), "");
    assert_eq!(request.url().query(), None);
}

#[tokio::test]
async fn a_request_that_can_have_no_form_has_them_in_the_header() {
    for (method, content_type, text) in [
        (Method::GET, None, None),
        (Method::GET, Some(FORM), None),
        (Method::DELETE, None, None),
        (Method::POST, Some("application/json"), Some("{\"a\":1}")),
        (Method::POST, Some("text/plain"), None),
        (Method::PUT, None, Some("bytes")),
    ] {
        let mut request = request(method, "https://a.example/b", content_type, text);
        signed(&client(SignatureType::Body), &mut request)
            .await
            .unwrap();
        assert!(header(&request, &AUTHORIZATION).starts_with("OAuth oauth_consumer_key="));
        assert_eq!(body(&request), text.unwrap_or_default());
    }
    let mut request = request(Method::POST, "https://a.example/b", None, None);
    signed(&client(SignatureType::Body), &mut request)
        .await
        .unwrap();
    assert_eq!(header(&request, &CONTENT_TYPE), FORM);
    assert!(body(&request).starts_with("oauth_consumer_key="));
}

#[tokio::test]
async fn a_body_that_is_no_form_stays_as_it_is() {
    for signature_type in [
        SignatureType::Header,
        SignatureType::Query,
        SignatureType::Body,
    ] {
        let json = Some("application/json");
        let mut request = request(Method::PUT, "https://a.example/b", json, Some("{\"a\":1}"));
        signed(&client(signature_type), &mut request).await.unwrap();
        assert_eq!(body(&request), "{\"a\":1}");
        assert_eq!(header(&request, &CONTENT_TYPE), "application/json");
    }
}

/// What a form says is signed, what another body says is not.
#[tokio::test]
async fn a_form_is_signed_and_json_is_not() {
    let mut signatures = Vec::new();
    for (content_type, text) in [
        (FORM, "a=1"),
        (FORM, "a=2"),
        ("application/json", "a=1"),
        ("application/json", "a=2"),
    ] {
        let mut request = request(
            Method::POST,
            "https://a.example/b",
            Some(content_type),
            Some(text),
        );
        signed(&client(SignatureType::Header), &mut request)
            .await
            .unwrap();
        signatures.push(header(&request, &AUTHORIZATION));
    }
    assert_ne!(signatures[0], signatures[1]);
    assert_eq!(signatures[2], signatures[3]);
}

/// The example of the draft's section 4.1: the digest of `Hello World!`.
#[tokio::test]
async fn the_body_hash_is_the_published_one() {
    let client = OAuth1 {
        body_hash: true,
        ..client(SignatureType::Header)
    };
    let text = Some("Hello World!");
    let mut request = request(
        Method::PUT,
        "http://www.example.com/resource",
        Some("text/plain"),
        text,
    );
    signed(&client, &mut request).await.unwrap();
    let header = header(&request, &AUTHORIZATION);
    assert!(
        header.contains("oauth_body_hash=\"Lve95gjOVATpfV8EL5X4nxwjKHE%3D\""),
        "{header}"
    );
}

#[tokio::test]
async fn the_body_hash_uses_the_digest_of_the_signature_and_stands_where_a_body_could_be() {
    let client = OAuth1 {
        body_hash: true,
        method: SignatureMethod::HmacSha256,
        ..client(SignatureType::Header)
    };
    // `printf 'Hello World!' | openssl dgst -sha256 -binary | base64`, and of nothing.
    for (method, content_type, text, hash) in [
        (
            Method::POST,
            Some("text/plain"),
            Some("Hello World!"),
            Some("f4OxZX%2Fx%2FFO5LcGBSKHWXfwtSx%2Bj1ncoSt3SABJtkGk%3D"),
        ),
        (
            Method::POST,
            None,
            None,
            Some("47DEQpj8HBSa%2B%2FTImW%2B5JCeuQeRkm5NMpJWZG3hSuFU%3D"),
        ),
        (Method::GET, None, None, None),
        (Method::POST, Some(FORM), Some("a=b"), None),
    ] {
        let mut request = request(method, "https://a.example/b", content_type, text);
        signed(&client, &mut request).await.unwrap();
        let header = header(&request, &AUTHORIZATION);
        match hash {
            Some(hash) => assert!(
                header.contains(&format!("oauth_body_hash=\"{hash}\"")),
                "{header}"
            ),
            None => assert!(!header.contains("oauth_body_hash"), "{header}"),
        }
    }
}

#[tokio::test]
async fn protocol_parameters_of_the_caller_s_own_are_refused() {
    for (url, text) in [
        ("https://a.example/b?oauth_token=x", "a=b"),
        ("https://a.example/b?a=b&oauth%5Fnonce=x", "a=b"),
        ("https://a.example/b", "oauth_callback=x"),
    ] {
        let mut request = request(Method::POST, url, Some(FORM), Some(text));
        let error = signed(&client(SignatureType::Header), &mut request)
            .await
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidParameter);
        assert!(error.message().contains("oauth_"), "{error}");
    }
    // Extensions are the provider's own affair.
    let mut request = request(
        Method::POST,
        "https://a.example/b?oauth_session_handle=x",
        None,
        None,
    );
    signed(&client(SignatureType::Header), &mut request)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_stream_is_sent_but_neither_signed_nor_hashed() {
    let stream = || {
        let parts = tokio_stream::iter([Ok::<_, std::io::Error>("a=b")]);
        reqwest::Body::wrap_stream(parts)
    };
    for (content_type, body_hash, is_sent) in [
        ("text/plain", false, true),
        ("text/plain", true, false),
        (FORM, false, false),
    ] {
        let client = OAuth1 {
            body_hash,
            ..client(SignatureType::Header)
        };
        let mut request = request(
            Method::POST,
            "https://a.example/b",
            Some(content_type),
            None,
        );
        *request.body_mut() = Some(stream());
        let outcome = signed(&client, &mut request).await;
        assert_eq!(outcome.is_ok(), is_sent);
        if let Err(error) = outcome {
            assert_eq!(error.code(), ErrorCode::Unsupported);
        }
    }
}

#[tokio::test]
async fn nothing_that_is_shown_of_a_request_holds_the_secrets() {
    let client = OAuth1 {
        method: SignatureMethod::Plaintext,
        key: Key::Shared(SECRET.into()),
        ..client(SignatureType::Header)
    };
    let mut request = request(Method::GET, "https://a.example/b", None, None);
    signed(&client, &mut request).await.unwrap();
    assert!(header(&request, &AUTHORIZATION).contains(SECRET));
    let shown = format!("{request:?} {client:?} {:?}", client.key);
    assert!(
        !shown.contains(SECRET) && !shown.contains("pfkkdhi9sl3r4s00"),
        "{shown}"
    );
}

#[test]
fn a_redirect_s_address_loses_what_the_request_before_was_signed_by() {
    for (url, expected) in [
        (
            "https://a.example/b?a=1&oauth_nonce=x&c=%20&oauth_signature=y",
            "https://a.example/b?a=1&c=%20",
        ),
        ("https://a.example/b?oauth%5Ftoken=x", "https://a.example/b"),
        (
            "https://a.example/b?oauth_session_handle=x",
            "https://a.example/b?oauth_session_handle=x",
        ),
        ("https://a.example/b", "https://a.example/b"),
    ] {
        let url = Url::parse(url).unwrap();
        assert_eq!(without_protocol(&url).as_str(), expected);
    }
}

#[test]
fn no_two_stamps_are_alike_and_every_server_takes_them() {
    let clock = crate::SystemClock;
    let (one, two) = (Stamp::fresh(&clock), Stamp::fresh(&clock));
    assert_ne!(one.nonce, two.nonce);
    // oauthlib's servers want no more and no others.
    assert!((20..=30).contains(&one.nonce.len()));
    assert!(one.nonce.bytes().all(|b| b.is_ascii_alphanumeric()));
    assert!(one.timestamp > 1_700_000_000);
}
