//! A provider that refuses our registration is left alone for a while: no grant is to blame, and asking again for every one of
//! them helps nobody.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{Action, Error, Target};

/// The first pause; it doubles with each refusal.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);
/// How many refusals are remembered.
const MAX: usize = 10_000;

/// The refusals of this process.
#[derive(Debug, Default)]
pub(super) struct Breakers(Mutex<HashMap<(String, Target), Breaker>>);

#[derive(Debug)]
struct Breaker {
    /// Monotonic.
    until: Duration,
    pause: Duration,
    error: Error,
}

/// A refusal of the whole registration stands under no target in particular.
fn concerns(error: &Error, target: &Target) -> Target {
    let whole = error
        .provider()
        .and_then(|said| said.error.as_deref())
        .is_some_and(|error| matches!(error, "invalid_client" | "unauthorized_client"));
    if whole {
        Target::default()
    } else {
        target.clone()
    }
}

impl Breakers {
    /// The refusal that stands in the way of a request, with the time that is left.
    pub(super) fn check(&self, client: &str, target: &Target, now: Duration) -> Result<(), Error> {
        let breakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for target in [&Target::default(), target] {
            let open = breakers
                .get(&(client.to_owned(), target.clone()))
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
        error: &Error,
        now: Duration,
    ) -> bool {
        let mut breakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if breakers.len() >= MAX {
            breakers.retain(|_, breaker| breaker.until > now);
        }
        let key = (client.to_owned(), concerns(error, target));
        let pause = breakers
            .get(&key)
            .map_or(FIRST, |breaker| (breaker.pause * 2).min(LONGEST));
        let breaker = Breaker {
            until: now + pause,
            pause,
            error: error.duplicate().with_action(Action::Configure),
        };
        breakers.insert(key, breaker).is_none()
    }

    /// The provider takes our requests.
    pub(super) fn accepted(&self, client: &str, target: &Target) {
        let mut breakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if breakers.is_empty() {
            return;
        }
        for target in [Target::default(), target.clone()] {
            breakers.remove(&(client.to_owned(), target));
        }
    }

    /// The client was registered anew.
    pub(super) fn forget(&self, client: &str) {
        let mut breakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        breakers.retain(|(name, _), _| name != client);
    }
}

#[cfg(test)]
mod tests;
