//! Tokens by other grants than an authorization code. What comes is a [`Login`] like any other, and nothing of it is kept
//! before the application says whose it is.

mod device;
mod jwt_bearer;
mod token_exchange;

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
};

pub use device::{DeviceAuthorization, DeviceLogin};
pub use jwt_bearer::JwtBearer;
pub use token_exchange::{Exchanged, TokenExchange, TokenKind};

use super::{
    Client, ClientState, Login, RequestKind, login::token_of, registration::check_scope,
    token_endpoint::JWT_BEARER,
};
use crate::{
    Credential, Error, ErrorCode, IdTokenChecks, IdTokenClaims, Phase, Result, Secret, Target,
    Timestamp,
    token::{TokenAnswer, TokenFailure},
};

/// A request for a token by some grant: await it. What comes is a [`Login`], validated as any other and kept nowhere:
/// [`OAuth::keep_grant`](crate::OAuth::keep_grant) keeps it for somebody.
///
/// # Errors
/// Awaited: `invalid_parameter`; `provider_error` with what the provider said (`invalid_grant`: what the request rests on is
/// not accepted), `provider_unavailable`, those of loading the metadata, and those of the ID token if one came.
///
/// # Cancel safety
/// **Not** cancel safe: what the grant rests on may be spent.
#[must_use = "nothing is asked before it is awaited"]
pub struct GrantRequest {
    client: Client,
    kind: RequestKind,
    /// What the grant consists of.
    form: Vec<(String, Secret)>,
    /// What the application adds.
    parameters: Vec<(String, Secret)>,
    target: Target,
    /// Signed when it is sent.
    assertion: Option<JwtBearer>,
}

impl Client {
    /// Logs a user in by name and password (RFC 6749 section 4.3), for a provider that has nothing better.
    ///
    /// Legacy, for this grant should not be used any more (RFC 9700 section 2.4): the application sees the password, no second
    /// factor can be asked for, and users learn to give it away. The registration's scopes are asked for unless
    /// [`scopes`](GrantRequest::scopes) names others. Neither name nor password is kept, logged or shown.
    pub fn legacy_password_login(
        &self,
        username: impl Into<Secret>,
        password: impl Into<Secret>,
    ) -> GrantRequest {
        let form = [("username", username.into()), ("password", password.into())];
        GrantRequest::new(self, "password", form)
    }

    /// Gets a token by an assertion that is signed here (RFC 7523 section 2.1), for this once. A service account whose tokens are
    /// kept and renewed is registered: [`Registration::jwt_bearer`](crate::Registration::jwt_bearer).
    pub fn jwt_bearer(&self, assertion: JwtBearer) -> GrantRequest {
        GrantRequest {
            assertion: Some(assertion),
            ..GrantRequest::new(self, JWT_BEARER, [])
        }
    }

    /// Gets a token by an assertion that somebody else has signed (RFC 7523 section 2.1).
    pub fn assertion_grant(&self, assertion: impl Into<Secret>) -> GrantRequest {
        GrantRequest::new(self, JWT_BEARER, [("assertion", assertion.into())])
    }

    /// Gets a token by any other grant (RFC 6749 section 4.5): its `grant_type`, and
    /// [parameters](GrantRequest::parameter).
    ///
    /// ```no_run
    /// # async fn saml(client: tokenkeep_core::Client, assertion: String) -> tokenkeep_core::Result<()> {
    /// let login = client
    ///     .extension_grant("urn:ietf:params:oauth:grant-type:saml2-bearer")
    ///     .parameter("assertion", assertion)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn extension_grant(&self, grant_type: impl Into<String>) -> GrantRequest {
        GrantRequest::new(self, grant_type, [])
    }
}

impl GrantRequest {
    fn new<const N: usize>(
        client: &Client,
        grant_type: impl Into<String>,
        form: [(&str, Secret); N],
    ) -> Self {
        let grant_type = ("grant_type".to_owned(), Secret::new(grant_type));
        let form = form.map(|(name, value)| (name.to_owned(), value));
        Self {
            client: client.clone(),
            kind: RequestKind::AccessToken,
            form: [grant_type].into_iter().chain(form).collect(),
            parameters: Vec::new(),
            target: Target::login(),
            assertion: None,
        }
    }

