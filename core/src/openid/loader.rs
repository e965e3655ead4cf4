//! Documents that a provider publishes (metadata, keys), fetched once for everybody who asks and kept.
//!
//! One request at a time per document, in a task of its own: a caller that goes away cancels nothing. A stale document
//! is served while it is fetched anew in the background; one that cannot be fetched stays in use for a day.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use url::Url;

pub(crate) use self::state::Asker;
use self::{
    remote::{Asked, Lifetime, Place, Remote},
    state::{Flight, Outcome, State},
};
use super::{KeySet, ProviderMetadata, urls_for};
use crate::{Error, ErrorCode, Phase, Result, http::Http};

mod remote;
mod state;

const METADATA: Lifetime = Lifetime {
    least: Duration::from_secs(300),
    usual: Duration::from_secs(3600),
    most: Duration::from_secs(24 * 3600),
};

/// A key that was withdrawn is trusted no longer than this.
const KEYS: Lifetime = Lifetime {
    least: Duration::from_secs(300),
    usual: Duration::from_secs(600),
    most: Duration::from_secs(3600),
};

/// A document, cached. Cheap to clone; clones share the document.
pub(crate) struct Cached<T>(Kind<T>);

enum Kind<T> {
    /// Configured: nothing is ever fetched.
    Fixed(Arc<Loaded<T>>),
    /// Fetched, when it is asked for.
    Shared(Arc<Shared<T>>),
}

struct Shared<T> {
    remote: Remote<T>,
    state: Mutex<State<T>>,
}

/// A document as it was loaded.
#[derive(Debug)]
pub(crate) struct Loaded<T> {
    /// What was in it.
    pub(crate) value: T,
    /// Counts up whenever its bytes change.
    pub(crate) serial: u64,
}

impl Cached<ProviderMetadata> {
    /// The metadata of an issuer: OpenID Connect Discovery 1.0 first, then RFC 8414. `named` is what it calls itself there:
    /// the issuer, or a template of its tenants.
    ///
    /// # Errors
    /// `invalid_configuration` if the issuer is not an https URL without query and fragment.
    pub(crate) fn of_issuer(http: Http, issuer: &str, named: &str) -> Result<Self> {
        let urls = urls_for(issuer)?;
        let issuer = named.to_owned();
        Ok(Self::remote(
            http,
            Phase::Discovery,
            METADATA,
            Place::At(urls.to_vec()),
            move |_, bytes| ProviderMetadata::parse(bytes, Some(&issuer)),
        ))
    }

    /// The metadata at this address; `issuer` if it is known from elsewhere.
    pub(crate) fn of_metadata_url(http: Http, url: Url, issuer: Option<String>) -> Self {
        Self::remote(
            http,
            Phase::Discovery,
            METADATA,
            Place::At(vec![url]),
            move |url, bytes| match &issuer {
                Some(issuer) => ProviderMetadata::parse(bytes, Some(issuer)),
                None => ProviderMetadata::parse_from(bytes, url),
            },
        )
    }
}

impl Cached<KeySet> {
    /// The keys at this address.
    pub(crate) fn keys_at(http: Http, url: Url) -> Self {
        Self::remote(http, Phase::Keys, KEYS, Place::At(vec![url]), parse_keys)
    }

    /// The keys where the metadata says, also after it said otherwise.
    pub(crate) fn keys_of(http: Http, metadata: Cached<ProviderMetadata>) -> Self {
        let ask = move |moved_from: Option<Url>| -> Asked {
            let metadata = metadata.clone();
            Box::pin(async move {
                let mut known = metadata.get().await?;
                if moved_from.is_some() && known.value.jwks_uri == moved_from {
                    let newer = metadata.refetch_unless_newer_than(known.serial, Asker::Provider);
                    known = newer.await?;
                }
                known.value.jwks_uri.clone().ok_or_else(|| {
                    Error::new(
                        ErrorCode::InvalidMetadata,
                        Phase::Keys,
                        "the provider's metadata has no jwks_uri",
                    )
                })
            })
        };
        Self::remote(
            http,
            Phase::Keys,
            KEYS,
            Place::Asked(Box::new(ask)),
            parse_keys,
        )
    }
}

fn parse_keys(url: &Url, bytes: &[u8]) -> Result<KeySet> {
    let (keys, warnings) = KeySet::parse(bytes)?;
    for warning in warnings.iter().take(20) {
        tracing::warn!(%url, "{warning}");
    }
    Ok(keys)
}

impl<T: Send + Sync + 'static> Cached<T> {
    /// A document that is configured; nothing is ever fetched.
    pub(crate) fn fixed(value: T) -> Self {
        Self(Kind::Fixed(Arc::new(Loaded { value, serial: 1 })))
    }

    fn remote(
        http: Http,
        phase: Phase,
        lifetime: Lifetime,
        place: Place,
        parse: impl Fn(&Url, &[u8]) -> Result<T> + Send + Sync + 'static,
    ) -> Self {
        Self(Kind::Shared(Arc::new(Shared {
            remote: Remote {
                http,
                phase,
                lifetime,
                place,
                parse: Box::new(parse),
            },
            state: Mutex::default(),
        })))
    }

    /// The document: at once if it is there and not older than a day past its time, else as soon as it is loaded.
    ///
    /// # Errors
    /// `provider_unavailable`, `provider_error`, or what parsing it answers. Callers who wait together get the same
    /// error, and so do those who ask again too soon.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing; the document is loaded all the same.
    pub(crate) async fn get(&self) -> Result<Arc<Loaded<T>>> {
        match &self.0 {
            Kind::Fixed(loaded) => Ok(Arc::clone(loaded)),
            Kind::Shared(shared) => shared.get().await,
        }
    }

    /// The document, fetched anew unless it has changed since `seen`: for a signature by a key that is not in it.
    /// At most one such fetch in 30 s for each kind of `asker`, if it brings nothing new; in between the document stays as it is.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub(crate) async fn refetch_unless_newer_than(
        &self,
        seen: u64,
        asker: Asker,
    ) -> Result<Arc<Loaded<T>>> {
        match &self.0 {
            Kind::Fixed(loaded) => Ok(Arc::clone(loaded)),
            Kind::Shared(shared) => shared.refetch_unless_newer_than(seen, asker).await,
        }
    }
}

