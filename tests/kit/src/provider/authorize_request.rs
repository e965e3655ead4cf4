//! Reading an authorization request: what is wrong with it, and who may hear that.

use std::{collections::BTreeSet, time::Duration};

use super::{
    error::OAuthError,
    request::Parameters,
    state::{Session, Shared},
};

/// An authorization request that was checked (RFC 6749 section 4.1.1, OpenID Connect Core 1.0 section 3.1.2.1).
#[derive(Clone)]
pub(super) struct AuthorizationRequest {
    pub(super) client: String,
    pub(super) reply: ReplyTo,
    pub(super) scopes: BTreeSet<String>,
    pub(super) resources: Vec<String>,
    pub(super) nonce: Option<String>,
    pub(super) code_challenge: Option<String>,
    pub(super) login_hint: Option<String>,
    pub(super) acr: Option<String>,
    prompt: BTreeSet<String>,
    max_age: Option<Duration>,
    hinted_subject: Option<String>,
}

/// Where and how the authorization response is sent.
#[derive(Clone)]
pub(super) struct ReplyTo {
    pub(super) redirect_uri: String,
    pub(super) form_post: bool,
    pub(super) state: Option<String>,
}

/// Why a request is not gone on with.
pub(super) enum Refusal {
    /// It is not known whose request it is: nobody is redirected anywhere.
    Page(&'static str),
    /// The client is told.
    Redirect(ReplyTo, OAuthError),
}

/// What has to happen before the client gets its code.
pub(super) enum Next {
    Login,
    Consent,
    Done(Session),
}

impl AuthorizationRequest {
    pub(super) fn read(shared: &Shared, parameters: &Parameters) -> Result<Self, Refusal> {
        if parameters
            .doubled()
            .is_some_and(|name| matches!(name, "client_id" | "redirect_uri"))
        {
            return Err(Refusal::Page(
                "client_id and redirect_uri must be sent once.",
            ));
        }
        let client = parameters
            .get("client_id")
            .and_then(|id| shared.client(id))
            .ok_or(Refusal::Page("No such client is registered here."))?;
        let redirect_uri = parameters
            .get("redirect_uri")
            .ok_or(Refusal::Page("The redirect_uri is missing."))?;
        if !client.may_redirect_to(redirect_uri) {
            return Err(Refusal::Page(
                "The redirect_uri is not registered for this client.",
            ));
        }
        let reply = ReplyTo {
            redirect_uri: redirect_uri.to_owned(),
            form_post: parameters.get("response_mode") == Some("form_post"),
            state: parameters.owned("state"),
        };
        Self::read_for(shared, parameters, client.id(), client.is_public(), &reply)
            .map_err(|error| Refusal::Redirect(reply, error))
    }

    fn read_for(
        shared: &Shared,
        parameters: &Parameters,
        client: &str,
        public: bool,
        reply: &ReplyTo,
    ) -> Result<Self, OAuthError> {
        parameters.require_single()?;
        for (name, error) in [
            ("request", "request_not_supported"),
            ("request_uri", "request_uri_not_supported"),
        ] {
            if parameters.get(name).is_some() {
                return Err(OAuthError::new(error, "request objects are not supported"));
            }
        }
        match parameters.get("response_type") {
            Some("code") => {}
            Some(_) => {
                return Err(OAuthError::new(
                    "unsupported_response_type",
                    "only the code flow is supported",
                ));
            }
            None => return Err(OAuthError::invalid_request("response_type is missing")),
        }
        if !matches!(
            parameters.get("response_mode"),
            None | Some("query" | "form_post")
        ) {
            return Err(OAuthError::invalid_request(
                "response_mode is neither query nor form_post",
            ));
        }
        let words = |name| {
            parameters
                .get(name)
                .unwrap_or_default()
                .split(' ')
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
        };
        let scopes: BTreeSet<String> = words("scope").collect();
        if !scopes.iter().all(|scope| is_scope_token(scope)) {
            return Err(OAuthError::new(
                "invalid_scope",
                "a scope has characters that no scope may have",
            ));
        }
        let prompt: BTreeSet<String> = words("prompt").collect();
        if prompt.contains("none") && prompt.len() > 1 {
            return Err(OAuthError::invalid_request("prompt=none stands alone"));
        }
        let max_age = match parameters.get("max_age").map(str::parse) {
            None => None,
            Some(Ok(seconds)) => Some(Duration::from_secs(seconds)),
            Some(Err(_)) => {
                return Err(OAuthError::invalid_request(
                    "max_age is not a number of seconds",
                ));
            }
        };
        Ok(Self {
            client: client.to_owned(),
            reply: reply.clone(),
            scopes,
            resources: parameters.all("resource").map(str::to_owned).collect(),
            nonce: parameters.owned("nonce"),
            code_challenge: code_challenge(parameters, public)?,
            login_hint: parameters.owned("login_hint"),
            acr: words("acr_values").next(),
            prompt,
            max_age,
            hinted_subject: parameters.get("id_token_hint").and_then(|hint| {
                shared
                    .lock()
                    .grants
                    .grant_of_id_token(hint)
                    .and_then(|grant| grant.subject.clone())
            }),
        })
    }

    /// What is still to do, for a browser with this session. `logged_in` and `consented` say what the person has just
    /// done for this very request.
    pub(super) fn next(
        &self,
        session: Option<&Session>,
        logged_in: bool,
        consented: bool,
        now: Duration,
    ) -> Next {
        let Some(session) = session else {
            return Next::Login;
        };
        let too_old = self
            .max_age
            .is_some_and(|max_age| now.saturating_sub(session.auth_time) > max_age);
        let asked_to = self.prompt.contains("login") || self.prompt.contains("select_account");
        let too_weak = self.acr.is_some() && self.acr != session.acr;
        if !logged_in && (asked_to || too_old || too_weak || self.is_about_somebody_else(session)) {
            return Next::Login;
        }
        let allowed = session
            .consents
            .get(&self.client)
            .is_some_and(|allowed| self.scopes.is_subset(allowed));
        if !consented && (self.prompt.contains("consent") || !allowed) {
            return Next::Consent;
        }
        Next::Done(session.clone())
    }

    /// `prompt=none`: no page may be shown.
    pub(super) fn is_silent(&self) -> bool {
        self.prompt.contains("none")
    }

    fn is_about_somebody_else(&self, session: &Session) -> bool {
        self.hinted_subject
            .as_ref()
            .is_some_and(|hinted| *hinted != session.subject)
    }
}

/// The S256 challenge (RFC 7636 section 4.3). Public clients must send one; `plain` is refused to all.
fn code_challenge(parameters: &Parameters, public: bool) -> Result<Option<String>, OAuthError> {
    let Some(challenge) = parameters.get("code_challenge") else {
        return if public {
            Err(OAuthError::invalid_request("a public client must use PKCE"))
        } else {
            Ok(None)
        };
    };
    if parameters.get("code_challenge_method") != Some("S256") {
        return Err(OAuthError::invalid_request(
            "code_challenge_method must be S256",
        ));
    }
    if challenge.len() != 43 {
        return Err(OAuthError::invalid_request(
            "code_challenge is not a SHA-256 digest",
        ));
    }
    Ok(Some(challenge.to_owned()))
}

/// RFC 6749 section 3.3.
pub(super) fn is_scope_token(scope: &str) -> bool {
    !scope.is_empty()
        && scope.len() <= 255
        && scope
            .bytes()
            .all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}
