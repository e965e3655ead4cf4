//! What a registration says of a provider that does things its own way: hooks of one client, and where hooks do not reach.

use std::sync::Arc;

use reqwest::header::HeaderName;
use url::Url;

use super::{Registration, Resolved};
use crate::{Hook, Result, config::invalid};

/// How many further answers a userinfo may be made of.
const MAX_PARTS: usize = 4;

impl Registration {
    /// The same registration under another name: for a second client of one provider, or another name in addresses and
    /// settings.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Adds hooks of this client alone. They run before those of the [registry](crate::OAuthBuilder::hook), in the order in
    /// which they were added: here a provider's answers are mended, there the application sees them mended.
    #[must_use]
    pub fn hook(mut self, hook: impl Hook) -> Self {
        self.hooks.push(Arc::new(hook));
        self
    }

    /// One more answer that belongs to the userinfo, for a provider that spreads it over several addresses, such as GitHub's
    /// `/user/emails`. It is asked for with the same token, by GET, and stands in the claims as the member `name` when
    /// [`Hook::userinfo_response`] sees them.
    ///
    /// It is optional: a provider that refuses it, for want of a scope, or gives no JSON, fails no login; the member is not
    /// there then. All parts, four at most, have the time of one request together. The address must be of the userinfo
    /// endpoint's origin or of one that may be sent tokens.
    #[must_use]
    pub fn userinfo_part(mut self, name: impl Into<String>, url: impl Into<String>) -> Self {
        self.userinfo_parts.push((name.into(), url.into()));
        self
    }

    /// For a provider that separates scopes by commas, in requests and answers, where RFC 6749 section 3.3 has blanks.
    #[must_use]
    pub fn comma_separated_scopes(mut self) -> Self {
        self.comma_separated_scopes = true;
        self
    }

    /// Sends the client's id in a header of this name with every API call and userinfo request that carries a token, for an
    /// API that wants both, such as Twitch's with `Client-Id`.
    #[must_use]
    pub fn client_id_header(mut self, name: impl Into<String>) -> Self {
        self.client_id_header = Some(name.into());
        self
    }

    /// The parameter of the authorization response in which the provider sends what it says about the user, as a JSON object:
    /// Apple's `user`, which comes with a user's first login and never again. It becomes
    /// [`Login::userinfo`](crate::Login::userinfo) where no userinfo endpoint was asked, after [`Hook::userinfo_response`];
    /// `sub` is the ID token's.
    ///
    /// It is not signed and comes through the browser, so that the user may have written it: good for a name to begin with,
    /// and for nothing that anybody is told by. `email_verified` and `phone_number_verified` are taken out. One that cannot be
    /// read is as good as absent.
    #[must_use]
    pub fn profile_parameter(mut self, name: impl Into<String>) -> Self {
        self.profile_parameter = Some(name.into());
        self
    }
}

/// The names and addresses of the parts, checked.
pub(super) fn userinfo_parts(parts: Vec<(String, String)>) -> Result<Vec<(String, Url)>> {
    if parts.len() > MAX_PARTS {
        return Err(invalid("userinfo_part was called more than four times"));
    }
    parts
        .into_iter()
        .map(|(name, url)| Ok((name, super::resolve::parse_url("userinfo_part", &url)?)))
        .collect()
}

pub(super) fn client_id_header(name: Option<String>) -> Result<Option<HeaderName>> {
    name.map(|name| {
        HeaderName::try_from(name).map_err(|_| invalid("client_id_header names no header"))
    })
    .transpose()
}

/// Tokens go to known places, and what is not signed does not pass for what must be.
pub(super) fn check_quirks(client: &Resolved) -> Result<()> {
    let of_endpoint = |url: &Url| {
        let endpoint = client.userinfo_url.as_ref();
        endpoint.is_some_and(|endpoint| endpoint.origin() == url.origin())
    };
    for (_, url) in &client.userinfo_parts {
        if !of_endpoint(url) && !client.may_be_sent_to(url) {
            return Err(invalid(format!(
                "userinfo_part goes to {}, which gets no token; if it may, say so by allow_origin()",
                url.origin().ascii_serialization()
            )));
        }
    }
    if !client.userinfo_parts.is_empty() && client.userinfo_algorithm.is_some() {
        return Err(invalid(
            "userinfo_part is not signed, and userinfo_signed_response_alg says that userinfo must be; leave one of them out",
        ));
    }
    if client.profile_parameter.is_some() && !client.is_openid() {
        return Err(invalid(
            "profile_parameter needs the scope openid: nobody is told by what a browser brings",
        ));
    }
    Ok(())
}
