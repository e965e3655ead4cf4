//! What a process holds of a record between two looks at the store: the hot path.
//!
//! A snapshot is replaced whole and read without a lock. It is trusted as long as nothing says otherwise: a hint about
//! its key, a gap of the feed (one number for all), or, without a feed, its age.
//!
//! This file is what a record shows; [`entry`] is everything a process holds of one key, [`map`] of all keys.

mod entry;
mod map;

use std::{sync::Arc, time::Duration};

use reqwest::header::HeaderValue;

pub(crate) use self::{
    entry::{Entry, Forced, Recent},
    map::Snapshots,
};
use crate::{
    Timestamp, Token, TokenKey,
    store::Version,
    token::{
        AccessToken, Credential, GrantId, NeedsLoginCause, Payload, Record, Secret, State, Target,
    },
};

/// An access token, ready to be sent. What the hot path reads stands first.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Held {
    /// The earlier of expiry and refresh: until then it is handed out without a thought.
    ready_until: Duration,
    material: Material,
    pub(crate) target: Target,
    /// The monotonic time at which it expires.
    expires: Option<Duration>,
    /// The monotonic time from which on it is renewed in the background.
    refresh_at: Option<Duration>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) issued_generation: u64,
}

#[derive(Clone)]
enum Material {
    /// `Authorization: Bearer …`, whole.
    Bearer(HeaderValue),
    Other(Credential, Secret),
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

const BEARER: &str = "Bearer ";

impl Held {
    pub(crate) fn wants_refresh(&self, monotonic: Duration) -> bool {
        self.refresh_at.is_some_and(|at| at <= monotonic)
    }

    /// The whole header value, for a bearer token.
    pub(crate) fn bearer(&self) -> Option<&HeaderValue> {
        match &self.material {
            Material::Bearer(header) => Some(header),
            Material::Other(..) => None,
        }
    }

    pub(crate) fn credential(&self) -> Credential {
        match &self.material {
            Material::Bearer(_) => Credential::Bearer,
            Material::Other(credential, _) => credential.clone(),
        }
    }

    fn access_token(&self) -> Secret {
        match &self.material {
            Material::Bearer(header) => header
                .to_str()
                .ok()
                .and_then(|text| text.strip_prefix(BEARER))
                .unwrap_or_default()
                .into(),
            Material::Other(_, secret) => secret.clone(),
        }
    }

    /// The token as the application sees it; what it does not need (the refresh token) is not held here.
    pub(crate) fn token(&self) -> Token {
        Token {
            access_token: self.access_token(),
            credential: self.credential(),
            refresh_token: None,
            id_token: None,
            expires_at: self.expires_at,
            scopes: self.scopes.clone(),
            generation: self.issued_generation,
        }
    }
}

/// A record as this process last saw it. What the hot path reads stands first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Snapshot {
    pub(crate) seen: Seen,
    /// The login's own token: nearly always the only one.
    login: Option<Held>,
    others: Vec<Held>,
    pub(crate) grant_id: GrantId,
    pub(crate) generation: u64,
    pub(crate) version: Version,
    pub(crate) state: State,
    pub(crate) refreshable: bool,
    /// The monotonic time before which nobody asks the provider.
    pub(crate) not_before: Option<Duration>,
    /// Does the store's change feed tell of it?
    followed: bool,
    /// Another process sealed it with a key that this one lacks.
    pub(crate) key_missing: bool,
    /// Access tokens issued up to this generation count as expired.
    expired_through: Option<u64>,
    /// What a session keeps; grants keep nothing here.
    pub(crate) session: Option<Arc<Payload>>,
}

/// What a look at the store knew when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    epoch: u64,
    hints: u64,
    /// Monotonic.
    pub(crate) at: Duration,
}

/// When tokens are renewed before they expire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefreshPoint {
    /// A part of the lifetime, per process between 0 and 0.1, so that a fleet does not wake at once.
    pub(crate) spread: f64,
    /// At least this long before the expiry, if the client says so.
    pub(crate) leeway: Option<Duration>,
}

impl RefreshPoint {
    /// How long before its expiry a token of this lifetime is renewed.
    pub(crate) fn before_expiry(self, lifetime: Duration) -> Duration {
        let fifth = (lifetime / 5).min(Duration::from_secs(300));
        let margin = self
            .leeway
            .unwrap_or(Duration::ZERO)
            .max(Duration::from_secs(30))
            .max(fifth);
        (margin + lifetime.mul_f64(self.spread.clamp(0.0, 0.1))).min(lifetime / 2)
    }
}

