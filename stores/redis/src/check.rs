//! Whether the server can be relied on.

use redis::{Value, cmd, pipe};
use tokenkeep_core::store::StoreError;

use crate::{
    RedisStore,
    errors::{CLUSTER, REPLICA, failed},
    rows::unexpected,
};

/// Raised only by a change that older versions of this crate cannot live with.
const LAYOUT: &str = "1";

/// Redis 6.2 brought `GETDEL`.
const OLDEST: (u32, u32) = (6, 2);

impl RedisStore {
    /// Asks the server whether it can be relied on, and marks the database as one of this layout of keys. Many processes
    /// may call it at once.
    ///
    /// What the user has no right to ask is passed over with a warning in the log; so is a server that writes nothing to
    /// its disk.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] if the server is older than 6.2, a replica or part of a cluster, if it throws keys
    /// away when it is full, or if the database has a layout of a newer major version; [`StoreError::Unavailable`] if it
    /// does not answer.
    pub async fn check(&self) -> Result<(), StoreError> {
        let info = match self.inner.link.command(&cmd("INFO")).await {
            Ok(info) => Info::read(&text(&info)?),
            Err(error) if error.code() == Some("NOPERM") => Info::default(),
            Err(error) => return Err(failed(error)),
        };
        info.judge()?;
        if !self.inner.options.allow_eviction {
            let policy = match info.policy {
                Some(policy) => Some(policy),
                None => self.setting("maxmemory-policy").await,
            };
            judge_policy(policy.as_deref())?;
        }
        if info.append_only == Some(false) && self.setting("save").await.as_deref() == Some("") {
            tracing::warn!("Redis writes nothing to its disk: a restart logs everybody out");
        }
        self.check_layout().await
    }

    /// A setting of the server, where it may be asked for.
    async fn setting(&self, name: &str) -> Option<String> {
        let mut question = cmd("CONFIG");
        question.arg("GET").arg(name);
        let value = match self.inner.link.command(&question).await.ok()? {
            Value::Array(pair) => pair.into_iter().nth(1)?,
            Value::Map(pairs) => pairs.into_iter().next()?.1,
            _ => return None,
        };
        text(&value).ok()
    }

    async fn check_layout(&self) -> Result<(), StoreError> {
        let key = self.inner.names.layout();
        let mut commands = pipe();
        commands.cmd("SET").arg(&key).arg(LAYOUT).arg("NX");
        commands.cmd("GET").arg(&key);
        let answers = self.inner.link.pipeline(&commands).await.map_err(failed)?;
        let layout = text(answers.get(1).ok_or_else(unexpected)?)?;
        if layout == LAYOUT {
            return Ok(());
        }
        Err(StoreError::misconfigured(format!(
            "the key {key} names another layout of keys than {LAYOUT}, which is what this version of tokenkeep-redis \
             knows; update it, or choose another prefix"
        )))
    }
}

fn text(answer: &Value) -> Result<String, StoreError> {
    match answer {
        Value::BulkString(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
        Value::VerbatimString { text, .. } => Ok(text.clone()),
        _ => Err(unexpected()),
    }
}

/// What matters of `INFO`. What a server does not say counts as good: managed servers hide some of it.
#[derive(Debug, Default)]
struct Info {
    version: Option<(u32, u32)>,
    role: Option<String>,
    cluster: bool,
    policy: Option<String>,
    append_only: Option<bool>,
}

impl Info {
    fn read(info: &str) -> Self {
        let value = |name: &str| {
            info.lines()
                .filter_map(|line| line.trim_end().split_once(':'))
                .find(|(found, _)| *found == name)
                .map(|(_, value)| value)
        };
        let version = value("redis_version").and_then(|version| {
            let mut parts = version.split('.').map(|part| part.parse().ok());
            Some((parts.next()??, parts.next()??))
        });
        Self {
            version,
            role: value("role").map(str::to_owned),
            cluster: value("cluster_enabled") == Some("1"),
            policy: value("maxmemory_policy").map(str::to_owned),
            append_only: value("aof_enabled").map(|enabled| enabled == "1"),
        }
    }

    fn judge(&self) -> Result<(), StoreError> {
        let reason = match self.version {
            Some((major, minor)) if (major, minor) < OLDEST => {
                let (oldest, its_minor) = OLDEST;
                format!(
                    "the server is Redis {major}.{minor}; it must be {oldest}.{its_minor} or later"
                )
            }
            _ if self.cluster => CLUSTER.into(),
            _ if self.role.as_deref() == Some("slave") => REPLICA.into(),
            _ => return Ok(()),
        };
        Err(StoreError::misconfigured(reason))
    }
}

fn judge_policy(policy: Option<&str>) -> Result<(), StoreError> {
    match policy {
        Some("noeviction") => Ok(()),
        Some(policy) => Err(StoreError::misconfigured(format!(
            "maxmemory-policy is {policy}, so a full server throws tokens away: \
             CONFIG SET maxmemory-policy noeviction, and in its configuration file too"
        ))),
        None => {
            tracing::warn!(
                "Redis does not say its maxmemory-policy: see to it that it is noeviction"
            );
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Server\r\nredis_version:7.0.15\r\n# Memory\r\nmaxmemory_policy:noeviction\r\n\
                        # Replication\r\nrole:master\r\n# Cluster\r\ncluster_enabled:0\r\n";

    fn judge(good: &str, bad: &str) -> Result<(), StoreError> {
        assert!(GOOD.contains(good));
        let info = Info::read(&GOOD.replace(good, bad));
        info.judge()?;
        judge_policy(info.policy.as_deref())
    }

    #[test]
    fn a_good_server_is_taken_and_a_bad_one_is_named() {
        for (good, bad, named) in [
            ("7.0.15", "6.0.16", "Redis 6.0"),
            ("7.0.15", "5.0.14", "Redis 5.0"),
            (
                "noeviction",
                "allkeys-lru",
                "CONFIG SET maxmemory-policy noeviction",
            ),
            (
                "noeviction",
                "volatile-ttl",
                "maxmemory-policy is volatile-ttl",
            ),
            ("master", "slave", "connect to its primary"),
            ("cluster_enabled:0", "cluster_enabled:1", "cluster"),
        ] {
            let error = judge(good, bad).unwrap_err().to_string();
            assert!(error.contains(named), "{bad}: {error}");
        }
        for (good, bad) in [
            ("7.0.15", "7.0.15"),
            ("7.0.15", "6.2.0"),
            ("7.0.15", "10.1.0"),
            ("7.0.15", "unstable"),
        ] {
            judge(good, bad).unwrap();
        }
    }

    #[test]
    fn what_is_not_said_is_good() {
        Info::read("").judge().unwrap();
        judge_policy(None).unwrap();
    }
}
