//! How a client proves to its provider who it is: what is said of it, and what the settings say.

use std::{path::Path, sync::Arc};

use serde_json::Value;
use zeroize::Zeroizing;

use super::{Registration, Resolved, openid::algorithm};
use crate::{
    Error, Result, SigningAlgorithm, SigningKey,
    client::{
        AssertionAudience, AuthMethod, ClientAuthentication, JwtBearer, Signer,
        auth::{check_secret, is_own_claim, no_secret},
    },
    config::{Kwargs, invalid},
};

/// # Client authentication
///
/// A client without a secret or key is a public one. Otherwise the method is negotiated: of what the client has the means
/// for, the first that the provider's metadata names, a key before a secret (`private_key_jwt`, `client_secret_basic`,
/// `client_secret_post`, `client_secret_jwt`); a provider without metadata gets `client_secret_basic` if there is a secret.
/// Refreshes, revocations and introspections authenticate like any other request.
impl Registration {
    /// How the client proves who it is; without it, what the metadata names.
    #[must_use]
    pub fn token_endpoint_auth_method(mut self, method: AuthMethod) -> Self {
        self.token_endpoint_auth_method = Some(method);
        self
    }

    /// The same for the revocation endpoint; without it, that of the token endpoint.
    #[must_use]
    pub fn revocation_endpoint_auth_method(mut self, method: AuthMethod) -> Self {
        self.revocation_endpoint_auth_method = Some(method);
        self
    }

    /// The same for the introspection endpoint; without it, that of the token endpoint.
    #[must_use]
    pub fn introspection_endpoint_auth_method(mut self, method: AuthMethod) -> Self {
        self.introspection_endpoint_auth_method = Some(method);
        self
    }

    /// The client's private key: a [`SigningKey`], or whatever asks a key management service. It signs the assertions of
    /// `private_key_jwt` (RFC 7523 section 2.2), each for one request: good for 60 s, with a `jti` of its own.
    ///
    /// Without it a key comes from the settings: `CLIENT_KWARGS.private_key_file`, the path of a file with a key in PEM or a
    /// JWK, or `CLIENT_KWARGS.private_key`, that text itself; `CLIENT_KWARGS.private_key_id` names it (`kid`).
    #[must_use]
    pub fn signing_key(mut self, signer: impl Signer) -> Self {
        self.signing_key = Some(Arc::new(signer));
        self
    }

    /// The algorithm of client assertions, by its name: for `client_secret_jwt` HS256, HS384 or HS512 (without it, the first of
    /// these that the metadata names), and for a private key of the settings the one that it signs by.
    #[must_use]
    pub fn token_endpoint_auth_signing_alg(mut self, algorithm: impl Into<String>) -> Self {
        self.token_endpoint_auth_signing_alg = Some(algorithm.into());
        self
    }

    /// Whom client assertions are for; without it, the provider's issuer.
    #[must_use]
    pub fn client_assertion_audience(mut self, audience: AssertionAudience) -> Self {
        self.client_assertion_audience = Some(audience);
        self
    }

    /// A further claim of every client assertion. It is copied into each; `iss`, `sub`, `aud`, `exp`, `iat`, `nbf` and `jti` are
    /// ours.
    #[must_use]
    pub fn client_assertion_claim(
        mut self,
        name: impl Into<String>,
        value: impl Into<Value>,
    ) -> Self {
        self.client_assertion_claims
            .insert(name.into(), value.into());
        self
    }

    /// Gets the application's own tokens ([`Client::app`](crate::Client::app)) by assertions (RFC 7523 section 2.1) instead of the
    /// client's credentials: a service account. They are kept and renewed like those, once for the whole fleet. The client's
    /// id is then whoever the assertions are by; without a secret or key of its own the client sends nothing else.
    #[must_use]
    pub fn jwt_bearer(mut self, assertion: JwtBearer) -> Self {
        self.jwt_bearer = Some(assertion);
        self
    }

    /// A method of client authentication of the application's own, for every endpoint.
    #[must_use]
    pub fn client_authentication(mut self, method: impl ClientAuthentication) -> Self {
        self.client_authentication = Some(Arc::new(method));
        self
    }

    /// Sends id and secret as they are with `client_secret_basic`, for providers that do not decode what RFC 6749
    /// section 2.3.1 wants encoded.
    #[must_use]
    pub fn raw_basic_credentials(mut self) -> Self {
        self.raw_basic = true;
        self
    }
}

