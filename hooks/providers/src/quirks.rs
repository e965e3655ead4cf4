//! What a provider does its own way, as data; and the one hook that mends it.

use async_trait::async_trait;
use reqwest::{
    Method, Request, StatusCode,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};
use serde_json::{Map, Value};
use tokenkeep_core::{Error, ErrorCode, Hook, Phase, RawAnswer, Result, TokenRequest};

use crate::{answer, profile::Profile};

/// The quirks of one provider.
#[derive(Clone, Copy)]
pub(crate) struct Quirks {
    /// The provider's names of errors at the token endpoint, and those of RFC 6749 section 5.2.
    pub(crate) errors: &'static [(&'static str, &'static str)],
    /// Descriptions of errors that have a name which says something else, and the right one.
    pub(crate) descriptions: &'static [(&'static str, &'static str)],
    /// Mends the answer to a refresh; says whether it did.
    pub(crate) refresh_answer: fn(StatusCode, &mut Map<String, Value>) -> bool,
    /// Mends an answer of the token endpoint; says whether it did.
    pub(crate) answer: fn(&mut Map<String, Value>) -> bool,
    /// The token endpoint and its neighbours read JSON alone.
    pub(crate) reads_json: bool,
    /// Headers of every request that does not bring them.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// Userinfo is asked for by POST, without a body.
    pub(crate) userinfo_by_post: bool,
    /// Mends a revocation.
    pub(crate) revocation: fn(&mut TokenRequest) -> Result<()>,
    /// What stands where in the profile.
    pub(crate) profile: Option<Profile>,
}

impl Quirks {
    /// None.
    pub(crate) const NONE: Self = Self {
        errors: &[],
        descriptions: &[],
        refresh_answer: |_, _| false,
        answer: |_| false,
        reads_json: false,
        headers: &[],
        userinfo_by_post: false,
        revocation: |_| Ok(()),
        profile: None,
    };

    fn request(&self, request: &mut TokenRequest) {
        if self.reads_json {
            request.send_as_json();
        }
        for (name, value) in self.headers {
            let headers = request.headers_mut();
            let name = HeaderName::from_static(name);
            headers
                .entry(name)
                .or_insert(HeaderValue::from_static(value));
        }
    }

    fn api_request(&self, request: &mut Request) {
        for (name, value) in self.headers {
            let headers = request.headers_mut();
            let name = HeaderName::from_static(name);
            headers
                .entry(name)
                .or_insert(HeaderValue::from_static(value));
        }
    }

    fn mended(&self, body: &[u8], refresh: Option<StatusCode>) -> Option<Vec<u8>> {
        answer::mend(body, |members| {
            let mended = (self.answer)(members)
                | refresh.is_some_and(|status| (self.refresh_answer)(status, members))
                | answer::rename_described(members, self.descriptions);
            answer::rename_error(members, self.errors) || mended
        })
    }
}

#[async_trait]
impl Hook for Quirks {
    async fn access_token_request(&self, _: &str, request: &mut TokenRequest) -> Result<()> {
        self.request(request);
        Ok(())
    }

    async fn access_token_response(
        &self,
        _: &str,
        _: &RawAnswer<'_>,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        self.mended(body, None)
    }

    async fn refresh_token_request(&self, _: &str, request: &mut TokenRequest) -> Result<()> {
        self.request(request);
        Ok(())
    }

    async fn refresh_token_response(
        &self,
        _: &str,
        answer: &RawAnswer<'_>,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        self.mended(body, Some(answer.status))
    }

    async fn protected_request(&self, _: &str, request: &mut Request) -> Result<()> {
        self.api_request(request);
        Ok(())
    }

    async fn revoke_token_request(&self, _: &str, request: &mut TokenRequest) -> Result<()> {
        self.request(request);
        (self.revocation)(request)
    }

    async fn introspect_token_request(&self, _: &str, request: &mut TokenRequest) -> Result<()> {
        self.request(request);
        Ok(())
    }

    async fn userinfo_request(&self, _: &str, request: &mut Request) -> Result<()> {
        if self.userinfo_by_post {
            *request.method_mut() = Method::POST;
        }
        self.api_request(request);
        Ok(())
    }

    async fn userinfo_response(&self, _: &str, claims: &mut Value) -> Result<()> {
        match &self.profile {
            Some(profile) => profile.apply(claims),
            None => Ok(()),
        }
    }
}

/// For a provider that revokes the access token it is called with: the token as the request's own proof, and nothing else in
/// it.
///
/// # Errors
/// `unsupported` for a refresh token.
pub(crate) fn revoke_by_bearer(request: &mut TokenRequest) -> Result<()> {
    let token = access_token_only(request)?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
        Error::new(
            ErrorCode::InvalidToken,
            Phase::Revoke,
            "the token has characters that cannot stand in a header",
        )
    })?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let names: Vec<String> = request.names().map(str::to_owned).collect();
    for name in names {
        request.remove(&name);
    }
    request.without_client_authentication();
    Ok(())
}

/// The access token of a revocation, for a provider that revokes no refresh tokens: they end with the access token, or live
/// as long as the grant.
///
/// # Errors
/// `unsupported` for a refresh token.
pub(crate) fn access_token_only(request: &TokenRequest) -> Result<String> {
    if request.parameter("token_type_hint") == Some("refresh_token") {
        return Err(Error::new(
            ErrorCode::Unsupported,
            Phase::Revoke,
            "the provider revokes access tokens only",
        ));
    }
    Ok(request.parameter("token").unwrap_or_default().to_owned())
}
