//! Everything of tokenkeep that is OAuth: the protocol client, the token lifecycle and the store contract.
//!
//! Applications depend on the `tokenkeep` crate, which re-exports this one; stores and web hooks depend on this one.

mod client;
mod clock;
mod closures;
mod config;
mod current;
mod error;
mod events;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod hooks;
mod http;
mod measure;
mod oauth1;
mod openid;
mod pem;
mod provider;
mod refresh;
mod registry;
mod seal;
mod session;
pub mod store;
mod token;

pub use client::{
    ApiRequest, AssertionAudience, AuthMethod, AuthorizeRedirect, BrowserCookies, CallbackParams,
    Client, ClientAuthentication, Cookie, DeviceAuthorization, DeviceLogin, Exchanged, Grant,
    GrantInfo, GrantRequest, GrantState, Introspection, JwtBearer, Kept, Login, LoginKept,
    LogoutRedirect, Pkce, Placement, Redirect, Registration, ResponseMode, Returned, SameSite,
    Signer, SigningKey, TokenExchange, TokenKind, TokenRequest,
};
pub use clock::{Clock, Sleep, SystemClock, Timestamp};
pub use config::{ConfigSource, Env, Settings};
pub use current::{as_owner, current_owner};
pub use error::{Action, Error, ErrorCode, Phase, ProviderError, Result};
pub use events::{Changed, Fingerprint, LogoutCause, Origin, Replaced, TokenUpdate, TokenUpdates};
pub use hooks::{Hook, RawAnswer};
pub use http::{Sent, Transport, TransportError};
pub use oauth1::{SignatureMethod, SignatureType};
pub use openid::{
    IdTokenChecks, IdTokenClaims, IdTokenValidator, ProviderMetadata, SigningAlgorithm, Userinfo,
};
pub use provider::{ProviderProfile, Reuse, Revocation, Rotation};
pub use refresh::{
    AtProvider, Forgotten, ForgottenGrant, KeptAlive, Reseal, ResealReport, Resealing, Upkeep,
};
pub use registry::{ClientSource, Explanation, OAuth, OAuthBuilder};
pub use seal::KeyRing;
pub use session::{EndedByProvider, FrontchannelLogout, KeptLogin, LoggedOut, Session};
pub use token::{
    Credential, GrantId, NeedsLoginCause, Owner, Secret, Slot, Step, Target, Token, TokenBuilder,
    TokenKey, TrailEntry,
};
