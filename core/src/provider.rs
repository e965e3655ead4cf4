//! What is known of a provider's refresh tokens, beyond what any specification says.
//!
//! The refresh protocol asks this profile what it may do after an answer was lost, and where a refresh token may go that
//! ends up nowhere. The default is the strictest provider: nothing is assumed that could cost a grant.

use std::time::Duration;

/// How a provider treats refresh tokens.
///
/// ```
/// use std::time::Duration;
/// use tokenkeep_core::{ProviderProfile, Reuse, Rotation};
///
/// let google = ProviderProfile::new().rotation(Rotation::Never);
/// let okta = ProviderProfile::new().reuse(Reuse::Replay(Duration::from_secs(30)));
/// assert_ne!(google, okta);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderProfile {
    /// Does a refresh replace the refresh token?
    pub rotation: Rotation,
    /// What becomes of a refresh token that is sent a second time, after it was replaced?
    pub reuse: Reuse,
    /// What ends when a token is revoked (RFC 7009 section 2.1)?
    pub revocation: Revocation,
    /// Does a refresh end the access tokens that were issued before it? If not, access tokens for other resources stay
    /// in use until they expire. Default: it does not.
    pub refresh_revokes_access: bool,
}

/// Does a refresh replace the refresh token (RFC 6749 section 6, RFC 9700 section 4.14.2)?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotation {
    /// The refresh token stays the same for its whole life, so that a refresh whose answer was lost is simply repeated.
    Never,
    /// Each refresh may bring a new refresh token. That none came is learnt from the answer: then the old one is kept.
    #[default]
    Rotate,
}

/// What becomes of a refresh token that is sent again after it was replaced.
///
/// It decides what is done when a refresh was sent and no answer came: the provider may have replaced the token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reuse {
    /// For this long after its first use, it is answered as if it were new: a lost answer is asked for again within the
    /// window. It helps after a process died only if it is longer than the lease of a refresh (30 s by default).
    Replay(Duration),
    /// It is refused with `invalid_grant`, and nothing else happens. After a lost answer the access token is served while
    /// it is valid, and the refresh token is tried once more near its end.
    #[default]
    Strict,
    /// It is refused, and every token of the grant ends with it (RFC 9700 section 4.14.2). Like [`Strict`](Self::Strict),
    /// and two refreshes at once cost the grant.
    RevokesFamily,
    /// It goes on working beside the new one: a refresh whose answer was lost is simply repeated.
    BothValid,
}

/// What ends when one token of a grant is revoked (RFC 7009 section 2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revocation {
    /// That token alone: a refresh token that a newer login replaced may be revoked.
    PerToken,
    /// The user's whole grant, with the tokens of other logins: nothing is revoked but at logout.
    #[default]
    Grant,
}

impl ProviderProfile {
    /// The strictest provider.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says whether a refresh replaces the refresh token.
    #[must_use]
    pub fn rotation(mut self, rotation: Rotation) -> Self {
        self.rotation = rotation;
        self
    }

    /// Says what becomes of a refresh token that is sent again.
    #[must_use]
    pub fn reuse(mut self, reuse: Reuse) -> Self {
        self.reuse = reuse;
        self
    }

    /// Says what ends when a token is revoked.
    #[must_use]
    pub fn revocation(mut self, revocation: Revocation) -> Self {
        self.revocation = revocation;
        self
    }

    /// Says whether a refresh ends the access tokens that were issued before it.
    #[must_use]
    pub fn refresh_revokes_access(mut self, revokes: bool) -> Self {
        self.refresh_revokes_access = revokes;
        self
    }
}

impl Rotation {
    /// Reads `rotate` or `never`, as in the settings.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "rotate" => Some(Self::Rotate),
            "never" => Some(Self::Never),
            _ => None,
        }
    }
}

impl Reuse {
    /// Reads `strict`, `revokes_family`, `both_valid` or `replay:SECONDS`, as in the settings.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "strict" => Some(Self::Strict),
            "revokes_family" => Some(Self::RevokesFamily),
            "both_valid" => Some(Self::BothValid),
            _ => {
                let seconds = text.strip_prefix("replay:")?.parse().ok()?;
                // A day is longer than any provider's window, and far from any overflow.
                (seconds <= 86_400).then(|| Self::Replay(Duration::from_secs(seconds)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
