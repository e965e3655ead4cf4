//! The scripts. Each is one atomic step on keys of one slot.

use redis::{Cmd, RedisResult, Value, cmd};

use crate::{errors::lacks_script, link::Link};

/// A script, and the digest by which the server remembers it.
pub(crate) struct Script {
    code: &'static str,
    digest: String,
}

/// What the store has the server run.
pub(crate) struct Scripts {
    pub(crate) write: Script,
    pub(crate) purge: Script,
    pub(crate) repair: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            write: Script::new(include_str!("scripts/write.lua")),
            purge: Script::new(include_str!("scripts/purge.lua")),
            repair: Script::new(include_str!("scripts/repair.lua")),
        }
    }
}

/// Keys and arguments of a call.
#[derive(Default)]
pub(crate) struct Call {
    keys: Vec<Vec<u8>>,
    arguments: Vec<Vec<u8>>,
}

impl Script {
    fn new(code: &'static str) -> Self {
        Self {
            code,
            digest: redis::Script::new(code).get_hash().to_owned(),
        }
    }

    /// By digest; a server that does not know it, because it is new or was told to forget, gets the script itself, which
    /// it remembers.
    pub(crate) async fn run(&self, link: &Link, call: &Call) -> RedisResult<Value> {
        match link.command(&call.by("EVALSHA", &self.digest)).await {
            Err(error) if lacks_script(&error) => link.command(&call.by("EVAL", self.code)).await,
            answered => answered,
        }
    }
}

impl Call {
    pub(crate) fn key(&mut self, key: impl Into<Vec<u8>>) -> &mut Self {
        self.keys.push(key.into());
        self
    }

    pub(crate) fn argument(&mut self, argument: impl Into<Vec<u8>>) -> &mut Self {
        self.arguments.push(argument.into());
        self
    }

    fn by(&self, command: &str, script: &str) -> Cmd {
        let mut command = cmd(command);
        command.arg(script).arg(self.keys.len());
        for key in &self.keys {
            command.arg(&key[..]);
        }
        for argument in &self.arguments {
            command.arg(&argument[..]);
        }
        command
    }
}
