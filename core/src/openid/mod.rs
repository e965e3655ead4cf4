//! OpenID Connect: discovery, keys, ID tokens, userinfo and logout.
//!
//! What is decided here is pure: bytes and expectations in, claims or a typed error out. Only [`loader`] fetches
//! documents, through the one way out of this crate.

mod algorithm;
mod checks;
mod claims;
mod discovery;
#[cfg(test)]
mod fixtures;
mod id_token;
mod json;
mod jws;
mod keys;
mod loader;
mod logout;
mod peek;
mod rules;
mod userinfo;
mod validator;

pub use algorithm::SigningAlgorithm;
pub use checks::IdTokenChecks;
pub use claims::IdTokenClaims;
pub use discovery::ProviderMetadata;

pub use userinfo::Userinfo;
pub use validator::IdTokenValidator;

#[cfg(any(test, fuzzing))]
pub(crate) use json::{find_member, has_each_member_once};
pub(crate) use {
    algorithm::Algorithms,
    discovery::urls_for,
    id_token::{MAX_LEN as MAX_ID_TOKEN, validate, validate_with},
    keys::KeySet,
    loader::{Cached, Loaded},
    logout::{EndSession, end_session_url},
    peek::peek,
    rules::{IdTokenRules, IssuerRule},
};
