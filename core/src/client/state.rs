//! What a registry knows of one client: its registration, and its provider's metadata and keys as far as they are loaded.

use std::sync::{Arc, Mutex, PoisonError};

use url::Url;

use super::{
    AssertionAudience, AuthMethod, Bounds, ClientAuthentication, Endpoint, Offer, Resolved,
    TokenEndpoint, auth::is_by_certificate, negotiate,
};
use crate::{
    Action, Error, ErrorCode, IdTokenChecks, IdTokenClaims, Phase, ProviderMetadata, Result,
    Secret, SigningAlgorithm,
    config::variable_name,
    hooks::{ClientHooks, Hooks},
    http::Http,
    openid::{
        Algorithms, Cached, IdTokenRules, IssuerRule, KeySet, Loaded, algorithm_of, validate_with,
    },
    refresh::Binding,
};

/// One registered client.
#[derive(Debug)]
pub(crate) struct ClientState {
    pub(crate) resolved: Resolved,
    pub(crate) http: Http,
    /// The client's own, then the registry's.
    pub(crate) hooks: Hooks,
    metadata: Option<Cached<ProviderMetadata>>,
    keys: Option<Cached<KeySet>>,
    /// By which the provider has signed this client's ID tokens, as far as this process has seen any.
    signs_by: Mutex<Vec<SigningAlgorithm>>,
}

/// An endpoint that the registration may name, and the metadata otherwise.
macro_rules! endpoints {
    ($($name:ident, $configured:ident, $published:ident;)*) => {
        $(
            /// The registration's, else the metadata's.
            pub(crate) async fn $name(&self) -> Result<Option<Url>> {
                match &self.resolved.$configured {
                    Some(url) => Ok(Some(url.clone())),
                    None => Ok(self.metadata().await?.and_then(|metadata| metadata.value.$published.clone())),
                }
            }
        )*
    };
}

