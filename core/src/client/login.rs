//! The way back from the provider: the answer read, the code exchanged, everything validated. Nothing is kept here.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::Value;
use url::Url;

use super::{
    BrowserCookies, CallbackParams, Client, ClientState, Cookie, Flow, OpenFlow, check,
    oauth1::Legs,
};
use crate::{
    Error, ErrorCode, IdTokenChecks, IdTokenClaims, Phase, Result, Secret, Timestamp, Token,
    Userinfo,
    openid::IssuerRule,
    refresh::Binding,
    token::{Credential, TokenAnswer},
};

/// A login that came back and passed every check. Nothing is kept yet: that is
/// [`OAuth::keep_login`](crate::OAuth::keep_login), once it is known whose it is.
#[non_exhaustive]
pub struct Login {
    /// The client's name.
    pub client: String,
    /// The tokens.
    pub token: Token,
    /// The ID token's claims, if `openid` was asked for.
    pub claims: Option<IdTokenClaims>,
    /// The userinfo claims, if they were asked for at login.
    pub userinfo: Option<Userinfo>,
    /// The granted scopes; those that were asked for, if the provider does not say.
    pub scopes: Vec<String>,
    /// Where the browser wanted to go.
    pub return_to: Option<String>,
    /// The application's data of [`AuthorizeRedirect::flow_data`](crate::AuthorizeRedirect::flow_data).
    pub flow_data: Value,
    /// The owner who adds a grant, if this is no login.
    pub connect: Option<String>,
    /// The label of the owner's further account that the grant is for; empty for the one that everybody has.
    pub account: String,
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    /// The application's address, for its cookies; none if no browser brought it.
    pub(crate) base: Option<Url>,
    /// When the browser was sent to the provider, or the user asked.
    pub(crate) started_at: Timestamp,
    /// What else the answer with the token said (OAuth 1.0a).
    pub(crate) members: Vec<(String, Secret)>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("client", &self.client)
            .field("token", &self.token)
            .field("scopes", &self.scopes)
            .field("connect", &self.connect)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// A login that nobody made, for tests of an application without a provider: the claims are made up, the token is
    /// whatever the test says. It is kept by [`OAuth::keep_login`](crate::OAuth::keep_login) like any other.
    ///
    /// Never outside tests: it says that somebody proved who they are, and nobody did.
    ///
    /// # Errors
    /// Those of loading the metadata, if the registration names neither an issuer nor a token endpoint.
    pub async fn for_tests(client: &Client, subject: &str, token: Token) -> Result<Self> {
        let oauth = client.oauth()?;
        let state = client.state().await?;
        let binding = state.binding().await?;
        let redirect_uri = state.resolved.redirect_uri.as_deref();
        let base = oauth.base_for(redirect_uri.or(Some("http://localhost/")))?;
        let started_at = oauth.clock().now();
        let now = started_at.as_secs();
        let claims = serde_json::json!({
            "iss": binding.issuer.published(),
            "sub": subject,
            "aud": [binding.client_id],
            "iat": now,
            "exp": now + 3600,
        });
        // They are kept, and read back, as the text that came.
        let claims =
            serde_json::from_value(Value::String(claims.to_string())).map_err(|error| {
                let message = "the subject is not 1 to 255 bytes long";
                Error::new(ErrorCode::InvalidParameter, Phase::IdToken, message).with_source(error)
            })?;
        Ok(Self {
            claims: Some(claims),
            base: Some(base),
            ..Self::new(client, binding, token, started_at)
        })
    }

    /// By a token alone; what came beside it is the caller's to add.
    pub(super) fn new(
        client: &Client,
        binding: Binding,
        token: Token,
        started_at: Timestamp,
    ) -> Self {
        Self {
            client: client.name().to_owned(),
            scopes: token.scopes.clone().unwrap_or_default(),
            token,
            claims: None,
            userinfo: None,
            return_to: None,
            flow_data: Value::Null,
            connect: None,
            account: String::new(),
            issuer: binding.issuer.published().to_owned(),
            client_id: binding.client_id,
            base: None,
            started_at,
            members: Vec::new(),
        }
    }

    /// What an ID token and userinfo said. Of a template, the ID token names the one tenant that issued.
    pub(super) fn about(self, claims: Option<IdTokenClaims>, userinfo: Option<Userinfo>) -> Self {
        let issuer = claims.as_ref().map(|claims| claims.issuer().to_owned());
        Self {
            issuer: issuer.unwrap_or(self.issuer),
            claims,
            userinfo,
            ..self
        }
    }

    /// What the browser's flow said.
    pub(super) fn of_flow(self, flow: Flow, base: Url) -> Self {
        Self {
            return_to: flow.return_to,
            flow_data: flow.flow_data,
            connect: flow.connect,
            account: flow.account,
            base: Some(base),
            ..self
        }
    }

