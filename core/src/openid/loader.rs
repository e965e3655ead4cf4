//! Documents that a provider publishes (metadata, keys), fetched once for everybody who asks and kept.
//!
//! One request at a time per document, in a task of its own: a caller that goes away cancels nothing. A stale document
//! is served while it is fetched anew in the background; one that cannot be fetched stays in use for a day.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest;
use reqwest::{
    StatusCode,
    header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH},
};
use tokio::sync::watch;
use url::Url;

use super::{KeySet, ProviderMetadata, urls_for};
use crate::{
    Action, Error, ErrorCode, Phase, ProviderError, Result,
    http::{Answer, Http},
};

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

/// For how long a document is fresh.
#[derive(Clone, Copy)]
struct Lifetime {
    least: Duration,
    usual: Duration,
    most: Duration,
}

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
pub(crate) struct Cached<T>(Arc<Inner<T>>);

struct Inner<T> {
    source: Source<T>,
    state: Mutex<State<T>>,
}

enum Source<T> {
    Fixed(Arc<Loaded<T>>),
    Remote(Remote<T>),
}

/// A document as it was loaded.
#[derive(Debug)]
pub(crate) struct Loaded<T> {
    /// What was in it.
    pub(crate) value: T,
    /// Counts up whenever its bytes change.
    pub(crate) serial: u64,
}

