//! How records begin and end: logins, adoption, sessions, expiry by hand, logout.

use std::{sync::Arc, time::Duration};

use super::{
    decide::{self, Fate, Homeless},
    keeper::Keeper,
    refusal::key_missing,
    snapshot::{Entry, Snapshot},
    source::ClientTerms,
    transact::{Announce, Done},
    transition::{
        self, Begin, INSERT_WITHIN, IssuedBy, Line, Login, LoginOutcome, Logout, Move, Terms,
    },
};
use crate::{
    Error, ErrorCode, Phase, Result, TokenKey,
    events::{Fingerprint, LogoutCause, Origin, Replaced, TokenUpdate},
    token::{GrantId, Payload, Record, Secret, State, Step},
};

impl Keeper {
    /// What a first look shows under a key: a login and a logout replace just that (rule 1).
    pub(crate) async fn first_look(&self, key: &TokenKey) -> Result<Option<Record>> {
        let entry = self.snapshots().entry(key);
        Ok(self.load(key, &entry).await?.0.record)
    }

    /// Keeps a login, unless its owner is [forgotten](Self::forget) meanwhile. If somebody else logs in or out at the same
    /// moment, theirs stays, and the new refresh token ends up nowhere (rule 11).
    pub(crate) async fn keep_login(
        &self,
        key: &TokenKey,
        login: Login,
        terms: &ClientTerms,
    ) -> Result<()> {
        let looked = self.0.clock.monotonic();
        let before = self.first_look(key).await?;
        let first = before.as_ref().map(|record| record.header.grant_id);
        let give_up = self.0.clock.monotonic() + self.0.timing.lease * 2;
        loop {
            let done = self
                .transact(key, Announce::Yes, |row, now| {
                    // One that was held up inserts nothing: its owner may have been forgotten long since.
                    let late = self.0.clock.monotonic().saturating_sub(looked) > INSERT_WITHIN;
                    if row.is_none() && late {
                        return Move::Stay(LoginOutcome::Superseded);
                    }
                    transition::login(row, first, &login, now)
                })
                .await?;
            match done.outcome {
                LoginOutcome::Kept { replaced } => {
                    if let Some(record) = &done.record {
                        self.told_login(key, record, done.now, replaced.as_ref())
                            .await;
                        if let Some(replaced) = replaced {
                            let issued_by = before.as_ref().map(IssuedBy::of).unwrap_or_default();
                            self.orphan(key, record, (issued_by, replaced), terms, done.now);
                        }
                    }
                    return Ok(());
                }
                // The answer of its write was lost, and somebody wrote on top of it: nobody was told yet.
                LoginOutcome::Mine => {
                    // Unless it was logged out on top of it: that is what everybody heard.
                    let alive = |record: &&Record| record.header.state != State::LoggedOut;
                    if let Some(record) = done.record.as_ref().filter(alive) {
                        self.told_login(key, record, done.now, None).await;
                    }
                    return Ok(());
                }
                LoginOutcome::Superseded if transition::forgotten(done.record.as_ref()) => {
                    let issued_by = IssuedBy::of_login(&login);
                    if let Some(refresh_token) = login.payload.refresh_token {
                        self.revoke_later(key, issued_by, refresh_token, "refresh_token");
                    }
                    return Err(self.forgotten_meanwhile(key));
                }
                LoginOutcome::Superseded => {
                    if let (Some(refresh_token), Some(record)) =
                        (&login.payload.refresh_token, &done.record)
                    {
                        let token = (IssuedBy::of_login(&login), refresh_token.clone());
                        self.orphan(key, record, token, terms, done.now);
                    }
                    return Ok(());
                }
                LoginOutcome::LeaseFirst => {
                    self.lease_for_login(key, &login, terms, give_up).await?
                }
                LoginOutcome::Grace { until } => {
                    self.0
                        .clock
                        .sleep(until.since(done.now).min(Duration::from_millis(250)))
                        .await;
                }
                LoginOutcome::KeyMissing => {
                    return Err(Error::new(
                        ErrorCode::KeyMissing,
                        Phase::Store,
                        "the stored refresh token is to be kept, and the key ring lacks its key",
                    )
                    .with_client(key.client()));
                }
            }
        }
    }

    /// Takes the lease for a login that keeps the stored refresh token (rule 8).
    async fn lease_for_login(
        &self,
        key: &TokenKey,
        login: &Login,
        terms: &ClientTerms,
        give_up: Duration,
    ) -> Result<()> {
        let entry = self.snapshots().entry(key);
        let timing = self.0.timing;
        loop {
            let Some(record) = self.load(key, &entry).await?.0.record else {
                return Ok(());
            };
            let line = Line::of(&record);
            let done = self
                .transact(key, Announce::Lease, |row, now| {
                    let lease = Terms {
                        now,
                        lease: timing.lease,
                        commit_budget: timing.commit_budget,
                        heed_cooling: false,
                    };
                    transition::begin(row, line, &login.attempt, &terms.binding, lease)
                })
                .await?;
            match done.outcome {
                Begin::Busy { .. } if self.0.clock.monotonic() < give_up => {
                    self.0.clock.sleep(Duration::from_millis(100)).await;
                }
                Begin::Busy { .. } => {
                    return Err(Error::new(
                        ErrorCode::RefreshUnavailable,
                        Phase::Store,
                        "a refresh is under way",
                    )
                    .with_client(key.client()));
                }
                Begin::Moved => {}
                // Granted; or the grant ended, and the login is an ordinary one now.
                _ => return Ok(()),
            }
        }
    }

