//! Grants and their tokens: the part of the provider that decides what each token is still good for.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use super::state::{random_token, sha256};

/// What one login (or one client_credentials request) gave: a family of tokens.
pub(super) struct Grant {
    pub(super) client: String,
    /// Nobody, for client_credentials.
    pub(super) subject: Option<String>,
    pub(super) scopes: BTreeSet<String>,
    pub(super) resources: Vec<String>,
    pub(super) sid: Option<String>,
    pub(super) auth_time: Duration,
    pub(super) acr: Option<String>,
    pub(super) revoked: bool,
    /// In the order in which they were given: the first is generation 1.
    pub(super) refresh_tokens: Vec<RefreshToken>,
    access_tokens: u64,
    current: HashMap<(BTreeSet<String>, Vec<String>), String>,
}

impl Grant {
    pub(super) fn new(
        client: &str,
        scopes: BTreeSet<String>,
        resources: Vec<String>,
        auth_time: Duration,
    ) -> Self {
        Self {
            client: client.to_owned(),
            subject: None,
            scopes,
            resources,
            sid: None,
            auth_time,
            acr: None,
            revoked: false,
            refresh_tokens: Vec::new(),
            access_tokens: 0,
            current: HashMap::new(),
        }
    }
}

pub(super) struct RefreshToken {
    pub(super) token: String,
    /// How many refresh requests brought it, whatever they were answered.
    pub(super) spends: u64,
    pub(super) first_spent_at: Option<Duration>,
    /// The answer to the request that spent it first, kept where a replay gets it again.
    pub(super) answer: Option<String>,
}

pub(super) struct AccessToken {
    pub(super) grant: usize,
    /// 1 for the one of the login, then counting up with each refresh.
    pub(super) generation: u64,
    pub(super) scopes: BTreeSet<String>,
    pub(super) resources: Vec<String>,
    pub(super) issued_at: Duration,
    pub(super) expires_at: Duration,
    revoked: bool,
}

#[derive(Default)]
pub(super) struct Grants {
    all: Vec<Grant>,
    refresh_tokens: HashMap<String, (usize, usize)>,
    access_tokens: HashMap<String, AccessToken>,
    /// Digests of the ID tokens that were given, for `id_token_hint`.
    id_tokens: HashMap<[u8; 32], usize>,
    purge_at: usize,
    pub(super) stale: bool,
}

impl Grants {
    pub(super) fn add(&mut self, grant: Grant) -> usize {
        self.all.push(grant);
        self.all.len() - 1
    }

    pub(super) fn grant(&self, id: usize) -> &Grant {
        &self.all[id]
    }

    pub(super) fn grant_mut(&mut self, id: usize) -> &mut Grant {
        &mut self.all[id]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.all.iter()
    }

    /// The grant and the index of a refresh token, good or not.
    pub(super) fn find_refresh_token(&self, token: &str) -> Option<(usize, usize)> {
        self.refresh_tokens.get(token).copied()
    }

    pub(super) fn add_refresh_token(&mut self, id: usize) -> String {
        let token = format!("rt-{}", random_token(32));
        let lineage = &mut self.all[id].refresh_tokens;
        self.refresh_tokens
            .insert(token.clone(), (id, lineage.len()));
        lineage.push(RefreshToken {
            token: token.clone(),
            spends: 0,
            first_spent_at: None,
            answer: None,
        });
        token
    }

    /// A new access token. With `replace` it ends the one before it for the same scopes and resources.
    pub(super) fn add_access_token(
        &mut self,
        id: usize,
        scopes: BTreeSet<String>,
        resources: Vec<String>,
        now: Duration,
        lifetime: Duration,
        replace: bool,
    ) -> String {
        let token = format!("at-{}", random_token(32));
        let grant = &mut self.all[id];
        grant.access_tokens += 1;
        let generation = grant.access_tokens;
        let before = grant
            .current
            .insert((scopes.clone(), resources.clone()), token.clone());
        if let Some(before) = before.filter(|_| replace) {
            self.revoke_access_token(&before);
        }
        // Long runs must not keep what is of no use to anybody.
        if self.access_tokens.len() >= self.purge_at.max(10_000) {
            self.access_tokens
                .retain(|_, token| !token.revoked && token.expires_at > now);
            self.purge_at = self.access_tokens.len() * 2;
        }
        self.access_tokens.insert(
            token.clone(),
            AccessToken {
                grant: id,
                generation,
                scopes,
                resources,
                issued_at: now,
                expires_at: now + lifetime,
                revoked: false,
            },
        );
        token
    }

    /// An access token that is still good.
    pub(super) fn access_token(&self, token: &str, now: Duration) -> Option<&AccessToken> {
        self.access_tokens.get(token).filter(|found| {
            !self.stale
                && !found.revoked
                && found.expires_at > now
                && !self.all[found.grant].revoked
        })
    }

    /// The grant of an access token, good or not.
    pub(super) fn owner_of_access_token(&self, token: &str) -> Option<usize> {
        self.access_tokens.get(token).map(|found| found.grant)
    }

    pub(super) fn revoke_access_token(&mut self, token: &str) {
        if let Some(found) = self.access_tokens.get_mut(token) {
            found.revoked = true;
        }
    }

    pub(super) fn revoke_all_access_tokens(&mut self) {
        for token in self.access_tokens.values_mut() {
            token.revoked = true;
        }
    }

    pub(super) fn revoke_where(&mut self, condition: impl Fn(&Grant) -> bool) -> usize {
        let mut revoked = 0;
        for grant in self
            .all
            .iter_mut()
            .filter(|grant| !grant.revoked && condition(grant))
        {
            grant.revoked = true;
            revoked += 1;
        }
        revoked
    }

    pub(super) fn remember_id_token(&mut self, id_token: &str, grant: usize) {
        self.id_tokens.insert(sha256(id_token.as_bytes()), grant);
    }

    /// The grant an ID token was given for: only what was issued here is a hint.
    pub(super) fn grant_of_id_token(&self, id_token: &str) -> Option<&Grant> {
        self.id_tokens
            .get(&sha256(id_token.as_bytes()))
            .map(|&id| &self.all[id])
    }
}
