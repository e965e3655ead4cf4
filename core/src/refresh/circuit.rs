//! A provider that is away is asked by one grant at a time. Each of the others would wait for its own timeout, and a provider
//! that comes up again would meet them all at once.
//!
//! The back-off of a grant stands in its record, for the whole fleet; this is about a client, in memory, per process. One grant
//! that the provider cannot serve opens no circuit, however often it fails: it takes several of them, or the provider's own word
//! that the service is away (503 with `Retry-After`).

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{Error, ErrorCode, token::Verdict};

/// How many grants fail in a row before the others wait.
const LIMIT: usize = 5;
/// The first pause; it doubles with each probe that fails.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);
/// A provider may ask for more, up to this.
const MOST: Duration = Duration::from_secs(300);
/// How long to wait for the answer to a probe before asking again.
const PROBING: Duration = Duration::from_secs(1);
/// Of how many clients something is remembered.
const MAX: usize = 10_000;

/// What an attempt says of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// It works, whatever it answered.
    Up,
    /// It gave no answer, or said that it is too busy for one.
    Away {
        retry_after: Option<Duration>,
        /// The whole service is away, by its own word.
        certain: bool,
    },
    /// It was not asked.
    Unknown,
}

impl Sign {
    pub(super) fn of(verdict: Verdict, error: &Error) -> Self {
        match verdict {
            Verdict::InvalidGrant | Verdict::Refused => Self::Up,
            Verdict::NotSent if error.code() != ErrorCode::ProviderUnavailable => Self::Unknown,
            // It may be this user's own limit.
            Verdict::Throttled { retry_after } => Self::Away {
                retry_after,
                certain: false,
            },
            Verdict::Unavailable { retry_after } => Self::Away {
                retry_after,
                certain: retry_after.is_some(),
            },
            Verdict::NotSent | Verdict::Ambiguous => Self::Away {
                retry_after: None,
                certain: false,
            },
        }
    }
}

/// Which providers are away, by client. One that works is not in the map.
#[derive(Debug, Default)]
pub(super) struct Circuits(Mutex<HashMap<String, Circuit>>);

#[derive(Debug, Default)]
struct Circuit {
    /// Hashes of the grants that failed since the last answer, each once.
    failed: Vec<u64>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// Monotonic: from then on one may try.
    until: Duration,
    pause: Duration,
    probing: bool,
}

/// Leave to ask the provider. Dropped without a sign, it lets the next one try.
#[derive(Debug)]
#[must_use]
pub(super) struct Pass<'a> {
    circuits: &'a Circuits,
    client: &'a str,
    is_probe: bool,
}

impl Circuits {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Circuit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is the provider left alone at this moment?
    pub(super) fn pauses(&self, client: &str, now: Duration) -> bool {
        let all = self.all();
        let open = all.get(client).and_then(|circuit| circuit.open.as_ref());
        open.is_some_and(|open| now < open.until)
    }

    /// Leave to ask; or how long to wait.
    pub(super) fn pass<'a>(&'a self, client: &'a str, now: Duration) -> Result<Pass<'a>, Duration> {
        let pass = |is_probe| Pass {
            circuits: self,
            client,
            is_probe,
        };
        let mut all = self.all();
        let Some(open) = all
            .get_mut(client)
            .and_then(|circuit| circuit.open.as_mut())
        else {
            return Ok(pass(false));
        };
        if now < open.until {
            return Err(open.until - now);
        }
        if open.probing {
            return Err(PROBING);
        }
        open.probing = true;
        Ok(pass(true))
    }

    /// The client was registered anew.
    pub(super) fn forget(&self, client: &str) {
        self.all().remove(client);
    }
}

impl Pass<'_> {
    /// What came of it, for the grant with this hash; `jitter` is a share of a quarter. Answers whether the circuit opened: that
    /// is worth an event.
    pub(super) fn said(&self, sign: Sign, grant: u64, now: Duration, jitter: u8) -> bool {
        let mut all = self.circuits.all();
        let (retry_after, certain) = match sign {
            Sign::Unknown => return false,
            Sign::Up => {
                all.remove(self.client);
                return false;
            }
            Sign::Away {
                retry_after,
                certain,
            } => (retry_after, certain),
        };
        if all.len() >= MAX && !all.contains_key(self.client) {
            all.retain(|_, circuit| circuit.open.as_ref().is_some_and(|open| open.until > now));
            if all.len() >= MAX {
                return false;
            }
        }
        let circuit = all.entry(self.client.to_owned()).or_default();
        if !circuit.failed.contains(&grant) && circuit.failed.len() < LIMIT {
            circuit.failed.push(grant);
        }
        let pause = match &circuit.open {
            Some(open) if self.is_probe => (open.pause * 2).min(LONGEST),
            // Asked before it opened: that says nothing new.
            Some(_) => return false,
            None if certain || circuit.failed.len() >= LIMIT => FIRST,
            None => return false,
        };
        let wait = pause.max(retry_after.unwrap_or_default().min(MOST));
        let opened = circuit.open.is_none();
        circuit.open = Some(Open {
            until: now + wait + wait * u32::from(jitter) / (4 * 255),
            pause,
            probing: false,
        });
        opened
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.is_probe {
            return;
        }
        let mut all = self.circuits.all();
        if let Some(open) = all
            .get_mut(self.client)
            .and_then(|circuit| circuit.open.as_mut())
        {
            open.probing = false;
        }
    }
}

#[cfg(test)]
mod tests;
