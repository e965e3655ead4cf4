//! Where a request may go.

use url::Url;

use crate::{Error, ErrorCode, Phase, Result, client::Resolved, config::variable_name, http};

/// How long an address may be, in bytes; longer data belongs into a body.
const MAX_URL: usize = 32 * 1024;

/// The address of an API path: always below the client's `api_base_url`, with or without a leading slash; or an absolute
/// URL of an origin that the registration allows.
///
/// # Errors
/// `foreign_origin` for whatever could name another origin, such as `//other.example/x`; `invalid_parameter` for a path
/// that climbs out of the base, such as `../x`; `unsupported` for one without a base.
pub(crate) fn resolve(client: &Resolved, path: &str) -> Result<Url> {
    let ambiguous = path.starts_with("//")
        || path.contains('\\')
        || path.chars().any(|c| c.is_control())
        || path.starts_with(char::is_whitespace);
    if ambiguous {
        return Err(Error::new(
            ErrorCode::ForeignOrigin,
            Phase::Request,
            "the path could name another origin; it is relative to the client's api_base_url",
        ));
    }
    // A colon before any slash makes a URL with a scheme of it.
    let head = path.split(['/', '?', '#']).next().unwrap_or_default();
    if head.contains(':') {
        let url = Url::parse(path).map_err(|_| {
            Error::new(
                ErrorCode::InvalidParameter,
                Phase::Request,
                "the URL cannot be read",
            )
        })?;
        check_allowed(client, &url, "the request goes to")?;
        return Ok(url);
    }
    // Nothing is wrong with such a client: its calls name whole addresses.
    let Some(base) = &client.api_base_url else {
        return Err(Error::new(
            ErrorCode::Unsupported,
            Phase::Request,
            format!(
                "the client has no api_base_url that a path could be relative to; set {}_API_BASE_URL or call api_base_url()",
                variable_name(&client.name)
            ),
        ));
    };
    let mut directory = base.clone();
    directory.set_query(None);
    directory.set_fragment(None);
    let text = format!(
        "{}/{}",
        directory.as_str().trim_end_matches('/'),
        path.trim_start_matches('/')
    );
    let url = Url::parse(&text).map_err(|_| {
        Error::new(
            ErrorCode::InvalidParameter,
            Phase::Request,
            "the path cannot be read",
        )
    })?;
    if url.origin() != base.origin() {
        return Err(foreign(&url, "the request goes to"));
    }
    // `../x`, `%2e%2e/x`: what an application puts into a path may come from anybody.
    let below = url
        .path()
        .strip_prefix(directory.path().trim_end_matches('/'))
        .is_some_and(|rest| rest.starts_with('/'));
    if !below {
        return Err(Error::new(
            ErrorCode::InvalidParameter,
            Phase::Request,
            "the path leads out of the client's api_base_url; name the whole URL if that is meant",
        ));
    }
    Ok(url)
}

/// May a token be sent to a whole URL? `what` leads to it.
///
/// # Errors
/// `foreign_origin`.
pub(super) fn check_allowed(client: &Resolved, url: &Url, what: &str) -> Result<()> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::new(
            ErrorCode::ForeignOrigin,
            Phase::Request,
            format!(
                "{what} a URL with a user in it, and what stands before an @ is often taken for a host; leave it out"
            ),
        ));
    }
    if http::is_secure(url) && client.may_be_sent_to(url) {
        return Ok(());
    }
    Err(foreign(url, what))
}

/// Refuses an address that no server would read.
///
/// # Errors
/// `invalid_parameter`.
pub(super) fn check_length(url: &Url) -> Result<()> {
    if url.as_str().len() <= MAX_URL {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::InvalidParameter,
        Phase::Request,
        "the URL is longer than 32 KiB; send that much in a body",
    ))
}

/// An origin that gets no token.
fn foreign(url: &Url, what: &str) -> Error {
    Error::new(
        ErrorCode::ForeignOrigin,
        Phase::Request,
        format!(
            "{what} {}, which the client does not allow; if its token may go there, say so by allow_origin()",
            url.origin().ascii_serialization()
        ),
    )
}

#[cfg(test)]
mod tests;
