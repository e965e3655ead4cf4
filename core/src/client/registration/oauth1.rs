//! What makes a client one of OAuth 1.0a (RFC 5849): a request token URL, from the registration or the settings.

use std::sync::Arc;

use super::{Registration, collect, resolve::parse_url};
use crate::{
    Error, Result, Secret, SignatureMethod, SignatureType, Signer,
    config::{ClientSettings, invalid},
    oauth1::{Key, OAuth1, RsaKey},
};

/// What one side says of OAuth 1.0a.
#[derive(Clone, Default)]
pub(crate) struct OAuth1Parts {
    pub(crate) request_token_url: Option<String>,
    pub(crate) request_token_params: Option<Vec<(String, String)>>,
    pub(crate) signature_method: Option<SignatureMethod>,
    pub(crate) signature_type: Option<SignatureType>,
    pub(crate) realm: Option<String>,
    pub(crate) rsa_key: Option<Secret>,
    pub(crate) body_hash: Option<bool>,
    pub(crate) signer: Option<Arc<dyn Signer>>,
    pub(crate) plaintext_in_query: bool,
}

impl Registration {
    /// A client of an OAuth 1.0a server (RFC 5849 section 2). A login, its tokens and calls are used like those of any other
    /// client: each request is signed anew. Tokens last until they are revoked, and are never refreshed.
    ///
    /// ```
    /// use tokenkeep_core::{Registration, SignatureMethod};
    ///
    /// Registration::oauth1(
    ///     "photos",
    ///     "https://photos.example.net/initiate",
    ///     "https://photos.example.net/authorize",
    ///     "https://photos.example.net/token",
    /// )
    /// .signature_method(SignatureMethod::HmacSha256)
    /// .api_base_url("https://photos.example.net/");
    /// ```
    #[must_use]
    pub fn oauth1(
        name: impl Into<String>,
        request_token_url: impl Into<String>,
        authorize_url: impl Into<String>,
        access_token_url: impl Into<String>,
    ) -> Self {
        Self::oauth2(name, authorize_url, access_token_url).request_token_url(request_token_url)
    }

    /// Where a request token is asked for (RFC 5849 section 2.1). With it the client is one of OAuth 1.0a.
    #[must_use]
    pub fn request_token_url(mut self, url: impl Into<String>) -> Self {
        self.oauth1.request_token_url = Some(url.into());
        self
    }

    /// Further parameters of every request for a request token. They are sent as a form, and signed.
    #[must_use]
    pub fn request_token_params<K: Into<String>, V: Into<String>>(
        mut self,
        parameters: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.oauth1.request_token_params = Some(collect(parameters));
        self
    }

    /// How requests are signed. Default: HMAC-SHA1, or what [`oauth1_signer`](Self::oauth1_signer) signs by.
    #[must_use]
    pub fn signature_method(mut self, method: SignatureMethod) -> Self {
        self.oauth1.signature_method = Some(method);
        self
    }

    /// Where requests carry their signature. Default: in the header.
    #[must_use]
    pub fn signature_type(mut self, place: SignatureType) -> Self {
        self.oauth1.signature_type = Some(place);
        self
    }

    /// The realm to name in the header (RFC 5849 section 3.5.1). It is not signed.
    #[must_use]
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.oauth1.realm = Some(realm.into());
        self
    }

    /// The client's private key, for RSA-SHA1 and RSA-SHA256: a PEM of PKCS #8 or PKCS #1 without a passphrase, of 2,048 to
    /// 4,096 bits.
    #[must_use]
    pub fn rsa_key(mut self, pem: impl Into<Secret>) -> Self {
        self.oauth1.rsa_key = Some(pem.into());
        self
    }

    /// A private key that stands elsewhere, in a key management service. Its algorithm says how requests are signed: `RS256`
    /// for RSA-SHA256, `RS1` for RSA-SHA1.
    #[must_use]
    pub fn oauth1_signer(mut self, signer: impl Signer) -> Self {
        self.oauth1.signer = Some(Arc::new(signer));
        self
    }

    /// Signs also bodies that are no form, by `oauth_body_hash` (OAuth Request Body Hash, draft 4). Otherwise JSON is sent
    /// unsigned, protected by https alone. Not every provider knows it.
    #[must_use]
    pub fn force_include_body(mut self) -> Self {
        self.oauth1.body_hash = Some(true);
        self
    }

    /// Lets PLAINTEXT stand in the query, for a provider that takes nothing else.
    ///
    /// Dangerous: the secrets of client and token stand in addresses then, and so in logs.
    #[must_use]
    pub fn dangerously_allow_plaintext_in_query(mut self) -> Self {
        self.oauth1.plaintext_in_query = true;
        self
    }
}

