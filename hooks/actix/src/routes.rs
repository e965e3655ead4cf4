//! The routes as actix-web's.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse, Responder,
    dev::{AppService, HttpServiceFactory},
    guard::fn_guard,
    web::{Payload, resource},
};
use tokenkeep_core::Session;
use tokenkeep_web::{self as web, Route};

use crate::{Routes, convert, extract::client_of};

pub(crate) type LogOutPage = dyn Fn(Option<&Session>, &HttpRequest) -> HttpResponse + Send + Sync;

impl Routes {
    /// Draws the page of `GET /logout`, instead of a plain one: a form that POSTs the session's
    /// [`csrf`](Session::csrf) token to the same address, or that nobody is signed in.
    pub fn log_out_page<F, R>(mut self, page: F) -> Self
    where
        F: Fn(Option<&Session>) -> R + Send + Sync + 'static,
        R: Responder,
        R::Body: 'static,
    {
        self.log_out_page = Some(Arc::new(move |session, request| {
            page(session).respond_to(request).map_into_boxed_body()
        }));
        self
    }

    async fn answer(
        self: Arc<Self>,
        route: Route,
        request: HttpRequest,
        payload: Payload,
    ) -> HttpResponse {
        let method = convert::method(request.method());
        let body = if route.reads_body(&method) {
            web::read_body(payload).await
        } else {
            Ok(Default::default())
        };
        let asked = web::Request {
            client: client_of(&request),
            query: request.uri().query().map(str::to_owned),
            headers: convert::headers(request.headers()),
            method,
            body,
        };
        let answer = self.web.answer(route, asked).await;
        match (
            answer.extensions().get::<web::LogOutPage>(),
            &self.log_out_page,
        ) {
            (Some(signed_in), Some(draw)) => {
                let mut page = draw(signed_in.session.as_ref(), &request);
                let mut dress = http::HeaderMap::new();
                web::LogOutPage::dress(&mut dress);
                convert::replace(page.headers_mut(), &dress);
                page
            }
            _ => convert::response(answer),
        }
    }
}

/// `App::new().service(routes(&oauth))`, and the same in a scope, or where an application is configured.
impl HttpServiceFactory for Routes {
    fn register(self, config: &mut AppService) {
        self.web.announce();
        let routes = Arc::new(self);
        for route in routes.web.routes() {
            let client = if route.names_client() {
                "/{client}"
            } else {
                ""
            };
            let place = format!("{}/{}", routes.web.prefix(), route.name());
            let routes = Arc::clone(&routes);
            // Each route says itself which methods it has: callbacks must not be looked at by HEAD.
            let at = resource(format!("{place}{client}"))
                .guard(fn_guard(move |asked| {
                    stands_at(&place, route, asked.head().uri.path())
                }))
                .to(move |request, payload| Arc::clone(&routes).answer(route, request, payload));
            at.register(config);
        }
    }
}

/// Is a route's place written in a path as it is? The router also takes one that is percent-encoded, which others on the way
/// may have let through as something else.
fn stands_at(place: &str, route: Route, path: &str) -> bool {
    let path = if route.names_client() {
        path.rsplit_once('/').map(|(before, _)| before)
    } else {
        Some(path)
    };
    path.is_some_and(|path| path.ends_with(place))
}
