//! Which method a client uses at an endpoint.

use std::sync::Arc;

use super::{
    AuthMethod, ClientAuthentication, Endpoint, Signer,
    assertion::{ClientAssertion, SecretSigner},
    secrets::{Basic, Post, Public},
};
use crate::{
    Clock, Error, ErrorCode, Phase, Result, SigningAlgorithm, client::Resolved,
    config::variable_name, error::excerpt,
};

/// What is known of the endpoint that is asked.
pub(crate) struct Offer<'a> {
    pub(crate) endpoint: Endpoint,
    /// The metadata's `{endpoint}_auth_methods_supported`. Absent means basic (RFC 8414 section 2).
    pub(crate) methods: Option<&'a [String]>,
    /// The metadata's `{endpoint}_auth_signing_alg_values_supported`.
    pub(crate) algorithms: Option<&'a [String]>,
    /// Whom an assertion is for; none if the provider has neither an issuer nor a token endpoint.
    pub(crate) audience: Option<&'a str>,
    pub(crate) clock: Arc<dyn Clock>,
}

#[cfg(any(test, fuzzing))]
impl Offer<'_> {
    /// Of a provider that says nothing.
    pub(crate) fn silent(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            methods: None,
            algorithms: None,
            audience: None,
            clock: Arc::new(crate::SystemClock),
        }
    }
}

/// Chooses the method: what the registration says; else, of what the client has the means for, the first that the provider
/// takes. A key comes before a secret, because it stays here, and a public client has neither.
///
/// # Errors
/// `invalid_configuration` if the provider takes none that can be used, or no algorithm of the key.
pub(crate) fn negotiate(
    client: &Resolved,
    offer: &Offer<'_>,
) -> Result<Arc<dyn ClientAuthentication>> {
    if let Some(custom) = &client.client_authentication {
        return Ok(Arc::clone(custom));
    }
    let method = match explicit(client, offer.endpoint) {
        Some(method) => method,
        None => choose(client, offer).map_err(|error| error.with_client(&client.name))?,
    };
    made(client, offer, method).map_err(|error| error.with_client(&client.name))
}

/// What the registration says.
fn explicit(client: &Resolved, endpoint: Endpoint) -> Option<AuthMethod> {
    let own = match endpoint {
        Endpoint::Token | Endpoint::DeviceAuthorization => None,
        Endpoint::Revocation => client.revocation_endpoint_auth_method,
        Endpoint::Introspection => client.introspection_endpoint_auth_method,
    };
    own.or(client.token_endpoint_auth_method)
}

fn choose(client: &Resolved, offer: &Offer<'_>) -> Result<AuthMethod> {
    const BY_SECRET: [AuthMethod; 3] = [
        AuthMethod::ClientSecretBasic,
        AuthMethod::ClientSecretPost,
        AuthMethod::ClientSecretJwt,
    ];
    let secret = client.client_secret.is_some();
    let Some(supported) = offer.methods else {
        return Ok(match (secret, &client.signing_key) {
            (true, _) => AuthMethod::ClientSecretBasic,
            (false, Some(_)) => AuthMethod::PrivateKeyJwt,
            (false, None) => AuthMethod::None,
        });
    };
    let by_key = client
        .signing_key
        .is_some()
        .then_some(AuthMethod::PrivateKeyJwt);
    let means = by_key
        .into_iter()
        .chain(BY_SECRET.into_iter().filter(|_| secret));
    let fits = |method: &AuthMethod| supported.iter().any(|name| name == method.as_str());
    match means.clone().find(fits) {
        Some(method) => Ok(method),
        None if !secret && client.signing_key.is_none() => Ok(AuthMethod::None),
        None => {
            let means: Vec<_> = means.map(AuthMethod::as_str).collect();
            Err(invalid(format!(
                "the client can authenticate by {}, and the provider takes none of them, but: {}; if the metadata is wrong, say \
                 token_endpoint_auth_method(…)",
                means.join(", "),
                listed(supported)
            )))
        }
    }
}

