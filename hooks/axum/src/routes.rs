//! The routes of a login and a logout.

mod by_provider;

use std::{error::Error as StdError, fmt, future::Future, pin::Pin, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, RawQuery, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokenkeep_core::{
    self as core, BrowserCookies, CallbackParams, Client, ErrorCode, Login, OAuth, Phase, Session,
};

use crate::{
    ClientName, Error, Result, SetCookies, SignedIn, SignedInForm, cookies::browser_cookies,
    extract::is_form, page,
};

type BoxError = Box<dyn StdError + Send + Sync>;
type LogOutPage = dyn Fn(Option<&Session>) -> Response + Send + Sync;
type OwnerOf = dyn Fn(Arc<Login>) -> Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send>>
    + Send
    + Sync;

/// Login, connect, callback, logout and the way back from it, as routes to merge into an application's own:
///
/// | route | what it does |
/// |---|---|
/// | `GET /login/{client}?return_to=/path` | sends the browser to the provider |
/// | `GET /connect/{client}?return_to=/path` | the same, to add a grant to who is signed in |
/// | `GET, POST /callback/{client}` | reads the answer, keeps the login, begins a session; people go to `return_to` or `/` |
/// | `GET /logout` | a page with a button; for programs `{client, owner, csrf}` |
/// | `POST /logout` | ends the session here and, where it can be done, at the provider; a grant with `offline_access` stays for background work ([`Grant::revoke`](core::Grant::revoke) ends that) |
/// | `GET /logged-out/{client}` | the way back from there |
/// | `POST /backchannel-logout/{client}` | the provider ends sessions, whatever their browsers do ([`Client::backchannel_logout`](core::Client::backchannel_logout)); to be registered there as `backchannel_logout_uri` |
/// | `GET /frontchannel-logout/{client}` | a page of the provider's ends a session by `iss` and `sid`, in a frame ([`Client::frontchannel_logout`](core::Client::frontchannel_logout)); to be registered there as `frontchannel_logout_uri`, with `frontchannel_logout_session_required` |
///
/// The back channel is answered exactly as its specification says: 200 with an empty body if what the token names has ended, also
/// if there was nothing to end; 400 with the JSON of [`Error`] for a token that is refused (`invalid_logout_token`),
/// and for whatever else keeps the sessions from ending, a store that is away included; 404 for a client that nobody
/// registered. No cookie and no CSRF token is looked at: the token proves who asks. What stands in front of these routes must let
/// the provider's requests through.
///
/// No answer is kept by a cache, and none tells another site its address. The pages run no script, load nothing and stand in
/// no frame. Pages of the application that show who is signed in need `cache-control: no-store` of their own: otherwise the
/// browser's back button shows them after the logout.
///
/// The registry needs a [`base_url`](core::OAuthBuilder::base_url): redirect URIs are built from it, never from what a
/// request names.
pub fn routes(oauth: &OAuth) -> Routes {
    Routes {
        oauth: oauth.clone(),
        owner: None,
        log_out_page: None,
        prefix: String::new(),
        after_login: "/".into(),
        after_logout: "/".into(),
    }
}

/// The routes, before they are merged: see [`routes`].
#[derive(Clone)]
#[must_use = "routes do nothing before they are merged into a router"]
pub struct Routes {
    oauth: OAuth,
    owner: Option<Arc<OwnerOf>>,
    log_out_page: Option<Arc<LogOutPage>>,
    prefix: String,
    after_login: String,
    after_logout: String,
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Routes {
    /// Maps a login to the application's own user id; an error refuses the login (403 `owner_refused`, without its text).
    /// Without this it is [`Login::default_owner`].
    pub fn owner<F, Fut, O, E>(mut self, owner: F) -> Self
    where
        F: Fn(Arc<Login>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = std::result::Result<O, E>> + Send + 'static,
        O: Into<String>,
        E: Into<BoxError>,
    {
        self.owner = Some(Arc::new(move |login| {
            let owner = owner(login);
            Box::pin(async move { owner.await.map(Into::into).map_err(Into::into) })
        }));
        self
    }

    /// Draws the page of `GET /logout`, instead of a plain one: a form that POSTs the session's
    /// [`csrf`](Session::csrf) token to the same address, or that nobody is signed in.
    pub fn log_out_page<F, R>(mut self, page: F) -> Self
    where
        F: Fn(Option<&Session>) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        self.log_out_page = Some(Arc::new(move |session| page(session).into_response()));
        self
    }

    /// Puts the routes under a path, such as `/auth`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        let prefix: String = prefix.into();
        self.prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        };
        self
    }

    /// Where people go after a login without `return_to`; `/` if not said.
    pub fn after_login(mut self, path: impl Into<String>) -> Self {
        self.after_login = path.into();
        self
    }

    /// Where people go after a logout; `/` if not said.
    pub fn after_logout(mut self, path: impl Into<String>) -> Self {
        self.after_logout = path.into();
        self
    }
}

