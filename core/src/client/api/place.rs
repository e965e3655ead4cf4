//! Where a request carries its token (RFC 6750 section 2).

use reqwest::{
    Request,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
};
use url::{Url, form_urlencoded};

use crate::{
    Error, ErrorCode, Phase, Result, Secret, Token, client::Placement, refresh::Held,
    token::Credential,
};

/// A token to put in, and its generation if it is kept.
pub(super) struct Material {
    pub(super) credential: Credential,
    header: Option<HeaderValue>,
    /// The token itself, where it signs and is no header.
    pub(super) plain: Option<Secret>,
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
            plain: signing(token),
            generation: None,
        })
    }

    /// A kept one.
    pub(super) fn kept(held: &Held) -> Self {
        Self {
            credential: held.credential(),
            header: held.bearer().cloned(),
            plain: match held.bearer() {
                Some(_) => None,
                None => signing(&held.token()),
            },
            generation: Some(held.issued_generation),
        }
    }

    /// None, of OAuth 1.0a: the application signs by its own secret or key alone.
    pub(super) fn of_the_client_alone() -> Self {
        Self {
            credential: Credential::OAuth1 {
                secret: Secret::new(""),
            },
            header: None,
            plain: None,
            generation: None,
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
            return Err(unsupported(cannot_be_sent(&self.credential)));
        };
        let token = self.token().unwrap_or_default();
        match placement {
            Placement::DangerouslyInQuery => {
                put_in_query(request.url_mut(), token);
            }
            Placement::Body => {
                let form = request.body().and_then(|body| body.as_bytes());
                let Some(form) = form.filter(|_| is_form(request)) else {
                    return Err(unsupported(
                        "a token in the body needs a form that is not streamed (RFC 6750 section 2.2): send one by form(…), \
                         or register the client with the token placement header"
                            .into(),
                    ));
                };
                let form = with_parameter(form, token);
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

/// The token of OAuth 1.0a.
fn signing(token: &Token) -> Option<Secret> {
    matches!(token.credential(), Credential::OAuth1 { .. }).then(|| token.access_token().clone())
}

/// Why a token of this kind is not sent: never as a bearer token, which it is not.
fn cannot_be_sent(credential: &Credential) -> String {
    match credential {
        Credential::Dpop { .. } => {
            "a DPoP token needs a proof that is signed for each request (RFC 9449), and such proofs are not made here yet: \
             have the provider issue bearer tokens to this client"
                .into()
        }
        other => format!(
            "a token of the type {:?} cannot be sent: have the provider issue bearer tokens to this client, or send it by \
             yourself with withhold_token()",
            crate::error::excerpt(other.token_type())
        ),
    }
}

fn is_form(request: &Request) -> bool {
    let media = request.headers().get(CONTENT_TYPE).map(|media| {
        let media = media.as_bytes().split(|byte| *byte == b';').next();
        media.unwrap_or_default().trim_ascii()
    });
    media.is_some_and(|media| media.eq_ignore_ascii_case(b"application/x-www-form-urlencoded"))
}

const ACCESS_TOKEN: &str = "access_token";

/// The token stands there once: links that an API hands out may hold one already.
fn put_in_query(url: &mut Url, token: &str) {
    if url.query_pairs().any(|(name, _)| name == ACCESS_TOKEN) {
        let others: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(name, _)| name != ACCESS_TOKEN)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        url.query_pairs_mut().clear().extend_pairs(others);
    }
    url.query_pairs_mut().append_pair(ACCESS_TOKEN, token);
}

/// A form with the token behind what it says, octet by octet; a token that stands there already gives way.
fn with_parameter(form: &[u8], token: &str) -> Vec<u8> {
    let is_token = |pair: &&[u8]| {
        let mut names = form_urlencoded::parse(pair).map(|(name, _)| name == ACCESS_TOKEN);
        names.next().unwrap_or_default()
    };
    let own = form_urlencoded::Serializer::new(String::new())
        .append_pair(ACCESS_TOKEN, token)
        .finish();
    let mut pairs: Vec<&[u8]> = form
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty() && !is_token(pair))
        .collect();
    pairs.push(own.as_bytes());
    pairs.join(&b'&')
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
