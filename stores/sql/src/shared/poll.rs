//! A change feed that is polled.

use std::time::Duration;

use async_trait::async_trait;
use tokenkeep_core::store::{Change, Changes, StoreError};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;

/// A place in a change sequence.
#[async_trait]
pub(crate) trait Follow: Send + 'static {
    /// What was written behind the place, which moves on; [`Change::Gap`] where something may be missing. Up to about
    /// [`BATCH`] changes, none if there is no news.
    ///
    /// # Cancel safety
    /// The place moves only when the call returns.
    async fn read(&mut self) -> Result<Vec<Change>, StoreError>;
}

/// How many changes are read at once; after as many the next look follows without a pause.
pub(crate) const BATCH: usize = 512;

/// How long one look may take before it counts as failed: a feed that hangs must not pass for one without news.
const PATIENCE: Duration = Duration::from_secs(2);

/// Failing looks come no further apart than this.
const SLOWEST: Duration = Duration::from_secs(5);

/// Follows a sequence for as long as the stream is held.
///
/// While looks fail each of them yields a gap: what is read from the store in the meantime is not kept true by the
/// feed.
pub(crate) fn poll(mut place: impl Follow, every: Duration) -> Changes {
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(async move {
        let mut pause = every;
        loop {
            let (news, next) = match timeout(PATIENCE, place.read()).await {
                Ok(Ok(news)) if news.len() >= BATCH => (news, Duration::ZERO),
                Ok(Ok(news)) => (news, every),
                failed => {
                    warn(failed);
                    (
                        vec![Change::Gap],
                        (pause * 2).clamp(every, SLOWEST.max(every)),
                    )
                }
            };
            pause = next;
            for change in news {
                if sender.send(change).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = sender.closed() => return,
                () = sleep(pause) => {}
            }
        }
    });
    Box::pin(ReceiverStream::new(receiver))
}

fn warn<T, E>(failed: Result<Result<T, StoreError>, E>) {
    match failed {
        Ok(Err(error)) => {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(%error, source, "the change feed cannot be read");
        }
        _ => tracing::warn!("the change feed did not answer in time"),
    }
}
