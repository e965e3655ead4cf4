//! Everything that stands in a store, as its own tools show it: whoever steals a copy has this.

use std::{collections::BTreeSet, fmt::Write};

use tokenkeep::{
    OAuth,
    store::{FetchToken, Page, TokenQuery, TokenStore},
};
use tokenkeep_parts::{Kind as Part, Server};
use tokenkeep_testing::Provider;

use super::search::Secrets;
use crate::{
    kind::Kind,
    world::{BASE, CALLBACK, CLIENT, World, alice, come_back, on_every_store},
};

/// Every record as the store's contract gives it, and every byte that the store itself keeps.
pub(super) async fn everything(world: &World) -> Vec<u8> {
    let mut all = records(world).await;
    all.extend(own_bytes(world).await.unwrap_or_default());
    all
}

/// What its own tools or files show; in memory there is nothing beside the records.
async fn own_bytes(world: &World) -> Option<Vec<u8>> {
    Some(match world.kind {
        Kind::Memory => return None,
        Kind::Sqlite => sqlite(world.url()),
        Kind::Postgres => tables(Part::Postgres, world.url()),
        Kind::MariaDb => tables(Part::MariaDb, world.url()),
        Kind::Redis => redis(world.url()).await,
    })
}

async fn records(world: &World) -> Vec<u8> {
    let mut all = Vec::new();
    let mut page = Page::first(100);
    loop {
        let found = world
            .store
            .find_tokens(&TokenQuery::default(), page)
            .await
            .unwrap();
        for summary in found.items {
            let record = world.store.fetch_token(&summary.key).await.unwrap().record;
            all.extend(format!("{summary:?} {record:?}\n").into_bytes());
            all.extend(record.into_iter().flat_map(|record| record.body));
        }
        let Some(next) = found.next else {
            return all;
        };
        page = Page::after(next, 100);
    }
}

/// The database's files, with what was written and not moved into its place yet.
fn sqlite(url: &str) -> Vec<u8> {
    let file = url.strip_prefix("sqlite://").unwrap();
    let folder = std::path::Path::new(file).parent().unwrap();
    let files: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let is_log = |path: &std::path::PathBuf| path.to_string_lossy().ends_with("-wal");
    assert!(files.iter().any(is_log), "SQLite writes ahead");
    files
        .iter()
        .flat_map(|path| std::fs::read(path).unwrap())
        .collect()
}

fn tables(part: Part, url: &str) -> Vec<u8> {
    let server = Server::shared(part);
    let schema = match part {
        Part::Postgres => "current_schema()",
        _ => "database()",
    };
    let names = server.run(
        url,
        &format!("SELECT table_name FROM information_schema.tables WHERE table_schema = {schema}"),
    );
    let mut all = String::new();
    for name in names
        .lines()
        .map(str::trim)
        .filter(|name| name.contains("tokenkeep"))
    {
        // Binary columns come in hexadecimal, or as they are.
        let rows = server.run(url, &format!("SELECT * FROM {name}"));
        writeln!(all, "{name}\n{rows}").unwrap();
    }
    assert!(!all.is_empty(), "no table in {names}");
    all.into_bytes()
}

/// Every key with everything in it.
async fn redis(url: &str) -> Vec<u8> {
    const ALL: &str = r"
        local reads = {string = {'GET'}, hash = {'HGETALL'}, set = {'SMEMBERS'}, zset = {'ZRANGE', 0, -1}}
        local all = {}
        for _, key in ipairs(redis.call('KEYS', '*')) do
            local read = reads[redis.call('TYPE', key).ok]
            local found = redis.call(read[1], key, unpack(read, 2))
            if type(found) == 'string' then found = {found} end
            table.insert(all, key)
            for _, part in ipairs(found) do table.insert(all, part) end
        end
        return table.concat(all, '\n')";
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let script = redis::Script::new(ALL);
    let all: Vec<u8> = script.invoke_async(&mut connection).await.unwrap();
    assert!(!all.is_empty());
    all
}

/// What is in the store is sealed, whichever it is: a copy of it is worth nothing.
#[tokio::test]
async fn no_store_keeps_a_secret_in_the_clear() {
    on_every_store(
        || Provider::builder().remember_secrets(),
        async |world| {
            let mut secrets = Secrets::default();
            let oauth = world.oauth();
            let client = oauth.client(CLIENT).unwrap();
            // Too large for a cookie: it waits in the store.
            let data = serde_json::json!({"draft": "the user's own words. ".repeat(400)});
            let redirect = client
                .authorize_redirect(CALLBACK)
                .flow_data(data)
                .await
                .unwrap();
            secrets.know(
                "what the application keeps",
                "the user's own words. the user's own words",
            );
            secrets.cookies(&redirect.cookies);
            let waiting = everything(world).await;
            let callback = world.at_provider(&redirect, "alice").await;
            let login = come_back(&client, &callback, &redirect.cookies)
                .await
                .unwrap();
            let kept = oauth.keep_login(&login, "alice", None).await.unwrap();
            secrets.cookies(&kept.cookies);
            alice(&oauth).refresh().await.unwrap();
            let refreshed = everything(world).await;
            oauth.log_out(&kept.session.unwrap(), None).await.unwrap();
            secrets.of(&world.provider);
            for (when, stored) in [
                ("before the callback", waiting),
                ("after a refresh", refreshed),
                ("after the logout", everything(world).await),
            ] {
                assert_eq!(secrets.found_in(&stored), BTreeSet::new(), "{when}");
            }

            // Where sealing is off by the switch that says so, the same search finds them.
            let plain = OAuth::builder()
                .store(world.store.clone())
                .register(world.registration());
            let plain = plain
                .base_url(BASE)
                .dangerously_plain_text_records()
                .build()
                .unwrap();
            world.log_in(&plain, "bob").await;
            secrets.of(&world.provider);
            let bytes = own_bytes(world).await;
            for stored in [Some(records(world).await), bytes].into_iter().flatten() {
                let found = secrets.found_in(stored);
                assert!(
                    found.contains("access_token") && found.contains("refresh_token"),
                    "{found:?}"
                );
            }
        },
    )
    .await;
}
