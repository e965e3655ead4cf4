use super::*;
use crate::oauth1::base_string::{base_string, parameters};

async fn hmac(method: SignatureMethod, client: &str, token: Option<&str>, text: &str) -> String {
    let key = Key::Shared(client.into());
    let token = token.map(Secret::from);
    let signature = key.sign(method, text, token.as_ref()).await.unwrap();
    signature.expose().to_owned()
}

/// RFC 5849 section 1.2, whole: the request for temporary credentials, the one for token credentials, and that for a photo.
#[tokio::test]
async fn the_three_requests_of_section_1_2_are_signed_as_there() {
    struct Example {
        request: (&'static str, &'static str),
        token: Option<(&'static str, &'static str)>,
        further: &'static [(&'static str, &'static str)],
        stamp: (&'static str, &'static str),
        signature: &'static str,
    }
    let examples = [
        Example {
            request: ("POST", "https://photos.example.net/initiate"),
            token: None,
            further: &[("oauth_callback", "http://printer.example.com/ready")],
            stamp: ("137131200", "wIjqoS"),
            signature: "74KNZJeDHnMBp0EMJ9ZHt/XKycU=",
        },
        Example {
            request: ("POST", "https://photos.example.net/token"),
            token: Some(("hh5s93j4hdidpola", "hdhd0244k9j7ao03")),
            further: &[("oauth_verifier", "hfdp7dh39dks9884")],
            stamp: ("137131201", "walatlh"),
            signature: "gKgrFCywp7rO0OXSjdot/IHF7IU=",
        },
        Example {
            request: (
                "GET",
                "http://photos.example.net/photos?file=vacation.jpg&size=original",
            ),
            token: Some(("nnch734d00sl2jdk", "pfkkdhi9sl3r4s00")),
            further: &[],
            stamp: ("137131202", "chapoH"),
            signature: "MdpQcU8iPSUjWoN/UDMsK2sui9I=",
        },
    ];
    for example in examples {
        let (method, url) = example.request;
        let url = url::Url::parse(url).unwrap();
        let (timestamp, nonce) = example.stamp;
        let protocol = [
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", timestamp),
            ("oauth_nonce", nonce),
        ];
        let token = example.token.map(|(token, _)| ("oauth_token", token));
        let own = protocol
            .into_iter()
            .chain(token)
            .chain(example.further.iter().copied());
        let mut pairs = parameters(url.query().unwrap_or_default().as_bytes());
        pairs.extend(own.map(|(name, value)| (name.as_bytes().into(), value.as_bytes().into())));
        let text = base_string(method, &url, None, &pairs);
        let secret = example.token.map(|(_, secret)| secret);
        let signature = hmac(SignatureMethod::HmacSha1, "kd94hf93k423kf44", secret, &text);
        assert_eq!(signature.await, example.signature, "{url}");
    }
}

/// The test cases that OAuth's wiki published for HMAC-SHA1.
#[tokio::test]
async fn published_cases_of_hmac_sha1_come_out() {
    let photos = "GET&http%3A%2F%2Fphotos.example.net%2Fphotos&file%3Dvacation.jpg%26oauth_consumer_key%3Ddpf43f3p2l4k3l03\
                  %26oauth_nonce%3Dkllo9940pd9333jh%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D1191242096\
                  %26oauth_token%3Dnnch734d00sl2jdk%26oauth_version%3D1.0%26size%3Doriginal";
    for (client, token, text, signature) in [
        ("cs", None, "bs", "egQqG5AJep5sJ7anhXju1unge2I="),
        ("cs", Some("ts"), "bs", "VZVjXceV7JgPq/dOTnNmEfO0Fv8="),
        (
            "kd94hf93k423kf44",
            Some("pfkkdhi9sl3r4s00"),
            photos,
            "tR3+Ty81lMeYAr/Fid0kMTYa/WM=",
        ),
    ] {
        assert_eq!(
            hmac(SignatureMethod::HmacSha1, client, token, text).await,
            signature
        );
    }
}

/// RFC 5849 section 3.4.4, and what becomes of characters that are encoded.
#[tokio::test]
async fn plaintext_is_both_secrets_encoded_with_an_ampersand_between() {
    for (client, token, expected) in [
        (
            "djr9rjt0jd78jf88",
            Some("jjd999tj88uiths3"),
            "djr9rjt0jd78jf88&jjd999tj88uiths3",
        ),
        (
            "djr9rjt0jd78jf88",
            Some("jjd99$tj88uiths3"),
            "djr9rjt0jd78jf88&jjd99%24tj88uiths3",
        ),
        ("a&b", None, "a%26b&"),
    ] {
        let signature = hmac(SignatureMethod::Plaintext, client, token, "any").await;
        assert_eq!(signature, expected);
    }
}

/// Digests that OpenSSL made: `printf bs | openssl dgst -sha256 -hmac 'cs&ts' -binary | base64`.
#[tokio::test]
async fn hmac_sha256_uses_the_same_key() {
    let signature = hmac(SignatureMethod::HmacSha256, "cs", Some("ts"), "bs");
    assert_eq!(
        signature.await,
        "9HGKdfyP38c9+AtaEhdNhLubhigOrxSw0l46B8qgPso="
    );
}

#[test]
fn methods_have_the_names_of_the_specification_and_no_others() {
    for method in SignatureMethod::ALL {
        assert_eq!(SignatureMethod::parse(method.as_str()).unwrap(), method);
    }
    for name in ["hmac-sha1", "HMAC-SHA512", "", "none"] {
        let error = SignatureMethod::parse(name).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unsupported);
        assert!(error.message().contains("HMAC-SHA256, RSA-SHA1"), "{error}");
    }
}

/// A key management service that answers something else than a signature.
#[tokio::test]
async fn what_a_signer_answers_that_is_no_signature_is_not_sent() {
    #[derive(Debug)]
    struct Answers(usize);
    #[async_trait::async_trait]
    impl Signer for Answers {
        fn algorithm(&self) -> &str {
            "RS256"
        }

        fn key_id(&self) -> Option<&str> {
            None
        }

        async fn sign(&self, _: &[u8]) -> Result<Vec<u8>> {
            Ok(vec![7; self.0])
        }
    }
    for (length, is_one) in [(0, false), (64, false), (256, true), (1025, false)] {
        let key = Key::Elsewhere(Arc::new(Answers(length)));
        let signed = key.sign(SignatureMethod::RsaSha256, "bs", None).await;
        assert_eq!(signed.is_ok(), is_one);
        if let Err(error) = signed {
            assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
        }
    }
}
