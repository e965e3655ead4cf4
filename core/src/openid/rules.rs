//! What a client demands of every ID token, and of whatever else its provider signs.

use std::time::Duration;

use super::{Algorithms, ClaimChecks, IssuerRule};
use crate::Secret;

/// What a client demands of every ID token. Of signed userinfo it demands the same, by algorithms of its own.
#[derive(Clone, Debug)]
pub(crate) struct IdTokenRules {
    pub(crate) issuer: IssuerRule,
    pub(crate) client_id: String,
    /// Which algorithms are allowed; neither the token nor the metadata decides that.
    pub(crate) algorithms: Algorithms,
    /// How far clocks may differ.
    pub(crate) leeway: Duration,
    /// Audiences that may stand beside the client.
    pub(crate) trusted_audiences: Vec<String>,
    /// For HS256, HS384 and HS512, if they are allowed.
    pub(crate) client_secret: Option<Secret>,
    /// The application's own, after all others.
    pub(crate) claim_checks: ClaimChecks,
}

impl IdTokenRules {
    /// The usual demands: any asymmetric algorithm, a minute of leeway, no other audience.
    pub(crate) fn new(issuer: IssuerRule, client_id: impl Into<String>) -> Self {
        Self {
            issuer,
            client_id: client_id.into(),
            algorithms: Algorithms::default(),
            leeway: Duration::from_secs(60),
            trusted_audiences: Vec::new(),
            client_secret: None,
            claim_checks: ClaimChecks::default(),
        }
    }
}
