//! The types that applications see, once for all hooks. Each hook has its own, because a framework's traits can only be
//! implemented for types of the same crate.

/// Defines `Error`, `Result`, `SignedIn`, `SignedInForm`, `ClientName`, `SetCookies`, `wants_page`, `Routes` and `routes` of a
/// hook. `$headers` is a function from the framework's headers, `$Headers`, to those of the crate `http`, or a reference to them;
/// `$Page` is the closure that draws the page of `GET /logout`.
#[macro_export]
macro_rules! hook {
    (headers: $Headers:ty, as: $headers:path, page: $Page:ty $(,)?) => {
        /// A result of a handler.
        pub type Result<T, E = Error> = ::std::result::Result<T, E>;

        /// [`tokenkeep_core::Error`] as an answer: a fitting status, and `{error, phase, client, message, action,
        /// retry_after?, connect_url?}` as JSON, or a page for people where the request is known to want one.
        ///
        /// The page runs no script, loads nothing and stands in no frame: its `content-security-policy` says so. No answer
        /// is kept by a cache or tells another site its address (`cache-control: no-store`, `referrer-policy: no-referrer`).
        ///
        /// The core's error stands in the response's extensions as `Arc<tokenkeep_core::Error>`, so that a layer of the
        /// application can draw a page of its own; it also replaces the `content-security-policy` then.
        pub struct Error($crate::Error);

        impl Error {
            /// The core's error.
            #[must_use]
            pub fn error(&self) -> &$crate::core::Error {
                self.0.error()
            }

            /// The error as an answer to a request with these headers: a page if they want one.
            #[must_use]
            pub fn answering(self, headers: &$Headers) -> Self {
                Self(self.0.answering(&$headers(headers)))
            }

            /// Sets cookies with the answer.
            #[must_use]
            pub fn with_cookies(
                self,
                cookies: impl IntoIterator<Item = $crate::core::Cookie>,
            ) -> Self {
                Self(self.0.with_cookies(cookies))
            }

            /// The JSON of an error: `{error, phase, client, message, action, retry_after?, connect_url?}`. The message says
            /// what happened, what the provider says of it, and what to change ([`help`](tokenkeep_core::ErrorCode::help)).
            #[must_use]
            pub fn json(error: &$crate::core::Error) -> $crate::Value {
                $crate::Error::json(error)
            }
        }

        impl ::std::fmt::Debug for Error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl ::std::fmt::Display for Error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl ::std::error::Error for Error {
            fn source(&self) -> Option<&(dyn ::std::error::Error + 'static)> {
                ::std::error::Error::source(&self.0)
            }
        }

        /// From the core's error, and from [`reqwest::Error`](tokenkeep_core::ErrorCode::RequestFailed): an API's answer that
        /// could not be read, or was refused by `error_for_status`.
        impl<E: Into<$crate::Error>> From<E> for Error {
            fn from(error: E) -> Self {
                Self(error.into())
            }
        }

        /// Does a request with these headers want a page rather than JSON? Browsers ask for `text/html` first.
        #[must_use]
        pub fn wants_page(headers: &$Headers) -> bool {
            $crate::wants_page(&$headers(headers))
        }

        /// Who is signed in. Nobody: 401 `not_signed_in`.
        ///
        /// A request that may change something (any but GET, HEAD, OPTIONS and TRACE) must bring the session's CSRF token in
        /// the header `x-csrf-token`, or is refused with 403 `csrf_mismatch`; for forms, use [`SignedInForm`].
        /// `Option<SignedIn>` is none where nobody is signed in.
        #[derive(Clone)]
        pub struct SignedIn($crate::SignedIn);

        impl ::std::fmt::Debug for SignedIn {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl SignedIn {
            /// The signed-in user, by the application's own id.
            #[must_use]
            pub fn owner(&self) -> &str {
                self.0.owner()
            }

            /// The session.
            #[must_use]
            pub fn session(&self) -> &$crate::core::Session {
                self.0.session()
            }

            /// What the user has granted at a client.
            ///
            /// # Errors
            /// `unknown_client`.
            pub fn grant(&self, client: &str) -> $crate::core::Result<$crate::core::Grant> {
                self.0.grant(client)
            }

            /// What happens to the user's grants and sessions in all processes, until this session ends: for a page that
            /// shows it live. It ends at once by a logout, within 15 s by the session's age, and when the store fails.
            ///
            /// # Errors
            /// `not_initialized`.
            pub fn token_updates(
                &self,
            ) -> $crate::core::Result<$crate::BoxStream<'static, $crate::core::TokenUpdate>> {
                self.0.token_updates()
            }
        }

        /// Who is signed in, and a posted form of at most 64 KiB. The CSRF token is the form's field `csrf`, or the header
        /// `x-csrf-token`. `SignedInForm<()>` reads no other field.
        #[derive(Clone, Debug)]
        pub struct SignedInForm<T = ()> {
            /// Who is signed in.
            pub user: SignedIn,
            /// The form's fields.
            pub form: T,
        }

        /// The client's name in a path, `{client}`, registered or not. A name that is not UTF-8 is refused as any other that
        /// nobody has: 404 `unknown_client`.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct ClientName(pub String);

        /// Cookies to set with a response, such as those of [`LoggedOut`](tokenkeep_core::LoggedOut).
        #[derive(Clone, Debug, Default)]
        pub struct SetCookies(pub Vec<$crate::core::Cookie>);

        /// Login, connect, callback, logout and the way back from it, as routes beside an application's own:
        ///
        /// | route | what it does |
        /// |---|---|
        /// | `GET /login/{client}?return_to=/path` | sends the browser to the provider |
        /// | `GET /connect/{client}?return_to=/path&account=label` | the same, to add a grant to who is signed in; with a label as a further account of theirs ([`Grant::account`](tokenkeep_core::Grant::account)) |
        /// | `GET, POST /callback/{client}` | reads the answer, keeps the login, begins a session; people go to `return_to` or `/` |
        /// | `GET /logout` | a page with a button; for programs `{client, owner, csrf}` |
        /// | `POST /logout` | ends the session here and, where it can be done, at the provider; a grant with `offline_access` stays for background work ([`Grant::revoke`](tokenkeep_core::Grant::revoke) ends that) |
        /// | `GET /logged-out/{client}` | the way back from there |
        /// | `POST /backchannel-logout/{client}` | the provider ends sessions, whatever their browsers do ([`Client::backchannel_logout`](tokenkeep_core::Client::backchannel_logout)); to be registered there as `backchannel_logout_uri` |
        /// | `GET /frontchannel-logout/{client}` | a page of the provider's ends a session by `iss` and `sid`, in a frame ([`Client::frontchannel_logout`](tokenkeep_core::Client::frontchannel_logout)); to be registered there as `frontchannel_logout_uri`, with `frontchannel_logout_session_required` |
        ///
        /// An API that wants a further scope or a fresher login says so, and the [`connect_url`](tokenkeep_core::Error::connect_url) of the error
        /// holds that, sealed for its user: whoever follows the link of the error's page, or is sent there by a handler
        /// ([`connect_url_to`](tokenkeep_core::Error::connect_url_to)), logs in as the API asks.
        ///
        /// With [`Routes::connections`] there are two more:
        ///
        /// | route | what it does |
        /// |---|---|
        /// | `GET /connections` | what the signed-in user has connected: state, scopes, since when, and buttons to connect, reconnect and disconnect; for programs `{owner, csrf, connections: [{client, account, state, scopes, since, connect, disconnect}]}`, where `state` is `connected`, `login_needed` or `not_connected`, and `since` the last login in seconds |
        /// | `POST /disconnect/{client}` | logs a grant of the user's out here and revokes it at the provider, where it can be done; the form has `csrf`, and `account` for a further account's label |
        ///
        /// The back channel is answered exactly as its specification says: 200 with an empty body if what the token names has
        /// ended, also if there was nothing to end; 400 with the JSON of [`Error`] for a token that is refused
        /// (`invalid_logout_token`), and for whatever else keeps the sessions from ending, a store that is away included; 404
        /// for a client that nobody registered. No cookie and no CSRF token is looked at: the token proves who asks. What
        /// stands in front of these routes must let the provider's requests through.
        ///
        /// No answer is kept by a cache, and none tells another site its address. The pages run no script, load nothing and
        /// stand in no frame. Pages of the application that show who is signed in need `cache-control: no-store` of their
        /// own: otherwise the browser's back button shows them after the logout.
        ///
        /// The registry needs a [`base_url`](tokenkeep_core::OAuthBuilder::base_url): redirect URIs are built from it, never
        /// from what a request names.
        pub fn routes(oauth: &$crate::core::OAuth) -> Routes {
            Routes {
                web: $crate::Routes::new(oauth),
                log_out_page: None,
            }
        }

        /// The routes, before they have their place: see [`routes`].
        #[derive(Clone)]
        #[must_use = "routes do nothing before they have a place in the application"]
        pub struct Routes {
            web: $crate::Routes,
            log_out_page: Option<::std::sync::Arc<$Page>>,
        }

        impl ::std::fmt::Debug for Routes {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.web.fmt(f)
            }
        }

        impl Routes {
            /// Maps a login to the application's own user id; an error refuses the login (403 `owner_refused`, without its
            /// text). Without this it is [`Login::default_owner`](tokenkeep_core::Login::default_owner).
            pub fn owner<F, Fut, O, E>(mut self, owner: F) -> Self
            where
                F: Fn(::std::sync::Arc<$crate::core::Login>) -> Fut + Send + Sync + 'static,
                Fut: Future<Output = ::std::result::Result<O, E>> + Send + 'static,
                O: Into<String>,
                E: Into<Box<dyn ::std::error::Error + Send + Sync>>,
            {
                self.web.set_owner(owner);
                self
            }

            /// Adds a page of connected accounts, `/connections`, which shows the signed-in user each registered client that
            /// `shown` picks for them. There is no page without this: names of clients may be nobody's business. Clients of
            /// a [`ClientSource`](tokenkeep_core::ClientSource) are shown where the user has a grant.
            ///
            /// What an old table holds counts as connected once it has moved in
            /// ([`on_missing`](tokenkeep_core::OAuthBuilder::on_missing)).
            pub fn connections(
                mut self,
                shown: impl Fn(&$crate::core::Session, &str) -> bool + Send + Sync + 'static,
            ) -> Self {
                self.web.set_connections(shown);
                self
            }

            /// Puts the routes under a path, such as `/auth`.
            pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
                self.web.set_prefix(&prefix.into());
                self
            }

            /// Where people go after a login without `return_to`; `/` if not said.
            pub fn after_login(mut self, path: impl Into<String>) -> Self {
                self.web.set_after_login(path.into());
                self
            }

            /// Where people go after a logout; `/` if not said.
            pub fn after_logout(mut self, path: impl Into<String>) -> Self {
                self.web.set_after_logout(path.into());
                self
            }
        }
    };
}
