//! Requests of OAuth 1.0a: signed anew each time they are sent, and what a refusal means that no refresh can help.

use std::time::Duration;

use reqwest::{
    Request, Response, StatusCode,
    header::{HeaderMap, WWW_AUTHENTICATE},
};
use tokio_stream::StreamExt;

use super::{call::Call, challenge, place::Material};
use crate::{
    Action, Error, ErrorCode, Result, Secret,
    oauth1::{Credentials, Kind, Problem, Stamp},
    token::Credential,
};

/// How much of a refusal is read: nobody needs more to say what is wrong.
const MAX_REFUSAL: usize = 8 * 1024;

impl Call<'_> {
    /// Sends it, and once more with a fresh nonce if that is what the API wants and the request may be repeated: it may
    /// have been processed the first time, by whoever sent it twice.
    pub(super) async fn signed(&self, request: Request, material: &Material) -> Result<Response> {
        let again = request.try_clone();
        let again = again.filter(|request| request.method().is_idempotent());
        let response = self.once(request, Some(material)).await?;
        let Some(problem) = self.problem(&response) else {
            return Ok(response);
        };
        let Some(again) = again.filter(|_| problem.kind() == Kind::Nonce) else {
            return Err(self.rejected(response, problem, material).await);
        };
        drop(response);
        let response = self.once(again, Some(material)).await?;
        match self.problem(&response) {
            None => Ok(response),
            Some(problem) => Err(self.rejected(response, problem, material).await),
        }
    }

    /// Signs it for the token, or for the client alone.
    pub(super) async fn sign(
        &self,
        request: &mut Request,
        material: &Material,
        secret: &Secret,
    ) -> Result<()> {
        let Some(oauth1) = &self.state.resolved.oauth1 else {
            return Err(Error::new(
                ErrorCode::Unsupported,
                self.phase,
                "a token of OAuth 1.0a cannot be sent by a client of OAuth 2.0: register it with its request_token_url()",
            ));
        };
        let token = material.plain.as_ref();
        let credentials = Credentials {
            token,
            secret: token.map(|_| secret),
        };
        let clock = self.client.oauth()?.clock();
        let signed = oauth1.sign(request, credentials, &[], Stamp::fresh(clock.as_ref()));
        // A signer may stand elsewhere.
        tokio::select! {
            signed = signed => signed.map_err(|error| error.in_phase(self.phase)),
            () = clock.sleep(self.timeout) => Err(Error::new(
                ErrorCode::RequestFailed,
                self.phase,
                "the signer took too long",
            )),
        }
    }

    /// What is wrong, if anything has to do with the signature: a 401, or a refusal that names a problem.
    fn problem(&self, response: &Response) -> Option<Problem> {
        let problem = Problem::of_challenge(response.headers());
        let is_named = response.status().is_client_error() && problem.kind() != Kind::Unknown;
        (response.status() == StatusCode::UNAUTHORIZED || is_named).then_some(problem)
    }

    async fn rejected(&self, response: Response, problem: Problem, material: &Material) -> Error {
        let status = response.status().as_u16();
        let mut sent: Vec<Secret> = material.plain.iter().cloned().collect();
        // PLAINTEXT sends it along.
        let client = self.state.resolved.oauth1.as_ref();
        sent.extend(client.and_then(|client| client.key.shared()).cloned());
        if let Credential::OAuth1 { secret } = &material.credential {
            sent.extend(Some(secret.clone()).filter(|secret| !secret.expose().is_empty()));
        }
        // Some say it in the body.
        let problem = problem.or(Problem::of_body(&self.beginning_of(response).await));
        let kind = problem.kind();
        let action = match kind {
            Kind::Clock | Kind::Registration => Action::Configure,
            Kind::Nonce => Action::Retry { after: None },
            Kind::Denied | Kind::Token | Kind::Unknown => Action::Login { connect_url: None },
        };
        let message = format!(
            "the API refuses the token or its signature{}",
            kind.explained()
        );
        Error::new(ErrorCode::TokenRejected, self.phase, message)
            .with_provider(problem.cleaned(&sent, status))
            .with_action(action)
    }

    async fn beginning_of(&self, response: Response) -> Vec<u8> {
        let read = async {
            let mut body = Vec::new();
            let mut stream = response.bytes_stream();
            while let Some(Ok(chunk)) = stream.next().await {
                if body.len() + chunk.len() > MAX_REFUSAL {
                    break;
                }
                body.extend_from_slice(&chunk);
            }
            body
        };
        let Ok(oauth) = self.client.oauth() else {
            return Vec::new();
        };
        tokio::select! {
            body = read => body,
            () = oauth.clock().sleep(self.timeout.min(Duration::from_secs(5))) => Vec::new(),
        }
    }
}

impl Problem {
    /// Reads the challenges of an answer.
    pub(in crate::client) fn of_challenge(headers: &HeaderMap) -> Self {
        let mut problem = Self::default();
        let challenges = headers.get_all(WWW_AUTHENTICATE).iter();
        let challenges = challenges.filter_map(|value| value.to_str().ok()).take(8);
        for challenge in challenges {
            let challenge: String = challenge.chars().take(MAX_REFUSAL).collect();
            for (name, value) in challenge::parameters(&challenge) {
                problem.read(&name.to_ascii_lowercase(), &value);
            }
        }
        problem
    }
}
