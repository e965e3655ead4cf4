use serde_json::{Value, json};

use super::*;
use crate::{
    IdTokenChecks, IdTokenClaims, SigningAlgorithm,
    openid::{
        fixtures::{NOW, claims, key_set, rsa, rules, with},
        validate,
    },
};

const TEMPLATE: &str = "https://login.example/{tenantid}/v2.0";
const TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const ANOTHER: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

fn template(tenants: Option<&[&str]>) -> IssuerTemplate {
    let tenants = tenants.map(|tenants| tenants.iter().map(|t| (*t).to_owned()).collect());
    IssuerTemplate::parse(TEMPLATE.to_owned(), tenants).unwrap()
}

fn of(tenant: &str) -> String {
    TEMPLATE.replace("{tenantid}", tenant)
}

/// Validates a token with this `iss` and `tid`.
fn validated(
    tenants: Option<&[&str]>,
    issuer: &str,
    tid: Value,
    key: Value,
) -> Result<IdTokenClaims> {
    let mut rules = rules();
    rules.issuer = IssuerRule::Template(template(tenants));
    let claims = with(claims(), json!({"iss": issuer, "tid": tid}));
    let keys = key_set(&[with(rsa().jwk(), json!({"issuer": key}))]);
    let raw = rsa().token(SigningAlgorithm::Rs256, &claims);
    validate(&raw, &keys, &rules, &IdTokenChecks::new(), NOW)
}

#[test]
fn the_issuer_of_a_token_is_the_template_with_its_own_tenant() {
    use ErrorCode::*;
    let upper = TENANT.to_ascii_uppercase();
    let long = format!("{TENANT}/x");
    let cases: Vec<(&str, String, Value, Option<ErrorCode>)> = vec![
        ("its tenant", of(TENANT), json!(TENANT), None),
        (
            "another tenant",
            of(TENANT),
            json!(ANOTHER),
            Some(IssuerMismatch),
        ),
        (
            "another spelling",
            of(TENANT),
            json!(upper),
            Some(IssuerMismatch),
        ),
        ("no tenant", of(TENANT), Value::Null, Some(MissingClaim)),
        ("a number", of(TENANT), json!(7), Some(MissingClaim)),
        ("an empty one", of(""), json!(""), Some(IssuerMismatch)),
        (
            "a name",
            of("contoso"),
            json!("contoso"),
            Some(IssuerMismatch),
        ),
        (
            "the placeholder",
            TEMPLATE.to_owned(),
            json!("{tenantid}"),
            Some(IssuerMismatch),
        ),
        ("a slash", of(&long), json!(long), Some(IssuerMismatch)),
        ("dots", of(".."), json!(".."), Some(IssuerMismatch)),
        (
            "another host",
            format!("https://evil.example/{TENANT}/v2.0"),
            json!(TENANT),
            Some(IssuerMismatch),
        ),
        (
            "another end",
            format!("https://login.example/{TENANT}/v2.0/"),
            json!(TENANT),
            Some(IssuerMismatch),
        ),
        (
            "a host of the tenant's",
            format!("https://login.example{TENANT}/v2.0"),
            json!(TENANT),
            Some(IssuerMismatch),
        ),
    ];
    for (what, issuer, tid, expected) in cases {
        let outcome = validated(None, &issuer, tid, Value::Null);
        assert_eq!(outcome.err().map(|e| e.code()), expected, "{what}");
    }
    let claims = validated(None, &of(TENANT), json!(TENANT), Value::Null).unwrap();
    assert_eq!(claims.issuer(), of(TENANT));
}

#[test]
fn a_key_signs_for_the_issuer_it_is_published_for() {
    for (key, expected) in [
        (json!(TEMPLATE), None),
        (json!(of(TENANT)), None),
        (json!(of(ANOTHER)), Some(ErrorCode::IssuerMismatch)),
        (
            json!("https://login.example"),
            Some(ErrorCode::IssuerMismatch),
        ),
        // Not Microsoft's member then.
        (json!(7), None),
    ] {
        let outcome = validated(None, &of(TENANT), json!(TENANT), key.clone());
        assert_eq!(outcome.err().map(|e| e.code()), expected, "{key}");
    }
}

#[test]
fn only_the_tenants_that_are_named_come_in() {
    let upper = TENANT.to_ascii_uppercase();
    let allowed = [upper.as_str()];
    validated(Some(&allowed), &of(TENANT), json!(TENANT), Value::Null).unwrap();
    let error = validated(Some(&allowed), &of(ANOTHER), json!(ANOTHER), Value::Null).unwrap_err();
    assert_eq!(error.code(), ErrorCode::OwnerRefused);
    assert!(error.message().contains("allow_tenants"), "{error}");

    let rule = IssuerRule::Template(template(Some(&allowed)));
    assert!(rule.covers(&of(TENANT)) && !rule.covers(&of(ANOTHER)));
    assert_eq!((rule.only(), rule.published()), (None, TEMPLATE));
}

#[test]
fn a_response_names_a_tenant_of_the_template() {
    let rule = IssuerRule::Template(template(None));
    for (found, expected) in [
        (Some(of(TENANT)), of(TENANT)),
        (Some("https://evil.example".to_owned()), TEMPLATE.to_owned()),
        (Some(of("contoso")), TEMPLATE.to_owned()),
        (None, TEMPLATE.to_owned()),
    ] {
        assert_eq!(rule.in_response(found.as_deref()), expected);
    }
    let exact = IssuerRule::from("https://login.example");
    assert_eq!(
        exact.in_response(Some("https://evil.example")),
        "https://login.example"
    );
}

#[test]
fn what_is_no_template_is_refused() {
    for text in [
        "",
        "{tenantid}",
        "/{tenantid}",
        "https://{tenantid}",
        "https://{tenantid}/v2.0",
        "https://{tenantid}.example/v2.0",
        "https:///{tenantid}/v2.0",
        "https://login.example/v2.0",
        "https://login.example/{tenantid}x/v2.0",
        "https://login.example/x{tenantid}/v2.0",
        "https://login.example/{tenantid}/{tenantid}",
        "https://login.example/{other}/{tenantid}",
        "https://login.example/{TENANTID}/v2.0",
        "https://login.example?x=/{tenantid}",
        "https://login.example/{tenantid}?x=y",
        "https://login.example/{tenantid}#x",
        "https://a@login.example/{tenantid}",
        "http://login.example/{tenantid}",
        "ftp://login.example/{tenantid}",
    ] {
        let error = IssuerTemplate::parse(text.to_owned(), None).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration, "{text}");
        assert!(error.message().contains("issuer_template"), "{error}");
    }
    for tenants in [
        vec![],
        vec!["contoso".to_owned()],
        vec![format!("{TENANT} ")],
    ] {
        let error = IssuerTemplate::parse(TEMPLATE.to_owned(), Some(tenants)).unwrap_err();
        assert!(error.message().contains("allow_tenants"), "{error}");
    }
    IssuerTemplate::parse("http://127.0.0.1:1/{tenantid}".to_owned(), None).unwrap();
}
