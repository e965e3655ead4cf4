//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): the address that ends the provider's session.

use url::Url;

/// What goes into a logout request (section 2).
#[derive(Clone, Copy, Default)]
pub(crate) struct EndSession<'a> {
    /// The ID token of the login that ends. It is a secret of the user's, and it goes through the browser by design.
    pub(crate) id_token_hint: Option<&'a str>,
    /// Whose logout it is, for a provider that gets no hint.
    pub(crate) client_id: Option<&'a str>,
    /// Where the browser goes afterwards; registered with the provider.
    pub(crate) post_logout_redirect_uri: Option<&'a str>,
    /// Comes back with the browser.
    pub(crate) state: Option<&'a str>,
    /// Who logs out, in the provider's terms.
    pub(crate) logout_hint: Option<&'a str>,
    /// Preferred languages, separated by blanks.
    pub(crate) ui_locales: Option<&'a str>,
    /// Parameters that only this provider knows.
    pub(crate) extra: &'a [(String, String)],
}

/// The address to send the browser to. The endpoint's own query is kept, but for parameters that are given here.
pub(crate) fn end_session_url(endpoint: &Url, request: &EndSession<'_>) -> Url {
    let known = [
        ("id_token_hint", request.id_token_hint),
        ("client_id", request.client_id),
        ("post_logout_redirect_uri", request.post_logout_redirect_uri),
        ("state", request.state),
        ("logout_hint", request.logout_hint),
        ("ui_locales", request.ui_locales),
    ];
    let mut parameters: Vec<(&str, &str)> = known
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    for (name, value) in request.extra {
        if !parameters.iter().any(|(given, _)| given == name) {
            parameters.push((name, value));
        }
    }
    let mut url = endpoint.clone();
    url.set_fragment(None);
    let kept: Vec<(String, String)> = endpoint
        .query_pairs()
        .filter(|(name, _)| !parameters.iter().any(|(given, _)| *given == name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    if kept.is_empty() && parameters.is_empty() {
        url.set_query(None);
        return url;
    }
    url.query_pairs_mut()
        .clear()
        .extend_pairs(kept)
        .extend_pairs(parameters);
    url
}

#[cfg(test)]
mod tests;