impl OAuth1Parts {
    /// Registration and settings made one, of both of which nothing else may be for OAuth 2.0 only.
    pub(super) fn merged(r: &Registration, s: &ClientSettings) -> Result<Self> {
        let mut first = r.oauth1.clone();
        let mut second = s.oauth1.clone();
        if r.overwrite {
            std::mem::swap(&mut first, &mut second);
        }
        let parts = Self {
            request_token_url: first.request_token_url.or(second.request_token_url),
            request_token_params: first.request_token_params.or(second.request_token_params),
            signature_method: first.signature_method.or(second.signature_method),
            signature_type: first.signature_type.or(second.signature_type),
            realm: first.realm.or(second.realm),
            rsa_key: first.rsa_key.or(second.rsa_key),
            body_hash: first.body_hash.or(second.body_hash),
            signer: first.signer.or(second.signer),
            plaintext_in_query: first.plaintext_in_query || second.plaintext_in_query,
        };
        match (&parts.request_token_url, parts.lonely(), of_oauth2(r, s)) {
            (None, Some(name), _) => Err(invalid(format!(
                "{name} is for OAuth 1.0a: set {}_REQUEST_TOKEN_URL or call request_token_url() too, or leave it out",
                crate::config::variable_name(&r.name)
            ))),
            (Some(_), _, Some(name)) => Err(invalid(format!(
                "{name} is for OAuth 2.0, and the request token URL makes this client one of OAuth 1.0a: leave one of both out"
            ))),
            _ => Ok(parts),
        }
    }

    /// What means nothing without a request token URL.
    fn lonely(&self) -> Option<&'static str> {
        first_said(&[
            ("request_token_params", self.request_token_params.is_some()),
            ("signature_method", self.signature_method.is_some()),
            ("signature_type", self.signature_type.is_some()),
            ("realm", self.realm.is_some()),
            ("rsa_key", self.rsa_key.is_some()),
            ("oauth1_signer", self.signer.is_some()),
            ("force_include_body", self.body_hash == Some(true)),
            (
                "dangerously_allow_plaintext_in_query",
                self.plaintext_in_query,
            ),
        ])
    }

    /// Everything typed and checked; none for a client of OAuth 2.0.
    pub(super) fn resolve(
        self,
        client_id: &str,
        client_secret: Option<&Secret>,
    ) -> Result<Option<OAuth1>> {
        let Some(url) = &self.request_token_url else {
            return Ok(None);
        };
        let request_token_url = parse_url("request_token_url", url)?;
        let (method, key) = self.key(client_secret)?;
        let signature_type = self.signature_type.unwrap_or_default();
        let body_hash = self.body_hash.unwrap_or(false);
        if method == SignatureMethod::Plaintext && body_hash {
            return Err(invalid(
                "force_include_body() signs the body, and PLAINTEXT signs nothing: leave it out, or choose another signature_method()",
            ));
        }
        if method == SignatureMethod::Plaintext
            && signature_type == SignatureType::Query
            && !self.plaintext_in_query
        {
            return Err(invalid(
                "PLAINTEXT in the query would put secrets into addresses: choose the signature_type HEADER or BODY, or say \
                 dangerously_allow_plaintext_in_query()",
            ));
        }
        if let Some(realm) = &self.realm {
            check_realm(realm)?;
        }
        Ok(Some(OAuth1 {
            consumer_key: client_id.to_owned(),
            request_token_url,
            request_token_params: self.request_token_params.unwrap_or_default(),
            method,
            key,
            signature_type,
            realm: self.realm,
            body_hash,
        }))
    }

    fn key(&self, client_secret: Option<&Secret>) -> Result<(SignatureMethod, Key)> {
        if let Some(signer) = &self.signer {
            let method = SignatureMethod::of_signer(signer.as_ref())?;
            if self.rsa_key.is_some() || self.signature_method.is_some_and(|said| said != method) {
                return Err(invalid(
                    "oauth1_signer(…) signs by another method than signature_method says, or stands beside an rsa_key: leave the \
                     others out",
                ));
            }
            return Ok((method, Key::Elsewhere(Arc::clone(signer))));
        }
        let method = self.signature_method.unwrap_or_default();
        match (&self.rsa_key, method.is_rsa()) {
            (Some(pem), true) => {
                let key = RsaKey::from_pem(pem.expose())?;
                Ok((method, Key::Rsa(Arc::new(key))))
            }
            (None, true) => Err(invalid(format!(
                "the signature method {method} needs a private key: give rsa_key() or oauth1_signer()"
            ))),
            (Some(_), false) => Err(invalid(format!(
                "there is an rsa_key, and the signature method is {method}: name RSA-SHA1 or RSA-SHA256 as signature_method, or \
                 leave the key out"
            ))),
            (None, false) => match client_secret {
                Some(secret) => Ok((method, Key::Shared(secret.clone()))),
                None => Err(invalid(format!(
                    "the signature method {method} needs a client secret: set it as CLIENT_SECRET or call client_secret()"
                ))),
            },
        }
    }
}

