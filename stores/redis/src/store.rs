//! The store.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use redis::{Client, Value, aio::ConnectionManager, cmd, pipe};
use tokenkeep_core::{
    Timestamp, TokenKey,
    store::{
        Capabilities, Changes, Cursor, Expected, FetchToken, Fetched, Page, PageOf, StoreError,
        StoredRecord, TokenQuery, TokenStore, TokenSummary, UpdateToken,
    },
};

use crate::{
    RedisOptions,
    errors::failed,
    feed::{Feed, message},
    link::Link,
    names::{self, Names, Shard},
    rows::{fields, now, record, unexpected},
    script::{Call, Scripts},
};

/// A longer time is not told from for ever, and Redis counts no further.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A token store in Redis 6.2 or later, or Valkey: a single node, which any number of processes may share.
///
/// A clone is another handle to the same database.
///
/// * **Connection**: your own [`ConnectionManager`], or one that [`connect`](Self::connect) makes. A change feed has a
///   connection of its own while somebody listens.
/// * **Writes**: each is one script, so it is done whole or not at all: version, record, index and announcement. A server
///   that does not know the script is told it.
/// * **Time**: the server's, in the same round trip as the record.
/// * **Changes**: by pub/sub, which has no memory: a feed that is opened with a cursor, and one whose connection broke,
///   begins with a gap. A connection that has gone silent is found out within 2 s and the [time](RedisOptions::timeout)
///   that an answer may take.
/// * **Searching**: `find_tokens` has an index for owner, client, subject and sid; a query by issuer or times alone looks
///   at all records, page by page.
/// * **Errors**: a server that refuses connections, is full, is starting or does not answer in time is
///   [`StoreError::Unavailable`], and its source says which; a user who lacks a right, a wrong password, a replica and a
///   cluster are [`StoreError::Misconfigured`]; a key that holds something else is [`StoreError::InvalidRow`], and stays.
///
/// # Setting the server up
/// **Eviction.** A server that throws keys away when it is full logs users out, so [`check`](Self::check) refuses it:
/// `maxmemory-policy noeviction`, and give it a `maxmemory` and an eye on it, since a full server takes no write.
/// Do not share it with a cache.
///
/// **Memory.** A record takes about 2 KB beside its body, which has 1 to 3 KB: the hash, its key, and up to four entries of
/// the index.
///
/// **Durability.** What a restart or a fail-over loses are logins and refresh tokens, and a refresh token that was rotated
/// away cannot be asked for again. `appendonly yes` with `appendfsync everysec` loses up to about a second of writes;
/// `appendfsync always` none. A replica that is promoted lacks what was not replicated yet. In both cases every process
/// that still runs writes again what it wrote within the last minute; what a process wrote that crashed too is lost.
///
/// **Rights.** This is all that the store needs (`info` and `config|get` are for [`check`](Self::check), which does
/// without):
///
/// ```text
/// ACL SETUSER tokenkeep on >PASSWORD resetkeys ~tokenkeep:* resetchannels &tokenkeep:changes:* -@all
/// +evalsha +eval +time +hgetall +hmget +hget +hset +hdel +exists +type +del +zadd +zrem +zrangebylex +zrangebyscore
/// +set +get +getdel +publish +subscribe +ping +select +hello +info +config|get
/// ```
///
/// **Fail-over.** A connection of [`connect`](Self::connect) is made anew, by the same name, when it breaks, does not
/// answer in time or turns out to lead to a replica; of your own only what `redis` does itself. Until then operations
/// fail and tokens that are in memory are served.
#[derive(Clone)]
pub struct RedisStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    /// For subscriptions, which need connections of their own.
    pub(crate) client: Client,
    pub(crate) link: Link,
    pub(crate) options: RedisOptions,
    pub(crate) names: Names,
    pub(crate) scripts: Scripts,
}

impl RedisStore {
    /// A store over your own connection, with the default options. The client is where that connection came from: the
    /// change feed makes connections of its own by it. Call [`check`](Self::check) once before use.
    ///
    /// # Errors
    /// As [`with_options`](Self::with_options).
    pub fn new(client: Client, connection: ConnectionManager) -> Result<Self, StoreError> {
        Self::with_options(client, connection, RedisOptions::new())
    }

