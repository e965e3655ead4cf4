//! Fetching a document: where it is, what an answer means, and for how long it is fresh.

use std::{future::Future, pin::Pin, time::Duration};

use aws_lc_rs::digest;
use reqwest::{
    StatusCode,
    header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH},
};
use url::Url;

use crate::{
    Action, Error, ErrorCode, Phase, ProviderError, Result,
    http::{Answer, Http},
};

/// For how long a document is fresh.
#[derive(Clone, Copy)]
pub(super) struct Lifetime {
    pub(super) least: Duration,
    pub(super) usual: Duration,
    pub(super) most: Duration,
}

/// A kind of document, and where it is.
pub(super) struct Remote<T> {
    pub(super) http: Http,
    pub(super) phase: Phase,
    pub(super) lifetime: Lifetime,
    pub(super) place: Place,
    pub(super) parse: Parse<T>,
}

pub(super) type Parse<T> = Box<dyn Fn(&Url, &[u8]) -> Result<T> + Send + Sync>;

pub(super) enum Place {
    /// At the first of these that has it.
    At(Vec<Url>),
    /// Where another document says, looked at anew if nothing is there any more.
    Asked(Ask),
}

pub(super) type Ask = Box<dyn Fn(Option<Url>) -> Asked + Send + Sync>;

pub(super) type Asked = Pin<Box<dyn Future<Output = Result<Url>> + Send>>;

/// What a fetch brought: the document that we have (304), or one with other bytes, or with the same.
pub(super) struct Fetched<T> {
    pub(super) document: Option<Document<T>>,
    pub(super) fresh_for: Duration,
}

pub(super) struct Document<T> {
    pub(super) value: T,
    pub(super) url: Url,
    pub(super) etag: Option<HeaderValue>,
    pub(super) digest: Vec<u8>,
}

impl<T> Remote<T> {
    /// Fetches the document from the first address that has it.
    pub(super) async fn fetch(&self, known: Option<(Url, HeaderValue)>) -> Result<Fetched<T>> {
        let urls = match &self.place {
            Place::At(urls) => urls.clone(),
            Place::Asked(ask) => {
                let url = ask(None).await?;
                return match self.fetch_from(vec![url.clone()], &known).await {
                    Err(error) if error.code() == ErrorCode::ProviderError => {
                        let moved_to = ask(Some(url.clone())).await?;
                        if moved_to == url {
                            return Err(error);
                        }
                        self.fetch_from(vec![moved_to], &known).await
                    }
                    done => done,
                };
            }
        };
        self.fetch_from(urls, &known).await
    }

    async fn fetch_from(
        &self,
        urls: Vec<Url>,
        known: &Option<(Url, HeaderValue)>,
    ) -> Result<Fetched<T>> {
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
        if status.is_redirection() {
            let what = format!(
                "redirects (status {}), which is not followed; name the address it redirects to, if it is right",
                status.as_u16()
            );
            return Err(fault(ErrorCode::ProviderError, &what));
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