impl ClientState {
    /// Nothing is loaded yet: that happens when it is needed.
    ///
    /// # Errors
    /// `invalid_configuration` for an issuer or inline keys that cannot be used.
    pub(crate) fn new(resolved: Resolved, http: Http, registry: &Hooks) -> Result<Self> {
        let rule = resolved.issuer_rule();
        let named = rule.as_ref().map(IssuerRule::published);
        let metadata = match (&resolved.server_metadata_url, &resolved.issuer) {
            (Some(url), _) => Some(Cached::of_metadata_url(
                http.clone(),
                url.clone(),
                named.map(str::to_owned),
            )),
            // With every endpoint named by hand an issuer is just a name to compare.
            (None, Some(_))
                if resolved.authorize_url.is_some() && resolved.access_token_url.is_some() =>
            {
                None
            }
            (None, Some(issuer)) => Some(Cached::of_issuer(
                http.clone(),
                issuer,
                named.unwrap_or(issuer),
            )?),
            (None, None) => None,
        };
        let keys = match (&resolved.jwks, &resolved.jwks_uri, &metadata) {
            (Some(jwks), _, _) => {
                Some(Cached::fixed(KeySet::parse(jwks.to_string().as_bytes())?.0))
            }
            (None, Some(url), _) => Some(Cached::keys_at(http.clone(), url.clone())),
            (None, None, Some(metadata)) => Some(Cached::keys_of(http.clone(), metadata.clone())),
            (None, None, None) => None,
        };
        Ok(Self {
            hooks: registry.behind(&resolved.hooks),
            resolved,
            http,
            metadata,
            keys,
            signs_by: Mutex::default(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.resolved.name
    }

    /// The hooks that its requests to the token endpoint meet.
    pub(crate) fn token_hooks(&self) -> ClientHooks<'_> {
        ClientHooks {
            hooks: &self.hooks,
            client: self.name(),
            clock: self.http.clock.as_ref(),
        }
    }

    /// Remembers by which algorithm a validated ID token was signed.
    fn saw_id_token(&self, raw: &str) {
        let mut seen = self.signs_by.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(algorithm) = algorithm_of(raw).filter(|algorithm| !seen.contains(algorithm)) {
            seen.push(algorithm);
        }
    }

    /// Validates an ID token.
    pub(super) async fn validate(
        &self,
        id_token: &str,
        checks: &IdTokenChecks<'_>,
    ) -> Result<IdTokenClaims> {
        let rules = self.id_token_rules().await?;
        let clock = self.http.clock.as_ref();
        validate_with(id_token, self.keys()?, &rules, checks, clock).await
    }

    /// The same for one that came beside a token: how the provider signs is remembered.
    pub(super) async fn validate_and_remember(
        &self,
        id_token: &Secret,
        checks: &IdTokenChecks<'_>,
    ) -> Result<IdTokenClaims> {
        let claims = self.validate(id_token.expose(), checks).await?;
        self.saw_id_token(id_token.expose());
        Ok(claims)
    }

    /// Has the provider signed ID tokens for this client, and none of them by this algorithm?
    pub(crate) fn never_signs_by(&self, algorithm: SigningAlgorithm) -> bool {
        let seen = self.signs_by.lock().unwrap_or_else(PoisonError::into_inner);
        !seen.is_empty() && !seen.contains(&algorithm)
    }

    /// The provider's metadata, if it has any.
    pub(crate) async fn metadata(&self) -> Result<Option<Arc<Loaded<ProviderMetadata>>>> {
        match &self.metadata {
            Some(metadata) => metadata
                .get()
                .await
                .map(Some)
                .map_err(|error| error.with_client(self.name())),
            None => Ok(None),
        }
    }

    endpoints! {
        authorization_endpoint, authorize_url, authorization_endpoint;
        token_endpoint, access_token_url, token_endpoint;
        userinfo_endpoint, userinfo_url, userinfo_endpoint;
        device_authorization_endpoint, device_authorization_url, device_authorization_endpoint;
        revocation_endpoint, revocation_url, revocation_endpoint;
        introspection_endpoint, introspection_url, introspection_endpoint;
        end_session_endpoint, end_session_url, end_session_endpoint;
    }

    /// The issuer as the provider's metadata names it, if the provider has one.
    pub(crate) async fn issuer(&self) -> Result<Option<String>> {
        let rule = self.issuer_rule().await?;
        Ok(rule.map(|rule| rule.published().to_owned()))
    }

    /// Which issuer is the right one, if the provider has one.
    pub(crate) async fn issuer_rule(&self) -> Result<Option<IssuerRule>> {
        match self.resolved.issuer_rule() {
            Some(rule) => Ok(Some(rule)),
            None => Ok(self
                .metadata()
                .await?
                .map(|metadata| IssuerRule::Exact(metadata.value.issuer.clone()))),
        }
    }

    /// To which registration its grants belong.
    pub(crate) async fn binding(&self) -> Result<Binding> {
        let issuer = match self.issuer_rule().await? {
            Some(rule) => rule,
            None => {
                let endpoint = self.token_endpoint().await?;
                let endpoint = self.required(endpoint, Phase::Configure, "token endpoint")?;
                IssuerRule::Exact(endpoint.into())
            }
        };
        Ok(Binding {
            issuer,
            client_id: self.resolved.client_id.clone(),
        })
    }

    /// An endpoint that there is no going on without.
    pub(crate) fn required(&self, url: Option<Url>, phase: Phase, what: &str) -> Result<Url> {
        url.ok_or_else(|| {
            let (code, message) = match self.metadata {
                Some(_) => (
                    ErrorCode::InvalidMetadata,
                    format!(
                        "the provider's metadata names no {what}; the registration may name it"
                    ),
                ),
                None => self.never_named(what),
            };
            Error::new(code, phase, message).with_client(self.name())
        })
    }

    /// What it means that a client without metadata has no such endpoint, and what to say of it.
    fn never_named(&self, what: &str) -> (ErrorCode, String) {
        let name = variable_name(self.name());
        let (code, remedy) = match what {
            // Neither OAuth 2.0 nor 1.0a has one: nothing is wrong with such a client.
            "userinfo endpoint" => (
                ErrorCode::Unsupported,
                "call userinfo_url() if the provider has one".to_owned(),
            ),
            "authorization endpoint" => (
                ErrorCode::InvalidConfiguration,
                format!("set {name}_AUTHORIZE_URL or call authorize_url()"),
            ),
            _ => (
                ErrorCode::InvalidConfiguration,
                format!("set {name}_ACCESS_TOKEN_URL or call access_token_url()"),
            ),
        };
        (code, format!("the client has no {what}: {remedy}"))
    }

    /// An endpoint, if there is one, and how the client authenticates there.
    pub(super) async fn at(
        &self,
        endpoint: Endpoint,
    ) -> Result<(Option<Url>, Arc<dyn ClientAuthentication>)> {
        let authentication = self.authentication(endpoint).await?;
        let resolved = &self.resolved;
        let (url, by_hand, name) = match endpoint {
            Endpoint::Token => (
                self.token_endpoint().await?,
                resolved.access_token_url.is_some(),
                "token_endpoint",
            ),
            Endpoint::DeviceAuthorization => (
                self.device_authorization_endpoint().await?,
                resolved.device_authorization_url.is_some(),
                "device_authorization_endpoint",
            ),
            Endpoint::Revocation => (
                self.revocation_endpoint().await?,
                resolved.revocation_url.is_some(),
                "revocation_endpoint",
            ),
            Endpoint::Introspection => (
                self.introspection_endpoint().await?,
                resolved.introspection_url.is_some(),
                "introspection_endpoint",
            ),
        };
        if by_hand {
            return Ok((url, authentication));
        }
        if !is_by_certificate(authentication.as_ref()) {
            self.check_assertions_reach(url.as_ref(), authentication.name())
                .await?;
            return Ok((url, authentication));
        }
        // Where certificates are asked for may be another host (RFC 8705 section 5).
        let metadata = self.metadata().await?;
        let alias =
            metadata.and_then(|metadata| metadata.value.mtls_endpoint_aliases.get(name).cloned());
        Ok((alias.or(url), authentication))
    }

    /// May this endpoint, which the metadata names, be shown an assertion? One that is for the token endpoint is good there,
    /// whoever brings it: another server could have it sent to itself, and use it in the client's name.
    async fn check_assertions_reach(&self, endpoint: Option<&Url>, method: &str) -> Result<()> {
        let by_assertion = [AuthMethod::ClientSecretJwt, AuthMethod::PrivateKeyJwt];
        let signs = by_assertion.iter().any(|known| known.as_str() == method);
        let Some(endpoint) = endpoint.filter(|_| signs) else {
            return Ok(());
        };
        let Some(token_endpoint) = self.token_endpoint().await? else {
            return Ok(());
        };
        let is_alone = self.assertion_audience().await?.as_deref() != Some(token_endpoint.as_str());
        if is_alone || endpoint.origin() == token_endpoint.origin() {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::InvalidMetadata,
            Phase::Configure,
            format!(
                "client assertions are for the token endpoint, and the metadata names an endpoint at {}, which could use them \
                 there: let them be for the issuer (client_assertion_audience), or name that endpoint in the registration",
                endpoint.origin().ascii_serialization()
            ),
        )
        .with_client(self.name()))
    }

    /// How the client authenticates at an endpoint. What the metadata does not say of the others is as at the token endpoint
    /// (RFC 8414 section 2 says basic; providers mean this).
    async fn authentication(&self, endpoint: Endpoint) -> Result<Arc<dyn ClientAuthentication>> {
        let metadata = self.metadata().await?;
        let published = metadata.as_ref().map(|metadata| &metadata.value);
        let (methods, algorithms) = match endpoint {
            Endpoint::Token | Endpoint::DeviceAuthorization => (None, None),
            Endpoint::Revocation => (
                published.and_then(|of| of.revocation_endpoint_auth_methods_supported.as_deref()),
                published.and_then(|of| {
                    of.revocation_endpoint_auth_signing_alg_values_supported
                        .as_deref()
                }),
            ),
            Endpoint::Introspection => (
                published
                    .and_then(|of| of.introspection_endpoint_auth_methods_supported.as_deref()),
                published.and_then(|of| {
                    of.introspection_endpoint_auth_signing_alg_values_supported
                        .as_deref()
                }),
            ),
        };
        let at_token =
            || published.and_then(|of| of.token_endpoint_auth_methods_supported.as_deref());
        let of_token = || {
            published.and_then(|of| {
                of.token_endpoint_auth_signing_alg_values_supported
                    .as_deref()
            })
        };
        let audience = self.assertion_audience().await?;
        negotiate(
            &self.resolved,
            &Offer {
                endpoint,
                methods: methods.or_else(at_token),
                algorithms: algorithms.or_else(of_token),
                audience: audience.as_deref(),
                clock: Arc::clone(&self.http.clock),
            },
        )
    }

    /// Whom client assertions are for, if anybody is known.
    pub(super) async fn assertion_audience(&self) -> Result<Option<String>> {
        let issuer = match &self.resolved.client_assertion_audience {
            AssertionAudience::Exactly(audience) => return Ok(Some(audience.clone())),
            AssertionAudience::TokenEndpoint => None,
            AssertionAudience::Issuer => match self.issuer_rule().await? {
                Some(IssuerRule::Exact(issuer)) => Some(issuer),
                // A template names nobody.
                _ => None,
            },
        };
        match issuer {
            Some(issuer) => Ok(Some(issuer)),
            None => Ok(self.token_endpoint().await?.map(Into::into)),
        }
    }

    /// Loads what a token request needs: its time is reckoned without that.
    pub(crate) async fn ready_for_token_requests(&self) -> Result<()> {
        self.at(Endpoint::Token).await.map(drop)
    }

    /// Runs something at the token endpoint (or the refresh endpoint, if there is one of its own).
    pub(crate) async fn at_token_endpoint<T, E: From<Error>>(
        &self,
        refresh: bool,
        run: impl AsyncFnOnce(TokenEndpoint<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.refuse_oauth1()?;
        let (url, authentication) = self.at(Endpoint::Token).await?;
        let url = match self.resolved.refresh_token_url.as_ref().filter(|_| refresh) {
            Some(url) => url.clone(),
            None => self.required(url, Phase::Configure, "token endpoint")?,
        };
        let hooks = self.token_hooks();
        run(self.endpoint(&url, authentication.as_ref(), &hooks)).await
    }

    /// An endpoint that is asked as the token endpoint is.
    pub(super) fn endpoint<'a>(
        &'a self,
        url: &'a Url,
        authentication: &'a dyn ClientAuthentication,
        hooks: &'a ClientHooks<'a>,
    ) -> TokenEndpoint<'a> {
        TokenEndpoint {
            http: &self.http,
            client: &self.resolved,
            url,
            authentication,
            hooks,
        }
    }

