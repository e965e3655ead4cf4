//! A store's read and compare-and-swap write against the bare driver doing the same statements on the same tables.
//!
//! Run with `cargo bench -p tokenkeep-bench --bench stores`; it starts Redis, PostgreSQL and MariaDB by itself.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on stops")]

mod bare;

use std::{cell::RefCell, hint::black_box, process::ExitCode};

use bare::Bare;
use tokenkeep_bench::{Candidate, compare};
use tokenkeep_core::{
    Timestamp, TokenKey,
    store::{Expected, Index, StoredRecord, TokenStore, Version},
};
use tokenkeep_parts::{Kind, Server};
use tokenkeep_redis::RedisStore;
use tokenkeep_sql::{MysqlStore, PostgresStore, SqliteStore};
use tokio::runtime::Runtime;

/// How long a sealed record is: a JWT as access token, a refresh token, an ID token.
const BODY: usize = 2_048;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens.db");
    let sqlite = SqliteStore::connect(file.to_str().unwrap());
    let sqlite = runtime.block_on(sqlite).unwrap();
    let mut kept = measure(
        "SQLite",
        &runtime,
        &sqlite,
        &bare::Sqlite::new(sqlite.pool().clone()),
    );

    let url = Server::shared(Kind::Redis).fresh();
    let redis = runtime.block_on(RedisStore::connect(&url)).unwrap();
    let bare = runtime.block_on(bare::Redis::connect(&url));
    kept &= measure("Redis", &runtime, &redis, &bare);

    let url = Server::shared(Kind::Postgres).fresh();
    let postgres = runtime.block_on(PostgresStore::connect(&url)).unwrap();
    let bare = bare::Postgres::new(postgres.pool().clone());
    kept &= measure("PostgreSQL", &runtime, &postgres, &bare);

    let url = Server::shared(Kind::MariaDb).fresh();
    let mysql = runtime.block_on(MysqlStore::connect(&url)).unwrap();
    let bare = bare::Mysql::new(mysql.pool().clone());
    kept &= measure("MariaDB", &runtime, &mysql, &bare);
    if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn record() -> StoredRecord {
    let mut index = Index::default();
    index.issuer = Some("https://op.example".to_owned());
    index.subject = Some("248289761001".to_owned());
    index.access_expires_at = Some(Timestamp::from_secs(4_000_000_000));
    index.changed_at = Timestamp::from_secs(1_700_000_000);
    let mut record = StoredRecord::new(Version::random(), 1, index, vec![b'x'; BODY]);
    // A lease: the write of every refresh that nobody is told of.
    record.announce = false;
    record
}

fn measure(name: &str, runtime: &Runtime, store: &impl TokenStore, bare: &impl Bare) -> bool {
    let key = |owner: &str| TokenKey::new("api", owner).unwrap();
    let (ours, theirs) = (key("ours"), key("theirs"));
    for key in [&ours, &theirs] {
        let record = record();
        let first = store.update_token(key, &record, Expected::Absent);
        runtime.block_on(first).unwrap();
    }
    let current = |key| {
        let found = runtime.block_on(store.fetch_token(key)).unwrap();
        RefCell::new(found.record.unwrap())
    };
    let (mine, others) = (current(&ours), current(&theirs));
    // Each write names the version of the one before.
    let next = |record: &RefCell<StoredRecord>| {
        let mut record = record.borrow_mut();
        record.announce = false;
        std::mem::replace(&mut record.version, Version::random())
    };
    compare(
        name,
        vec![
            Candidate::new("the driver reads", || {
                black_box(runtime.block_on(bare.fetch(&theirs)));
            }),
            Candidate::new("fetch_token", || {
                black_box(runtime.block_on(store.fetch_token(&ours)).unwrap());
            })
            .at_most(1.10, 0),
            Candidate::new("the driver writes", || {
                let version = next(&others);
                runtime.block_on(bare.update(&theirs, &others.borrow(), version));
            }),
            Candidate::new("update_token", || {
                let version = next(&mine);
                let record = mine.borrow();
                let written = store.update_token(&ours, &record, Expected::Version(version));
                runtime.block_on(written).unwrap();
            })
            .at_most(1.10, 2),
        ],
    )
}