/// The first that was said of OAuth 2.0 alone, by the name of its method or setting.
fn of_oauth2(r: &Registration, s: &ClientSettings) -> Option<&'static str> {
    let k = &s.kwargs;
    first_said(&[
        ("Registration::openid()", r.openid),
        ("issuer", r.issuer.is_some() || s.issuer.is_some()),
        (
            "server_metadata_url",
            r.server_metadata_url.is_some() || s.server_metadata_url.is_some(),
        ),
        ("scope", r.scopes.is_some() || k.scope.is_some()),
        (
            "refresh_token_url",
            r.refresh_token_url.is_some() || s.refresh_token_url.is_some(),
        ),
        (
            "refresh_token_params",
            r.refresh_token_params.is_some() || s.refresh_token_params.is_some(),
        ),
        ("userinfo_url", r.userinfo_url.is_some()),
        ("revocation_url", r.revocation_url.is_some()),
        ("introspection_url", r.introspection_url.is_some()),
        ("end_session_url", r.end_session_url.is_some()),
        ("jwks", r.jwks_uri.is_some() || r.jwks.is_some()),
        (
            "token_endpoint_auth_method",
            r.token_endpoint_auth_method.is_some() || k.token_endpoint_auth_method.is_some(),
        ),
        (
            "revocation_endpoint_auth_method",
            r.revocation_endpoint_auth_method.is_some()
                || k.revocation_endpoint_auth_method.is_some(),
        ),
        (
            "client_authentication",
            r.client_authentication.is_some() || r.raw_basic,
        ),
        (
            "code_challenge_method",
            r.pkce.is_some() || k.code_challenge_method.is_some(),
        ),
        ("response_type", k.response_type.is_some()),
        (
            "response_mode",
            r.response_mode.is_some() || k.response_mode.is_some(),
        ),
        ("grant_type", k.grant_type.is_some()),
        ("prompt", r.prompt.is_some() || k.prompt.is_some()),
        ("nonce", r.skip_nonce || k.nonce.is_some()),
        (
            "login_hint",
            r.login_hint.is_some() || k.login_hint.is_some(),
        ),
        (
            "token_placement",
            r.placement.is_some() || k.token_placement.is_some(),
        ),
        (
            "profile",
            r.profile.is_some() || k.refresh_reuse.is_some() || k.rotation.is_some(),
        ),
        ("id_token_algorithms", r.id_token_algorithms.is_some()),
        ("userinfo_at_login", r.userinfo_at_login),
        ("assume_bearer", r.assume_bearer),
        ("keep_alive", r.keep_alive.is_some()),
        (
            "revoke_at_logout",
            r.revoke_at_logout == Some(true) || k.revoke_at_logout == Some(true),
        ),
        (
            "issuer_template",
            r.issuer_template.is_some() || k.issuer_template.is_some(),
        ),
        (
            "allow_tenants",
            r.allowed_tenants.is_some() || k.allow_tenants.is_some(),
        ),
    ])
}

fn first_said(said: &[(&'static str, bool)]) -> Option<&'static str> {
    said.iter()
        .find_map(|(name, is_said)| is_said.then_some(*name))
}

/// It stands in quotes as it is.
fn check_realm(realm: &str) -> Result<(), Error> {
    let fits = |b: u8| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\';
    if realm.len() <= 255 && realm.bytes().all(fits) {
        return Ok(());
    }
    Err(invalid(
        "the realm is longer than 255 characters, or has others than visible ASCII without quotes and backslashes",
    ))
}

#[cfg(test)]
mod tests;