struct Remote<T> {
    http: Http,
    phase: Phase,
    lifetime: Lifetime,
    place: Place,
    parse: Box<dyn Fn(&Url, &[u8]) -> Result<T> + Send + Sync>,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

enum Place {
    /// At the first of these that has it.
    At(Vec<Url>),
    /// Where another document says.
    Asked(Box<dyn Fn() -> BoxFuture<Result<Url>> + Send + Sync>),
}

type Outcome<T> = Result<Arc<Loaded<T>>, Arc<Error>>;
type Flight<T> = watch::Receiver<Option<Outcome<T>>>;

struct State<T> {
    current: Option<Current<T>>,
    flight: Option<Flight<T>>,
    failure: Option<Failure>,
    /// When a fetch may be forced again, on the monotonic clock as all times here.
    forced_not_before: Duration,
}

struct Current<T> {
    loaded: Arc<Loaded<T>>,
    url: Url,
    etag: Option<HeaderValue>,
    digest: Vec<u8>,
    fresh_until: Duration,
}

struct Failure {
    error: Arc<Error>,
    in_a_row: u32,
    until: Duration,
}

/// What a fetch brought: the document that we have (304), or one with other bytes, or with the same.
struct Fetched<T> {
    document: Option<Document<T>>,
    fresh_for: Duration,
}

struct Document<T> {
    value: T,
    url: Url,
    etag: Option<HeaderValue>,
    digest: Vec<u8>,
}

impl Cached<ProviderMetadata> {
    /// The metadata of an issuer: OpenID Connect Discovery 1.0 first, then RFC 8414.
    ///
    /// # Errors
    /// `invalid_configuration` if the issuer is not an https URL without query and fragment.
    pub(crate) fn of_issuer(http: Http, issuer: &str) -> Result<Self> {
        let urls = urls_for(issuer)?;
        let issuer = issuer.to_owned();
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
        let ask = move || -> BoxFuture<Result<Url>> {
            let metadata = metadata.clone();
            Box::pin(async move {
                metadata.get().await?.value.jwks_uri.clone().ok_or_else(|| {
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
        let loaded = Arc::new(Loaded { value, serial: 1 });
        Self(Arc::new(Inner {
            source: Source::Fixed(loaded),
            state: Mutex::default(),
        }))
    }

    fn remote(
        http: Http,
        phase: Phase,
        lifetime: Lifetime,
        place: Place,
        parse: impl Fn(&Url, &[u8]) -> Result<T> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            source: Source::Remote(Remote {
                http,
                phase,
                lifetime,
                place,
                parse: Box::new(parse),
            }),
            state: Mutex::default(),
        }))
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
        let remote = match &self.0.source {
            Source::Fixed(loaded) => return Ok(Arc::clone(loaded)),
            Source::Remote(remote) => remote,
        };
        let flight = {
            let now = remote.http.clock.monotonic();
            let mut state = self.0.lock();
            if let Some(current) = &state.current
                && now < current.fresh_until + LAST_KNOWN_GOOD
            {
                let loaded = Arc::clone(&current.loaded);
                if now >= current.fresh_until && state.cooling(now).is_none() {
                    self.join_or_start(&mut state);
                }
                return Ok(loaded);
            }
            if let Some(error) = state.cooling(now) {
                return Err(error);
            }
            self.join_or_start(&mut state)
        };
        land(flight, remote.phase).await
    }

    /// The document, fetched anew unless it has changed since `seen`: for a signature by a key that is not in it.
    /// At most one such fetch in 30 s, if it brings nothing new; in between the document stays as it is.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub(crate) async fn refetch_unless_newer_than(&self, seen: u64) -> Result<Arc<Loaded<T>>> {
        let remote = match &self.0.source {
            Source::Fixed(loaded) => return Ok(Arc::clone(loaded)),
            Source::Remote(remote) => remote,
        };
        // A fetch that is under way may have begun before the change that the caller saw, so it may not be enough.
        for _ in 0..2 {
            let (flight, is_ours) = {
                let now = remote.http.clock.monotonic();
                let mut state = self.0.lock();
                match &state.current {
                    Some(current) if current.loaded.serial > seen => {
                        return Ok(Arc::clone(&current.loaded));
                    }
                    _ => {}
                }
                let is_ours = !state.is_in_flight();
                if is_ours {
                    if let Some(error) = state.cooling(now) {
                        return Err(error);
                    }
                    if let Some(current) = &state.current
                        && now < state.forced_not_before
                    {
                        return Ok(Arc::clone(&current.loaded));
                    }
                    state.forced_not_before = now + PAUSE;
                }
                (self.join_or_start(&mut state), is_ours)
            };
            let loaded = land(flight, remote.phase).await?;
            if is_ours || loaded.serial > seen {
                return Ok(loaded);
            }
        }
        self.get().await
    }

    /// The fetch that is under way; else begins one, in a task of its own.
    fn join_or_start(&self, state: &mut State<T>) -> Flight<T> {
        if let Some(flight) = state.flight.as_ref().filter(|_| state.is_in_flight()) {
            return flight.clone();
        }
        let (sender, flight) = watch::channel(None);
        state.flight = Some(flight.clone());
        let cached = self.clone();
        tokio::spawn(async move {
            // If this task vanishes, the sender goes with it, and whoever waits or comes next sees that.
            let outcome = cached.fetch_and_keep().await;
            sender.send_replace(Some(outcome));
        });
        flight
    }

    async fn fetch_and_keep(&self) -> Outcome<T> {
        let remote = match &self.0.source {
            Source::Fixed(loaded) => return Ok(Arc::clone(loaded)),
            Source::Remote(remote) => remote,
        };
        let known = self
            .0
            .lock()
            .current
            .as_ref()
            .and_then(|current| Some((current.url.clone(), current.etag.clone()?)));
        let fetched = remote.fetch(known).await;
        let now = remote.http.clock.monotonic();
        let mut state = self.0.lock();
        state.flight = None;
        match fetched {
            Ok(fetched) => {
                state.failure = None;
                state.keep(fetched, now).ok_or_else(|| {
                    let message = "304 came for a request without If-None-Match";
                    Arc::new(Error::new(ErrorCode::ProviderError, remote.phase, message))
                })
            }
            Err(error) => {
                if state.current.is_some() {
                    tracing::warn!(%error, "a provider's document cannot be fetched anew; the last one stays in use");
                }
                Err(state.fail(error, now))
            }
        }
    }
}

/// Waits for a fetch.
async fn land<T>(mut flight: Flight<T>, phase: Phase) -> Result<Arc<Loaded<T>>> {
    let outcome = match flight.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone(),
        Err(_) => None,
    };
    match outcome {
        Some(Ok(loaded)) => Ok(loaded),
        Some(Err(error)) => Err(error.duplicate()),
        // Its runtime ended, or it panicked.
        None => Err(Error::new(
            ErrorCode::ProviderUnavailable,
            phase,
            "the fetch was given up",
        )),
    }
}

impl<T> Inner<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing under this lock leaves the state half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self {
            current: None,
            flight: None,
            failure: None,
            forced_not_before: Duration::ZERO,
        }
    }
}

