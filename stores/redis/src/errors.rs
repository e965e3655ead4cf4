//! What the server's errors mean for a store.

use std::{error::Error as StdError, fmt, io};

use redis::{ErrorKind, RedisError, ServerErrorKind};
use tokenkeep_core::store::StoreError;

pub(crate) const REPLICA: &str = "the server is a replica, which takes no writes and may answer what is old; connect to its primary";
pub(crate) const CLUSTER: &str =
    "the server is part of a cluster, which this store cannot use yet; connect to a single node";

/// Errors by their code, the first word of what the server says. Where its message may show a key or a value, it is
/// dropped.
pub(crate) fn failed(error: RedisError) -> StoreError {
    let answered = error.clone().into_server_errors();
    let answered = answered.as_ref().and_then(|all| all.first());
    let (code, details) = answered.map_or_else(
        || ("", error.detail()),
        |(_, error)| (error.code(), error.details()),
    );
    let details = details.unwrap_or_default();
    match (code, error.kind()) {
        _ if code == "NOPERM" || details.contains("user executing the script can't") => {
            misconfigured(
                "the user lacks a right that the store needs; RedisStore's documentation has the ACL line",
                error,
            )
        }
        ("NOAUTH" | "WRONGPASS", _) | (_, ErrorKind::AuthenticationFailed) => {
            misconfigured("the server refuses user and password, or wants them", error)
        }
        _ if details.contains("DB index is out of range") => {
            misconfigured("the server has no database of that number", error)
        }
        ("READONLY", _) => misconfigured(REPLICA, error),
        ("MOVED" | "ASK" | "CROSSSLOT", _) => misconfigured(CLUSTER, error),
        // The server repeats what the command was about: whose token, and some of it.
        ("ERR", _)
            if details.starts_with("unknown command") || details.contains("syntax error") =>
        {
            StoreError::misconfigured(
                "the server does not know a command; it must be Redis 6.2 or later, or Valkey",
            )
        }
        (_, ErrorKind::InvalidClientConfig | ErrorKind::RESP3NotSupported) => {
            misconfigured("the server cannot be used as it is asked for", error)
        }
        ("WRONGTYPE", _) => {
            StoreError::invalid_row("a key of the store holds something of another type")
        }
        ("OOM", _) => unavailable(
            "Redis has reached maxmemory, and writes nothing until it is given more or keys go",
            error,
        ),
        ("MISCONF", _) => unavailable(
            "Redis cannot save to its disk, and writes nothing until it can",
            error,
        ),
        ("LOADING" | "MASTERDOWN" | "TRYAGAIN", _) => unavailable("Redis is still starting", error),
        ("CLUSTERDOWN", _) => unavailable("the Redis cluster is down", error),
        ("BUSY", _) => unavailable(
            "a script of somebody's keeps Redis busy; SCRIPT KILL ends it",
            error,
        ),
        // Such a message may show what it could not read.
        (_, ErrorKind::Parse | ErrorKind::UnexpectedReturnType) => crate::rows::unexpected(),
        _ if error.is_timeout() => unavailable("Redis did not answer in time", error),
        _ if error.is_connection_refusal() => unavailable("Redis refuses connections", error),
        _ => StoreError::other(error),
    }
}

/// What counts as the server's answer that came too late.
pub(crate) fn too_late() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

/// Is it that the server has lost the script, or never had it?
pub(crate) fn lacks_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

fn misconfigured(reason: &'static str, error: RedisError) -> StoreError {
    StoreError::Misconfigured {
        reason: reason.into(),
        source: Some(error.into()),
    }
}

fn unavailable(what: &'static str, source: RedisError) -> StoreError {
    StoreError::other(Failed { what, source })
}

/// What failed, in words that help.
#[derive(Debug)]
struct Failed {
    what: &'static str,
    source: RedisError,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.source)
    }
}

impl StdError for Failed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_repeats_of_a_command_is_not_passed_on() {
        for said in [
            "ERR unknown command 'GETDEL', with args beginning with: 'tokenkeep:{07}:token:hunter2'",
            "ERR unknown command `EVALSHA`, with args beginning with: `hunter2`, `3`, ",
        ] {
            let answer = redis::parse_redis_value(format!("-{said}\r\n").as_bytes()).unwrap();
            let error = failed(answer.extract_error().unwrap_err());
            assert!(error.to_string().contains("Redis 6.2"), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
