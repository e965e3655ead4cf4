//! OAuth 2.0 and OpenID Connect clients that keep their tokens: log users in with any provider, keep their tokens in your
//! database, refresh each once for the whole fleet, hear of every change, log users out.
//!
//! # The few things there are
//!
//! | | |
//! |---|---|
//! | [`OAuth`] | the registry: the clients of an application, its store, and everything they share |
//! | [`Registration`] | what is said of a client in code; the rest comes from the settings ([`Env`], [`Settings`]) |
//! | [`Client`] | one registered client: starts logins, reads callbacks, validates ID tokens |
//! | [`Grant`] | what somebody has granted at a client: its token, API calls, refresh, revocation |
//! | [`TokenKey`] | under which a grant or session is kept: client, owner, slot |
//! | [`TokenUpdates`] | the stream of what was committed, in all processes |
//! | [`Hook`] | where the application takes part, and may refuse |
//! | [`store`] | the contract of a store |
//! | [`Error`] | what went wrong, in which phase, and what to do about it: [`ErrorCode`] is the table |
//!
//! Some examples on these pages say `tokenkeep_core`, where all of this is written: in an application it is `tokenkeep`.
//!
//! # Building a registry
//!
//! ```
//! # #[cfg(feature = "memory")] {
//! use tokenkeep::{MemoryStore, OAuth, Registration, Settings};
//!
//! let settings = Settings::from_iter([("EXAMPLE_CLIENT_ID", "my-app"), ("EXAMPLE_CLIENT_SECRET", "from a safe place")]);
//! let oauth = OAuth::builder()
//!     .store(MemoryStore::new())
//!     .register(Registration::openid("example", "https://accounts.example.com").scopes(["openid", "email"]))
//!     .config(settings)
//!     .build()?;
//! assert_eq!(oauth.client_names(), ["example"]);
//! # }
//! # Ok::<(), tokenkeep::Error>(())
//! ```
//!
//! There is no default store, and a store that leaves the process needs a [`KeyRing`]; `build()` says which line is missing.
//!
//! # Logging in without a web framework
//!
//! A web hook does this for you (`tokenkeep::axum::routes` with the feature `axum`); by hand it is four steps:
//!
//! ```no_run
//! # async fn handler(oauth: tokenkeep::OAuth, cookie_header: &str, query: &str) -> tokenkeep::Result<()> {
//! use tokenkeep::{BrowserCookies, CallbackParams};
//!
//! let client = oauth.client("example")?;
//! let cookies = BrowserCookies::parse([cookie_header]);
//!
//! // 1. Send the browser away, with the sealed flow as a cookie.
//! let redirect = client
//!     .authorize_redirect("https://app.example/callback/example")
//!     .return_to("/inbox")
//!     .cookies(&cookies)
//!     .await?;
//! let _ = (redirect.url, redirect.cookies.iter().map(|cookie| cookie.to_header()));
//!
//! // 2. Read the answer: everything is checked, nothing is kept.
//! let params = CallbackParams::parse(query)?;
//! let returned = client.authorize_access_token(&params, &cookies, Some("https://app.example/callback/example")).await;
//! let login = returned.login?;
//!
//! // 3. Say whose it is, and keep it.
//! let owner = login.default_owner()?;
//! let kept = oauth.keep_login(&login, &owner, None).await?;
//!
//! // 4. Set `kept.cookies`; from then on, the browser has a session.
//! let session = oauth.session(&cookies).await?;
//! # let _ = (kept, session);
//! # Ok(())
//! # }
//! ```
//!
//! # Calling APIs
//!
//! ```no_run
//! # async fn call(oauth: tokenkeep::OAuth) -> tokenkeep::Result<()> {
//! let grant = oauth.client("example")?.owner("42");
//! let answer = grant.post("files").json("a file").await?;
//! assert!(answer.status().is_success());
//!
//! // For a hot path: the header, without a look-up.
//! let kept = grant.kept()?;
//! let header = kept.header().await?;
//! # let _ = header;
//! # Ok(())
//! # }
//! ```
//!
//! A path is relative to the client's `api_base_url`. A token is sent to that origin and to those that the registration
//! allows, and to no other, whatever an API redirects to. A 401 renews the token once and repeats the request.
//!
//! # Hearing of changes
//!
//! [`OAuth::token_updates`] is a stream of [`TokenUpdate`]s: what was committed, in this process and, where the store has a
//! change feed, in all others. It can neither fail nor delay anything; who is too slow is told that something was missed.
//! What may refuse or change something is a [`Hook`].
//!
//! # Moving in with tokens of your own
//!
//! ```no_run
//! # async fn adopt(oauth: tokenkeep::OAuth, access: String, refresh: String, expires: i64) -> tokenkeep::Result<()> {
//! use tokenkeep::{Timestamp, Token, TokenKey};
//!
//! let token = Token::builder(access).refresh(refresh).expires_at(Timestamp::from_secs(expires)).build()?;
//! oauth.adopt(TokenKey::new("example", "42")?, token).await?; // only if nothing is kept; safe to call twice
//! # Ok(())
//! # }
//! ```
//!
//! [`on_missing`](OAuthBuilder::on_missing) does the same key by key, when a token is wanted. Or the tokens stay where they are,
//! behind two closures, as with Authlib; [`fetch_token`](OAuthBuilder::fetch_token) says what that does and does not promise:
//!
//! ```no_run
//! use tokenkeep::{Error, OAuth, Replaced, Token, TokenKey};
//!
//! async fn read(key: TokenKey) -> Result<Option<Token>, Error> {
//!     # let (access, refresh) = ("a", "r");
//!     // SELECT … WHERE user_id = key.owner_column() AND provider = key.client()
//!     Ok(Some(Token::builder(access).refresh(refresh).build()?))
//! }
//!
//! async fn write(key: TokenKey, token: Token, replaced: Replaced) -> Result<(), Error> {
//!     # let _ = (key, token, replaced);
//!     // INSERT … ON CONFLICT … DO UPDATE …
//!     Ok(())
//! }
//!
//! let oauth = OAuth::builder().register("example").fetch_token(read).update_token(write).build()?;
//! # Ok::<(), Error>(())
//! ```
//!
//! `docs/next-to-your-old-code.md` in the repository is the path from one to the next, beside programs that go on reading.
//! `docs/coming-from-authlib.md` shows each snippet of Authlib's client next to its translation, and a Flask application line by
//! line.
//!
//! # Logging out
//!
//! [`OAuth::log_out`] ends a session here, in every process, and says where the browser ends it at the provider. A provider can
//! also begin a logout: by its back channel ([`Client::backchannel_logout`], the reliable one) or in a frame of its page
//! ([`Client::frontchannel_logout`]). The routes of a web hook do all three; what is left is to register the addresses at the
//! provider. A grant with `offline_access` outlives its sessions, unless the registration says
//! [`revoke_at_logout`](Registration::revoke_at_logout).
//!
//! # Living with it
//!
//! | | |
//! |---|---|
//! | [`OAuth::explain`] | what happened to a grant: its last 16 steps, when, in which process, why, what the provider answered |
//! | [`OAuth::find_tokens`], [`OAuth::grants`] | what is kept, without its secrets |
//! | [`OAuth::forget`] | logs an owner out everywhere, revokes, removes |
//! | [`Upkeep`] | in the background: removing what is over, [keeping alive](Registration::keep_alive) what would die of idleness |
//! | [`OAuth::set_key_ring`], [`OAuth::reseal`] | rolls a key while running |
//!
//! # OAuth 1.0a
//!
//! A client with a request token URL is one of OAuth 1.0a ([`Registration::oauth1`], or `{NAME}_REQUEST_TOKEN_URL` in the settings);
//! its login, calls, events and logout are those of any other client. What is different: it has no scopes, no ID token and no
//! refresh, [`Login::member`] tells what came beside the token, and where the user is to type a verifier in, the redirect URI is `oob`
//! and [`CallbackParams::typed_in`] finishes the login. `examples/oauth1.rs` is a whole one.
//!
//! # Watching it
//!
//! A refresh is a `tracing` span, `refresh`, with `client`, `key`, `attempt`, `generation`, `waited_ms` and `outcome`. What is out
//! of the ordinary is a warning: a lease that was overtaken, a request without a certain answer, a gap in the change feed, a
//! commit that waits for the store. No log names an owner, because an owner's id may be personal data: `key` is the client and
//! a mark that is the same for a key as long as the process lives and says nothing of it; `attempt` is what stands beside a
//! step in [`OAuth::explain`].
//!
//! With the feature `metrics` the following is counted, for the recorder that the application installs (crate `metrics`).
//! No label says whose token it is; a client that is not registered has the label `unknown`.
//!
//! | metric | kind | labels | what it counts |
//! |---|---|---|---|
//! | `tokenkeep_refreshes_total` | counter | `client`, `outcome` | refreshes that ended: `refreshed`; `elsewhere`, another process was quicker; `postponed`, a refresh token that may be spent is left until the access token is nearly over; `lost`, the answer was superseded or its grant ended; or the [code](ErrorCode) of the error |
//! | `tokenkeep_token_requests_total` | counter | `client`, `outcome` | requests that renew: `answered`, `not_sent`, `invalid_grant`, `refused`, `throttled`, `unavailable`, `ambiguous` |
//! | `tokenkeep_token_request_seconds` | histogram | `client` | how long they took |
//! | `tokenkeep_lease_wait_seconds` | histogram | `client` | how long a refresh waited for another process |
//! | `tokenkeep_lease_takeovers_total` | counter | `client` | leases that were overtaken: their holder died, or was slow |
//! | `tokenkeep_commits_pending` | gauge | `client` | answers that the store does not take yet |
//! | `tokenkeep_store_conflicts_total` | counter | `client` | writes that another write came before |
//! | `tokenkeep_store_errors_total` | counter | `operation` | calls of the store that failed or were not answered in time: `fetch`, `update`, `find`, `purge`, `once` |
//! | `tokenkeep_feed_gaps_total` | counter | | times at which the change feed may have missed something |
//! | `tokenkeep_purged_total` | counter | | records that were removed |
//! | `tokenkeep_forgotten_total` | counter | | grants and sessions that were forgotten |
//! | `tokenkeep_resealed_total` | counter | `outcome` | records that a pass sealed anew, or could not: `resealed`, `failed`, `key_missing` |
//! | `tokenkeep_kept_alive_total` | counter | `client`, `outcome` | idle grants: `refreshed`, `failed`, `postponed` |
//!
//! The hot path, a token that is served from memory, counts nothing.
//!
//! # Shutting down
//!
//! [`OAuth::drain`] waits for refreshes and commits that are under way.
//!
//! # Features
//!
//! | feature | what it brings |
//! |---|---|
//! | `memory` | `MemoryStore` |
//! | `sqlite` | `SqliteStore`, and `sql` with sqlx |
//! | `postgres` | `PostgresStore`, and `sql` with sqlx |
//! | `mysql` | `MysqlStore` for MySQL and MariaDB, and `sql` with sqlx |
//! | `redis` | `RedisStore` for Redis and Valkey, and `redis` with the driver |
//! | `axum` | the module `axum`: routes, extractors, sealed sessions |
//! | `metrics` | counters of the refresh protocol |
//! | `rustls` (default) | TLS by rustls |
//! | `native-tls` | TLS by the platform's library |

pub use tokenkeep_core::*;
#[cfg(feature = "memory")]
pub use tokenkeep_memory::MemoryStore;
#[cfg(feature = "redis")]
pub use tokenkeep_redis::{self as redis, RedisStore};
/// Stores in SQL databases, their options, and `sqlx`.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub use tokenkeep_sql as sql;
#[cfg(feature = "mysql")]
pub use tokenkeep_sql::MysqlStore;
#[cfg(feature = "postgres")]
pub use tokenkeep_sql::PostgresStore;
#[cfg(feature = "sqlite")]
pub use tokenkeep_sql::SqliteStore;

/// Login routes, extractors and sealed sessions for axum.
#[cfg(feature = "axum")]
pub use tokenkeep_axum as axum;

/// The programs of the README compile.
#[cfg(all(doctest, feature = "axum", feature = "sqlite"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