    /// For a request that no lease bounds.
    pub(super) fn bounds(&self, phase: Phase) -> Bounds {
        Bounds {
            timeout: self.http.timeout,
            phase,
        }
    }

    /// A server of OAuth 1.0a has no token endpoint, whatever asks for it.
    pub(super) fn refuse_oauth1(&self) -> Result<()> {
        if self.resolved.oauth1.is_none() {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::Unsupported,
            Phase::Refresh,
            "the client is one of OAuth 1.0a, whose tokens are never renewed nor issued without the user: they last until they \
             are revoked, and if the API refuses one, the user logs in again",
        )
        .with_action(Action::Login { connect_url: None })
        .with_client(self.name()))
    }

    /// Revokes a token (RFC 7009).
    ///
    /// # Errors
    /// `unsupported` if the provider has no revocation endpoint.
    pub(crate) async fn revoke(&self, token: &Secret, hint: &str) -> Result<()> {
        let (Some(url), authentication) = self.at(Endpoint::Revocation).await? else {
            return Err(Error::new(
                ErrorCode::Unsupported,
                Phase::Revoke,
                "the provider revokes no tokens",
            )
            .with_client(self.name()));
        };
        let hooks = self.token_hooks();
        let endpoint = self.endpoint(&url, authentication.as_ref(), &hooks);
        endpoint
            .revoke(token, hint, self.bounds(Phase::Revoke))
            .await
    }

    /// The provider's keys.
    pub(crate) fn keys(&self) -> Result<&Cached<KeySet>> {
        self.keys.as_ref().ok_or_else(|| {
            Error::new(
                ErrorCode::InvalidConfiguration,
                Phase::Keys,
                "the client has neither keys nor a place for them",
            )
            .with_client(self.name())
        })
    }

    /// What this client demands of every ID token.
    pub(crate) async fn id_token_rules(&self) -> Result<IdTokenRules> {
        let resolved = &self.resolved;
        let mut rules = self.rules(Phase::IdToken).await?;
        if let Some(algorithms) = resolved.id_token_algorithms {
            rules.algorithms = algorithms;
            rules.client_secret.clone_from(&resolved.client_secret);
        }
        rules.claim_checks.clone_from(&resolved.claim_checks);
        Ok(rules)
    }

    /// What this client demands of signed userinfo.
    pub(super) async fn userinfo_rules(&self) -> Result<IdTokenRules> {
        let resolved = &self.resolved;
        let mut rules = self.rules(Phase::Userinfo).await?;
        if let Some(algorithm) = resolved.userinfo_algorithm {
            rules.algorithms = Algorithms::from_iter([algorithm]);
            rules.client_secret.clone_from(&resolved.client_secret);
        }
        Ok(rules)
    }

    /// What both have in common.
    async fn rules(&self, phase: Phase) -> Result<IdTokenRules> {
        let issuer = self.issuer_rule().await?.ok_or_else(|| {
            Error::new(
                ErrorCode::InvalidConfiguration,
                phase,
                format!(
                    "the client has no issuer to compare with; call issuer() or set {}_ISSUER",
                    variable_name(self.name())
                ),
            )
            .with_client(self.name())
        })?;
        let resolved = &self.resolved;
        let mut rules = IdTokenRules::new(issuer, resolved.client_id.clone());
        rules.leeway = resolved.clock_leeway;
        rules
            .trusted_audiences
            .clone_from(&resolved.trusted_audiences);
        Ok(rules)
    }
}
