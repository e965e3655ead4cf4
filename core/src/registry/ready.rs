//! What an initialised registry is made of.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use url::Url;
use zeroize::Zeroizing;

use super::Clients;
use crate::{
    Clock, Cookie, Error, ErrorCode, KeyRing, Phase, Result, Slot, Timestamp, TokenKey,
    client::{ClientState, Flow, FlowCookies, OwnCookies, seal_required},
    http::Http,
    refresh::Keeper,
    seal::LiveRing,
    token::Sealing,
};

/// How many logins and logout tokens one process remembers as used, where the store cannot.
const USED: usize = 100_000;

/// How long a login's data may be that goes through the store, in bytes.
const FLOW_DATA: usize = 64 * 1024;

/// Where it waits.
const FLOW_DATA_SPACE: &str = "login-data";

fn flow_data_bound(client: &str, id: &str) -> Vec<u8> {
    format!("tokenkeep flow data\0{client}\0{id}").into_bytes()
}

/// Two logins of one name: neither may have the other's data.
fn not_alone(flow: &Flow) -> Error {
    let (code, what) = match flow.token_secret {
        Some(_) => (
            ErrorCode::ProviderError,
            "the provider gave a request token that another login has already",
        ),
        None => (
            ErrorCode::InvalidParameter,
            "another login has this state already: leave state() out, and each has one of its own",
        ),
    };
    Error::new(code, Phase::Authorize, what).with_client(&flow.client)
}

/// An initialised registry.
pub(crate) struct Ready {
    pub(super) keeper: Keeper,
    pub(super) clients: Arc<Clients>,
    /// Is there a store, or do closures keep everything that is kept?
    pub(super) has_store: bool,
    pub(super) http: Http,
    /// For cookies; for records too, if the application gave one.
    pub(super) ring: LiveRing,
    pub(super) sealing: Sealing,
    pub(super) base_url: Option<Url>,
    /// Under which path the web hook's routes stand, if there is one.
    pub(super) prefix: std::sync::OnceLock<String>,
    pub(super) session_lifetime: Duration,
    /// Builds requests; it sends them only where it is the transport.
    pub(super) builder: reqwest::Client,
    pub(super) used: Mutex<Used>,
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("clients", &self.clients)
            .field("keeper", &self.keeper)
            .field("base_url", &self.base_url.as_ref().map(Url::as_str))
            .finish_non_exhaustive()
    }
}

impl Ready {
    pub(crate) fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    pub(crate) fn clients(&self) -> &Arc<Clients> {
        &self.clients
    }

    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    /// The ring as it is now.
    pub(crate) fn ring(&self) -> KeyRing {
        self.ring.current()
    }

    pub(crate) fn sealing(&self) -> &Sealing {
        &self.sealing
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.http.clock
    }

    pub(crate) fn base_url(&self) -> Option<&Url> {
        self.base_url.as_ref()
    }

    /// Where a user logs in (again) at a client, if that is known.
    pub(crate) fn connect_url(&self, client: &str) -> Option<String> {
        self.connect_address(client).map(Into::into)
    }

    /// The same for an error: of which account, and what the API asks for.
    pub(crate) fn connect_url_of(
        &self,
        client: &str,
        key: Option<&TokenKey>,
        error: &Error,
    ) -> Option<String> {
        let mut url = self.connect_address(client)?;
        if let Some(Slot::Account(label)) = key.map(TokenKey::slot)
            && !label.is_empty()
        {
            url.query_pairs_mut().append_pair("account", label);
        }
        let required =
            key.and_then(|key| seal_required(&self.ring(), key, error, self.clock().now()));
        if let Some(required) = required {
            url.query_pairs_mut().append_pair("required", &required);
        }
        Some(url.into())
    }

    fn connect_address(&self, client: &str) -> Option<Url> {
        let path = format!("{}/connect/", self.prefix.get()?.trim_matches('/'));
        let mut url = self
            .base_url
            .as_ref()?
            .join(path.trim_start_matches('/'))
            .ok()?;
        url.path_segments_mut().ok()?.pop_if_empty().push(client);
        Some(url)
    }

