//! Forgetting an owner: everything ends at once, here and at the providers, and nothing brings it back.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use tokio::task::JoinSet;

use super::{
    keeper::Keeper,
    transact::Announce,
    transition::{self, Forget, IssuedBy},
};
use crate::{
    Error, ErrorCode, LogoutCause, Phase, Result, Timestamp, TokenKey, TokenUpdate, measure,
    token::Body,
};

/// How often the owner's records are listed: once more than they are found, so that what was written meanwhile is too.
const PASSES: usize = 4;

/// How many grants are revoked at the same time.
const REVOKING: usize = 16;

/// How many rows one call of the store removes.
const BATCH: u32 = 1000;

/// A grant that ended: its key, and what it held of whom.
type Ended = (TokenKey, IssuedBy, Body);

/// What was forgotten.
#[derive(Debug, Default)]
#[must_use = "it says what could not be ended"]
#[non_exhaustive]
pub struct Forgotten {
    /// The grants that ended, and what the providers said to it.
    pub grants: Vec<ForgottenGrant>,
    /// How many sessions ended.
    pub sessions: usize,
    /// How many rows are still there, each a tombstone without any personal data beside its key: those that were made
    /// within the last two minutes, and all where the store has no `purge`. Whoever purges then removes them.
    pub tombstones: usize,
    /// What could not be ended, and why. Call it again.
    pub failed: Vec<(TokenKey, Error)>,
}

impl Forgotten {
    /// Did everything end here? What the providers said is another matter.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty()
    }
}

/// A grant that was forgotten.
#[derive(Debug)]
#[non_exhaustive]
pub struct ForgottenGrant {
    /// Under which key it was kept.
    pub key: TokenKey,
    /// What became of its tokens at the provider.
    pub at_provider: AtProvider,
}

/// What became of a forgotten grant's tokens at its provider (RFC 7009).
#[derive(Debug)]
#[non_exhaustive]
pub enum AtProvider {
    /// The provider revoked them, or did not know them any more.
    Revoked,
    /// There was nothing to revoke: it was logged out before.
    Nothing,
    /// The provider revokes no tokens: they live there until they are over.
    Unsupported,
    /// The key ring lacks the key that sealed them.
    KeyMissing,
    /// Not yet: it goes on in the background, with retries.
    Failed(Error),
}

impl Keeper {
    /// Forgets an owner. Once begun it goes on, whether the caller waits or not.
    pub(crate) async fn forget(&self, owner: &str) -> Result<Forgotten> {
        if !self.0.store.capabilities().find {
            return Err(Error::new(
                ErrorCode::Unsupported,
                Phase::Store,
                format!(
                    "forget needs the capability \"find\", which the store {:?} has not: log out each grant by its key",
                    self.0.store.name()
                ),
            ));
        }
        // Before the task: an owner that cannot be one, or a store that is away, is answered at once.
        self.records_of(owner).await?;
        let (sender, answer) = tokio::sync::oneshot::channel();
        let (keeper, owner) = (self.clone(), owner.to_owned());
        self.spawn(async move {
            // Whoever asked may be gone.
            let _ = sender.send(keeper.forget_all(&owner).await);
        });
        answer.await.map_err(|_| {
            Error::new(
                ErrorCode::StoreUnavailable,
                Phase::Store,
                "forgetting was cut short by the end of its runtime",
            )
        })?
    }

    async fn forget_all(&self, owner: &str) -> Result<Forgotten> {
        let mut report = Forgotten::default();
        let (mut ended, mut given_up) = (Vec::new(), HashSet::new());
        let (mut at_once, mut later) = (0, 0);
        for _ in 0..PASSES {
            let mut alive = false;
            for summary in self.records_of(owner).await? {
                let key = summary.key;
                if given_up.contains(&key) {
                    continue;
                }
                match self.forget_record(&key).await {
                    Ok(Forget::Already) => {}
                    Ok(Forget::Done {
                        body,
                        issued_by,
                        at_once: now,
                        ..
                    }) => {
                        alive = true;
                        if now {
                            at_once += 1
                        } else {
                            later += 1
                        }
                        if key.is_account() {
                            ended.push((key, issued_by, body));
                        } else {
                            report.sessions += 1;
                        }
                    }
                    Err(error) => {
                        given_up.insert(key.clone());
                        report.failed.push((key, error));
                    }
                }
            }
            if !alive {
                break;
            }
        }
        later += self
            .forget_elsewhere(owner, &mut ended, &mut report)
            .await?;
        report.tombstones = self.remove_forgotten(at_once).await + later;
        if later > 0 {
            self.purge_later();
        }
        report.grants = self.revoke_all(ended).await;
        Ok(report)
    }

