//! Faults of the change feed.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokenkeep_core::store::*;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_stream::{
    StreamExt,
    wrappers::{BroadcastStream, ReceiverStream},
};

use crate::wrong::{Fault, Shared, Wrong};

pub(crate) async fn changes(store: &Wrong, since: Option<Cursor>) -> Result<Changes, StoreError> {
    let resumed = since.is_some();
    let since = since.filter(|_| store.fault != Fault::IgnoresCursors);
    let right = store.right.changes(since).await?;
    Ok(match store.fault {
        Fault::SubscribesLate => late(store),
        Fault::ReordersChanges => reordered(right),
        Fault::DropsChanges => {
            let mut count = 0;
            Box::pin(right.filter(move |_| {
                count += 1;
                count % 2 == 0
            }))
        }
        Fault::HidesFallingBehind => {
            Box::pin(right.filter(move |change| resumed || *change != Change::Gap))
        }
        Fault::AnnouncesRefusedWrites => {
            let refused = BroadcastStream::new(store.shared.refused.subscribe());
            Box::pin(right.merge(refused.filter_map(Result::ok)))
        }
        Fault::HidesGaps => Box::pin(right.filter(|change| *change != Change::Gap)),
        Fault::HearsOnlyItself => {
            let own = Arc::clone(&store.own);
            Box::pin(right.filter(move |change| match change {
                Change::Written { version, .. } => own.lock().unwrap().contains(version),
                _ => true,
            }))
        }
        Fault::HasOneListener => {
            let shared = Arc::clone(&store.shared);
            let own = shared.listener.fetch_add(1, Ordering::SeqCst) + 1;
            Box::pin(right.filter(move |_| shared.listener.load(Ordering::SeqCst) == own))
        }
        Fault::ClosesAllFeeds => {
            let guard = Closing(Arc::clone(&store.shared));
            let before = guard.0.closed.load(Ordering::SeqCst);
            Box::pin(right.filter(move |_| guard.0.closed.load(Ordering::SeqCst) == before))
        }
        _ => right,
    })
}

struct Closing(Arc<Shared>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.closed.fetch_add(1, Ordering::SeqCst);
    }
}

/// The subscription is there some time after the call has returned.
fn late(store: &Wrong) -> Changes {
    let (sender, receiver) = mpsc::channel(16);
    let right = store.right.clone();
    tokio::spawn(async move {
        sleep(Duration::from_millis(50)).await;
        let mut feed = right.changes(None).await.unwrap();
        while let Some(change) = feed.next().await {
            if sender.send(change).await.is_err() {
                return;
            }
        }
    });
    Box::pin(ReceiverStream::new(receiver))
}

/// Two changes that come close together change places.
fn reordered(mut right: Changes) -> Changes {
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Some(first) = right.next().await {
            let second = timeout(Duration::from_millis(20), right.next()).await;
            for change in second.ok().flatten().into_iter().chain([first]) {
                if sender.send(change).await.is_err() {
                    return;
                }
            }
        }
    });
    Box::pin(ReceiverStream::new(receiver))
}
