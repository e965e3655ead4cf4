//! Which issuer is the right one: one by name, or the tenants of a template.

use url::Url;

use super::signed::Kind;
use crate::{ErrorCode, Result, config::invalid, error::excerpt, http::is_secure};

/// What stands for the tenant in the issuer that Microsoft's metadata of `common` and `organizations` names.
const PLACEHOLDER: &str = "{tenantid}";

/// Which issuer is the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IssuerRule {
    /// This one, character by character.
    Exact(String),
    /// One of many tenants, each an issuer of its own.
    Template(IssuerTemplate),
}

impl From<&str> for IssuerRule {
    fn from(exact: &str) -> Self {
        Self::Exact(exact.to_owned())
    }
}

impl IssuerRule {
    /// The issuer that the provider's metadata names.
    pub(crate) fn published(&self) -> &str {
        match self {
            Self::Exact(exact) => exact,
            Self::Template(template) => &template.text,
        }
    }

    /// The issuer, if there is only one.
    pub(crate) fn only(&self) -> Option<&str> {
        match self {
            Self::Exact(exact) => Some(exact),
            Self::Template(_) => None,
        }
    }

    /// May a grant be of this issuer? For what was checked when it was kept.
    pub(crate) fn covers(&self, issuer: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == issuer,
            Self::Template(template) => {
                template.text == issuer
                    || template
                        .tenant_of(issuer)
                        .is_some_and(|tenant| template.allows(tenant))
            }
        }
    }

    /// The issuer that an authorization response must name (RFC 9207), where it names `found`: of a template any tenant,
    /// for which one it was is known only from the ID token.
    pub(crate) fn in_response(&self, found: Option<&str>) -> String {
        match (self, found) {
            (Self::Template(template), Some(found)) if template.tenant_of(found).is_some() => found,
            _ => self.published(),
        }
        .to_owned()
    }

    /// Checks the issuer of a token whose signature was verified: it is the one, or the template filled with the token's own tenant. `key`
    /// is the issuer that the key is published for, if it is for one.
    ///
    /// # Errors
    /// `issuer_mismatch`; `missing_claim` without a tenant; `owner_refused` for a tenant that is not let in.
    pub(super) fn check(
        &self,
        kind: Kind,
        issuer: &str,
        tenant: Option<&str>,
        key: Option<&str>,
    ) -> Result<()> {
        let fault = |code, what: String| Err(kind.fault(code, format!("{} {what}", kind.name())));
        let template = match self {
            Self::Exact(exact) if exact == issuer => return Ok(()),
            Self::Exact(exact) => {
                return fault(
                    ErrorCode::IssuerMismatch,
                    format!(
                        "was issued by {:?}, and the client's issuer is {exact:?}",
                        excerpt(issuer)
                    ),
                );
            }
            Self::Template(template) => template,
        };
        let Some(tenant) = tenant else {
            return fault(
                ErrorCode::MissingClaim,
                "has no tid, which issuer_template needs".to_owned(),
            );
        };
        if template.tenant_of(issuer) != Some(tenant) {
            return fault(
                ErrorCode::IssuerMismatch,
                format!(
                    "was issued by {:?}, which is not issuer_template with the tenant of its tid",
                    excerpt(issuer)
                ),
            );
        }
        if key.is_some_and(|key| key.replace(PLACEHOLDER, tenant) != issuer) {
            return fault(
                ErrorCode::IssuerMismatch,
                "is signed by a key that the provider publishes for another issuer".to_owned(),
            );
        }
        if !template.allows(tenant) {
            return fault(
                ErrorCode::OwnerRefused,
                format!(
                    "is for a user of the tenant {tenant}, who may not log in; allow_tenants names who may"
                ),
            );
        }
        Ok(())
    }
}

/// An issuer with a place for the tenant, and who may come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IssuerTemplate {
    text: String,
    /// None: every tenant.
    tenants: Option<Vec<String>>,
}

impl IssuerTemplate {
    /// Reads a template: an https URL with `{tenantid}` once, as a whole segment of its path.
    ///
    /// # Errors
    /// `invalid_configuration`; also for tenants that are none.
    pub(crate) fn parse(text: String, tenants: Option<Vec<String>>) -> Result<Self> {
        let is_template = text
            .split_once("/{tenantid}")
            .is_some_and(|(before, after)| {
                let filled = Url::parse(&text.replace(PLACEHOLDER, "x"));
                let is_issuer = filled.is_ok_and(|url| {
                    is_secure(&url)
                        && url.username().is_empty()
                        && url.password().is_none()
                        && url.query().is_none()
                        && url.fragment().is_none()
                });
                // The placeholder stands behind the authority: nobody's tenant is a host.
                let in_path = before
                    .split_once("://")
                    .is_some_and(|(_, host)| !host.is_empty());
                let whole = after.is_empty() || after.starts_with('/');
                is_issuer
                    && in_path
                    && whole
                    && !after.contains(['{', '}'])
                    && !before.contains(['{', '}'])
            });
        if !is_template {
            return Err(invalid(
                "issuer_template is not an https URL with {tenantid} once, as a part of its path between slashes, such as \
                 https://login.microsoftonline.com/{tenantid}/v2.0",
            ));
        }
        if let Some(tenants) = &tenants {
            if tenants.is_empty() {
                return Err(invalid(
                    "allow_tenants names no tenant, so that nobody could log in",
                ));
            }
            if !tenants.iter().all(|tenant| is_tenant(tenant)) {
                return Err(invalid(
                    "allow_tenants names something that is not the id (a GUID) of a tenant",
                ));
            }
        }
        Ok(Self { text, tenants })
    }

    /// The tenant of an issuer, if it is one of this template.
    fn tenant_of<'a>(&self, issuer: &'a str) -> Option<&'a str> {
        let (before, after) = self.text.split_once(PLACEHOLDER)?;
        issuer
            .strip_prefix(before)?
            .strip_suffix(after)
            .filter(|tenant| is_tenant(tenant))
    }

    fn allows(&self, tenant: &str) -> bool {
        self.tenants
            .as_ref()
            .is_none_or(|tenants| tenants.iter().any(|t| t.eq_ignore_ascii_case(tenant)))
    }
}

/// Has an issuer a place that somebody must fill?
pub(super) fn is_template(issuer: &str) -> bool {
    issuer.contains(['{', '}'])
}

/// Is it a GUID, such as `9188040d-6c67-4c5b-b112-36a304b66dad`?
fn is_tenant(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests;
