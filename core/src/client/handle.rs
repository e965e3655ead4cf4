//! The handle of a registered client.

use std::{fmt, sync::Arc};

use reqwest::{Method, Request};

use super::{ApiRequest, AuthorizeRedirect, ClientState, Grant, api::Bearer};
use crate::{
    Error, ErrorCode, IdTokenChecks, IdTokenClaims, OAuth, Phase, ProviderMetadata, Result, Token,
    TokenKey, current::current_owner, registry::Ready,
};

/// One registered client. Cheap to clone; nothing is loaded before it is needed.
#[derive(Clone)]
pub struct Client {
    oauth: OAuth,
    name: Arc<str>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.name).finish()
    }
}

impl Client {
    pub(crate) fn new(oauth: OAuth, name: Arc<str>) -> Self {
        Self { oauth, name }
    }

    /// The registered name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The registry that it belongs to.
    pub(crate) fn registry(&self) -> &OAuth {
        &self.oauth
    }

    pub(super) fn oauth(&self) -> Result<&Ready> {
        self.oauth.ready()
    }

    pub(crate) async fn state(&self) -> Result<Arc<ClientState>> {
        self.oauth.ready()?.client_state(&self.name).await
    }

    /// Starts a login: where the browser goes, and the cookies to set. Await it. A client of OAuth 1.0a asks for a request
    /// token then; with `oob` as redirect URI its provider shows the user a verifier, for
    /// [`CallbackParams::typed_in`](crate::CallbackParams::typed_in).
    ///
    /// # Errors
    /// `invalid_configuration`, `invalid_return_to`, `invalid_parameter`, and those of loading the metadata; for OAuth 1.0a
    /// `provider_unavailable` and `provider_error`.
    pub fn authorize_redirect(&self, redirect_uri: impl Into<String>) -> AuthorizeRedirect {
        AuthorizeRedirect::new(self.clone(), Some(redirect_uri.into()))
    }

    /// Starts a login with the one redirect URI of the registration.
    pub fn authorize(&self) -> AuthorizeRedirect {
        AuthorizeRedirect::new(self.clone(), None)
    }

    /// The one redirect URI of the registration, if it has one.
    ///
    /// # Errors
    /// `unknown_client`.
    pub async fn redirect_uri(&self) -> Result<Option<String>> {
        Ok(self.state().await?.resolved.redirect_uri.clone())
    }

    /// What paths of API requests are relative to, if the registration has it.
    ///
    /// # Errors
    /// `unknown_client`.
    pub async fn api_base_url(&self) -> Result<Option<url::Url>> {
        Ok(self.state().await?.resolved.api_base_url.clone())
    }

    /// Says to which client an error happened, and where the user logs in again.
    pub(super) fn explained(&self, error: Error) -> Error {
        self.explained_of(None, error)
    }

    /// The same of a grant: its address names the account, and holds what an API asked for.
    pub(super) fn explained_of(&self, key: Option<&TokenKey>, error: Error) -> Error {
        let ready = self.oauth.ready().ok();
        let url = ready.and_then(|ready| ready.connect_url_of(&self.name, key, &error));
        let error = error.with_client(&*self.name);
        match url {
            Some(url) => error.with_connect_url(url),
            None => error,
        }
    }

    /// What a user of the application has granted at this client.
    #[must_use]
    pub fn owner(&self, owner: &str) -> Grant {
        Grant::new(self.clone(), TokenKey::new(&self.name, owner))
    }

    /// What the application itself may do at this client: by the client's credentials (RFC 6749 section 4.4), or by the
    /// assertions of [`Registration::jwt_bearer`](crate::Registration::jwt_bearer) (RFC 7523). The token is kept and renewed like
    /// any other, once for the whole fleet.
    #[must_use]
    pub fn app(&self) -> Grant {
        Grant::new(self.clone(), TokenKey::app(&self.name))
    }

    /// The provider's metadata, if it publishes any.
    ///
    /// # Errors
    /// `provider_unavailable`, `provider_error`, `issuer_mismatch`, `invalid_metadata`.
    pub async fn metadata(&self) -> Result<Option<ProviderMetadata>> {
        Ok(self
            .state()
            .await?
            .metadata()
            .await?
            .map(|metadata| metadata.value.clone()))
    }

    /// Validates an ID token of this client's provider (OpenID Connect Core section 3.1.3.7, RFC 8725).
    ///
    /// # Errors
    /// Those of phase `id_token`, and those of loading the provider's keys.
    pub async fn parse_id_token(
        &self,
        id_token: &str,
        checks: &IdTokenChecks<'_>,
    ) -> Result<IdTokenClaims> {
        let state = self.state().await?;
        let claims = state.validate(id_token, checks).await;
        claims.map_err(|error| error.with_client(self.name()))
    }

    /// What the current owner has granted at this client: [`as_owner`](crate::as_owner) says who that is.
    ///
    /// # Errors
    /// `owner_missing` where nobody is.
    pub fn current(&self) -> Result<Grant> {
        current_owner()
            .map(|owner| self.owner(&owner))
            .ok_or_else(|| {
                Error::new(
                    ErrorCode::OwnerMissing,
                    Phase::Request,
                    "there is no current owner: run this within as_owner(…), or name one with client.owner(…)",
                )
                .with_client(self.name())
            })
    }

    /// A request that carries a token of the caller's own, kept or not: `request(…).token(&token)`.
    pub fn request_with(&self, token: &Token, method: Method, path: &str) -> ApiRequest {
        self.request(method, path).token(token)
    }

    /// A GET, as [`request`](Self::request).
    pub fn get(&self, path: &str) -> ApiRequest {
        self.request(Method::GET, path)
    }

    /// A POST, as [`request`](Self::request).
    pub fn post(&self, path: &str) -> ApiRequest {
        self.request(Method::POST, path)
    }

    /// A PUT, as [`request`](Self::request).
    pub fn put(&self, path: &str) -> ApiRequest {
        self.request(Method::PUT, path)
    }

    /// A PATCH, as [`request`](Self::request).
    pub fn patch(&self, path: &str) -> ApiRequest {
        self.request(Method::PATCH, path)
    }

    /// A DELETE, as [`request`](Self::request).
    pub fn delete(&self, path: &str) -> ApiRequest {
        self.request(Method::DELETE, path)
    }

    /// A request with the token of the [current owner](crate::as_owner), if there is one here and now. Otherwise say whose
    /// it carries, by [`token`](ApiRequest::token) or [`withhold_token`](ApiRequest::withhold_token), or call it on
    /// [`owner`](Self::owner) or [`app`](Self::app): it is refused as `owner_missing` if nobody does.
    pub fn request(&self, method: Method, path: &str) -> ApiRequest {
        ApiRequest::new(self.clone(), self.current_bearer(), method, path)
    }

    /// A request that was built elsewhere, by reqwest or by a generated client: treated as [`request`](Self::request).
    pub fn execute(&self, request: Request) -> ApiRequest {
        ApiRequest::of(self.clone(), self.current_bearer(), request)
    }

    fn current_bearer(&self) -> Bearer {
        self.current().map_or(Bearer::Nobodys, Bearer::Kept)
    }
}
