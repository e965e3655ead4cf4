use proptest::prelude::*;

use super::*;

fn pairs<'a>(query: &'a str, form: &'a str, protocol: &'a [(&str, &str)]) -> Vec<Pair<'a>> {
    let mut pairs = parameters(query.as_bytes());
    pairs.extend(parameters(form.as_bytes()));
    let own = protocol.iter().map(|(name, value)| {
        (
            Cow::Borrowed(name.as_bytes()),
            Cow::Borrowed(value.as_bytes()),
        )
    });
    pairs.extend(own);
    pairs
}

/// RFC 5849 section 3.4.1.1, whole: a query, a form, and protocol parameters, with doubled and empty ones.
#[test]
fn the_example_of_section_3_4_1_1_comes_out_letter_by_letter() {
    let url = Url::parse("http://EXAMPLE.com:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b").unwrap();
    let pairs = pairs(
        url.query().unwrap(),
        "c2&a3=2+q",
        &[
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
        ],
    );
    assert_eq!(
        base_string("post", &url, None, &pairs),
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D\
         %26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1\
         %26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
    );
}

/// RFC 5849 section 3.4.1.3.1: the table of decoded parameters.
#[test]
fn parameters_are_decoded_as_in_section_3_4_1_3_1() {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let read: Vec<(String, String)> = parameters(b"b5=%3D%253D&a3=a&c%40=&a2=r%20b&c2&a3=2+q")
        .iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect();
    let expected = [
        ("b5", "=%3D"),
        ("a3", "a"),
        ("c@", ""),
        ("a2", "r b"),
        ("c2", ""),
        ("a3", "2 q"),
    ];
    assert_eq!(
        read,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

/// RFC 5849 section 3.4.1.2: both examples.
#[test]
fn an_address_has_no_query_and_a_port_only_where_it_says_something() {
    for (url, expected) in [
        (
            "http://EXAMPLE.COM:80/r%20v/X?id=123",
            "http://example.com/r%20v/X",
        ),
        (
            "https://www.example.net:8080/?q=1",
            "https://www.example.net:8080/",
        ),
        ("https://example.com:443", "https://example.com/"),
        ("http://example.com:443/a", "http://example.com:443/a"),
        ("http://[::1]:8080/a#b", "http://[::1]:8080/a"),
    ] {
        assert_eq!(address(&Url::parse(url).unwrap(), None), expected);
    }
}

#[test]
fn a_host_header_of_its_own_is_what_the_provider_sees() {
    let url = Url::parse("http://127.0.0.1:8080/a").unwrap();
    for (host, expected) in [
        ("API.example", "http://api.example/a"),
        ("api.example:80", "http://api.example/a"),
        ("api.example:8080", "http://api.example:8080/a"),
    ] {
        assert_eq!(address(&url, Some(host)), expected);
    }
}

/// The test cases of the encoding that OAuth's wiki published, as far as they are about bytes (RFC 5849 section 3.6).
#[test]
fn all_but_unreserved_characters_are_encoded_in_upper_case() {
    for (plain, encoded) in [
        ("abcABC123", "abcABC123"),
        ("-._~", "-._~"),
        ("%", "%25"),
        ("+", "%2B"),
        ("&=*", "%26%3D%2A"),
        ("\n", "%0A"),
        (" ", "%20"),
        ("\u{7f}", "%7F"),
        ("\u{80}", "%C2%80"),
        ("\u{3001}", "%E3%80%81"),
        ("!'()", "%21%27%28%29"),
    ] {
        assert_eq!(encode(plain.as_bytes()), encoded);
    }
}

/// The test cases of the normalization that OAuth's wiki published (RFC 5849 section 3.4.1.3.2).
#[test]
fn parameters_are_sorted_by_their_encoded_names_and_values() {
    for (query, expected) in [
        ("name", "name="),
        ("a=b", "a=b"),
        ("a=b&c=d", "a=b&c=d"),
        ("a=x%21y&a=x+y", "a=x%20y&a=x%21y"),
        ("x%21y=a&x=a", "x=a&x%21y=a"),
        (
            "a=1&c=hi%20there&f=50&f=25&f=a&z=t&z=p",
            "a=1&c=hi%20there&f=25&f=50&f=a&z=p&z=t",
        ),
    ] {
        assert_eq!(normalized(&parameters(query.as_bytes())), expected);
    }
}

#[test]
fn a_percent_sign_that_begins_nothing_stays_and_bytes_need_not_be_utf8() {
    assert_eq!(
        normalized(&parameters(b"a=100%&b=%zz&c=%4")),
        "a=100%25&b=%25zz&c=%254"
    );
    assert_eq!(normalized(&parameters(b"a=%ff%FE")), "a=%FF%FE");
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_again(bytes: Vec<u8>) {
        let encoded = encode(&bytes);
        prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
        prop_assert_eq!(&*decode(encoded.as_bytes()), &*bytes);
    }

    /// However a query is written, and in whatever order, one and the same is signed.
    #[test]
    fn neither_order_nor_spelling_changes_what_is_signed(
        mut pairs in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..8),
        by in 0..8_usize,
    ) {
        let written = |pairs: &[(Vec<u8>, Vec<u8>)], spell: fn(&[u8]) -> String| {
            let pairs = pairs.iter().map(|(name, value)| format!("{}={}", spell(name), spell(value)));
            pairs.collect::<Vec<_>>().join("&")
        };
        let hex: fn(&[u8]) -> String = |bytes| bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
        let form: fn(&[u8]) -> String = |bytes| url::form_urlencoded::byte_serialize(bytes).collect();
        let first = normalized(&parameters(written(&pairs, hex).as_bytes()));
        let at = by.min(pairs.len());
        pairs.rotate_left(at);
        prop_assert_eq!(&first, &normalized(&parameters(written(&pairs, form).as_bytes())));
        // Nothing is lost: each pair, an empty one too, is there.
        prop_assert_eq!(first.split('&').filter(|pair| !pair.is_empty()).count(), pairs.len());
    }

    #[test]
    fn a_base_string_is_three_encoded_parts(method in "[A-Z]{1,8}", query: String, host in "[a-z]{1,9}") {
        let mut url = Url::parse(&format!("https://{host}/a/b")).unwrap();
        url.set_query(Some(&query));
        let pairs = parameters(url.query().unwrap().as_bytes());
        let text = base_string(&method, &url, None, &pairs);
        let parts: Vec<&str> = text.split('&').collect();
        let address = format!("https%3A%2F%2F{host}%2Fa%2Fb");
        prop_assert_eq!(parts.len(), 3);
        prop_assert_eq!(&parts[..2], &[&*method, &*address]);
    }
}
