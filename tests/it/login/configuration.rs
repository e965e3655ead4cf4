//! Settings from every source, and registries that are initialised late.

use std::process::Command;

use tokenkeep::{Env, ErrorCode, MemoryStore, OAuth, Registration, Settings, Token};

use crate::world::{CALLBACK, CLIENT, World, refused};

const GUIDE: &str = include_str!("../../../docs/configuration.md");

/// Where the browser is sent by a registry that has nothing but settings.
async fn sent(oauth: &OAuth) -> Vec<(String, String)> {
    let redirect = oauth.client("my-op").unwrap().authorize_redirect(CALLBACK);
    let url = redirect.await.unwrap().url;
    let mut sent: Vec<_> = url.query_pairs().into_owned().collect();
    sent.retain(|(name, _)| !matches!(name.as_str(), "state" | "nonce" | "code_challenge"));
    sent.sort();
    sent.insert(
        0,
        ("to".to_owned(), url[..url::Position::AfterPath].to_owned()),
    );
    sent
}

fn expected() -> Vec<(String, String)> {
    [
        ("to", "https://op.example/authorize"),
        ("access_type", "offline"),
        ("client_id", "0123"),
        ("code_challenge_method", "S256"),
        ("prompt", "login"),
        ("redirect_uri", CALLBACK),
        ("resource", "a"),
        ("resource", "b"),
        ("response_type", "code"),
        ("scope", "read write"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

const TOML: &str = r#"
[my-op]
client_id = "0123"
authorize_url = "https://op.example/authorize"
access_token_url = "https://op.example/token"
authorize_params = { access_type = "offline", resource = ["a", "b"] }
client_kwargs = { scope = ["read", "write"], prompt = "login" }
"#;

const YAML: &str = "
my-op:
  client_id: \"0123\"
  authorize_url: https://op.example/authorize
  access_token_url: https://op.example/token
  authorize_params: access_type=offline&resource=a&resource=b
  client_kwargs:
    scope: read write
    prompt: login
";

const JSON: &str = r#"{
    "MY_OP_CLIENT_ID": "0123",
    "my_op": {"AUTHORIZE_URL": "https://op.example/authorize", "ACCESS_TOKEN_URL": "https://op.example/token"},
    "my_op_authorize_params": {"access_type": "offline", "resource": ["a", "b"]},
    "MY_OP_CLIENT_KWARGS": "scope=read+write&prompt=login"
}"#;

fn from_a_file(path: &str, store: MemoryStore) -> Result<OAuth, Box<dyn std::error::Error>> {
    let file = config::File::with_name(path);
    let document = config::Config::builder().add_source(file).build()?;
    let settings = Settings::from_value(document.try_deserialize()?)?;
    let oauth = OAuth::builder()
        .store(store)
        .register("my-op")
        .config(settings)
        .build()?;
    Ok(oauth)
}

#[tokio::test]
async fn files_of_every_format_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for (extension, text) in [("toml", TOML), ("yaml", YAML), ("json", JSON)] {
        let path = folder.path().join(extension);
        std::fs::write(path.with_extension(extension), text).unwrap();
        let oauth = from_a_file(path.to_str().unwrap(), MemoryStore::new()).unwrap();
        assert_eq!(sent(&oauth).await, expected(), "{extension}");
    }
}

/// What turns the test `a_process_of_its_own` into a process with settings.
const ORDER: &str = "TOKENKEEP_IT_CONFIGURED";

#[test]
fn the_environment_says_the_same() {
    let run = |variables: &[(&str, &str)]| {
        let mut process = Command::new(std::env::current_exe().unwrap());
        process
            .args([
                "login::configuration::a_process_of_its_own",
                "--exact",
                "--nocapture",
            ])
            .env(ORDER, "1")
            .env("MY_OP_CLIENT_SECERT", "another program's")
            .envs(variables.iter().copied());
        let output = process.output().unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        )
    };
    let complete = [
        ("MY_OP_CLIENT_ID", "0123"),
        ("MY_OP_AUTHORIZE_URL", "https://op.example/authorize"),
        ("MY_OP_ACCESS_TOKEN_URL", "https://op.example/token"),
        (
            "MY_OP_AUTHORIZE_PARAMS",
            "access_type=offline&resource=a&resource=b",
        ),
        (
            "MY_OP_CLIENT_KWARGS",
            r#"{"scope": "read write", "prompt": "login"}"#,
        ),
        ("MY_OP_REFRESH_TOKEN_URL", ""),
    ];
    let (well, said) = run(&complete);
    assert!(well && said.contains("1 passed"), "{said}");
    let (well, said) = run(&complete[1..]);
    assert!(!well && said.contains("MY_OP_CLIENT_ID"), "{said}");
}

#[tokio::test]
async fn a_process_of_its_own() {
    if std::env::var_os(ORDER).is_none() {
        return;
    }
    let oauth = OAuth::builder().store(MemoryStore::new()).register("my-op");
    let oauth = oauth.config(Env).build().unwrap();
    assert_eq!(sent(&oauth).await, expected());
}