impl<S: Clone + Send + Sync + 'static> From<Routes> for Router<S> {
    fn from(routes: Routes) -> Self {
        if let Err(error) = routes.oauth.routes_at(&routes.prefix) {
            tracing::warn!(%error, "the routes come before the registry is initialised: errors will name no connect_url");
        }
        let at = |path: &str| format!("{}{path}", routes.prefix);
        Router::new()
            .route(&at("/login/{client}"), get(log_in))
            .route(&at("/connect/{client}"), get(connect))
            .route(
                &at("/callback/{client}"),
                get(callback_query)
                    .post(callback_form)
                    // A look by HEAD must not use the login up.
                    .head(callback_by_another_method)
                    .fallback(callback_by_another_method),
            )
            .route(&at("/logout"), get(log_out_page).post(log_out))
            .route(&at("/logged-out/{client}"), get(logged_out))
            .route(
                &at("/backchannel-logout/{client}"),
                post(by_provider::back_channel),
            )
            .route(
                &at("/frontchannel-logout/{client}"),
                get(by_provider::front_channel),
            )
            .layer(DefaultBodyLimit::max(64 * 1024))
            .with_state(routes)
    }
}

impl axum::extract::FromRef<Routes> for OAuth {
    fn from_ref(routes: &Routes) -> Self {
        routes.oauth.clone()
    }
}

/// A redirect that is followed with GET, and kept by no cache.
fn see_other(to: &str) -> Result<Response> {
    let location = HeaderValue::try_from(to).map_err(|_| {
        core::Error::new(
            ErrorCode::Internal,
            Phase::Session,
            "an address to go to cannot stand in a header",
        )
    })?;
    let headers = [(header::LOCATION, location)];
    Ok((StatusCode::SEE_OTHER, page::PRIVATE, headers).into_response())
}

impl Routes {
    /// An address of ours as providers know it.
    fn own_url(&self, route: &str, client: &str) -> Result<String> {
        let configure = |what: &str| {
            core::Error::new(ErrorCode::InvalidConfiguration, Phase::Configure, what)
                .with_client(client)
        };
        let base = self.oauth.base_url().ok_or_else(|| {
            configure(
                "the application's address is not known: give it to the builder with base_url(…)",
            )
        })?;
        let mut url = base.clone();
        {
            let mut segments = url
                .path_segments_mut()
                .map_err(|()| configure("the application's address has no path"))?;
            segments.pop_if_empty();
            segments.extend(self.prefix.split('/').filter(|segment| !segment.is_empty()));
            segments.push(route).push(client);
        }
        Ok(url.into())
    }

    async fn redirect_uri(&self, client: &Client) -> Result<String> {
        match client.redirect_uri().await? {
            Some(uri) => Ok(uri),
            None => self.own_url("callback", client.name()),
        }
    }

    /// Cookies that are set under one host do not come back to another: the most common reason for a login that fails.
    fn warn_of_another_host(&self, headers: &HeaderMap) {
        let Some(base) = self.oauth.base_url() else {
            return;
        };
        let asked = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let expected = &base[url::Position::BeforeHost..url::Position::AfterPort];
        if let Some(asked) = asked.filter(|asked| !asked.eq_ignore_ascii_case(expected)) {
            let asked: String = asked.chars().take(100).collect();
            tracing::warn!(
                asked,
                base_url = %base,
                "a login was asked for under another host than base_url's: its cookies will not come back there"
            );
        }
    }

    async fn start(
        &self,
        name: &str,
        query: Option<&str>,
        cookies: &BrowserCookies,
        connect: Option<&Session>,
    ) -> Result<Response> {
        let client = self.oauth.client(name)?;
        let mut login = client
            .authorize_redirect(self.redirect_uri(&client).await?)
            .cookies(cookies);
        if let Some(path) = parameter(query, "return_to")? {
            login = login.return_to(path);
        }
        if let Some(session) = connect {
            login = login.connect(session.owner());
        }
        let redirect = login.await?;
        Ok((
            SetCookies(redirect.cookies),
            see_other(redirect.url.as_str())?,
        )
            .into_response())
    }

