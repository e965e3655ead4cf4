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
    remote: Option<Remote<T>>,
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

type Outcome<T> = Option<Result<Arc<Loaded<T>>, Arc<Error>>>;
type Flight<T> = watch::Receiver<Outcome<T>>;

struct State<T> {
    current: Option<Current<T>>,
    flight: Option<Flight<T>>,
    failure: Option<Failure>,
    forced_not_before: Duration,
}

struct Current<T> {
    loaded: Arc<Loaded<T>>,
    url: Url,
    etag: Option<HeaderValue>,
    digest: digest::Digest,
    fresh_until: Duration,
}

struct Failure {
    error: Arc<Error>,
    in_a_row: u32,
    until: Duration,
}

/// What an answer brought.
enum Fetched<T> {
    /// 304: the document that we have, for longer.
    Same { fresh_for: Duration },
    /// A document; perhaps with the bytes that we have.
    Document {
        value: T,
        url: Url,
        etag: Option<HeaderValue>,
        digest: digest::Digest,
        fresh_for: Duration,
    },
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
        todo!()
    }

    fn remote(
        http: Http,
        phase: Phase,
        lifetime: Lifetime,
        place: Place,
        parse: impl Fn(&Url, &[u8]) -> Result<T> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            remote: Some(Remote {
                http,
                phase,
                lifetime,
                place,
                parse: Box::new(parse),
            }),
            state: Mutex::new(State {
                current: None,
                flight: None,
                failure: None,
                forced_not_before: Duration::ZERO,
            }),
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
        todo!()
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
        todo!()
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
