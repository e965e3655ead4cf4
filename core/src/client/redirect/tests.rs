use super::*;

#[test]
fn what_is_asked_of_the_provider_does_not_print() {
    let redirect = Redirect {
        url: "https://op.example/authorize?state=s3cret&nonce=s3cret#s3cret"
            .parse()
            .unwrap(),
        cookies: vec![Cookie::new("name", "s3cret")],
    };
    let shown = format!("{redirect:?}");
    assert!(shown.contains("https://op.example/authorize"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}
