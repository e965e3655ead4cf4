//! Every kind of store that this project has, and a fresh place in each.

use std::{sync::Arc, time::Duration};

use tempfile::TempDir;
use tokenkeep::{
    Clock, MemoryStore, MysqlStore, PostgresStore, RedisStore, SqliteStore, redis::RedisOptions,
    sql::SqlOptions, store::DynTokenStore,
};
use tokenkeep_parts::Server;

/// Which store a test runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Sqlite,
    Postgres,
    MariaDb,
    Redis,
}

/// A place where nothing is kept yet. It is gone when this is dropped, or with the server.
pub(crate) struct Place {
    url: String,
    clock: Arc<dyn Clock>,
    /// The records themselves, where no other process can have them.
    memory: Option<MemoryStore>,
    /// The database's folder, where it has one.
    _folder: Option<TempDir>,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Memory,
        Self::Sqlite,
        Self::Postgres,
        Self::MariaDb,
        Self::Redis,
    ];

    /// Those that are there: servers have to be asked for by `TOKENKEEP_SERVERS`.
    pub(crate) fn present() -> impl Iterator<Item = Self> {
        let servers = std::env::var_os("TOKENKEEP_SERVERS").is_some();
        let all = Self::ALL.into_iter();
        all.filter(move |kind| servers || kind.server().is_none())
    }

    /// Its name in documents.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::MariaDb => "MariaDB",
            Self::Redis => "Redis",
        }
    }

    /// The server that keeps the records, where one does.
    fn server(self) -> Option<tokenkeep_parts::Kind> {
        match self {
            Self::Memory | Self::Sqlite => None,
            Self::Postgres => Some(tokenkeep_parts::Kind::Postgres),
            Self::MariaDb => Some(tokenkeep_parts::Kind::MariaDb),
            Self::Redis => Some(tokenkeep_parts::Kind::Redis),
        }
    }

    /// Can another process open the same records?
    pub(crate) fn is_shared(self) -> bool {
        self != Self::Memory
    }

    /// Does it go by the clock that it is given? A server has its own.
    pub(crate) fn takes_a_clock(self) -> bool {
        self.server().is_none()
    }

    /// A fresh place; the clock is that of the store, if it takes one.
    pub(crate) fn place(self, clock: Arc<dyn Clock>) -> Place {
        let (url, folder) = match (self, self.server()) {
            (_, Some(server)) => (Server::shared(server).fresh(), None),
            (Self::Sqlite, None) => {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("tokens.db");
                (format!("sqlite://{}", path.display()), Some(folder))
            }
            (_, None) => (String::new(), None),
        };
        let memory = (!self.is_shared()).then(|| MemoryStore::with_clock(Arc::clone(&clock)));
        Place {
            url,
            clock,
            memory,
            _folder: folder,
        }
    }
}

impl Place {
    /// Where another process opens it.
    pub(crate) fn url(&self) -> &str {
        assert!(self.memory.is_none(), "no other process can open it");
        &self.url
    }

    /// A further handle to the records.
    pub(crate) async fn open(&self) -> DynTokenStore {
        match &self.memory {
            Some(memory) => Arc::new(memory.clone()),
            None => open(&self.url, Arc::clone(&self.clock)).await,
        }
    }
}

/// Opens a place by its URL, as each process does.
pub(crate) async fn open(url: &str, clock: Arc<dyn Clock>) -> DynTokenStore {
    let options = SqlOptions::new()
        .poll_every(Duration::from_millis(25))
        .clock(clock);
    let (scheme, _) = url.split_once(':').unwrap();
    match scheme {
        "sqlite" => Arc::new(SqliteStore::connect_with(url, options).await.unwrap()),
        "postgres" => Arc::new(PostgresStore::connect_with(url, options).await.unwrap()),
        "mysql" => Arc::new(MysqlStore::connect_with(url, options).await.unwrap()),
        "redis" => {
            // All databases of a server hear each other's news, unless their channels have different names.
            let (_, database) = url.rsplit_once('/').unwrap();
            let options = RedisOptions::new().prefix(format!("tokenkeep-{database}"));
            Arc::new(RedisStore::connect_with(url, options).await.unwrap())
        }
        other => panic!("no store has the scheme {other}"),
    }
}
