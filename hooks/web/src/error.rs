//! What handlers answer when something goes wrong.

use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use tokenkeep_core::{self as core, Cookie, ErrorCode, Phase};

use crate::{
    Response,
    answer::{self, set_cookies},
    page,
};

/// [`tokenkeep_core::Error`] as an answer; the hooks' type of this name says more.
pub struct Error {
    error: Arc<core::Error>,
    page: bool,
    cookies: Vec<Cookie>,
    /// Where HTTP has a closer one than the code's.
    status: Option<StatusCode>,
}

impl Error {
    /// The core's error.
    #[must_use]
    pub fn error(&self) -> &core::Error {
        &self.error
    }

    /// The error as an answer to a request with these headers: a page if they want one.
    #[must_use]
    pub fn answering(mut self, headers: &HeaderMap) -> Self {
        self.page = page::wants_page(headers);
        self
    }

    /// Sets cookies with the answer.
    #[must_use]
    pub fn with_cookies(mut self, cookies: impl IntoIterator<Item = Cookie>) -> Self {
        self.cookies.extend(cookies);
        self
    }

    /// Answers with this status, instead of the code's own.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// The JSON of an error: `{error, phase, client, message, action, retry_after?, connect_url?}`. The message says what
    /// happened, what the provider says of it, and what to change ([`ErrorCode::help`]).
    #[must_use]
    pub fn json(error: &core::Error) -> Value {
        let mut body = json!({
            "error": error.code().as_str(),
            "phase": error.phase().as_str(),
            "client": error.client(),
            "message": message(error),
            "action": error.action().as_str(),
        });
        if let Some(wait) = error.retry_after() {
            body["retry_after"] = wait.as_secs_f64().ceil().into();
        }
        if let Some(url) = error.connect_url() {
            body["connect_url"] = url.into();
        }
        body
    }
}

/// What happened, what the provider says of it, and what to change.
fn message(error: &core::Error) -> String {
    let description = error
        .provider()
        .and_then(|said| said.description.as_deref());
    // Whoever puts a message into a page without escaping it gets no markup of the provider's with it.
    let said = description.map_or_else(String::new, |said| {
        format!(" (the provider says: {})", said.replace(['<', '>'], ""))
    });
    let what = format!("{}{said}", page::message(error));
    format!("{} {}", page::sentence(&what), error.help())
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.error.as_ref())
    }
}

impl From<core::Error> for Error {
    fn from(error: core::Error) -> Self {
        Self {
            error: Arc::new(error),
            page: false,
            cookies: Vec::new(),
            status: None,
        }
    }
}

impl From<reqwest::Error> for Error {
    /// An API's answer that could not be read, or was refused by `error_for_status`.
    fn from(error: reqwest::Error) -> Self {
        let host = error
            .url()
            .and_then(|url| url.host_str())
            .unwrap_or("the API");
        let message = match error.status() {
            Some(status) => format!("{host} answered {status}"),
            None => format!("the answer of {host} cannot be read"),
        };
        core::Error::new(ErrorCode::RequestFailed, Phase::Request, message)
            .with_source(error.without_url())
            .into()
    }
}

impl Error {
    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        let own = || StatusCode::from_u16(self.error.code().http_status()).ok();
        let status = self.status.or_else(own);
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The answer. The core's error stands in its extensions.
    #[must_use]
    pub fn response(&self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::warn!(error = %self.error, help = self.error.help(), "answered with an error");
        } else {
            tracing::debug!(error = %self.error, "answered with an error");
        }
        let mut response = if self.page {
            page::error(status, &self.error)
        } else {
            answer::json(status, &Self::json(&self.error))
        };
        let headers = response.headers_mut();
        if let Some(wait) = self.error.retry_after() {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        set_cookies(headers, &self.cookies);
        response.extensions_mut().insert(Arc::clone(&self.error));
        response
    }
}
