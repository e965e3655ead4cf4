//! Tokens that live elsewhere too: an old table is asked for a row that the store has not, and told of a logout.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Mutex as AsyncMutex, oneshot};

use super::{keeper::Keeper, snapshot::Entry};
use crate::{Error, ErrorCode, LogoutCause, Owner, Phase, Result, TokenKey, token::State};

/// How long "nothing" is remembered.
const NOTHING: Duration = Duration::from_secs(30);
/// Of how many keys.
const MAX_NOTHING: usize = 100_000;

/// What was asked for, and what is known not to be there.
#[derive(Debug, Default)]
pub(super) struct Missing {
    questions: Mutex<HashMap<TokenKey, Arc<AsyncMutex<()>>>>,
    /// Monotonic.
    nothing: Mutex<HashMap<TokenKey, Duration>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Missing {
    /// One question at a time for each key.
    fn question(&self, key: &TokenKey) -> Arc<AsyncMutex<()>> {
        Arc::clone(locked(&self.questions).entry(key.clone()).or_default())
    }

    /// Forgets a question, unless somebody else waits for it.
    fn answered(&self, key: &TokenKey, question: &Arc<AsyncMutex<()>>) {
        let mut questions = locked(&self.questions);
        if Arc::strong_count(question) == 2 {
            questions.remove(key);
        }
    }

    fn is_nothing(&self, key: &TokenKey, now: Duration) -> bool {
        locked(&self.nothing)
            .get(key)
            .is_some_and(|at| now.saturating_sub(*at) < NOTHING)
    }

    fn remember_nothing(&self, key: &TokenKey, now: Duration) {
        let mut nothing = locked(&self.nothing);
        if nothing.len() >= MAX_NOTHING {
            nothing.retain(|_, at| now.saturating_sub(*at) < NOTHING);
        }
        if nothing.len() >= MAX_NOTHING {
            nothing.clear();
        }
        nothing.insert(key.clone(), now);
    }
}

impl Keeper {
    /// Asks for a row that the store has not, and keeps what comes. Answers whether it is worth looking again.
    pub(super) async fn adopt_missing(&self, key: &TokenKey, entry: &Entry) -> Result<bool> {
        let user = key.is_account() && *key.owner() != Owner::App;
        let nothing = || {
            let now = self.0.clock.monotonic();
            self.0.missing.is_nothing(key, now)
        };
        if !user || !self.0.source.asks_for_missing(key.client()) || nothing() {
            return Ok(false);
        }
        let question = self.0.missing.question(key);
        let turn = question.lock().await;
        // Whoever asked before may have found it, or that there is nothing.
        let asked = async {
            if self.snapshot(key, entry).await?.is_some() {
                return Ok(true);
            }
            if nothing() {
                return Ok(false);
            }
            let found = tokio::select! {
                found = self.0.source.missing(key) => found?,
                () = self.0.clock.sleep(self.0.timing.store) => return Err(Error::new(
                    ErrorCode::StoreUnavailable,
                    Phase::Store,
                    "on_missing did not answer in time",
                )),
            };
            let Some(login) = found else {
                let now = self.0.clock.monotonic();
                self.0.missing.remember_nothing(key, now);
                return Ok(false);
            };
            // Only a logout says "nothing" while this question is open: what was read before it ended with it (G4). It
            // looks once more for a row after it said so, and this looks once more whether it did: one sees the other.
            if nothing() {
                return Ok(false);
            }
            let grant = login.grant_id;
            self.adopt(key, login).await?;
            if nothing() {
                self.log_out(key, Some(grant), LogoutCause::Requested)
                    .await?;
            }
            Ok(true)
        };
        let asked = asked.await.map_err(|error| error.with_client(key.client()));
        drop(turn);
        self.0.missing.answered(key, &question);
        asked
    }

    /// Tells the hooks of a logout, so that what lives elsewhere is cleared. A failure is tried again in the background;
    /// it is the caller's where no tombstone stands in the way of a row of before.
    ///
    /// Dropping the future changes nothing.
    pub(super) async fn clear_elsewhere(&self, key: &TokenKey, has_tombstone: bool) -> Result<()> {
        let entry = self.0.snapshots.entry(key);
        let now = self.0.clock.monotonic();
        self.0.missing.remember_nothing(key, now);
        let turn = entry.hook_turn();
        let (sender, first) = oneshot::channel();
        let (keeper, of) = (self.clone(), key.clone());
        self.spawn(async move {
            let _turn = turn.await;
            let outcome = keeper.0.source.after_logout(&of).await;
            let failed = outcome.is_err();
            // Whoever asked may be gone.
            let _ = sender.send(outcome);
            if failed {
                keeper.clear_again(&of).await;
            }
        });
        let outcome = tokio::select! {
            outcome = first => outcome.unwrap_or(Ok(())),
            () = self.0.clock.sleep(self.0.timing.store) => Err(Error::new(
                ErrorCode::StoreUnavailable,
                Phase::Store,
                "a hook behind a logout takes its time",
            )),
        };
        match outcome {
            Err(error) if has_tombstone => {
                tracing::error!(key = %key.mark(), %error, "a hook behind a logout failed; it is tried again");
                Ok(())
            }
            outcome => outcome.map_err(|error| error.with_client(key.client())),
        }
    }

    async fn clear_again(&self, key: &TokenKey) {
        for round in 0..4_u32 {
            self.0.clock.sleep(Duration::from_secs(1 << round)).await;
            // What a new login brought is not to be cleared.
            match self.first_look(key).await {
                Ok(Some(record)) if record.header.state != State::LoggedOut => return,
                Ok(_) => {}
                Err(_) => continue,
            }
            match self.0.source.after_logout(key).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::error!(key = %key.mark(), %error, "a hook behind a logout failed again");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_remembered_for_a_while_and_of_so_many_keys() {
        let missing = Missing::default();
        let key = |n: usize| TokenKey::new("op", &n.to_string()).unwrap();
        let at = Duration::from_secs(100);
        missing.remember_nothing(&key(0), at);
        assert!(missing.is_nothing(&key(0), at + NOTHING - Duration::from_millis(1)));
        assert!(!missing.is_nothing(&key(0), at + NOTHING));
        assert!(!missing.is_nothing(&key(1), at));
        for n in 0..MAX_NOTHING + 10 {
            missing.remember_nothing(&key(n), at + NOTHING);
        }
        assert!(locked(&missing.nothing).len() <= MAX_NOTHING);
        assert!(missing.is_nothing(&key(MAX_NOTHING + 9), at + NOTHING));
    }

    #[test]
    fn a_question_is_forgotten_when_nobody_waits_for_it() {
        let missing = Missing::default();
        let key = TokenKey::new("op", "alice").unwrap();
        let (first, second) = (missing.question(&key), missing.question(&key));
        missing.answered(&key, &first);
        assert_eq!(locked(&missing.questions).len(), 1);
        drop(first);
        missing.answered(&key, &second);
        assert!(locked(&missing.questions).is_empty());
    }
}
