use super::*;

#[test]
fn codes_and_phases_have_names_of_their_own() {
    let mut names: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for code in ErrorCode::ALL {
        assert!((400..=503).contains(&code.http_status()), "{code}");
        let help = code.help();
        let is_sentence = help.starts_with(char::is_uppercase) && help.ends_with('.');
        assert!(is_sentence && help.len() > 25, "{code}: {help}");
    }
}

#[test]
fn what_main_returns_prints_as_a_sentence_with_its_causes() {
    let error = Error::new(
        ErrorCode::StoreUnavailable,
        Phase::Store,
        "the store is away",
    )
    .with_client("op")
    .with_source("connection refused");
    assert_eq!(
        format!("{error:?}"),
        "store_unavailable (client \"op\", store): the store is away: connection refused\nhelp: Try again later; if it lasts, \
         check the store's address, credentials, table and load."
    );
    assert!(format!("{error:#?}").contains("action: Retry"));
}

#[test]
fn the_first_client_that_is_named_counts() {
    let error = Error::new(ErrorCode::Internal, Phase::Store, "x")
        .with_client("inner")
        .with_client("outer");
    assert_eq!(error.client(), Some("inner"));
}

#[test]
fn an_excerpt_is_short_and_of_one_line() {
    let text = format!("a\nb{}", "é".repeat(500));
    let cut = excerpt(&text);
    assert_eq!(cut.chars().count(), 201);
    assert!(cut.starts_with("a b") && cut.ends_with('…'));
}

#[test]
fn an_excerpt_begins_no_line_and_turns_no_letters_around() {
    let steering = [
        '\r', '\n', '\u{1b}', '\u{85}', '\u{2028}', '\u{202e}', '\u{2066}', '\u{feff}',
    ];
    for c in steering {
        assert_eq!(excerpt(&format!("a{c}b")), "a b");
    }
    assert_eq!(excerpt("é 日本 👍"), "é 日本 👍");
}
