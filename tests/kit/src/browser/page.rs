//! What a browser saw.

use std::{error::Error, fmt, sync::Arc};

use reqwest::{Method, header::HeaderMap};
use serde_json::Value;
use url::Url;

/// One request and its answer. Its `Debug` shows neither query, cookies nor body: codes and tokens stand there.
#[derive(Clone)]
#[non_exhaustive]
pub struct Page {
    /// The method of the request.
    pub method: String,
    /// The URL that was asked for.
    pub url: Url,
    /// The status of the answer.
    pub status: u16,
    /// The headers of the answer.
    pub headers: HeaderMap,
    /// The body of the answer; octets that are not UTF-8 are replaced.
    pub body: String,
    pub(super) method_sent: Method,
    pub(super) fields_sent: Vec<(String, String)>,
    pub(super) from: Option<Url>,
}

impl Page {
    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// A header of the answer, if it has it and it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A parameter in the query of its URL.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        query(&self.url, name)
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}{} -> {}",
            self.method,
            self.url.origin().ascii_serialization(),
            self.url.path(),
            self.status
        )
    }
}

/// A walk from page to page.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Visit {
    /// Every page, redirects as well, in the order in which they came. There is at least one.
    pub steps: Vec<Page>,
}

impl Visit {
    /// The page where it ended.
    #[must_use]
    pub fn last(&self) -> &Page {
        &self.steps[self.steps.len() - 1]
    }

    /// The first page at this path.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Page> {
        self.steps.iter().find(|page| page.url.path() == path)
    }
}

/// The request by which the provider sends a browser back to the application. It was not sent.
#[derive(Clone)]
#[non_exhaustive]
pub struct Callback {
    /// GET, or POST with `form_post`.
    pub method: String,
    /// The URL, which holds the parameters of a GET.
    pub url: Url,
    /// The parameters of a POST.
    pub fields: Vec<(String, String)>,
    /// The pages before it.
    pub steps: Vec<Page>,
}

impl Callback {
    /// A parameter of the authorization response, wherever it stands.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        let posted = self
            .fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone());
        posted.or_else(|| query(&self.url, name))
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}{}",
            self.method,
            self.url.origin().ascii_serialization(),
            self.url.path()
        )
    }
}

fn query(url: &Url, name: &str) -> Option<String> {
    url.query_pairs()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.into_owned())
}

/// Why a browser could not go on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum BrowserError {
    /// A URL or a `Location` cannot be read.
    Url,
    /// More than 20 steps: a loop, most likely.
    TooManySteps,
    /// A page has more than 4 MiB.
    TooLarge,
    /// The provider did not send the browser back to the application.
    NoCallback,
    /// No HTTP client could be made.
    Client(Arc<reqwest::Error>),
    /// No answer came, or only a part of it.
    Request(Arc<reqwest::Error>),
}

impl BrowserError {
    pub(super) fn request(error: reqwest::Error) -> Self {
        // The URL may hold a code.
        Self::Request(Arc::new(error.without_url()))
    }
}

impl fmt::Display for BrowserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => "a URL or Location cannot be read",
            Self::TooManySteps => "more than 20 redirects and forms",
            Self::TooLarge => "a page has more than 4 MiB",
            Self::NoCallback => "the provider did not send the browser back",
            Self::Client(_) => "no HTTP client could be made",
            Self::Request(_) => "no whole answer came",
        })
    }
}

impl Error for BrowserError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Client(error) | Self::Request(error) => Some(error.as_ref()),
            _ => None,
        }
    }
}