    /// What a provider of OAuth 1.0a said beside the token, such as `user_id` or `screen_name` (RFC 5849 section 2.3). What
    /// the browser brought is never among it.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&str> {
        let mut members = self.members.iter();
        let (_, value) = members.find(|(other, _)| other == name)?;
        Some(value.expose())
    }

    /// The provider's id of the user, if it named one: the `sub` of ID token or userinfo, or for OAuth 1.0a the `user_id`
    /// beside the token.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.claims
            .as_ref()
            .map(IdTokenClaims::subject)
            .or_else(|| self.userinfo.as_ref()?.subject())
            .or_else(|| self.member("user_id").filter(|id| is_subject(id)))
            // An empty one would be the same for everybody.
            .filter(|subject| !subject.is_empty())
    }

    /// The owner where the application maps none: the issuer and the subject, unique over all providers.
    ///
    /// # Errors
    /// `owner_unknown` if the provider named nobody.
    pub fn default_owner(&self) -> Result<String> {
        let subject = self.subject().ok_or_else(|| {
            Error::new(
                ErrorCode::OwnerUnknown,
                Phase::Owner,
                "the login names nobody: map it to an owner, or ask for `openid` or userinfo",
            )
            .with_client(&self.client)
        })?;
        let owner = format!("{}#{subject}", self.issuer);
        if owner.len() <= 255 {
            return Ok(owner);
        }
        // An owner is at most 255 bytes: the digest of a longer one is as unique.
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, owner.as_bytes());
        Ok(digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }
}

/// A login whose owner is known, on its way to be kept: what [`Hook::before_login_kept`](crate::Hook::before_login_kept)
/// sees.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoginKept<'a> {
    /// The login.
    pub login: &'a Login,
    /// The application's user.
    pub owner: &'a str,
}

impl Client {
    /// Reads the answer to a login (RFC 6749 section 4.1.2; RFC 5849 section 2.2), exchanges the code or the request token, and
    /// validates what comes.
    ///
    /// A login can be read once: afterwards its state is used up, whatever came of it. The cookie of
    /// [`Returned::removal`] should be set on every answer.
    ///
    /// # Errors
    /// `missing_parameter`, `invalid_parameter`, `state_mismatch`, `flow_expired`, `issuer_mismatch`, `access_denied`,
    /// `provider_error`, and those of the token endpoint and the ID token.
    ///
    /// # Cancel safety
    /// **Not** cancel safe: the code may be spent.
    pub async fn authorize_access_token(
        &self,
        params: &CallbackParams,
        cookies: &BrowserCookies,
        redirect_uri: Option<&str>,
    ) -> Returned {
        let found = async {
            let oauth = self.oauth()?;
            let state = self.state().await?;
            let redirect_uri = redirect_uri.or(state.resolved.redirect_uri.as_deref());
            let base = oauth.base_for(redirect_uri)?;
            let now = oauth.clock().now();
            let name = match state.resolved.oauth1 {
                None => params.state()?,
                Some(_) => params.request_token()?,
            };
            let flows = oauth.flow_cookies(&base);
            let open = flows.open(cookies.iter(), self.name(), name, now)?;
            Ok((state, open, base))
        }
        .await
        .map_err(|error: Error| error.with_client(self.name()));
        match found {
            Err(error) => Returned {
                removal: None,
                login: Err(error),
            },
            Ok((state, OpenFlow { flow, removal }, base)) => {
                let held = self.held_answer(params, cookies, &flow, &base);
                let login = self
                    .redeem(&state, held.as_ref().unwrap_or(params), flow, base)
                    .await
                    .map_err(|error| error.with_client(self.name()));
                Returned {
                    removal: Some(removal),
                    login,
                }
            }
        }
    }

    async fn redeem(
        &self,
        state: &Arc<ClientState>,
        params: &CallbackParams,
        mut flow: Flow,
        base: Url,
    ) -> Result<Login> {
        let oauth = self.oauth()?;
        // What may fail for a while comes before the flow is used up.
        let metadata = state.metadata().await?;
        let rule = state.issuer_rule().await?;
        let issuer = rule.as_ref().map(IssuerRule::published);
        oauth.use_up_flow(&flow).await?;
        oauth.fetch_flow_data(&mut flow).await?;
        if let Some(oauth1) = &state.resolved.oauth1 {
            let legs = Legs::of(state, oauth1);
            return self.redeem_verifier(&legs, params, flow, base).await;
        }
        if flow.token_secret.is_some() {
            return Err(another_protocol());
        }
        let iss_required = metadata.as_ref().is_some_and(|metadata| {
            metadata
                .value
                .authorization_response_iss_parameter_supported
                .unwrap_or(false)
        });
        if flow.issuer.as_deref() != issuer {
            return Err(Error::new(
                ErrorCode::IssuerMismatch,
                Phase::Callback,
                "the client was registered anew with another issuer while the login was under way",
            ));
        }
        let answered_by = rule.as_ref().map(|rule| rule.in_response(params.issuer()));
        let code = check(params, &flow, answered_by.as_deref(), iss_required)?;
        let clock = Arc::clone(oauth.clock());
        let asked_at = clock.now();
        let bounds = state.bounds(Phase::TokenRequest);
        let answer = state
            .at_token_endpoint(false, async |endpoint| {
                endpoint
                    .exchange_code(
                        code.secret(),
                        &flow.redirect_uri,
                        flow.verifier.as_ref(),
                        &[],
                        bounds,
                    )
                    .await
                    .map_err(|failure| failure.error)
            })
            .await?;
        let claims = if flow.is_openid() {
            let claims = validate_login(state, &answer, &flow, code.secret()).await?;
            // Of a template, it is one tenant that answered and that issued.
            if params
                .issuer()
                .is_some_and(|iss| Some(iss) != issuer && iss != claims.issuer())
            {
                return Err(Error::new(
                    ErrorCode::IssuerMismatch,
                    Phase::IdToken,
                    "the ID token was issued by another tenant than the authorization response names",
                ));
            }
            Some(claims)
        } else {
            None
        };
        let credential = credential_of(state, &answer)?;
        let token = token_of(answer, credential, &flow.scopes, asked_at, claims.is_some());
        let userinfo = match self
            .userinfo_at_login(state, &token, claims.as_ref())
            .await?
        {
            Some(userinfo) => Some(userinfo),
            None => self.brought_profile(state, params, claims.as_ref()).await?,
        };
        let binding = state.binding().await?;
        let login = Login::new(self, binding, token, flow.created_at);
        Ok(login.about(claims, userinfo).of_flow(flow, base))
    }

