//! Login routes, extractors and sealed sessions for axum.
//!
//! [`routes`] brings `/login/{client}`, `/connect/{client}`, `/callback/{client}`, `/logout` and `/logged-out/{client}`;
//! [`SignedIn`] is who is signed in; [`Error`] is what handlers answer when something goes wrong.
//!
//! ```no_run
//! use axum::{Router, response::IntoResponse, routing::get};
//! use tokenkeep_axum::{Result, SignedIn};
//! use tokenkeep_core::OAuth;
//!
//! async fn repos(user: SignedIn) -> Result<impl IntoResponse> {
//!     let repos = user.grant("github")?.get("user/repos").await?;
//!     Ok(repos.error_for_status()?.bytes().await?)
//! }
//!
//! fn app(oauth: OAuth) -> Router {
//!     Router::new()
//!         .route("/repos", get(repos))
//!         .merge(tokenkeep_axum::routes(&oauth))
//!         .with_state(oauth)
//! }
//! ```
//!
//! With [`as_signed_in`] as a layer, handlers need not name the owner: `oauth.client("github")?.get("user/repos")` carries the token of
//! who is signed in.
//!
//! The extractors find the registry in the router's state, [`OAuth`](tokenkeep_core::OAuth) itself or whatever it is
//! [`FromRef`](axum::extract::FromRef) of.

mod current;
mod extract;
mod routes;

use axum::{
    http::HeaderMap,
    response::{IntoResponse, IntoResponseParts, Response, ResponseParts},
};

pub use current::{as_signed_in, as_signed_in_only};

tokenkeep_web::hook! {
    headers: HeaderMap,
    as: std::borrow::Cow::Borrowed,
    page: routes::LogOutPage,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.0.response().map(Into::into)
    }
}

/// `(SetCookies(out.cookies), Redirect::to("/"))`
impl IntoResponseParts for SetCookies {
    type Error = std::convert::Infallible;

    fn into_response_parts(
        self,
        mut parts: ResponseParts,
    ) -> std::result::Result<ResponseParts, Self::Error> {
        tokenkeep_web::set_cookies(parts.headers_mut(), &self.0);
        Ok(parts)
    }
}