    async fn told_login(
        &self,
        key: &TokenKey,
        record: &Record,
        now: crate::Timestamp,
        replaced: Option<&Secret>,
    ) {
        let entry = self.snapshots().entry(key);
        if !key.is_account() {
            entry.announce(record.header.generation, || {});
            return;
        }
        let mut changed = self.changed(key, record, now, Origin::Local);
        changed.token = record.login_token().map(Arc::new);
        changed.replaced = replaced.map(|token| Replaced {
            refresh_token: Some(Fingerprint::of(token)),
            ..Replaced::default()
        });
        let update = TokenUpdate::Issued(changed);
        let mut turn = None;
        entry.announce(record.header.generation, || {
            self.events().send(update.clone());
            turn = Some(entry.hook_turn());
        });
        let turn = turn.unwrap_or_else(|| entry.hook_turn());
        let keeper = self.clone();
        self.spawn(async move {
            let _turn = turn.await;
            keeper.0.source.after_update(&update).await;
        });
    }

    /// A refresh token that is kept nowhere any more (rule 11).
    fn orphan(
        &self,
        key: &TokenKey,
        record: &Record,
        (issued_by, token): (IssuedBy, Secret),
        terms: &ClientTerms,
        now: crate::Timestamp,
    ) {
        match decide::fate(Homeless::Overtaken, terms.profile) {
            Fate::Revoke => self.revoke_later(key, issued_by, token, "refresh_token"),
            Fate::Orphaned => self.tell(key, record, now, TokenUpdate::Orphaned),
        }
    }

    /// Keeps tokens that were issued elsewhere, if nothing was ever kept under the key. Answers whether it did.
    pub(crate) async fn adopt(&self, key: &TokenKey, login: Login) -> Result<bool> {
        debug_assert!(login.step == Step::Adopt);
        let done = self
            .transact(key, Announce::Yes, |row, now| {
                transition::login(row, None, &login, now)
            })
            .await?;
        match (done.outcome, &done.record) {
            (LoginOutcome::Kept { .. }, Some(record)) => {
                self.told_login(key, record, done.now, None).await;
                Ok(true)
            }
            (LoginOutcome::Mine, _) => Ok(true),
            _ => Ok(false),
        }
    }

    /// Lets the access token of a generation count as expired for the whole fleet. Answers whether it did.
    pub(crate) async fn expire(&self, key: &TokenKey, generation: Option<u64>) -> Result<bool> {
        let Some(record) = self.first_look(key).await? else {
            return Ok(false);
        };
        let line = Line::of(&record);
        if generation.is_some_and(|generation| generation != line.generation) {
            return Ok(false);
        }
        let done = self
            .transact(key, Announce::Yes, |row, now| {
                transition::expire(row, line, now)
            })
            .await?;
        Ok(done.outcome)
    }

    /// Logs a grant or session out. Answers what it held, if it could be read and was not logged out before.
    pub(crate) async fn log_out(
        &self,
        key: &TokenKey,
        first: Option<GrantId>,
        cause: LogoutCause,
    ) -> Result<Option<Box<Payload>>> {
        // There was no row, and one of before may be moving in at this moment.
        let moves_in =
            first.is_none() && key.is_account() && self.0.source.asks_for_missing(key.client());
        let done = self.end(key, first, moves_in, cause).await?;
        let is_over = !matches!(done.outcome, Logout::Superseded);
        let mut payload = held(done.outcome);
        if is_over && key.is_account() {
            let cleared = self.clear_elsewhere(key, done.record.is_some()).await;
            if moves_in {
                let again = self.end(key, None, moves_in, cause).await?;
                payload = payload.or_else(|| held(again.outcome));
            }
            cleared?;
        }
        Ok(payload)
    }

    /// Writes the tombstone, and tells of it. With `moves_in` a grant that was adopted since the first look ends too: it
    /// is no new login (rule 1), but what was there before.
    async fn end(
        &self,
        key: &TokenKey,
        first: Option<GrantId>,
        moves_in: bool,
        cause: LogoutCause,
    ) -> Result<Done<Logout>> {
        let tombstone = self.0.timing.tombstone;
        let done = self
            .transact(key, Announce::Yes, |row, now| {
                let adopted = row.filter(|record| moves_in && is_adopted(record));
                let first = first.or_else(|| adopted.map(|record| record.header.grant_id));
                transition::logout(row, first, now, tombstone)
            })
            .await?;
        if let (Logout::Done { .. }, Some(record)) = (&done.outcome, &done.record) {
            self.tell(key, record, done.now, |grant| TokenUpdate::LoggedOut {
                grant,
                cause,
            });
        }
        Ok(done)
    }

    /// A session that can be trusted to be there; none if it ended. A store that cannot be asked is an error: unlike an
    /// access token, a session is not served on doubt. Nor is one that cannot be opened an absent one.
    pub(crate) async fn session(&self, key: &TokenKey) -> Result<Option<Arc<Snapshot>>> {
        let entry: Arc<Entry> = self.snapshots().entry(key);
        let snapshot = self.snapshot(key, &entry).await?;
        let closed = |snapshot: &Arc<Snapshot>| snapshot.key_missing && snapshot.session.is_none();
        if snapshot.as_ref().is_some_and(closed) {
            return Err(key_missing(key));
        }
        Ok(snapshot.filter(|snapshot| snapshot.state == State::Active))
    }
}

/// What a logout ended.
fn held(ended: Logout) -> Option<Box<Payload>> {
    match ended {
        Logout::Done { payload } => payload,
        Logout::Already | Logout::Superseded => None,
    }
}

/// Did the grant begin elsewhere, with no login since?
fn is_adopted(record: &Record) -> bool {
    let took = |step| record.header.trail.iter().any(|entry| entry.step == step);
    took(Step::Adopt) && !took(Step::Login)
}
