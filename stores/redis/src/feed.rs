//! The change feed: a subscription on a connection of its own.
//!
//! Pub/sub forgets: whatever was published while nobody was subscribed is lost. So each time the subscription is made
//! anew the feed says so by a gap, and a connection that has gone silent is found out by asking.

use std::{pin::pin, time::Duration};

use redis::{
    Client, RedisResult, Value,
    aio::{PubSubSink, PubSubStream},
};
use tokenkeep_core::{
    TokenKey,
    store::{Change, Changes, Cursor, StoreError, StoredRecord, Version},
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};

use crate::{
    errors::{failed, too_late},
    names,
};

/// How often a quiet connection is asked whether it is still there.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// Attempts to subscribe again come between these apart.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How far a listener may fall behind; then it misses something, and is told so.
const BEHIND: usize = 1024;

/// What a subscription needs to be made, also again.
pub(crate) struct Feed {
    pub(crate) client: Client,
    pub(crate) channel: String,
    pub(crate) timeout: Duration,
}

/// A subscription that the server has confirmed.
struct Subscription {
    sink: PubSubSink,
    messages: PubSubStream,
}

impl Feed {
    /// Subscribes, and follows for as long as the stream is held.
    pub(crate) async fn follow(self, since: Option<Cursor>) -> Result<Changes, StoreError> {
        let subscription = self.subscribe().await.map_err(failed)?;
        let (sender, receiver) = mpsc::channel(BEHIND);
        // There is no history behind a cursor.
        let missed = since.is_some();
        tokio::spawn(self.run(subscription, sender, missed));
        Ok(Box::pin(ReceiverStream::new(receiver)))
    }

    async fn subscribe(&self) -> RedisResult<Subscription> {
        let subscribing = async {
            let (mut sink, messages) = self.client.get_async_pubsub().await?.split();
            sink.subscribe(&self.channel).await?;
            Ok(Subscription { sink, messages })
        };
        timeout(self.timeout, subscribing)
            .await
            .unwrap_or_else(|_| Err(too_late()))
    }

    async fn run(self, mut subscription: Subscription, sender: mpsc::Sender<Change>, missed: bool) {
        let mut missed = missed;
        while let Lost::Connection = self.pass_on(subscription, &sender, missed).await {
            tracing::warn!("the change feed of Redis broke off");
            let Some(again) = self.subscribe_again(&sender).await else {
                return;
            };
            (subscription, missed) = (again, true);
        }
    }

    /// Passes messages on until the connection or the listener is gone. A listener that is too slow misses messages
    /// rather than have them pile up here.
    async fn pass_on(
        &self,
        subscription: Subscription,
        sender: &mpsc::Sender<Change>,
        mut missed: bool,
    ) -> Lost {
        let Subscription { sink, mut messages } = subscription;
        let mut silence = pin!(silence(sink, self.timeout));
        loop {
            tokio::select! {
                () = sender.closed() => return Lost::Listener,
                () = &mut silence => return Lost::Connection,
                Ok(room) = sender.reserve(), if missed => {
                    room.send(Change::Gap);
                    missed = false;
                }
                message = messages.next() => {
                    let Some(message) = message else {
                        return Lost::Connection;
                    };
                    let change = read(message.get_payload_bytes()).unwrap_or(Change::Gap);
                    if !missed {
                        missed = sender.try_send(change).is_err();
                    }
                }
            }
        }
    }

    /// Each attempt that fails is a gap: what is read in the meantime is not kept true by the feed.
    async fn subscribe_again(&self, sender: &mpsc::Sender<Change>) -> Option<Subscription> {
        let (mut pause, longest) = PAUSES;
        loop {
            tokio::select! {
                () = sender.closed() => return None,
                subscribed = self.subscribe() => match subscribed {
                    Ok(subscription) => return Some(subscription),
                    Err(error) => {
                        let error = failed(error);
                        let source = std::error::Error::source(&error).map(ToString::to_string);
                        tracing::warn!(%error, source, "the change feed of Redis cannot be opened");
                    }
                }
            }
            // A listener that has no room has not yet heard of the last ones.
            let _ = sender.try_send(Change::Gap);
            tokio::select! {
                () = sender.closed() => return None,
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(longest);
        }
    }
}

/// What ended the passing on.
enum Lost {
    Connection,
    Listener,
}

/// Ends when the connection does not answer in time.
async fn silence(mut sink: PubSubSink, patience: Duration) {
    loop {
        sleep(HEARTBEAT).await;
        match timeout(patience, sink.ping::<Value>()).await {
            Ok(Ok(_)) => {}
            _ => return,
        }
    }
}

/// What is published: version, generation, and the key's columns.
pub(crate) fn message(key: &TokenKey, record: &StoredRecord) -> Vec<u8> {
    let columns = names::columns(key);
    let mut message = Vec::with_capacity(24 + columns.len());
    message.extend_from_slice(record.version.as_bytes());
    message.extend_from_slice(&record.generation.to_be_bytes());
    message.extend_from_slice(columns.as_bytes());
    message
}

/// Nothing for what is no message of a store: whoever published it may have overwritten something.
fn read(message: &[u8]) -> Option<Change> {
    let (version, rest) = message.split_first_chunk::<16>()?;
    let (generation, columns) = rest.split_first_chunk::<8>()?;
    let version = Version::from_bytes(*version);
    Some(Change::Written {
        key: names::key(std::str::from_utf8(columns).ok()?)?,
        version,
        generation: u64::from_be_bytes(*generation),
        cursor: Cursor(version.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use tokenkeep_core::store::Index;

    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written_and_no_other_is() {
        let key = TokenKey::new("client", "ö:{}")
            .unwrap()
            .session("s")
            .unwrap();
        let record = StoredRecord::new(Version::random(), u64::MAX, Index::default(), Vec::new());
        let message = message(&key, &record);
        let change = Change::Written {
            key,
            version: record.version,
            generation: u64::MAX,
            cursor: Cursor(record.version.to_string()),
        };
        assert_eq!(read(&message), Some(change));
        for length in 0..message.len() {
            assert_ne!(read(&message[..length]), read(&message), "{length}");
        }
        assert_eq!(read(&message[..30]), None);
        assert_eq!(read(b"hello, is anybody there, on this channel?"), None);
    }
}
