//! A request under way: through redirects and refreshes, each time with the token put in anew.

use std::{sync::Arc, time::Duration};

use ::url::Url;
use reqwest::{
    Method, Request, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION},
};

use super::{Bearer, challenge::Challenge, place::Material, url};
use crate::{
    Action, Error, ErrorCode, Owner, Phase, ProviderError, Result, Transport,
    client::{Client, ClientState, Grant, Placement},
    oauth1::without_protocol,
    refresh::Need,
    token::Credential,
};

/// How many redirects are followed.
const REDIRECTS: usize = 10;

/// reqwest's address of an answer that was made without one, by a cache or in a test.
const WITHOUT_URL: &str = "http://no.url.provided.local/";

/// A request under way, through redirects and refreshes.
pub(super) struct Call<'a> {
    pub(super) client: &'a Client,
    pub(super) state: &'a Arc<ClientState>,
    pub(super) bearer: &'a Bearer,
    pub(super) phase: Phase,
    pub(super) timeout: Duration,
    pub(super) is_endpoint: bool,
    pub(super) follow_redirects: bool,
    pub(super) transport: &'a dyn Transport,
}

impl Call<'_> {
    pub(super) async fn with_redirects(&self, mut request: Request) -> Result<Response> {
        for _ in 0..=REDIRECTS {
            let (next, head) = (request.try_clone(), without_body(&mut request));
            let (method, from) = (request.method().clone(), request.url().clone());
            let response = self.with_refresh(request).await?;
            let followed = Some(&response).filter(|_| self.follow_redirects);
            let Some(to) = followed.and_then(|response| redirect_target(response, &from)) else {
                return Ok(response);
            };
            let to = match self.state.resolved.oauth1 {
                None => to?,
                // It may repeat what this request was signed by.
                Some(_) => without_protocol(&to?),
            };
            url::check_allowed(&self.state.resolved, &to, "the API redirects to")?;
            url::check_length(&to)?;
            let status = response.status();
            let becomes_get = status == StatusCode::SEE_OTHER
                || (method == Method::POST
                    && matches!(status, StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND));
            // A body that was streamed cannot be sent again: whoever sent it sees the redirect.
            let Some(mut again) = next.or_else(|| head.filter(|_| becomes_get)) else {
                return Ok(response);
            };
            if becomes_get && method != Method::HEAD {
                *again.method_mut() = Method::GET;
                *again.body_mut() = None;
                for header in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING] {
                    again.headers_mut().remove(header);
                }
            }
            *again.url_mut() = to;
            request = again;
        }
        Err(Error::new(
            ErrorCode::RequestFailed,
            self.phase,
            "the API redirects more than ten times",
        ))
    }

    async fn with_refresh(&self, request: Request) -> Result<Response> {
        let again = request.try_clone();
        let material = self.material(Need::default()).await?;
        if let Some(material) = &material
            && matches!(material.credential, Credential::OAuth1 { .. })
        {
            return self.signed(request, material).await;
        }
        let response = self.once(request, material.as_ref()).await?;
        let Some(material) = material else {
            return Ok(response);
        };
        let Some(challenge) = Challenge::of(&response, material.secret().as_slice()) else {
            return Ok(response);
        };
        let (Some(generation), Bearer::Kept(grant)) = (material.generation, self.bearer) else {
            return self.refused(response, &challenge);
        };
        let (keeper, key) = (grant.keeper()?, grant.key()?);
        let keeps = keeper.forced_paused(key) || !self.state.resolved.automatic_refresh;
        if !challenge.asks_for_a_fresh_token() || keeps {
            return self.refused(response, &challenge);
        }
        drop(response);
        let need = Need {
            newer_than: Some(generation),
            ..Need::default()
        };
        let material = self
            .material(need)
            .await
            .map_err(|error| match error.code() {
                // It cannot be renewed: the record stays, the user logs in again.
                ErrorCode::LoginRequired => Error::new(
                    ErrorCode::TokenRejected,
                    self.phase,
                    "the API refuses the token, and it cannot be renewed",
                ),
                _ => error,
            })?;
        let Some(again) = again else {
            // Whether it helped is not known yet: the next one has to wait.
            keeper.forced_helped(key, false);
            return Err(Error::new(
                ErrorCode::TokenRejected,
                self.phase,
                "the API refused the token, which is renewed now; the body was streamed, so send the request anew",
            )
            .with_action(Action::Retry { after: None }));
        };
        let response = self.once(again, material.as_ref()).await?;
        let sent = material.and_then(|material| material.secret());
        match Challenge::of(&response, sent.as_slice()) {
            None => {
                keeper.forced_helped(key, true);
                Ok(response)
            }
            Some(challenge) => {
                keeper.forced_helped(key, !challenge.asks_for_a_fresh_token());
                self.refused(response, &challenge)
            }
        }
    }

    /// What an API's refusal means for the application.
    fn refused(&self, response: Response, challenge: &Challenge) -> Result<Response> {
        let said = ProviderError {
            status: Some(response.status().as_u16()),
            error: challenge.error.clone(),
            description: challenge.description.clone(),
            required: challenge.required.clone(),
            ..ProviderError::default()
        };
        let (code, message) = match challenge.error.as_deref() {
            Some("insufficient_user_authentication") => (
                ErrorCode::StepUpRequired,
                "the API wants a stronger or fresher authentication",
            ),
            Some("insufficient_scope") => (
                ErrorCode::InsufficientScope,
                "the API wants a scope that the token lacks",
            ),
            _ if response.status() == StatusCode::UNAUTHORIZED => {
                (ErrorCode::TokenRejected, "the API refuses the token")
            }
            _ => return Ok(response),
        };
        Err(Error::new(code, self.phase, message).with_provider(said))
    }

    async fn material(&self, need: Need) -> Result<Option<Material>> {
        match self.bearer {
            Bearer::Withheld => Ok(None),
            Bearer::Nobodys => Err(Error::new(
                ErrorCode::OwnerMissing,
                self.phase,
                "nobody said whose token to send: call it on client.owner(…) or client.app(), within as_owner(…), or say token(…) or withhold_token()",
            )),
            Bearer::Given(token) => Material::given(token).map(Some),
            Bearer::Kept(grant) if self.signs_alone(grant)? => {
                Ok(Some(Material::of_the_client_alone()))
            }
            Bearer::Kept(grant) => grant
                .keeper()?
                .token(grant.key()?, grant.target(), need, Material::kept)
                .await
                .map(Some),
        }
    }

    fn signs_alone(&self, grant: &Grant) -> Result<bool> {
        Ok(self.state.resolved.oauth1.is_some() && *grant.key()?.owner() == Owner::App)
    }

    /// Sends it once, with the token in its place.
    pub(super) async fn once(
        &self,
        mut request: Request,
        material: Option<&Material>,
    ) -> Result<Response> {
        let oauth = self.client.oauth()?;
        let (hooks, name) = (&self.state.hooks, self.client.name());
        let endpoint = self.is_endpoint.then(|| request.url().origin());
        let may_be_elsewhere = match endpoint {
            None => {
                hooks.protected_request(name, &mut request).await?;
                material.is_some()
            }
            Some(endpoint) => {
                hooks.userinfo_request(name, &mut request).await?;
                request.url().origin() != endpoint
            }
        };
        if may_be_elsewhere {
            let client = &self.state.resolved;
            url::check_allowed(client, request.url(), "a hook sends the request to")?;
        }
        if let (Some(name), Some(_)) = (&self.state.resolved.client_id_header, material) {
            let id = HeaderValue::from_str(&self.state.resolved.client_id).map_err(|_| {
                let what = "the client id fits no header, and client_id_header() sends it in one";
                Error::new(ErrorCode::InvalidConfiguration, self.phase, what)
            })?;
            request.headers_mut().insert(name.clone(), id);
        }
        if let Some(material) = material {
            // An endpoint of the provider's takes it in the header.
            let placement = match self.is_endpoint {
                true => Placement::Header,
                false => self.state.resolved.placement,
            };
            // A token in the header is left out there, and this end looks at where the answer came from.
            let stays = match &material.credential {
                Credential::OAuth1 { .. } => Some(
                    "would send a signature of OAuth 1.0a to an address that it is not made for",
                ),
                _ if placement != Placement::Header => {
                    Some("would take a token in body or query along")
                }
                _ => None,
            };
            if let Some(what) = stays.filter(|_| self.transport.follows_redirects()) {
                return Err(Error::new(
                    ErrorCode::Unsupported,
                    self.phase,
                    format!(
                        "the client below follows redirects by itself, and {what}: build it with redirect::Policy::none() and \
                         have them followed here"
                    ),
                ));
            }
            match &material.credential {
                Credential::OAuth1 { secret } => self.sign(&mut request, material, secret).await?,
                _ => material.place(&mut request, placement, self.phase)?,
            }
        }
        let host = request.url().host_str().unwrap_or_default().to_owned();
        let failed = |what: &str| {
            Error::new(
                ErrorCode::RequestFailed,
                self.phase,
                format!("{host} {what}"),
            )
        };
        let response = tokio::select! {
            response = self.transport.send(request) => {
                response.map_err(|error| failed("could not be reached or gave no answer").with_source(error))?
            }
            () = oauth.clock().sleep(self.timeout) => return Err(failed("did not answer in time")),
        };
        // Whoever follows redirects below may have been led elsewhere: what comes from there is not handed on.
        let follows = self.transport.follows_redirects() && response.url().as_str() != WITHOUT_URL;
        if !self.is_endpoint && follows {
            let client = &self.state.resolved;
            url::check_allowed(client, response.url(), "the client below was redirected to")?;
        }
        Ok(response)
    }
}

/// Everything of a request but its body, its extensions with it.
fn without_body(request: &mut Request) -> Option<Request> {
    let body = request.body_mut().take();
    let head = request.try_clone();
    *request.body_mut() = body;
    head
}

/// Where an answer redirects to, if it does.
fn redirect_target(response: &Response, from: &Url) -> Option<Result<Url>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?;
    let unreadable = || {
        Error::new(
            ErrorCode::RequestFailed,
            Phase::Request,
            "the API redirects to something unreadable",
        )
        .with_action(Action::None)
    };
    Some(
        location
            .to_str()
            .ok()
            .and_then(|text| from.join(text).ok())
            .ok_or_else(unreadable),
    )
}
