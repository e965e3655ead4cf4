//! What a login remembers while the browser is at the provider, and the sealed cookie that carries it.
//!
//! Each login has a cookie of its own, named after its state: tabs do not disturb each other, and any process that has the
//! key ring can take the callback.

use std::time::Duration;

use aws_lc_rs::{constant_time, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::{Cookie, OwnCookies, ResponseMode, SameSite};
use crate::{Error, ErrorCode, KeyRing, Phase, Result, Secret, Timestamp};

/// How long a login may take, if nobody says.
pub(crate) const LIFE: Duration = Duration::from_secs(600);
/// How long at most: so long a logout by the provider is remembered for it.
pub(crate) const MAX_LIFE: Duration = Duration::from_secs(3600);
/// How many logins a browser may have under way.
const MAX_FLOWS: usize = 8;
/// How long all their cookies may be together: proxies refuse header lines over 8 KiB.
const MAX_TOTAL: usize = 4096;
/// How long one may be: browsers drop cookies over 4 KiB.
const MAX_ONE: usize = 3072;
const NAME: &str = "tokenkeep-flow";

/// A login under way. Its members have short names where it is written: eight of them travel with each request.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flow {
    #[serde(rename = "c")]
    pub(crate) client: String,
    #[serde(rename = "s")]
    pub(crate) state: Secret,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub(crate) nonce: Option<Secret>,
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub(crate) verifier: Option<Secret>,
    #[serde(rename = "r")]
    pub(crate) redirect_uri: String,
    /// Who was asked, if the provider has an issuer.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<String>,
    #[serde(rename = "m", default, skip_serializing_if = "is_query")]
    pub(crate) response_mode: ResponseMode,
    #[serde(rename = "to", default, skip_serializing_if = "Option::is_none")]
    pub(crate) return_to: Option<String>,
    /// The owner who adds a grant; None: somebody logs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) connect: Option<String>,
    /// The label of the owner's further account that it is for.
    #[serde(rename = "ac", default, skip_serializing_if = "String::is_empty")]
    pub(crate) account: String,
    /// The application's own data.
    #[serde(rename = "d", default, skip_serializing_if = "Value::is_null")]
    pub(crate) flow_data: Value,
    /// The application's data is too large for a cookie: it waits in the store, sealed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) data_in_store: bool,
    /// In seconds; to be enforced on the ID token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_age: Option<u64>,
    /// To be enforced on the ID token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) acr_values: Vec<String>,
    #[serde(rename = "sc", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) scopes: Vec<String>,
    /// The secret of the request token, which is the state then (OAuth 1.0a).
    #[serde(rename = "ts", default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_secret: Option<Secret>,
    #[serde(rename = "at")]
    pub(crate) created_at: Timestamp,
    #[serde(rename = "end")]
    pub(crate) expires_at: Timestamp,
}

impl Flow {
    /// Names the login without telling its state: part of the cookie's name, and what is remembered against replays.
    pub(crate) fn id(&self) -> String {
        id_of(&self.state)
    }

    /// Names it in the store, where logins of all clients stand side by side: a provider of OAuth 1.0a chooses its state, and
    /// could choose that of another provider's.
    pub(crate) fn kept_as(&self) -> String {
        // A client's name has no control characters.
        let name = format!("{}\0{}", self.client, self.state.expose());
        id_of(&name.into())
    }

    /// Was `openid` asked for?
    pub(crate) fn is_openid(&self) -> bool {
        self.scopes.iter().any(|scope| scope == "openid")
    }

    /// Is it the state of this login? Compared in constant time.
    pub(crate) fn has_state(&self, state: &Secret) -> bool {
        constant_time::verify_slices_are_equal(
            self.state.expose().as_bytes(),
            state.expose().as_bytes(),
        )
        .is_ok()
    }
}

fn is_query(mode: &ResponseMode) -> bool {
    *mode == ResponseMode::Query
}

fn id_of(state: &Secret) -> String {
    let digest = digest::digest(&digest::SHA256, state.expose().as_bytes());
    let mut id = URL_SAFE_NO_PAD.encode(digest.as_ref());
    id.truncate(22);
    id
}

/// A login that came back.
#[derive(Clone)]
pub(crate) struct OpenFlow {
    pub(crate) flow: Flow,
    /// To be set with the answer: the browser forgets the login.
    pub(crate) removal: Cookie,
}

/// The flow cookies of one application.
#[derive(Clone, Debug)]
pub(crate) struct FlowCookies {
    ring: KeyRing,
    own: OwnCookies,
    /// What the name of each begins with.
    prefix: String,
}

impl FlowCookies {
    /// `base` is the application's address as browsers see it.
    pub(crate) fn new(ring: KeyRing, base: &Url) -> Self {
        let own = OwnCookies::at(base);
        let prefix = format!("{}-", own.name(NAME));
        Self { ring, own, prefix }
    }

