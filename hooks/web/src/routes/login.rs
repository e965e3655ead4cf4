//! To the provider, and back.

use std::sync::Arc;

use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use tokenkeep_core::{self as core, CallbackParams, Client, ErrorCode, Login, Phase, Session};

use super::{Route, Routes, allow};
use crate::{
    Error, Request, Response,
    answer::{self, see_other, with_cookies},
    request::{browser_cookies, is_form, refuse_cross_site, wants_json},
};

impl Routes {
    pub(super) async fn log_in(&self, request: &Request) -> Result<Response, Error> {
        let client = request.client()?;
        self.warn_of_another_host(&request.headers);
        self.start(client, request, None)
            .await
            .map_err(|error| error.answering(&request.headers))
    }

    pub(super) async fn connect(&self, request: &Request) -> Result<Response, Error> {
        let client = request.client()?;
        let user = self.user(request).await?;
        let work = async {
            refuse_cross_site(&request.headers)?;
            self.start(client, request, Some(user.session())).await
        };
        work.await
            .map_err(|error| error.answering(&request.headers))
    }

    async fn start(
        &self,
        client: &str,
        request: &Request,
        connect: Option<&Session>,
    ) -> Result<Response, Error> {
        let client = self.oauth.client(client)?;
        let mut login = client
            .authorize_redirect(self.redirect_uri(&client).await?)
            .cookies(&browser_cookies(&request.headers));
        if let Some(path) = request.parameter("return_to")? {
            login = login.return_to(path);
        }
        if let Some(session) = connect {
            login = login.connect(session.owner());
            if let Some(label) = request.parameter("account")? {
                login = login.account(label);
            }
            if let Some(sealed) = request.parameter("required")? {
                login = login.required(sealed);
            }
        }
        let redirect = login.await?;
        let away = see_other(redirect.url.as_str())?;
        Ok(with_cookies(away, &redirect.cookies))
    }

    pub(super) async fn callback(
        &self,
        is_allowed: bool,
        request: &Request,
    ) -> Result<Response, Error> {
        let client = request.client()?;
        if !is_allowed {
            return Ok(by_another_method(client, &request.headers));
        }
        let work = async {
            let encoded = answer_of(client, request)?;
            self.finish(client, encoded, &request.headers).await
        };
        work.await
            .map_err(|error| error.answering(&request.headers))
    }

    /// Lets a posted answer wait where it adds a grant and the session did not come along: the browser brings that when it
    /// follows the redirect.
    async fn hold(
        &self,
        client: &Client,
        encoded: &[u8],
        headers: &HeaderMap,
    ) -> Result<Option<Response>, Error> {
        let cookies = browser_cookies(headers);
        let redirect_uri = self.redirect_uri(client).await?;
        let held = client
            .hold_answer(encoded, &cookies, Some(&redirect_uri))
            .await?;
        match held {
            Some(held) if self.oauth.session(&cookies).await?.is_none() => {
                let again = see_other(held.url.as_str())?;
                Ok(Some(with_cookies(again, &held.cookies)))
            }
            _ => Ok(None),
        }
    }

    async fn finish(
        &self,
        name: &str,
        encoded: &[u8],
        headers: &HeaderMap,
    ) -> Result<Response, Error> {
        let client = self.oauth.client(name)?;
        if let Some(again) = self.hold(&client, encoded, headers).await? {
            return Ok(again);
        }
        let params = CallbackParams::parse(encoded).map_err(|error| error.with_client(name))?;
        let cookies = browser_cookies(headers);
        let redirect_uri = self.redirect_uri(&client).await?;
        let returned = client
            .authorize_access_token(&params, &cookies, Some(&redirect_uri))
            .await;
        let removal: Vec<_> = returned.removal.into_iter().collect();
        let kept = async {
            let login = Arc::new(returned.login?);
            let session = self.oauth.session(&cookies).await;
            let session = match &login.connect {
                Some(_) => session?,
                // It is only to end: a new one takes its place, whatever became of it.
                None => session.unwrap_or_else(|error| {
                    tracing::warn!(%error, "the session that a login replaces cannot be looked at");
                    None
                }),
            };
            let owner = match &login.connect {
                Some(owner) => owner.clone(),
                None => self.owner_of(&login).await?,
            };
            let kept = self
                .oauth
                .keep_login(&login, &owner, session.as_ref())
                .await?;
            Ok::<_, Error>((login, kept))
        };
        let (login, kept) = kept
            .await
            .map_err(|error| error.with_cookies(removal.clone()))?;
        let response = if wants_json(headers) {
            answer::json(StatusCode::OK, &summary(&login, &kept.owner))
        } else {
            see_other(login.return_to.as_deref().unwrap_or(&self.after_login))?
        };
        Ok(with_cookies(response, removal.iter().chain(&kept.cookies)))
    }

    async fn owner_of(&self, login: &Arc<Login>) -> Result<String, Error> {
        let Some(owner) = &self.owner else {
            return Ok(login.default_owner()?);
        };
        owner(Arc::clone(login)).await.map_err(|refusal| {
            core::Error::new(
                ErrorCode::OwnerRefused,
                Phase::Owner,
                "the application refused the login",
            )
            .with_client(&login.client)
            .with_source(refusal)
            .into()
        })
    }
}

/// The authorization response: the query, or a posted form.
fn answer_of<'a>(client: &str, request: &'a Request) -> Result<&'a [u8], Error> {
    if !Route::Callback.reads_body(&request.method) {
        return Ok(request.query().as_bytes());
    }
    let invalid = |message: &str| {
        let error = core::Error::new(ErrorCode::InvalidParameter, Phase::Callback, message);
        Error::from(error.with_client(client))
    };
    let body = request.body.as_ref().map_err(|bad| {
        invalid("the posted answer is over 64 KiB, or broke off").with_status(bad.status())
    })?;
    if !is_form(&request.headers) {
        return Err(invalid(
            "the posted answer is not application/x-www-form-urlencoded, as form_post is",
        ));
    }
    Ok(body)
}

fn by_another_method(client: &str, headers: &HeaderMap) -> Response {
    let message = "an authorization response comes by GET, or by POST for form_post";
    let error = core::Error::new(ErrorCode::InvalidParameter, Phase::Callback, message);
    let error = Error::from(error.with_client(client))
        .answering(headers)
        .with_status(StatusCode::METHOD_NOT_ALLOWED);
    let mut response = error.response();
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, allow(Route::Callback));
    response
}

/// What a program sees of a login.
fn summary(login: &Login, owner: &str) -> Value {
    json!({
        "client": login.client,
        "owner": owner,
        "claims": login.claims.as_ref().map(|claims| claims.to_value()),
        "userinfo": login.userinfo.as_ref().map(|userinfo| userinfo.to_value()),
        "scopes": login.scopes,
        "token_type": login.token.credential().token_type(),
        "expires_at": login.token.expires_at().map(core::Timestamp::as_secs),
        "refreshable": login.token.refresh_token().is_some(),
    })
}