    /// A store over your own connection. An answer is awaited as long as the options say, or the connection's own
    /// configuration if that is less (`redis` waits 500 ms unless told).
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] if the prefix cannot be part of a key, or if client and connection name different
    /// databases.
    pub fn with_options(
        client: Client,
        connection: ConnectionManager,
        options: RedisOptions,
    ) -> Result<Self, StoreError> {
        let link = Link::over(connection, options.timeout);
        Self::over(client, link, options)
    }

    pub(crate) fn over(
        client: Client,
        link: Link,
        options: RedisOptions,
    ) -> Result<Self, StoreError> {
        let database = client.get_connection_info().redis_settings().db();
        if database != link.database() {
            return Err(StoreError::misconfigured(
                "client and connection name different databases",
            ));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                names: Names::new(&options.prefix, database)?,
                scripts: Scripts::new(),
                client,
                link,
                options,
            }),
        })
    }
}

/// Without the address, which may hold a password.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.inner.names.prefix())
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// The hash of a key's record, and the shard that it lies in.
    fn place(&self, key: &TokenKey) -> (Shard, Vec<u8>) {
        let shard = Shard::of(key.owner_column());
        let name = self.names.token(shard, names::columns(key).as_bytes());
        (shard, name)
    }

    /// The call of the script that writes; its arguments stand in the script's head.
    fn writing(&self, key: &TokenKey, record: &StoredRecord, expected: Expected) -> Call {
        let (shard, name) = self.place(key);
        let (channel, message) = if record.announce {
            (self.names.channel(), message(key, record))
        } else {
            ("", Vec::new())
        };
        let expected = match &expected {
            Expected::Absent => &[][..],
            Expected::Version(version) => version.as_bytes(),
        };
        let purge_at = record
            .index
            .purge_at
            .map(|time| time.as_millis().to_string());
        let mut call = Call::default();
        call.key(name)
            .key(self.names.index(shard))
            .key(self.names.due(shard))
            .argument(expected)
            .argument(channel)
            .argument(message)
            .argument(names::columns(key))
            .argument(names::client_first(key))
            .argument(purge_at.unwrap_or_default());
        for (field, value) in fields(record) {
            call.argument(field).argument(value);
        }
        call
    }
}

#[async_trait]
impl FetchToken for RedisStore {
    async fn fetch_token(&self, key: &TokenKey) -> Result<Fetched, StoreError> {
        let inner = &self.inner;
        let mut commands = pipe();
        commands.cmd("TIME").cmd("HGETALL").arg(inner.place(key).1);
        let answers = inner.link.pipeline(&commands).await.map_err(failed)?;
        let [time, hash] = <[Value; 2]>::try_from(answers).map_err(|_| unexpected())?;
        Ok(Fetched::new(record(hash)?, Some(now(&time)?)))
    }
}

#[async_trait]
impl UpdateToken for RedisStore {
    async fn update_token(
        &self,
        key: &TokenKey,
        record: &StoredRecord,
        expected: Expected,
    ) -> Result<(), StoreError> {
        let inner = &self.inner;
        let call = inner.writing(key, record, expected);
        match inner.scripts.write.run(&inner.link, &call).await {
            Ok(Value::Int(1)) => Ok(()),
            Ok(Value::Int(0)) => Err(StoreError::Conflict),
            Ok(_) => Err(unexpected()),
            Err(error) => Err(failed(error)),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for RedisStore {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::full()
    }

    async fn find_tokens(
        &self,
        query: &TokenQuery,
        page: Page,
    ) -> Result<PageOf<TokenSummary>, StoreError> {
        self.inner.find(query, &page).await
    }

    async fn purge_tokens(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.inner.purge(before, limit).await
    }

    async fn put_once(
        &self,
        space: &str,
        id: &str,
        value: &[u8],
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        let millis = ttl.min(LONGEST).as_nanos().div_ceil(1_000_000).max(1);
        let mut put = cmd("SET");
        put.arg(self.inner.names.once(space, id))
            .arg(value)
            .arg("NX")
            .arg("PX")
            .arg(u64::try_from(millis).unwrap_or(u64::MAX));
        match self.inner.link.command(&put).await.map_err(failed)? {
            Value::Okay => Ok(true),
            Value::Nil => Ok(false),
            _ => Err(unexpected()),
        }
    }

    async fn take(&self, space: &str, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut take = cmd("GETDEL");
        take.arg(self.inner.names.once(space, id));
        match self.inner.link.command(&take).await.map_err(failed)? {
            Value::BulkString(value) => Ok(Some(value)),
            Value::Nil => Ok(None),
            _ => Err(unexpected()),
        }
    }

    /// Redis keeps no history: a feed with a cursor begins with a gap.
    async fn changes(&self, since: Option<Cursor>) -> Result<Changes, StoreError> {
        let inner = &self.inner;
        let feed = Feed {
            client: inner.client.clone(),
            channel: inner.names.channel().to_owned(),
            timeout: inner.link.timeout(),
        };
        feed.follow(since).await
    }
}