/// The algorithm of client assertions.
pub(super) fn assertion_algorithm(name: Option<String>) -> Result<Option<SigningAlgorithm>> {
    name.map(|name| algorithm("token_endpoint_auth_signing_alg", &name))
        .transpose()
}

/// The private key of the settings.
///
/// # Errors
/// `invalid_configuration` for a key that cannot be read or used, without a part of it and without its path: that may be the
/// key, put in the wrong place.
pub(super) fn settings_key(
    kwargs: &Kwargs,
    algorithm: Option<SigningAlgorithm>,
) -> Result<Option<Arc<dyn Signer>>> {
    let member =
        |name: &str, error: Error| invalid(format!("CLIENT_KWARGS.{name}: {}", error.message()));
    // An algorithm of secrets is none of this key.
    let algorithm = algorithm.filter(|algorithm| !algorithm.is_symmetric());
    let key = match (&kwargs.private_key, &kwargs.private_key_file) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(invalid(
                "CLIENT_KWARGS has both private_key and private_key_file; leave one of them out",
            ));
        }
        (Some(text), None) => SigningKey::from_text(algorithm, text.expose())
            .map_err(|error| member("private_key", error))?,
        (None, Some(path)) => read_key(path)
            .and_then(|text| SigningKey::from_text(algorithm, &text))
            .map_err(|error| member("private_key_file", error))?,
    };
    Ok(Some(Arc::new(match &kwargs.private_key_id {
        Some(key_id) => key.with_key_id(key_id),
        None => key,
    })))
}

fn read_key(path: &str) -> Result<Zeroizing<String>> {
    use std::io::Read;
    // What is longer is no key; a device never ends.
    const MOST: u64 = 64 * 1024 + 1;
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(Path::new(path.trim()))
        .and_then(|file| file.take(MOST).read_to_string(&mut text))
        .map_err(|error| invalid(format!("the file cannot be read ({})", error.kind())))?;
    Ok(text)
}

/// `issuer`, `token_endpoint`, or the audience itself.
pub(super) fn audience(text: String) -> AssertionAudience {
    match text.as_str() {
        "issuer" => AssertionAudience::Issuer,
        "token_endpoint" => AssertionAudience::TokenEndpoint,
        _ => AssertionAudience::Exactly(text),
    }
}

/// By which algorithm does a private key sign?
pub(crate) fn check_signer(signer: &dyn Signer) -> Result<SigningAlgorithm> {
    SigningAlgorithm::from_name(signer.algorithm())
        .filter(|algorithm| !algorithm.is_symmetric())
        .ok_or_else(|| {
            invalid(format!(
                "the signing key's algorithm {:?} is none that a private key signs by",
                crate::error::excerpt(signer.algorithm())
            ))
        })
}

/// Is everything there that the methods need?
pub(super) fn check_authentication(client: &Resolved) -> Result<()> {
    if let Some(name) = client
        .client_assertion_claims
        .keys()
        .find(|name| is_own_claim(name))
    {
        return Err(invalid(format!(
            "client_assertion_claim({name:?}): this claim is set for each request"
        )));
    }
    if let Some(assertion) = &client.jwt_bearer {
        assertion.check()?;
    }
    if let Some(signer) = &client.signing_key {
        let signs_by = check_signer(signer.as_ref())?;
        let named = client.token_endpoint_auth_signing_alg;
        if let Some(named) = named.filter(|named| !named.is_symmetric() && *named != signs_by) {
            return Err(invalid(format!(
                "token_endpoint_auth_signing_alg is {named}, and the signing key signs by {signs_by}"
            )));
        }
    }
    if client.client_authentication.is_some() {
        return Ok(());
    }
    let methods = [
        client.token_endpoint_auth_method,
        client.revocation_endpoint_auth_method,
        client.introspection_endpoint_auth_method,
    ];
    for method in methods.into_iter().flatten() {
        if method == AuthMethod::PrivateKeyJwt && client.signing_key.is_none() {
            return Err(invalid(
                "private_key_jwt needs a private key; call signing_key(…), or set CLIENT_KWARGS.private_key_file",
            ));
        }
        if !method.needs_secret() {
            continue;
        }
        let Some(secret) = &client.client_secret else {
            return Err(no_secret(client));
        };
        if method == AuthMethod::ClientSecretJwt {
            let named = client.token_endpoint_auth_signing_alg;
            check_secret(named.unwrap_or(SigningAlgorithm::Hs256), secret)?;
        }
    }
    Ok(())
}
