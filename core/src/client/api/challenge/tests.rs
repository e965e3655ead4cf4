use super::*;

fn read(header: &str) -> Challenge {
    let mut challenge = Challenge {
        unauthorized: true,
        ..Challenge::default()
    };
    challenge.read(header, &["s3cret".into()]);
    challenge
}

#[test]
fn challenges_are_read() {
    let stale =
        read(r#"Bearer realm="x", error="invalid_token", error_description="it \"expired\"""#);
    assert_eq!(stale.error.as_deref(), Some("invalid_token"));
    assert_eq!(stale.description.as_deref(), Some("it \"expired\""));
    assert!(stale.asks_for_a_fresh_token());

    let step_up = read(
        r#"Bearer error="insufficient_user_authentication", acr_values="gold silver", max_age=5"#,
    );
    assert_eq!(
        step_up.required,
        [
            ("acr_values".to_owned(), "gold silver".to_owned()),
            ("max_age".to_owned(), "5".to_owned())
        ]
    );
    assert!(!step_up.asks_for_a_fresh_token());

    assert_eq!(
        read("Basic realm=x, Bearer error=invalid_token")
            .error
            .as_deref(),
        Some("invalid_token")
    );
    assert!(read("Bearer").asks_for_a_fresh_token());
}

#[test]
fn a_token_that_comes_back_is_cut_out() {
    let echo = read(
        r#"Bearer error="invalid_token s3cret", error_description="s3cret and eyJhbGciOiJSUzI1NiJ9.e30.c2ln are no good", scope="https://api.example/auth/Files.ReadWrite.All s3cret""#,
    );
    assert_eq!(echo.error.as_deref(), Some("invalid_token [secret]"));
    assert_eq!(
        echo.description.as_deref(),
        Some("[secret] and […] are no good")
    );
    assert_eq!(
        echo.required,
        [(
            "scope".to_owned(),
            "https://api.example/auth/Files.ReadWrite.All [secret]".to_owned()
        )]
    );
}

#[test]
fn odd_challenges_do_no_harm() {
    for odd in [
        "",
        "=",
        "=\"",
        "a=\"\\",
        ",,,=,=",
        "é=\"é\\",
        "x=\"unended",
        "Bearer =\"a\"b=c",
    ] {
        read(odd);
    }
}
