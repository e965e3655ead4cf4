//! Logouts that the user begins.

use std::future::ready;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;
use tokenkeep_core::{CallbackParams, Session};

use super::{Route, Routes};
use crate::{
    Error, Request, Response, SignedIn,
    answer::{self, keep_private, see_other, with_cookies},
    page, read_form,
    request::{browser_cookies, wants_json},
};

/// Stands in the extensions of the page with the button, for an application that draws its own.
#[derive(Clone, Debug)]
pub struct LogOutPage {
    /// Who is signed in.
    pub session: Option<Session>,
}

impl LogOutPage {
    /// What browsers must know of the page, whoever drew it.
    pub fn dress(headers: &mut HeaderMap) {
        keep_private(headers);
        // Somebody could be led to click on it. A policy of the application's own with `frame-ancestors` counts instead.
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        // With `no-referrer` browsers would post the form without its origin, and applications may check that.
        headers.insert(
            header::REFERRER_POLICY,
            HeaderValue::from_static("same-origin"),
        );
    }
}

impl Routes {
    pub(super) async fn log_out_page(&self, request: &Request) -> Result<Response, Error> {
        let headers = &request.headers;
        let user = SignedIn::optional(&self.oauth, &request.method, headers).await?;
        let session = user.as_ref().map(SignedIn::session);
        let mut response = match session {
            Some(session) if wants_json(headers) => answer::json(
                StatusCode::OK,
                &json!({
                    "client": session.client(),
                    "owner": session.owner(),
                    "csrf": session.csrf(),
                }),
            ),
            None if wants_json(headers) => return Err(SignedIn::nobody(headers)),
            session => {
                let mut page = page::log_out(session, &self.log_out_path());
                let session = session.cloned();
                page.extensions_mut().insert(LogOutPage { session });
                page
            }
        };
        LogOutPage::dress(response.headers_mut());
        Ok(response)
    }

    /// Where the form goes. Under a path of a host the neighbours' forms must not get it, nor the token in it.
    fn log_out_path(&self) -> String {
        let path = self.own_path(Route::LogOut, None);
        path.unwrap_or_else(|_| format!("{}/{}", self.prefix, Route::LogOut.name()))
    }

    pub(super) async fn log_out(&self, request: &Request) -> Result<Response, Error> {
        let headers = &request.headers;
        let body = ready(request.body.clone());
        let (user, ()) = read_form(&self.oauth, headers, body).await?;
        let session = user.session();
        let work = async {
            let back = self.own_url(Route::LoggedOut, Some(session.client()))?;
            let out = self.oauth.log_out(session, Some(back.as_str())).await?;
            let to = out
                .redirect
                .map_or_else(|| self.after_logout.clone(), String::from);
            Ok(with_cookies(see_other(&to)?, &out.cookies))
        };
        work.await.map_err(|error: Error| error.answering(headers))
    }

    pub(super) fn logged_out(&self, request: &Request) -> Result<Response, Error> {
        let work = || {
            let client = self.oauth.client(request.client()?)?;
            let params = CallbackParams::parse(request.query())?;
            let cookies = browser_cookies(&request.headers);
            let removal = client.validate_logout_response(&params, &cookies, None)?;
            Ok(with_cookies(see_other(&self.after_logout)?, [&removal]))
        };
        work().map_err(|error: Error| error.answering(&request.headers))
    }
}
