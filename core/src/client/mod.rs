//! One registered client: starting a login, reading the callback, asking the token endpoint, calling APIs.

mod api;
mod auth;
mod authorize;
mod callback;
mod cookie;
mod flow;
mod grant;
mod handle;
mod introspect;
mod login;
mod logout;
mod oauth1;
mod obtain;
mod posted;
mod redirect;
mod registration;
mod required;
mod state;
mod token_endpoint;
mod userinfo;

pub use api::ApiRequest;
#[cfg(any(test, fuzzing))]
pub(crate) use api::{challenge::Challenge, url::resolve as resolve_api_path};
pub use auth::{AssertionAudience, AuthMethod, ClientAuthentication, Signer, SigningKey};
pub(crate) use auth::{Endpoint, Offer, negotiate};
pub(crate) use authorize::AuthorizeOptions;
pub use callback::CallbackParams;
pub(crate) use callback::{ReturnTo, check};
pub(crate) use cookie::OwnCookies;
pub use cookie::{BrowserCookies, Cookie, SameSite};
pub(crate) use flow::{Flow, FlowCookies, MAX_LIFE as MAX_FLOW_LIFE, OpenFlow};
pub use grant::{Grant, GrantInfo, GrantState, Kept};
pub use handle::Client;
pub use introspect::Introspection;
pub use login::{Login, LoginKept, Returned};
pub use logout::LogoutRedirect;
pub use obtain::{
    DeviceAuthorization, DeviceLogin, Exchanged, GrantRequest, JwtBearer, TokenExchange, TokenKind,
};
pub use redirect::{AuthorizeRedirect, Redirect};
pub(crate) use registration::{OAuth1Parts, Resolved, check_signer, resolve};
pub use registration::{Pkce, Placement, Registration, ResponseMode};
pub(crate) use required::seal as seal_required;
pub(crate) use state::ClientState;
#[cfg(any(test, fuzzing))]
pub(crate) use token_endpoint::NoHooks;
pub use token_endpoint::TokenRequest;
pub(crate) use token_endpoint::{Bounds, Renewal, RequestKind, TokenEndpoint, TokenHooks};
