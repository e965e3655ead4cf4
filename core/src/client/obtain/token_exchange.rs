//! Token exchange (RFC 8693): a token for another one.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
};

use super::GrantRequest;
use crate::{Client, Error, ErrorCode, Login, Phase, Result, Secret, client::RequestKind};

/// What kind of token something is (RFC 8693 section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenKind {
    /// An OAuth 2.0 access token.
    AccessToken,
    /// An OAuth 2.0 refresh token.
    RefreshToken,
    /// An OpenID Connect ID token.
    IdToken,
    /// A JSON Web Token of any sort.
    Jwt,
    /// A SAML 1.1 assertion.
    Saml1,
    /// A SAML 2.0 assertion.
    Saml2,
    /// Another kind, by its URI.
    Other(String),
}

impl TokenKind {
    /// The URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::RefreshToken => "urn:ietf:params:oauth:token-type:refresh_token",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
            Self::Saml1 => "urn:ietf:params:oauth:token-type:saml1",
            Self::Saml2 => "urn:ietf:params:oauth:token-type:saml2",
            Self::Other(uri) => uri,
        }
    }

    fn of(uri: String) -> Self {
        [
            Self::AccessToken,
            Self::RefreshToken,
            Self::IdToken,
            Self::Jwt,
            Self::Saml1,
            Self::Saml2,
        ]
        .into_iter()
        .find(|known| known.as_str() == uri)
        .unwrap_or(Self::Other(uri))
    }
}

/// A token exchange: await it. [`Client::token_exchange`] begins one.
#[must_use = "nothing is asked before it is awaited"]
pub struct TokenExchange {
    request: GrantRequest,
    requested: Option<TokenKind>,
}

/// What a token exchange gave.
#[derive(Debug)]
#[non_exhaustive]
pub struct Exchanged {
    /// What kind of token it is. One that is no access token, and none to call an API with, cannot be kept.
    pub kind: TokenKind,
    /// The token; [`OAuth::keep_grant`](crate::OAuth::keep_grant) keeps it for somebody.
    pub login: Login,
}

impl Client {
    /// Exchanges a token for another one (RFC 8693): for another audience, with fewer scopes, or on behalf of somebody.
    ///
    /// ```no_run
    /// # async fn exchange(client: tokenkeep_core::Client, users: tokenkeep_core::Token) -> tokenkeep_core::Result<()> {
    /// use tokenkeep_core::TokenKind;
    ///
    /// let exchanged = client
    ///     .token_exchange(users.access_token().clone(), TokenKind::AccessToken)
    ///     .audience("inventory")
    ///     .scopes(["inventory.read"])
    ///     .await?;
    /// let answer = client.request_with(&exchanged.login.token, "GET".parse().unwrap(), "items").send().await?;
    /// # let _ = answer;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Awaited: those of [`GrantRequest`]; `provider_error` also where another kind of token was issued than asked for.
    pub fn token_exchange(
        &self,
        subject_token: impl Into<Secret>,
        kind: TokenKind,
    ) -> TokenExchange {
        let request = GrantRequest::new(
            self,
            "urn:ietf:params:oauth:grant-type:token-exchange",
            [
                ("subject_token", subject_token.into()),
                ("subject_token_type", kind.as_str().into()),
            ],
        );
        TokenExchange {
            request: GrantRequest {
                kind: RequestKind::TokenExchange,
                ..request
            },
            requested: None,
        }
    }
}

impl TokenExchange {
    /// Who acts, where that is somebody else than whom the token is about (RFC 8693 section 1.1).
    pub fn actor(mut self, actor_token: impl Into<Secret>, kind: TokenKind) -> Self {
        let form = &mut self.request.form;
        form.push(("actor_token".into(), actor_token.into()));
        form.push(("actor_token_type".into(), kind.as_str().into()));
        self
    }

    /// Which kind of token is wanted; without it the provider decides.
    pub fn requested(mut self, kind: TokenKind) -> Self {
        let form = &mut self.request.form;
        form.push(("requested_token_type".into(), kind.as_str().into()));
        self.requested = Some(kind);
        self
    }

    /// The service that the token is for, by the name that the provider has for it. It may be called again.
    pub fn audience(mut self, audience: impl Into<Secret>) -> Self {
        self.request.form.push(("audience".into(), audience.into()));
        self
    }

    /// The service that the token is for, by its address (RFC 8707). It may be called again.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.request = self.request.resource(resource);
        self
    }

    /// The scopes of the new token.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.request = self.request.scopes(scopes);
        self
    }

    /// Any other parameter.
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.request = self.request.parameter(name, value);
        self
    }

    async fn run(self) -> Result<Exchanged> {
        let client = self.request.client.clone();
        let (login, issued) = self.request.run().await?;
        // Required (RFC 8693 section 2.2.1).
        let wrong = |what: &str| {
            Err(
                Error::new(ErrorCode::ProviderError, Phase::TokenRequest, what)
                    .with_client(client.name()),
            )
        };
        match (issued.map(TokenKind::of), self.requested) {
            (None, _) => wrong("the answer does not say which kind of token was issued"),
            (Some(issued), Some(requested)) if issued != requested => {
                wrong("another kind of token was issued than asked for")
            }
            (Some(kind), _) => Ok(Exchanged { kind, login }),
        }
    }
}

impl IntoFuture for TokenExchange {
    type Output = Result<Exchanged>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for TokenExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange")
            .field("request", &self.request)
            .field("requested", &self.requested)
            .finish()
    }
}
