use super::*;

#[test]
fn an_empty_subject_is_nobody() {
    let login = |userinfo: &str| Login {
        client: "op".into(),
        token: Token::builder("a").build().unwrap(),
        claims: None,
        userinfo: Some(serde_json::from_value(userinfo.into()).unwrap()),
        scopes: Vec::new(),
        return_to: None,
        flow_data: Value::Null,
        connect: None,
        account: String::new(),
        issuer: "https://op.example/token".into(),
        client_id: "id".into(),
        base: "https://app.example/".parse().ok(),
        started_at: Timestamp::default(),
        members: Vec::new(),
    };
    assert_eq!(
        login(r#"{"sub": "7"}"#).default_owner().unwrap(),
        "https://op.example/token#7"
    );
    for nobody in [r#"{"sub": ""}"#, r#"{"sub": 7}"#, "{}"] {
        let error = login(nobody).default_owner().unwrap_err();
        assert_eq!(error.code(), ErrorCode::OwnerUnknown, "{nobody}");
    }
}
