//! Registration and settings made one: explicit wins, settings fill gaps, everything is checked.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::header::HeaderName;
use serde_json::{Map, Value};
use url::Url;

use super::{
    OAuth1Parts, Pkce, Placement, Registration, ResponseMode, authentication,
    openid::{algorithm, check_issuer_template, check_secret_algorithms},
    quirks::{check_quirks, client_id_header, userinfo_parts},
};
use crate::{
    ConfigSource, Error, ErrorCode, Hook, Phase, ProviderProfile, Result, Secret,
    client::{
        AssertionAudience, AuthMethod, ClientAuthentication, JwtBearer, Signer, authorize,
        token_endpoint,
    },
    closures::Fetch,
    config::{ClientSettings, invalid, variable_name},
    http,
    oauth1::{self, OAuth1, OOB},
    openid::{Algorithms, ClaimChecks, IssuerRule, IssuerTemplate, SigningAlgorithm},
};

/// A client as it is used: every part typed and checked.
#[derive(Clone)]
pub(crate) struct Resolved {
    pub(crate) name: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) scopes: Vec<String>,
    /// Exactly as it was written: issuers are compared as text.
    pub(crate) issuer: Option<String>,
    /// Which tenants of the issuer may issue, if it has tenants.
    pub(crate) issuer_template: Option<IssuerTemplate>,
    pub(crate) server_metadata_url: Option<Url>,
    pub(crate) authorize_url: Option<Url>,
    pub(crate) access_token_url: Option<Url>,
    pub(crate) refresh_token_url: Option<Url>,
    pub(crate) userinfo_url: Option<Url>,
    pub(crate) revocation_url: Option<Url>,
    pub(crate) introspection_url: Option<Url>,
    pub(crate) device_authorization_url: Option<Url>,
    pub(crate) end_session_url: Option<Url>,
    pub(crate) jwks_uri: Option<Url>,
    pub(crate) jwks: Option<Value>,
    pub(crate) api_base_url: Option<Url>,
    /// Beside the origin of `api_base_url`.
    pub(crate) allowed_origins: Vec<Url>,
    pub(crate) authorize_params: Vec<(String, String)>,
    pub(crate) access_token_params: Vec<(String, String)>,
    pub(crate) refresh_token_params: Vec<(String, String)>,
    pub(crate) token_endpoint_auth_method: Option<AuthMethod>,
    pub(crate) revocation_endpoint_auth_method: Option<AuthMethod>,
    pub(crate) introspection_endpoint_auth_method: Option<AuthMethod>,
    pub(crate) token_endpoint_auth_signing_alg: Option<SigningAlgorithm>,
    pub(crate) signing_key: Option<Arc<dyn Signer>>,
    pub(crate) client_assertion_audience: AssertionAudience,
    pub(crate) client_assertion_claims: Map<String, Value>,
    /// How the application's own tokens are got; none: by the client's credentials.
    pub(crate) jwt_bearer: Option<JwtBearer>,
    pub(crate) client_authentication: Option<Arc<dyn ClientAuthentication>>,
    pub(crate) raw_basic: bool,
    pub(crate) pkce: Pkce,
    pub(crate) response_mode: ResponseMode,
    pub(crate) prompt: Option<String>,
    pub(crate) login_hint: Option<String>,
    /// A nonce of the settings for every login; None: a fresh one each time.
    pub(crate) nonce: Option<Secret>,
    /// As it was written: redirect URIs are compared as text.
    pub(crate) redirect_uri: Option<String>,
    pub(crate) grant: LoginGrant,
    pub(crate) leeway: Option<Duration>,
    pub(crate) clock_leeway: Duration,
    pub(crate) timeout: Option<Duration>,
    /// How long an API may take until the head of its answer, if the client has a timeout of its own.
    pub(crate) api_timeout: Option<Duration>,
    pub(crate) profile: ProviderProfile,
    pub(crate) id_token_algorithms: Option<Algorithms>,
    pub(crate) claim_checks: ClaimChecks,
    /// Userinfo must be signed, by this one.
    pub(crate) userinfo_algorithm: Option<SigningAlgorithm>,
    pub(crate) userinfo_at_login: bool,
    pub(crate) check_nonce: bool,
    pub(crate) assume_bearer: bool,
    pub(crate) placement: Placement,
    pub(crate) automatic_refresh: bool,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) trusted_audiences: Vec<String>,
    pub(crate) revoke_at_logout: bool,
    pub(crate) frontchannel_by_cookie: bool,
    /// Answers what an old table holds.
    pub(crate) on_missing: Option<Fetch>,
    /// This client's own; the registry's run behind them.
    pub(crate) hooks: Vec<Arc<dyn Hook>>,
    /// Further answers of the userinfo, by the names of their members.
    pub(crate) userinfo_parts: Vec<(String, Url)>,
    pub(crate) comma_separated_scopes: bool,
    pub(crate) client_id_header: Option<HeaderName>,
    /// Where the authorization response says something about the user.
    pub(crate) profile_parameter: Option<String>,
    /// None: it is a client of OAuth 2.0.
    pub(crate) oauth1: Option<OAuth1>,
}