impl Snapshot {
    /// What a record of the store holds at this moment; `now` is the store's time at `seen.at`.
    pub(crate) fn of(
        key: &TokenKey,
        record: &Record,
        now: Timestamp,
        seen: Seen,
        point: RefreshPoint,
    ) -> Self {
        let header = &record.header;
        let monotonic = |at: Timestamp| seen.at + at.since(now);
        let held = |access: &AccessToken| {
            let expired = header
                .expired_through
                .is_some_and(|through| access.issued_generation <= through);
            let expires = if expired {
                Some(seen.at)
            } else {
                access.expires_at.map(monotonic)
            };
            let refresh_at = expires.zip(access.expires_at).map(|(expires, at)| {
                let lifetime = access
                    .issued_at
                    .map_or_else(|| at.since(now), |issued| at.since(issued));
                expires.saturating_sub(point.before_expiry(lifetime))
            });
            let refresh_at = refresh_at.filter(|_| header.refreshable);
            let text = access.token.expose();
            let material = match &access.credential {
                Credential::Bearer => {
                    let mut header = HeaderValue::try_from([BEARER, text].concat()).ok()?;
                    header.set_sensitive(true);
                    Material::Bearer(header)
                }
                other => Material::Other(other.clone(), access.token.clone()),
            };
            Some(Held {
                target: access.target.clone(),
                material,
                expires_at: if expired {
                    Some(now)
                } else {
                    access.expires_at
                },
                expires,
                refresh_at,
                ready_until: [expires, refresh_at]
                    .into_iter()
                    .flatten()
                    .min()
                    .unwrap_or(Duration::MAX),
                scopes: access.scopes.clone(),
                issued_generation: access.issued_generation,
            })
        };
        let payload = record
            .payload()
            .filter(|_| header.state != State::LoggedOut);
        let mut tokens: Vec<Held> = payload
            .map(|payload| payload.access_tokens.iter().filter_map(held).collect())
            .unwrap_or_default();
        tokens.sort_by_key(|held| !held.target.is_login());
        let mut tokens = tokens.into_iter().peekable();
        Self {
            grant_id: header.grant_id,
            generation: header.generation,
            version: record.version,
            state: header.state,
            refreshable: header.refreshable,
            not_before: header.not_before.map(monotonic),
            login: tokens.next_if(|held| held.target.is_login()),
            others: tokens.collect(),
            followed: true,
            key_missing: matches!(record.body, crate::token::Body::KeyMissing { .. }),
            expired_through: header.expired_through,
            session: payload
                .filter(|_| !key.is_account())
                .map(|payload| Arc::new(payload.clone())),
            seen,
        }
    }

    /// It is kept where no change feed tells of it.
    pub(crate) fn unfollowed(mut self) -> Self {
        self.followed = false;
        self
    }

    /// The grant was issued to another registration: nothing of it may be sent.
    pub(crate) fn of_another_registration(mut self) -> Self {
        self.login = None;
        self.others.clear();
        self.session = None;
        // Nothing that was seen before is kept for it either.
        self.key_missing = false;
        if self.state == State::Active {
            self.state = State::NeedsLogin {
                cause: NeedsLoginCause::RegistrationChanged,
            };
        }
        self
    }

    /// What this process cannot open any more it goes on serving as it last saw it: the same grant's access tokens, as long
    /// as they last (G7), and the same generation's session.
    fn keeping(mut self, old: &Self) -> Self {
        let cause = NeedsLoginCause::IdentityChanged;
        let taken_back = [State::LoggedOut, State::NeedsLogin { cause }].contains(&self.state);
        if taken_back || self.grant_id != old.grant_id {
            return self;
        }
        let lasts = |held: &&Held| {
            self.expired_through
                .is_none_or(|through| held.issued_generation > through)
        };
        self.login = old.login.as_ref().filter(lasts).cloned();
        self.others = old.others.iter().filter(lasts).cloned().collect();
        if self.generation == old.generation {
            self.session.clone_from(&old.session);
        }
        self
    }

    /// Does it stay in the place of another one? Of one generation the later look counts; a logout is the end of its grant
    /// (G4), whatever generation was being committed meanwhile.
    fn beats(&self, new: &Self) -> bool {
        let ended = |snapshot: &Self| snapshot.state == State::LoggedOut;
        if self.grant_id == new.grant_id && ended(self) != ended(new) {
            return ended(self);
        }
        let look = |snapshot: &Self| (snapshot.seen.hints, snapshot.seen.at);
        self.generation > new.generation
            || (self.generation == new.generation && look(self) > look(new))
    }

    /// The token for a target that fits the need, if it may be sent at this time.
    pub(crate) fn usable(&self, target: &Target, need: Need, monotonic: Duration) -> Option<&Held> {
        if self.state == State::LoggedOut {
            return None;
        }
        self.login.iter().chain(&self.others).find(|held| {
            held.target == *target
                && need
                    .newer_than
                    .is_none_or(|generation| held.issued_generation > generation)
                && held
                    .expires
                    .is_none_or(|expires| expires > monotonic + need.min_ttl)
        })
    }
}

/// What a caller needs of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    /// It must live this much longer.
    pub(crate) min_ttl: Duration,
    /// It must be of a later generation than this one, which an API refused.
    pub(crate) newer_than: Option<u64>,
}

#[cfg(test)]
mod tests;