    /// Lets a posted answer wait where it adds a grant and the session did not come along: the browser brings that when it
    /// follows the redirect.
    async fn hold(
        &self,
        client: &Client,
        encoded: &[u8],
        headers: &HeaderMap,
    ) -> Result<Option<Response>> {
        let cookies = browser_cookies(headers);
        let redirect_uri = self.redirect_uri(client).await?;
        let held = client
            .hold_answer(encoded, &cookies, Some(&redirect_uri))
            .await?;
        match held {
            Some(held) if self.oauth.session(&cookies).await?.is_none() => {
                let again = see_other(held.url.as_str())?;
                Ok(Some((SetCookies(held.cookies), again).into_response()))
            }
            _ => Ok(None),
        }
    }

    async fn finish(&self, name: &str, encoded: &[u8], headers: &HeaderMap) -> Result<Response> {
        let client = self.oauth.client(name)?;
        if let Some(again) = self.hold(&client, encoded, headers).await? {
            return Ok(again);
        }
        let params = CallbackParams::parse(encoded).map_err(|error| error.with_client(name))?;
        let cookies = browser_cookies(headers);
        let redirect_uri = self.redirect_uri(&client).await?;
        let returned = client
            .authorize_access_token(&params, &cookies, Some(&redirect_uri))
            .await;
        let removal: Vec<_> = returned.removal.into_iter().collect();
        let kept = async {
            let login = Arc::new(returned.login?);
            let session = self.oauth.session(&cookies).await;
            let session = match &login.connect {
                Some(_) => session?,
                // It is only to end: a new one takes its place, whatever became of it.
                None => session.unwrap_or_else(|error| {
                    tracing::warn!(%error, "the session that a login replaces cannot be looked at");
                    None
                }),
            };
            let owner = match &login.connect {
                Some(owner) => owner.clone(),
                None => self.owner_of(&login).await?,
            };
            let kept = self
                .oauth
                .keep_login(&login, &owner, session.as_ref())
                .await?;
            Ok::<_, Error>((login, kept))
        };
        let (login, kept) = kept
            .await
            .map_err(|error| error.with_cookies(removal.clone()))?;
        let set = SetCookies(removal.into_iter().chain(kept.cookies).collect());
        if wants_json(headers) {
            let summary = Json(summary(&login, &kept.owner));
            return Ok((set, page::PRIVATE, summary).into_response());
        }
        let to = login.return_to.as_deref().unwrap_or(&self.after_login);
        Ok((set, see_other(to)?).into_response())
    }

    async fn owner_of(&self, login: &Arc<Login>) -> Result<String> {
        let Some(owner) = &self.owner else {
            return Ok(login.default_owner()?);
        };
        owner(Arc::clone(login)).await.map_err(|refusal| {
            core::Error::new(
                ErrorCode::OwnerRefused,
                Phase::Owner,
                "the application refused the login",
            )
            .with_client(&login.client)
            .with_source(refusal)
            .into()
        })
    }
}

/// Programs say that they want JSON; whoever says nothing is sent on like a person.
fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    accept.contains("application/json") && !page::wants_page(headers)
}

/// What a program sees of a login.
fn summary(login: &Login, owner: &str) -> Value {
    json!({
        "client": login.client,
        "owner": owner,
        "claims": login.claims.as_ref().map(|claims| claims.to_value()),
        "userinfo": login.userinfo.as_ref().map(|userinfo| userinfo.to_value()),
        "scopes": login.scopes,
        "token_type": login.token.credential().token_type(),
        "expires_at": login.token.expires_at().map(core::Timestamp::as_secs),
        "refreshable": login.token.refresh_token().is_some(),
    })
}

/// One parameter of a query.
fn parameter(query: Option<&str>, name: &str) -> Result<Option<String>> {
    let mut values = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .filter(|(other, _)| other == name)
        .map(|(_, value)| value.into_owned());
    let value = values.next();
    if values.next().is_some() {
        let message = format!("the parameter {name} is given twice");
        return Err(
            core::Error::new(ErrorCode::InvalidParameter, Phase::Authorize, message).into(),
        );
    }
    Ok(value)
}

