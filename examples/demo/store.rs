//! Which store `--store` names.

use std::{fmt, path::Path, str::FromStr, sync::Arc};

use reqwest::Url;
use tokenkeep::{
    MemoryStore, MysqlStore, PostgresStore, RedisStore, SqliteStore,
    store::{DynTokenStore, StoreError},
};

/// A store that can be opened, also by another registry.
#[derive(Clone)]
pub(crate) enum StoreUrl {
    Memory,
    Sqlite(String),
    /// These hold passwords.
    Postgres(String),
    Mysql(String),
    Redis(String),
    /// Not refused where it is read, because what refuses there prints it.
    Unknown,
}

const KNOWN: &str = "there are memory:, sqlite:PATH, postgres://USER:PASSWORD@HOST/DATABASE, mysql://… and redis://…";

impl StoreUrl {
    pub(crate) fn file(path: &Path) -> Self {
        Self::Sqlite(path.display().to_string())
    }

    pub(crate) async fn open(&self) -> Result<DynTokenStore, StoreError> {
        Ok(match self {
            Self::Memory => Arc::new(MemoryStore::new()),
            Self::Sqlite(location) => Arc::new(SqliteStore::connect(location).await?),
            Self::Postgres(url) => Arc::new(PostgresStore::connect(url).await?),
            Self::Mysql(url) => Arc::new(MysqlStore::connect(url).await?),
            Self::Redis(url) => Arc::new(RedisStore::connect(url).await?),
            Self::Unknown => return Err(StoreError::misconfigured(KNOWN)),
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
            ("postgres" | "postgresql", _) => Ok(Self::Postgres(url.to_owned())),
            ("mysql" | "mariadb", _) => Ok(Self::Mysql(url.to_owned())),
            ("redis" | "rediss", _) => Ok(Self::Redis(url.to_owned())),
            _ if rest.contains('@') => Ok(Self::Unknown),
            _ => Err(KNOWN.into()),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory, and end with this process"),
            Self::Sqlite(location) => f.write_str(location),
            Self::Postgres(url) | Self::Mysql(url) | Self::Redis(url) => {
                f.write_str(&without_password(url))
            }
            Self::Unknown => f.write_str("of this URL"),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

/// Parameters may hold a password too.
fn without_password(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) if url.has_host() => format!(
            "{}://{}{}{}",
            url.scheme(),
            url.host_str().unwrap_or_default(),
            url.port()
                .map_or_else(String::new, |port| format!(":{port}")),
            url.path()
        ),
        _ => "of this URL".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by it")]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for url in [
            "postgres://app:hunter2@db:5432/app?password=hunter2",
            "mysql://:hunter2@db/app",
            "rediss://:hunter2@db/0",
            "redis:hunter2@db",
            "mariadb:hunter2@db",
            "postgres://app:hunter2@db:port/app",
            "oracle://app:hunter2@db/app",
        ] {
            let store: StoreUrl = url.parse().unwrap();
            let shown = format!("{store} {store:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        let store: StoreUrl = "postgres://app:hunter2@db:5432/app".parse().unwrap();
        assert_eq!(store.to_string(), "postgres://db:5432/app");
    }
}
