//! Revoking tokens at their provider (RFC 7009): at once, or in the background with retries.

use std::time::Duration;

use super::{forget::AtProvider, keeper::Keeper, transition::IssuedBy};
use crate::{
    ErrorCode, Secret, TokenKey,
    token::{Body, Payload},
};

/// How often a revocation is tried: over half a minute, and the time that the provider takes to answer.
const TRIES: u32 = 6;

/// How long it waits at most because the provider says so.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Keeper {
    /// Revokes a token in the background, with retries; [`drain`](Self::drain) waits for it. A failure is logged and nothing
    /// more.
    pub(crate) fn revoke_later(
        &self,
        key: &TokenKey,
        issued_by: IssuedBy,
        token: Secret,
        hint: &'static str,
    ) {
        self.revoke_in_turn(key, issued_by, vec![(token, hint)]);
    }

    /// The same for all that a grant held.
    pub(crate) fn revoke_all_later(&self, key: &TokenKey, issued_by: IssuedBy, payload: Payload) {
        self.revoke_in_turn(key, issued_by, tokens_of(payload).collect());
    }

    fn revoke_in_turn(
        &self,
        key: &TokenKey,
        issued_by: IssuedBy,
        tokens: Vec<(Secret, &'static str)>,
    ) {
        let (keeper, client) = (self.clone(), key.client().to_owned());
        self.spawn(async move {
            for (token, hint) in tokens {
                keeper
                    .revoke_with_retries(&client, &issued_by, &token, hint)
                    .await;
            }
        });
    }

    async fn revoke_with_retries(
        &self,
        client: &str,
        issued_by: &IssuedBy,
        token: &Secret,
        hint: &'static str,
    ) {
        for round in 1..=TRIES {
            let revoked = self.0.source.revoke(client, issued_by, token, hint);
            let error = match revoked.await {
                Ok(()) => return,
                Err(error) if error.code() == ErrorCode::Unsupported => return,
                Err(error) => error,
            };
            if round == TRIES {
                tracing::error!(%client, hint, %error, "a revocation is given up: the token lives at the provider until it is over");
                return;
            }
            tracing::warn!(%client, hint, %error, "a revocation failed; it is tried again");
            let back_off = Duration::from_secs(1 << (round - 1));
            let asked = error.retry_after().unwrap_or_default().min(LONGEST_WAIT);
            self.0.clock.sleep(back_off.max(asked)).await;
        }
    }

    /// Revokes what a grant held: the refresh token first, with which a provider ends the rest.
    pub(super) async fn revoke_now(
        &self,
        key: &TokenKey,
        issued_by: &IssuedBy,
        body: Body,
    ) -> AtProvider {
        let payload = match body {
            Body::Open { payload, .. } => payload,
            Body::KeyMissing { .. } => return AtProvider::KeyMissing,
            Body::Empty => return AtProvider::Nothing,
        };
        let mut outcome = AtProvider::Nothing;
        for (token, hint) in tokens_of(*payload) {
            let revoked = self.0.source.revoke(key.client(), issued_by, &token, hint);
            match revoked.await {
                Ok(()) if !matches!(outcome, AtProvider::Failed(_)) => {
                    outcome = AtProvider::Revoked;
                }
                Ok(()) => {}
                // Some revoke tokens of one kind only.
                Err(error) if error.code() == ErrorCode::Unsupported => {
                    if matches!(outcome, AtProvider::Nothing) {
                        outcome = AtProvider::Unsupported;
                    }
                }
                Err(error) => {
                    self.revoke_later(key, issued_by.clone(), token, hint);
                    outcome = AtProvider::Failed(error);
                }
            }
        }
        outcome
    }
}

/// What a grant held, the refresh token first.
fn tokens_of(payload: Payload) -> impl Iterator<Item = (Secret, &'static str)> {
    let refresh_token = payload.refresh_token.map(|token| (token, "refresh_token"));
    let access_tokens = payload.access_tokens.into_iter();
    refresh_token
        .into_iter()
        .chain(access_tokens.map(|access| (access.token, "access_token")))
}