async fn log_in(
    State(routes): State<Routes>,
    ClientName(client): ClientName,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response> {
    routes.warn_of_another_host(&headers);
    routes
        .start(&client, query.as_deref(), &browser_cookies(&headers), None)
        .await
        .map_err(|error| error.answering(&headers))
}

/// A page of another site must not start adding a grant: with a login of its author's at the provider, the user's account
/// would get that one. Browsers say where a request comes from; what says nothing is no browser's.
fn refuse_cross_site(headers: &HeaderMap) -> Result<()> {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if matches!(site, Some(b"cross-site" | b"same-site")) {
        return Err(Error::from(core::Error::new(
            ErrorCode::CsrfMismatch,
            Phase::Authorize,
            "the request does not come from one of the application's own pages",
        ))
        .answering(headers));
    }
    Ok(())
}

async fn connect(
    State(routes): State<Routes>,
    ClientName(client): ClientName,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    user: SignedIn,
) -> Result<Response> {
    refuse_cross_site(&headers)?;
    routes
        .start(
            &client,
            query.as_deref(),
            &browser_cookies(&headers),
            Some(user.session()),
        )
        .await
        .map_err(|error| error.answering(&headers))
}

async fn callback_query(
    State(routes): State<Routes>,
    ClientName(client): ClientName,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response> {
    let query = query.unwrap_or_default();
    routes
        .finish(&client, query.as_bytes(), &headers)
        .await
        .map_err(|error| error.answering(&headers))
}

async fn callback_form(
    State(routes): State<Routes>,
    ClientName(client): ClientName,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response> {
    let invalid = |message: &str| {
        let error = core::Error::new(ErrorCode::InvalidParameter, Phase::Callback, message);
        Error::from(error.with_client(&client)).answering(&headers)
    };
    let body = body.map_err(|rejection| {
        invalid("the posted answer is over 64 KiB, or broke off").with_status(rejection.status())
    })?;
    if !is_form(&headers) {
        return Err(invalid(
            "the posted answer is not application/x-www-form-urlencoded, as form_post is",
        ));
    }
    routes
        .finish(&client, &body, &headers)
        .await
        .map_err(|error| error.answering(&headers))
}

async fn callback_by_another_method(
    ClientName(client): ClientName,
    headers: HeaderMap,
) -> impl IntoResponse {
    let message = "an authorization response comes by GET, or by POST for form_post";
    let error = core::Error::new(ErrorCode::InvalidParameter, Phase::Callback, message);
    let error = Error::from(error.with_client(client))
        .answering(&headers)
        .with_status(StatusCode::METHOD_NOT_ALLOWED);
    ([(header::ALLOW, "GET, POST")], error)
}

async fn log_out_page(
    State(routes): State<Routes>,
    headers: HeaderMap,
    user: Option<SignedIn>,
) -> Result<Response> {
    let session = user.as_ref().map(SignedIn::session);
    let page = match (session, &routes.log_out_page) {
        (Some(session), _) if wants_json(&headers) => Json(json!({
            "client": session.client(),
            "owner": session.owner(),
            "csrf": session.csrf(),
        }))
        .into_response(),
        (None, _) if wants_json(&headers) => return Err(SignedIn::nobody(&headers)),
        (session, Some(page)) => page(session),
        (session, None) => page::log_out(session, &format!("{}/logout", routes.prefix)),
    };
    // With `no-referrer` browsers would post the form without its origin, and applications may check that.
    let own = [(header::REFERRER_POLICY, "same-origin")];
    Ok((page::PRIVATE, own, page).into_response())
}

async fn log_out(
    State(routes): State<Routes>,
    headers: HeaderMap,
    form: SignedInForm,
) -> Result<Response> {
    let session = form.user.session();
    let work = async {
        let back = routes.own_url("logged-out", session.client())?;
        let out = routes.oauth.log_out(session, Some(&back)).await?;
        let to = out
            .redirect
            .map_or_else(|| routes.after_logout.clone(), String::from);
        Ok((SetCookies(out.cookies), see_other(&to)?).into_response())
    };
    work.await.map_err(|error: Error| error.answering(&headers))
}

async fn logged_out(
    State(routes): State<Routes>,
    ClientName(client): ClientName,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response> {
    let work = async {
        let client = routes.oauth.client(&client)?;
        let params = CallbackParams::parse(query.unwrap_or_default())?;
        let removal = client.validate_logout_response(&params, &browser_cookies(&headers), None)?;
        Ok((SetCookies(vec![removal]), see_other(&routes.after_logout)?).into_response())
    };
    work.await.map_err(|error: Error| error.answering(&headers))
}
