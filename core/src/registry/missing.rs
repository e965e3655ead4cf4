//! Tokens that the application kept before: adopted when somebody brings them, or asked for where the store has none.

use super::Clients;
use crate::{
    Error, ErrorCode, Owner, Phase, Registration, Result, Token, TokenKey,
    client::ClientState,
    closures::{Fetch, Keeping, call},
    refresh::Login,
    store::Index,
    token::{GrantId, Payload, Step},
};

/// A token of elsewhere as the record it becomes: bound to the registration as far as that is known without asking anybody.
pub(super) fn adoption(state: &ClientState, key: &TokenKey, token: Token) -> Login {
    Login {
        attempt: crate::seal::random_id(),
        grant_id: GrantId::random(),
        index: Index {
            issuer: state
                .resolved
                .issuer_rule()
                .and_then(|rule| rule.only().map(str::to_owned)),
            ..Index::default()
        },
        client_id: Some(state.resolved.client_id.clone()),
        payload: Payload::of(token, 0),
        never_rotates: false,
        step: Step::Adopt,
        // The application's own can be asked for anew, whatever was given.
        client_credentials: *key.owner() == Owner::App,
    }
}

impl Clients {
    /// The closures that a registration brings, checked against the registry's.
    pub(super) fn keeping_of(&self, registration: &Registration) -> Result<Option<Keeping>> {
        let name = registration.name();
        let closures = registration.closures();
        let keeping = closures
            .keeping()
            .map_err(|error| error.with_client(name))?;
        let wrong =
            |code, message| Err(Error::new(code, Phase::Configure, message).with_client(name));
        if keeping.is_none() && closures.on_missing.is_some() && self.parts.closures.for_all() {
            return wrong(
                ErrorCode::InvalidConfiguration,
                "on_missing at a client whose tokens the builder's fetch_token reads: that alone says what there is; remove \
                 one of the two",
            );
        }
        if keeping.is_none() && !self.parts.closures.for_all() && !self.parts.has_store {
            return wrong(
                ErrorCode::MissingStore,
                "this client has no token store: add .store(…) to the builder, or .fetch_token(…) and .update_token(…) to the \
                 builder or the registration",
            );
        }
        Ok(keeping)
    }

    /// A client of a source is looked up when its tokens are, and goes again after a minute: too late and too early to say
    /// where they are kept.
    pub(super) fn check_found(registration: &Registration) -> Result<()> {
        let closures = registration.closures();
        if closures.fetch.is_some() || closures.update.is_some() || closures.delete.is_some() {
            return Err(Error::new(
                ErrorCode::InvalidConfiguration,
                Phase::Configure,
                "a registration of a client source cannot bring closures that keep tokens; give them to the builder",
            )
            .with_client(registration.name()));
        }
        Ok(())
    }

    /// May there be somebody to ask for a client's tokens that the store has not?
    pub(super) fn may_ask_for_missing(&self, client: &str) -> bool {
        if self.parts.closures.keeping(client).is_some() {
            return false;
        }
        let known = self.registered(client).or_else(|| self.found(client));
        self.parts.on_missing.is_some()
            || known.map_or_else(
                || self.parts.source.is_some(),
                |state| state.resolved.on_missing.is_some(),
            )
    }

    /// Asks for a token that the store has not.
    pub(super) async fn ask_for_missing(&self, key: &TokenKey) -> Result<Option<Login>> {
        let state = self.state(key.client()).await?;
        let Some(ask) = state
            .resolved
            .on_missing
            .as_ref()
            .or(self.parts.on_missing.as_ref())
        else {
            return Ok(None);
        };
        let ask: &Fetch = ask;
        let token = call(|| ask(key.clone())).await.map_err(|error| {
            Error::new(
                ErrorCode::StoreUnavailable,
                Phase::Store,
                "on_missing failed: whether there is a token is not known",
            )
            .with_source(error)
        })?;
        Ok(token.map(|token| adoption(&state, key, token)))
    }
}
