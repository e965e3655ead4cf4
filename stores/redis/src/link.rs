//! The connection: bounded in time, and replaced when it is of no more use.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use redis::{
    Client, Cmd, Pipeline, RedisResult, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::time::timeout;

use crate::errors::too_late;

pub(crate) struct Link {
    current: Mutex<Current>,
    /// How to connect anew; nothing for a connection that is the application's.
    renewal: Option<(Client, ConnectionManagerConfig)>,
    timeout: Duration,
}

#[derive(Clone)]
struct Current {
    connection: ConnectionManager,
    number: u64,
}

impl Link {
    /// Over the application's connection.
    pub(crate) fn over(connection: ConnectionManager, timeout: Duration) -> Self {
        Self {
            current: Mutex::new(Current {
                connection,
                number: 0,
            }),
            renewal: None,
            timeout,
        }
    }

    /// A connection of its own, which is made when it is first used.
    pub(crate) fn own(client: Client, timeout: Duration) -> RedisResult<Self> {
        // Each command that finds no connection tries for one, so that none waits for a pause of others.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(1024);
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), config.clone())?;
        Ok(Self {
            renewal: Some((client, config)),
            ..Self::over(connection, timeout)
        })
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The number of the database.
    pub(crate) fn database(&self) -> i64 {
        redis::aio::ConnectionLike::get_db(&self.current().connection)
    }

    pub(crate) async fn command(&self, command: &Cmd) -> RedisResult<Value> {
        self.ask(Question::One(command)).await
    }

    /// Commands that are sent together; one answer for each.
    pub(crate) async fn pipeline(&self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        match self.ask(Question::Many(commands)).await? {
            Value::Array(answers) => Ok(answers),
            other => Ok(vec![other]),
        }
    }

    async fn ask(&self, question: Question<'_>) -> RedisResult<Value> {
        let mut current = self.current();
        let mut answer = self.within(question.put(&mut current.connection)).await;
        // A connection that was refused, perhaps long ago: nothing was sent, and a new one is on its way.
        if matches!(&answer, Err(error) if error.is_connection_refusal()) {
            answer = self.within(question.put(&mut current.connection)).await;
        }
        if let Err(error) = &answer
            && (error.is_timeout() || error.code() == Some("READONLY"))
        {
            self.renew(current.number);
        }
        answer
    }

    async fn within(&self, answer: impl Future<Output = RedisResult<Value>>) -> RedisResult<Value> {
        timeout(self.timeout, answer)
            .await
            .unwrap_or_else(|_| Err(too_late()))
    }

    /// The connection may be to a machine that is gone, or to what was the primary: both would stay as they are. The
    /// first of those who find that out replaces it.
    fn renew(&self, number: u64) {
        let Some((client, config)) = &self.renewal else {
            return;
        };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.number == number
            && let Ok(connection) =
                ConnectionManager::new_lazy_with_config(client.clone(), config.clone())
        {
            *current = Current {
                connection,
                number: number.wrapping_add(1),
            };
        }
    }

    fn current(&self) -> Current {
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// One command, or several that are sent together.
#[derive(Clone, Copy)]
enum Question<'a> {
    One(&'a Cmd),
    Many(&'a Pipeline),
}

impl Question<'_> {
    async fn put(self, connection: &mut ConnectionManager) -> RedisResult<Value> {
        match self {
            Self::One(command) => command.query_async(connection).await,
            Self::Many(commands) => commands.query_async(connection).await,
        }
    }
}