/// Which grant gets the first token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LoginGrant {
    #[default]
    AuthorizationCode,
    ClientCredentials,
}

impl Resolved {
    /// Which issuer is the right one, if that is known without asking the provider.
    pub(crate) fn issuer_rule(&self) -> Option<IssuerRule> {
        match &self.issuer_template {
            Some(template) => Some(IssuerRule::Template(template.clone())),
            None => self.issuer.clone().map(IssuerRule::Exact),
        }
    }

    /// Has the client nothing to prove itself by, and was not told to name itself either?
    pub(crate) fn has_no_proof(&self) -> bool {
        self.client_secret.is_none()
            && self.signing_key.is_none()
            && self.client_authentication.is_none()
            && self.token_endpoint_auth_method.is_none()
    }

    /// Is `openid` asked for at login?
    pub(crate) fn is_openid(&self) -> bool {
        self.scopes.iter().any(|scope| scope == "openid")
    }

    /// May a token be sent to this URL's origin?
    pub(crate) fn may_be_sent_to(&self, url: &Url) -> bool {
        self.api_base_url
            .iter()
            .chain(&self.allowed_origins)
            .any(|allowed| allowed.origin() == url.origin())
    }
}

impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolved")
            .field("name", &self.name)
            .field("client_id", &self.client_id)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// Puts registration and settings together and checks the result.
///
/// # Errors
/// `invalid_configuration` or `unsupported`, naming the client and what is wrong, never a value.
pub(crate) fn resolve(registration: &Registration, source: &dyn ConfigSource) -> Result<Resolved> {
    let settings = ClientSettings::read(&registration.name, source)?;
    merge(registration.clone(), settings)
        .and_then(check)
        .map_err(|error| error.with_client(&registration.name))
}