    /// The scopes to ask for.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.target = Target::new(std::mem::take(&mut self.target.resources), scopes);
        self
    }

    /// The service that the token is for, by its address (RFC 8707). It may be called again.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        let mut resources = std::mem::take(&mut self.target.resources);
        resources.push(resource.into());
        self.target = Target::new(resources, std::mem::take(&mut self.target.scopes));
        self
    }

    /// A further parameter; a name may come again. What the grant itself consists of, and what proves who the client is, is
    /// refused here.
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    fn grant_type(&self) -> &str {
        self.form.first().map_or("", |(_, value)| value.expose())
    }

    /// # Errors
    /// `invalid_parameter`.
    fn check(&self) -> Result<()> {
        const OURS: [&str; 6] = [
            "grant_type",
            "client_id",
            "client_secret",
            "client_assertion",
            "client_assertion_type",
            "scope",
        ];
        let refuse = |message: String| {
            Err(Error::new(
                ErrorCode::InvalidParameter,
                Phase::TokenRequest,
                message,
            ))
        };
        if self.grant_type().trim().is_empty() {
            return refuse("the grant_type is empty".into());
        }
        let own = |name: &str| {
            OURS.contains(&name)
                || (name == "assertion" && self.assertion.is_some())
                || self.form.iter().any(|(own, _)| own == name)
        };
        if let Some((name, _)) = self.parameters.iter().find(|(name, _)| own(name)) {
            let name = crate::error::excerpt(name);
            return refuse(format!(
                "the parameter {name} belongs to the grant or the client and can't be given"
            ));
        }
        check_scopes(&self.target)
    }

    /// The login, and what kind of token the provider says it is.
    async fn run(self) -> Result<(Login, Option<String>)> {
        let name = self.client.name().to_owned();
        self.asked().await.map_err(|error| error.with_client(name))
    }

    async fn asked(mut self) -> Result<(Login, Option<String>)> {
        self.check()?;
        let oauth = self.client.oauth()?;
        let state = self.client.state().await?;
        // A login by name asks for what a login asks for; the others for what the caller says.
        let is_login = self.grant_type() == "password";
        if is_login && self.target.scopes.is_empty() {
            self.target = Target::new(
                std::mem::take(&mut self.target.resources),
                state.resolved.scopes.clone(),
            );
        }
        let mut form = std::mem::take(&mut self.form);
        form.append(&mut self.parameters);
        let started_at = oauth.clock().now();
        let mut bounds = state.bounds(Phase::TokenRequest);
        let signed = match &self.assertion {
            Some(assertion) => {
                assertion.check()?;
                let signed = state.sign_assertion(assertion, &self.target, &mut bounds);
                Some(signed.await?)
            }
            None => None,
        };
        let (kind, target) = (self.kind, &self.target);
        let asked = state.at_token_endpoint(false, async |endpoint| {
            let asked = match (&signed, given_assertion(&form)) {
                (Some(signed), _) => {
                    let target = signed.request_target(target);
                    endpoint
                        .by_assertion(&signed.text, &target, &form[1..], bounds)
                        .await
                }
                (None, Some(given)) => {
                    let rest: Vec<_> = form[1..]
                        .iter()
                        .filter(|(name, _)| name != "assertion")
                        .cloned()
                        .collect();
                    endpoint.by_assertion(given, target, &rest, bounds).await
                }
                (None, None) => endpoint.by_grant(kind, &form, target, bounds).await,
            };
            asked.map_err(|TokenFailure { error, .. }| error)
        });
        let answer = asked.await?;
        let asked = Asked {
            scopes: &self.target.scopes,
            started_at,
            asked_at: started_at,
            is_login,
            id_token_is_due: false,
        };
        let issued = answer.issued_token_type.clone();
        let login = self.client.login_of(&state, answer, asked).await?;
        Ok((login, issued))
    }
}

/// The assertion of a JWT bearer grant that somebody else has signed.
fn given_assertion(form: &[(String, Secret)]) -> Option<&Secret> {
    let find = |name: &str| form.iter().find(|(other, _)| other == name);
    find("grant_type").filter(|(_, value)| value.expose() == JWT_BEARER)?;
    find("assertion").map(|(_, value)| value)
}

/// Scopes are checked where they are asked for.
fn check_scopes(target: &Target) -> Result<()> {
    target.scopes.iter().try_for_each(|scope| {
        check_scope(scope).map_err(|error| {
            Error::new(
                ErrorCode::InvalidParameter,
                Phase::TokenRequest,
                error.message(),
            )
        })
    })
}

/// What a token was asked for.
struct Asked<'a> {
    scopes: &'a [String],
    /// When the user began.
    started_at: Timestamp,
    /// When the token was asked for.
    asked_at: Timestamp,
    /// Did a user log in? The provider is asked who it is then, as after any other login.
    is_login: bool,
    /// Must an ID token come, if `openid` was asked for?
    id_token_is_due: bool,
}

impl Client {
    /// Validates what came beside the token, and makes a login of it.
    async fn login_of(
        &self,
        state: &Arc<ClientState>,
        answer: TokenAnswer,
        asked: Asked<'_>,
    ) -> Result<Login> {
        let claims = self.claims_of(state, &answer, &asked).await?;
        // A token exchange may answer with what is no access token; it says of which kind it is.
        let credential = answer.credential.clone().unwrap_or(Credential::Bearer);
        let token = token_of(
            answer,
            credential,
            asked.scopes,
            asked.asked_at,
            claims.is_some(),
        );
        let userinfo = match asked.is_login {
            true => {
                self.userinfo_at_login(state, &token, claims.as_ref())
                    .await?
            }
            false => None,
        };
        let binding = state.binding().await?;
        Ok(Login::new(self, binding, token, asked.started_at).about(claims, userinfo))
    }

    /// The claims of the ID token, if one came that can be validated: for a client of a provider with an issuer. There is no
    /// nonce: no request went through a browser.
    async fn claims_of(
        &self,
        state: &ClientState,
        answer: &TokenAnswer,
        asked: &Asked<'_>,
    ) -> Result<Option<IdTokenClaims>> {
        let wanted = asked.scopes.iter().any(|scope| scope == "openid");
        let Some(id_token) = &answer.id_token else {
            if wanted && asked.id_token_is_due {
                return Err(Error::new(
                    ErrorCode::MissingIdToken,
                    Phase::IdToken,
                    "`openid` was asked for, and no ID token came",
                ));
            }
            return Ok(None);
        };
        if !wanted && (state.issuer_rule().await?.is_none() || state.keys().is_err()) {
            return Ok(None);
        }
        let checks = IdTokenChecks::new().access_token(answer.access_token.expose());
        state
            .validate_and_remember(id_token, &checks)
            .await
            .map(Some)
    }
}

impl IntoFuture for GrantRequest {
    type Output = Result<Login>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.run().await.map(|(login, _)| login) })
    }
}

impl fmt::Debug for GrantRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrantRequest")
            .field("client", &self.client)
            .field("grant_type", &self.grant_type())
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
