//! Which store `--store` names.

use std::{fmt, path::Path, str::FromStr, sync::Arc};

use tokenkeep::{
    MemoryStore, RedisStore, SqliteStore,
    store::{DynTokenStore, StoreError},
};

/// A store that can be opened, also by another registry.
#[derive(Clone, Debug)]
pub(crate) enum StoreUrl {
    Memory,
    Sqlite(String),
    Redis(ServerUrl),
}

/// A URL that may hold a password, and is shown without.
#[derive(Clone)]
pub(crate) struct ServerUrl(String);

impl StoreUrl {
    pub(crate) fn file(path: &Path) -> Self {
        Self::Sqlite(path.display().to_string())
    }

    pub(crate) async fn open(&self) -> Result<DynTokenStore, StoreError> {
        Ok(match self {
            Self::Memory => Arc::new(MemoryStore::new()),
            Self::Sqlite(location) => Arc::new(SqliteStore::connect(location).await?),
            Self::Redis(url) => Arc::new(RedisStore::connect(&url.0).await?),
        })
    }

    /// Can two registries keep their tokens there together?
    pub(crate) fn is_shared(&self) -> bool {
        !matches!(self, Self::Memory)
    }
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
        match (scheme, rest) {
            ("memory", "" | "//") => Ok(Self::Memory),
            ("sqlite", "" | "//") => {
                Err("sqlite: needs a path, such as sqlite:tokens.sqlite".into())
            }
            // SQLite's own options follow a question mark.
            ("sqlite", _) if rest.contains('?') => Ok(Self::Sqlite(url.to_owned())),
            ("sqlite", path) => Ok(Self::Sqlite(
                path.strip_prefix("//").unwrap_or(path).to_owned(),
            )),
            ("redis" | "rediss", _) => Ok(Self::Redis(ServerUrl(url.to_owned()))),
            _ => Err("there are memory:, sqlite:PATH, redis://HOST and rediss://HOST".into()),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory, and end with this process"),
            Self::Sqlite(location) => f.write_str(location),
            Self::Redis(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("//").unwrap_or((&self.0, ""));
        let address = rest.rsplit_once('@').map_or(rest, |(_, address)| address);
        write!(f, "{scheme}//{address}")
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
