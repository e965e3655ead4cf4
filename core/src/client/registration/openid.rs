//! What a registration says of ID tokens and userinfo beyond the usual.

use super::{LoginGrant, Registration, Resolved};
use crate::{
    IdTokenClaims, Result, SigningAlgorithm, closures::BoxError, config::invalid, error::excerpt,
};

impl Registration {
    /// For a provider that has tenants, each an issuer of its own, and one metadata for all: Microsoft's `common` and
    /// `organizations`. The template is the issuer as that metadata writes it, with `{tenantid}` where the tenant stands.
    ///
    /// The metadata must name exactly the template. The `iss` of an ID token must be the template with the token's own
    /// `tid` in it, a GUID; its key must not be published for another issuer. The grant belongs to that issuer. Every
    /// tenant may log in, and anybody can have one: [`allow_tenants`](Self::allow_tenants) says which. A tenant's
    /// administrator chooses what `email` says, so that nobody is to be told by it.
    ///
    /// ```
    /// use tokenkeep_core::Registration;
    ///
    /// Registration::openid("microsoft", "https://login.microsoftonline.com/organizations/v2.0")
    ///     .issuer_template("https://login.microsoftonline.com/{tenantid}/v2.0")
    ///     .allow_tenants(["72f988bf-86f1-41af-91ab-2d7cd011db47"]);
    /// ```
    #[must_use]
    pub fn issuer_template(mut self, template: impl Into<String>) -> Self {
        self.issuer_template = Some(template.into());
        self
    }

    /// Lets in users of these tenants only, by their ids (GUIDs), with [`issuer_template`](Self::issuer_template). The
    /// login of another one is `owner_refused`.
    #[must_use]
    pub fn allow_tenants<S: Into<String>>(mut self, tenants: impl IntoIterator<Item = S>) -> Self {
        self.allowed_tenants
            .get_or_insert_default()
            .extend(tenants.into_iter().map(Into::into));
        self
    }

    /// A check of the application's own on every ID token, at login and after a refresh: the hosted domain, a group, an age
    /// (`iat`). It runs after all built-in checks, takes the place of none of them, and may be called several times to add
    /// several.
    ///
    /// What it answers as an error refuses the login: `owner_refused`, with the error as the source, for the log. A browser
    /// does not see it. After a refresh the user must log in again. It must be quick, and a panic is a refusal.
    ///
    /// ```
    /// use tokenkeep_core::Registration;
    ///
    /// Registration::openid("google", "https://accounts.google.com").check_claims(|claims| {
    ///     match claims.get("hd") {
    ///         Some(domain) if domain == "example.com" => Ok(()),
    ///         _ => Err("not of our domain"),
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn check_claims<E: Into<BoxError>>(
        mut self,
        check: impl Fn(&IdTokenClaims) -> Result<(), E> + Send + Sync + 'static,
    ) -> Self {
        self.claim_checks.push(check);
        self
    }

    /// The client is registered at the provider for signed userinfo (OpenID Connect Core section 5.3.2, Dynamic
    /// Registration section 2): an answer without a signature, or with one of another algorithm, is refused.
    ///
    /// Without this call a signed answer is verified as well, by any asymmetric algorithm, and one that is not signed is
    /// believed because it came over TLS.
    #[must_use]
    pub fn userinfo_signed_response_alg(mut self, algorithm: impl Into<String>) -> Self {
        self.userinfo_signed_response_alg = Some(algorithm.into());
        self
    }
}

/// A template needs metadata to name it, and ID tokens to fill it.
pub(super) fn check_issuer_template(client: &Resolved) -> Result<()> {
    if client.issuer_template.is_none() {
        return Ok(());
    }
    if client.issuer.is_none() && client.server_metadata_url.is_none() {
        return Err(invalid(
            "issuer_template needs an issuer or a metadata URL, to find the metadata by, such as \
             https://login.microsoftonline.com/common/v2.0",
        ));
    }
    if client.grant == LoginGrant::AuthorizationCode && !client.is_openid() {
        return Err(invalid(
            "issuer_template needs the scope openid: only an ID token names the tenant",
        ));
    }
    Ok(())
}

/// A client secret that verifies signatures is as long as their hash (RFC 7518 section 3.2).
pub(super) fn check_secret_algorithms(client: &Resolved) -> Result<()> {
    let length = client
        .client_secret
        .as_ref()
        .map_or(0, |secret| secret.expose().len());
    let allowed = client.id_token_algorithms.unwrap_or_default();
    let named = SigningAlgorithm::ALL.iter().find(|algorithm| {
        algorithm.is_symmetric()
            && (allowed.contains(**algorithm) || client.userinfo_algorithm == Some(**algorithm))
            && length < algorithm.digest().output_len()
    });
    match named {
        None => Ok(()),
        Some(algorithm) => Err(invalid(format!(
            "{algorithm} needs a client secret of at least {} bytes; let the provider sign by a key instead, such as RS256",
            algorithm.digest().output_len()
        ))),
    }
}

pub(super) fn algorithm(method: &str, name: &str) -> Result<SigningAlgorithm> {
    SigningAlgorithm::from_name(name).ok_or_else(|| {
        invalid(format!(
            "{method} names {:?}, which is no signature algorithm that is known here",
            excerpt(name)
        ))
    })
}
