//! The registered clients, and those that another process may have registered.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::OnceCell;

use crate::{
    ConfigSource, Error, ErrorCode, IdTokenChecks, Phase, Registration, Result, Rotation, Secret,
    Settings, TokenKey, TokenUpdate,
    client::{Bounds, ClientState, Renewal, resolve},
    closures::Fetch,
    config::check_names,
    hooks::Hooks,
    http::Http,
    openid::{peek, read_again, validate_with},
    refresh::{Ask, ClientTerms, IssuedBy, Known, Login, TokenSource},
    store::ClosureStore,
    token::{TokenAnswer, TokenFailure, Verdict},
};

/// Finds clients that are not registered in this process: tenants, kept in the application's database.
///
/// # Contract
/// Answers are kept for a minute, "no such client" for 5 s; callers who ask together wait for one answer.
///
/// Nothing is read from the settings for these clients: a tenant whose name somebody chose well would otherwise be given
/// the secret of another client, or of another program in the environment.
///
/// Whoever says what stands in a registration decides where its users' tokens go (`api_base_url`, endpoints) and who its
/// users are: [`Login::default_owner`](crate::Login::default_owner) believes the issuer that stands there. Where tenants
/// bring their own, map owners by tenant.
#[async_trait]
pub trait ClientSource: Send + Sync + 'static {
    /// The registration of that name, if there is one.
    ///
    /// # Errors
    /// Whatever keeps it from being looked up; nothing is remembered of it.
    async fn registration(&self, name: &str) -> Result<Option<Registration>>;
}

const FOUND: Duration = Duration::from_secs(60);
const NOT_FOUND: Duration = Duration::from_secs(5);
const MAX_FOUND: usize = 10_000;

/// One name that the source was asked for.
#[derive(Default)]
struct Asked {
    answer: OnceCell<Option<Arc<ClientState>>>,
    /// Monotonic.
    at: Duration,
}

/// All clients of a registry.
pub(crate) struct Clients {
    registered: RwLock<BTreeMap<String, Arc<ClientState>>>,
    asked: Mutex<HashMap<String, Arc<Asked>>>,
    /// Clients whose provider was seen not to rotate.
    never_rotates: RwLock<HashMap<String, AtomicBool>>,
    pub(super) source: Option<Arc<dyn ClientSource>>,
    pub(super) config: Arc<dyn ConfigSource>,
    pub(super) http: Http,
    pub(super) hooks: Hooks,
    /// Clients whose tokens the application keeps itself.
    pub(super) closures: Arc<ClosureStore>,
    /// Is there a store beside them?
    pub(super) has_store: bool,
    /// Answers what an old table holds, of clients that bring no answer of their own.
    pub(super) on_missing: Option<Fetch>,
}

/// What clients share.
pub(super) struct ClientParts {
    pub(super) source: Option<Arc<dyn ClientSource>>,
    pub(super) config: Arc<dyn ConfigSource>,
    pub(super) http: Http,
    pub(super) hooks: Hooks,
    pub(super) closures: Arc<ClosureStore>,
    pub(super) has_store: bool,
    pub(super) on_missing: Option<Fetch>,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

pub(super) fn registered(name: &str) -> Error {
    Error::new(
        ErrorCode::InvalidConfiguration,
        Phase::Configure,
        "a client of this name is registered already; replace() takes its place",
    )
    .with_client(name)
}

pub(super) fn unknown<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Error {
    let mut names: Vec<_> = names.take(21).collect();
    if names.len() > 20 {
        names[20] = "…";
    }
    let known = if names.is_empty() {
        "none is".to_owned()
    } else {
        format!("there are {}", names.join(", "))
    };
    let name = crate::error::excerpt(name);
    Error::new(
        ErrorCode::UnknownClient,
        Phase::Configure,
        format!("no client {name:?} is registered; {known}"),
    )
}

impl Clients {
    pub(super) fn new(parts: ClientParts) -> Self {
        Self {
            registered: RwLock::default(),
            asked: Mutex::default(),
            never_rotates: RwLock::default(),
            source: parts.source,
            config: parts.config,
            http: parts.http,
            hooks: parts.hooks,
            closures: parts.closures,
            has_store: parts.has_store,
            on_missing: parts.on_missing,
        }
    }

    pub(super) fn register(&self, registration: Registration, replace: bool) -> Result<()> {
        let state = Arc::new(self.resolved(&registration, self.config.as_ref())?);
        let keeping = self.keeping_of(&registration)?;
        let mut clients = self
            .registered
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if !replace && clients.contains_key(registration.name()) {
            return Err(registered(registration.name()));
        }
        let others = clients
            .keys()
            .map(String::as_str)
            .filter(|name| *name != registration.name());
        check_names(others.chain([registration.name()]))?;
        self.closures.set(registration.name(), keeping);
        clients.insert(registration.name().to_owned(), state);
        // What was learnt was learnt of the one before.
        self.never_rotates
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(registration.name());
        Ok(())
    }

