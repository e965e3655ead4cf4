//! Everything of tokenkeep that is OAuth: the protocol client, the token lifecycle and the store contract.
//!
//! Applications depend on the `tokenkeep` crate, which re-exports this one; stores and web hooks depend on this one.

mod clock;
mod error;
mod events;
mod http;
mod openid;
mod provider;
mod refresh;
mod seal;
pub mod store;
mod token;

pub use clock::{Clock, Sleep, SystemClock, Timestamp};
pub use error::{Action, Error, ErrorCode, Phase, ProviderError, Result};
pub use events::{
    Changed, Fingerprint, LogoutCause, Origin, Replaced, TokenUpdate, TokenUpdates,
};
pub use http::{Sent, Transport, TransportError};
pub use openid::{
    IdTokenChecks, IdTokenClaims, IdTokenValidator, ProviderMetadata, SigningAlgorithm, Userinfo,
};
pub use provider::{ProviderProfile, Reuse, Revocation, Rotation};
pub use seal::KeyRing;
pub use token::{
    Credential, GrantId, NeedsLoginCause, Owner, Secret, Slot, Target, Token, TokenBuilder,
    TokenKey,
};
