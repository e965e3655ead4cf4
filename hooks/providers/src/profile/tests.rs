use serde_json::json;

use super::*;

const PROFILE: Profile = Profile {
    claims: &[
        ("sub", "/id"),
        ("name", "/display"),
        ("picture", "/profile"),
        ("email", "/contact/email"),
        ("email_verified", "/contact/verified"),
    ],
    ..Profile::EMPTY
};

fn mapped(mut profile: Value) -> Value {
    PROFILE.apply(&mut profile).unwrap();
    profile
}

#[test]
fn what_is_not_of_its_type_is_not_there() {
    let profile = json!({
        "id": 18_446_744_073_709_551_615_u64, "display": "", "profile": {"url": "x"},
        "contact": {"email": ["a@x.example"], "verified": "true"}, "other": 1,
    });
    let found = mapped(profile);
    assert_eq!(found["sub"], "18446744073709551615");
    for claim in ["name", "picture", "email", "email_verified", "profile"] {
        assert_eq!(found.get(claim), None, "{claim}");
    }
    assert_eq!(found["other"], 1);
}

#[test]
fn a_member_with_the_name_of_a_claim_is_that_claim_only_where_it_is_mapped() {
    let profile = json!({"id": "1", "profile": "https://x.example/p.png", "sub": "2", "email_verified": true});
    let found = mapped(profile);
    assert_eq!(
        found,
        json!({"id": "1", "sub": "1", "picture": "https://x.example/p.png"})
    );
}

#[test]
fn an_address_that_a_page_would_run_is_none() {
    const LINKS: Profile = Profile {
        claims: &[
            ("sub", "/id"),
            ("website", "/blog"),
            ("picture", "/avatar"),
            ("profile", "/html_url"),
            ("name", "/name"),
        ],
        ..Profile::EMPTY
    };
    for (address, stays) in [
        ("https://a.example/x", true),
        ("HTTP://a.example", true),
        // Written by people: a path at worst.
        ("a.example/x", true),
        ("/x", true),
        ("javascript:alert(1)", false),
        ("JavaScript:alert(1)", false),
        ("\u{1} java\nscript:alert(1)", false),
        ("data:text/html,<script>x</script>", false),
        ("vbscript:x", false),
        ("file:///etc/passwd", false),
    ] {
        let mut profile = json!({"id": 1, "blog": address, "avatar": address, "html_url": address, "name": address});
        LINKS.apply(&mut profile).unwrap();
        for claim in ["website", "picture", "profile"] {
            assert_eq!(profile.get(claim).is_some(), stays, "{claim} {address:?}");
        }
        assert_eq!(profile["name"], address, "a text is no link");
    }
}

#[test]
fn a_profile_without_an_id_is_refused() {
    for id in [
        json!(null),
        json!(""),
        json!(1.5),
        json!({"id": "1"}),
        json!(true),
    ] {
        let error = PROFILE.apply(&mut json!({"id": id, "sub": "somebody"}));
        assert_eq!(error.unwrap_err().code(), ErrorCode::MissingClaim);
    }
    for nothing in [json!([]), json!("id"), json!(null)] {
        assert!(PROFILE.apply(&mut nothing.clone()).is_err());
    }
}