    /// Ends what a list of the store's records does not show, and clears what would bring something back: no tombstone
    /// stays in its way. Answers how many rows of the store stay for a while.
    async fn forget_elsewhere(
        &self,
        owner: &str,
        ended: &mut Vec<Ended>,
        report: &mut Forgotten,
    ) -> Result<usize> {
        let mut keys: BTreeSet<_> = self.0.source.elsewhere(owner)?.into_iter().collect();
        keys.extend(ended.iter().map(|(key, ..)| key.clone()));
        for (key, _) in &report.failed {
            keys.remove(key);
        }
        let mut later = 0;
        for key in keys {
            if let Err(error) = self.forget_key(&key, ended, &mut later).await {
                report.failed.push((key, error));
            }
        }
        Ok(later)
    }

    async fn forget_key(
        &self,
        key: &TokenKey,
        ended: &mut Vec<Ended>,
        later: &mut usize,
    ) -> Result<()> {
        let moves_in = self.0.source.asks_for_missing(key.client());
        let in_store = self.0.source.known(key.client()).followed;
        let mut keep = |done| {
            if let Forget::Done {
                body, issued_by, ..
            } = done
            {
                *later += usize::from(in_store);
                ended.push((key.clone(), issued_by, body));
            }
        };
        keep(self.forget_record(key).await?);
        self.clear_elsewhere(key, false).await?;
        // One who asked before may have kept the answer meanwhile.
        if moves_in {
            keep(self.forget_record(key).await?);
        }
        Ok(())
    }

    /// Forgets one record.
    pub(crate) async fn forget_record(&self, key: &TokenKey) -> Result<Forget> {
        let done = self
            .transact(key, Announce::Yes, transition::forget)
            .await?;
        if let Forget::Done { ended, .. } = &done.outcome {
            measure::forgotten();
            self.tell_line(key, *ended, done.now, |grant| TokenUpdate::LoggedOut {
                grant,
                cause: LogoutCause::Forgotten,
            });
        }
        Ok(done.outcome)
    }

    /// Was the owner of this grant forgotten?
    pub(crate) async fn is_forgotten(&self, key: &TokenKey) -> Result<bool> {
        Ok(transition::forgotten(self.first_look(key).await?.as_ref()))
    }

    /// The answer to a login whose owner was forgotten while it was under way.
    pub(crate) fn forgotten_meanwhile(&self, key: &TokenKey) -> Error {
        Error::new(
            ErrorCode::LoginRequired,
            Phase::Session,
            "the user was forgotten while this login was under way; nothing of it is kept",
        )
        .with_client(key.client())
    }

    /// Removes the rows that may go at once. Answers how many of them stay.
    async fn remove_forgotten(&self, at_once: usize) -> usize {
        if !self.0.store.capabilities().purge {
            return at_once;
        }
        // Only they are due since the beginning of time.
        let due = Timestamp::from_millis(1);
        let mut removed = 0;
        while removed < at_once {
            match self.purge(due, BATCH).await {
                // Another purge was quicker.
                Ok(0) => return 0,
                Ok(count) => removed += usize::try_from(count).unwrap_or(usize::MAX),
                Err(error) => {
                    tracing::warn!(%error, "what was forgotten cannot be removed yet; the next purge does it");
                    return at_once - removed;
                }
            }
        }
        0
    }

    /// Removes younger rows when their time has come, if this process lives so long.
    fn purge_later(&self) {
        if !self.0.store.capabilities().purge {
            return;
        }
        let (weak, clock) = (self.downgrade(), std::sync::Arc::clone(&self.0.clock));
        let mut alive = self.0.alive.subscribe();
        tokio::spawn(async move {
            let due = async {
                clock
                    .sleep(transition::SETTLED + Duration::from_secs(1))
                    .await;
                if let Ok(keeper) = weak.upgrade()
                    && let Err(error) = keeper.purge(clock.now(), BATCH).await
                {
                    tracing::warn!(%error, "what was forgotten cannot be removed yet; the next purge does it");
                }
            };
            tokio::select! {
                () = due => {}
                _ = alive.changed() => {}
            }
        });
    }

    async fn revoke_all(&self, ended: Vec<Ended>) -> Vec<ForgottenGrant> {
        let (mut tasks, mut grants) = (JoinSet::new(), Vec::new());
        for (key, issued_by, body) in ended {
            if tasks.len() >= REVOKING {
                grants.extend(tasks.join_next().await.and_then(Result::ok));
            }
            let keeper = self.clone();
            tasks.spawn(async move {
                let at_provider = keeper.revoke_now(&key, &issued_by, body).await;
                ForgottenGrant { key, at_provider }
            });
        }
        while let Some(done) = tasks.join_next().await {
            grants.extend(done.ok());
        }
        grants.sort_by(|a, b| a.key.cmp(&b.key));
        grants
    }
}