#[tokio::test]
async fn of_several_sources_the_first_that_has_a_value_counts() {
    let first = Settings::from_iter([("MY_OP_CLIENT_ID", "0123"), ("MY_OP_AUTHORIZE_URL", "")]);
    let second = Settings::from_iter([
        ("MY_OP_CLIENT_ID", "of the second"),
        ("MY_OP_AUTHORIZE_URL", "https://op.example/authorize"),
        ("MY_OP_ACCESS_TOKEN_URL", "https://op.example/token"),
        (
            "MY_OP_AUTHORIZE_PARAMS",
            "access_type=offline&resource=a&resource=b",
        ),
        ("MY_OP_CLIENT_KWARGS", "scope=read+write&prompt=login"),
    ]);
    let builder = || OAuth::builder().store(MemoryStore::new()).register("my-op");
    let oauth = builder().config(first).config(second.clone()).build();
    assert_eq!(sent(&oauth.unwrap()).await, expected());

    // A mistake in a file is one beside the environment, too.
    let misspelt = Settings::from_iter([("MY_OP_CLIENT_IDD", "x")]);
    let builder = builder().config(Env).config(second).config(misspelt);
    let error = refused(builder.build(), ErrorCode::InvalidConfiguration);
    assert!(
        error.message().contains("did you mean MY_OP_CLIENT_ID?"),
        "{error}"
    );
}

/// Everything that a builder takes comes late: clients, settings, closures, hooks.
#[tokio::test]
async fn a_late_registry_takes_everything_that_a_builder_takes() {
    let oauth = OAuth::new();
    oauth.register("my-op").unwrap();
    let early = oauth.client("my-op").unwrap();
    let clone = oauth.clone();
    let error = refused(
        early.owner("alice").token().await,
        ErrorCode::NotInitialized,
    );
    assert!(error.message().contains("init("), "{error}");

    let missing = OAuth::builder().store(MemoryStore::new());
    let error = refused(oauth.init(missing), ErrorCode::InvalidConfiguration);
    assert!(error.message().contains("MY_OP_CLIENT_ID"), "{error}");

    let settings = Settings::from_iter([
        ("MY_OP_CLIENT_ID", "0123"),
        ("MY_OP_AUTHORIZE_URL", "https://op.example/authorize"),
        ("MY_OP_ACCESS_TOKEN_URL", "https://op.example/token"),
        (
            "MY_OP_AUTHORIZE_PARAMS",
            "access_type=offline&resource=a&resource=b",
        ),
        ("MY_OP_CLIENT_KWARGS", "scope=read+write&prompt=login"),
    ]);
    let of_the_builder =
        Registration::oauth2("other", "https://op.example/a", "https://op.example/t");
    let builder = OAuth::builder()
        .register(of_the_builder.client_id("x"))
        .config(settings)
        .fetch_token(async |key: tokenkeep::TokenKey| {
            let token = Token::builder(format!("of {}", key.client())).build()?;
            Ok::<_, tokenkeep::Error>(Some(token))
        })
        .update_token(async |_, _, _| Ok::<_, tokenkeep::Error>(()));
    oauth.init(builder).unwrap();
    // The handle and the clone from before are of the same registry.
    assert_eq!(clone.client_names(), ["my-op", "other"]);
    assert_eq!(sent(&clone).await, expected());
    for (client, token) in [
        (early, "of my-op"),
        (oauth.client("other").unwrap(), "of other"),
    ] {
        let kept = client.owner("alice").token().await.unwrap();
        assert_eq!(kept.access_token().expose(), token);
    }
}

/// A client whose metadata name every endpoint, and whose registration or settings name others.
#[tokio::test]
async fn endpoints_that_are_named_win_over_the_metadata() {
    let world = World::new().await;
    let at_home = async |registration: Registration, settings: Settings| {
        let builder = world.bare(&world.store).config(settings);
        let oauth = builder.register(registration).build().unwrap();
        let client = oauth.client(CLIENT).unwrap();
        let url = client.authorize_redirect(CALLBACK).await.unwrap().url;
        url[url::Position::BeforeHost..url::Position::AfterPath].to_owned()
    };
    let own = at_home(world.registration(), Settings::default()).await;
    assert!(own.ends_with("/authorize"), "{own}");
    let said = world
        .registration()
        .authorize_url("https://elsewhere.example/a");
    assert_eq!(
        at_home(said, Settings::default()).await,
        "elsewhere.example/a"
    );
    let settings = Settings::from_iter([("OP_AUTHORIZE_URL", "https://elsewhere.example/s")]);
    assert_eq!(
        at_home(world.registration(), settings).await,
        "elsewhere.example/s"
    );
}

#[test]
fn the_guide_shows_the_program_that_is_run() {
    let words = |text: &str| text.split_whitespace().collect::<String>();
    let program = GUIDE.split("```rust\n").nth(1).unwrap();
    let program = words(program.split("```").next().unwrap());
    let here = words(include_str!("configuration.rs"));
    assert!(here.contains(&program), "{program}");
}
