//! The application in axum.

use std::{
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    sync::{Arc, OnceLock},
};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{FromRef, FromRequestParts, Query, Request, State},
    http::{HeaderValue, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use reqwest::StatusCode;
use tokenkeep::{
    OAuth,
    axum::{ClientName, Error, Result, SignedIn, SignedInForm, wants_page},
};
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::{
    answer::{self, Answer, NoSuch, Wants},
    api,
    app::{self, App},
    events, pages,
    serve::PATIENCE,
    setup::Failure,
};

impl FromRef<App> for OAuth {
    fn from_ref(app: &App) -> Self {
        app.oauth.clone()
    }
}

impl<S: Sync> FromRequestParts<S> for Wants {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(wants_page(&parts.headers)))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let body = match self.body {
            answer::Body::Whole(body) => Body::from(body),
            answer::Body::Streamed(body) => Body::from_stream(body),
        };
        let mut response = (self.status, self.headers, body).into_response();
        if let Some(no_such) = self.no_such {
            response.extensions_mut().insert(no_such);
        }
        response
    }
}

fn router(app: App) -> Router {
    let log_out = |session: Option<&_>| Answer::page(pages::log_out(session));
    Router::new()
        .route("/", get(home))
        .route("/tokens", get(tokens))
        .route("/tokens/{client}/refresh", post(refresh))
        .route("/tokens/{client}/expire", post(expire))
        .route("/tokens/{client}/revoke", post(revoke))
        .route("/userinfo/{client}", get(userinfo))
        .route("/call/{client}", get(choose))
        .route("/api/{client}/", get(call).post(call))
        .route("/api/{client}/{*path}", get(call).post(call))
        .route("/events", get(feed))
        .route("/healthz", get(health))
        .route("/demo.css", get(async || app::style()))
        .route("/live.js", get(async || app::script()))
        .merge(
            tokenkeep::axum::routes(&app.oauth)
                .log_out_page(log_out)
                .connections(|_, _| true),
        )
        .fallback(async || Answer::no_such(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(async || Answer::no_such(StatusCode::METHOD_NOT_ALLOWED))
        .layer(middleware::from_fn(dress))
        .with_state(app)
}

async fn home(State(app): State<App>, user: Option<SignedIn>, wants: Wants) -> Result<Answer> {
    let session = user.as_ref().map(SignedIn::session);
    Ok(app.home(session, wants).await?)
}

async fn tokens(State(app): State<App>, user: SignedIn, wants: Wants) -> Result<Answer> {
    Ok(app.tokens(user.session(), wants).await?)
}

async fn refresh(
    State(app): State<App>,
    ClientName(client): ClientName,
    wants: Wants,
    form: SignedInForm,
) -> Result<Answer> {
    Ok(app.refresh(form.user.grant(&client)?, wants).await?)
}

async fn expire(
    State(app): State<App>,
    ClientName(client): ClientName,
    wants: Wants,
    form: SignedInForm,
) -> Result<Answer> {
    Ok(app.expire(form.user.grant(&client)?, wants).await?)
}

async fn revoke(
    State(app): State<App>,
    ClientName(client): ClientName,
    wants: Wants,
    form: SignedInForm,
) -> Result<Answer> {
    Ok(app.revoke(form.user.grant(&client)?, wants).await?)
}

async fn userinfo(
    State(app): State<App>,
    ClientName(client): ClientName,
    user: SignedIn,
    wants: Wants,
) -> Result<Answer> {
    Ok(app.userinfo(user.grant(&client)?, wants).await?)
}

async fn health(State(app): State<App>, wants: Wants) -> Result<Answer> {
    Ok(app.health(wants).await?)
}

async fn feed(State(app): State<App>, user: SignedIn) -> Result<Answer> {
    Ok(events::events(user.token_updates()?, &app.stop))
}

async fn choose(
    ClientName(client): ClientName,
    user: SignedIn,
    Query(fields): Query<Vec<(String, String)>>,
) -> Result<Answer> {
    Ok(api::choose(&user.grant(&client)?, &fields).await?)
}

/// `GET, POST /api/{client}/{path}`
async fn call(user: SignedIn, wants: Wants, request: Request) -> Result<Answer> {
    let (parts, body) = request.into_parts();
    let (client, path) = api::target(parts.uri.path(), parts.uri.query());
    let call = user.grant(&client)?.request(parts.method, &path);
    let media_type = parts.headers.get(header::CONTENT_TYPE);
    let media_type = media_type.map(HeaderValue::as_bytes);
    let call = api::passing(call, passable(body).await?, media_type);
    Ok(api::answer(&client, call.await?, wants).await?)
}

/// The request's body, if it has one.
async fn passable(body: Body) -> Result<Option<reqwest::Body>> {
    if body.is_end_stream() {
        return Ok(None);
    }
    match body.size_hint().exact() {
        Some(length) if length <= api::REPEATABLE as u64 => {
            let whole = axum::body::to_bytes(body, api::REPEATABLE).await;
            Ok(Some(whole.map_err(api::broken)?.into()))
        }
        _ => Ok(Some(reqwest::Body::wrap_stream(body.into_data_stream()))),
    }
}

/// Gives an error a page where people asked, and every answer the headers that keep it to ourselves.
async fn dress(request: Request, next: Next) -> Response {
    let page = wants_page(request.headers());
    let mut response = next.run(request).await;
    let extensions = response.extensions();
    if page && let Some(page) = answer::error_page(extensions.get(), extensions.get::<NoSuch>()) {
        *response.body_mut() = Body::from(page);
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, html);
        // That of tokenkeep's own page knows another style sheet.
        headers.remove(header::CONTENT_SECURITY_POLICY);
    }
    let policy = response.headers().get(header::CONTENT_SECURITY_POLICY);
    for (name, value) in answer::security(policy.map(HeaderValue::as_bytes)) {
        let value = HeaderValue::from_static(value);
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

/// A server that listens. Until it is opened, its answer to everything is that the store is not there yet.
pub(crate) struct Server {
    router: Arc<OnceLock<Router>>,
    handle: Handle<SocketAddr>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) fn start(listener: TcpListener, tls: Option<RustlsConfig>) -> Result<Self, Failure> {
        let handle = Handle::new();
        let router = Arc::<OnceLock<Router>>::default();
        let app = {
            let router = Arc::clone(&router);
            let away = Router::new()
                .fallback(async || Error::from(answer::store_is_away()))
                .layer(middleware::from_fn(dress));
            let answer = move |request: Request| {
                let router = router.get().unwrap_or(&away);
                router.clone().oneshot(request)
            };
            Router::new().fallback(answer).into_make_service()
        };
        let serving = match tls {
            Some(tls) => {
                let server =
                    axum_server::from_tcp_rustls(listener, tls).map_err(Failure::server)?;
                tokio::spawn(server.handle(handle.clone()).serve(app))
            }
            None => {
                let server = axum_server::from_tcp(listener).map_err(Failure::server)?;
                tokio::spawn(server.handle(handle.clone()).serve(app))
            }
        };
        Ok(Self {
            router,
            handle,
            serving,
        })
    }

    pub(crate) fn open(&self, app: App) {
        let _ = self.router.set(router(app));
    }

    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.handle.graceful_shutdown(Some(PATIENCE));
        match self.serving.await {
            Ok(Err(error)) => Err(Failure::server(error)),
            _ => Ok(()),
        }
    }
}
