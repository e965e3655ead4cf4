//! What an application would write by hand: the stores' own statements, run by the driver, and whole rows read.

use redis::{Script, aio::ConnectionManager};
use sqlx::{MySqlPool, PgPool, Row, SqlitePool};
use tokenkeep_core::{
    Timestamp, TokenKey,
    store::{StoredRecord, Version},
};

/// A row as its columns.
pub(crate) type Columns = (Vec<u8>, i64, [Option<String>; 3], [Option<i64>; 4], Vec<u8>);

pub(crate) trait Bare {
    async fn fetch(&self, key: &TokenKey) -> Columns;
    async fn update(&self, key: &TokenKey, record: &StoredRecord, version: Version);
}

const COLUMNS: &str = "version, generation, issuer, subject, sid, access_expires_at, \
                       grant_expires_at, changed_at, purge_at, body";

/// Implements a driver of `sqlx`; the placeholders are what differs, how text is kept, and where the record begins in a row.
macro_rules! sql {
    ($name:ident, $pool:ty, $text:expr, $at:expr, $fetch:expr, $update:expr) => {
        pub(crate) struct $name {
            pool: $pool,
            fetch: &'static str,
            update: &'static str,
        }

        impl $name {
            pub(crate) fn new(pool: $pool) -> Self {
                Self {
                    pool,
                    fetch: String::leak($fetch),
                    update: String::leak($update),
                }
            }
        }

        impl Bare for $name {
            async fn fetch(&self, key: &TokenKey) -> Columns {
                let row = sqlx::query(self.fetch)
                    .bind(key.owner_column())
                    .bind(key.client())
                    .bind(&*key.slot_column())
                    .fetch_one(&self.pool)
                    .await
                    .unwrap();
                (
                    row.get($at),
                    row.get($at + 1),
                    [2, 3, 4].map(|column| $text(row.get($at + column))),
                    [
                        row.get($at + 5),
                        row.get($at + 6),
                        row.get($at + 7),
                        row.get($at + 8),
                    ],
                    row.get($at + 9),
                )
            }

            async fn update(&self, key: &TokenKey, record: &StoredRecord, version: Version) {
                let index = &record.index;
                let done = sqlx::query(self.update)
                    .bind(&record.version.as_bytes()[..])
                    .bind(record.generation as i64)
                    .bind(index.issuer.as_deref())
                    .bind(index.subject.as_deref())
                    .bind(index.sid.as_deref())
                    .bind(index.access_expires_at.map(Timestamp::as_millis))
                    .bind(index.grant_expires_at.map(Timestamp::as_millis))
                    .bind(index.changed_at.as_millis())
                    .bind(index.purge_at.map(Timestamp::as_millis))
                    .bind(&record.body[..])
                    .bind(record.announce)
                    .bind(key.owner_column())
                    .bind(key.client())
                    .bind(&*key.slot_column())
                    .bind(&version.as_bytes()[..])
                    .execute(&self.pool)
                    .await
                    .unwrap();
                assert_eq!(done.rows_affected(), 1);
            }
        }
    };
}

fn identity(text: Option<String>) -> Option<String> {
    text
}

/// Text that is kept as bytes.
fn utf8(bytes: Option<Vec<u8>>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8(bytes).unwrap())
}

/// `UPDATE`, with the nth placeholder and what the last column is set to.
fn update(parameter: fn(usize) -> String, announced: &str, announcement: &str) -> String {
    let columns = COLUMNS.split(", ").map(str::trim).enumerate();
    let set: Vec<_> = columns
        .map(|(at, column)| format!("{column} = {}", parameter(at + 1)))
        .collect();
    format!(
        "UPDATE tokenkeep_tokens SET {}, {announced} = {announcement} \
         WHERE owner = {} AND client = {} AND slot = {} AND version = {}",
        set.join(", "),
        parameter(12),
        parameter(13),
        parameter(14),
        parameter(15)
    )
}

/// `SELECT` of the server's time beside the record.
fn fetch_with_time(now: &str, parameter: fn(usize) -> String) -> String {
    format!(
        "SELECT {now}, {COLUMNS} FROM (SELECT 1 AS one) AS always LEFT JOIN tokenkeep_tokens AS t \
         ON t.owner = {} AND t.client = {} AND t.slot = {}",
        parameter(1),
        parameter(2),
        parameter(3)
    )
}

