//! The token endpoint: asking it, and reading what it answers (RFC 6749 sections 3.2, 4.1.3, 4.4.2, 5 and 6; RFC 7009).
//!
//! oauth2's client builds each request and reads each success, through our own [`Reading`]. Between the two stands
//! [`exchange::Exchange`], which is its HTTP client: it authenticates, asks the hooks, sends, and keeps what oauth2's answer types
//! have no place for (status, `Retry-After`, whether a byte was sent). Grants that oauth2 does not know go the same way, through
//! [`TokenEndpoint::by_grant`]. Answers that are no success never reach oauth2: its
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

use super::{ClientAuthentication, Resolved, auth::Unnamed};
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

    /// Asks by any other grant (RFC 6749 section 4.5): `form` is what it consists of, beside scopes and resources. It wins over
    /// the registration's `access_token_params`.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it unknown whether what the grant rests on was spent.
    pub(crate) async fn by_grant(
        &self,
        kind: RequestKind,
        form: &[(String, Secret)],
        target: &Target,
        bounds: Bounds,
    ) -> Result<TokenAnswer, TokenFailure> {
        let exchange = self.exchange(kind, &[], &[], bounds);
        let answer = exchange
            .ask(self.form(&self.client.access_token_params, form, target, bounds.phase))
            .await?;
        if !answer.status.is_success() {
            return Err(exchange.refusal(&answer));
        }
        exchange.read(&answer)
    }

    /// The same by an assertion (RFC 7523 section 2.1). It says whom the token is for, so that a client without any means to
    /// authenticate does not name itself: providers look for a client of that name otherwise.
    pub(crate) async fn by_assertion(
        &self,
        assertion: &Secret,
        target: &Target,
        extra: &[(String, Secret)],
        bounds: Bounds,
    ) -> Result<TokenAnswer, TokenFailure> {
        let mut form = vec![
            ("grant_type".to_owned(), Secret::new(JWT_BEARER)),
            ("assertion".to_owned(), assertion.clone()),
        ];
        form.extend_from_slice(extra);
        let endpoint = if self.client.has_no_proof() {
            Self {
                authentication: &Unnamed,
                ..*self
            }
        } else {
            *self
        };
        endpoint
            .by_grant(RequestKind::AccessToken, &form, target, bounds)
            .await
    }

    /// Asks for a device code (RFC 8628 section 3.1). Any answer that is a success is one.
    pub(crate) async fn device_authorization(
        &self,
        form: &[(String, Secret)],
        target: &Target,
        bounds: Bounds,
    ) -> Result<Answer> {
        let exchange = self.exchange(RequestKind::DeviceAuthorization, &[], &[], bounds);
        let answer = exchange
            .ask(self.form(&[], form, target, bounds.phase))
            .await
            .map_err(|failure| failure.error)?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(exchange.refusal(&answer).error)
    }

    /// A form with the registration's parameters, as far as the call says nothing else.
    fn form(
        &self,
        registered: &[(String, String)],
        form: &[(String, Secret)],
        target: &Target,
        phase: Phase,
    ) -> TokenRequest {
        let mut request = TokenRequest::new(self.url.clone(), phase);
        for (name, value) in registered {
            request.append(name, value);
        }
        let between = if self.client.comma_separated_scopes {
            ","
        } else {
            " "
        };
        let scopes = target.scopes.join(between);
        let scope = (!scopes.is_empty()).then(|| ("scope".to_owned(), Secret::new(scopes)));
        let resources = target.resources.iter().map(|resource| {
            let value = Secret::new(resource.as_str());
            ("resource".to_owned(), value)
        });
        let all: Vec<_> = form.iter().cloned().chain(scope).chain(resources).collect();
        for (name, _) in &all {
            request.remove(name);
        }
        for (name, value) in &all {
            request.append(name, value.expose());
        }
        // What they are is the caller's affair; but for what every error may name, they are given as secrets.
        let named = [
            "grant_type",
            "requested_token_type",
            "subject_token_type",
            "actor_token_type",
            "audience",
        ];
        for (name, _) in form
            .iter()
            .filter(|(name, _)| !named.contains(&name.as_str()))
        {
            request.conceal(name);
        }
        request.set("client_id", self.client.client_id.as_str());
        request
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

/// The `grant_type` of RFC 7523 section 2.1.
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Parameters that only the protocol sets; a request hook can still change them.
pub(super) fn is_protocol(name: &str) -> bool {
    const PROTOCOL: [&str; 17] = [
        "grant_type",
        "code",
        "code_verifier",
        "redirect_uri",
        "refresh_token",
        "client_id",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
        "assertion",
        "device_code",
        "username",
        "password",
        "subject_token",
        "subject_token_type",
        "actor_token",
        "actor_token_type",
    ];
    PROTOCOL.contains(&name)
}

#[cfg(test)]
mod tests;
