//! Asking what the provider knows of a token (RFC 7662).

use std::fmt;

use serde_json::{Map, Value};

use super::{Client, Endpoint, Grant};
use crate::{
    Error, ErrorCode, Phase, ProviderError, Result, Secret, Token, openid::has_each_member_once,
};

/// What a provider knows of a token (RFC 7662 section 2.2). `Debug` shows only whether it is active.
#[derive(Clone, PartialEq)]
pub struct Introspection {
    active: bool,
    members: Map<String, Value>,
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection")
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

impl Introspection {
    /// May the token be used now?
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// Any other member, such as `scope`, `sub` or `exp`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }
}

impl Client {
    /// Asks the provider what it knows of a token.
    ///
    /// # Errors
    /// `unsupported` if the provider has no introspection endpoint; `provider_error`, `provider_unavailable`.
    pub async fn introspect(&self, token: &Token) -> Result<Introspection> {
        self.introspected(token.access_token())
            .await
            .map_err(|error| self.explained(error))
    }

    async fn introspected(&self, token: &Secret) -> Result<Introspection> {
        let state = self.state().await?;
        let (Some(url), authentication) = state.at(Endpoint::Introspection).await? else {
            return Err(Error::new(
                ErrorCode::Unsupported,
                Phase::Introspect,
                "the provider has no introspection endpoint",
            ));
        };
        let hooks = state.token_hooks();
        let endpoint = state.endpoint(&url, authentication.as_ref(), &hooks);
        let bounds = state.bounds(Phase::Introspect);
        let answer = endpoint.introspect(token, bounds).await?;
        // Two members of one name are two answers.
        let text = std::str::from_utf8(&answer.body).ok();
        let members = text
            .filter(|text| answer.is_json() && has_each_member_once(text))
            .and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
        let active = members
            .as_ref()
            .and_then(|members| members.get("active")?.as_bool());
        match (members, active) {
            (Some(members), Some(active)) => Ok(Introspection { active, members }),
            _ => Err(Error::new(
                ErrorCode::ProviderError,
                Phase::Introspect,
                "the introspection answer is not a JSON object that says whether the token is active",
            )
            .with_provider(ProviderError {
                status: Some(answer.status.as_u16()),
                ..ProviderError::default()
            })),
        }
    }
}

impl Grant {
    /// Asks the provider what it knows of the access token, renewed if it is over.
    ///
    /// # Errors
    /// As [`token`](Self::token) and [`Client::introspect`].
    pub async fn introspect(&self) -> Result<Introspection> {
        let token = self.token().await?;
        self.client().introspect(&token).await
    }
}