    fn resolved(
        &self,
        registration: &Registration,
        settings: &dyn ConfigSource,
    ) -> Result<ClientState> {
        // A name is part of token keys and cookies.
        TokenKey::app(registration.name())?;
        let mut resolved = resolve(registration, settings)?;
        let http = Http {
            timeout: resolved.timeout.unwrap_or(self.http.timeout),
            ..self.http.clone()
        };
        resolved.timeout = Some(http.timeout);
        ClientState::new(resolved, http, &self.hooks)
            .map_err(|error| error.with_client(registration.name()))
    }

    pub(super) fn registered(&self, name: &str) -> Option<Arc<ClientState>> {
        self.registered
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .map(Arc::clone)
    }

    /// What the source said of a name lately.
    pub(super) fn found(&self, name: &str) -> Option<Arc<ClientState>> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(name)?.answer.get()?.clone()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.registered
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .cloned()
            .collect()
    }

    fn unknown(&self, name: &str) -> Error {
        unknown(name, self.names().iter().map(String::as_str))
    }

    /// Is there a client of that name, as far as that can be told at once?
    pub(super) fn check(&self, name: &str) -> Result<()> {
        if self.source.is_some() || self.registered(name).is_some() {
            Ok(())
        } else {
            Err(self.unknown(name))
        }
    }

    /// A client, from the registry or from the source.
    pub(super) async fn state(&self, name: &str) -> Result<Arc<ClientState>> {
        if let Some(state) = self.registered(name) {
            return Ok(state);
        }
        let Some(source) = &self.source else {
            return Err(self.unknown(name));
        };
        // What can be no client's name is not looked up, let alone remembered: it comes from anybody's request.
        if TokenKey::app(name).is_err() {
            return Err(self.unknown(name));
        }
        let asked = self.asked(name);
        let found = asked
            .answer
            .get_or_try_init(async || {
                let registration = source.registration(name).await?;
                registration
                    .map(|registration| {
                        // A database may fold case: another name is another client.
                        if registration.name() != name {
                            return Err(Error::new(
                                ErrorCode::InvalidConfiguration,
                                Phase::Configure,
                                "the source answered with a client of another name",
                            )
                            .with_client(name));
                        }
                        Self::check_found(&registration)?;
                        self.resolved(&registration, &Settings::default())
                            .map(Arc::new)
                    })
                    .transpose()
            })
            .await?;
        found
            .as_ref()
            .map(Arc::clone)
            .ok_or_else(|| self.unknown(name))
    }

    fn asked(&self, name: &str) -> Arc<Asked> {
        let now = self.http.clock.monotonic();
        let lives = |asked: &Asked| {
            let life = if matches!(asked.answer.get(), Some(None)) {
                NOT_FOUND
            } else {
                FOUND
            };
            now.saturating_sub(asked.at) < life
        };
        let mut all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asked) = all.get(name).filter(|asked| lives(asked)) {
            return Arc::clone(asked);
        }
        if all.len() >= MAX_FOUND {
            all.retain(|_, asked| lives(asked));
            // Names that nobody has cost nothing to ask for: they must not push out clients with all that is loaded.
            if all.len() >= MAX_FOUND {
                all.retain(|_, asked| matches!(asked.answer.get(), Some(Some(_))));
            }
            if all.len() >= MAX_FOUND {
                all.clear();
            }
        }
        let asked = Arc::new(Asked {
            answer: OnceCell::new(),
            at: now,
        });
        all.insert(name.to_owned(), Arc::clone(&asked));
        asked
    }

    /// The hooks of a client, or the registry's alone where the client is gone.
    async fn hooks_of(&self, client: &str) -> Hooks {
        match self.state(client).await {
            Ok(state) => state.hooks.clone(),
            Err(_) => self.hooks.clone(),
        }
    }

    fn seen_never_to_rotate(&self, client: &str) -> bool {
        let seen = self
            .never_rotates
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        seen.get(client)
            .is_some_and(|never| never.load(Ordering::Relaxed))
    }

    /// A refresh answer without a refresh token: this provider keeps the old one.
    fn learn_rotation(&self, client: &str, answer: &TokenAnswer) {
        let never = answer.refresh_token.is_none();
        if never != self.seen_never_to_rotate(client) {
            let mut seen = self
                .never_rotates
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            seen.insert(client.to_owned(), AtomicBool::new(never));
        }
    }
}