sql!(
    Sqlite,
    SqlitePool,
    identity,
    0,
    format!(
        "SELECT {COLUMNS} FROM tokenkeep_tokens WHERE owner = ?1 AND client = ?2 AND slot = ?3"
    ),
    update(|n| format!("?{n}"), "announce", "?11")
);
sql!(
    Postgres,
    PgPool,
    identity,
    1,
    fetch_with_time(
        "(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT",
        |n| format!("${n}")
    ),
    update(|n| format!("${n}"), "announce", "$11")
);
sql!(
    Mysql,
    MySqlPool,
    utf8,
    1,
    fetch_with_time(
        "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000",
        |_| "?".to_owned()
    ),
    update(
        |_| "?".to_owned(),
        "written_at",
        "IF(?, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), written_at)"
    )
);

/// The store's own script, called by hand, and `TIME` with `HGETALL` for a read.
pub(crate) struct Redis {
    connection: ConnectionManager,
    write: Script,
}

impl Redis {
    pub(crate) async fn connect(url: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        Self {
            connection: client.get_connection_manager().await.unwrap(),
            write: Script::new(include_str!(
                "../../../../stores/redis/src/scripts/write.lua"
            )),
        }
    }
}

fn names(key: &TokenKey) -> [String; 3] {
    // Where the store keeps it: by the shard of its owner.
    let hash = key.owner_column().bytes();
    let hash = hash.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let shard = format!("tokenkeep:{{{:02}}}", hash % 16);
    let columns = columns(key);
    [
        format!("{shard}:token:{columns}"),
        format!("{shard}:index"),
        format!("{shard}:due"),
    ]
}

fn columns(key: &TokenKey) -> String {
    let (owner, client, slot) = (key.owner_column(), key.client(), key.slot_column());
    format!("{owner}\n{client}\n{slot}")
}

impl Bare for Redis {
    async fn fetch(&self, key: &TokenKey) -> Columns {
        let mut pipe = redis::pipe();
        pipe.cmd("TIME").cmd("HGETALL").arg(&names(key)[0]);
        let mut connection = self.connection.clone();
        let (_, mut hash): ((i64, i64), std::collections::HashMap<String, Vec<u8>>) =
            pipe.query_async(&mut connection).await.unwrap();
        let mut text = |name: &str| {
            let bytes = hash.remove(name);
            bytes.map(|bytes| String::from_utf8(bytes).unwrap())
        };
        let texts = ["issuer", "subject", "sid"].map(&mut text);
        let generation = text("generation").unwrap().parse().unwrap();
        let times = [
            "access_expires_at",
            "grant_expires_at",
            "changed_at",
            "purge_at",
        ];
        let times = times.map(|name| text(name).map(|time| time.parse().unwrap()));
        (
            hash.remove("version").unwrap(),
            generation,
            texts,
            times,
            hash.remove("body").unwrap(),
        )
    }

    async fn update(&self, key: &TokenKey, record: &StoredRecord, version: Version) {
        let [token, index, due] = names(key);
        let mut call = self.write.prepare_invoke();
        call.key(token).key(index).key(due);
        call.arg(&version.as_bytes()[..]).arg("").arg("");
        call.arg(columns(key));
        call.arg(format!(
            "{}\n{}\n{}",
            key.client(),
            key.owner_column(),
            key.slot_column()
        ));
        call.arg("");
        let columns = &record.index;
        call.arg("version").arg(&record.version.as_bytes()[..]);
        call.arg("generation").arg(record.generation);
        call.arg("issuer").arg(columns.issuer.as_deref());
        call.arg("subject").arg(columns.subject.as_deref());
        let expires = columns.access_expires_at.map(Timestamp::as_millis);
        call.arg("access_expires_at").arg(expires);
        call.arg("changed_at").arg(columns.changed_at.as_millis());
        call.arg("body").arg(&record.body[..]);
        let mut connection = self.connection.clone();
        let written: i64 = call.invoke_async(&mut connection).await.unwrap();
        assert_eq!(written, 1);
    }
}
