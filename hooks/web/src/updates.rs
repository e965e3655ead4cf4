//! What happens to a signed-in user's tokens, as long as the session lasts.

use std::time::Duration;

use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use tokenkeep_core::{self as core, OAuth, Session, TokenUpdate, TokenUpdates};
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use crate::SignedIn;

/// How often it is looked whether the session is still there, where no event says that it ended.
const LOOK: Duration = Duration::from_secs(15);

struct Watch {
    oauth: OAuth,
    session: Session,
    updates: TokenUpdates,
    look: Interval,
}

impl SignedIn {
    /// What happens to the user's grants and sessions in all processes, until this session ends: for a page that shows it
    /// live. It ends at once by a logout, within 15 s by the session's age, and when the store fails.
    ///
    /// # Errors
    /// `not_initialized`.
    pub fn token_updates(&self) -> core::Result<BoxStream<'static, TokenUpdate>> {
        let watch = Watch {
            oauth: self.oauth.clone(),
            session: self.session.clone(),
            updates: self.oauth.token_updates()?.owner(self.owner()),
            look: {
                let mut look = interval_at(tokio::time::Instant::now() + LOOK, LOOK);
                look.set_missed_tick_behavior(MissedTickBehavior::Delay);
                look
            },
        };
        Ok(watch.into_stream().boxed())
    }
}

impl Watch {
    fn into_stream(self) -> impl Stream<Item = TokenUpdate> + Send {
        stream::unfold(Some(self), |watch| async {
            let mut watch = watch?;
            let update = watch.next().await?;
            let goes_on = match &update {
                TokenUpdate::LoggedOut { grant, .. } => grant.key != *watch.session.key(),
                // The end of the session may be among what was missed.
                TokenUpdate::Resync { .. } => watch.is_signed_in().await,
                _ => true,
            };
            Some((update, goes_on.then_some(watch)))
        })
    }

    async fn next(&mut self) -> Option<TokenUpdate> {
        loop {
            tokio::select! {
                update = self.updates.next() => return update,
                _ = self.look.tick() => {
                    if !self.is_signed_in().await {
                        return None;
                    }
                }
            }
        }
    }

    async fn is_signed_in(&self) -> bool {
        self.oauth
            .is_signed_in(&self.session)
            .await
            .unwrap_or(false)
    }
}
