//! The accounts that the signed-in user has connected: shown, and disconnected.

use std::{collections::BTreeMap, future::ready};

use futures_util::{StreamExt, TryStreamExt, stream};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tokenkeep_core::{
    self as core, ErrorCode, GrantInfo, GrantState, Phase, Session, Slot, Timestamp,
};

use super::{Route, Routes};
use crate::{
    Error, Request, Response, SignedIn,
    answer::{self, see_other},
    page, read_form,
    request::wants_json,
};

/// How many grants that no list shows are looked at at the same time.
const LOOKS: usize = 8;

/// One account at one client, as its user sees it.
pub(crate) struct Connection {
    pub(crate) client: String,
    /// The label of a further account; empty for the one that everybody has.
    pub(crate) account: String,
    pub(crate) state: State,
    pub(crate) scopes: Vec<String>,
    pub(crate) since: Option<Timestamp>,
    /// Where it is connected, or connected again.
    pub(crate) connect: Option<String>,
    /// Where a form disconnects it.
    pub(crate) disconnect: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Connected,
    LoginNeeded,
    NotConnected,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::LoginNeeded => "login_needed",
            Self::NotConnected => "not_connected",
        }
    }

    fn of(info: &GrantInfo) -> Self {
        match info.state {
            GrantState::Active => Self::Connected,
            GrantState::LoggedOut => Self::NotConnected,
            // Whatever is wrong with a record, a login puts another in its place.
            _ => Self::LoginNeeded,
        }
    }
}

/// Which account a form is about.
#[derive(Deserialize)]
struct Account {
    #[serde(default)]
    account: String,
}

impl Routes {
    pub(super) async fn connections(&self, request: &Request) -> Result<Response, Error> {
        let headers = &request.headers;
        let user = self.user(request).await?;
        let work = async {
            let shown = self.connections_of(&user).await?;
            let mut response = if wants_json(headers) {
                answer::json(StatusCode::OK, &self.listed(user.session(), &shown))
            } else {
                page::connections(user.session(), &shown)
            };
            // With `no-referrer` browsers would post the forms without their origin, and applications may check that.
            response.headers_mut().insert(
                header::REFERRER_POLICY,
                HeaderValue::from_static("same-origin"),
            );
            Ok(response)
        };
        work.await.map_err(|error: Error| error.answering(headers))
    }

    pub(super) async fn disconnect(&self, request: &Request) -> Result<Response, Error> {
        let headers = &request.headers;
        let client = request.client()?;
        let body = ready(request.body.clone());
        let (user, form) = read_form::<Account>(&self.oauth, headers, body).await?;
        let work = async {
            if !self.shows(user.session(), client) {
                let what = "the client is not among those that are shown to this user";
                let error = core::Error::new(ErrorCode::UnknownClient, Phase::Session, what);
                return Err(error.into());
            }
            user.grant(client)?.account(&form.account).revoke().await?;
            if wants_json(headers) {
                let now = json!({
                    "client": client,
                    "account": form.account,
                    "state": State::NotConnected.as_str(),
                });
                return Ok(answer::json(StatusCode::OK, &now));
            }
            see_other(&self.own_path(Route::Connections, None)?)
        };
        work.await.map_err(|error: Error| error.answering(headers))
    }

    fn shows(&self, session: &Session, client: &str) -> bool {
        self.shown
            .as_ref()
            .is_some_and(|shown| shown(session, client))
    }

    /// Each registered client, and what is granted at others that a source knows: tenants without a grant are nobody's business.
    async fn connections_of(&self, user: &SignedIn) -> Result<Vec<Connection>, Error> {
        let session = user.session();
        let mut found = BTreeMap::new();
        for client in self.oauth.client_names() {
            found.insert((client, String::new()), None);
        }
        for info in self.listed_grants(user).await? {
            let Slot::Account(label) = info.key.slot() else {
                continue;
            };
            let key = (info.key.client().to_owned(), label.to_string());
            let is_default = found.contains_key(&key);
            let is_there = State::of(&info) != State::NotConnected;
            let is_known = || self.oauth.client(&key.0).is_ok();
            if is_default || (is_there && is_known()) {
                found.insert(key, Some(info));
            }
        }
        let shown = found
            .into_iter()
            .filter(|((client, _), _)| self.shows(session, client));
        stream::iter(shown)
            .map(|((client, account), info)| self.connection(user, client, account, info))
            .buffered(LOOKS)
            .try_collect()
            .await
    }

    async fn listed_grants(&self, user: &SignedIn) -> Result<Vec<GrantInfo>, Error> {
        match self.oauth.grants(user.owner()).await {
            // Then each is asked for by its key.
            Err(error) if error.code() == ErrorCode::Unsupported => Ok(Vec::new()),
            listed => Ok(listed?),
        }
    }

    async fn connection(
        &self,
        user: &SignedIn,
        client: String,
        account: String,
        listed: Option<GrantInfo>,
    ) -> Result<Connection, Error> {
        let info = match listed {
            None if !self.oauth.lists(&client)? => user.grant(&client)?.info().await?,
            listed => listed,
        };
        let state = info.as_ref().map_or(State::NotConnected, State::of);
        let info = info.filter(|_| state != State::NotConnected);
        let connect = match state {
            State::Connected => None,
            _ => Some(self.connect_path(&client, &account)?),
        };
        Ok(Connection {
            disconnect: self.own_path(Route::Disconnect, Some(&client))?,
            connect,
            since: info.as_ref().map(GrantInfo::since),
            scopes: info.and_then(|info| info.scopes).unwrap_or_default(),
            state,
            account,
            client,
        })
    }

    /// What a program sees.
    fn listed(&self, session: &Session, shown: &[Connection]) -> Value {
        let connections: Vec<_> = shown
            .iter()
            .map(|connection| {
                json!({
                    "client": connection.client,
                    "account": connection.account,
                    "state": connection.state.as_str(),
                    "scopes": connection.scopes,
                    "since": connection.since.map(Timestamp::as_secs),
                    "connect": connection.connect,
                    "disconnect": connection.disconnect,
                })
            })
            .collect();
        json!({
            "owner": session.owner(),
            "csrf": session.csrf(),
            "connections": connections,
        })
    }

    /// Where a client is connected; the way leads back to the page.
    fn connect_path(&self, client: &str, account: &str) -> Result<String, Error> {
        let mut url = self.own_url(Route::Connect, Some(client))?;
        let back = self.own_path(Route::Connections, None)?;
        url.query_pairs_mut().append_pair("return_to", &back);
        if !account.is_empty() {
            url.query_pairs_mut().append_pair("account", account);
        }
        Ok(url[url::Position::BeforePath..].to_owned())
    }

    /// The path of an address of ours, as browsers see it.
    pub(super) fn own_path(&self, route: Route, client: Option<&str>) -> Result<String, Error> {
        Ok(self.own_url(route, client)?.path().to_owned())
    }
}
