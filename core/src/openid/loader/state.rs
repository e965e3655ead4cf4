//! What is known of a document at a moment: pure bookkeeping, no request and no clock.

use std::{sync::Arc, time::Duration};

use reqwest::header::HeaderValue;
use tokio::sync::watch;
use url::Url;

use super::{Loaded, remote::Fetched};
use crate::{Action, Error};

/// How long a document is served after it went stale, if it cannot be fetched.
const LAST_KNOWN_GOOD: Duration = Duration::from_secs(24 * 3600);

/// After a refetch that somebody forced and that brought nothing new: unknown key ids must not become requests.
const PAUSE: Duration = Duration::from_secs(30);

/// After one that brought something new.
const SHORT_PAUSE: Duration = Duration::from_secs(1);

/// After failures: doubling from the first to the last; a provider may ask for more.
const COOL_DOWN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How much more.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Whose token has a key that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// It came with an answer of the provider's.
    Provider,
    /// Anybody may have sent it: whoever forges some must not use up what the provider's own tokens need.
    Anybody,
}

pub(super) type Outcome<T> = Result<Arc<Loaded<T>>, Arc<Error>>;
pub(super) type Flight<T> = watch::Receiver<Option<Outcome<T>>>;

pub(super) struct State<T> {
    pub(super) current: Option<Current<T>>,
    pub(super) flight: Option<Flight<T>>,
    failure: Option<Failure>,
    /// When a fetch may be forced again by what the provider answered, and by what anybody sent, on the monotonic clock as all
    /// times here.
    forced_not_before: [Duration; 2],
}

pub(super) struct Current<T> {
    loaded: Arc<Loaded<T>>,
    url: Url,
    etag: Option<HeaderValue>,
    digest: Vec<u8>,
    fresh_until: Duration,
}

pub(super) struct Failure {
    error: Arc<Error>,
    in_a_row: u32,
    until: Duration,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self {
            current: None,
            flight: None,
            failure: None,
            forced_not_before: [Duration::ZERO; 2],
        }
    }
}

impl<T> State<T> {
    /// The fetch that is under way. One whose task vanished is none.
    pub(super) fn in_flight(&self) -> Option<Flight<T>> {
        // `has_changed` errs when the sender is gone.
        self.flight
            .clone()
            .filter(|flight| flight.has_changed().is_ok())
    }

    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight().is_some()
    }

    /// The document, and whether it is fresh; none if it is too old to be used.
    pub(super) fn usable(&self, now: Duration) -> Option<(Arc<Loaded<T>>, bool)> {
        let current = self.current.as_ref()?;
        (now < current.fresh_until + LAST_KNOWN_GOOD)
            .then(|| (Arc::clone(&current.loaded), now < current.fresh_until))
    }

    /// The document, if it changed after `seen`.
    pub(super) fn newer_than(&self, seen: u64) -> Option<Arc<Loaded<T>>> {
        let current = self.current.as_ref()?;
        (current.loaded.serial > seen).then(|| Arc::clone(&current.loaded))
    }

    /// The document, if it is too early to force a fetch; else that time begins anew.
    pub(super) fn may_not_force(&mut self, now: Duration, asker: Asker) -> Option<Arc<Loaded<T>>> {
        let not_before = &mut self.forced_not_before[asker as usize];
        if let Some(current) = &self.current
            && now < *not_before
        {
            return Some(Arc::clone(&current.loaded));
        }
        *not_before = now + PAUSE;
        None
    }

    /// What makes a request conditional, and for which address.
    pub(super) fn etag(&self) -> Option<(Url, HeaderValue)> {
        let current = self.current.as_ref()?;
        Some((current.url.clone(), current.etag.clone()?))
    }

    /// The last error, while it is too early to try again.
    pub(super) fn cooling(&self, now: Duration) -> Option<Error> {
        let failure = self
            .failure
            .as_ref()
            .filter(|failure| now < failure.until)?;
        let error = failure.error.duplicate();
        Some(match error.action() {
            Action::Retry { .. } => {
                let after = Some(failure.until.saturating_sub(now));
                error.with_action(Action::Retry { after })
            }
            _ => error,
        })
    }

    pub(super) fn fail(&mut self, error: Error, now: Duration) -> Arc<Error> {
        let in_a_row = self.failure.as_ref().map_or(0, |failure| failure.in_a_row);
        let (first, most) = COOL_DOWN;
        let backed_off = (first * 2u32.pow(in_a_row.min(10))).min(most);
        let asked = error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER);
        let error = Arc::new(error);
        self.failure = Some(Failure {
            error: Arc::clone(&error),
            in_a_row: in_a_row.saturating_add(1),
            until: now + backed_off.max(asked),
        });
        error
    }

    /// Keeps what was fetched; none if that was a 304 and there is nothing. The serial counts up only if the bytes
    /// changed.
    pub(super) fn keep(&mut self, fetched: Fetched<T>, now: Duration) -> Option<Arc<Loaded<T>>> {
        self.failure = None;
        let fresh_until = now + fetched.fresh_for;
        let Some(document) = fetched.document else {
            let current = self.current.as_mut()?;
            current.fresh_until = fresh_until;
            return Some(Arc::clone(&current.loaded));
        };
        let loaded = match &self.current {
            Some(current) if current.digest == document.digest && current.url == document.url => {
                Arc::clone(&current.loaded)
            }
            before => {
                let soon = now + SHORT_PAUSE;
                self.forced_not_before = self.forced_not_before.map(|at| at.min(soon));
                Arc::new(Loaded {
                    value: document.value,
                    serial: before.as_ref().map_or(0, |current| current.loaded.serial) + 1,
                })
            }
        };
        self.current = Some(Current {
            loaded: Arc::clone(&loaded),
            url: document.url,
            etag: document.etag,
            digest: document.digest,
            fresh_until,
        });
        Some(loaded)
    }
}
