//! The token endpoint: asking it, and reading what it answers (RFC 6749 sections 3.2, 4.1.3, 4.4.2, 5 and 6; RFC 7009).
//!
//! oauth2's client builds each request and reads each success, through our own [`Reading`]. Between the two stands
//! [`exchange::Exchange`], which is its HTTP client: it authenticates, asks the hooks, sends, and keeps what oauth2's answer types
//! have no place for (status, `Retry-After`, whether a byte was sent). Answers that are no success never reach oauth2: its
//! reader takes status 200 for the only success and loses the rest. Revocation is built here, since oauth2 refuses a
//! revocation endpoint on loopback.

mod exchange;
mod reading;
mod request;
mod verdict;

use std::{borrow::Cow, sync::Mutex, time::Duration};

use exchange::Exchange;
use oauth2::{
    AuthType, AuthorizationCode, EndpointNotSet, EndpointSet, PkceCodeVerifier, RedirectUrl,
    RefreshToken, Scope, StandardRevocableToken, StandardTokenIntrospectionResponse, TokenUrl,
    basic::{BasicErrorResponse, BasicRevocationErrorResponse},
};
use reading::{Reading, TokenTypeText};
#[cfg(any(test, fuzzing))]
pub(crate) use request::NoHooks;
pub use request::TokenRequest;
pub(crate) use request::{RequestKind, TokenHooks};
use url::Url;
pub(super) use verdict::describe;
pub(crate) use verdict::scrub;

use super::{ClientAuthentication, Resolved};
use crate::{
    Action, Error, ErrorCode, Phase, Result, Secret, Target,
    http::{Answer, Http},
    token::{TokenAnswer, TokenFailure},
};

type OAuth2Client = oauth2::Client<
    BasicErrorResponse,
    Reading,
    StandardTokenIntrospectionResponse<oauth2::EmptyExtraTokenFields, TokenTypeText>,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// One endpoint of one client, with everything that a request needs.
#[derive(Clone, Copy)]
pub(crate) struct TokenEndpoint<'a> {
    pub(crate) http: &'a Http,
    pub(crate) client: &'a Resolved,
    /// Where to: the token endpoint, the refresh endpoint or, for [`revoke`](Self::revoke), the revocation endpoint.
    pub(crate) url: &'a Url,
    pub(crate) authentication: &'a dyn ClientAuthentication,
    pub(crate) hooks: &'a dyn TokenHooks,
}

/// How long a request may take, and for what it is.
///
/// The time covers hooks, client authentication, sending and the whole answer, on the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) timeout: Duration,
    pub(crate) phase: Phase,
}

/// What to refresh.
#[derive(Clone, Copy)]
pub(crate) struct Renewal<'a> {
    pub(crate) refresh_token: &'a Secret,
    /// The login's own target asks for what was granted: no `scope` and no `resource` is sent.
    pub(crate) target: &'a Target,
}