    /// Sessions stand in a store, never behind closures.
    ///
    /// # Errors
    /// `missing_store`.
    pub(crate) fn check_keeps_sessions(&self) -> Result<()> {
        if self.has_store {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::MissingStore,
            Phase::Session,
            "closures keep tokens and no sessions: add .store(…) to the builder for logins by browser, beside the closures",
        ))
    }

    pub(crate) fn session_lifetime(&self) -> Duration {
        self.session_lifetime
    }

    pub(crate) async fn client_state(&self, name: &str) -> Result<Arc<ClientState>> {
        self.clients.state(name).await
    }

    pub(crate) fn request_builder(
        &self,
        method: reqwest::Method,
        url: Url,
    ) -> reqwest::RequestBuilder {
        self.builder.request(method, url)
    }

    pub(crate) fn request_builder_of(&self, request: reqwest::Request) -> reqwest::RequestBuilder {
        reqwest::RequestBuilder::from_parts(self.builder.clone(), request)
    }

    /// The application's address: as it was given, else the origin of an address of its own.
    pub(crate) fn base_for(&self, own: Option<&str>) -> Result<Url> {
        if let Some(base) = &self.base_url {
            return Ok(base.clone());
        }
        let own = own.and_then(|own| Url::parse(own).ok());
        let origin = own.and_then(|own| own.join("/").ok());
        origin.filter(crate::http::is_secure).ok_or_else(|| {
            Error::new(
                ErrorCode::InvalidConfiguration,
                Phase::Configure,
                "the application's address is not known: give it to the builder with base_url(…), or a redirect URI that is https or \
                 on loopback",
            )
        })
    }

    pub(crate) fn flow_cookies(&self, base: &Url) -> FlowCookies {
        FlowCookies::new(self.ring(), base)
    }

    /// A cookie of ours, empty.
    pub(crate) fn cookie(&self, base: &Url, name: &str) -> Cookie {
        let own = OwnCookies::at(base);
        own.cookie(own.name(name))
    }

    /// Under which names [`cookie`](Self::cookie) may have set it: one, unless the address is not known before a request.
    pub(crate) fn cookie_names(&self, name: &str) -> Vec<String> {
        match &self.base_url {
            Some(base) => vec![OwnCookies::at(base).name(name)],
            None => OwnCookies::at_any_root()
                .iter()
                .map(|own| own.name(name))
                .collect(),
        }
    }

    /// Puts a login's data that is too large for a cookie into the store, sealed. None: there is none to put away, or the
    /// store cannot keep it.
    pub(crate) async fn park_flow_data(&self, mut flow: Flow) -> Result<Option<Flow>> {
        if flow.flow_data.is_null() || !self.keeper.store().capabilities().once {
            return Ok(None);
        }
        let plain = Zeroizing::new(flow.flow_data.to_string().into_bytes());
        if plain.len() > FLOW_DATA {
            return Err(Error::new(
                ErrorCode::InvalidParameter,
                Phase::Authorize,
                "the login's data is larger than 64 KiB",
            )
            .with_client(&flow.client));
        }
        let id = flow.kept_as();
        let sealed = self
            .ring()
            .seal(&flow_data_bound(&flow.client, &id), &plain)?;
        let ttl = flow.expires_at.since(flow.created_at) + Duration::from_secs(60);
        let kept = self.keeper.put_once(FLOW_DATA_SPACE, &id, &sealed, ttl);
        if !kept.await? {
            return Err(not_alone(&flow));
        }
        flow.flow_data = serde_json::Value::Null;
        flow.data_in_store = true;
        Ok(Some(flow))
    }

    /// Gets it back.
    pub(crate) async fn fetch_flow_data(&self, flow: &mut Flow) -> Result<()> {
        if !flow.data_in_store {
            return Ok(());
        }
        let id = flow.kept_as();
        let sealed = self.keeper.take(FLOW_DATA_SPACE, &id).await?;
        let bound = flow_data_bound(&flow.client, &id);
        flow.flow_data = sealed
            .and_then(|sealed| self.ring().open(&bound, &sealed).ok())
            .and_then(|plain| serde_json::from_slice(&plain).ok())
            .ok_or_else(|| {
                Error::new(
                    ErrorCode::FlowExpired,
                    Phase::Callback,
                    "the login's data is not in the store any more",
                )
            })?;
        Ok(())
    }

    /// Uses a login up: it cannot be read twice. In the whole fleet where the store can remember it, else in this process.
    pub(crate) async fn use_up_flow(&self, flow: &Flow) -> Result<()> {
        let life = flow.expires_at.since(self.clock().now()) + Duration::from_secs(60);
        if self.first_time("login", &flow.kept_as(), life).await? {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::StateMismatch,
            Phase::Callback,
            "the answer to this login was read before",
        ))
    }

    /// Is this the first time that something is used, within its life? In the whole fleet where the store can remember it,
    /// else in this process.
    pub(crate) async fn first_time(&self, space: &str, id: &str, life: Duration) -> Result<bool> {
        if self.keeper.store().capabilities().once {
            return self.keeper.put_once(space, id, &[], life).await;
        }
        let now = self.clock().now();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain_if_full(now);
        if used.0.len() >= USED {
            return Err(Error::new(
                ErrorCode::StoreUnavailable,
                Phase::Store,
                "this process remembers all that it can: too many logins and logouts are under way",
            ));
        }
        Ok(used.insert(space, id, now, now + life))
    }

    /// What was to be used was not: it counts as new again.
    pub(crate) async fn may_come_again(&self, space: &str, id: &str) {
        if !self.keeper.store().capabilities().once {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.0.remove(&Used::name(space, id));
            return;
        }
        if let Err(error) = self.keeper.take(space, id).await {
            tracing::warn!(space, %error, "what was not used counts as used until it is over");
        }
    }
}

/// What one process remembers as used, and until when.
#[derive(Default)]
pub(super) struct Used(HashMap<String, Timestamp>);

impl Used {
    fn name(space: &str, id: &str) -> String {
        format!("{space}\0{id}")
    }

    fn retain_if_full(&mut self, now: Timestamp) {
        if self.0.len() >= USED {
            self.0.retain(|_, until| *until > now);
        }
    }

    /// Answers whether it was not there.
    fn insert(&mut self, space: &str, id: &str, now: Timestamp, until: Timestamp) -> bool {
        let before = self.0.insert(Self::name(space, id), until);
        before.is_none_or(|before| before <= now)
    }
}