#[async_trait]
impl TokenSource for Clients {
    async fn terms(&self, client: &str) -> Result<ClientTerms> {
        let state = self.state(client).await?;
        let mut profile = state.resolved.profile;
        if self.seen_never_to_rotate(client) {
            profile.rotation = Rotation::Never;
        }
        Ok(ClientTerms {
            binding: state.binding().await?,
            profile,
        })
    }

    async fn prepare(&self, client: &str) -> Result<()> {
        self.state(client).await?.ready_for_token_requests().await
    }

    fn known(&self, client: &str) -> Known {
        let state = self.registered(client).or_else(|| self.found(client));
        let resolved = state.as_ref().map(|state| &state.resolved);
        Known {
            leeway: resolved.and_then(|resolved| resolved.leeway),
            automatic: resolved.is_none_or(|resolved| resolved.automatic_refresh),
            issuer: resolved.and_then(|resolved| resolved.issuer_rule()),
            client_id: resolved.map(|resolved| resolved.client_id.clone()),
            followed: self.closures.keeping(client).is_none(),
        }
    }

    fn kept_alive(&self) -> Vec<(String, Duration)> {
        let registered = self
            .registered
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        registered
            .iter()
            .filter_map(|(name, state)| Some((name.clone(), state.resolved.keep_alive?)))
            .collect()
    }

    async fn ask(&self, ask: Ask<'_>) -> Result<TokenAnswer, TokenFailure> {
        let not_sent = |error| TokenFailure {
            verdict: Verdict::NotSent,
            error,
        };
        let client = ask.key.client();
        let state = self.state(client).await.map_err(not_sent)?;
        let mut bounds = Bounds {
            timeout: ask.timeout,
            phase: Phase::Refresh,
        };
        let assertion = match &state.resolved.jwt_bearer {
            Some(assertion) if ask.refresh_token.is_none() => Some(
                state
                    .sign_assertion(assertion, ask.target, &mut bounds)
                    .await
                    .map_err(not_sent)?,
            ),
            _ => None,
        };
        let answer = state
            .at_token_endpoint(ask.refresh_token.is_some(), async |endpoint| {
                match ask.refresh_token {
                    Some(refresh_token) => {
                        endpoint
                            .refresh(
                                Renewal {
                                    refresh_token,
                                    target: ask.target,
                                },
                                &[],
                                bounds,
                            )
                            .await
                    }
                    None => match &assertion {
                        Some(assertion) => {
                            let target = assertion.request_target(ask.target);
                            endpoint
                                .by_assertion(&assertion.text, &target, &[], bounds)
                                .await
                        }
                        None => endpoint.client_credentials(ask.target, &[], bounds).await,
                    },
                }
            })
            .await?;
        if ask.refresh_token.is_some() {
            self.learn_rotation(client, &answer);
        }
        Ok(answer)
    }

    async fn check_id_token(
        &self,
        key: &TokenKey,
        id_token: &Secret,
        before: Option<&Secret>,
        subject: Option<&str>,
    ) -> Result<bool> {
        let state = self.state(key.client()).await?;
        // A provider that does not return the nonce it was sent may well return another one.
        let before = before
            .filter(|_| state.resolved.check_nonce)
            .and_then(|before| read_again(before.expose()));
        let mut checks = IdTokenChecks::new();
        if let Some(before) = &before {
            checks = checks.refresh_of(before);
        }
        if let Some(subject) = subject {
            checks = checks.subject(subject);
        }
        let ready = async {
            let rules = state.id_token_rules().await?;
            state.keys()?.get().await?;
            Ok::<_, Error>(rules)
        };
        // Nothing is wrong with the token if the keys cannot be had.
        let Ok(rules) = ready.await else {
            return Ok(false);
        };
        match validate_with(
            id_token.expose(),
            state.keys()?,
            &rules,
            &checks,
            self.http.clock.as_ref(),
        )
        .await
        {
            Ok(_) => Ok(true),
            // The provider may publish its key later than it signs by it.
            Err(error) if error.code() == ErrorCode::MissingKey => Ok(false),
            Err(error) if error.phase() == Phase::IdToken => Err(error),
            Err(_) => Ok(false),
        }
    }

    fn names_another(
        &self,
        id_token: &Secret,
        issuer: Option<&str>,
        subject: Option<&str>,
        client_id: &str,
    ) -> bool {
        // One that cannot be read is found out by the full validation, behind the commit.
        peek(id_token.expose())
            .is_some_and(|peeked| peeked.differs_from(issuer, subject, client_id))
    }