impl<T> State<T> {
    fn is_in_flight(&self) -> bool {
        // Errs when the sender is gone.
        self.flight
            .as_ref()
            .is_some_and(|flight| flight.has_changed().is_ok())
    }

    /// The last error, while it is too early to try again.
    fn cooling(&self, now: Duration) -> Option<Error> {
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

    fn fail(&mut self, error: Error, now: Duration) -> Arc<Error> {
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

    /// Keeps what was fetched. The serial counts only if the bytes changed.
    fn keep(&mut self, fetched: Fetched<T>, now: Duration) -> Option<Arc<Loaded<T>>> {
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
                self.forced_not_before = self.forced_not_before.min(now + SHORT_PAUSE);
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

impl<T> Remote<T> {
    /// Fetches the document from the first address that has it.
    async fn fetch(&self, known: Option<(Url, HeaderValue)>) -> Result<Fetched<T>> {
        let urls = match &self.place {
            Place::At(urls) => urls.clone(),
            Place::Asked(ask) => vec![ask().await?],
        };
        let mut first_error = None;
        for url in urls {
            let mut headers = HeaderMap::new();
            let etag = known.as_ref().filter(|(at, _)| *at == url);
            if let Some((_, etag)) = etag {
                headers.insert(IF_NONE_MATCH, etag.clone());
            }
            let answer = self.http.get_json(&url, self.phase, headers).await?;
            match self.read(url, &answer, etag.is_some()) {
                Ok(fetched) => return Ok(fetched),
                // Another address may have it if this one has none: a 404, or the page that an application shows for any
                // path.
                Err(error) if error.code() == ErrorCode::ProviderError => {
                    first_error.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(first_error.unwrap_or_else(|| {
            Error::new(
                ErrorCode::InvalidConfiguration,
                self.phase,
                "there is no address to fetch from",
            )
        }))
    }

    fn read(&self, url: Url, answer: &Answer, is_conditional: bool) -> Result<Fetched<T>> {
        let fresh_for = self.fresh_for(&answer.headers);
        if is_conditional && answer.status == StatusCode::NOT_MODIFIED {
            return Ok(Fetched {
                document: None,
                fresh_for,
            });
        }
        let host = url.host_str().unwrap_or_default();
        let fault = |code, what: &str| {
            Error::new(code, self.phase, format!("{host} {what}")).with_provider(ProviderError {
                status: Some(answer.status.as_u16()),
                ..ProviderError::default()
            })
        };
        let status = answer.status;
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            let after = answer.retry_after(self.http.clock.now());
            let what = format!("answered with status {}", status.as_u16());
            return Err(
                fault(ErrorCode::ProviderUnavailable, &what).with_action(Action::Retry { after })
            );
        }
        if !status.is_success() {
            let what = format!("answered with status {}", status.as_u16());
            return Err(fault(ErrorCode::ProviderError, &what));
        }
        // Some providers mark their keys as text; none begins a document of JSON with anything else.
        if answer.body.trim_ascii_start().first() != Some(&b'{') {
            return Err(fault(
                ErrorCode::ProviderError,
                "answered with something that is not a JSON object",
            ));
        }
        let value = (self.parse)(&url, &answer.body)?;
        Ok(Fetched {
            document: Some(Document {
                value,
                etag: answer.headers.get(ETAG).cloned(),
                digest: digest::digest(&digest::SHA256, &answer.body)
                    .as_ref()
                    .to_vec(),
                url,
            }),
            fresh_for,
        })
    }

    /// `max-age` of `Cache-Control` (RFC 9111 section 5.2.2), within bounds.
    fn fresh_for(&self, headers: &HeaderMap) -> Duration {
        let Lifetime { least, usual, most } = self.lifetime;
        let mut fresh_for = usual;
        let directives = headers
            .get_all(CACHE_CONTROL)
            .iter()
            .filter_map(|value| value.to_str().ok());
        for directive in directives.flat_map(|value| value.split(',')) {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => return least,
                "max-age" => {
                    if let Ok(seconds) = value.trim().trim_matches('"').parse() {
                        fresh_for = Duration::from_secs(seconds);
                    }
                }
                _ => {}
            }
        }
        fresh_for.clamp(least, most)
    }
}

impl<T> Clone for Cached<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Cached<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
