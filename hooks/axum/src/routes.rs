//! The routes as axum's.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{FromRequestParts, Request},
    response::{IntoResponse, Response},
    routing::any,
};
use tokenkeep_core::Session;
use tokenkeep_web::{self as web, Route};

use crate::{ClientName, Routes};

pub(crate) type LogOutPage = dyn Fn(Option<&Session>) -> Response + Send + Sync;

impl Routes {
    /// Draws the page of `GET /logout`, instead of a plain one: a form that POSTs the session's
    /// [`csrf`](Session::csrf) token to the same address, or that nobody is signed in.
    pub fn log_out_page<F, R>(mut self, page: F) -> Self
    where
        F: Fn(Option<&Session>) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        self.log_out_page = Some(Arc::new(move |session| page(session).into_response()));
        self
    }

    async fn answer(self: Arc<Self>, route: Route, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        let client = ClientName::from_request_parts(&mut parts, &()).await.ok();
        let body = if route.reads_body(&parts.method) {
            web::read_body(body.into_data_stream()).await
        } else {
            Ok(Bytes::new())
        };
        let request = web::Request {
            client: client.map(|ClientName(name)| name),
            query: parts.uri.query().map(str::to_owned),
            method: parts.method,
            headers: parts.headers,
            body,
        };
        let answer = self.web.answer(route, request).await;
        match (
            answer.extensions().get::<web::LogOutPage>(),
            &self.log_out_page,
        ) {
            (Some(signed_in), Some(draw)) => {
                let mut page = draw(signed_in.session.as_ref());
                web::LogOutPage::dress(page.headers_mut());
                page
            }
            _ => answer.map(Into::into),
        }
    }
}

impl<S: Clone + Send + Sync + 'static> From<Routes> for Router<S> {
    fn from(routes: Routes) -> Self {
        routes.web.announce();
        let routes = Arc::new(routes);
        let mut router = Self::new();
        for route in routes.web.routes() {
            let routes = Arc::clone(&routes);
            let client = if route.names_client() {
                "/{client}"
            } else {
                ""
            };
            let path = format!("{}/{}{client}", routes.web.prefix(), route.name());
            // Each route says itself which methods it has: callbacks must not be looked at by HEAD.
            let answer = any(move |request| Arc::clone(&routes).answer(route, request));
            router = router.route(&path, answer);
        }
        router
    }
}
