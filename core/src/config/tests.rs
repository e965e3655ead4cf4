use serde_json::json;

use super::*;
use crate::{Action, Reuse, Rotation, Secret};

fn read(settings: &Settings) -> Result<ClientSettings> {
    ClientSettings::read("op", settings)
}

#[test]
fn a_name_in_variables_is_upper_case_with_underscores() {
    for (name, variable) in [
        ("op", "OP"),
        ("my-op.2", "MY_OP_2"),
        ("zürich", "Z_RICH"),
        ("a b", "A_B"),
    ] {
        assert_eq!(variable_name(name), variable);
    }
}

#[test]
fn two_names_with_the_same_variables_are_refused() {
    let error = check_names(["my-op", "other", "my.op"]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
    for part in ["my-op", "my.op", "MY_OP_"] {
        assert!(error.message().contains(part), "{error}");
    }
    // Registering a name again is the registry's business.
    check_names(["op", "op", "op-two"]).unwrap();
}

#[test]
fn flat_and_nested_documents_say_the_same() {
    let nested = json!({
        "op": {
            "client_id": "x", "issuer": "https://op.example",
            "authorize_params": {"access_type": "offline", "x": ["1", "2"], "gone": null},
            "client_kwargs": {"scope": "openid email", "leeway": 30, "refresh_reuse": "replay:20", "rotation": "never"},
        },
    });
    let flat = json!({
        "op_client_id": "x",
        "OP_ISSUER": "https://op.example",
        "OP_AUTHORIZE_PARAMS": "access_type=offline&x=1&x=2",
        "OP_CLIENT_KWARGS": r#"{"scope": ["openid", "email"], "leeway": "30", "refresh_reuse": "replay:20", "rotation": "never"}"#,
    });
    let mixed = json!({
        "OP_CLIENT_ID": "x", "op": {"ISSUER": "https://op.example"},
        "OP_AUTHORIZE_PARAMS": {"access_type": "offline", "x": [1, 2]},
        "OP_CLIENT_KWARGS": "scope=openid+email&leeway=30&refresh_reuse=replay:20&rotation=never",
    });
    for document in [nested, flat, mixed] {
        let settings = Settings::from_value(document).unwrap();
        check_variables(["op"], &settings).unwrap();
        let op = read(&settings).unwrap();
        assert_eq!(op.client_id.as_deref(), Some("x"));
        assert_eq!(op.issuer.as_deref(), Some("https://op.example"));
        let params: Vec<_> = op.authorize_params.unwrap();
        let params: Vec<_> = params
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(params, [("access_type", "offline"), ("x", "1"), ("x", "2")]);
        assert_eq!(op.kwargs.scope.unwrap(), ["openid", "email"]);
        assert_eq!(op.kwargs.leeway.unwrap().as_secs(), 30);
        let window = std::time::Duration::from_secs(20);
        assert_eq!(op.kwargs.refresh_reuse, Some(Reuse::Replay(window)));
        assert_eq!(op.kwargs.rotation, Some(Rotation::Never));
    }
}

#[test]
fn what_cannot_be_read_is_named_without_its_value() {
    for (key, value) in [
        ("CLIENT_ID", json!({"hunter2": 1})),
        ("AUTHORIZE_PARAMS", json!("hunter2")),
        ("AUTHORIZE_PARAMS", json!("{hunter2")),
        ("ACCESS_TOKEN_PARAMS", json!({"a": [["hunter2"]]})),
        ("REFRESH_TOKEN_PARAMS", json!(["hunter2"])),
        ("CLIENT_KWARGS", json!("{\"scope\": hunter2}")),
        ("CLIENT_KWARGS", json!({"scope": {"hunter2": 1}})),
        ("CLIENT_KWARGS", json!({"leeway": "hunter2"})),
        ("CLIENT_KWARGS", json!({"leeway": -1})),
        ("CLIENT_KWARGS", json!({"leeway": 1e300})),
        ("CLIENT_KWARGS", json!({"refresh_reuse": "hunter2"})),
        ("CLIENT_KWARGS", json!({"rotation": "hunter2"})),
        ("CLIENT_KWARGS", json!({"scop": "hunter2"})),
        ("CLIENT_KWARGS", json!({"verify": "hunter2"})),
    ] {
        let settings = Settings::from_iter([(format!("OP_{key}"), value.clone())]);
        let Err(error) = read(&settings) else {
            panic!("{key}={value} was read");
        };
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
        assert_eq!(error.client(), Some("op"));
        assert_eq!(error.action(), &Action::Configure);
        assert!(error.message().contains(&format!("OP_{key}")), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn transport_options_point_to_the_builder() {
    for option in ["verify", "proxies", "cert"] {
        let kwargs = json!({ option: "x" });
        let settings = Settings::from_iter([("OP_CLIENT_KWARGS", kwargs)]);
        let error = read(&settings).err().unwrap();
        assert!(error.message().contains("builder"), "{error}");
    }
}

#[test]
fn what_is_of_oauth1_is_read_and_an_unknown_method_named() {
    let kwargs = json!({
        "signature_method": "HMAC-SHA256", "signature_type": "query", "realm": "photos", "rsa_key": "hunter2",
        "force_include_body": true, "redirect_uri": "oob",
    });
    let settings = Settings::from_iter([
        ("OP_REQUEST_TOKEN_URL", json!("https://op.example/r")),
        (
            "OP_REQUEST_TOKEN_PARAMS",
            json!("x_auth_access_type=read&a=1"),
        ),
        ("OP_CLIENT_KWARGS", kwargs),
    ]);
    let op = read(&settings).unwrap();
    assert_eq!(op.kwargs.redirect_uri.as_deref(), Some("oob"));
    let op = op.oauth1;
    assert_eq!(
        op.request_token_url.as_deref(),
        Some("https://op.example/r")
    );
    assert_eq!(
        op.request_token_params.unwrap(),
        [("a", "1"), ("x_auth_access_type", "read")].map(|(k, v)| (k.to_owned(), v.to_owned()))
    );
    assert_eq!(
        op.signature_method,
        Some(crate::SignatureMethod::HmacSha256)
    );
    assert_eq!(op.signature_type, Some(crate::SignatureType::Query));
    assert_eq!(op.realm.as_deref(), Some("photos"));
    assert_eq!(op.rsa_key, Some(Secret::new("hunter2")));
    assert_eq!(op.body_hash, Some(true));
    for (member, value) in [("signature_method", "MD5"), ("signature_type", "COOKIE")] {
        let kwargs = json!({ member: value });
        let error = read(&Settings::from_iter([("OP_CLIENT_KWARGS", kwargs)]))
            .err()
            .unwrap();
        assert_eq!(error.code(), ErrorCode::Unsupported);
        assert_eq!(error.client(), Some("op"));
    }
}

#[test]
fn an_empty_variable_is_an_absent_one() {
    let settings = Settings::from_iter([("OP_CLIENT_ID", " "), ("OP_CLIENT_SECRET", "")]);
    let op = read(&settings).unwrap();
    assert_eq!((op.client_id, op.client_secret), (None, None));
}

#[test]
fn unknown_variables_of_a_client_are_errors_in_a_map() {
    for (variable, hint) in [
        ("OP_CLIENT_SECERT", "did you mean OP_CLIENT_SECRET?"),
        ("OP_CLIENTID", "did you mean OP_CLIENT_ID?"),
        ("OP_SCOPE", "CLIENT_KWARGS"),
    ] {
        let settings = Settings::from_iter([(variable, "hunter2")]);
        let error = check_variables(["op"], &settings).unwrap_err();
        assert_eq!(error.client(), Some("op"));
        assert!(error.message().contains(variable), "{error}");
        assert!(error.message().contains(hint), "{error}");
        assert!(!error.to_string().contains("hunter2"));
    }
    // Another client's variables, and those of nobody, are not this one's.
    let settings = Settings::from_iter([("OP_TWO_CLIENT_ID", "x"), ("DATABASE_URL", "x")]);
    check_variables(["op"], &settings).unwrap();
    check_variables(["op", "op-two"], &settings).unwrap();
    let settings = Settings::from_iter([("OP_TWO_CLIENT_IDD", "x")]);
    let error = check_variables(["op", "op-two"], &settings).unwrap_err();
    assert_eq!(error.client(), Some("op-two"));
}

#[test]
fn the_environment_may_hold_anything() {
    // PATH and its like: nothing of it is an error.
    check_variables(["path", "op"], &Env).unwrap();
    assert_eq!(Env.value("TOKENKEEP_TEST_NOT_SET").unwrap(), None);
}

/// A source of many programs' variables, as the environment is.
#[derive(Debug)]
struct Shared(Settings);

impl ConfigSource for Shared {
    fn value(&self, variable: &str) -> Result<Option<Value>> {
        self.0.value(variable)
    }

    fn variables(&self) -> Vec<String> {
        self.0.variables()
    }

    fn refuses_unknown(&self) -> bool {
        false
    }
}

/// Keeps the log as text.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<String>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Fields<'a>(&'a mut String);

        impl tracing::field::Visit for Fields<'_> {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                *self.0 += &format!("{field}={value:?} ");
            }
        }
        event.record(&mut Fields(&mut self.0.lock().unwrap()));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_near_miss_in_the_environment_is_a_warning_without_the_value() {
    let log = Log::default();
    let settings = [("OP_CLIENT_SECERT", "hunter2"), ("OP_HOME", "hunter2")];
    tracing::subscriber::with_default(log.clone(), || {
        check_variables(["op"], &Shared(Settings::from_iter(settings))).unwrap();
    });
    let log = log.0.lock().unwrap();
    assert!(
        log.contains("OP_CLIENT_SECERT") && log.contains("OP_CLIENT_SECRET"),
        "{log}"
    );
    assert!(
        !log.contains("OP_HOME") && !log.contains("hunter2"),
        "{log}"
    );
}

#[test]
fn only_near_misses_are_guessed() {
    for (key, nearest) in [
        ("CLIENT_IDS", Some("CLIENT_ID")),
        ("CLENT_ID", Some("CLIENT_ID")),
        ("ISUER", Some("ISSUER")),
        ("AUTHORISE_URL", Some("AUTHORIZE_URL")),
        ("CLIENT_ID", None),
        ("SCOPE", None),
        ("", None),
        ("CLIENT_IDENTITY", None),
    ] {
        assert_eq!(nearest_key(key), nearest, "{key}");
    }
}

#[test]
fn a_document_is_an_object_without_doubles() {
    Settings::from_value(json!(["OP_CLIENT_ID"])).unwrap_err();
    let twice = json!({"OP_CLIENT_ID": "a", "op": {"client_id": "b"}});
    let error = Settings::from_value(twice).unwrap_err();
    assert!(error.message().contains("OP_CLIENT_ID"), "{error}");
}

#[test]
fn settings_show_names_only() {
    let settings = Settings::from_iter([("OP_CLIENT_SECRET", "hunter2")]);
    assert_eq!(format!("{settings:?}"), r#"{"OP_CLIENT_SECRET"}"#);
}

/// The padding of base64 makes a query string of it.
#[test]
fn a_secret_in_the_wrong_setting_is_not_shown_as_the_name_of_a_member() {
    let secret = "c2VjcmV0LW9mLXRoaXMtY2xpZW50LTAxMjM0NTY3ODk";
    for (key, value) in [
        ("CLIENT_KWARGS", json!(format!("{secret}=="))),
        ("CLIENT_KWARGS", json!({ secret: "x" })),
        ("AUTHORIZE_PARAMS", json!({ secret: [[]] })),
    ] {
        let settings = Settings::from_iter([(format!("OP_{key}"), value)]);
        let error = read(&settings).err().unwrap();
        let shown = format!("{error} {error:#?}");
        assert!(!shown.contains(secret), "{key}");
        assert!(shown.contains(&format!("a member of OP_{key}")), "{shown}");
    }
    let misspelt = Settings::from_iter([("OP_CLIENT_KWARGS", json!({"scopes": "x"}))]);
    let error = read(&misspelt).err().unwrap();
    assert!(
        error
            .message()
            .contains("OP_CLIENT_KWARGS.scopes is no member")
    );
}

const GUIDE: &str = include_str!("../../../docs/configuration.md");

/// The tables of the guide: below a heading, the rows whose first cell is code.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let part = GUIDE.split("\n## ").find(|part| part.starts_with(heading));
    let rows = part.unwrap().lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

fn code(cell: &str) -> &str {
    cell.trim_matches('`')
}

#[test]
fn the_tables_name_exactly_the_keys_and_members_that_there_are() {
    let sorted = |mut names: Vec<&'static str>| {
        names.sort_unstable();
        names
    };
    let named = |heading| sorted(rows(heading).iter().map(|row| code(row[0])).collect());
    assert_eq!(named("Keys"), sorted(KEYS.to_vec()));
    assert_eq!(named("Members"), sorted(settings::MEMBERS.to_vec()));
    for row in rows("Keys").iter().chain(&rows("Members")) {
        assert!(
            row.len() == 5 && row.iter().all(|cell| !cell.is_empty()),
            "{row:?}"
        );
    }
    // The table of `ConfigSource` has several members in a row.
    let documented = include_str!("../config.rs")
        .lines()
        .filter(|line| line.starts_with("/// | `"));
    let documented = documented.flat_map(|line| {
        let names = line.split('|').nth(1).unwrap_or_default().split(',');
        names.map(|name| code(name.trim()))
    });
    assert_eq!(
        sorted(documented.collect()),
        sorted(settings::MEMBERS.to_vec())
    );
}

/// The key of RFC 8037 appendix A.1.
const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

const REQUEST_TOKEN: &str = "https://op.example/request_token";

#[test]
fn every_example_of_the_tables_is_taken() {
    use crate::{
        Registration,
        client::resolve,
        oauth1::rsa_tests::{armored, pkcs8_2048},
    };

    let resolved = |is_oauth1: bool, settings: Value| {
        let registration = match is_oauth1 {
            true => Registration::oauth1(
                "op",
                REQUEST_TOKEN,
                "https://op.example/a",
                "https://op.example/t",
            ),
            false => Registration::openid("op", "https://op.example"),
        };
        let registration = registration.client_id("x").client_secret("s");
        resolve(&registration, &Settings::from_value(settings).unwrap())
    };
    for row in rows("Keys") {
        let (key, example) = (code(row[0]), code(row[3]));
        let taken = resolved(
            key.starts_with("REQUEST_TOKEN"),
            json!({ format!("OP_{key}"): example }),
        );
        assert!(taken.is_ok(), "{key}: {:?}", taken.err());
    }
    let oauth1 = [
        "signature_method",
        "signature_type",
        "realm",
        "rsa_key",
        "force_include_body",
    ];
    let file = std::env::temp_dir().join(format!("tokenkeep-example-{}.pem", std::process::id()));
    std::fs::write(&file, PEM).unwrap();
    for row in rows("Members") {
        let (member, example) = (code(row[0]), code(row[3]));
        let mut kwargs = json!({ member: example });
        // What needs something beside it, and keys, which are no text for a page.
        match member {
            "allow_tenants" => kwargs["issuer_template"] = json!("https://op.example/{tenantid}"),
            "private_key" => kwargs[member] = json!(PEM),
            "private_key_file" => kwargs[member] = json!(file),
            "private_key_id" | "token_endpoint_auth_signing_alg" => {
                kwargs["private_key"] = json!(PEM)
            }
            "rsa_key" => {
                kwargs[member] = json!(armored("PRIVATE KEY", pkcs8_2048()));
                kwargs["signature_method"] = json!("RSA-SHA256");
            }
            _ => {}
        }
        let taken = resolved(
            oauth1.contains(&member),
            json!({ "OP_CLIENT_KWARGS": kwargs }),
        );
        assert!(taken.is_ok(), "{member}: {:?}", taken.err());
    }
    std::fs::remove_file(file).unwrap();
}

proptest::proptest! {
    #[test]
    fn no_setting_breaks_the_reader(text in ".{0,200}") {
        for key in KEYS {
            let settings = Settings::from_iter([(format!("OP_{key}"), text.as_str())]);
            let _ = read(&settings);
        }
    }

    #[test]
    fn parameters_survive_a_query_string(pairs in proptest::collection::btree_map("[a-z]{1,8}", ".{1,20}", 0..6)) {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        let settings = Settings::from_iter([("OP_AUTHORIZE_PARAMS", query)]);
        let read = read(&settings).unwrap().authorize_params.unwrap_or_default();
        proptest::prop_assert_eq!(read, pairs.into_iter().collect::<Vec<_>>());
    }
}
