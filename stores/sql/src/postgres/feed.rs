//! The change feed: notifications that a trigger sends, heard on a connection of its own.
//!
//! `LISTEN` has no history, so whatever happens while nobody listens is a gap: before a feed that is opened with a
//! cursor, and around every loss of the connection.

use std::{sync::Arc, time::Duration};

use sqlx::{
    Postgres,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
    query, query_scalar,
};
use tokenkeep_core::{
    TokenKey,
    store::{Change, Changes, Cursor, StoreError, Version},
};
use tokio::{
    sync::mpsc::{self, Sender},
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;

use crate::shared::{Failure, Link, failed, in_time};

/// How many changes wait for a slow reader. More are a gap: the server's queue, which all of its users share, must not
/// wait for anybody.
const WAITING: usize = 1024;

/// After as long a silence the connection is asked whether it lives, and has as long to answer: a feed that hangs must
/// not pass for one without news.
const SILENCE: Duration = Duration::from_secs(2);

/// Attempts to connect come no further apart than this, and no closer than that.
const SLOWEST: Duration = Duration::from_secs(5);
const QUICKEST: Duration = Duration::from_millis(50);

/// Stands between the parts of a notification.
const BETWEEN: char = '\n';

pub(crate) struct Feed {
    link: Arc<Link<Postgres>>,
    options: PgConnectOptions,
    /// The quoted name of the table whose writes are announced.
    tokens: String,
}

/// A connection that hears every announcement.
struct Ear {
    listener: PgListener,
    channel: String,
    /// What was heard while it was tried.
    early: Vec<Change>,
}

/// Why nothing more is heard.
enum End {
    Closed,
    Lost,
}

impl Feed {
    pub(crate) fn new(
        link: Arc<Link<Postgres>>,
        options: PgConnectOptions,
        tokens: String,
    ) -> Self {
        Self {
            link,
            options,
            tokens,
        }
    }

    pub(crate) async fn open(self, since: Option<Cursor>) -> Result<Changes, StoreError> {
        let ear = self.listen().await?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let missed = since.is_some();
        tokio::spawn(async move {
            tokio::select! {
                () = sender.closed() => {}
                () = self.follow(ear, missed, &sender) => {}
            }
        });
        Ok(Box::pin(ReceiverStream::new(receiver)))
    }

    /// Hears as long as somebody reads. While it cannot be heard each attempt yields a gap: what is read from the store
    /// in the meantime is not kept true by the feed.
    async fn follow(&self, mut ear: Ear, mut missed: bool, sender: &Sender<Change>) {
        while let End::Lost = ear.hear(missed, sender).await {
            tracing::warn!("the change feed lost its connection");
            let mut pause = QUICKEST;
            ear = loop {
                if sender.send(Change::Gap).await.is_err() {
                    return;
                }
                match self.listen().await {
                    Ok(ear) => break ear,
                    Err(error) => {
                        let source = std::error::Error::source(&error).map(ToString::to_string);
                        tracing::warn!(%error, source, "the change feed cannot listen");
                    }
                }
                sleep(pause).await;
                pause = (2 * pause).min(SLOWEST);
            };
            missed = true;
        }
    }

    async fn listen(&self) -> Result<Ear, StoreError> {
        let mut ear = in_time(self.link.end(), self.connect()).await?;
        self.try_out(&mut ear).await?;
        Ok(ear)
    }

    async fn connect(&self) -> Result<Ear, Failure> {
        // The listener wants a pool to connect by.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(self.link.patience)
            .connect_lazy_with(self.options.clone());
        let listener = PgListener::connect_with(&pool).await;
        let mut listener = listener.map_err(failed::<Postgres>)?;
        listener.eager_reconnect(false);
        let Some(channel) = self.channel(&mut listener).await? else {
            return Err(Failure::Store(StoreError::misconfigured(format!(
                "there is no table {} where the change feed listens; call migrate()",
                self.tokens
            ))));
        };
        let listening = listener.listen(&channel).await;
        listening.map_err(failed::<Postgres>)?;
        Ok(Ear {
            listener,
            channel,
            early: Vec::new(),
        })
    }

    /// The trigger names the channel by the table's number: one for each table of a database.
    async fn channel(&self, listener: &mut PgListener) -> Result<Option<String>, Failure> {
        query_scalar("SELECT 'tokenkeep_' || pg_catalog.to_regclass($1)::oid")
            .bind(&*self.tokens)
            .fetch_one(listener)
            .await
            .map_err(failed::<Postgres>)
    }

    /// Says something through the pool and waits until it is heard. A pooler in between, or another database, would
    /// make a feed that is silent for ever.
    async fn try_out(&self, ear: &mut Ear) -> Result<(), Failure> {
        let word = Version::random().to_string();
        let say = query("SELECT pg_catalog.pg_notify($1, $2)");
        let say = say.bind(&*ear.channel).bind(&*word);
        self.link.rows(say).await?;
        let heard = timeout(self.link.patience, ear.until(&word)).await;
        heard.unwrap_or_else(|_| {
            Err(Failure::Store(StoreError::misconfigured(
                "the change feed does not hear what the store writes; behind a pooler in transaction mode give it the \
                 server itself by SqlOptions::listen_url, and the same database",
            )))
        })
    }
}

impl Ear {
    /// Listens until this word is heard, and keeps what was heard before.
    async fn until(&mut self, word: &str) -> Result<(), Failure> {
        loop {
            let heard = self.listener.try_recv().await;
            match heard.map_err(failed::<Postgres>)? {
                Some(heard) if heard.payload() == word => return Ok(()),
                Some(heard) => self.early.extend(change(heard.payload())),
                None => return Err(Failure::Store(StoreError::other("the connection was lost"))),
            }
        }
    }

    /// Passes on what is heard. `missed` says that something was missed before.
    async fn hear(&mut self, mut missed: bool, sender: &Sender<Change>) -> End {
        if missed && sender.try_send(Change::Gap).is_ok() {
            missed = false;
        }
        for change in std::mem::take(&mut self.early) {
            missed |= sender.try_send(change).is_err();
        }
        loop {
            tokio::select! {
                room = sender.reserve(), if missed => match room {
                    Ok(room) => {
                        room.send(Change::Gap);
                        missed = false;
                    }
                    Err(_) => return End::Closed,
                },
                heard = timeout(SILENCE, self.listener.try_recv()) => match heard {
                    Ok(Ok(Some(heard))) => {
                        if let (false, Some(change)) = (missed, change(heard.payload())) {
                            missed = sender.try_send(change).is_err();
                        }
                    }
                    Ok(_) => return End::Lost,
                    Err(_) if self.lives().await => {}
                    Err(_) => return End::Lost,
                },
            }
        }
    }

    async fn lives(&mut self) -> bool {
        let asked = query("SELECT 1").fetch_one(&mut self.listener);
        matches!(timeout(SILENCE, asked).await, Ok(Ok(_)))
    }
}

/// What a notification says. One without parts is a trial of somebody's.
fn change(payload: &str) -> Option<Change> {
    payload
        .contains(BETWEEN)
        .then(|| read(payload).unwrap_or(Change::Gap))
}

fn read(payload: &str) -> Option<Change> {
    let mut parts = payload.split(BETWEEN);
    let (owner, client, slot) = (parts.next()?, parts.next()?, parts.next()?);
    let generation = parts.next()?.parse().ok()?;
    let version: Version = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some(())?;
    Some(Change::Written {
        key: TokenKey::from_columns(client, owner, slot).ok()?,
        version,
        generation,
        cursor: Cursor(version.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_a_change_and_what_cannot_be_read_is_a_gap() {
        let version = Version::random();
        let read = change(&format!("o?\nclient\n\n7\n{version}"));
        let Some(Change::Written {
            key,
            generation,
            version: of,
            ..
        }) = read
        else {
            panic!("{read:?}");
        };
        assert_eq!(
            (key.owner_column(), key.client(), generation),
            ("o?", "client", 7)
        );
        assert_eq!(of, version);
        assert_eq!(change("a trial"), None);
        for payload in [
            "\n",
            "o\nc\n\n-7\n",
            "o\nc\n\n7\nffff",
            &format!("o\nc\n\n7\n{version}\n"),
        ] {
            assert_eq!(change(payload), Some(Change::Gap), "{payload:?}");
        }
    }
}