fn merge(r: Registration, s: ClientSettings) -> Result<Resolved> {
    let Registration { overwrite, .. } = r;
    let oauth1 = OAuth1Parts::merged(&r, &s)?;
    let k = s.kwargs;
    if k.response_type
        .as_deref()
        .is_some_and(|t| t.trim() != "code")
    {
        return Err(unsupported(
            "CLIENT_KWARGS.response_type",
            "the response type code",
        ));
    }
    let grant = match k.grant_type.as_deref() {
        None | Some("authorization_code") => LoginGrant::AuthorizationCode,
        Some("client_credentials") => LoginGrant::ClientCredentials,
        Some(_) => {
            return Err(unsupported(
                "CLIENT_KWARGS.grant_type",
                "authorization_code and client_credentials",
            ));
        }
    };
    let pkce = match k.code_challenge_method.as_deref() {
        None => None,
        Some("S256") => Some(Pkce::S256),
        // A switch that is dangerous has a name that says so; a setting has not.
        Some("plain") => {
            return Err(invalid(
                "CLIENT_KWARGS.code_challenge_method may not be plain; use dangerously_plain_pkce() if it must be",
            ));
        }
        Some(_) => return Err(unsupported("CLIENT_KWARGS.code_challenge_method", "S256")),
    };
    let response_mode = match k.response_mode.as_deref() {
        None => None,
        Some(mode) => Some(
            ResponseMode::parse(mode)
                .ok_or_else(|| unsupported("CLIENT_KWARGS.response_mode", "query and form_post"))?,
        ),
    };
    let placement = match k.token_placement.as_deref() {
        None => None,
        Some("header") => Some(Placement::Header),
        Some("body") => Some(Placement::Body),
        Some("query" | "uri") => Some(Placement::DangerouslyInQuery),
        Some(_) => {
            return Err(invalid(
                "CLIENT_KWARGS.token_placement is not header, body or query",
            ));
        }
    };
    let method = |name: Option<String>| name.as_deref().map(AuthMethod::parse).transpose();
    let profile = {
        let explicit = r.profile;
        let mut profile = explicit.unwrap_or_default();
        if overwrite || explicit.is_none() {
            profile.reuse = k.refresh_reuse.unwrap_or(profile.reuse);
            profile.rotation = k.rotation.unwrap_or(profile.rotation);
        }
        profile
    };
    // Which one wins.
    macro_rules! win {
        ($explicit:expr, $setting:expr) => {
            if overwrite {
                $setting.or($explicit)
            } else {
                $explicit.or($setting)
            }
        };
    }
    let assertion_algorithm = authentication::assertion_algorithm(win!(
        r.token_endpoint_auth_signing_alg,
        k.token_endpoint_auth_signing_alg.clone()
    ))?;
    let settings_key = if r.signing_key.is_some() && !overwrite {
        None
    } else {
        authentication::settings_key(&k, assertion_algorithm)?
    };
    let issuer = win!(r.issuer, s.issuer);
    let allowed_tenants = win!(r.allowed_tenants, k.allow_tenants);
    let issuer_template = match win!(r.issuer_template, k.issuer_template) {
        Some(template) => Some(IssuerTemplate::parse(template, allowed_tenants)?),
        None if allowed_tenants.is_some() => {
            return Err(invalid("allow_tenants is for issuer_template only"));
        }
        None => None,
    };
    let server_metadata_url = win!(r.server_metadata_url, s.server_metadata_url);
    let mut scopes = win!(r.scopes, k.scope);
    if scopes.is_none()
        && grant == LoginGrant::AuthorizationCode
        && (issuer.is_some() || server_metadata_url.is_some())
    {
        scopes = Some(vec!["openid".to_owned()]);
    }
    let mut scopes = scopes.unwrap_or_default();
    if r.openid && !scopes.iter().any(|scope| scope == "openid") {
        scopes.insert(0, "openid".to_owned());
    }
    let client_id = win!(r.client_id, s.client_id)
        .filter(|id| !id.trim().is_empty())
        .ok_or_else(|| {
            invalid(format!(
                "there is no client id; set {}_CLIENT_ID or call client_id()",
                variable_name(&r.name)
            ))
        })?;
    let client_secret =
        win!(r.client_secret, s.client_secret).filter(|secret| !secret.expose().is_empty());
    Ok(Resolved {
        oauth1: oauth1.resolve(&client_id, client_secret.as_ref())?,
        client_id,
        client_secret,
        scopes,
        server_metadata_url: url("server_metadata_url", server_metadata_url)?,
        issuer,
        issuer_template,
        authorize_url: url("authorize_url", win!(r.authorize_url, s.authorize_url))?,
        access_token_url: url(
            "access_token_url",
            win!(r.access_token_url, s.access_token_url),
        )?,
        refresh_token_url: url(
            "refresh_token_url",
            win!(r.refresh_token_url, s.refresh_token_url),
        )?,
        userinfo_url: url("userinfo_url", r.userinfo_url)?,
        revocation_url: url("revocation_url", r.revocation_url)?,
        introspection_url: url("introspection_url", r.introspection_url)?,
        device_authorization_url: url("device_authorization_url", r.device_authorization_url)?,
        end_session_url: url("end_session_url", r.end_session_url)?,
        jwks_uri: url("jwks_uri", r.jwks_uri)?,
        jwks: r.jwks,
        api_base_url: url("api_base_url", win!(r.api_base_url, s.api_base_url))?,
        allowed_origins: r
            .allowed_origins
            .into_iter()
            .map(|origin| parse_origin(&origin))
            .collect::<Result<_>>()?,
        authorize_params: merged(r.authorize_params, s.authorize_params, overwrite),
        access_token_params: merged(r.access_token_params, s.access_token_params, overwrite),
        refresh_token_params: merged(r.refresh_token_params, s.refresh_token_params, overwrite),
        token_endpoint_auth_method: win!(
            r.token_endpoint_auth_method,
            method(k.token_endpoint_auth_method)?
        ),
        revocation_endpoint_auth_method: win!(
            r.revocation_endpoint_auth_method,
            method(k.revocation_endpoint_auth_method)?
        ),
        introspection_endpoint_auth_method: win!(
            r.introspection_endpoint_auth_method,
            method(k.introspection_endpoint_auth_method)?
        ),
        token_endpoint_auth_signing_alg: assertion_algorithm,
        signing_key: win!(r.signing_key, settings_key),
        client_assertion_audience: win!(
            r.client_assertion_audience,
            k.client_assertion_audience.map(authentication::audience)
        )
        .unwrap_or_default(),
        client_assertion_claims: r.client_assertion_claims,
        jwt_bearer: r.jwt_bearer,
        client_authentication: r.client_authentication,
        raw_basic: r.raw_basic,
        pkce: win!(r.pkce, pkce).unwrap_or_default(),
        response_mode: win!(r.response_mode, response_mode).unwrap_or_default(),
        prompt: win!(r.prompt, k.prompt),
        login_hint: win!(r.login_hint, k.login_hint),
        nonce: k.nonce,
        redirect_uri: win!(r.redirect_uri, k.redirect_uri),
        grant,
        leeway: win!(r.leeway, k.leeway),
        clock_leeway: r.clock_leeway.unwrap_or(Duration::from_secs(60)),
        timeout: win!(r.timeout, k.default_timeout),
        api_timeout: win!(r.timeout, k.default_timeout),
        profile,
        id_token_algorithms: r
            .id_token_algorithms
            .map(|names| {
                let named = names
                    .iter()
                    .map(|name| algorithm("id_token_algorithms", name));
                named.collect::<Result<Algorithms>>()
            })
            .transpose()?,
        claim_checks: r.claim_checks,
        userinfo_algorithm: r
            .userinfo_signed_response_alg
            .map(|name| algorithm("userinfo_signed_response_alg", &name))
            .transpose()?,
        userinfo_at_login: r.userinfo_at_login,
        check_nonce: !r.skip_nonce,
        assume_bearer: r.assume_bearer,
        placement: win!(r.placement, placement).unwrap_or_default(),
        automatic_refresh: win!(r.automatic_refresh, k.automatic_refresh).unwrap_or(true),
        keep_alive: r.keep_alive,
        trusted_audiences: r.trusted_audiences,
        revoke_at_logout: win!(r.revoke_at_logout, k.revoke_at_logout).unwrap_or(false),
        frontchannel_by_cookie: r.frontchannel_by_cookie,
        on_missing: r.closures.on_missing,
        hooks: r.hooks,
        userinfo_parts: userinfo_parts(r.userinfo_parts)?,
        comma_separated_scopes: r.comma_separated_scopes,
        client_id_header: client_id_header(r.client_id_header)?,
        profile_parameter: r.profile_parameter,
        name: r.name,
    })
}