impl TokenEndpoint<'_> {
    /// Exchanges an authorization code (RFC 6749 section 4.1.3). `extra` wins over the registration's
    /// `access_token_params`.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it unknown whether the code was spent.
    pub(crate) async fn exchange_code(
        &self,
        code: &Secret,
        redirect_uri: &str,
        verifier: Option<&Secret>,
        extra: &[(String, String)],
        bounds: Bounds,
    ) -> Result<TokenAnswer, TokenFailure> {
        let exchange = self.exchange(
            RequestKind::AccessToken,
            &self.client.access_token_params,
            extra,
            bounds,
        );
        let redirect_uri = RedirectUrl::new(redirect_uri.to_owned()).map_err(|_| {
            exchange.not_sent(ErrorCode::InvalidParameter, "the redirect URI is no URL")
        })?;
        let client = self.oauth2_client();
        let mut request = client
            .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
            .set_redirect_uri(Cow::Owned(redirect_uri));
        if let Some(verifier) = verifier {
            request =
                request.set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()));
        }
        let outcome = request.request_async(&exchange).await;
        exchange.finish(outcome)
    }

    /// Refreshes (RFC 6749 section 6), for one target if the renewal names one (RFC 8707 section 2.2). `extra` wins over
    /// the registration's `refresh_token_params`.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it unknown whether the refresh token was spent.
    pub(crate) async fn refresh(
        &self,
        renewal: Renewal<'_>,
        extra: &[(String, String)],
        bounds: Bounds,
    ) -> Result<TokenAnswer, TokenFailure> {
        let extra = with_resources(renewal.target, extra);
        let exchange = self.exchange(
            RequestKind::Refresh,
            &self.client.refresh_token_params,
            &extra,
            bounds,
        );
        let client = self.oauth2_client();
        let refresh_token = RefreshToken::new(renewal.refresh_token.expose().to_owned());
        let outcome = client
            .exchange_refresh_token(&refresh_token)
            .add_scopes(scopes(renewal.target))
            .request_async(&exchange)
            .await;
        exchange.finish(outcome)
    }

    /// Asks for a token of the client itself (RFC 6749 section 4.4.2). `extra` wins over the registration's
    /// `access_token_params`.
    pub(crate) async fn client_credentials(
        &self,
        target: &Target,
        extra: &[(String, String)],
        bounds: Bounds,
    ) -> Result<TokenAnswer, TokenFailure> {
        let extra = with_resources(target, extra);
        let exchange = self.exchange(
            RequestKind::AccessToken,
            &self.client.access_token_params,
            &extra,
            bounds,
        );
        let client = self.oauth2_client();
        let outcome = client
            .exchange_client_credentials()
            .add_scopes(scopes(target))
            .request_async(&exchange)
            .await;
        exchange.finish(outcome)
    }

    /// Revokes a token (RFC 7009). `hint` is `access_token` or `refresh_token`.
    ///
    /// # Errors
    /// `unsupported` if the provider does not revoke tokens of this kind; otherwise as for a token request.
    pub(crate) async fn revoke(&self, token: &Secret, hint: &str, bounds: Bounds) -> Result<()> {
        let exchange = self.exchange(RequestKind::Revoke, &[], &[], bounds);
        let mut request = TokenRequest::new(self.url.clone(), bounds.phase);
        request.append("token", token.expose());
        request.append("token_type_hint", hint);
        request.append("client_id", self.client.client_id.as_str());
        let refused = |failure: TokenFailure| failure.error;
        let answer = exchange.ask(request).await.map_err(refused)?;
        if answer.status.is_success() {
            return Ok(());
        }
        let failure = exchange.refusal(&answer);
        let unsupported = failure
            .error
            .provider()
            .is_some_and(|said| said.error.as_deref() == Some("unsupported_token_type"));
        if !unsupported {
            return Err(failure.error);
        }
        let error = Error::new(
            ErrorCode::Unsupported,
            bounds.phase,
            "the provider does not revoke tokens of this kind",
        )
        .with_action(Action::None)
        .with_client(&self.client.name);
        Err(match failure.error.provider() {
            Some(said) => error.with_provider(said.clone()),
            None => error,
        })
    }

    /// Asks what the provider knows of a token (RFC 7662).
    pub(crate) async fn introspect(&self, token: &Secret, bounds: Bounds) -> Result<Answer> {
        let exchange = self.exchange(RequestKind::Introspect, &[], &[], bounds);
        let mut request = TokenRequest::new(self.url.clone(), bounds.phase);
        request.append("token", token.expose());
        request.append("token_type_hint", "access_token");
        request.append("client_id", self.client.client_id.as_str());
        let answer = exchange
            .ask(request)
            .await
            .map_err(|failure| failure.error)?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(exchange.refusal(&answer).error)
    }

    fn exchange<'b>(
        &'b self,
        kind: RequestKind,
        registered: &'b [(String, String)],
        extra: &'b [(String, String)],
        bounds: Bounds,
    ) -> Exchange<'b> {
        Exchange {
            endpoint: self,
            kind,
            registered,
            extra,
            bounds,
            seen: Mutex::default(),
        }
    }

    /// It gets no secret: it would authenticate by itself. `client_id` in the form is where
    /// [`ClientAuthentication`] starts from.
    fn oauth2_client(&self) -> OAuth2Client {
        oauth2::Client::new(oauth2::ClientId::new(self.client.client_id.clone()))
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(TokenUrl::from_url(self.url.clone()))
    }
}

fn scopes(target: &Target) -> impl Iterator<Item = Scope> {
    target.scopes.iter().cloned().map(Scope::new)
}

fn with_resources(target: &Target, extra: &[(String, String)]) -> Vec<(String, String)> {
    let mut all: Vec<_> = target
        .resources
        .iter()
        .map(|resource| ("resource".to_owned(), resource.clone()))
        .collect();
    all.extend_from_slice(extra);
    all
}

/// Parameters that only the protocol sets; a request hook can still change them.
pub(super) fn is_protocol(name: &str) -> bool {
    const PROTOCOL: [&str; 9] = [
        "grant_type",
        "code",
        "code_verifier",
        "redirect_uri",
        "refresh_token",
        "client_id",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
    ];
    PROTOCOL.contains(&name)
}

#[cfg(test)]
mod tests;