/// How often a fetch is begun for one caller, if its task vanishes: its runtime ended, or it panicked.
const ATTEMPTS: usize = 3;

/// What a caller does next.
enum Next<T> {
    Done(Result<Arc<Loaded<T>>>),
    /// Wait for this fetch; whether it was begun for this caller.
    Wait(Flight<T>, bool),
}

impl<T: Send + Sync + 'static> Shared<T> {
    async fn get(self: &Arc<Self>) -> Result<Arc<Loaded<T>>> {
        for _ in 0..ATTEMPTS {
            match self.next_to_get() {
                Next::Done(outcome) => return outcome,
                Next::Wait(flight, _) => {
                    if let Some(outcome) = land(flight).await {
                        return outcome;
                    }
                }
            }
        }
        Err(self.given_up())
    }

    fn next_to_get(self: &Arc<Self>) -> Next<T> {
        let now = self.remote.http.clock.monotonic();
        let mut state = self.lock();
        if let Some((loaded, is_fresh)) = state.usable(now) {
            if !is_fresh && state.cooling(now).is_none() {
                self.join_or_start(&mut state);
            }
            return Next::Done(Ok(loaded));
        }
        if let Some(error) = state.cooling(now) {
            return Next::Done(Err(error));
        }
        let (flight, is_ours) = self.join_or_start(&mut state);
        Next::Wait(flight, is_ours)
    }

    async fn refetch_unless_newer_than(
        self: &Arc<Self>,
        seen: u64,
        asker: Asker,
    ) -> Result<Arc<Loaded<T>>> {
        for _ in 0..ATTEMPTS {
            match self.next_to_refetch(seen, asker) {
                Next::Done(outcome) => return outcome,
                Next::Wait(flight, is_ours) => match land(flight).await {
                    // One that was under way may have begun before the change that the caller saw.
                    Some(Ok(loaded)) if !is_ours && loaded.serial <= seen => {}
                    Some(outcome) => return outcome,
                    None => {}
                },
            }
        }
        Err(self.given_up())
    }

    fn next_to_refetch(self: &Arc<Self>, seen: u64, asker: Asker) -> Next<T> {
        let now = self.remote.http.clock.monotonic();
        let mut state = self.lock();
        if let Some(loaded) = state.newer_than(seen) {
            return Next::Done(Ok(loaded));
        }
        if !state.is_in_flight() {
            if let Some(error) = state.cooling(now) {
                return Next::Done(Err(error));
            }
            if let Some(loaded) = state.may_not_force(now, asker) {
                return Next::Done(Ok(loaded));
            }
        }
        let (flight, is_ours) = self.join_or_start(&mut state);
        Next::Wait(flight, is_ours)
    }

    /// The fetch that is under way; else begins one, in a task of its own, and answers true.
    fn join_or_start(self: &Arc<Self>, state: &mut State<T>) -> (Flight<T>, bool) {
        if let Some(flight) = state.in_flight() {
            return (flight, false);
        }
        let (sender, flight) = watch::channel(None);
        state.flight = Some(flight.clone());
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            // If this task vanishes, the sender goes with it, and whoever waits or comes next sees that.
            let outcome = shared.fetch_and_keep().await;
            sender.send_replace(Some(outcome));
        });
        (flight, true)
    }

    async fn fetch_and_keep(&self) -> Outcome<T> {
        let known = self.lock().etag();
        let fetched = self.remote.fetch(known).await;
        let now = self.remote.http.clock.monotonic();
        let mut state = self.lock();
        state.flight = None;
        match fetched {
            Ok(fetched) => state
                .keep(fetched, now)
                .ok_or_else(|| Arc::new(self.given_up())),
            Err(error) => {
                if state.current.is_some() {
                    tracing::warn!(%error, "a provider's document cannot be fetched anew; the last one stays in use");
                }
                Err(state.fail(error, now))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing under this lock leaves the state half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn given_up(&self) -> Error {
        Error::new(
            ErrorCode::ProviderUnavailable,
            self.remote.phase,
            "the document could not be fetched to the end",
        )
    }
}

/// Waits for a fetch; none if its task vanished.
async fn land<T>(mut flight: Flight<T>) -> Option<Result<Arc<Loaded<T>>>> {
    let outcome = flight.wait_for(Option::is_some).await.ok()?.clone()?;
    Some(outcome.map_err(|error| error.duplicate()))
}

impl<T> Clone for Cached<T> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Kind::Fixed(loaded) => Kind::Fixed(Arc::clone(loaded)),
            Kind::Shared(shared) => Kind::Shared(Arc::clone(shared)),
        })
    }
}

impl<T> fmt::Debug for Cached<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
