//! Test an application that signs people in with OAuth 2.0 and OpenID Connect, without a network and without a browser.
//!
//! [`Provider`] is an OpenID Provider in the process of the test. It counts how often each refresh token was spent, and
//! its faults are turned on one by one. [`Browser`] walks through a whole login: it follows redirects, keeps cookies, and
//! fills in the login and consent pages. Tests that are about no login use [`Replies`] in the network's place, and
//! [`signed_in`]. [`OAuth1Provider`] is a server of OAuth 1.0a. [`Proxy`] stands in front of a real server, and loses,
//! delays and cuts what passes. Whoever writes a store of their own tries it with [`conformance`].
//!
//! ```
//! use tokenkeep_testing::{Endpoint, Fault, Provider, Rotation};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let provider = Provider::builder().rotation(Rotation::FamilyRevoking).start().await?;
//! provider.faults().on(Endpoint::Token, Fault::ServerError(503)).times(1);
//!
//! // ... configure the application with `provider.issuer()`, `provider.client_id()`, `provider.client_secret()`,
//! // log in with `provider.browser().log_in("http://127.0.0.1:3000/login/op", "alice").await?`, and then:
//! assert!(provider.max_spends() <= 1);
//! # Ok(())
//! # }
//! ```
//!
//! Whether a logout by the provider ends the application's sessions is tried so: register its address with
//! [`Provider::set_backchannel_logout_uri`], log in, and call [`Provider::end_session`]; [`LogoutTokenFault`] has what it must
//! refuse.

mod browser;
pub mod conformance;
mod oauth1;
mod provider;
mod proxy;
mod registration;
mod replies;
mod signed_in;

pub use browser::{Browser, BrowserError, Callback, Page, Visit};
pub use oauth1::{OAuth1Provider, SignedRequest};
pub use provider::{
    AuthMethod, Endpoint, Fault, FaultRule, Faults, Gate, IdTokenFault, IssuedTokens, KnownSecret,
    Lineage, LoggedRequest, LogoutAnswer, LogoutToken, LogoutTokenFault, Provider, ProviderBuilder,
    Rotation, SigningAlgorithm, TestClient,
};
pub use proxy::{Proxy, ProxyFault, ProxyTraffic};
pub use registration::registration;
pub use replies::{Replies, Reply, SentRequest};
pub use signed_in::{SignedInBrowser, signed_in, signed_in_with};
