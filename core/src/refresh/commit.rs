//! From a good answer to a committed record, and what follows.

use std::{sync::Arc, time::Duration};

use serde_json::Map;

use super::{
    decide::{self, Fate, Homeless},
    keeper::Keeper,
    snapshot::Entry,
    source::ClientTerms,
    transact::Announce,
    transition::{self, Answered, Commit as Outcome, Line},
};
use crate::{
    ErrorCode, NeedsLoginCause, Result, Target, Timestamp, TokenKey,
    events::{Changed, Fingerprint, Origin, Replaced, TokenUpdate},
    measure,
    token::{AccessToken, Credential, Payload, Record, Secret, TokenAnswer},
};

/// An answer on its way into the store.
pub(super) struct Commit<'a> {
    pub(super) keeper: &'a Keeper,
    pub(super) key: &'a TokenKey,
    pub(super) entry: &'a Entry,
    pub(super) target: &'a Target,
    pub(super) attempt: &'a str,
    pub(super) line: Line,
    pub(super) terms: &'a ClientTerms,
    /// What the attempt began with.
    pub(super) begun: Payload,
    /// Whose grant it is, as far as that is known.
    pub(super) issuer: Option<String>,
    pub(super) subject: Option<String>,
}

impl Commit<'_> {
    /// Commits the answer, however long the store is away: until it is committed, superseded, replaced or logged out
    /// (G5). `served` is called once the token may be handed out, which is before the end if the store is away.
    pub(super) async fn run(
        &self,
        answer: TokenAnswer,
        asked_at: Timestamp,
        served: impl Fn() + Send,
    ) -> Result<()> {
        let keeper = self.keeper;
        for warning in &answer.warnings {
            tracing::warn!(key = %self.key.mark(), member = %warning, "a member of a token answer cannot be read");
        }
        let mut answered = self.answered(&answer, asked_at);
        let in_short = answer.in_short();
        let mut wait = Duration::from_millis(50);
        let mut told = false;
        let mut pending = None;
        let done = loop {
            let step = |row: transition::Row<'_>, now| {
                transition::commit(row, self.line, self.attempt, &self.begun, &answered, now)
                    .answered(&in_short)
            };
            match keeper.transact(self.key, Announce::Yes, step).await {
                Ok(done) => break done,
                // It does not fit beside the tokens of other targets: those can be asked for again.
                Err(error)
                    if error.code() == ErrorCode::InvalidToken && !answered.revokes_others =>
                {
                    answered.revokes_others = true;
                }
                Err(error) => {
                    tracing::warn!(key = %self.key.mark(), %error, "a commit is pending");
                    pending.get_or_insert_with(|| measure::CommitPending::of(self.key.client()));
                    if !told {
                        told = true;
                        if let Some(changed) = self.serve_pending(&answered, asked_at) {
                            keeper.events().send(TokenUpdate::CommitPending(changed));
                            served();
                        }
                    }
                    keeper.0.clock.sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(2));
                }
            }
        };
        drop(pending);
        let kept = matches!(done.outcome, Outcome::Done { .. } | Outcome::Mine);
        let outcome = if kept { "refreshed" } else { "lost" };
        measure::refresh_ended(self.key.client(), outcome);
        match (done.outcome, done.record) {
            (Outcome::Done { recovered }, Some(record)) => {
                self.committed(&record, &answer, &answered, done.now, recovered, served)
                    .await;
            }
            // The answer of its write was lost, and somebody wrote on top of it: nobody was told yet.
            (Outcome::Mine, Some(record)) => {
                self.committed(&record, &answer, &answered, done.now, false, served)
                    .await;
            }
            (Outcome::Gone, _) => self.lost(answered.refresh_token, Homeless::LoggedOut, done.now),
            (Outcome::Superseded { keeps_token: true }, _) => {}
            (Outcome::Superseded { .. } | Outcome::Replaced, _) => {
                self.lost(answered.refresh_token, Homeless::Overtaken, done.now);
            }
            (Outcome::Mine | Outcome::Done { .. }, None) => {}
        }
        Ok(())
    }

    fn answered(&self, answer: &TokenAnswer, asked_at: Timestamp) -> Answered {
        let credential = answer
            .credential
            .clone()
            .or_else(|| {
                self.begun
                    .access(self.target)
                    .map(|access| access.credential.clone())
            })
            .unwrap_or(Credential::Bearer);
        let identity_changed = answer.id_token.as_ref().is_some_and(|id_token| {
            self.keeper.0.source.names_another(
                id_token,
                self.issuer.as_deref(),
                self.subject.as_deref(),
                &self.terms.binding.client_id,
            )
        });
        let old_scopes = || {
            self.begun
                .access(self.target)
                .and_then(|access| access.scopes.clone())
        };
        Answered {
            access: AccessToken {
                target: self.target.clone(),
                token: answer.access_token.clone(),
                credential,
                expires_at: answer.expires_in.map(|time| asked_at + time),
                issued_at: Some(asked_at),
                scopes: answer.scopes.clone().or_else(old_scopes),
                issued_generation: 0,
                unknown: Map::new(),
            },
            refresh_token: answer.refresh_token.clone(),
            id_token: answer.id_token.clone(),
            identity_changed,
            revokes_others: self.terms.profile.refresh_revokes_access,
        }
    }

    /// Serves the new token from memory while the store is away.
    fn serve_pending(&self, answered: &Answered, asked_at: Timestamp) -> Option<Changed> {
        if answered.identity_changed {
            return None;
        }
        let keeper = self.keeper;
        let mut header = crate::token::Header::new(self.line.grant_id, self.line.generation);
        header.refreshable = true;
        let mut row = Record::new(header, crate::store::Index::default(), Payload::default());
        row.set_payload(self.begun.clone());
        let step = transition::commit(
            Some(&row),
            self.line,
            self.attempt,
            &self.begun,
            answered,
            asked_at,
        );
        let transition::Move::Write(record, _) = step else {
            return None;
        };
        let seen = keeper
            .0
            .snapshots
            .look(self.entry, keeper.0.clock.monotonic());
        keeper.install_record(self.key, self.entry, &record, asked_at, seen);
        Some(keeper.changed(self.key, &record, asked_at, Origin::Local))
    }

    /// Behind the commit: the event, the ID token's full validation, the hooks.
    async fn committed(
        &self,
        record: &Record,
        answer: &TokenAnswer,
        answered: &Answered,
        now: Timestamp,
        recovered: bool,
        served: impl Fn() + Send,
    ) {
        let keeper = self.keeper;
        let mut changed = keeper.changed(self.key, record, now, Origin::Local);
        changed.token = record.login_token().map(Arc::new);
        let old = self
            .begun
            .access(self.target)
            .map(|access| Fingerprint::of(&access.token));
        let old_refresh = self
            .begun
            .refresh_token
            .as_ref()
            .filter(|_| answer.refresh_token.is_some());
        changed.replaced = Some(Replaced {
            access_token: old,
            refresh_token: old_refresh.map(Fingerprint::of),
        });
        let update = if answered.identity_changed {
            let cause = NeedsLoginCause::IdentityChanged;
            TokenUpdate::NeedsLogin {
                grant: changed.clone(),
                cause,
            }
        } else {
            TokenUpdate::Refreshed(changed.clone())
        };
        self.entry.announce(changed.generation, || {
            keeper.events().send(update.clone());
            if recovered {
                keeper.events().send(TokenUpdate::Recovered(changed));
            }
        });
        if let Some(id_token) = answer
            .id_token
            .as_ref()
            .filter(|_| !answered.identity_changed)
        {
            self.check_id_token(id_token, record, now).await;
        }
        // Nobody waits for a hook.
        let turn = self.entry.hook_turn();
        served();
        let _turn = turn.await;
        keeper.0.source.after_update(&update).await;
    }

    async fn check_id_token(&self, id_token: &Secret, record: &Record, now: Timestamp) {
        let keeper = self.keeper;
        let error = match keeper
            .0
            .source
            .check_id_token(
                self.key,
                id_token,
                self.begun.id_token.as_ref(),
                self.subject.as_deref(),
            )
            .await
        {
            Ok(true) => return,
            Ok(false) => {
                tracing::warn!(key = %self.key.mark(), "the ID token of a refresh cannot be validated now; the old claims stay");
                return;
            }
            Err(error) => error,
        };
        tracing::warn!(key = %self.key.mark(), %error, "the ID token of a refresh is wrong: its access token is taken back");
        let line = Line::of(record);
        let held = keeper
            .transact(self.key, Announce::Yes, |row, now| {
                transition::quarantine(row, line, now)
            })
            .await;
        match held {
            Ok(done) if done.outcome => {
                keeper.tell(self.key, record, now, |grant| TokenUpdate::NeedsLogin {
                    grant,
                    cause: NeedsLoginCause::IdentityChanged,
                })
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(key = %self.key.mark(), %error, "a quarantine could not be written")
            }
        }
    }

    /// A refresh token that ends up nowhere (rule 11).
    fn lost(&self, refresh_token: Option<Secret>, homeless: Homeless, now: Timestamp) {
        let Some(refresh_token) = refresh_token else {
            return;
        };
        match decide::fate(homeless, self.terms.profile) {
            Fate::Revoke => self.keeper.revoke_later(
                self.key,
                (&self.terms.binding).into(),
                refresh_token,
                "refresh_token",
            ),
            Fate::Orphaned => {
                self.keeper
                    .tell_line(self.key, self.line, now, TokenUpdate::Orphaned);
            }
        }
    }
}