    async fn revoke(
        &self,
        client: &str,
        issued_by: &IssuedBy,
        token: &Secret,
        hint: &str,
    ) -> Result<()> {
        let state = self.state(client).await?;
        if !state.binding().await?.issued(issued_by) {
            let message = "a token of a registration that was replaced is not revoked: its provider is not known any more, and \
                           another one must not see it";
            tracing::warn!(%client, hint, "{message}");
            return Err(
                Error::new(ErrorCode::Unsupported, Phase::Revoke, message).with_client(client)
            );
        }
        state.revoke(token, hint).await
    }

    async fn after_update(&self, update: &TokenUpdate) {
        let hooks = match update.key() {
            Some(key) => self.hooks_of(key.client()).await,
            None => self.hooks.clone(),
        };
        hooks.after_update(update, self.http.clock.as_ref()).await;
    }

    async fn after_logout(&self, key: &TokenKey) -> Result<()> {
        let hooks = self.hooks_of(key.client()).await;
        hooks.after_logout(key, self.http.clock.as_ref()).await
    }

    fn asks_for_missing(&self, client: &str) -> bool {
        self.may_ask_for_missing(client)
    }

    async fn missing(&self, key: &TokenKey) -> Result<Option<Login>> {
        self.ask_for_missing(key).await
    }

    fn elsewhere(&self, owner: &str) -> Result<Vec<TokenKey>> {
        let mut keys = self.closures.keys_of(owner);
        for client in self.names() {
            let kept = self.closures.keeping(&client).is_some();
            let hooks = self.registered(&client);
            let hooks = hooks.map_or_else(|| self.hooks.clone(), |state| state.hooks.clone());
            if kept || self.may_ask_for_missing(&client) || !hooks.is_empty() {
                keys.push(TokenKey::new(&client, owner)?);
            }
        }
        keys.sort();
        keys.dedup();
        Ok(keys)
    }
}

impl From<Error> for TokenFailure {
    /// What goes wrong before a request is made.
    fn from(error: Error) -> Self {
        Self {
            verdict: Verdict::NotSent,
            error,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::{SystemClock, http::ReqwestTransport, token::Sealing};

    /// Knows one tenant, and counts how often it is asked.
    struct Tenants(Arc<AtomicUsize>);

    #[async_trait]
    impl ClientSource for Tenants {
        async fn registration(&self, name: &str) -> Result<Option<Registration>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let registration = || {
                Registration::oauth2(name, "https://op.example/a", "https://op.example/t")
                    .client_id("id")
            };
            Ok((name == "tenant").then(registration))
        }
    }

    fn clients() -> (Clients, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let http = Http {
            transport: Arc::new(ReqwestTransport::new(reqwest::ClientBuilder::new()).unwrap()),
            clock: Arc::new(SystemClock),
            timeout: Duration::from_secs(1),
        };
        let source = Some(Arc::new(Tenants(Arc::clone(&asked))) as Arc<dyn ClientSource>);
        let config = Arc::new(Settings::from_iter([(
            "TENANT_CLIENT_SECRET",
            "another program's",
        )]));
        let sealing = Sealing {
            ring: None,
            accept_plain: true,
        };
        let clients = Clients::new(ClientParts {
            source,
            config,
            closures: Arc::new(ClosureStore::new(None, sealing, Arc::new(SystemClock), 1)),
            http,
            hooks: Hooks::default(),
            has_store: true,
            on_missing: None,
        });
        (clients, asked)
    }

    #[tokio::test]
    async fn names_that_nobody_can_have_are_not_looked_up() {
        let (clients, asked) = clients();
        for name in ["", "a\nb", &"x".repeat(256)] {
            let error = clients.state(name).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::UnknownClient);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 0);
        assert!(clients.asked.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_tenant_is_given_nobody_s_settings() {
        let (clients, _) = clients();
        let tenant = clients.state("tenant").await.unwrap();
        assert_eq!(tenant.resolved.client_secret, None);
    }

    #[tokio::test]
    async fn unknown_names_do_not_push_out_clients() {
        let (clients, asked) = clients();
        let tenant = clients.state("tenant").await.unwrap();
        for n in 0..MAX_FOUND + 10 {
            let error = clients.state(&format!("nobody {n}")).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::UnknownClient);
        }
        let before = asked.load(Ordering::Relaxed);
        assert!(Arc::ptr_eq(
            &clients.state("tenant").await.unwrap(),
            &tenant
        ));
        assert_eq!(asked.load(Ordering::Relaxed), before);
        assert!(clients.asked.lock().unwrap().len() <= MAX_FOUND);
    }
}
