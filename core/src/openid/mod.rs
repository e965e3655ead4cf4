//! OpenID Connect: discovery, keys, ID tokens, userinfo and logout.
//!
//! What is decided here is pure: bytes and expectations in, claims or a typed error out. Only [`loader`] fetches
//! documents, through the one way out of this crate.

mod algorithm;
mod checks;
mod claim_checks;
mod claims;
mod discovery;
#[cfg(test)]
mod fixtures;
mod id_token;
mod issuer;
mod json;
mod jws;
mod keys;
mod loader;
mod logout;
mod logout_token;
mod peek;
mod rules;
mod signed;
mod userinfo;
mod validator;

pub use algorithm::SigningAlgorithm;
pub use checks::IdTokenChecks;
pub use claims::IdTokenClaims;
pub use discovery::ProviderMetadata;

pub use userinfo::Userinfo;
pub use validator::IdTokenValidator;

#[cfg(any(test, fuzzing))]
pub(crate) use json::find_member;
pub(crate) use json::has_each_member_once;
#[cfg(any(test, fuzzing))]
pub(crate) use logout_token::validate as validate_logout;
pub(crate) use {
    algorithm::Algorithms,
    claim_checks::ClaimChecks,
    discovery::urls_for,
    id_token::{is_unfit, validate, validate_with},
    issuer::{IssuerRule, IssuerTemplate},
    keys::KeySet,
    loader::{Asker, Cached, Loaded},
    logout::{EndSession, end_session_url},
    logout_token::{LogoutToken, validate_logout_token},
    peek::{algorithm_of, peek, read_again},
    rules::IdTokenRules,
    signed::MAX_LEN as MAX_ID_TOKEN,
    userinfo::{UserinfoAnswer, verified as verified_userinfo},
};
