//! The stores that processes share, and a fresh place in each.

use std::sync::Arc;

use tempfile::TempDir;
use tokenkeep::{MysqlStore, PostgresStore, RedisStore, SqliteStore, store::DynTokenStore};
use tokenkeep_parts::{Kind, Server};

/// A store that several processes open by its URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shared {
    Sqlite,
    Postgres,
    MariaDb,
    Redis,
}

/// A place where nothing is kept yet.
pub(crate) struct Place {
    pub(crate) url: String,
    /// The database's folder, where it has one.
    _folder: Option<TempDir>,
}

impl Shared {
    pub(crate) fn place(self) -> Place {
        let on = |kind| Place {
            url: Server::shared(kind).fresh(),
            _folder: None,
        };
        match self {
            Self::Postgres => on(Kind::Postgres),
            Self::MariaDb => on(Kind::MariaDb),
            Self::Redis => on(Kind::Redis),
            Self::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("tokens.db");
                Place {
                    url: format!("sqlite://{}", path.display()),
                    _folder: Some(folder),
                }
            }
        }
    }
}

/// Opens a place, as each process does.
pub(crate) async fn open(url: &str) -> DynTokenStore {
    let (scheme, _) = url.split_once(':').unwrap();
    match scheme {
        "sqlite" => Arc::new(SqliteStore::connect(url).await.unwrap()),
        "postgres" => Arc::new(PostgresStore::connect(url).await.unwrap()),
        "mysql" => Arc::new(MysqlStore::connect(url).await.unwrap()),
        "redis" => Arc::new(RedisStore::connect(url).await.unwrap()),
        other => panic!("no store has the scheme {other}"),
    }
}