/// Parameters of both sides: each name with all values of the side that wins, the others behind them.
fn merged(
    explicit: Option<Vec<(String, String)>>,
    settings: Option<Vec<(String, String)>>,
    overwrite: bool,
) -> Vec<(String, String)> {
    let (explicit, settings) = (explicit.unwrap_or_default(), settings.unwrap_or_default());
    let (mut winner, mut gaps) = if overwrite {
        (settings, explicit)
    } else {
        (explicit, settings)
    };
    gaps.retain(|(name, _)| !winner.iter().any(|(known, _)| known == name));
    winner.append(&mut gaps);
    winner
}

fn check(client: Resolved) -> Result<Resolved> {
    let discovery = client.issuer.is_some() || client.server_metadata_url.is_some();
    let name = variable_name(&client.name);
    if client.oauth1.is_some() && client.access_token_url.is_none() {
        return Err(invalid(format!(
            "OAuth 1.0a needs an access token URL beside the request token URL: set {name}_ACCESS_TOKEN_URL or call \
             access_token_url()"
        )));
    }
    if !discovery && client.access_token_url.is_none() {
        return Err(invalid(format!(
            "there is neither an issuer, a metadata URL nor a token endpoint; set {name}_ISSUER, {name}_SERVER_METADATA_URL, or \
             {name}_AUTHORIZE_URL and {name}_ACCESS_TOKEN_URL; in code, use Registration::openid() or Registration::oauth2()"
        )));
    }
    if let Some(issuer) = &client.issuer {
        let url = parse_url("issuer", issuer)?;
        // RFC 8414 section 2, OpenID Connect Discovery 1.0 section 3.
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("the issuer has a query or a fragment"));
        }
    }
    if let (Some(issuer), Some(metadata)) = (&client.issuer, &client.server_metadata_url)
        && !agree(issuer, metadata)
    {
        return Err(invalid(
            "the issuer and the metadata URL belong to different issuers",
        ));
    }
    check_issuer_template(&client)?;
    check_secret_algorithms(&client)?;
    check_quirks(&client)?;
    let keys = client.jwks.is_some() || client.jwks_uri.is_some();
    if client.is_openid() && !discovery {
        return Err(invalid(if keys {
            "openid needs an issuer, to validate ID tokens by"
        } else {
            "openid needs an issuer or a metadata URL"
        }));
    }
    if client
        .jwks
        .as_ref()
        .is_some_and(|jwks| !jwks.get("keys").is_some_and(Value::is_array))
    {
        return Err(invalid("jwks is no JWK Set"));
    }
    authentication::check_authentication(&client)?;
    if let Some(redirect_uri) = &client.redirect_uri
        && !(client.oauth1.is_some() && redirect_uri == OOB)
    {
        check_redirect_uri(redirect_uri, Phase::Configure)?;
    }
    if client.timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Err(invalid("the timeout is zero"));
    }
    if client
        .keep_alive
        .is_some_and(|every| every < Duration::from_secs(60))
    {
        return Err(invalid("keep_alive is shorter than a minute"));
    }
    for scope in &client.scopes {
        check_scope(scope)?;
    }
    let of_authorization = client.authorize_params.iter().map(|(name, _)| name);
    let of_tokens = client
        .access_token_params
        .iter()
        .chain(&client.refresh_token_params)
        .map(|(name, _)| name);
    let signed = client.oauth1.iter().flat_map(|oauth1| {
        let of_requests = oauth1.request_token_params.iter();
        let others = client
            .authorize_params
            .iter()
            .chain(&client.access_token_params);
        let names = of_requests.chain(others).map(|(name, _)| name);
        names.filter(|name| oauth1::is_protocol(name))
    });
    let protocol = of_authorization
        .filter(|name| authorize::is_protocol(name))
        .chain(of_tokens.filter(|name| token_endpoint::is_protocol(name)))
        .chain(signed)
        .next();
    if let Some(name) = protocol {
        return Err(invalid(format!(
            "{name} belongs to the protocol and can't be a further parameter"
        )));
    }
    Ok(client)
}

