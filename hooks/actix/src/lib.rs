//! Login routes, extractors and sealed sessions for actix-web.
//!
//! [`routes`] brings `/login/{client}`, `/connect/{client}`, `/callback/{client}`, `/logout` and `/logged-out/{client}`;
//! [`SignedIn`] is who is signed in; [`Error`] is what handlers answer when something goes wrong.
//!
//! ```no_run
//! use actix_web::{App, HttpServer, Responder, web};
//! use tokenkeep_actix::{Result, SignedIn};
//! use tokenkeep_core::OAuth;
//!
//! async fn repos(user: SignedIn) -> Result<impl Responder> {
//!     let repos = user.grant("github")?.get("user/repos").await?;
//!     Ok(repos.error_for_status()?.bytes().await?)
//! }
//!
//! async fn serve(oauth: OAuth) -> std::io::Result<()> {
//!     HttpServer::new(move || {
//!         App::new()
//!             .app_data(web::Data::new(oauth.clone()))
//!             .route("/repos", web::get().to(repos))
//!             .service(tokenkeep_actix::routes(&oauth))
//!     })
//!     .bind(("127.0.0.1", 8000))?
//!     .run()
//!     .await
//! }
//! ```
//!
//! With [`as_signed_in`] as a middleware, handlers need not name the owner: `oauth.client("github")?.get("user/repos")` carries the token
//! of who is signed in.
//!
//! The extractors find the registry in `web::Data<OAuth>`; without it they answer 500 `invalid_configuration`.
//!
//! `Option<SignedIn>` is none whatever the reason is, as it is with each extractor of actix-web: also where the store is away,
//! or a request lacks its CSRF token. [`MaybeSignedIn`] tells nobody from an error.

mod convert;
mod current;
mod extract;
mod routes;

use actix_web::{
    HttpRequest, HttpResponse, Responder, ResponseError,
    http::{StatusCode, header::HeaderMap},
};
pub use current::{as_signed_in, as_signed_in_only};
pub use extract::MaybeSignedIn;

tokenkeep_web::hook! {
    headers: HeaderMap,
    as: convert::headers,
    page: routes::LogOutPage,
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        convert::status(self.0.status())
    }

    fn error_response(&self) -> HttpResponse {
        convert::response(self.0.response())
    }
}

impl SetCookies {
    /// Sets them with an answer: `SetCookies(out.cookies).with(Redirect::to("/"))`.
    pub fn with<R: Responder>(self, responder: R) -> WithCookies<R> {
        WithCookies {
            cookies: self,
            responder,
        }
    }
}

/// An answer with cookies: see [`SetCookies::with`].
#[derive(Debug)]
pub struct WithCookies<R> {
    cookies: SetCookies,
    responder: R,
}

impl<R: Responder> Responder for WithCookies<R> {
    type Body = R::Body;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse<R::Body> {
        let mut response = self.responder.respond_to(request);
        let mut set = http::HeaderMap::new();
        tokenkeep_web::set_cookies(&mut set, &self.cookies.0);
        convert::append(response.headers_mut(), &set);
        response
    }
}
