//! What a registration says of ID tokens and userinfo beyond the usual.

use super::Registration;
use crate::{IdTokenClaims, closures::BoxError};

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
