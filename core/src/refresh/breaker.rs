//! A provider that refuses our registration is left alone for a while: no grant is to blame, and asking again for every one of
//! them helps nobody.
//!
//! Only `invalid_client` says that of all grants. Any other refusal may be about one user, whom the provider wants to see
//! again, or whose tenant has blocked the application: it pauses that grant alone, until several of them were refused in a row.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{Action, Error, Target};

/// The first pause; it doubles with each refusal.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);
/// How many grants are refused in a row before the others of their target wait.
const LIMIT: usize = 5;
/// How many refusals are remembered.
const MAX: usize = 10_000;

/// The refusals of this process.
#[derive(Debug, Default)]
pub(super) struct Breakers(Mutex<HashMap<(String, Concerned), Breaker>>);

/// Who waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Concerned {
    /// Every grant of the client.
    Client,
    /// Every grant that wants a token for this target.
    Target(Target),
    /// One grant, by its hash, for one target.
    Grant(u64, Target),
}

#[derive(Debug)]
struct Breaker {
    /// Monotonic; of a target that was not refused often enough yet it is over.
    until: Duration,
    pause: Duration,
    error: Error,
    /// Of a target: hashes of the grants that were refused since the last token, each once.
    grants: Vec<u64>,
}

impl Breaker {
    fn new(error: &Error) -> Self {
        Self {
            until: Duration::ZERO,
            pause: Duration::ZERO,
            error: error.duplicate().with_action(Action::Configure),
            grants: Vec::new(),
        }
    }

    /// Begins a pause, longer than the one before.
    fn open(&mut self, error: &Error, now: Duration) {
        self.error = error.duplicate().with_action(Action::Configure);
        self.pause = (self.pause * 2).clamp(FIRST, LONGEST);
        self.until = now + self.pause;
    }
}

fn concerns_all(error: &Error) -> bool {
    let said = error.provider().and_then(|said| said.error.as_deref());
    said == Some("invalid_client")
}

impl Breakers {
    /// The refusal that stands in the way of a request.
    pub(super) fn check(
        &self,
        client: &str,
        target: &Target,
        grant: u64,
        now: Duration,
    ) -> Result<(), Error> {
        let breakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if breakers.is_empty() {
            return Ok(());
        }
        for concerned in everything(target, grant) {
            let open = breakers
                .get(&(client.to_owned(), concerned))
                .filter(|breaker| breaker.until > now);
            if let Some(breaker) = open {
                return Err(breaker.error.duplicate());
            }
        }
        Ok(())
    }

    /// Remembers a refusal. Answers whether it is the first of a row: that is worth an event.
    pub(super) fn refused(
        &self,
        client: &str,
        target: &Target,
        grant: u64,
        error: &Error,
        now: Duration,
    ) -> bool {
        let mut breakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if breakers.len() + 2 > MAX {
            breakers.retain(|_, breaker| breaker.until > now);
        }
        let full = breakers.len() + 2 > MAX;
        let mut refuse = |concerned: Concerned, opens: &dyn Fn(&Breaker) -> bool| {
            let key = (client.to_owned(), concerned);
            let is_first = !breakers.contains_key(&key);
            if full && is_first {
                return false;
            }
            let breaker = breakers.entry(key).or_insert_with(|| Breaker::new(error));
            if !breaker.grants.contains(&grant) && breaker.grants.len() < LIMIT {
                breaker.grants.push(grant);
            }
            if opens(breaker) {
                breaker.open(error, now);
            }
            is_first
        };
        if concerns_all(error) {
            return refuse(Concerned::Client, &|_| true);
        }
        refuse(Concerned::Grant(grant, target.clone()), &|_| true);
        let several = |breaker: &Breaker| breaker.grants.len() >= LIMIT;
        refuse(Concerned::Target(target.clone()), &several)
    }

    /// The provider takes our requests.
    pub(super) fn accepted(&self, client: &str, target: &Target, grant: u64) {
        let mut breakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if breakers.is_empty() {
            return;
        }
        for concerned in everything(target, grant) {
            breakers.remove(&(client.to_owned(), concerned));
        }
    }

    /// The client was registered anew.
    pub(super) fn forget(&self, client: &str) {
        let mut breakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        breakers.retain(|(name, _), _| name != client);
    }
}

/// All that a grant waits for.
fn everything(target: &Target, grant: u64) -> [Concerned; 3] {
    [
        Concerned::Client,
        Concerned::Target(target.clone()),
        Concerned::Grant(grant, target.clone()),
    ]
}

#[cfg(test)]
mod tests;