    /// Seals a login into its cookie.
    ///
    /// # Errors
    /// `invalid_parameter` if it is too large for a cookie.
    pub(crate) fn seal(&self, flow: &Flow) -> Result<Cookie> {
        let internal = || {
            Error::new(
                ErrorCode::Internal,
                Phase::Authorize,
                "the flow cannot be written",
            )
        };
        let plain = Zeroizing::new(serde_json::to_vec(flow).map_err(|_| internal())?);
        let name = self.name_of(&flow.state);
        let until = flow.expires_at.as_secs();
        let bound = bound_to(&flow.client, &name, until);
        let sealed = self.ring.seal_text(&bound, &plain)?;
        let mut cookie = self.cookie(name, flow.response_mode);
        cookie.value = format!("{until}.{sealed}").into();
        let size = size(&cookie.name, cookie.value.expose());
        if size > MAX_ONE {
            return Err(Error::new(
                ErrorCode::InvalidParameter,
                Phase::Authorize,
                format!(
                    "the login's data makes a cookie of {size} bytes, and {MAX_ONE} are allowed; keep large data in \
                     the store and put its id into the flow"
                ),
            )
            .with_client(&flow.client));
        }
        cookie.max_age = Some(flow.expires_at.since(flow.created_at));
        Ok(cookie)
    }

    /// Which of the browser's cookies must go for a new one to have room: unreadable and expired ones, then the oldest.
    pub(crate) fn make_room<'a>(
        &self,
        present: impl IntoIterator<Item = (&'a str, &'a str)>,
        new: &Cookie,
        now: Timestamp,
    ) -> Vec<Cookie> {
        let mut kept: Vec<(i64, &str, usize)> = Vec::new();
        let mut gone: Vec<&str> = Vec::new();
        for (name, value) in present {
            if !name.starts_with(&self.prefix) || name == new.name {
                continue;
            }
            match self.readable_until(value) {
                Some(until) if until > now.as_secs() => kept.push((until, name, size(name, value))),
                _ => gone.push(name),
            }
        }
        kept.sort_unstable();
        let mut total = size(&new.name, new.value.expose())
            + kept.iter().map(|(_, _, size)| size).sum::<usize>();
        let mut count = kept.len() + 1;
        for (_, name, size) in kept {
            if count <= MAX_FLOWS && total <= MAX_TOTAL {
                break;
            }
            gone.push(name);
            (total, count) = (total - size, count - 1);
        }
        gone.sort_unstable();
        gone.dedup();
        let remove = |name: &str| self.cookie(name.to_owned(), ResponseMode::Query).removal();
        gone.into_iter().map(remove).collect()
    }

    /// Finds the login that a callback of `client` belongs to.
    ///
    /// # Errors
    /// `flow_expired` if it took too long; `state_mismatch` if this browser has no such login for this client.
    pub(crate) fn open<'a>(
        &self,
        present: impl IntoIterator<Item = (&'a str, &'a str)>,
        client: &str,
        state: &Secret,
        now: Timestamp,
    ) -> Result<OpenFlow> {
        let refuse = |code, message: &str| {
            Err(Error::new(code, Phase::Callback, message).with_client(client))
        };
        let expected = self.name_of(state);
        // Over http a cookie of the same name may come twice, from another path or domain.
        for (name, value) in present {
            if name != expected {
                continue;
            }
            // It opens for the client and the name that it was sealed for, and the name is the state's.
            let Some(flow) = self.unseal(client, name, value) else {
                continue;
            };
            if flow.expires_at <= now {
                return refuse(ErrorCode::FlowExpired, "the login took too long");
            }
            let removal = self.cookie(expected, flow.response_mode).removal();
            return Ok(OpenFlow { flow, removal });
        }
        refuse(
            ErrorCode::StateMismatch,
            "this browser has no login under way with this state: cookies are off, it took too long, it was used, or it began \
             under another host than base_url's",
        )
    }

    fn unseal(&self, client: &str, name: &str, value: &str) -> Option<Flow> {
        let (until, sealed) = value.split_once('.')?;
        let bound = bound_to(client, name, until.parse().ok()?);
        let plain = self.ring.open_text(&bound, sealed).ok()?;
        serde_json::from_slice(&plain).ok()
    }

    /// Until when a cookie is good, as far as that can be told without its client's name.
    fn readable_until(&self, value: &str) -> Option<i64> {
        let (until, sealed) = value.split_once('.')?;
        if sealed.is_empty() || sealed.len() > MAX_ONE {
            return None;
        }
        until.parse().ok()
    }

    fn name_of(&self, state: &Secret) -> String {
        format!("{}{}", self.prefix, id_of(state))
    }

    fn cookie(&self, name: String, mode: ResponseMode) -> Cookie {
        let mut cookie = self.own.cookie(name);
        cookie.same_site = match (mode, self.own.is_secure()) {
            (ResponseMode::FormPost, true) => Some(SameSite::None),
            // The provider's page posts to us from another site. SameSite=None would need Secure, which http does not
            // have; without the attribute browsers treat a cookie as Lax, but send it with such a POST for its first two
            // minutes. On loopback that is enough.
            (ResponseMode::FormPost, false) => None,
            _ => Some(SameSite::Lax),
        };
        cookie
    }
}

/// What a flow is sealed for: nothing of it fits another purpose, client, cookie or end.
fn bound_to(client: &str, cookie: &str, until: i64) -> Vec<u8> {
    // A client's name has no control characters.
    format!("tokenkeep flow\0{client}\0{cookie}\0{until}").into_bytes()
}

/// What a cookie adds to the request's header line: `name=value; `.
fn size(name: &str, value: &str) -> usize {
    name.len() + value.len() + 3
}

#[cfg(test)]
mod tests;
