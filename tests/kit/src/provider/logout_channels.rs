//! Telling clients of a logout: by a request to each (OpenID Connect Back-Channel Logout 1.0), and by frames in the
//! provider's page (OpenID Connect Front-Channel Logout 1.0).

use std::{collections::BTreeSet, time::Duration};

use url::Url;

use super::{
    Provider,
    faults::{Endpoint, Fault},
    logout_token::{LogoutToken, sign},
    state::Shared,
};

/// How long a client may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many answers are remembered.
const ANSWERS: usize = 1_000;

/// Where a client is told of logouts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LogoutUris {
    pub(super) back: Option<String>,
    pub(super) front: Option<String>,
    /// Leaves out `sid`, and for the front channel `iss`.
    pub(super) without_session: bool,
}

/// What a client answered to a back-channel logout (section 2.8).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogoutAnswer {
    /// Which client.
    pub client_id: String,
    /// The status; 0 if there was no answer within ten seconds.
    pub status: u16,
    /// The value of `Cache-Control`.
    pub cache_control: Option<String>,
    /// The body.
    pub body: String,
}

impl Provider {
    /// Registers where a client is told of logouts by the provider itself, or registers another place: for an application whose
    /// address is known only after the provider's.
    pub fn set_backchannel_logout_uri(&self, client_id: &str, uri: impl Into<String>) {
        let mut state = self.shared.lock();
        let uris = state.logout_uris.entry(client_id.to_owned()).or_default();
        uris.back = Some(uri.into());
    }

    /// Registers what the provider's page loads in a frame after a logout.
    pub fn set_frontchannel_logout_uri(&self, client_id: &str, uri: impl Into<String>) {
        let mut state = self.shared.lock();
        let uris = state.logout_uris.entry(client_id.to_owned()).or_default();
        uris.front = Some(uri.into());
    }

    /// Ends the session of this `sid` as an administrator does: no browser takes part. Every client with a
    /// `backchannel_logout_uri` that had part in it is told, and these are their answers.
    pub async fn end_session(&self, sid: &str) -> Vec<LogoutAnswer> {
        end(&self.shared, sid).await.0
    }

    /// Sends a logout token to a client's `backchannel_logout_uri`, as a form with a parameter that nobody knows beside it. No
    /// session ends here. `None` if no such address is registered.
    pub async fn send_logout_token(&self, client_id: &str, token: &str) -> Option<LogoutAnswer> {
        send(&self.shared, client_id, token).await
    }

    /// The last 1,000 answers of clients to back-channel logouts, the oldest first.
    #[must_use]
    pub fn logout_answers(&self) -> Vec<LogoutAnswer> {
        self.shared.lock().logout_answers.iter().cloned().collect()
    }
}

/// Ends a session, and tells those who had part in it. Its grants end with it, except those with `offline_access`, which are
/// meant to outlive it. Answers what the clients said, and which addresses a page must load in frames.
pub(super) async fn end(shared: &Shared, sid: &str) -> (Vec<LogoutAnswer>, Vec<String>) {
    let told: BTreeSet<(String, String)> = {
        let mut state = shared.lock();
        let parties = state.grants.iter().filter_map(|grant| {
            let subject = grant.subject.clone()?;
            (grant.sid.as_deref() == Some(sid)).then(|| (grant.client.clone(), subject))
        });
        let parties = parties.collect();
        state.sessions.remove_if(|session| session.sid == sid);
        state.grants.revoke_where(|grant| {
            grant.sid.as_deref() == Some(sid) && !grant.scopes.contains("offline_access")
        });
        parties
    };
    let (mut answers, mut frames) = (Vec::new(), Vec::new());
    for (client, subject) in told {
        let uris = shared.lock().logout_uris.get(&client).cloned();
        let uris = uris.unwrap_or_default();
        let mut token = LogoutToken::of_subject(&subject);
        if !uris.without_session {
            token = LogoutToken::of_session(sid).subject(&subject);
        }
        if uris.back.is_some() {
            let fault = shared.faults.take(Endpoint::EndSession, None, |fault| {
                matches!(fault, Fault::LogoutToken(_))
            });
            if let Some(Fault::LogoutToken(fault)) = fault {
                token = token.fault(fault);
            }
            answers.extend(send(shared, &client, &sign(shared, &client, &token)).await);
        }
        frames.extend(
            uris.front
                .as_ref()
                .and_then(|uri| frame(shared, uri, sid, uris.without_session)),
        );
    }
    (answers, frames)
}

fn frame(shared: &Shared, uri: &str, sid: &str, without_session: bool) -> Option<String> {
    let mut url = Url::parse(uri).ok()?;
    if !without_session {
        url.query_pairs_mut()
            .append_pair("iss", &shared.issuer)
            .append_pair("sid", sid);
    }
    Some(url.into())
}

async fn send(shared: &Shared, client_id: &str, token: &str) -> Option<LogoutAnswer> {
    let uri = shared.lock().logout_uris.get(client_id)?.back.clone()?;
    let asked = async {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .build()?;
        let form = [("unknown_parameter", "ignore me"), ("logout_token", token)];
        let answer = http.post(&uri).form(&form).send().await?;
        let cache_control = answer.headers().get("cache-control");
        let cache_control = cache_control.and_then(|value| value.to_str().ok());
        Ok::<_, reqwest::Error>(LogoutAnswer {
            client_id: client_id.to_owned(),
            status: answer.status().as_u16(),
            cache_control: cache_control.map(str::to_owned),
            body: answer.text().await?,
        })
    };
    let answer = asked.await.unwrap_or_else(|error| LogoutAnswer {
        client_id: client_id.to_owned(),
        status: 0,
        cache_control: None,
        body: error.without_url().to_string(),
    });
    let mut state = shared.lock();
    if state.logout_answers.len() >= ANSWERS {
        state.logout_answers.pop_front();
    }
    state.logout_answers.push_back(answer.clone());
    Some(answer)
}
