//! What a server must be like, and what a user must be allowed.

use redis::Client;
use tokenkeep::store::*;
use tokenkeep_parts::{Kind, Server};

use super::*;

/// The line of the documentation.
fn least_rights() -> Vec<String> {
    let source = include_str!("../../../../stores/redis/src/store.rs");
    let start = source.find("/// ACL SETUSER").expect("it is documented");
    let lines = source[start..]
        .lines()
        .map(|line| line.trim_start_matches("/// "));
    let text: Vec<_> = lines.take_while(|line| !line.contains("```")).collect();
    let words = text.join(" ");
    words.split_whitespace().map(str::to_owned).collect()
}

fn as_user(url: &str, user: &str) -> String {
    url.replace("redis://", &format!("redis://{user}@"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_user_with_the_documented_rights_conforms() {
    let server = Server::start(Kind::Redis);
    let url = server.fresh();
    Raw::connect(&url).await.words(&least_rights()).await;
    let url = as_user(&url, "tokenkeep:PASSWORD");
    let connect = || RedisStore::connect(&url);
    let (store, second) = (connect().await.unwrap(), connect().await.unwrap());
    conforms_on_a_server(store, second).await;
    let mut raw = Raw::connect(&url).await;
    for command in [
        "KEYS *",
        "FLUSHALL",
        "GET other",
        "CONFIG SET maxmemory 1",
        "SCRIPT FLUSH",
    ] {
        let mut forbidden = redis::Cmd::new();
        command.split(' ').for_each(|word| {
            forbidden.arg(word);
        });
        let refused = forbidden.query_async::<()>(&mut raw.0).await.unwrap_err();
        assert_eq!(refused.code(), Some("NOPERM"), "{command}");
    }
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_right_that_is_missing_leaves_records_as_they_were() {
    let server = Server::start(Kind::Redis);
    let url = server.fresh();
    let full = RedisStore::connect(&url).await.unwrap();
    let mut raw = Raw::connect(&url).await;
    let mut kept = record(1);
    kept.index.subject = Some("subject".to_owned());
    kept.index.sid = Some("sid".to_owned());
    kept.index.purge_at = Some(tokenkeep::Timestamp::from_millis(1));
    full.update_token(&key("a"), &kept, Expected::Absent)
        .await
        .unwrap();
    raw.words(&least_rights()).await;
    let store = RedisStore::connect(&as_user(&url, "tokenkeep:PASSWORD"))
        .await
        .unwrap();
    let rights = least_rights();
    let commands = rights.iter().filter_map(|word| word.strip_prefix('+'));
    let (mut write_failed, mut tried) = (0, 0);
    for command in commands
        .clone()
        .filter(|command| !["auth", "select"].contains(command))
    {
        raw.words(&["ACL", "SETUSER", "tokenkeep", &format!("-{command}")])
            .await;
        let write = store
            .update_token(&key("a"), &record(2), Expected::Version(kept.version))
            .await;
        tried += 1;
        match write {
            Ok(()) => {
                // Back to where it was.
                raw.run("FLUSHDB").await;
                full.update_token(&key("a"), &kept, Expected::Absent)
                    .await
                    .unwrap();
            }
            refused => {
                is_misconfigured(refused, "the user lacks a right");
                write_failed += 1;
            }
        }
        let found = full.fetch_token(&key("a")).await.unwrap().record;
        assert_eq!(found.as_ref(), Some(&kept), "without {command}");
        let mut query = TokenQuery::default();
        query.sid = kept.index.sid.clone();
        let found = full.find_tokens(&query, Page::first(1)).await.unwrap();
        assert_eq!(found.items.len(), 1, "without {command}");
        raw.words(&["ACL", "SETUSER", "tokenkeep", &format!("+{command}")])
            .await;
    }
    assert!(write_failed >= 6, "{write_failed} of {tried}");
    raw.run("ACL SETUSER tokenkeep resetchannels").await;
    let write = store
        .update_token(&key("a"), &record(2), Expected::Version(kept.version))
        .await;
    is_misconfigured(write, "the user lacks a right");
    is_misconfigured(
        store.changes(None).await.map(drop),
        "the user lacks a right",
    );
    assert_eq!(
        full.fetch_token(&key("a")).await.unwrap().record,
        Some(kept)
    );
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_user_without_rights_and_a_wrong_password_are_misconfigured() {
    let server = Server::start(Kind::Redis);
    let url = server.fresh();
    let mut raw = Raw::connect(&url).await;
    raw.run("ACL SETUSER nobody on >hunter2").await;
    let nobody = RedisStore::connect(&as_user(&url, "nobody:hunter2")).await;
    is_misconfigured(nobody, "the user lacks a right");
    for user in ["nobody:hunter3", "somebody:hunter2", ":hunter2"] {
        let refused = RedisStore::connect(&as_user(&url, user)).await;
        assert!(!format!("{refused:?}").contains("hunter"), "{refused:?}");
        is_misconfigured(refused, "user and password");
    }
    raw.run("CONFIG SET requirepass hunter2").await;
    is_misconfigured(RedisStore::connect(&url).await, "user and password");
    let store = RedisStore::connect(&as_user(&url, ":hunter2"))
        .await
        .unwrap();
    assert!(!format!("{store:?}").contains("hunter2"));
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_server_that_throws_keys_away_is_refused_unless_that_is_allowed() {
    let server = Server::start(Kind::Redis);
    let url = server.fresh();
    for policy in ["allkeys-lru", "volatile-ttl"] {
        server.run(&url, &format!("CONFIG SET maxmemory-policy {policy}"));
        is_misconfigured(
            RedisStore::connect(&url).await,
            "CONFIG SET maxmemory-policy noeviction",
        );
    }
    let options = RedisOptions::new().dangerously_allow_eviction();
    RedisStore::connect_with(&url, options).await.unwrap();
    server.run(&url, "CONFIG SET maxmemory-policy noeviction");
    RedisStore::connect(&url).await.unwrap();
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_replica_is_refused() {
    let (server, other) = (Server::start(Kind::Redis), Server::start(Kind::Redis));
    let url = server.fresh();
    server.run(&url, &format!("REPLICAOF 127.0.0.1 {}", other.port()));
    // Even one that takes writes, which its primary never hears of.
    for read_only in ["yes", "no"] {
        server.run(&url, &format!("CONFIG SET replica-read-only {read_only}"));
        is_misconfigured(RedisStore::connect(&url).await, "connect to its primary");
    }
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn a_layout_of_a_newer_major_version_is_refused() {
    let database = Database::new();
    let store = database.connect().await;
    let mut raw = database.raw().await;
    raw.run("SET tokenkeep:layout 2").await;
    is_misconfigured(store.check().await, "tokenkeep:layout");
    is_misconfigured(RedisStore::connect(&database.url).await, "another layout");
    let other = RedisOptions::new().prefix("other");
    RedisStore::connect_with(&database.url, other)
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn what_cannot_be_connected_to_is_misconfigured() {
    let database = Database::new();
    let beyond = database.url.rsplit_once('/').unwrap().0.to_owned() + "/99999";
    is_misconfigured(RedisStore::connect(&beyond).await, "database");
    for prefix in ["", "a{b}", "a*"] {
        let options = RedisOptions::new().prefix(prefix);
        is_misconfigured(
            RedisStore::connect_with(&database.url, options).await,
            "prefix",
        );
    }
    is_misconfigured(
        RedisStore::connect("postgres://:hunter2@localhost").await,
        "redis://host",
    );
    let client = Client::open(&*database.url).unwrap();
    let connection = client.get_connection_manager().await.unwrap();
    let elsewhere = Client::open(Database::new().url).unwrap();
    is_misconfigured(
        RedisStore::new(elsewhere, connection),
        "different databases",
    );
}

#[tokio::test]
#[ignore = "needs Redis; tests/run brings it"]
async fn tls_to_a_server_without_it_fails_in_time() {
    let database = Database::new();
    let url = database.url.replace("redis://", "rediss://:hunter2@");
    let refused = RedisStore::connect(&url).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::Unavailable { .. }),
        "{refused:?}"
    );
    assert!(!format!("{refused:?}").contains("hunter2"));
    let insecure = RedisStore::connect(&format!("{url}#insecure")).await;
    is_misconfigured(insecure, "without a check of the certificate");
}
