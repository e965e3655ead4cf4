//! One registered client: starting a login, reading the callback, asking the token endpoint.

mod auth;
mod authorize;
mod callback;
mod cookie;
mod flow;
mod registration;
mod token_endpoint;

pub use auth::{AuthMethod, ClientAuthentication, Signer};
pub(crate) use auth::{Endpoint, negotiate};
pub(crate) use authorize::{Authorization, AuthorizeOptions};
pub use callback::CallbackParams;
pub(crate) use callback::{Code, ReturnTo, check};
pub use cookie::{Cookie, SameSite};
pub(crate) use flow::{Flow, FlowCookies, OpenFlow};
pub(crate) use registration::{LoginGrant, Resolved, resolve};
pub use registration::{Pkce, Placement, Registration, ResponseMode};
pub use token_endpoint::TokenRequest;
pub(crate) use token_endpoint::{Bounds, NoHooks, Renewal, RequestKind, TokenEndpoint, TokenHooks};
