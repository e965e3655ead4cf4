//! Everything of tokenkeep that is OAuth: the protocol client, the token lifecycle and the store contract.
//!
//! Applications depend on the `tokenkeep` crate, which re-exports this one; stores and web hooks depend on this one.

mod client;
mod clock;
mod config;
mod error;
mod http;
mod provider;
mod seal;
pub mod store;
mod token;

pub use client::{
    AuthMethod, CallbackParams, ClientAuthentication, Cookie, Pkce, Placement, Registration,
    ResponseMode, SameSite, Signer, TokenRequest,
};
pub use clock::{Clock, Sleep, SystemClock, Timestamp};
pub use config::{ConfigSource, Env, Settings};
pub use error::{Action, Error, ErrorCode, Phase, ProviderError, Result};
pub use http::{Sent, Transport, TransportError};
pub use provider::{ProviderProfile, Reuse, Revocation, Rotation};
pub use seal::KeyRing;
pub use token::{
    Credential, GrantId, NeedsLoginCause, Owner, Secret, Slot, Target, Token, TokenBuilder,
    TokenKey,
};
