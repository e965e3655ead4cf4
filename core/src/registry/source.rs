//! The registered clients as the refresh protocol needs them: who asks their providers, and what is known of each.

use std::{
    sync::{
        PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::clients::Clients;
use crate::{
    Error, ErrorCode, IdTokenChecks, Phase, Result, Rotation, Secret, TokenKey, TokenUpdate,
    client::{Bounds, Renewal},
    hooks::Hooks,
    openid::{peek, read_again, validate_with},
    refresh::{Ask, ClientTerms, IssuedBy, Known, Login, TokenSource},
    token::{TokenAnswer, TokenFailure, Verdict},
};

impl Clients {
    /// The hooks of a client, or the registry's alone where the client is gone.
    async fn hooks_of(&self, client: &str) -> Hooks {
        match self.state(client).await {
            Ok(state) => state.hooks.clone(),
            Err(_) => self.parts.hooks.clone(),
        }
    }

    fn seen_never_to_rotate(&self, client: &str) -> bool {
        let seen = self
            .never_rotates
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        seen.get(client)
            .is_some_and(|never| never.load(Ordering::Relaxed))
    }

    /// A refresh answer without a refresh token: this provider keeps the old one.
    fn learn_rotation(&self, client: &str, answer: &TokenAnswer) {
        let never = answer.refresh_token.is_none();
        if never != self.seen_never_to_rotate(client) {
            let mut seen = self
                .never_rotates
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            seen.insert(client.to_owned(), AtomicBool::new(never));
        }
    }
}

#[async_trait]
impl TokenSource for Clients {
    async fn terms(&self, client: &str) -> Result<ClientTerms> {
        let state = self.state(client).await?;
        let mut profile = state.resolved.profile;
        if self.seen_never_to_rotate(client) {
            profile.rotation = Rotation::Never;
        }
        Ok(ClientTerms {
            binding: state.binding().await?,
            profile,
        })
    }

    async fn prepare(&self, client: &str) -> Result<()> {
        self.state(client).await?.ready_for_token_requests().await
    }

    fn known(&self, client: &str) -> Known {
        let state = self.registered(client).or_else(|| self.found(client));
        let resolved = state.as_ref().map(|state| &state.resolved);
        Known {
            leeway: resolved.and_then(|resolved| resolved.leeway),
            automatic: resolved.is_none_or(|resolved| resolved.automatic_refresh),
            issuer: resolved.and_then(|resolved| resolved.issuer_rule()),
            client_id: resolved.map(|resolved| resolved.client_id.clone()),
            followed: self.parts.closures.keeping(client).is_none(),
        }
    }

    fn kept_alive(&self) -> Vec<(String, Duration)> {
        let registered = self
            .registered
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        registered
            .iter()
            .filter_map(|(name, state)| Some((name.clone(), state.resolved.keep_alive?)))
            .collect()
    }

    async fn ask(&self, ask: Ask<'_>) -> Result<TokenAnswer, TokenFailure> {
        let not_sent = |error| TokenFailure {
            verdict: Verdict::NotSent,
            error,
        };
        let client = ask.key.client();
        let state = self.state(client).await.map_err(not_sent)?;
        let mut bounds = Bounds {
            timeout: ask.timeout,
            phase: Phase::Refresh,
        };
        let assertion = match &state.resolved.jwt_bearer {
            Some(assertion) if ask.refresh_token.is_none() => Some(
                state
                    .sign_assertion(assertion, ask.target, &mut bounds)
                    .await
                    .map_err(not_sent)?,
            ),
            _ => None,
        };
        let answer = state
            .at_token_endpoint(ask.refresh_token.is_some(), async |endpoint| {
                match ask.refresh_token {
                    Some(refresh_token) => {
                        endpoint
                            .refresh(
                                Renewal {
                                    refresh_token,
                                    target: ask.target,
                                },
                                &[],
                                bounds,
                            )
                            .await
                    }
                    None => match &assertion {
                        Some(assertion) => {
                            let target = assertion.request_target(ask.target);
                            endpoint
                                .by_assertion(&assertion.text, &target, &[], bounds)
                                .await
                        }
                        None => endpoint.client_credentials(ask.target, &[], bounds).await,
                    },
                }
            })
            .await?;
        if ask.refresh_token.is_some() {
            self.learn_rotation(client, &answer);
        }
        Ok(answer)
    }

    async fn check_id_token(
        &self,
        key: &TokenKey,
        id_token: &Secret,
        before: Option<&Secret>,
        subject: Option<&str>,
    ) -> Result<bool> {
        let state = self.state(key.client()).await?;
        // A provider that does not return the nonce it was sent may well return another one.
        let before = before
            .filter(|_| state.resolved.check_nonce)
            .and_then(|before| read_again(before.expose()));
        let mut checks = IdTokenChecks::new();
        if let Some(before) = &before {
            checks = checks.refresh_of(before);
        }
        if let Some(subject) = subject {
            checks = checks.subject(subject);
        }
        let ready = async {
            let rules = state.id_token_rules().await?;
            state.keys()?.get().await?;
            Ok::<_, Error>(rules)
        };
        // Nothing is wrong with the token if the keys cannot be had.
        let Ok(rules) = ready.await else {
            return Ok(false);
        };
        match validate_with(
            id_token.expose(),
            state.keys()?,
            &rules,
            &checks,
            self.parts.http.clock.as_ref(),
        )
        .await
        {
            Ok(_) => Ok(true),
            // The provider may publish its key later than it signs by it.
            Err(error) if error.code() == ErrorCode::MissingKey => Ok(false),
            Err(error) if error.phase() == Phase::IdToken => Err(error),
            Err(_) => Ok(false),
        }
    }

    fn names_another(
        &self,
        id_token: &Secret,
        issuer: Option<&str>,
        subject: Option<&str>,
        client_id: &str,
    ) -> bool {
        // One that cannot be read is found out by the full validation, behind the commit.
        peek(id_token.expose())
            .is_some_and(|peeked| peeked.differs_from(issuer, subject, client_id))
    }

    async fn revoke(
        &self,
        client: &str,
        issued_by: &IssuedBy,
        token: &Secret,
        hint: &str,
    ) -> Result<()> {
        let state = self.state(client).await?;
        if !state.binding().await?.issued(issued_by) {
            let message = "a token of a registration that was replaced is not revoked: its provider is not known any more, and \
                           another one must not see it";
            tracing::warn!(%client, hint, "{message}");
            return Err(
                Error::new(ErrorCode::Unsupported, Phase::Revoke, message).with_client(client)
            );
        }
        state.revoke(token, hint).await
    }

    async fn after_update(&self, update: &TokenUpdate) {
        let hooks = match update.key() {
            Some(key) => self.hooks_of(key.client()).await,
            None => self.parts.hooks.clone(),
        };
        hooks
            .after_update(update, self.parts.http.clock.as_ref())
            .await;
    }

    async fn after_logout(&self, key: &TokenKey) -> Result<()> {
        let hooks = self.hooks_of(key.client()).await;
        hooks
            .after_logout(key, self.parts.http.clock.as_ref())
            .await
    }

    fn asks_for_missing(&self, client: &str) -> bool {
        self.may_ask_for_missing(client)
    }

    async fn missing(&self, key: &TokenKey) -> Result<Option<Login>> {
        self.ask_for_missing(key).await
    }

    fn elsewhere(&self, owner: &str) -> Result<Vec<TokenKey>> {
        let mut keys = self.parts.closures.keys_of(owner);
        for client in self.names() {
            let kept = self.parts.closures.keeping(&client).is_some();
            let hooks = self.registered(&client);
            let hooks = hooks.map_or_else(|| self.parts.hooks.clone(), |state| state.hooks.clone());
            if kept || self.may_ask_for_missing(&client) || !hooks.is_empty() {
                keys.push(TokenKey::new(&client, owner)?);
            }
        }
        keys.sort();
        keys.dedup();
        Ok(keys)
    }
}

impl From<Error> for TokenFailure {
    /// What goes wrong before a request is made.
    fn from(error: Error) -> Self {
        Self {
            verdict: Verdict::NotSent,
            error,
        }
    }
}
