//! Somebody who is signed in, without a provider.

use std::{fmt, time::Duration};

use tokenkeep_core::{Error, ErrorCode, Login, OAuth, Phase, Result, Session, Token};

/// A browser in which somebody is signed in.
#[derive(Clone)]
#[non_exhaustive]
pub struct SignedInBrowser {
    /// The value of its `Cookie` header.
    pub cookie: String,
    /// The CSRF token of its session: for the header `x-csrf-token`, or the hidden field of a form.
    pub csrf: String,
    /// The session.
    pub session: Session,
}

impl fmt::Debug for SignedInBrowser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedInBrowser")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// Signs an owner in at the first registered client, with a made-up access token that lasts an hour. No provider takes
/// part, and nothing is sent if the client's issuer or token endpoint is in its registration.
///
/// The application's hooks run as at any login. [`Replies`](crate::Replies) shows it at work.
///
/// # Errors
/// `unknown_client` if there is no client; those of [`OAuth::keep_login`].
pub async fn signed_in(oauth: &OAuth, owner: &str) -> Result<SignedInBrowser> {
    let client = oauth.client_names().into_iter().next().ok_or_else(|| {
        let message = "no client is registered that somebody could sign in with";
        Error::new(ErrorCode::UnknownClient, Phase::Session, message)
    })?;
    let token = Token::builder(format!("access-token-of-{}", owner.escape_default()))
        .expires_at(oauth.now()? + Duration::from_secs(3600))
        .build()?;
    signed_in_with(oauth, &client, owner, token).await
}

/// The same at this client, with a token of the test's own.
///
/// # Errors
/// As [`signed_in`].
pub async fn signed_in_with(
    oauth: &OAuth,
    client: &str,
    owner: &str,
    token: Token,
) -> Result<SignedInBrowser> {
    let login = Login::for_tests(&oauth.client(client)?, owner, token).await?;
    let kept = oauth.keep_login(&login, owner, None).await?;
    let cookies = kept.cookies.iter();
    let cookie: Vec<_> = cookies
        .map(|cookie| format!("{}={}", cookie.name, cookie.value.expose()))
        .collect();
    let session = kept.session.ok_or_else(|| {
        let message = "the login began no session";
        Error::new(ErrorCode::Internal, Phase::Session, message)
    })?;
    Ok(SignedInBrowser {
        cookie: cookie.join("; "),
        csrf: session.csrf().to_owned(),
        session,
    })
}
