//! The routes of a login and a logout: from a request to its answer.

mod by_provider;
mod connections;
mod login;
mod logout;

use std::{error::Error as StdError, fmt, pin::Pin, sync::Arc};

pub(crate) use connections::{Connection, State};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
pub use logout::LogOutPage;
use tokenkeep_core::{self as core, Client, ErrorCode, Login, OAuth, Phase, Session};

use crate::{
    Error, Request, Response, SignedIn,
    answer::{self, keep_private},
};

type BoxError = Box<dyn StdError + Send + Sync>;
type OwnerOf = dyn Fn(Arc<Login>) -> Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send>>
    + Send
    + Sync;

type Shown = dyn Fn(&Session, &str) -> bool + Send + Sync;

/// One of our places in an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// Sends the browser to the provider.
    LogIn,
    /// The same, to add a grant to who is signed in.
    Connect,
    /// The way back.
    Callback,
    /// The page with the button, and the logout itself.
    LogOut,
    /// The way back from the provider's logout.
    LoggedOut,
    /// A logout by the provider, behind the browser's back.
    BackChannel,
    /// A logout by the provider, in a frame of its page.
    FrontChannel,
    /// What the signed-in user has connected.
    Connections,
    /// Ends one of them.
    Disconnect,
}

impl Route {
    const ALL: [Self; 9] = [
        Self::LogIn,
        Self::Connect,
        Self::Callback,
        Self::LogOut,
        Self::LoggedOut,
        Self::BackChannel,
        Self::FrontChannel,
        Self::Connections,
        Self::Disconnect,
    ];

    /// The first segment of its path.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LogIn => "login",
            Self::Connect => "connect",
            Self::Callback => "callback",
            Self::LogOut => "logout",
            Self::LoggedOut => "logged-out",
            Self::BackChannel => "backchannel-logout",
            Self::FrontChannel => "frontchannel-logout",
            Self::Connections => "connections",
            Self::Disconnect => "disconnect",
        }
    }

    /// Does its path name a client, in a second and last segment?
    #[must_use]
    pub fn names_client(self) -> bool {
        !matches!(self, Self::LogOut | Self::Connections)
    }

    /// Is the body of such a request looked at?
    #[must_use]
    pub fn reads_body(self, method: &Method) -> bool {
        *method == Method::POST && self.methods().contains(&Method::POST)
    }

    /// What it answers by anything but 405.
    fn methods(self) -> &'static [Method] {
        match self {
            // A look by HEAD must not use the login up.
            Self::Callback => &[Method::GET, Method::POST],
            Self::LogOut => &[Method::GET, Method::HEAD, Method::POST],
            Self::BackChannel | Self::Disconnect => &[Method::POST],
            Self::LogIn
            | Self::Connect
            | Self::LoggedOut
            | Self::FrontChannel
            | Self::Connections => &[Method::GET, Method::HEAD],
        }
    }
}

/// The routes with what the application says of them; the hooks' type of this name says more.
#[derive(Clone)]
pub struct Routes {
    oauth: OAuth,
    owner: Option<Arc<OwnerOf>>,
    /// Which clients the page of connected accounts shows; without it there is none.
    shown: Option<Arc<Shown>>,
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
    /// All of them, as they are if nothing else is said.
    #[must_use]
    pub fn new(oauth: &OAuth) -> Self {
        Self {
            oauth: oauth.clone(),
            owner: None,
            shown: None,
            prefix: String::new(),
            after_login: "/".into(),
            after_logout: "/".into(),
        }
    }

    /// Maps a login to the application's own user id.
    pub fn set_owner<F, Fut, O, E>(&mut self, owner: F)
    where
        F: Fn(Arc<Login>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, E>> + Send + 'static,
        O: Into<String>,
        E: Into<BoxError>,
    {
        self.owner = Some(Arc::new(move |login| {
            let owner = owner(login);
            Box::pin(async move { owner.await.map(Into::into).map_err(Into::into) })
        }));
    }

    /// Puts the routes under a path.
    pub fn set_prefix(&mut self, prefix: &str) {
        self.prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        };
    }

    /// Where people go after a login without `return_to`.
    pub fn set_after_login(&mut self, path: String) {
        self.after_login = path;
    }

    /// Where people go after a logout.
    pub fn set_after_logout(&mut self, path: String) {
        self.after_logout = path;
    }

    /// Adds the page of connected accounts, with the clients that the application shows to a user.
    pub fn set_connections(
        &mut self,
        shown: impl Fn(&Session, &str) -> bool + Send + Sync + 'static,
    ) {
        self.shown = Some(Arc::new(shown));
    }

    /// Those that are asked for.
    pub fn routes(&self) -> impl Iterator<Item = Route> {
        let has_page = self.shown.is_some();
        let is_of_page = |route: &Route| matches!(route, Route::Connections | Route::Disconnect);
        let all = Route::ALL.into_iter();
        all.filter(move |route| has_page || !is_of_page(route))
    }

    /// What stands before each path: nothing, or a path without a slash at its end.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Lets errors say where to log in again. Before the routes are used.
    pub fn announce(&self) {
        if let Err(error) = self.oauth.routes_at(&self.prefix) {
            tracing::warn!(%error, "the routes come before the registry is initialised: errors will name no connect_url");
        }
    }

    /// Answers a request.
    pub async fn answer(&self, route: Route, request: Request) -> Response {
        let answer = self.dispatch(route, &request).await;
        answer.unwrap_or_else(|error| error.response())
    }

    async fn dispatch(&self, route: Route, request: &Request) -> Result<Response, Error> {
        let is_allowed = route.methods().contains(&request.method);
        match route {
            Route::Callback => self.callback(is_allowed, request).await,
            _ if !is_allowed => Ok(not_allowed(route)),
            Route::LogIn => self.log_in(request).await,
            Route::Connect => self.connect(request).await,
            Route::LogOut if request.method == Method::POST => self.log_out(request).await,
            Route::LogOut => self.log_out_page(request).await,
            Route::LoggedOut => self.logged_out(request),
            Route::BackChannel => self.back_channel(request).await,
            Route::FrontChannel => self.front_channel(request).await,
            Route::Connections => self.connections(request).await,
            Route::Disconnect => self.disconnect(request).await,
        }
    }

    async fn user(&self, request: &Request) -> Result<SignedIn, Error> {
        SignedIn::required(&self.oauth, &request.method, &request.headers).await
    }

    /// An address of ours as providers know it.
    fn own_url(&self, route: Route, client: Option<&str>) -> Result<url::Url, Error> {
        let configure = |what: &str| {
            let error = core::Error::new(ErrorCode::InvalidConfiguration, Phase::Configure, what);
            match client {
                Some(client) => error.with_client(client),
                None => error,
            }
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
            segments.push(route.name()).extend(client);
        }
        Ok(url)
    }

    async fn redirect_uri(&self, client: &Client) -> Result<String, Error> {
        match client.redirect_uri().await? {
            Some(uri) => Ok(uri),
            None => Ok(self.own_url(Route::Callback, Some(client.name()))?.into()),
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
}

/// The header that says by which methods a route is asked.
fn allow(route: Route) -> HeaderValue {
    let methods: Vec<_> = route.methods().iter().map(Method::as_str).collect();
    HeaderValue::try_from(methods.join(", ")).unwrap_or_else(|_| HeaderValue::from_static("GET"))
}

fn not_allowed(route: Route) -> Response {
    let mut response = answer::bare(StatusCode::METHOD_NOT_ALLOWED);
    keep_private(response.headers_mut());
    response.headers_mut().insert(header::ALLOW, allow(route));
    response
}
