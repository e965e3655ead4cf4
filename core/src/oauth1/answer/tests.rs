use super::*;

fn parse(body: &str) -> Result<FormAnswer, &'static str> {
    FormAnswer::parse(body.as_bytes())
}

/// RFC 5849 section 1.2: the answer with temporary credentials.
#[test]
fn the_answer_of_section_1_2_is_read() {
    let mut answer =
        parse("oauth_token=hh5s93j4hdidpola&oauth_token_secret=hdhd0244k9j7ao03&oauth_callback_confirmed=true\n").unwrap();
    let mut take = |name| answer.take(name).map(|value| value.expose().to_owned());
    assert_eq!(take("oauth_token").as_deref(), Some("hh5s93j4hdidpola"));
    assert_eq!(
        take("oauth_token_secret").as_deref(),
        Some("hdhd0244k9j7ao03")
    );
    assert_eq!(take("oauth_callback_confirmed").as_deref(), Some("true"));
    assert_eq!(take("oauth_callback_confirmed"), None);
}

#[test]
fn values_are_decoded_and_what_is_not_of_the_protocol_stays() {
    let mut answer = parse("oauth_token=a%2Bb&screen_name=J%C3%B6rg+M&user_id=7&empty=").unwrap();
    assert_eq!(answer.take("oauth_token").unwrap().expose(), "a+b");
    let mut rest: Vec<_> = answer
        .into_rest()
        .into_iter()
        .map(|(name, value)| (name, value.expose().to_owned()))
        .collect();
    rest.sort();
    let expected = [("empty", ""), ("screen_name", "Jörg M"), ("user_id", "7")];
    assert_eq!(
        rest,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

#[test]
fn what_is_not_a_form_is_refused_and_named() {
    for (body, why) in [
        ("", "not form-encoded"),
        ("oauth_token", "not form-encoded"),
        ("<!doctype html><a href='?a=b'>", "HTML"),
        ("  <xml a=\"b\"/>", "HTML or XML"),
        ("{\"oauth_token\":\"a=b\"}", "JSON"),
        ("[\"a=b\"]", "JSON"),
        ("oauth_token=a\noauth_token_secret=b", "not form-encoded"),
        ("oauth_token=a&oauth_token=b", "twice"),
        ("a=1&a=1", "twice"),
        ("a=%ff", "not UTF-8"),
    ] {
        let refused = parse(body).unwrap_err();
        assert!(refused.contains(why), "{body}: {refused}");
    }
}

#[test]
fn an_answer_is_bounded() {
    let many: Vec<String> = (0..65).map(|number| format!("m{number}=1")).collect();
    assert!(parse(&many[..64].join("&")).is_ok());
    assert!(parse(&many.join("&")).unwrap_err().contains("64 members"));
    assert!(parse(&format!("a={}", "x".repeat(8192))).is_ok());
    assert!(
        parse(&format!("a={}", "x".repeat(8193)))
            .unwrap_err()
            .contains("8 KiB")
    );
    let large = format!("a=b&{}", "c=d&".repeat(20_000));
    assert!(parse(&large).unwrap_err().contains("64 KiB"));
}

#[test]
fn problems_are_read_in_both_vocabularies() {
    let problem = Problem::of_body(
        b"oauth_problem=timestamp_refused&oauth_acceptable_timestamps=1-9&oauth_problem_advice=x",
    );
    assert_eq!(problem.kind(), Kind::Clock);
    assert_eq!(problem.timestamps.as_deref(), Some("1-9"));
    assert_eq!(problem.advice.as_deref(), Some("x"));
    for (body, kind) in [
        ("oauth_problem=nonce_used", Kind::Nonce),
        ("oauth_problem=user_refused", Kind::Denied),
        ("oauth_problem=token_revoked", Kind::Token),
        ("oauth_problem=consumer_key_unknown", Kind::Registration),
        (
            "error=invalid_client&error_description=x",
            Kind::Registration,
        ),
        ("oauth_problem=something_else", Kind::Unknown),
        ("oauth_problem=", Kind::Unknown),
        ("{\"error\":\"nonce_used\"}", Kind::Unknown),
    ] {
        assert_eq!(Problem::of_body(body.as_bytes()).kind(), kind, "{body}");
    }
}

#[test]
fn a_challenge_wins_over_the_body_where_it_says_something() {
    let mut header = Problem::default();
    header.read("realm", "x");
    header.read("oauth_problem", "nonce_used");
    header.read("oauth_problem", "token_used");
    let problem = header.or(Problem::of_body(
        b"oauth_problem=token_revoked&oauth_problem_advice=y",
    ));
    assert_eq!(problem.kind(), Kind::Nonce);
    assert_eq!(problem.advice.as_deref(), Some("y"));
}