    /// Asks who it is that logged in, where the registration wants that or nothing else says it.
    pub(super) async fn userinfo_at_login(
        &self,
        state: &ClientState,
        token: &Token,
        claims: Option<&IdTokenClaims>,
    ) -> Result<Option<Userinfo>> {
        let resolved = &state.resolved;
        let nothing_else = claims.is_none() && resolved.userinfo_url.is_some();
        if !(resolved.userinfo_at_login || nothing_else) {
            return Ok(None);
        }
        let subject = claims.map(IdTokenClaims::subject);
        self.userinfo_with(token, subject).await.map(Some)
    }
}

/// What a callback came to, and the cookie that makes the browser forget the login.
#[derive(Debug)]
#[non_exhaustive]
pub struct Returned {
    /// Set it with every answer to the callback, good or bad. None if the browser had no such login.
    pub removal: Option<Cookie>,
    /// The login.
    pub login: Result<Login>,
}

/// Could it be a `sub` (OpenID Connect Core section 2)? It becomes a column of the store, and part of an owner.
fn is_subject(id: &str) -> bool {
    id.len() <= 255 && !id.chars().any(char::is_control)
}

/// The client was registered anew, for another protocol, while the login was under way.
pub(super) fn another_protocol() -> Error {
    Error::new(
        ErrorCode::StateMismatch,
        Phase::Callback,
        "the client was registered anew, for another version of OAuth, while the login was under way",
    )
}

async fn validate_login(
    state: &ClientState,
    answer: &TokenAnswer,
    flow: &Flow,
    code: &Secret,
) -> Result<IdTokenClaims> {
    let id_token = answer.id_token.as_ref().ok_or_else(|| {
        Error::new(
            ErrorCode::MissingIdToken,
            Phase::IdToken,
            "`openid` was asked for, and no ID token came",
        )
    })?;
    let mut checks = IdTokenChecks::new()
        .access_token(answer.access_token.expose())
        .code(code.expose());
    if let Some(nonce) = &flow.nonce {
        checks = checks.nonce(nonce.expose());
    }
    if let Some(seconds) = flow.max_age {
        checks = checks.max_age(Duration::from_secs(seconds));
    }
    if !flow.acr_values.is_empty() {
        checks = checks.acr_values(flow.acr_values.iter().map(String::as_str));
    }
    state.validate_and_remember(id_token, &checks).await
}

/// By what a login's token is shown; one that cannot be shown to an API is no login's.
fn credential_of(state: &ClientState, answer: &TokenAnswer) -> Result<Credential> {
    let refuse = |message| {
        Err(Error::new(
            ErrorCode::ProviderError,
            Phase::TokenRequest,
            message,
        ))
    };
    match &answer.credential {
        Some(Credential::Other { token_type }) => {
            let token_type = crate::error::excerpt(token_type);
            refuse(format!("the provider gave a token of the type {token_type:?}"))
        }
        Some(credential) => Ok(credential.clone()),
        None if state.resolved.assume_bearer => Ok(Credential::Bearer),
        None => refuse(
            "the token answer has no token_type; if this provider never sends one, say assume_bearer()".to_owned(),
        ),
    }
}

/// The token of an answer. Where the provider does not say what it granted, it is what was asked for.
pub(super) fn token_of(
    answer: TokenAnswer,
    credential: Credential,
    asked_for: &[String],
    asked_at: Timestamp,
    id_token_is_valid: bool,
) -> Token {
    Token {
        access_token: answer.access_token,
        credential,
        refresh_token: answer.refresh_token,
        // One that was not validated is not kept.
        id_token: answer.id_token.filter(|_| id_token_is_valid),
        expires_at: answer.expires_in.map(|time| asked_at + time),
        scopes: Some(answer.scopes.unwrap_or_else(|| asked_for.to_vec())),
        generation: 0,
    }
}

#[cfg(test)]
mod tests;