/// Does a metadata URL of a well-known form belong to the issuer? One of another form is checked when it is loaded: the
/// document names its issuer.
fn agree(issuer: &str, metadata: &Url) -> bool {
    let Ok(url) = Url::parse(issuer) else {
        return false;
    };
    let issuer_path = url.path().trim_end_matches('/');
    let path = metadata.path().trim_end_matches('/');
    let well_known = ["openid-configuration", "oauth-authorization-server"]
        .map(|name| format!("/.well-known/{name}"));
    let mut of_known_form = false;
    for suffix in &well_known {
        // Appended (OpenID Connect Discovery 1.0), or inserted before the path (RFC 8414).
        let owner = match (
            path.strip_suffix(suffix.as_str()),
            path.strip_prefix(suffix.as_str()),
        ) {
            (Some(owner), _) => owner,
            (None, Some(owner)) if owner.starts_with('/') => owner,
            _ => continue,
        };
        of_known_form = true;
        if owner == issuer_path && metadata.origin() == url.origin() {
            return true;
        }
    }
    !of_known_form
}

fn url(name: &str, text: Option<String>) -> Result<Option<Url>> {
    text.map(|text| parse_url(name, &text)).transpose()
}

pub(super) fn parse_url(name: &str, text: &str) -> Result<Url> {
    let url =
        Url::parse(text.trim()).map_err(|_| invalid(format!("{name} is not an absolute URL")))?;
    if !http::is_secure(&url) {
        return Err(invalid(format!(
            "{name} is not https (http is for 127.0.0.0/8, [::1] and localhost only)"
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid(format!("{name} has credentials in it")));
    }
    if url.fragment().is_some() {
        return Err(invalid(format!("{name} has a fragment")));
    }
    Ok(url)
}

/// An origin that may be sent tokens, and nothing that looks as if it allowed less or more than that.
fn parse_origin(text: &str) -> Result<Url> {
    let url = parse_url("allow_origin", text)?;
    if url.host_str().is_some_and(|host| host.contains('*')) {
        return Err(invalid("allow_origin takes no wildcard; name each origin"));
    }
    if url.path() != "/" || url.query().is_some() {
        return Err(invalid(
            "allow_origin is a whole origin, and a path or query would not narrow it; leave them out",
        ));
    }
    Ok(url)
}

/// A redirect URI is absolute and without fragment (RFC 6749 section 3.1.2); its scheme may be an application's own. Over
/// http a code would travel in the clear, and cookies could be planted: that is for loopback (RFC 9700 section 2.6).
pub(crate) fn check_redirect_uri(text: &str, phase: Phase) -> Result<Url> {
    let code = if phase == Phase::Configure {
        ErrorCode::InvalidConfiguration
    } else {
        ErrorCode::InvalidParameter
    };
    let refuse = |what: &str| Err(Error::new(code, phase, what));
    match Url::parse(text) {
        Ok(url) if url.scheme() == "http" && !http::is_loopback(&url) => refuse(
            "the redirect URI is http and not on loopback: register the https address at the provider, and give that",
        ),
        Ok(url) if url.fragment().is_none() => Ok(url),
        _ => refuse("the redirect URI is not an absolute URL without fragment"),
    }
}

/// A scope is visible ASCII without quotes and backslashes (RFC 6749 section 3.3).
pub(crate) fn check_scope(scope: &str) -> Result<()> {
    let fits = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if scope.is_empty() || !scope.bytes().all(fits) {
        return Err(invalid(
            "a scope is empty, or has characters that no scope has",
        ));
    }
    Ok(())
}

fn unsupported(name: &str, known: &str) -> Error {
    Error::new(
        ErrorCode::Unsupported,
        Phase::Configure,
        format!("{name} has a value that is not there yet; known: {known}"),
    )
}
