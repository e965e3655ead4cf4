//! Kept tokens in the requests of any reqwest-middleware client: of one that is there already, or of a client that a
//! generator wrote over reqwest-middleware.
//!
//! ```
//! use reqwest_middleware::ClientBuilder;
//! use tokenkeep_core::OAuth;
//! use tokenkeep_middleware::{KeptToken, Whose};
//!
//! # async fn example(oauth: OAuth) -> Result<(), Box<dyn std::error::Error>> {
//! let github = oauth.client("github")?;
//! let plain = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
//! let http = ClientBuilder::new(plain).with(KeptToken::of(github.owner("42")).follow_redirects()).build();
//!
//! // Found, renewed if it is over, sent; renewed once more if the API refuses it.
//! let repos = http.get("https://api.github.com/user/repos").send().await?;
//! // Another user's, for this request.
//! let theirs = http.get("https://api.github.com/user/repos").with_extension(Whose::Kept(github.owner("43"))).send().await?;
//! # let _ = (repos, theirs);
//! # Ok(())
//! # }
//! ```
//!
//! The rules are those of [`ApiRequest`], and so is the code: a token goes to the origins that its
//! client's registration allows and to no other, hooks take part, a 401 renews a kept token once if the body can be sent
//! again, refusals are typed errors. What is different is who sends: the client below, with its own proxy, roots and pool.
//!
//! # Redirects
//!
//! reqwest follows redirects by itself, where no middleware sees them. It drops the `Authorization` header on the way to
//! another origin, and a token in a header is safe by that. A body goes along, and an address may be told in a `Referer`. So:
//!
//! - As it is, [`KeptToken`] sends a token in the header only (`unsupported` where the registration says body or query, and for
//!   OAuth 1.0a), and refuses the answer of an origin that is not allowed (`foreign_origin`).
//! - After [`KeptToken::follow_redirects`] it follows them itself: to allowed origins only, each with the token put in anew. The
//!   client below must be built with [`Policy::none()`](reqwest::redirect::Policy::none).
//!
//! # OAuth 1.0a
//!
//! A token of OAuth 1.0a signs the request as it is handed down, wherever its parameters stand: method, address, query and
//! form. Such a signature is made for one address, so that it needs [`KeptToken::follow_redirects`]: each redirect is signed
//! anew, and one to another origin gets nothing. A middleware below that changes what was signed, or sends it once more, has
//! it refused by the API.
//!
//! # Where it stands
//!
//! Add it last: middlewares below it see the token. One that tells of requests (logs, traces) belongs above it, and one that
//! sends requests again does, too, so that a token that was renewed in between is found.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next};
use tokenkeep_core::{ApiRequest, Client, Error, Grant, Sent, Token, Transport, TransportError};
use tokio::sync::Mutex;

/// Puts a kept token into each request. See the [crate's documentation](crate).
#[derive(Clone, Debug)]
pub struct KeptToken {
    fallback: Fallback,
    follow_redirects: bool,
    timeout: Option<Duration>,
}

/// Whose token a request carries that does not say so.
#[derive(Clone, Debug)]
enum Fallback {
    Of(Grant),
    CurrentOwner(Client),
}

/// Whose token one request carries: `http.get(url).with_extension(Whose::Kept(grant))`.
#[derive(Clone, Debug)]
pub enum Whose {
    /// This grant's, of any registered client.
    Kept(Grant),
    /// A token of the caller's own; it is not renewed. It goes where the middleware's client may send one.
    Given(Token),
    /// Nobody's: the request goes down as it is, wherever it leads.
    Nobodys,
}

impl KeptToken {
    /// The token of this grant, whatever runs.
    #[must_use]
    pub fn of(grant: Grant) -> Self {
        Self::by(Fallback::Of(grant))
    }

    /// The token of the [current owner](tokenkeep_core::as_owner) at this client. Where there is none, a request says
    /// [`Whose`] it is or is refused as `owner_missing`.
    #[must_use]
    pub fn at(client: Client) -> Self {
        Self::by(Fallback::CurrentOwner(client))
    }

    fn by(fallback: Fallback) -> Self {
        Self {
            fallback,
            follow_redirects: false,
            timeout: None,
        }
    }

    /// Follows redirects here, up to ten, with the token put in anew for each; and sends tokens in body and query, where the
    /// registration says so, or sign by OAuth 1.0a. The client below must follow none: build it with
    /// [`Policy::none()`](reqwest::redirect::Policy::none), or what is in a body goes where an API redirects to.
    #[must_use]
    pub fn follow_redirects(mut self) -> Self {
        self.follow_redirects = true;
        self
    }

    /// How long the client below may take until the head of an answer. If not said it is the request's own timeout, the
    /// registration's, or 30 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The request with a token of whom it is meant for; or as it was, where that is nobody.
    fn authorized(
        &self,
        whose: Option<Whose>,
        request: Request,
    ) -> Result<ApiRequest, Box<Request>> {
        Ok(match (whose, &self.fallback) {
            (Some(Whose::Nobodys), _) => return Err(Box::new(request)),
            (Some(Whose::Kept(grant)), _) => grant.execute(request),
            (Some(Whose::Given(token)), Fallback::Of(grant)) => {
                grant.client().execute(request).token(&token)
            }
            (Some(Whose::Given(token)), Fallback::CurrentOwner(client)) => {
                client.execute(request).token(&token)
            }
            (None, Fallback::Of(grant)) => grant.execute(request),
            (None, Fallback::CurrentOwner(client)) => client.execute(request),
        })
    }
}

#[async_trait]
impl Middleware for KeptToken {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let whose = extensions.get::<Whose>().cloned();
        let mut request = match self.authorized(whose, request) {
            Ok(request) => request,
            Err(request) => return next.run(*request, extensions).await,
        };
        if let Some(timeout) = self.timeout {
            request = request.timeout(timeout);
        }
        let below = Below {
            next,
            follows_redirects: !self.follow_redirects,
            state: Mutex::new(State {
                extensions,
                failure: None,
            }),
        };
        let answer = request.send_through(&below).await;
        let failure = below.state.into_inner().failure;
        // What failed below is handed up as it is: middlewares above look at it to decide what to do.
        answer.map_err(|error| {
            failure.unwrap_or_else(|| reqwest_middleware::Error::middleware(error))
        })
    }
}

/// The rest of the chain, and the client at its end.
struct Below<'a> {
    next: Next<'a>,
    follows_redirects: bool,
    state: Mutex<State<'a>>,
}

struct State<'a> {
    extensions: &'a mut Extensions,
    failure: Option<reqwest_middleware::Error>,
}

impl fmt::Debug for Below<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Below")
            .field("follows_redirects", &self.follows_redirects)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for Below<'_> {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let mut state = self.state.lock().await;
        match self.next.clone().run(request, state.extensions).await {
            Ok(response) => Ok(response),
            Err(error) => {
                let sent = match error.is_connect() || error.is_builder() {
                    true => Sent::No,
                    false => Sent::Maybe,
                };
                // An address may hold a token.
                state.failure = Some(error.without_url());
                Err(TransportError::new(sent, "the client below has no answer"))
            }
        }
    }

    fn follows_redirects(&self) -> bool {
        self.follows_redirects
    }
}

/// tokenkeep's own error, where one of a middleware client is one: its code, its action, and whom to send to log in.
#[must_use]
pub fn error_of(error: &reqwest_middleware::Error) -> Option<&Error> {
    match error {
        reqwest_middleware::Error::Middleware(error) => error.downcast_ref(),
        reqwest_middleware::Error::Reqwest(_) => None,
    }
}
