//! A provider's metadata: OpenID Connect Discovery 1.0 and RFC 8414.
//!
//! openidconnect's own type is not used here: it refuses documents without members that only OpenID Providers have, and
//! drops what it does not know.

use std::collections::BTreeMap;

use serde::de::MapAccess;
use url::Url;

use super::{
    issuer::is_template,
    json::{Lenient, ObjectReader, find_member, read_object},
};
use crate::{
    Error, ErrorCode, Phase, Result,
    error::excerpt,
    http::{is_loopback, is_secure},
};

/// How long a metadata document may be, in bytes. Most have two to six thousand.
const MAX_LEN: usize = 256 * 1024;

macro_rules! metadata {
    (
        urls { $($url:ident $url_doc:literal,)* }
        lists { $($list:ident $list_doc:literal,)* }
        flags { $($flag:ident $flag_doc:literal,)* }
    ) => {
        /// What a provider publishes about itself (OpenID Connect Discovery 1.0 section 3, RFC 8414 section 2).
        ///
        /// Every endpoint is https, or http to this machine if the issuer is on it too. Lists are absent where the
        /// provider says nothing; the specifications' defaults are not filled in. Unknown members are kept:
        /// [`get`](Self::get).
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct ProviderMetadata {
            /// Who it is: an https URL, compared character by character.
            pub issuer: String,
            $(#[doc = $url_doc] pub $url: Option<Url>,)*
            $(#[doc = $list_doc] pub $list: Option<Vec<String>>,)*
            $(#[doc = $flag_doc] pub $flag: Option<bool>,)*
            /// Endpoints for clients that authenticate by certificate, by the name of the usual one (RFC 8705 section 5).
            pub mtls_endpoint_aliases: BTreeMap<String, Url>,
            raw: String,
        }

        impl ProviderMetadata {
            /// Metadata that nothing but the issuer is known of, to fill in by hand.
            #[must_use]
            pub fn new(issuer: impl Into<String>) -> Self {
                Self {
                    issuer: issuer.into(),
                    $($url: None,)*
                    $($list: None,)*
                    $($flag: None,)*
                    mtls_endpoint_aliases: BTreeMap::new(),
                    raw: "{}".to_owned(),
                }
            }
        }

        impl<'de> ObjectReader<'de> for Reader {
            type Output = Self;

            fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
                match name {
                    "issuer" => self.metadata.issuer = map.next_value::<Lenient<String>>()?.0.unwrap_or_default(),
                    $(stringify!($url) => self.metadata.$url = self.url(stringify!($url), map.next_value()?),)*
                    $(stringify!($list) => self.metadata.$list = list(map.next_value()?),)*
                    $(stringify!($flag) => self.metadata.$flag = map.next_value::<Lenient<_>>()?.0,)*
                    "mtls_endpoint_aliases" => {
                        let aliases: serde_json::Value = map.next_value()?;
                        for (name, value) in aliases.as_object().into_iter().flatten() {
                            if let Some(url) = self.url("mtls_endpoint_aliases", value.clone()) {
                                self.metadata.mtls_endpoint_aliases.insert(name.clone(), url);
                            }
                        }
                    }
                    _ => return Ok(false),
                }
                Ok(true)
            }

            fn finish(self) -> Self {
                self
            }
        }
    };
}

metadata! {
    urls {
        authorization_endpoint "Where the browser is sent to log in.",
        token_endpoint "Where codes and refresh tokens become access tokens.",
        userinfo_endpoint "Where claims about the user are (OpenID Connect Core section 5.3).",
        jwks_uri "Where the keys are that sign ID tokens (RFC 7517).",
        end_session_endpoint "Where the browser is sent to log out (RP-Initiated Logout 1.0).",
        check_session_iframe "The page for Session Management 1.0.",
        revocation_endpoint "Where tokens are revoked (RFC 7009).",
        introspection_endpoint "Where tokens are looked into (RFC 7662).",
        registration_endpoint "Where clients are registered (RFC 7591).",
        pushed_authorization_request_endpoint "Where authorization requests are pushed (RFC 9126).",
        device_authorization_endpoint "Where devices begin (RFC 8628).",
        backchannel_authentication_endpoint "Where CIBA begins.",
    }
    lists {
        token_endpoint_auth_methods_supported "How clients may authenticate at the token endpoint; absent means `client_secret_basic`.",
        token_endpoint_auth_signing_alg_values_supported "Algorithms of client assertions at the token endpoint.",
        revocation_endpoint_auth_methods_supported "The same at the revocation endpoint.",
        revocation_endpoint_auth_signing_alg_values_supported "Algorithms of client assertions at the revocation endpoint.",
        introspection_endpoint_auth_methods_supported "The same at the introspection endpoint.",
        introspection_endpoint_auth_signing_alg_values_supported "Algorithms of client assertions at the introspection endpoint.",
        response_types_supported "Response types; the order of the words within one means nothing.",
        response_modes_supported "Response modes; absent means `query` and `fragment`.",
        grant_types_supported "Grant types; absent means `authorization_code` and `implicit`.",
        code_challenge_methods_supported "PKCE methods (RFC 7636); absent means that PKCE may be ignored.",
        scopes_supported "Scopes, perhaps not all.",
        claims_supported "Claims, perhaps not all.",
        acr_values_supported "Authentication context class references.",
        subject_types_supported "`public`, `pairwise`.",
        prompt_values_supported "Values of `prompt`.",
        ui_locales_supported "Languages of the pages.",
        id_token_signing_alg_values_supported "Algorithms of ID tokens. What is *allowed* is the client's own decision.",
        id_token_encryption_alg_values_supported "Key management algorithms of encrypted ID tokens.",
        id_token_encryption_enc_values_supported "Content encryption algorithms of encrypted ID tokens.",
        userinfo_signing_alg_values_supported "Algorithms of signed userinfo.",
        request_object_signing_alg_values_supported "Algorithms of request objects (RFC 9101).",
        authorization_signing_alg_values_supported "Algorithms of signed authorization responses (JARM).",
        dpop_signing_alg_values_supported "Algorithms of DPoP proofs (RFC 9449).",
    }
    flags {
        authorization_response_iss_parameter_supported "Authorization responses name the issuer (RFC 9207).",
        backchannel_logout_supported "Tells clients of logouts directly (Back-Channel Logout 1.0).",
        backchannel_logout_session_supported "With the `sid` of the session.",
        frontchannel_logout_supported "Tells clients of logouts through the browser (Front-Channel Logout 1.0).",
        frontchannel_logout_session_supported "With `iss` and the `sid` of the session.",
        request_parameter_supported "Takes request objects by value.",
        request_uri_parameter_supported "Takes request objects by reference.",
        require_request_uri_registration "Only by references that were registered.",
        require_pushed_authorization_requests "Takes only pushed requests.",
        require_signed_request_object "Takes only signed requests.",
        tls_client_certificate_bound_access_tokens "Binds tokens to certificates (RFC 8705).",
        claims_parameter_supported "Takes the `claims` parameter.",
    }
}

struct Reader {
    metadata: ProviderMetadata,
    /// The first member that cannot be used.
    problem: Option<&'static str>,
    /// The first endpoint by http: only a provider on this machine may have one.
    plain: Option<&'static str>,
}

impl Reader {
    /// An endpoint: absent, empty and null are the same.
    fn url(&mut self, member: &'static str, value: serde_json::Value) -> Option<Url> {
        let text = match &value {
            serde_json::Value::Null => return None,
            serde_json::Value::String(text) if text.is_empty() => return None,
            serde_json::Value::String(text) => text,
            _ => {
                self.problem.get_or_insert(member);
                return None;
            }
        };
        let url = Url::parse(text).ok().filter(is_endpoint);
        match &url {
            None => {
                self.problem.get_or_insert(member);
            }
            Some(url) if url.scheme() != "https" => {
                self.plain.get_or_insert(member);
            }
            Some(_) => {}
        }
        url
    }
}

/// https or loopback, no fragment (RFC 6749 section 3.1), no password.
fn is_endpoint(url: &Url) -> bool {
    is_secure(url)
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

fn list(value: serde_json::Value) -> Option<Vec<String>> {
    serde_json::from_value(value).ok()
}

impl ProviderMetadata {
    /// Reads a metadata document. If `issuer` is given, the document must name exactly that one.
    ///
    /// # Errors
    /// With phase [`Phase::Discovery`]: `issuer_mismatch`; `invalid_metadata` if it is not a JSON object with each
    /// member once, longer than 256 KiB, names no issuer, or an endpoint that is not https (http to this machine is for
    /// issuers on this machine).
    pub fn parse(bytes: &[u8], issuer: Option<&str>) -> Result<Self> {
        Self::read(bytes, |found| match issuer {
            Some(expected) if found != expected => Err(mismatch(found, Some(expected))),
            None if is_template(found) => Err(mismatch(found, None)),
            _ => Ok(()),
        })
    }

    /// Reads the document that was found at `url`, which says who the issuer must be. At an address of no well-known form
    /// anybody could call itself anything, the issuer of another client's users included.
    pub(crate) fn parse_from(bytes: &[u8], url: &Url) -> Result<Self> {
        Self::read(bytes, |found| match issuers_of(url) {
            Some(issuers) if issuers.iter().all(|issuer| issuer != found) => {
                Err(mismatch(found, Some(&issuers[0])))
            }
            None => Err(Error::new(
                ErrorCode::IssuerMismatch,
                Phase::Discovery,
                format!(
                    "the metadata of {:?} was found at an address that does not say whose it is; name the provider by issuer()",
                    excerpt(found)
                ),
            )),
            _ => Ok(()),
        })
    }

    fn read(bytes: &[u8], check_issuer: impl FnOnce(&str) -> Result<()>) -> Result<Self> {
        if bytes.len() > MAX_LEN {
            return Err(unusable("it is longer than 256 KiB"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| unusable("it is not UTF-8"))?;
        let reader = Reader {
            metadata: Self::new(""),
            problem: None,
            plain: None,
        };
        let mut read = read_object(text, reader)
            .map_err(|_| unusable("it is not a JSON object with each member once"))?;
        if let Some(member) = read.problem {
            return Err(unusable(&format!(
                "{member} is not an https URL (or http to this machine) without fragment and password"
            )));
        }
        let issuer = Url::parse(&read.metadata.issuer)
            .ok()
            .filter(is_issuer)
            .ok_or_else(|| {
                unusable("its issuer is absent, or not an https URL without query and fragment")
            })?;
        // First: what else is odd about the document of another issuer is not the thing to say.
        check_issuer(&read.metadata.issuer)?;
        // Otherwise any provider could have us ask the services of our own machine.
        if let Some(member) = read.plain.filter(|_| !is_loopback(&issuer)) {
            return Err(unusable(&format!(
                "{member} is an http URL to this machine, and the issuer is not on this machine"
            )));
        }
        read.metadata.raw = text.to_owned();
        Ok(read.metadata)
    }

    /// Any member by its name, as it came.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<serde_json::Value> {
        find_member(&self.raw, name)
    }
}

/// Where the metadata of an issuer is: by OpenID Connect Discovery 1.0 section 4.1, and by RFC 8414 section 3.1.
///
/// # Errors
/// `invalid_configuration` if the issuer is not an https URL without query and fragment.
pub(crate) fn urls_for(issuer: &str) -> Result<[Url; 2]> {
    let url = Url::parse(issuer).ok().filter(is_issuer).ok_or_else(|| {
        Error::new(
            ErrorCode::InvalidConfiguration,
            Phase::Configure,
            format!(
                "the issuer {:?} is not an https URL without query and fragment",
                excerpt(issuer)
            ),
        )
    })?;
    let path = url.path().trim_end_matches('/');
    let at = |path: &str| {
        let mut at = url.clone();
        at.set_path(path);
        at
    };
    Ok([
        at(&format!("{path}{OPENID}")),
        at(&format!("{OAUTH}{path}")),
    ])
}

/// Where OpenID Connect Discovery appends.
const OPENID: &str = "/.well-known/openid-configuration";

/// What RFC 8414 puts between host and path.
const OAUTH: &str = "/.well-known/oauth-authorization-server";

/// Which issuers may be described at this address, the likelier one first; none if it is of no well-known form. A
/// trailing slash is cut before the well-known part is added, so that an issuer with and one without it are possible.
fn issuers_of(url: &Url) -> Option<[String; 2]> {
    let path = url.path();
    // Providers also append the name of RFC 8414, and insert the other one (RFC 8414 section 5).
    let issuer = [OPENID, OAUTH].iter().find_map(|known| {
        path.strip_suffix(known).or_else(|| {
            path.strip_prefix(known)
                .filter(|rest| rest.starts_with('/'))
        })
    })?;
    let base = format!(
        "{}{}",
        url.origin().ascii_serialization(),
        issuer.trim_end_matches('/')
    );
    let with_slash = format!("{base}/");
    Some([base, with_slash])
}

fn is_issuer(url: &Url) -> bool {
    is_endpoint(url) && url.query().is_none()
}

fn unusable(what: &str) -> Error {
    Error::new(
        ErrorCode::InvalidMetadata,
        Phase::Discovery,
        format!("the provider's metadata cannot be used: {what}"),
    )
}

fn mismatch(found: &str, expected: Option<&str>) -> Error {
    let place = expected.map_or_else(String::new, |expected| {
        format!(" where that of {expected:?} was expected")
    });
    let advice = if is_template(found) {
        "if its tenants may log in, call issuer_template with it"
    } else {
        "set the issuer exactly as the provider writes it"
    };
    Error::new(
        ErrorCode::IssuerMismatch,
        Phase::Discovery,
        format!(
            "the metadata of {:?} was found{place}; {advice}",
            excerpt(found)
        ),
    )
}

#[cfg(test)]
mod tests;
