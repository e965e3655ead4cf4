//! Where a request carries its token (RFC 6750 section 2).

use reqwest::{
    Request,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
};

use crate::{
    Error, ErrorCode, Phase, Result, Secret, Token, client::Placement, refresh::Held,
    token::Credential,
};

/// A token to put in, and its generation if it is kept.
pub(super) struct Material {
    credential: Credential,
    header: Option<HeaderValue>,
    pub(super) generation: Option<u64>,
}

impl Material {
    /// A token of the caller's.
    pub(super) fn given(token: &Token) -> Result<Self> {
        let header = match token.credential() {
            Credential::Bearer => Some(bearer_header(token)?),
            _ => None,
        };
        Ok(Self {
            credential: token.credential().clone(),
            header,
            generation: None,
        })
    }

    /// A kept one.
    pub(super) fn kept(held: &Held) -> Self {
        Self {
            credential: held.credential(),
            header: held.bearer().cloned(),
            generation: Some(held.issued_generation),
        }
    }

    /// The access token itself; none for one that cannot be sent.
    fn token(&self) -> Option<&str> {
        self.header.as_ref()?.to_str().ok()?.strip_prefix("Bearer ")
    }

    pub(super) fn secret(&self) -> Option<Secret> {
        self.token().map(Into::into)
    }

    /// Puts it in, once.
    ///
    /// # Errors
    /// `unsupported` for a token that cannot be sent, or not there.
    pub(super) fn place(
        &self,
        request: &mut Request,
        placement: Placement,
        phase: Phase,
    ) -> Result<()> {
        let unsupported = |what: String| Error::new(ErrorCode::Unsupported, phase, what);
        let Some(header) = &self.header else {
            let kind = self.credential.token_type();
            return Err(unsupported(format!(
                "a token of the type {:?} cannot be sent",
                crate::error::excerpt(kind)
            )));
        };
        let token = self.token().unwrap_or_default();
        match placement {
            Placement::DangerouslyInQuery => {
                request
                    .url_mut()
                    .query_pairs_mut()
                    .append_pair("access_token", token);
            }
            Placement::Body => {
                let is_form = request.headers().get(CONTENT_TYPE).is_some_and(|value| {
                    value
                        .as_bytes()
                        .starts_with(b"application/x-www-form-urlencoded")
                });
                let form = request
                    .body()
                    .and_then(|body| body.as_bytes())
                    .filter(|_| is_form);
                let Some(form) = form else {
                    return Err(unsupported(
                        "a token in the body needs a form (RFC 6750 section 2.2)".into(),
                    ));
                };
                let mut form = String::from_utf8_lossy(form).into_owned();
                if !form.is_empty() {
                    form.push('&');
                }
                form.extend(url::form_urlencoded::byte_serialize(b"access_token"));
                form.push('=');
                form.extend(url::form_urlencoded::byte_serialize(token.as_bytes()));
                request.headers_mut().remove(CONTENT_LENGTH);
                *request.body_mut() = Some(form.into());
            }
            _ => {
                request.headers_mut().insert(AUTHORIZATION, header.clone());
            }
        }
        Ok(())
    }
}

fn bearer_header(token: &Token) -> Result<HeaderValue> {
    let mut header = HeaderValue::try_from(format!("Bearer {}", token.access_token().expose()))
        .map_err(|_| {
            Error::new(
                ErrorCode::InvalidToken,
                Phase::Request,
                "the token has characters that cannot stand in a header",
            )
        })?;
    header.set_sensitive(true);
    Ok(header)
}
