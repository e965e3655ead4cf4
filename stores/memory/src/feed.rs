//! The change feed: a broadcast channel, and a short memory for those who come back.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use tokenkeep_core::{
    TokenKey,
    store::{Change, Changes, Cursor, StoredRecord, Version},
};
use tokio::sync::broadcast;
use tokio_stream::{Stream, wrappers::BroadcastStream, wrappers::errors::BroadcastStreamRecvError};

/// How far a subscriber may fall behind, and how far back one may resume.
const COVERED: usize = 1024;

pub(crate) struct Feed {
    // A cursor of another store, or of this one before a restart, must not fit by chance.
    id: Version,
    announced: u64,
    recent: VecDeque<Change>,
    sender: broadcast::Sender<Change>,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self {
            id: Version::random(),
            announced: 0,
            recent: VecDeque::new(),
            sender: broadcast::Sender::new(COVERED),
        }
    }

    pub(crate) fn announce(&mut self, key: &TokenKey, record: &StoredRecord) {
        self.announced += 1;
        let change = Change::Written {
            key: key.clone(),
            version: record.version,
            generation: record.generation,
            cursor: Cursor(format!("{}-{}", self.id, self.announced)),
        };
        if self.recent.len() == COVERED {
            self.recent.pop_front();
        }
        self.recent.push_back(change.clone());
        // Nobody listening is no failure.
        let _ = self.sender.send(change);
    }

    pub(crate) fn subscribe(&self, since: Option<&Cursor>) -> Changes {
        Box::pin(Subscription {
            missed: since.map_or_else(VecDeque::new, |cursor| self.since(cursor)),
            live: BroadcastStream::new(self.sender.subscribe()),
        })
    }

    /// What was announced after the cursor; a gap if that is not known.
    fn since(&self, cursor: &Cursor) -> VecDeque<Change> {
        let behind = cursor
            .0
            .split_once('-')
            .filter(|(id, _)| *id == self.id.to_string())
            .and_then(|(_, seen)| seen.parse().ok())
            .and_then(|seen: u64| self.announced.checked_sub(seen))
            .and_then(|behind| usize::try_from(behind).ok())
            .filter(|behind| *behind <= self.recent.len());
        behind.map_or_else(
            || [Change::Gap].into(),
            |behind| {
                let covered = self.recent.len() - behind;
                self.recent.iter().skip(covered).cloned().collect()
            },
        )
    }
}

struct Subscription {
    missed: VecDeque<Change>,
    live: BroadcastStream<Change>,
}

impl Stream for Subscription {
    type Item = Change;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Change>> {
        if let Some(change) = self.missed.pop_front() {
            return Poll::Ready(Some(change));
        }
        Pin::new(&mut self.live).poll_next(cx).map(|next| {
            next.map(|received| match received {
                Ok(change) => change,
                Err(BroadcastStreamRecvError::Lagged(_)) => Change::Gap,
            })
        })
    }
}
