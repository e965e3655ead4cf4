//! Everything of tokenkeep that is OAuth: the protocol client, the token lifecycle and the store contract.
//!
//! Applications depend on the `tokenkeep` crate, which re-exports this one; stores and web hooks depend on this one.

mod clock;
mod error;
mod http;
mod openid;
mod seal;
pub mod store;
mod token;

pub use clock::{Clock, Sleep, SystemClock, Timestamp};
pub use error::{Action, Error, ErrorCode, Phase, ProviderError, Result};
pub use http::{Sent, Transport, TransportError};
pub use openid::{
    IdTokenChecks, IdTokenClaims, IdTokenValidator, ProviderMetadata, SigningAlgorithm, Userinfo,
};
pub use seal::KeyRing;
pub use token::{Owner, Secret, Slot, TokenKey};