/// A method needs a secret, and there is none.
pub(crate) fn no_secret(client: &Resolved) -> Error {
    invalid(format!(
        "the client authentication method needs a client secret; set {}_CLIENT_SECRET or call client_secret()",
        variable_name(&client.name)
    ))
}

/// The method with all that it needs.
fn made(
    client: &Resolved,
    offer: &Offer<'_>,
    method: AuthMethod,
) -> Result<Arc<dyn ClientAuthentication>> {
    let id = client.client_id.clone();
    let secret = || {
        client
            .client_secret
            .clone()
            .ok_or_else(|| no_secret(client))
    };
    let assertion = |signer: Arc<dyn Signer>| {
        let audience = offer.audience.ok_or_else(|| {
            invalid(
                "nobody is known whom a client assertion is for; name the issuer or the token endpoint",
            )
        })?;
        Ok::<_, Error>(Arc::new(ClientAssertion {
            id: id.clone(),
            method,
            signer,
            audience: audience.to_owned(),
            further: client.client_assertion_claims.clone(),
            clock: Arc::clone(&offer.clock),
        }))
    };
    Ok(match method {
        AuthMethod::ClientSecretBasic => Arc::new(Basic {
            id,
            secret: secret()?,
            raw: client.raw_basic,
        }),
        AuthMethod::ClientSecretPost => Arc::new(Post {
            id,
            secret: secret()?,
        }),
        AuthMethod::ClientSecretJwt => {
            let secret = secret()?;
            let algorithm = secret_algorithm(client, offer)?;
            assertion(Arc::new(SecretSigner::new(algorithm, &secret)?))?
        }
        AuthMethod::PrivateKeyJwt => {
            let signer = client.signing_key.clone().ok_or_else(|| {
                invalid("private_key_jwt needs a private key; call signing_key(…), or set CLIENT_KWARGS.private_key_file")
            })?;
            check_algorithm(signer.algorithm(), offer.algorithms)?;
            assertion(signer)?
        }
        AuthMethod::TlsClientAuth | AuthMethod::SelfSignedTlsClientAuth | AuthMethod::None => {
            Arc::new(Public { id, method })
        }
    })
}

/// The registration's, else the first that the provider takes, else HS256.
fn secret_algorithm(client: &Resolved, offer: &Offer<'_>) -> Result<SigningAlgorithm> {
    const HMAC: [SigningAlgorithm; 3] = [
        SigningAlgorithm::Hs256,
        SigningAlgorithm::Hs384,
        SigningAlgorithm::Hs512,
    ];
    let algorithm = match (client.token_endpoint_auth_signing_alg, offer.algorithms) {
        (Some(algorithm), _) => algorithm,
        (None, None) => SigningAlgorithm::Hs256,
        (None, Some(supported)) => HMAC
            .into_iter()
            .find(|known| supported.iter().any(|name| name == known.as_str()))
            .unwrap_or(SigningAlgorithm::Hs256),
    };
    check_algorithm(algorithm.as_str(), offer.algorithms)?;
    Ok(algorithm)
}

fn check_algorithm(algorithm: &str, supported: Option<&[String]>) -> Result<()> {
    let fits = |name: &String| {
        SigningAlgorithm::from_name(name).map(SigningAlgorithm::as_str) == Some(algorithm)
    };
    match supported {
        Some(supported) if !supported.iter().any(fits) => Err(invalid(format!(
            "the client's assertions are signed by {algorithm}, and the provider takes: {}",
            listed(supported)
        ))),
        _ => Ok(()),
    }
}

fn listed(names: &[String]) -> String {
    let names: Vec<_> = names.iter().take(10).map(|name| excerpt(name)).collect();
    names.join(", ")
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidConfiguration, Phase::Configure, message)
}
